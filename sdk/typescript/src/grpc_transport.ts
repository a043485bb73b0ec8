/** Calls over gRPC, for Node. Vectors go into messages as bytes, without a number by number copy. */

import { BinaryWriter } from "@bufbuild/protobuf/wire";
import * as grpc from "@grpc/grpc-js";

import { CODES, InvalidArgumentError, makeError, type VectronError } from "./errors.js";
import * as auth from "./gen/vectron/auth.js";
import * as pb from "./gen/vectron/vectron.js";
import { floatBytes, type Payload } from "./payload.js";
import { retryAfterMs } from "./retry_info.js";
import type {
  Attempt, CreateRequest, FeedbackRequest, Freshness, KeyRequest, ScrollRequest, SearchRequest, Transport, UpsertRequest, Written,
} from "./transport.js";
import type {
  ApiKey, CollectionStatus, Consistency, CreateCollectionOptions, FeedbackPage, KeyCheck, Page, PayloadType, RerankOptions, SearchResults,
  StoredPoint, User, UserChange, UserPage,
} from "./types.js";

/** What the server takes in one message. */
const MAX_MESSAGE_BYTES = 80 * 1024 * 1024;

export interface GrpcOptions {
  useTls?: boolean;
  /** PEM; the system's when not given. */
  tlsRootCertificates?: Uint8Array;
  /** PEM, with tlsClientKey: mutual TLS. */
  tlsClientCertificate?: Uint8Array;
  tlsClientKey?: Uint8Array;
  /** Expected in the certificate, if not the host. */
  tlsServerName?: string;
  /** Of one message, either way; 80 MiB, as the server. */
  maxMessageBytes?: number;
  /** While calls are under way, a connection is pinged this often; 30,000. The server sends away who pings oftener than every 10 s. */
  keepaliveTimeMs?: number;
  /** A ping without an answer for this long ends the connection; 10,000. */
  keepaliveTimeoutMs?: number;
  compression?: "gzip";
  /** HOST:PORT of gRPC for users and keys, if not the client's host. */
  authHost?: string;
}

const VECTRON = "/vectron.v1.VectronService/";
const AUTH = "/vectron.auth.v1.AuthService/";
const identity = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const raw = (bytes: Buffer): Buffer => bytes;
const FIELD_VECTOR = (2 << 3) | 2; // `vector` has number 2 in Point and in SearchRequest
const FIELD_POINTS = (2 << 3) | 2; // so has `points` in UpsertRequest

export class GrpcTransport implements Transport {
  private readonly client: grpc.Client;
  private readonly authClient: grpc.Client;

  constructor(
    readonly host: string,
    private readonly options: GrpcOptions,
  ) {
    if (!host) throw new InvalidArgumentError("the host is empty; give the gateway's gRPC address, such as 'localhost:8081'");
    if (host.includes("://")) {
      throw new InvalidArgumentError(
        `the host is HOST:PORT of gRPC without a scheme, not ${JSON.stringify(host)} (useTls: true asks for TLS; "@vectron/client/browser" speaks HTTP)`,
      );
    }
    this.client = this.open(host);
    this.authClient = options.authHost ? this.open(options.authHost) : this.client;
  }

  private open(host: string): grpc.Client {
    const { options } = this;
    const size = options.maxMessageBytes ?? MAX_MESSAGE_BYTES;
    const pem = (bytes: Uint8Array | undefined) => (bytes ? Buffer.from(bytes) : null);
    const credentials = options.useTls
      ? grpc.credentials.createSsl(pem(options.tlsRootCertificates), pem(options.tlsClientKey), pem(options.tlsClientCertificate))
      : grpc.credentials.createInsecure();
    const client = new grpc.Client(host, credentials, {
      "grpc.max_receive_message_length": size,
      "grpc.max_send_message_length": size,
      "grpc.keepalive_time_ms": options.keepaliveTimeMs ?? 30_000,
      "grpc.keepalive_timeout_ms": options.keepaliveTimeoutMs ?? 10_000,
      // A server that restarts is soon back; and each client has a connection of its own.
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 1_000,
      "grpc.use_local_subchannel_pool": 1,
      ...(options.tlsServerName ? { "grpc.ssl_target_name_override": options.tlsServerName } : {}),
      ...(options.compression === "gzip"
        ? { "grpc.default_compression_algorithm": grpc.compressionAlgorithms.gzip }
        : {}),
    });
    if (options.compression) keepCompressing(client);
    return client;
  }

  close(): void {
    this.client.close();
    if (this.authClient !== this.client) this.authClient.close();
  }

  private metadata(attempt: Attempt, extra: Record<string, string> = {}): grpc.Metadata {
    const metadata = new grpc.Metadata();
    if (attempt.token) metadata.set("authorization", `Bearer ${attempt.token}`);
    if (attempt.tenant) metadata.set("x-vectron-tenant", attempt.tenant);
    for (const [key, value] of Object.entries(extra)) metadata.set(key, value);
    return metadata;
  }

  private unary(path: string, request: BinaryWriter, attempt: Attempt, extra?: Record<string, string>): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const client = path.startsWith(AUTH) ? this.authClient : this.client;
      const call = client.makeUnaryRequest(
        path,
        identity,
        raw,
        request.finish(),
        this.metadata(attempt, extra),
        { deadline: Date.now() + attempt.timeoutMs },
        (error, response) => {
          attempt.signal?.removeEventListener("abort", cancel);
          if (error) reject(this.errorOf(error));
          else resolve(response!);
        },
      );
      const cancel = () => call.cancel();
      attempt.signal?.addEventListener("abort", cancel);
    });
  }

  private errorOf(error: grpc.ServiceError): VectronError {
    const details = error.metadata?.get("grpc-status-details-bin")[0];
    const hint = details instanceof Uint8Array ? retryAfterMs(details) : undefined;
    return makeError(CODES[error.code] ?? "UNKNOWN", error.details, this.host, hint);
  }

  async createCollection(request: CreateRequest, attempt: Attempt): Promise<void> {
    const message = pb.CreateCollectionRequest.fromPartial({
      name: request.name,
      dimension: request.dimension,
      distance: request.distance,
      shardCount: request.shardCount ?? 0,
      replicationFactor: request.replicationFactor ?? 0,
      hnsw: request.hnsw
        ? { m: request.hnsw.m ?? 0, efConstruct: request.hnsw.efConstruct ?? 0, efSearch: request.hnsw.efSearch ?? 0 }
        : undefined,
      storage: numberOf(pb.VectorStorage, request.storage ?? "f32", "storage", "VECTOR_STORAGE_"),
      payloadIndexes: Object.entries(request.payloadIndexes ?? {}).map(([field, type]) => ({
        field,
        type: numberOf(pb.PayloadType, type, `the type of payload index ${field}`),
      })),
      defaultConsistency: consistency(request.defaultConsistency),
      vectorsInMemory: request.vectorsInMemory ?? false,
      rerank: rerankOptions(request.rerank),
    });
    await this.unary(VECTRON + "CreateCollection", pb.CreateCollectionRequest.encode(message), attempt);
  }
  async deleteCollection(name: string, attempt: Attempt): Promise<void> {
    await this.unary(VECTRON + "DeleteCollection", pb.DeleteCollectionRequest.encode({ name }), attempt);
  }
  async listCollections(attempt: Attempt): Promise<string[]> {
    const answer = await this.unary(VECTRON + "ListCollections", new BinaryWriter(), attempt);
    return pb.ListCollectionsResponse.decode(answer).collections;
  }
  async getCollectionStatus(name: string, attempt: Attempt): Promise<CollectionStatus> {
    const answer = await this.unary(VECTRON + "GetCollectionStatus", pb.GetCollectionStatusRequest.encode({ name }), attempt);
    const { options, ...status } = pb.GetCollectionStatusResponse.decode(answer);
    return { ...status, options: madeWith(options ?? pb.CreateCollectionRequest.create()) };
  }
  async upsert(request: UpsertRequest, attempt: Attempt): Promise<Written> {
    return pb.UpsertResponse.decode(await this.unary(VECTRON + "Upsert", encodeUpsert(request), attempt));
  }
  async search(request: SearchRequest, attempt: Attempt): Promise<SearchResults> {
    return searchResults(await this.unary(VECTRON + "Search", encodeSearch(request), attempt));
  }
  async *searchStream(request: SearchRequest, attempt: Attempt): AsyncGenerator<SearchResults> {
    const call = this.client.makeServerStreamRequest(
      VECTRON + "SearchStream",
      identity,
      raw,
      encodeSearch(request).finish(),
      this.metadata(attempt),
      { deadline: Date.now() + attempt.timeoutMs },
    );
    const cancel = () => call.cancel();
    attempt.signal?.addEventListener("abort", cancel);
    try {
      for await (const answer of call) yield searchResults(answer as Buffer);
    } catch (error) {
      throw error instanceof Error && "code" in error ? this.errorOf(error as grpc.ServiceError) : error;
    } finally {
      attempt.signal?.removeEventListener("abort", cancel);
      call.cancel(); // the caller may have stopped listening
    }
  }
  async get(collection: string, id: string, fresh: Freshness, attempt: Attempt): Promise<StoredPoint> {
    const request = pb.GetRequest.encode({
      collection,
      id,
      consistency: consistency(fresh.consistency),
      maxStalenessMs: fresh.maxStalenessMs ?? 0,
    });
    return storedPoint(pb.GetResponse.decode(await this.unary(VECTRON + "Get", request, attempt)).point!);
  }
  async delete(collection: string, id: string, requestId: string, attempt: Attempt): Promise<void> {
    await this.unary(VECTRON + "Delete", pb.DeleteRequest.encode({ collection, id, requestId }), attempt);
  }
  async scroll(request: ScrollRequest, attempt: Attempt): Promise<Page> {
    const message = pb.ScrollRequest.fromPartial({
      collection: request.collection,
      afterId: request.afterId,
      limit: request.limit,
      filter: filterMessage(request.filter),
      includeVectors: request.includeVectors,
      includeMetadata: request.includePayload,
      consistency: consistency(request.consistency),
      maxStalenessMs: request.maxStalenessMs ?? 0,
    });
    const answer = await this.unary(VECTRON + "ScrollPoints", pb.ScrollRequest.encode(message), attempt);
    const { points, nextAfterId } = pb.ScrollResponse.decode(answer);
    return { points: points.map(storedPoint), nextAfterId };
  }
  async submitFeedback(request: FeedbackRequest, attempt: Attempt): Promise<string> {
    const message = pb.SubmitFeedbackRequest.fromPartial({
      collection: request.collection,
      query: request.query ?? "",
      queryId: request.queryId ?? "",
      resultIds: request.resultIds ?? [],
      context: request.context ?? {},
      feedbackItems: request.items.map((item) => ({
        resultId: item.resultId,
        relevanceScore: item.relevanceScore ?? 0,
        clicked: item.clicked ?? false,
        position: item.position ?? 0,
        comment: item.comment ?? "",
      })),
    });
    const answer = await this.unary(VECTRON + "SubmitFeedback", pb.SubmitFeedbackRequest.encode(message), attempt);
    return pb.SubmitFeedbackResponse.decode(answer).feedbackId;
  }

  async listFeedback(collection: string, afterNumber: bigint, limit: number, attempt: Attempt): Promise<FeedbackPage> {
    const answer = await this.unary(VECTRON + "ListFeedback", pb.ListFeedbackRequest.encode({ collection, afterNumber, limit }), attempt);
    const { records, nextAfterNumber } = pb.ListFeedbackResponse.decode(answer);
    return { records: records.map(({ feedbackItems: items, collection: _, ...rest }) => ({ ...rest, items })), nextAfterNumber };
  }

  async registerUser(email: string, password: string, bootstrapSecret: string | undefined, attempt: Attempt): Promise<User> {
    const extra: Record<string, string> = bootstrapSecret ? { "x-vectron-bootstrap": bootstrapSecret } : {};
    const answer = await this.unary(AUTH + "RegisterUser", auth.RegisterUserRequest.encode({ email, password }), attempt, extra);
    return user(auth.RegisterUserResponse.decode(answer).user!);
  }
  async login(email: string, password: string, attempt: Attempt): Promise<{ token: string; user: User }> {
    const answer = await this.unary(AUTH + "Login", auth.LoginRequest.encode({ email, password }), attempt);
    const response = auth.LoginResponse.decode(answer);
    return { token: response.jwtToken, user: user(response.user!) };
  }
  async logout(attempt: Attempt): Promise<void> {
    await this.unary(AUTH + "Logout", new BinaryWriter(), attempt);
  }
  async refreshToken(attempt: Attempt): Promise<string> {
    return auth.RefreshTokenResponse.decode(await this.unary(AUTH + "RefreshToken", new BinaryWriter(), attempt)).jwtToken;
  }
  async changePassword(oldPassword: string, newPassword: string, attempt: Attempt): Promise<string> {
    const request = auth.ChangePasswordRequest.encode({ oldPassword, newPassword });
    return auth.ChangePasswordResponse.decode(await this.unary(AUTH + "ChangePassword", request, attempt)).jwtToken;
  }
  async updateUserProfile(plan: string, attempt: Attempt): Promise<{ token: string; user: User }> {
    const request = auth.UpdateUserProfileRequest.encode({ plan: numberOf(auth.Plan, plan, "plan") });
    const response = auth.UpdateUserProfileResponse.decode(await this.unary(AUTH + "UpdateUserProfile", request, attempt));
    return { token: response.jwtToken, user: user(response.user!) };
  }
  async deleteUser(password: string, attempt: Attempt): Promise<void> {
    await this.unary(AUTH + "DeleteUser", auth.DeleteUserRequest.encode({ password }), attempt);
  }
  async listUsers(afterId: string, limit: number, attempt: Attempt): Promise<UserPage> {
    const answer = await this.unary(AUTH + "ListUsers", auth.ListUsersRequest.encode({ afterId, limit }), attempt);
    const { users, nextAfterId } = auth.ListUsersResponse.decode(answer);
    return { users: users.map(user), nextAfterId };
  }
  async updateUser(userId: string, change: UserChange, attempt: Attempt): Promise<User> {
    const { plan, subscriptionStatus, role } = change;
    const request = auth.UpdateUserRequest.encode({
      userId,
      plan: plan === undefined ? 0 : numberOf(auth.Plan, plan, "plan"),
      subscriptionStatus:
        subscriptionStatus === undefined ? 0 : numberOf(auth.SubscriptionStatus, subscriptionStatus, "subscriptionStatus"),
      role: role === undefined ? 0 : numberOf(auth.Role, role, "role", "ROLE_"),
    });
    return user(auth.UpdateUserResponse.decode(await this.unary(AUTH + "UpdateUser", request, attempt)).user!);
  }
  async rotateSigningKey(attempt: Attempt): Promise<string> {
    return auth.RotateSigningKeyResponse.decode(await this.unary(AUTH + "RotateSigningKey", new BinaryWriter(), attempt)).keyId;
  }
  async getUserProfile(attempt: Attempt): Promise<User> {
    const answer = await this.unary(AUTH + "GetUserProfile", new BinaryWriter(), attempt);
    return user(auth.GetUserProfileResponse.decode(answer).user!);
  }
  async createApiKey(request: KeyRequest, attempt: Attempt): Promise<ApiKey> {
    const message = { ...request, scope: numberOf(auth.KeyScope, request.scope, "scope", "KEY_SCOPE_") };
    const answer = await this.unary(AUTH + "CreateAPIKey", auth.CreateAPIKeyRequest.encode(message), attempt);
    const response = auth.CreateAPIKeyResponse.decode(answer);
    return { ...apiKey(response.keyInfo!), fullKey: response.fullKey };
  }
  async listApiKeys(attempt: Attempt): Promise<ApiKey[]> {
    const answer = await this.unary(AUTH + "ListAPIKeys", new BinaryWriter(), attempt);
    return auth.ListAPIKeysResponse.decode(answer).keys.map(apiKey);
  }
  async deleteApiKey(keyPrefix: string, attempt: Attempt): Promise<void> {
    await this.unary(AUTH + "DeleteAPIKey", auth.DeleteAPIKeyRequest.encode({ keyPrefix }), attempt);
  }
  async validateApiKey(fullKey: string, attempt: Attempt): Promise<KeyCheck> {
    const answer = await this.unary(AUTH + "ValidateAPIKey", auth.ValidateAPIKeyRequest.encode({ fullKey }), attempt);
    return auth.ValidateAPIKeyResponse.decode(answer);
  }
  async createSdkJwt(apiKeyId: string, attempt: Attempt): Promise<string> {
    const answer = await this.unary(AUTH + "CreateSDKJWT", auth.CreateSDKJWTRequest.encode({ apiKeyId }), attempt);
    return auth.CreateSDKJWTResponse.decode(answer).sdkJwt;
  }
}

/**
 * grpc-js looks for "gzip" in what servers accept, does not find it in "identity, deflate, gzip" because of the space, and would
 * compress the first call alone. So it is kept from remembering; every Vectron takes gzip.
 */
function keepCompressing(client: grpc.Client): void {
  type Inside = { internalChannel?: { filterStackFactory?: { factories?: { sharedFilterConfig?: object }[] } } };
  const { internalChannel } = client.getChannel() as unknown as Inside;
  for (const { sharedFilterConfig } of internalChannel?.filterStackFactory?.factories ?? []) {
    if (!sharedFilterConfig) continue;
    Object.defineProperty(sharedFilterConfig, "serverSupportedEncodingHeader", { get: () => undefined, set: () => {} });
  }
}

/** Fields of a message may stand in any order, so the vector is written after what the generated code writes. */
export function encodeUpsert(request: UpsertRequest): BinaryWriter {
  const { collection, requestId, insertOnly, returnVersions } = request;
  const writer = pb.UpsertRequest.encode({ collection, requestId, insertOnly, returnVersions, points: [] });
  for (const point of request.points) {
    writer.uint32(FIELD_POINTS).fork();
    pb.Point.encode({ id: point.id, vector: [], payload: {}, fields: point.payload, version: 0n }, writer);
    writer.uint32(FIELD_VECTOR).bytes(floatBytes(point.vector)).join();
  }
  return writer;
}

export function encodeSearch(request: SearchRequest): BinaryWriter {
  const message = pb.SearchRequest.fromPartial({
    collection: request.collection,
    vector: [],
    topK: request.topK,
    query: request.query ?? "",
    timeoutMs: request.shardTimeoutMs ?? 0,
    includeVectors: request.includeVectors ?? false,
    includeMetadata: request.includePayload,
    filter: filterMessage(request.filter),
    params:
      request.ef !== undefined || request.exact
        ? pb.SearchParams.fromPartial({ ef: request.ef ?? 0, exact: request.exact ?? false })
        : undefined,
    offset: request.offset ?? 0,
    scoreThreshold: request.scoreThreshold,
    consistency: consistency(request.consistency),
    maxStalenessMs: request.maxStalenessMs ?? 0,
    explain: request.explain ?? false,
    rerank: rerankOptions(request.rerank),
    payloadFields: request.payloadFields ?? [],
  });
  return pb.SearchRequest.encode(message).uint32(FIELD_VECTOR).bytes(floatBytes(request.vector));
}

function rerankOptions(rerank: RerankOptions | undefined): pb.RerankOptions | undefined {
  if (rerank === undefined) return undefined;
  const { strategy = "", candidates = 0, budgetMs = 0, explore } = rerank;
  return { strategy, candidates, budgetMs, explore };
}

/** What createCollection takes to make a collection like it. */
function madeWith(made: pb.CreateCollectionRequest): CreateCollectionOptions {
  const { shardCount, replicationFactor, hnsw, payloadIndexes, defaultConsistency, vectorsInMemory, rerank } = made;
  const types = payloadIndexes.map(({ field, type }) => [field, nameOf<PayloadType>(pb.PayloadType, type)]);
  return {
    shardCount,
    replicationFactor,
    ...(hnsw ? { hnsw } : {}),
    storage: nameOf<"f32" | "f16">(pb.VectorStorage, made.storage, "VECTOR_STORAGE_"),
    payloadIndexes: Object.fromEntries(types) as Record<string, PayloadType>,
    ...(defaultConsistency ? { defaultConsistency: nameOf<Consistency>(pb.Consistency, defaultConsistency) } : {}),
    vectorsInMemory,
    ...(rerank ? { rerank: setOf(rerank) } : {}),
  };
}
function setOf({ strategy, candidates, budgetMs, explore }: pb.RerankOptions): RerankOptions {
  return {
    ...(strategy ? { strategy: strategy as NonNullable<RerankOptions["strategy"]> } : {}),
    ...(candidates ? { candidates } : {}),
    ...(budgetMs ? { budgetMs } : {}),
    ...(explore === undefined ? {} : { explore }),
  };
}

function filterMessage(filter: SearchRequest["filter"]): pb.Filter | undefined {
  return filter === undefined ? undefined : pb.Filter.fromPartial(filter);
}

/** The number of an enum's name in lower case. */
function numberOf(kind: Record<string, string | number>, value: string, what: string, prefix = ""): number {
  const number = kind[prefix + value.toUpperCase()];
  if (typeof number !== "number") {
    const names = Object.keys(kind).filter((name) => /^[A-Z]/.test(name) && !/UNSPECIFIED|UNRECOGNIZED/.test(name));
    const known = names.map((name) => name.slice(prefix.length).toLowerCase()).join(", ");
    throw new InvalidArgumentError(`${what} is ${JSON.stringify(value)}; it must be one of ${known}`);
  }
  return number;
}
/** An enum's name in lower case. */
function nameOf<Name extends string>(kind: Record<number, string>, number: number, prefix = ""): Name {
  return (kind[number] ?? "").replace(prefix, "").toLowerCase() as Name;
}
const consistency = (value: string | undefined) => (value === undefined ? 0 : numberOf(pb.Consistency, value, "consistency"));

function payloadOf(message: { payload: Record<string, string>; fields: Record<string, unknown> | undefined }): Payload {
  // Typed values win over the text form of the same key.
  return { ...message.payload, ...(message.fields as Payload | undefined) };
}
function storedPoint(point: pb.Point): StoredPoint {
  return { id: point.id, vector: Float32Array.from(point.vector), payload: payloadOf(point), version: point.version };
}
function searchResults(answer: Buffer): SearchResults {
  const { results, ...about } = pb.SearchResponse.decode(answer);
  const found = results.map((result) => ({
    id: result.id,
    score: result.score,
    payload: payloadOf(result),
    version: result.version,
    ...(result.vector.length ? { vector: Float32Array.from(result.vector) } : {}),
  }));
  return Object.assign(found, {
    queryId: about.queryId,
    reranked: about.reranked,
    partial: about.partial,
    missingShards: about.missingShards,
    last: about.last,
    ...(about.explain ? { explain: about.explain } : {}),
    ...(about.rerank ? { rerank: about.rerank } : {}),
  });
}
function user(message: auth.UserProfile): User {
  return {
    id: message.id,
    email: message.email,
    createdAt: message.createdAt,
    plan: auth.Plan[message.plan] ?? "",
    subscriptionStatus: auth.SubscriptionStatus[message.subscriptionStatus] ?? "",
    role: (auth.Role[message.role] ?? "").replace(/^ROLE_/, "").toLowerCase(),
  };
}
function apiKey(message: auth.APIKey): ApiKey {
  const { scope, ...rest } = message;
  return { ...rest, scope: (auth.KeyScope[scope] ?? "").replace(/^KEY_SCOPE_/, "").toLowerCase() };
}
