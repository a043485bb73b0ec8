/** The client over any transport: checks, retries, splitting. */

import { Admin } from "./admin.js";
import { newRequestId, runBatch, splitPoints } from "./batch.js";
import { CancelledError, InvalidArgumentError, VectronError } from "./errors.js";
import { filterJson } from "./filters.js";
import type { Fetch } from "./http.js";
import { toFloats, type Vector } from "./payload.js";
import { DEFAULT_RETRY, pauseMs, type Kind, type RetryPolicy } from "./retry.js";
import type { Attempt, SearchRequest, Transport, Written } from "./transport.js";
import type {
  ApiKey, BatchOptions, CallOptions, CollectionStatus, CreateCollectionOptions, Distance, FeedbackItem, FeedbackOptions, FeedbackPage,
  KeyCheck, Page, Point, ReadOptions, ScrollOptions, SearchOptions, SearchResults, StoredPoint, UpsertOptions, UpsertReport, User, UserChange,
  UserPage,
} from "./types.js";

/** An API key, a JWT, or a function that returns one for each call (for tokens that are renewed). */
export type Credential = string | (() => string | Promise<string>) | undefined;

export interface BaseOptions {
  /** Of a whole call with its retries; 30,000. */
  timeoutMs?: number;
  /** Of one attempt of it; 10,000. */
  attemptTimeoutMs?: number;
  retry?: Partial<RetryPolicy>;
  /** Of the gateway's HTTP port, for `admin`; such as "http://localhost:8080". */
  httpUrl?: string;
  /** Id of the user whose collections are meant; for administrators. */
  tenant?: string;
}

/** A connection to a Vectron gateway. close() it at the end. */
export class BaseClient {
  private credential: Credential;
  private closed = false;
  private readonly retry: RetryPolicy;

  protected constructor(
    private readonly transport: Transport,
    credential: Credential,
    private readonly options: BaseOptions,
    private readonly adminFetch?: Fetch,
  ) {
    this.credential = credential;
    this.retry = { ...DEFAULT_RETRY, ...options.retry };
  }

  get host(): string {
    return this.transport.host;
  }

  /** Cancels what is under way. May be called twice. */
  close(): void {
    this.closed = true;
    this.transport.close();
  }
  [Symbol.dispose](): void {
    this.close();
  }

  // --- Collections ---

  /** Makes an empty collection. Errors: AlreadyExistsError. */
  createCollection(
    name: string,
    dimension: number,
    distance: Distance = "euclidean",
    options: CreateCollectionOptions = {},
  ): Promise<void> {
    return this.run("other write", options, (attempt) =>
      this.transport.createCollection({ ...options, name, dimension, distance }, attempt),
    );
  }
  /** Deletes a collection and its points. Errors: NotFoundError. */
  deleteCollection(name: string, options: CallOptions = {}): Promise<void> {
    return this.run("other write", options, (attempt) => this.transport.deleteCollection(name, attempt));
  }
  /** The names, sorted. */
  listCollections(options: CallOptions = {}): Promise<string[]> {
    return this.run("read", options, (attempt) => this.transport.listCollections(attempt));
  }
  /** Schema, shards and sizes. Errors: NotFoundError. */
  getCollectionStatus(name: string, options: CallOptions = {}): Promise<CollectionStatus> {
    return this.run("read", options, (attempt) => this.transport.getCollectionStatus(name, attempt));
  }

  // --- Points ---

  /**
   * Writes points, replacing those of the same id; the number written. What is too large for one request is split; the parts are
   * written in order, and an error says which part failed.
   */
  async upsert(collection: string, points: Iterable<Point>, options: UpsertOptions = {}): Promise<number> {
    let written = 0;
    for await (const answer of this.sendInOrder(collection, points, options, false)) written += answer.upserted;
    return written;
  }
  /** Like upsert; the version of each point, in their order: what get says until the next write. */
  async upsertVersions(collection: string, points: Iterable<Point>, options: UpsertOptions = {}): Promise<bigint[]> {
    const versions: bigint[] = [];
    for await (const answer of this.sendInOrder(collection, points, options, true)) {
      for (const version of answer.versions) versions.push(version);
    }
    return versions;
  }

  /**
   * Writes many points in parallel requests. A part that fails does not stop the others; the report names it, and upserting its
   * ids again is safe. Points of one id in different requests are written in any order.
   */
  upsertBatch(collection: string, points: Iterable<Point>, options: BatchOptions = {}): Promise<UpsertReport> {
    return runBatch(points, options, async (part) => (await this.sendPart(collection, part, options, false)).upserted);
  }

  /** One point with its vector and payload. Errors: NotFoundError. */
  get(collection: string, id: string, options: ReadOptions = {}): Promise<StoredPoint> {
    const { consistency, maxStalenessMs } = options;
    return this.run("read", options, (attempt) => this.transport.get(collection, id, { consistency, maxStalenessMs }, attempt));
  }
  /** Deletes one point; deleting what is not there succeeds. */
  delete(collection: string, id: string, options: CallOptions & { requestId?: string } = {}): Promise<void> {
    const requestId = options.requestId ?? newRequestId();
    return this.run("named write", options, (attempt) => this.transport.delete(collection, id, requestId, attempt));
  }
  /** One page of points by id; go on with afterId until nextAfterId is empty. */
  scrollPage(collection: string, options: ScrollOptions = {}): Promise<Page> {
    const request = {
      collection,
      afterId: options.afterId ?? "",
      limit: options.limit ?? 1_000,
      filter: filterJson(options.filter),
      includeVectors: options.includeVectors ?? false,
      includePayload: options.includePayload ?? true,
      consistency: options.consistency,
      maxStalenessMs: options.maxStalenessMs,
    };
    return this.run("read", options, (attempt) => this.transport.scroll(request, attempt));
  }
  /** All points that pass the filter, by id, page after page. */
  async *scroll(collection: string, options: ScrollOptions = {}): AsyncGenerator<StoredPoint> {
    let afterId = options.afterId ?? "";
    do {
      const page = await this.scrollPage(collection, { ...options, afterId });
      yield* page.points;
      afterId = page.nextAfterId;
    } while (afterId);
  }

  // --- Search ---

  /** The nearest points, best first. */
  async search(collection: string, vector: Vector, topK = 10, options: SearchOptions = {}): Promise<SearchResults> {
    const request = searchRequest(collection, vector, topK, options);
    return this.run("read", options, (attempt) => this.transport.search(request, attempt));
  }

  /**
   * Like search; each answer is the best so far, the final one has `last` set. If the server goes away in between, the search is
   * asked again and better answers follow. Over HTTP there is the final answer only.
   */
  async *searchStream(collection: string, vector: Vector, topK = 10, options: SearchOptions = {}): AsyncGenerator<SearchResults> {
    const request = searchRequest(collection, vector, topK, options);
    const budget = this.budget(options);
    for (;;) {
      try {
        yield* this.transport.searchStream(request, await budget.next());
        return;
      } catch (error) {
        await budget.pauseOrThrow(error, "read");
      }
    }
  }

  /** Tells what a user made of a search's results; the feedback's id. */
  submitFeedback(collection: string, items: FeedbackItem[], options: FeedbackOptions = {}): Promise<string> {
    return this.run("other write", options, (attempt) =>
      this.transport.submitFeedback({ ...options, collection, items }, attempt),
    );
  }

  /** One page of stored feedback, oldest first; go on with afterNumber until nextAfterNumber is 0. */
  listFeedback(
    collection: string,
    options: CallOptions & { afterNumber?: bigint; limit?: number } = {},
  ): Promise<FeedbackPage> {
    const { afterNumber = 0n, limit = 100 } = options;
    return this.run("read", options, (attempt) => this.transport.listFeedback(collection, afterNumber, limit, attempt));
  }

  // --- Users and keys ---

  /** Makes a user. bootstrapSecret: of the first start; makes the first administrator. */
  registerUser(email: string, password: string, options: CallOptions & { bootstrapSecret?: string } = {}): Promise<User> {
    return this.run("other write", options, (attempt) =>
      this.transport.registerUser(email, password, options.bootstrapSecret, attempt),
    );
  }
  /** Logs in; this client uses the token from then on. */
  async login(email: string, password: string, options: CallOptions = {}): Promise<User> {
    const { token, user } = await this.run("other write", options, (attempt) => this.transport.login(email, password, attempt));
    this.credential = token;
    return user;
  }
  /** Ends the login; its token is refused from then on. */
  async logout(options: CallOptions = {}): Promise<void> {
    await this.run("other write", options, (attempt) => this.transport.logout(attempt));
    this.credential = undefined;
  }
  /** A new token for the login's; this client uses it from then on. */
  async refreshToken(options: CallOptions = {}): Promise<string> {
    const token = await this.run("other write", options, (attempt) => this.transport.refreshToken(attempt));
    this.credential = token;
    return token;
  }
  /** Ends the other logins; this client goes on with a new token. */
  async changePassword(oldPassword: string, newPassword: string, options: CallOptions = {}): Promise<void> {
    this.credential = await this.run("other write", options, (attempt) =>
      this.transport.changePassword(oldPassword, newPassword, attempt),
    );
  }
  getUserProfile(options: CallOptions = {}): Promise<User> {
    return this.run("read", options, (attempt) => this.transport.getUserProfile(attempt));
  }
  /** The token that names the new plan is used from then on. Only administrators may: PermissionDeniedError. */
  async updateUserProfile(plan: "free" | "paid", options: CallOptions = {}): Promise<User> {
    const { token, user } = await this.run("other write", options, (attempt) => this.transport.updateUserProfile(plan, attempt));
    if (token) this.credential = token;
    return user;
  }
  /** Deletes the caller's account. */
  deleteUser(password: string, options: CallOptions = {}): Promise<void> {
    return this.run("other write", options, (attempt) => this.transport.deleteUser(password, attempt));
  }
  /** One page of users by id; go on with afterId until nextAfterId is empty. For administrators. */
  listUsers(options: CallOptions & { afterId?: string; limit?: number } = {}): Promise<UserPage> {
    return this.run("read", options, (attempt) => this.transport.listUsers(options.afterId ?? "", options.limit ?? 100, attempt));
  }
  /** Changes what is given. For administrators. */
  updateUser(userId: string, change: UserChange, options: CallOptions = {}): Promise<User> {
    return this.run("other write", options, (attempt) => this.transport.updateUser(userId, change, attempt));
  }
  /** Signs tokens with a new key from now on; those signed before stay good until they expire. The key's id. For administrators. */
  rotateSigningKey(options: CallOptions = {}): Promise<string> {
    return this.run("other write", options, (attempt) => this.transport.rotateSigningKey(attempt));
  }
  /** A new key; its fullKey is shown in this answer only. */
  createApiKey(
    name: string,
    options: CallOptions & { scope?: "read" | "write" | "admin"; collections?: string[]; expiresAt?: bigint } = {},
  ): Promise<ApiKey> {
    const { scope = "write", collections = [], expiresAt = 0n } = options;
    return this.run("other write", options, (attempt) =>
      this.transport.createApiKey({ name, scope, collections, expiresAt }, attempt),
    );
  }
  listApiKeys(options: CallOptions = {}): Promise<ApiKey[]> {
    return this.run("read", options, (attempt) => this.transport.listApiKeys(attempt));
  }
  deleteApiKey(keyPrefix: string, options: CallOptions = {}): Promise<void> {
    return this.run("other write", options, (attempt) => this.transport.deleteApiKey(keyPrefix, attempt));
  }
  validateApiKey(fullKey: string, options: CallOptions = {}): Promise<KeyCheck> {
    return this.run("read", options, (attempt) => this.transport.validateApiKey(fullKey, attempt));
  }
  /** A token of 7 days for the key with this prefix. */
  createSdkJwt(apiKeyId: string, options: CallOptions = {}): Promise<string> {
    return this.run("other write", options, (attempt) => this.transport.createSdkJwt(apiKeyId, attempt));
  }

  /** Health, workers, collections and alerts, over the gateway's HTTP port (option httpUrl). */
  get admin(): Admin {
    return new Admin(this.options.httpUrl, (kind, options, call) => this.run(kind, options, call), this.adminFetch);
  }

  // --- How a call is made ---

  private async *sendInOrder(
    collection: string,
    points: Iterable<Point>,
    options: UpsertOptions,
    returnVersions: boolean,
  ): AsyncGenerator<Written> {
    for (const part of splitPoints(points, { requestId: options.requestId })) {
      try {
        yield await this.sendPart(collection, part, options, returnVersions);
      } catch (error) {
        if (part.start > 0 && error instanceof VectronError) {
          error.message = `points from number ${part.start} on (the ${part.start} before are written): ${error.message}`;
        }
        throw error;
      }
    }
  }

  private sendPart(
    collection: string,
    part: { points: Point[]; requestId: string },
    options: UpsertOptions,
    returnVersions: boolean,
  ): Promise<Written> {
    const points = part.points.map(({ id, payload, vector }) => ({
      id,
      payload,
      vector: toFloats(vector, `point ${JSON.stringify(id)}`),
    }));
    const request = { collection, points, requestId: part.requestId, insertOnly: options.insertOnly ?? false, returnVersions };
    return this.run("named write", options, (attempt) => this.transport.upsert(request, attempt));
  }

  private async token(): Promise<string | undefined> {
    return typeof this.credential === "function" ? this.credential() : this.credential;
  }

  private budget(options: CallOptions): Budget {
    const timeoutMs = options.timeoutMs ?? this.options.timeoutMs ?? 30_000;
    if (!(timeoutMs > 0)) throw new InvalidArgumentError(`timeoutMs is ${timeoutMs}; it must be positive`);
    if (this.closed) throw new CancelledError("the client is closed; make a new one", "CANCELLED");
    const attemptTimeoutMs = this.options.attemptTimeoutMs ?? 10_000;
    const tenant = options.tenant ?? this.options.tenant;
    return new Budget(this.retry, timeoutMs, attemptTimeoutMs, options.signal, tenant, () => this.token());
  }

  private async run<T>(kind: Kind, options: CallOptions, call: (attempt: Attempt) => Promise<T>): Promise<T> {
    const budget = this.budget(options);
    for (;;) {
      try {
        return await call(await budget.next());
      } catch (error) {
        await budget.pauseOrThrow(error, kind);
      }
    }
  }
}

/** The time of one call and its attempts. */
class Budget {
  private attempts = 0;
  private readonly ends: number;

  constructor(
    private readonly retry: RetryPolicy,
    timeoutMs: number,
    private readonly attemptTimeoutMs: number,
    private readonly signal: AbortSignal | undefined,
    private readonly tenant: string | undefined,
    private readonly token: () => Promise<string | undefined>,
  ) {
    this.ends = performance.now() + timeoutMs;
  }

  async next(): Promise<Attempt> {
    this.attempts++;
    if (this.signal?.aborted) throw new CancelledError("the call was aborted by its signal", "CANCELLED");
    const left = Math.max(1, Math.min(this.attemptTimeoutMs, this.ends - performance.now()));
    return { timeoutMs: left, signal: this.signal, token: await this.token(), tenant: this.tenant };
  }

  async pauseOrThrow(error: unknown, kind: Kind): Promise<void> {
    if (!(error instanceof VectronError)) throw error;
    const pause = pauseMs(this.retry, error, kind, this.attempts, this.ends - performance.now());
    if (pause === undefined || this.signal?.aborted) throw error;
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, pause);
      this.signal?.addEventListener("abort", done);
    });
  }
}

function searchRequest(collection: string, vector: Vector, topK: number, options: SearchOptions): SearchRequest {
  return { ...options, collection, topK, vector: toFloats(vector, "the query"), filter: filterJson(options.filter) };
}
