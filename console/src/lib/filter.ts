// The filter editor's rows, and the filter they stand for.
import type { ConditionInput, FilterInput, JsonValue } from '../api/generated';
import type { Parsed } from './vector';

export type Operator = 'is' | 'any of' | '>' | '>=' | '<' | '<=' | 'exists' | 'is empty' | 'id is';
export const operators: readonly Operator[] = ['is', 'any of', '>', '>=', '<', '<=', 'exists', 'is empty', 'id is'];
export type Clause = 'must' | 'should' | 'must_not';

export interface Row {
  key: number;
  clause: Clause;
  field: string;
  operator: Operator;
  value: string;
}

export const needsField = (operator: Operator) => operator !== 'id is';
export const needsValue = (operator: Operator) => operator !== 'exists' && operator !== 'is empty';

// What a person typed as a value: true, false and numbers are those, "..." and all else is text.
export function readValue(text: string): JsonValue {
  const trimmed = text.trim();
  if (trimmed === 'true') return true;
  if (trimmed === 'false') return false;
  if (trimmed !== '' && Number.isFinite(Number(trimmed))) return Number(trimmed);
  if (/^".*"$/.test(trimmed)) {
    try {
      return JSON.parse(trimmed) as JsonValue;
    } catch {
      return trimmed;
    }
  }
  return trimmed;
}

const list = (text: string) => text.split(',').map((part) => part.trim()).filter((part) => part !== '');
const bounds = { '>': 'gt', '>=': 'gte', '<': 'lt', '<=': 'lte' } as const;

function conditionOf(row: Row): ConditionInput {
  switch (row.operator) {
    case 'is':
      return { field: row.field, match: readValue(row.value) };
    case 'any of':
      return { field: row.field, match: list(row.value).map(readValue) };
    case 'exists':
      return { field: row.field, exists: true };
    case 'is empty':
      return { field: row.field, isEmpty: true };
    case 'id is':
      return { hasId: list(row.value) };
    default:
      return { field: row.field, range: { [bounds[row.operator]]: readValue(row.value) } };
  }
}

// The filter of the complete rows, or undefined when there is none.
export function filterOf(rows: readonly Row[]): FilterInput | undefined {
  const complete = rows.filter(
    (row) =>
      (!needsField(row.operator) || row.field.trim() !== '') && (!needsValue(row.operator) || row.value.trim() !== ''),
  );
  if (complete.length === 0) return undefined;
  const pick = (clause: Clause) => complete.filter((row) => row.clause === clause).map(conditionOf);
  const filter: FilterInput = {};
  if (pick('must').length) filter.must = pick('must');
  if (pick('should').length) filter.should = pick('should');
  if (pick('must_not').length) filter.mustNot = pick('must_not');
  return filter;
}

// Reads a filter written as JSON; empty text is no filter.
export function parseFilter(text: string): Parsed<FilterInput | undefined> {
  if (text.trim() === '') return { ok: true, value: undefined };
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return { ok: false, problem: 'A filter is an object: {"must": [...]}' };
    }
    const known = ['must', 'should', 'must_not', 'mustNot', 'min_should', 'minShould'];
    const unknown = Object.keys(value).find((key) => !known.includes(key));
    if (unknown) return { ok: false, problem: `"${unknown}" is no part of a filter: ${known.slice(0, 3).join(', ')}, min_should` };
    return { ok: true, value: value as FilterInput };
  } catch (error) {
    return { ok: false, problem: `No valid JSON: ${error instanceof Error ? error.message : String(error)}` };
  }
}
