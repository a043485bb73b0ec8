// Principal components of a small sample, for the two-dimensional picture of a collection.

export interface Projection {
  x: Float64Array; // one per row
  y: Float64Array;
  explained: [number, number]; // share of the variance on each axis, in [0,1]
}

const iterations = 40;

// Projects n rows onto their first two principal components: power iteration on the centred rows, the second with the
// first taken out. Deterministic. Gives control back between the passes so that the page stays usable.
// rows: n x d, n >= 1, all of one length. Cost: about 160 n d multiplications.
export async function projectRows(rows: readonly (readonly number[])[]): Promise<Projection> {
  const n = rows.length;
  const d = rows[0]?.length ?? 0;
  const data = new Float64Array(n * d);
  const mean = new Float64Array(d);
  rows.forEach((row) => row.forEach((value, j) => (mean[j]! += value / n)));
  let total = 0;
  rows.forEach((row, i) =>
    row.forEach((value, j) => {
      const centred = value - mean[j]!;
      data[i * d + j] = centred;
      total += centred * centred;
    }),
  );
  const axes: Float64Array[] = [];
  const coordinates: Float64Array[] = [];
  const explained: [number, number] = [0, 0];
  for (let k = 0; k < 2; k += 1) {
    const axis = await principalAxis(data, n, d, axes, k);
    const along = multiply(data, axis, n, d);
    axes.push(axis);
    coordinates.push(along);
    const variance = along.reduce((sum, value) => sum + value * value, 0);
    explained[k] = total > 0 ? variance / total : 0;
  }
  return { x: coordinates[0]!, y: coordinates[1]!, explained };
}

async function principalAxis(data: Float64Array, n: number, d: number, taken: Float64Array[], seed: number) {
  let axis = new Float64Array(d);
  for (let j = 0; j < d; j += 1) axis[j] = Math.sin((j + 1) * (seed + 1.7)) + 0.01;
  normalise(axis, taken);
  for (let pass = 0; pass < iterations; pass += 1) {
    const next = multiplyTransposed(data, multiply(data, axis, n, d), n, d);
    const length = normalise(next, taken);
    if (length < 1e-12) return new Float64Array(d);
    const change = distance(next, axis);
    axis = next;
    if (change < 1e-7) break;
    if (pass % 4 === 3) await new Promise((resolve) => setTimeout(resolve, 0));
  }
  return axis;
}

function multiply(data: Float64Array, axis: Float64Array, n: number, d: number): Float64Array {
  const out = new Float64Array(n);
  for (let i = 0; i < n; i += 1) {
    let sum = 0;
    const at = i * d;
    for (let j = 0; j < d; j += 1) sum += data[at + j]! * axis[j]!;
    out[i] = sum;
  }
  return out;
}

function multiplyTransposed(data: Float64Array, weights: Float64Array, n: number, d: number): Float64Array<ArrayBuffer> {
  const out = new Float64Array(d);
  for (let i = 0; i < n; i += 1) {
    const weight = weights[i]!;
    const at = i * d;
    for (let j = 0; j < d; j += 1) out[j]! += weight * data[at + j]!;
  }
  return out;
}

// Takes the given unit axes out of v and scales it to length 1; returns the length before.
function normalise(v: Float64Array, taken: Float64Array[]): number {
  for (const axis of taken) {
    let dot = 0;
    for (let j = 0; j < v.length; j += 1) dot += v[j]! * axis[j]!;
    for (let j = 0; j < v.length; j += 1) v[j]! -= dot * axis[j]!;
  }
  let squares = 0;
  for (const value of v) squares += value * value;
  const length = Math.sqrt(squares);
  if (length > 0) for (let j = 0; j < v.length; j += 1) v[j]! /= length;
  return length;
}

function distance(a: Float64Array, b: Float64Array): number {
  let squares = 0;
  for (let j = 0; j < a.length; j += 1) squares += (a[j]! - b[j]!) ** 2;
  return Math.sqrt(squares);
}
