/** What both entry points offer. */

export { Admin, type AlertOptions, type SeriesOptions } from "./admin.js";
export { BaseClient, type BaseOptions, type Credential } from "./client_base.js";
export * from "./errors.js";
export {
  all, any, atLeast, Expression, Field, field, hasId, not, type ConditionJson, type Filter, type FilterJson, type RangeJson, type Scalar,
} from "./filters.js";
export type { Json, Payload, Vector } from "./payload.js";
export type { RetryPolicy } from "./retry.js";
export type * from "./types.js";
