// What the server asks of a new password; null when it is good.
export function passwordProblem(password: string): string | null {
  const size = new TextEncoder().encode(password).length;
  if (size < 8) return 'At least 8 characters are needed.';
  if (size > 128) return 'At most 128 bytes.';
  const kinds = [/[A-Z]/, /[a-z]/, /[0-9]/, /[^A-Za-z0-9]/].filter((kind) => kind.test(password)).length;
  return kinds < 3 ? 'Use three kinds of: upper case, lower case, digits, others.' : null;
}
