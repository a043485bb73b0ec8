import { describe, expect, it } from 'vitest';
import { windowOf } from './plane';

const long = [{ x: -3, y: 1 }, { x: 5, y: 2 }, { x: 0, y: 1.5 }];

describe('the window of a picture', () => {
  it('has one scale for both directions, whatever the shape of picture and points', () => {
    for (const [width, height] of [[300, 500], [1600, 500]] as const) {
      for (const points of [long, long.map(({ x, y }) => ({ x: y, y: x }))]) {
        const { x, y } = windowOf(points, width, height);
        expect((x[1] - x[0]) / width).toBeCloseTo((y[1] - y[0]) / height, 12);
      }
    }
  });

  it('shows every point, the points in the middle', () => {
    const { x, y } = windowOf(long, 300, 500);
    expect(x[0]).toBeLessThan(-3);
    expect(x[1]).toBeGreaterThan(5);
    expect((x[0] + x[1]) / 2).toBeCloseTo(1);
    expect((y[0] + y[1]) / 2).toBeCloseTo(1.5);
  });

  it('has a size of its own when all points are one, and before the picture has one', () => {
    for (const { x, y } of [windowOf([{ x: 2, y: 2 }, { x: 2, y: 2 }], 100, 100), windowOf([], 0, 0)]) {
      expect(x[1]).toBeGreaterThan(x[0]);
      expect(y[1]).toBeGreaterThan(y[0]);
    }
  });
});
