// Reading vectors and points that people type or paste.

export type Parsed<T> = { ok: true; value: T } | { ok: false; problem: string };

// Reads a vector: a JSON array, or numbers separated by commas, spaces or lines. dimension 0: any length.
export function parseVector(text: string, dimension: number): Parsed<number[]> {
  const trimmed = text.trim();
  if (trimmed === '') return { ok: false, problem: 'A vector is needed: numbers separated by commas.' };
  const inner = trimmed.replace(/^\[/, '').replace(/\]$/, '');
  const parts = inner.split(/[\s,;]+/).filter((part) => part !== '');
  const values: number[] = [];
  for (const [index, part] of parts.entries()) {
    const value = Number(part);
    if (!Number.isFinite(value)) return { ok: false, problem: `Component ${index} is no finite number: ${part.slice(0, 30)}` };
    values.push(value);
  }
  if (dimension > 0 && values.length !== dimension) {
    return { ok: false, problem: `${values.length} components; this collection wants ${dimension}.` };
  }
  return { ok: true, value: values };
}

// Reads a JSON object.
export function parseObject(text: string): Parsed<Record<string, unknown>> {
  if (text.trim() === '') return { ok: true, value: {} };
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return { ok: false, problem: 'A JSON object is needed: {"field": value}.' };
    }
    return { ok: true, value: value as Record<string, unknown> };
  } catch (error) {
    return { ok: false, problem: `No valid JSON: ${error instanceof Error ? error.message : String(error)}` };
  }
}

// A random unit vector.
export function randomVector(dimension: number, random: () => number = Math.random): number[] {
  const values = Array.from({ length: dimension }, () => {
    // Box and Muller: normal components make every direction equally likely.
    const radius = Math.sqrt(-2 * Math.log(1 - random()));
    return radius * Math.cos(2 * Math.PI * random());
  });
  const length = Math.hypot(...values) || 1;
  return values.map((value) => Number((value / length).toFixed(6)));
}

// The first components of a vector, for showing.
export function previewVector(vector: readonly number[], shown = 8): string {
  const head = vector.slice(0, shown).map((value) => String(Number(value.toPrecision(4))));
  return vector.length > shown ? `[${head.join(', ')}, … ${vector.length} components]` : `[${head.join(', ')}]`;
}
