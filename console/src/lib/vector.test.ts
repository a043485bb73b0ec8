import { describe, expect, it } from 'vitest';
import { parseObject, parseVector, previewVector, randomVector } from './vector';

describe('a typed vector', () => {
  it('is read from JSON, commas, spaces and lines alike', () => {
    for (const text of ['[1, -2.5, 3e2]', '1,-2.5,300', ' 1 -2.5\n300 ', '1;-2.5;300']) {
      expect(parseVector(text, 3)).toEqual({ ok: true, value: [1, -2.5, 300] });
    }
  });

  it('is refused with what is wrong', () => {
    expect(parseVector('', 3)).toMatchObject({ ok: false, problem: expect.stringContaining('needed') });
    expect(parseVector('1, x, 3', 3)).toMatchObject({ ok: false, problem: expect.stringContaining('Component 1') });
    expect(parseVector('1, NaN, 3', 3)).toMatchObject({ ok: false });
    expect(parseVector('1, Infinity', 2)).toMatchObject({ ok: false });
    expect(parseVector('1, 2', 3)).toMatchObject({ ok: false, problem: '2 components; this collection wants 3.' });
  });

  it('may have any length when no dimension is given', () => {
    expect(parseVector('1 2', 0)).toEqual({ ok: true, value: [1, 2] });
  });
});

describe('a random vector', () => {
  it('has length one', () => {
    const vector = randomVector(64);
    expect(Math.hypot(...vector)).toBeCloseTo(1, 4);
    expect(vector).toHaveLength(64);
  });
});

describe('a typed payload', () => {
  it('is an object and nothing else', () => {
    expect(parseObject('{"a": [1]}')).toEqual({ ok: true, value: { a: [1] } });
    expect(parseObject('')).toEqual({ ok: true, value: {} });
    for (const text of ['[]', '1', 'null', '{"a":']) expect(parseObject(text).ok).toBe(false);
  });
});

it('shows the head of a long vector and its length', () => {
  expect(previewVector([1, 2, 3], 2)).toBe('[1, 2, … 3 components]');
  expect(previewVector([0.123456], 2)).toBe('[0.1235]');
});
