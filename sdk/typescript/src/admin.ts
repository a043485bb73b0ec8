/** Management routes of the gateway's HTTP port, as the JSON they answer with. All but health need an administrator. */

import { InvalidArgumentError } from "./errors.js";
import { httpCall, type Fetch } from "./http.js";
import type { Kind } from "./retry.js";
import type { Attempt } from "./transport.js";

type JsonObject = Record<string, unknown>;
/** Makes attempts as any call does. */
type Run = (kind: Kind, call: (attempt: Attempt) => Promise<unknown>) => Promise<unknown>;

export class Admin {
  constructor(
    private readonly url: string | undefined,
    private readonly run: Run,
    private readonly send: Fetch | undefined,
  ) {}

  /** overall_status, services, alerts and metrics; a user who is no administrator sees the overall status only. */
  health(): Promise<JsonObject> {
    return this.call("GET", "/v1/system/health");
  }
  stats(): Promise<JsonObject> {
    return this.call("GET", "/v1/admin/stats");
  }
  async workers(): Promise<JsonObject[]> {
    return (await this.call("GET", "/v1/admin/workers")).workers as JsonObject[];
  }
  async collections(): Promise<JsonObject[]> {
    return (await this.call("GET", "/v1/admin/collections")).collections as JsonObject[];
  }
  async alerts(filter: { status?: "active" | "resolved"; level?: string } = {}): Promise<JsonObject[]> {
    const query = new URLSearchParams(filter).toString();
    return (await this.call("GET", `/v1/alerts${query ? `?${query}` : ""}`)).alerts as JsonObject[];
  }
  resolveAlert(id: string): Promise<JsonObject> {
    return this.call("POST", `/v1/alerts/${encodeURIComponent(id)}/resolve`);
  }
  /** Moves all shards off a worker; cancel: stops that. `shardsLeft` says how many are to go. */
  drainWorker(workerId: string, options: { cancel?: boolean } = {}): Promise<JsonObject> {
    return this.call("POST", `/v1/admin/workers/${encodeURIComponent(workerId)}/drain`, { cancel: options.cancel ?? false });
  }
  /** Forgets a worker that holds no shards. */
  removeWorker(workerId: string): Promise<JsonObject> {
    return this.call("DELETE", `/v1/admin/workers/${encodeURIComponent(workerId)}`);
  }
  /** Spreads shards evenly; the `moves`. dryRun: only says them. */
  rebalance(options: { dryRun?: boolean } = {}): Promise<JsonObject> {
    return this.call("POST", "/v1/admin/rebalance", { dryRun: options.dryRun ?? false });
  }
  /** Figures over time: `points`, oldest first, `stepSeconds` apart. until: milliseconds since the Unix epoch; 0: now. */
  timeSeries(options: { windowSeconds?: number; until?: number; maxPoints?: number } = {}): Promise<JsonObject> {
    const { windowSeconds = 3_600, until = 0, maxPoints = 0 } = options;
    return this.call("GET", `/v1/admin/series?windowSeconds=${windowSeconds}&until=${until}&maxPoints=${maxPoints}`);
  }
  /** Searches that took longer than `thresholdMs`, newest first, as `queries`. */
  slowQueries(options: { collection?: string; limit?: number } = {}): Promise<JsonObject> {
    const { collection = "", limit = 0 } = options;
    return this.call("GET", `/v1/admin/slow-queries?collection=${encodeURIComponent(collection)}&limit=${limit}`);
  }
  /** What feedback has taught of a collection: state, evidence, saved versions. */
  ranking(collection: string): Promise<JsonObject> {
    return this.call("GET", `/v1/admin/collections/${encodeURIComponent(collection)}/ranking`);
  }
  /** Serves the model or takes it back; version: of "restore". Answers with what holds then. */
  controlRanking(
    collection: string,
    action: "promote" | "rollback" | "resume" | "restore" | "reset",
    options: { version?: number } = {},
  ): Promise<JsonObject> {
    const body = { action: `MODEL_${action.toUpperCase()}`, version: String(options.version ?? 0) };
    return this.call("POST", `/v1/admin/collections/${encodeURIComponent(collection)}/ranking`, body);
  }

  private async call(verb: string, path: string, body?: JsonObject): Promise<JsonObject> {
    if (!this.url) {
      throw new InvalidArgumentError(
        'management calls go to the gateway\'s HTTP port: give the client the option httpUrl: "http://localhost:8080"',
      );
    }
    const url = this.url.replace(/\/+$/, "");
    const send = (attempt: Attempt) => httpCall(url, verb, path, body, attempt, {}, undefined, this.send);
    return (await this.run(verb === "GET" ? "read" : "other write", send)) as JsonObject;
  }
}
