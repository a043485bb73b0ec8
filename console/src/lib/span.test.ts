import { expect, test } from 'vitest';
import { spanOf } from './span';

const hour = 3_600_000;
const now = 1_700_000_000_000;

test('a chart begins where measuring began', () => {
  expect(spanOf([now - 600_000, now], hour, now)).toEqual({ fromMs: now - 600_000, untilMs: now });
});

test('a chart shows no more than was asked for', () => {
  expect(spanOf([now - 2 * hour, now], hour, now)).toEqual({ fromMs: now - hour, untilMs: now });
});

test('a chart spans 20 seconds at least, and all of the time when nothing was measured', () => {
  expect(spanOf([now], hour, now)).toEqual({ fromMs: now - 20_000, untilMs: now });
  expect(spanOf([], hour, now)).toEqual({ fromMs: now - hour, untilMs: now });
});
