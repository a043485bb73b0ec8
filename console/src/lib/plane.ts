// Where a picture of points in a plane begins and ends.
export interface Window {
  x: [number, number];
  y: [number, number];
}

const margin = 0.04; // of what the points span, on each side

// The part of the plane that a picture of this size shows: all the points, in the middle, and a step as long across as upwards, so that
// near is near in every direction.
export function windowOf(points: { x: number; y: number }[], width: number, height: number): Window {
  const [left, right] = rangeOf(points.map((point) => point.x));
  const [low, high] = rangeOf(points.map((point) => point.y));
  const perPixel = Math.max((right - left) / Math.max(1, width), (high - low) / Math.max(1, height)) * (1 + 2 * margin) || 1 / Math.max(1, width);
  const around = (from: number, to: number, pixels: number): [number, number] => {
    const middle = (from + to) / 2;
    const half = (perPixel * Math.max(1, pixels)) / 2;
    return [middle - half, middle + half];
  };
  return { x: around(left, right, width), y: around(low, high, height) };
}

function rangeOf(values: number[]): [number, number] {
  return values.reduce<[number, number]>(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [
    values[0] ?? 0,
    values[0] ?? 0,
  ]);
}
