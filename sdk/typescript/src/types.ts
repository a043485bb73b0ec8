/** What goes in and what comes out. */

import type { VectronError } from "./errors.js";
import type { Filter } from "./filters.js";
import type { Payload, Vector } from "./payload.js";

/** A point to write. id: 1-256 bytes of UTF-8. vector: as many finite numbers as the collection's dimension. */
export interface Point {
  id: string;
  vector: Vector;
  payload?: Payload;
}
/** A point that was read. version: log index of its last write. */
export interface StoredPoint {
  id: string;
  vector: Float32Array;
  payload: Payload;
  version: bigint;
}
/** score: a distance, lower is closer; of a reranked answer in [0, 1], higher is better. */
export interface SearchResult {
  id: string;
  score: number;
  payload: Payload;
  vector?: Float32Array;
  version: bigint;
}
/** The results, best first, and what the server said about them. */
export interface SearchResults extends Array<SearchResult> {
  /** Names this answer for submitFeedback. */
  queryId: string;
  reranked: boolean;
  /** Some shards did not answer within shardTimeoutMs: missingShards. */
  partial: boolean;
  missingShards: number[];
  /** Of a stream: this is the final answer. */
  last: boolean;
  explain?: unknown;
  /** Unset: no reranking was asked for. */
  rerank?: RerankInfo;
}
/** What ordered an answer that was to be reranked. */
export interface RerankInfo {
  /** "none" (vector order), "rule", "learned", "interleaved" or "llm". */
  strategy: string;
  /** Why it is another one than asked for; empty: it is not. */
  reason: string;
  fromCache: boolean;
  /** Some neighbours were swapped to learn from clicks. */
  explored: boolean;
  timeUs: bigint;
}
export interface Shard {
  shardId: number;
  replicas: bigint[];
  leaderId: bigint;
  ready: boolean;
}
export interface CollectionStatus {
  name: string;
  dimension: number;
  distance: string;
  shards: Shard[];
  pointCount: bigint;
  indexedCount: bigint;
  sizeBytes: bigint;
  /** What it was created with, defaults filled in; createCollection takes them. */
  options: CreateCollectionOptions;
}
export interface User {
  id: string;
  email: string;
  /** Seconds since the Unix epoch. */
  createdAt: bigint;
  plan: string;
  subscriptionStatus: string;
  role: string;
}
export interface ApiKey {
  keyPrefix: string;
  userId: string;
  createdAt: bigint;
  name: string;
  /** In the answer of createApiKey only. */
  fullKey?: string;
  scope: string;
  collections: string[];
  expiresAt: bigint;
}
export interface FeedbackItem {
  resultId: string;
  /** 1-5; 0 for none given. */
  relevanceScore?: number;
  clicked?: boolean;
  position?: number;
  comment?: string;
}

/** Whose key it is, when it is good. */
export interface KeyCheck {
  valid: boolean;
  userId: string;
  plan: string;
  apiKeyId: string;
}
/** Stored feedback on one answer. */
export interface FeedbackRecord {
  /** Rising with time. */
  number: bigint;
  feedbackId: string;
  /** Milliseconds since the Unix epoch. */
  createdUnixMs: bigint;
  query: string;
  queryId: string;
  resultIds: string[];
  items: FeedbackItem[];
  context: Record<string, string>;
}
export interface FeedbackPage {
  records: FeedbackRecord[];
  /** 0: that was the last page. */
  nextAfterNumber: bigint;
}
/** One page of users. */
export interface UserPage {
  users: User[];
  /** Empty: that was the last page. */
  nextAfterId: string;
}
/** What is not given stays as it is. */
export interface UserChange {
  plan?: "free" | "paid";
  subscriptionStatus?: "active" | "canceled" | "past_due";
  role?: "user" | "admin";
}

export type Distance = "euclidean" | "cosine" | "dot";
export type Consistency = "strong" | "bounded" | "eventual";
export type PayloadType = "keyword" | "integer" | "float" | "bool" | "datetime";

/** How the nearest points are ordered anew. What is unset is the collection's, else the server's choice. */
export interface RerankOptions {
  strategy?: "none" | "rule" | "llm" | "learned";
  candidates?: number;
  budgetMs?: number;
  /** false: no neighbours are swapped to learn from clicks. */
  explore?: boolean;
}

export interface CallOptions {
  /** Of the whole call with its retries. */
  timeoutMs?: number;
  signal?: AbortSignal;
  /** Id of the user whose collections are meant, instead of the client's; for administrators. */
  tenant?: string;
}
export interface CreateCollectionOptions extends CallOptions {
  shardCount?: number;
  replicationFactor?: number;
  hnsw?: { m?: number; efConstruct?: number; efSearch?: number };
  storage?: "f32" | "f16";
  /** Path to type. */
  payloadIndexes?: Record<string, PayloadType>;
  defaultConsistency?: Consistency;
  vectorsInMemory?: boolean;
  /** Of searches with a query that do not say themselves. */
  rerank?: RerankOptions;
}
/** How fresh a read must be; the collection's default unless said. */
export interface ReadOptions extends CallOptions {
  consistency?: Consistency;
  /** Of "bounded". */
  maxStalenessMs?: number;
}
export interface UpsertOptions extends CallOptions {
  /** To repeat this very write later; made up otherwise. */
  requestId?: string;
  /** AlreadyExistsError where a point exists. */
  insertOnly?: boolean;
}
export interface BatchOptions extends CallOptions {
  batchSize?: number;
  maxBatchBytes?: number;
  /** Requests under way at once. */
  concurrency?: number;
  insertOnly?: boolean;
  onProgress?: (progress: BatchProgress) => void;
}
export interface BatchProgress {
  pointsDone: number;
  pointsFailed: number;
}
/** Points [start, start + ids.length) of the batch were not written (or, after a lost answer, perhaps). */
export interface BatchFailure {
  start: number;
  ids: string[];
  error: VectronError;
  requestId: string;
}
/** What became of a batch. */
export interface UpsertReport {
  upserted: number;
  failures: BatchFailure[];
}
export interface SearchOptions extends ReadOptions {
  filter?: Filter;
  /** Text for reranking. */
  query?: string;
  rerank?: RerankOptions;
  includeVectors?: boolean;
  /** true unless said. */
  includePayload?: boolean;
  /** Only these top-level keys. */
  payloadFields?: string[];
  offset?: number;
  scoreThreshold?: number;
  ef?: number;
  exact?: boolean;
  /** After this the shards that answered are returned, and `partial` is set. */
  shardTimeoutMs?: number;
  explain?: boolean;
}
export interface ScrollOptions extends ReadOptions {
  filter?: Filter;
  includeVectors?: boolean;
  includePayload?: boolean;
  /** Points per page. */
  limit?: number;
  afterId?: string;
}
export interface Page {
  points: StoredPoint[];
  /** Empty: that was the last page. */
  nextAfterId: string;
}
export interface FeedbackOptions extends CallOptions {
  query?: string;
  queryId?: string;
  resultIds?: string[];
  context?: Record<string, string>;
}
