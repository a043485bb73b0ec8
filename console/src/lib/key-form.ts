// The form for a new API key.

export function keyNameProblem(name: string): string | null {
  return /^[A-Za-z0-9 _-]{1,50}$/.test(name) ? null : '1 to 50 letters, digits, spaces, _ and -.';
}

// Names and patterns from a list with commas.
export function patternsOf(text: string): string[] {
  return text.split(',').map((part) => part.trim()).filter((part) => part !== '');
}

// Seconds since the Unix epoch at which a key ends that holds for so many days; "0" : never.
export function expiryOf(days: number, nowMs: number): string {
  return days === 0 ? '0' : String(Math.floor(nowMs / 1000) + days * 86_400);
}
