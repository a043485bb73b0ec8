/**
 * Filters as expressions:
 *
 *     field("section").eq("sound").and(field("sizeKb").lt(500)).and(not(field("tags[]").oneOf(["role::debug"])))
 *
 * A path such as "a.b[].c" names a payload value; `[]` goes into every element of an array. Tests are strict about types.
 * Wherever a filter is accepted, the JSON form of the wire works too: {must: [{field: "section", match: "sound"}]}.
 */

import { InvalidArgumentError } from "./errors.js";
import { checkJson } from "./payload.js";

/** A Date is written as an RFC 3339 string. */
export type Scalar = string | number | boolean | Date;
type WireScalar = string | number | boolean;

export interface RangeJson {
  gt?: number | string;
  gte?: number | string;
  lt?: number | string;
  lte?: number | string;
}
/** Exactly one of the tests is set. */
export interface ConditionJson {
  field?: string;
  match?: WireScalar | WireScalar[];
  range?: RangeJson;
  exists?: boolean;
  isEmpty?: boolean;
  hasId?: string[];
  filter?: FilterJson;
}
/** All of must, at least minShould of should, none of mustNot. */
export interface FilterJson {
  must?: ConditionJson[];
  should?: ConditionJson[];
  mustNot?: ConditionJson[];
  minShould?: number;
}
export type Filter = Expression | FilterJson;

/** A condition, or a group of them. */
export abstract class Expression {
  abstract condition(): ConditionJson;
  toJSON(): FilterJson {
    return { must: [this.condition()] };
  }
  and(...others: Expression[]): Expression {
    return all(this, ...others);
  }
  or(...others: Expression[]): Expression {
    return any(this, ...others);
  }
  not(): Expression {
    return not(this);
  }
}

class Test extends Expression {
  constructor(private readonly test: ConditionJson) {
    super();
  }
  condition(): ConditionJson {
    return this.test;
  }
}

class Group extends Expression {
  constructor(readonly json: FilterJson) {
    super();
  }
  condition(): ConditionJson {
    return { filter: this.json };
  }
  override toJSON(): FilterJson {
    return this.json;
  }
}

/** All of the parts hold; chains stay flat. */
export function all(...parts: Expression[]): Expression {
  const must: ConditionJson[] = [];
  const mustNot: ConditionJson[] = [];
  for (const part of parts) {
    if (part instanceof Group && !part.json.should?.length) {
      must.push(...(part.json.must ?? []));
      mustNot.push(...(part.json.mustNot ?? []));
    } else {
      must.push(part.condition());
    }
  }
  return new Group({ ...(must.length ? { must } : {}), ...(mustNot.length ? { mustNot } : {}) });
}

/** At least one of the parts holds. */
export function any(...parts: Expression[]): Expression {
  const should: ConditionJson[] = [];
  for (const part of parts) {
    const json = part instanceof Group ? part.json : undefined;
    const alternatives = json?.should?.length && !json.must && !json.mustNot && !json.minShould;
    should.push(...(alternatives ? json.should! : [part.condition()]));
  }
  if (!should.length) throw new InvalidArgumentError("any() needs at least one part");
  return new Group({ should });
}

/** None of the parts holds. */
export function not(...parts: Expression[]): Expression {
  return new Group({ mustNot: parts.map((part) => part.condition()) });
}

/** At least `count` of the parts hold. */
export function atLeast(count: number, ...parts: Expression[]): Expression {
  if (!(count >= 1 && count <= parts.length)) {
    throw new InvalidArgumentError(`atLeast(${count}) of ${parts.length} parts: the count must be from 1 to ${parts.length}`);
  }
  return new Group({ should: parts.map((part) => part.condition()), minShould: count });
}

/** The point's id is one of these. */
export function hasId(...ids: string[]): Expression {
  return new Test({ hasId: ids });
}

/** A payload path, to be compared. */
export class Field {
  constructor(private readonly path: string) {
    if (!path) throw new InvalidArgumentError("a filter needs a path: field('section'), not field('')");
  }
  eq(value: Scalar): Expression {
    return new Test({ field: this.path, match: this.wire(value) });
  }
  ne(value: Scalar): Expression {
    return not(this.eq(value));
  }
  /** Equal to any of the values. */
  oneOf(values: Scalar[]): Expression {
    return new Test({ field: this.path, match: values.map((value) => this.wire(value)) });
  }
  lt(value: Scalar): Expression {
    return this.range({ lt: value });
  }
  lte(value: Scalar): Expression {
    return this.range({ lte: value });
  }
  gt(value: Scalar): Expression {
    return this.range({ gt: value });
  }
  gte(value: Scalar): Expression {
    return this.range({ gte: value });
  }
  /** low <= value <= high */
  between(low: Scalar, high: Scalar): Expression {
    return this.range({ gte: low, lte: high });
  }
  /** The path yields a value, null included. */
  exists(): Expression {
    return new Test({ field: this.path, exists: true });
  }
  /** The path yields nothing, or only null, "", [] or {}. */
  isEmpty(): Expression {
    return new Test({ field: this.path, isEmpty: true });
  }

  private range(bounds: Record<string, Scalar>): Expression {
    const range = Object.fromEntries(Object.entries(bounds).map(([name, bound]) => [name, this.wire(bound)]));
    return new Test({ field: this.path, range });
  }
  private wire(value: Scalar): WireScalar {
    if (value instanceof Date) return value.toISOString();
    checkJson(value, `filter on ${this.path}`);
    return value;
  }
}

export function field(path: string): Field {
  return new Field(path);
}

const FILTER_KEYS = new Set(["must", "should", "mustNot", "minShould"]);
const TESTS = ["match", "range", "exists", "isEmpty", "hasId", "filter"] as const;
const BOUNDS = new Set(["gt", "gte", "lt", "lte"]);

/** The wire's JSON form of any accepted filter. Errors: InvalidArgumentError for an object that is none. */
export function filterJson(filter: Filter | undefined): FilterJson | undefined {
  if (filter === undefined) return undefined;
  const json = filter instanceof Expression ? filter.toJSON() : filter;
  checkFilter(json);
  return json;
}

function checkFilter(json: FilterJson): void {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new InvalidArgumentError("a filter is an expression of field(...) or an object of must, should, mustNot and minShould");
  }
  for (const key of Object.keys(json)) {
    if (!FILTER_KEYS.has(key)) {
      throw new InvalidArgumentError(`a filter has no key "${key}"; there are ${[...FILTER_KEYS].join(", ")}`);
    }
  }
  for (const condition of [...(json.must ?? []), ...(json.should ?? []), ...(json.mustNot ?? [])]) {
    const tests = TESTS.filter((test) => condition[test] !== undefined);
    const unknown = Object.keys(condition).filter((key) => key !== "field" && !TESTS.includes(key as (typeof TESTS)[number]));
    if (tests.length !== 1 || unknown.length) {
      throw new InvalidArgumentError(
        `a condition has field and exactly one of ${TESTS.join(", ")}; this one has ${JSON.stringify(Object.keys(condition))}`,
      );
    }
    for (const bound of Object.keys(condition.range ?? {})) {
      if (!BOUNDS.has(bound)) throw new InvalidArgumentError(`a range has no "${bound}"; there are gt, gte, lt and lte`);
    }
    if (condition.filter) checkFilter(condition.filter);
  }
}
