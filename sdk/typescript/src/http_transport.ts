/** Calls over HTTP/JSON, for browsers and where gRPC does not get through. */

import { InvalidArgumentError } from "./errors.js";
import { httpCall } from "./http.js";
import type { Payload } from "./payload.js";
import type {
  Attempt, CreateRequest, FeedbackRequest, Freshness, KeyRequest, ScrollRequest, SearchRequest, Transport, UpsertRequest, Written,
} from "./transport.js";
import type {
  ApiKey, CollectionStatus, Consistency, CreateCollectionOptions, FeedbackItem, FeedbackPage, FeedbackRecord, KeyCheck, Page, PayloadType,
  RerankInfo, RerankOptions, SearchResults, StoredPoint, User, UserChange, UserPage,
} from "./types.js";

interface JsonPoint {
  id: string;
  vector?: number[];
  payload?: Payload;
  version?: string;
}
interface JsonSearch {
  results: (JsonPoint & { score: number })[];
  queryId: string;
  reranked: boolean;
  partial: boolean;
  missingShards: number[];
  explain?: unknown;
  rerank?: Omit<RerankInfo, "timeUs"> & { timeUs: string };
}
/** Zeros and what is unset may be left out. */
interface JsonOptions {
  shardCount?: number;
  replicationFactor?: number;
  hnsw?: { m?: number; efConstruct?: number; efSearch?: number };
  storage?: string;
  payloadIndexes?: { field: string; type: string }[];
  defaultConsistency?: string;
  vectorsInMemory?: boolean;
  rerank?: RerankOptions;
}
interface JsonUser {
  id: string;
  email: string;
  createdAt: string;
  plan: string;
  subscriptionStatus: string;
  role?: string;
}
interface JsonKey {
  keyPrefix: string;
  userId: string;
  createdAt: string;
  name: string;
  scope?: string;
  collections?: string[];
  expiresAt?: string;
}

const point = (json: JsonPoint): StoredPoint => ({
  id: json.id,
  vector: Float32Array.from(json.vector ?? []),
  payload: json.payload ?? {},
  version: BigInt(json.version ?? 0),
});
const user = (json: JsonUser): User => ({
  ...json,
  createdAt: BigInt(json.createdAt),
  role: (json.role ?? "").replace(/^ROLE_/, "").toLowerCase(),
});
const key = (json: JsonKey, fullKey?: string): ApiKey => ({
  ...json,
  createdAt: BigInt(json.createdAt),
  scope: (json.scope ?? "").replace(/^KEY_SCOPE_/, "").toLowerCase(),
  collections: json.collections ?? [],
  expiresAt: BigInt(json.expiresAt ?? 0),
  ...(fullKey === undefined ? {} : { fullKey }),
});
/** What createCollection takes to make a collection like it. */
function madeWith(json: JsonOptions): CreateCollectionOptions {
  const { shardCount = 0, replicationFactor = 0, hnsw, payloadIndexes = [], defaultConsistency, vectorsInMemory = false, rerank } = json;
  const fresh = /UNSPECIFIED/.test(defaultConsistency ?? "UNSPECIFIED") ? undefined : defaultConsistency!.toLowerCase();
  return {
    shardCount,
    replicationFactor,
    ...(hnsw ? { hnsw } : {}),
    storage: json.storage?.endsWith("F16") ? "f16" : "f32",
    payloadIndexes: Object.fromEntries(payloadIndexes.map(({ field, type }) => [field, type.toLowerCase() as PayloadType])),
    ...(fresh ? { defaultConsistency: fresh as Consistency } : {}),
    vectorsInMemory,
    ...(rerank ? { rerank: setOf(rerank) } : {}),
  };
}
function setOf({ strategy, candidates, budgetMs, explore }: RerankOptions): RerankOptions {
  return {
    ...(strategy ? { strategy } : {}),
    ...(candidates ? { candidates } : {}),
    ...(budgetMs ? { budgetMs } : {}),
    ...(explore === undefined ? {} : { explore }),
  };
}
const collectionPath = (name: string) => `/v1/collections/${encodeURIComponent(name)}`;
const pointPath = (collection: string, id: string) => `${collectionPath(collection)}/points/${encodeURIComponent(id)}`;

/** url: of the gateway's HTTP port, perhaps with a path prefix. */
export class HttpTransport implements Transport {
  readonly host: string;
  private readonly cancel = new AbortController();

  constructor(url: string) {
    if (!/^https?:\/\//.test(url)) {
      throw new InvalidArgumentError(`over HTTP the host is a URL, such as "http://localhost:8080", not ${JSON.stringify(url)}`);
    }
    this.host = url.replace(/\/+$/, "");
  }

  private call(verb: string, path: string, body: unknown, attempt: Attempt, headers = {}): Promise<unknown> {
    return httpCall(this.host, verb, path, body, attempt, headers, this.cancel.signal);
  }

  async createCollection(request: CreateRequest, attempt: Attempt): Promise<void> {
    const { storage, payloadIndexes, defaultConsistency, timeoutMs: _t, signal: _s, tenant: _n, ...rest } = request;
    const body = {
      ...rest,
      storage: `VECTOR_STORAGE_${(storage ?? "f32").toUpperCase()}`,
      payloadIndexes: Object.entries(payloadIndexes ?? {}).map(([field, type]) => ({ field, type: type.toUpperCase() })),
      ...(defaultConsistency ? { defaultConsistency: defaultConsistency.toUpperCase() } : {}),
    };
    await this.call("POST", "/v1/collections", body, attempt);
  }
  async deleteCollection(name: string, attempt: Attempt): Promise<void> {
    await this.call("DELETE", collectionPath(name), undefined, attempt);
  }
  async listCollections(attempt: Attempt): Promise<string[]> {
    return ((await this.call("GET", "/v1/collections", undefined, attempt)) as { collections: string[] }).collections;
  }
  async getCollectionStatus(name: string, attempt: Attempt): Promise<CollectionStatus> {
    const json = (await this.call("GET", `${collectionPath(name)}/status`, undefined, attempt)) as {
      name: string;
      dimension: number;
      distance: string;
      shards: { shardId: number; replicas: string[]; leaderId: string; ready: boolean }[];
      pointCount: string;
      indexedCount: string;
      sizeBytes: string;
      options?: JsonOptions;
    };
    return {
      name: json.name,
      dimension: json.dimension,
      distance: json.distance,
      shards: json.shards.map((s) => ({ ...s, replicas: s.replicas.map(BigInt), leaderId: BigInt(s.leaderId) })),
      pointCount: BigInt(json.pointCount),
      indexedCount: BigInt(json.indexedCount),
      sizeBytes: BigInt(json.sizeBytes),
      options: madeWith(json.options ?? {}),
    };
  }
  async upsert(request: UpsertRequest, attempt: Attempt): Promise<Written> {
    const { collection, points, ...rest } = request;
    const body = { ...rest, points: points.map((p) => ({ ...p, vector: Array.from(p.vector) })) };
    const json = (await this.call("POST", `${collectionPath(collection)}/points`, body, attempt)) as {
      upserted: number;
      versions?: string[];
    };
    return { upserted: json.upserted, versions: (json.versions ?? []).map(BigInt) };
  }
  async search(request: SearchRequest, attempt: Attempt): Promise<SearchResults> {
    const body = {
      vector: Array.from(request.vector),
      topK: request.topK,
      query: request.query,
      timeoutMs: request.shardTimeoutMs,
      includeVectors: request.includeVectors,
      includeMetadata: request.includePayload,
      filter: request.filter,
      params: request.ef !== undefined || request.exact ? { ef: request.ef, exact: request.exact } : undefined,
      offset: request.offset,
      scoreThreshold: request.scoreThreshold,
      consistency: request.consistency?.toUpperCase(),
      maxStalenessMs: request.maxStalenessMs,
      explain: request.explain,
      rerank: request.rerank,
      payloadFields: request.payloadFields,
    };
    const path = `${collectionPath(request.collection)}/points/search`;
    const json = (await this.call("POST", path, body, attempt)) as JsonSearch;
    const results = json.results.map((r) => {
      const { vector, ...rest } = point(r);
      return { ...rest, score: r.score, ...(vector.length ? { vector } : {}) };
    });
    return Object.assign(results, {
      queryId: json.queryId,
      reranked: json.reranked,
      partial: json.partial,
      missingShards: json.missingShards,
      last: true,
      ...(json.explain ? { explain: json.explain } : {}),
      ...(json.rerank ? { rerank: { ...json.rerank, timeUs: BigInt(json.rerank.timeUs) } } : {}),
    });
  }
  async *searchStream(request: SearchRequest, attempt: Attempt): AsyncGenerator<SearchResults> {
    yield await this.search(request, attempt);
  }
  async get(collection: string, id: string, fresh: Freshness, attempt: Attempt): Promise<StoredPoint> {
    const query = new URLSearchParams();
    if (fresh.consistency) query.set("consistency", fresh.consistency.toUpperCase());
    if (fresh.maxStalenessMs) query.set("maxStalenessMs", String(fresh.maxStalenessMs));
    const path = `${pointPath(collection, id)}${query.size ? `?${query}` : ""}`;
    return point(((await this.call("GET", path, undefined, attempt)) as { point: JsonPoint }).point);
  }
  async delete(collection: string, id: string, requestId: string, attempt: Attempt): Promise<void> {
    const path = `${pointPath(collection, id)}?requestId=${encodeURIComponent(requestId)}`;
    await this.call("DELETE", path, undefined, attempt);
  }
  async scroll(request: ScrollRequest, attempt: Attempt): Promise<Page> {
    const { collection, includePayload, consistency, ...rest } = request;
    const body = { ...rest, includeMetadata: includePayload, consistency: consistency?.toUpperCase() };
    const json = (await this.call("POST", `${collectionPath(collection)}/points/scroll`, body, attempt)) as {
      points: JsonPoint[];
      nextAfterId: string;
    };
    return { points: json.points.map(point), nextAfterId: json.nextAfterId };
  }
  async submitFeedback(request: FeedbackRequest, attempt: Attempt): Promise<string> {
    const { items, timeoutMs: _t, signal: _s, tenant: _n, ...rest } = request;
    const json = (await this.call("POST", "/v1/feedback", { ...rest, feedbackItems: items }, attempt)) as { feedbackId: string };
    return json.feedbackId;
  }
  async listFeedback(collection: string, afterNumber: bigint, limit: number, attempt: Attempt): Promise<FeedbackPage> {
    const query = `collection=${encodeURIComponent(collection)}&afterNumber=${afterNumber}&limit=${limit}`;
    const json = (await this.call("GET", `/v1/feedback?${query}`, undefined, attempt)) as {
      records: (Omit<FeedbackRecord, "items" | "number" | "createdUnixMs"> & {
        number: string;
        createdUnixMs: string;
        feedbackItems: FeedbackItem[];
        collection: string;
      })[];
      nextAfterNumber: string;
    };
    const records = json.records.map(({ feedbackItems: items, collection: _, number, createdUnixMs, ...rest }) => ({
      ...rest,
      items,
      number: BigInt(number),
      createdUnixMs: BigInt(createdUnixMs),
    }));
    return { records, nextAfterNumber: BigInt(json.nextAfterNumber) };
  }
  async registerUser(email: string, password: string, bootstrapSecret: string | undefined, attempt: Attempt): Promise<User> {
    const headers: Record<string, string> = bootstrapSecret ? { "x-vectron-bootstrap": bootstrapSecret } : {};
    const json = (await this.call("POST", "/v1/users/register", { email, password }, attempt, headers)) as { user: JsonUser };
    return user(json.user);
  }
  async login(email: string, password: string, attempt: Attempt): Promise<{ token: string; user: User }> {
    const json = (await this.call("POST", "/v1/users/login", { email, password }, attempt)) as { jwtToken: string; user: JsonUser };
    return { token: json.jwtToken, user: user(json.user) };
  }
  async logout(attempt: Attempt): Promise<void> {
    await this.call("POST", "/v1/auth/logout", {}, attempt);
  }
  async refreshToken(attempt: Attempt): Promise<string> {
    return ((await this.call("POST", "/v1/auth/refresh", {}, attempt)) as { jwtToken: string }).jwtToken;
  }
  async changePassword(oldPassword: string, newPassword: string, attempt: Attempt): Promise<string> {
    const json = await this.call("POST", "/v1/user/password", { oldPassword, newPassword }, attempt);
    return (json as { jwtToken: string }).jwtToken;
  }
  async updateUserProfile(plan: string, attempt: Attempt): Promise<{ token: string; user: User }> {
    const json = await this.call("PUT", "/v1/user/profile", { plan: plan.toUpperCase() }, attempt);
    const answer = json as { jwtToken: string; user: JsonUser };
    return { token: answer.jwtToken, user: user(answer.user) };
  }
  async deleteUser(password: string, attempt: Attempt): Promise<void> {
    await this.call("POST", "/v1/user/delete", { password }, attempt);
  }
  async listUsers(afterId: string, limit: number, attempt: Attempt): Promise<UserPage> {
    const path = `/v1/admin/users?afterId=${encodeURIComponent(afterId)}&limit=${limit}`;
    const json = (await this.call("GET", path, undefined, attempt)) as { users: JsonUser[]; nextAfterId: string };
    return { users: json.users.map(user), nextAfterId: json.nextAfterId };
  }
  async updateUser(userId: string, change: UserChange, attempt: Attempt): Promise<User> {
    const { plan, subscriptionStatus, role } = change;
    const body = {
      plan: plan?.toUpperCase(),
      subscriptionStatus: subscriptionStatus?.toUpperCase(),
      role: role && `ROLE_${role.toUpperCase()}`,
    };
    const json = await this.call("PUT", `/v1/admin/users/${encodeURIComponent(userId)}`, body, attempt);
    return user((json as { user: JsonUser }).user);
  }
  async rotateSigningKey(attempt: Attempt): Promise<string> {
    return ((await this.call("POST", "/v1/admin/signing-keys/rotate", {}, attempt)) as { keyId: string }).keyId;
  }
  async getUserProfile(attempt: Attempt): Promise<User> {
    return user(((await this.call("GET", "/v1/user/profile", undefined, attempt)) as { user: JsonUser }).user);
  }
  async createApiKey(request: KeyRequest, attempt: Attempt): Promise<ApiKey> {
    const body = { ...request, scope: `KEY_SCOPE_${request.scope.toUpperCase()}`, expiresAt: String(request.expiresAt) };
    const json = (await this.call("POST", "/v1/keys", body, attempt)) as { fullKey: string; keyInfo: JsonKey };
    return key(json.keyInfo, json.fullKey);
  }
  async listApiKeys(attempt: Attempt): Promise<ApiKey[]> {
    return ((await this.call("GET", "/v1/keys", undefined, attempt)) as { keys: JsonKey[] }).keys.map((json) => key(json));
  }
  async deleteApiKey(keyPrefix: string, attempt: Attempt): Promise<void> {
    await this.call("DELETE", `/v1/keys/${encodeURIComponent(keyPrefix)}`, undefined, attempt);
  }
  async validateApiKey(fullKey: string, attempt: Attempt): Promise<KeyCheck> {
    return (await this.call("POST", "/v1/keys/validate", { fullKey }, attempt)) as KeyCheck;
  }
  async createSdkJwt(apiKeyId: string, attempt: Attempt): Promise<string> {
    return ((await this.call("POST", "/v1/sdk-jwt", { apiKeyId }, attempt)) as { sdkJwt: string }).sdkJwt;
  }
  close(): void {
    this.cancel.abort();
  }
}
