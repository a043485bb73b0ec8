/** What carries calls to a server: gRPC in Node, HTTP anywhere. Requests are checked already; errors are VectronErrors. */

import type { FilterJson } from "./filters.js";
import type { Payload } from "./payload.js";
import type {
  ApiKey, CollectionStatus, Consistency, CreateCollectionOptions, FeedbackItem, FeedbackOptions, FeedbackPage, KeyCheck, Page,
  SearchOptions, SearchResults, StoredPoint, User, UserChange, UserPage,
} from "./types.js";

/** Of one attempt. */
export interface Attempt {
  timeoutMs: number;
  signal: AbortSignal | undefined;
  token: string | undefined;
  tenant: string | undefined;
}
export interface PreparedPoint {
  id: string;
  vector: Float32Array;
  payload: Payload | undefined;
}
export interface UpsertRequest {
  collection: string;
  points: PreparedPoint[];
  requestId: string;
  insertOnly: boolean;
  returnVersions: boolean;
}
export interface Written {
  upserted: number;
  /** When they were asked for. */
  versions: bigint[];
}
export interface Freshness {
  consistency?: Consistency | undefined;
  maxStalenessMs?: number | undefined;
}
export type SearchRequest = Omit<SearchOptions, "filter"> & {
  collection: string;
  vector: Float32Array;
  topK: number;
  filter: FilterJson | undefined;
};
export interface ScrollRequest extends Freshness {
  collection: string;
  afterId: string;
  limit: number;
  filter: FilterJson | undefined;
  includeVectors: boolean;
  includePayload: boolean;
}
export type CreateRequest = CreateCollectionOptions & { name: string; dimension: number; distance: string };
export type FeedbackRequest = FeedbackOptions & { collection: string; items: FeedbackItem[] };
export interface KeyRequest {
  name: string;
  scope: string;
  collections: string[];
  expiresAt: bigint;
}

export interface Transport {
  /** For messages. */
  readonly host: string;
  createCollection(request: CreateRequest, attempt: Attempt): Promise<void>;
  deleteCollection(name: string, attempt: Attempt): Promise<void>;
  listCollections(attempt: Attempt): Promise<string[]>;
  getCollectionStatus(name: string, attempt: Attempt): Promise<CollectionStatus>;
  upsert(request: UpsertRequest, attempt: Attempt): Promise<Written>;
  search(request: SearchRequest, attempt: Attempt): Promise<SearchResults>;
  searchStream(request: SearchRequest, attempt: Attempt): AsyncIterable<SearchResults>;
  get(collection: string, id: string, fresh: Freshness, attempt: Attempt): Promise<StoredPoint>;
  delete(collection: string, id: string, requestId: string, attempt: Attempt): Promise<void>;
  scroll(request: ScrollRequest, attempt: Attempt): Promise<Page>;
  submitFeedback(request: FeedbackRequest, attempt: Attempt): Promise<string>;
  listFeedback(collection: string, afterNumber: bigint, limit: number, attempt: Attempt): Promise<FeedbackPage>;
  registerUser(email: string, password: string, bootstrapSecret: string | undefined, attempt: Attempt): Promise<User>;
  login(email: string, password: string, attempt: Attempt): Promise<{ token: string; user: User }>;
  logout(attempt: Attempt): Promise<void>;
  refreshToken(attempt: Attempt): Promise<string>;
  changePassword(oldPassword: string, newPassword: string, attempt: Attempt): Promise<string>;
  getUserProfile(attempt: Attempt): Promise<User>;
  updateUserProfile(plan: string, attempt: Attempt): Promise<{ token: string; user: User }>;
  deleteUser(password: string, attempt: Attempt): Promise<void>;
  listUsers(afterId: string, limit: number, attempt: Attempt): Promise<UserPage>;
  updateUser(userId: string, change: UserChange, attempt: Attempt): Promise<User>;
  rotateSigningKey(attempt: Attempt): Promise<string>;
  createApiKey(request: KeyRequest, attempt: Attempt): Promise<ApiKey>;
  listApiKeys(attempt: Attempt): Promise<ApiKey[]>;
  deleteApiKey(keyPrefix: string, attempt: Attempt): Promise<void>;
  validateApiKey(fullKey: string, attempt: Attempt): Promise<KeyCheck>;
  createSdkJwt(apiKeyId: string, attempt: Attempt): Promise<string>;
  close(): void;
}
