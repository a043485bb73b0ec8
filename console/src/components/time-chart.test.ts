import { describe, expect, it } from 'vitest';
import { lastOf, loneOf } from './time-chart';

describe('a line with gaps', () => {
  it('has dots where a value stands alone', () => {
    expect(loneOf([null, 1, null, 2, 3, null, 4])).toEqual([1, 6]);
    expect(loneOf([5])).toEqual([0]);
    expect(loneOf([0, undefined, 0])).toEqual([0, 2]);
  });

  it('has none on a line, nor in a gap', () => {
    expect(loneOf([1, 2])).toEqual([]);
    expect(loneOf([null, null])).toEqual([]);
    expect(loneOf([])).toEqual([]);
  });

  it('says nothing of now when the newest value is missing', () => {
    expect(lastOf([1, 2])).toBe(2);
    expect(lastOf([1, null])).toBeNull();
    expect(lastOf([])).toBeNull();
  });
});
