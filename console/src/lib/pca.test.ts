import { describe, expect, it } from 'vitest';
import { projectRows } from './pca';

// A small generator, so that a failure can be played again.
function generator(seed: number) {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 4_294_967_296;
    return state / 4_294_967_296 - 0.5;
  };
}

describe('the projection', () => {
  it('finds the two directions along which the points were spread', async () => {
    const random = generator(11);
    const rows = Array.from({ length: 200 }, () => {
      const [a, b] = [random() * 10, random() * 4];
      return [a * 0.6 + 5, a * 0.8, b, random() * 0.01, -3];
    });
    const { x, y, explained } = await projectRows(rows);
    expect(explained[0] + explained[1]).toBeGreaterThan(0.999);
    expect(explained[0]).toBeGreaterThan(explained[1]);
    // Distances in the plane are those in space.
    for (let i = 1; i < 50; i += 1) {
      const inSpace = Math.hypot(...rows[i]!.map((value, j) => value - rows[0]![j]!));
      expect(Math.hypot(x[i]! - x[0]!, y[i]! - y[0]!)).toBeCloseTo(inSpace, 1);
    }
  });

  it('is the same each time', async () => {
    const random = generator(12);
    const rows = Array.from({ length: 30 }, () => Array.from({ length: 8 }, random));
    expect(await projectRows(rows)).toEqual(await projectRows(rows));
  });

  it('bears points that are all one, and a dimension of one', async () => {
    const same = await projectRows([[1, 2], [1, 2], [1, 2]]);
    expect([...same.x, ...same.y].every((value) => value === 0)).toBe(true);
    const line = await projectRows([[1], [2], [4]]);
    expect(line.explained[0]).toBeCloseTo(1);
    expect(line.explained[1]).toBeCloseTo(0);
  });
});
