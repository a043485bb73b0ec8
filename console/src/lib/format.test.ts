import { describe, expect, it } from 'vitest';
import * as format from './format';

describe('figures', () => {
  it('shows sizes in binary units', () => {
    expect(format.bytes(0)).toBe('0 B');
    expect(format.bytes(1023)).toBe('1,023 B');
    expect(format.bytes('1536')).toBe('1.5 KiB');
    expect(format.bytes(150 * 1024 ** 3)).toBe('150 GiB');
    expect(format.bytes(2 ** 60)).toBe('1024 PiB');
  });

  it('keeps three digits of a small number and all of a large one', () => {
    expect(format.significant(0.012345)).toBe('0.0123');
    expect(format.significant(123456.7)).toBe('123,457');
    expect(format.significant(0)).toBe('0');
    expect(format.significant(Number.NaN)).toBe('–');
  });

  it('takes the unit of a time from its size', () => {
    expect(format.millis(0.6104)).toBe('610 µs');
    expect(format.millis(2.4321)).toBe('2.43 ms');
    expect(format.millis(61_000)).toBe('61 s');
    expect(format.millis(0)).toBe('0 ms');
  });

  it('counts in full up to 100,000', () => {
    expect(format.shortCount('99999')).toBe('99,999');
    expect(format.shortCount(1_234_567)).toBe('1.2M');
  });

  it('says how long ago', () => {
    expect(format.ago(1000, 2000)).toBe('just now');
    expect(format.ago(0, 59_000)).toBe('59 s ago');
    expect(format.ago(0, 3_600_000 * 5)).toBe('5 h ago');
    expect(format.ago(5000, 0)).toBe('just now');
  });

  it('shows a score without trailing zeros', () => {
    expect(format.score(0)).toBe('0');
    expect(format.score(0.5)).toBe('0.5');
    expect(format.score(-12.345678)).toBe('-12.3457');
    expect(format.score(100)).toBe('100');
  });
});
