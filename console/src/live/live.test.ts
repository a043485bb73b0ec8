import { expect, it } from 'vitest';
import { tickDelay } from './live';

it('asks less and less often a server that does not answer, but never gives up', () => {
  expect(tickDelay(0)).toBe(5000);
  expect(tickDelay(1)).toBe(10_000);
  expect(tickDelay(2)).toBe(20_000);
  expect(tickDelay(3)).toBe(30_000);
  expect(tickDelay(1000)).toBe(30_000);
});
