import { describe, expect, it } from 'vitest';
import { filterOf, parseFilter, readValue, type Row } from './filter';

const row = (part: Partial<Row>): Row => ({ key: 1, clause: 'must', field: 'f', operator: 'is', value: 'v', ...part });

describe('a filter of rows', () => {
  it('has each row in its clause', () => {
    const rows = [
      row({ field: 'section', value: 'sound' }),
      row({ clause: 'should', field: 'size', operator: '>=', value: '10' }),
      row({ clause: 'must_not', field: 'tags[]', operator: 'any of', value: 'a, b,' }),
    ];
    expect(filterOf(rows)).toEqual({
      must: [{ field: 'section', match: 'sound' }],
      should: [{ field: 'size', range: { gte: 10 } }],
      mustNot: [{ field: 'tags[]', match: ['a', 'b'] }],
    });
  });

  it('leaves out rows that are not complete', () => {
    expect(filterOf([row({ value: ' ' }), row({ field: '' })])).toBeUndefined();
  });

  it('needs no value for exists and no field for ids', () => {
    const rows = [row({ operator: 'exists', value: '' }), row({ operator: 'id is', field: '', value: 'a,b' })];
    expect(filterOf(rows)).toEqual({ must: [{ field: 'f', exists: true }, { hasId: ['a', 'b'] }] });
  });
});

describe('a typed value', () => {
  it('is a number, a bool or text as it looks, and text in quotes', () => {
    expect(readValue('1.5')).toBe(1.5);
    expect(readValue('true')).toBe(true);
    expect(readValue('"1.5"')).toBe('1.5');
    expect(readValue('2024-01-01T00:00:00Z')).toBe('2024-01-01T00:00:00Z');
    expect(readValue('sound')).toBe('sound');
  });
});

describe('a filter as JSON', () => {
  it('names a key that is no part of one', () => {
    expect(parseFilter('{"musst": []}')).toMatchObject({ ok: false, problem: expect.stringContaining('"musst"') });
    expect(parseFilter('{"must": [')).toMatchObject({ ok: false });
    expect(parseFilter('')).toEqual({ ok: true, value: undefined });
    expect(parseFilter('{"must": []}')).toEqual({ ok: true, value: { must: [] } });
  });
});
