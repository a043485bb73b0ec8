/** Management routes of the gateway's HTTP port, as the JSON they answer with. All but health need an administrator. */

import { InvalidArgumentError } from "./errors.js";
import { httpCall, type Fetch } from "./http.js";
import type { Kind } from "./retry.js";
import type { Attempt } from "./transport.js";
import type { CallOptions } from "./types.js";

type JsonObject = Record<string, unknown>;
/** Makes attempts as any call does. */
type Run = (kind: Kind, options: CallOptions, call: (attempt: Attempt) => Promise<unknown>) => Promise<unknown>;

export interface AlertOptions extends CallOptions {
  status?: "active" | "resolved";
  level?: "info" | "warning" | "critical";
  limit?: number;
}
export interface SeriesOptions extends CallOptions {
  /** How far back, at most 7 days; 3,600. */
  windowSeconds?: number;
  /** Milliseconds since the Unix epoch; now unless given. */
  until?: number;
  /** 1-2,200; 360. */
  maxPoints?: number;
}

/** With those parameters that are given. */
function path(route: string, parameters: Record<string, string | number | undefined>): string {
  const given = Object.entries(parameters).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]));
  return given.length === 0 ? route : `${route}?${new URLSearchParams(given).toString()}`;
}

export class Admin {
  constructor(
    private readonly url: string | undefined,
    private readonly run: Run,
    private readonly send: Fetch | undefined,
  ) {}

  /** overall_status, services, alerts and metrics; a user who is no administrator sees the overall status only. */
  health(options: CallOptions = {}): Promise<JsonObject> {
    return this.call("GET", "/v1/system/health", options);
  }
  /** Uptime, requests, rates and latencies of the gateway, and per endpoint. */
  stats(options: CallOptions = {}): Promise<JsonObject> {
    return this.call("GET", "/v1/admin/stats", options);
  }
  async workers(options: CallOptions = {}): Promise<JsonObject[]> {
    return (await this.call("GET", "/v1/admin/workers", options)).workers as JsonObject[];
  }
  /** Those of everyone. */
  async collections(options: CallOptions = {}): Promise<JsonObject[]> {
    return (await this.call("GET", "/v1/admin/collections", options)).collections as JsonObject[];
  }
  /** Active ones first, then the newest. limit: 0 for all that are kept. */
  async alerts(options: AlertOptions = {}): Promise<JsonObject[]> {
    const { status, level, limit } = options;
    return (await this.call("GET", path("/v1/alerts", { status, level, limit }), options)).alerts as JsonObject[];
  }
  /** Errors: NotFoundError. */
  resolveAlert(id: string, options: CallOptions = {}): Promise<JsonObject> {
    return this.call("POST", `/v1/alerts/${encodeURIComponent(id)}/resolve`, options);
  }
  /** Moves all shards off a worker; cancel: stops that. `shardsLeft` says how many are to go. */
  drainWorker(workerId: string, options: CallOptions & { cancel?: boolean } = {}): Promise<JsonObject> {
    return this.call("POST", `/v1/admin/workers/${encodeURIComponent(workerId)}/drain`, options, { cancel: options.cancel ?? false });
  }
  /** Forgets a worker that holds no shards. Errors: FailedPreconditionError when it still holds some. */
  removeWorker(workerId: string, options: CallOptions = {}): Promise<JsonObject> {
    return this.call("DELETE", `/v1/admin/workers/${encodeURIComponent(workerId)}`, options);
  }
  /** Spreads shards evenly; the `moves`. dryRun: only says them. */
  rebalance(options: CallOptions & { dryRun?: boolean } = {}): Promise<JsonObject> {
    return this.call("POST", "/v1/admin/rebalance", options, { dryRun: options.dryRun ?? false });
  }
  /** Figures over time: `points`, oldest first, `stepSeconds` apart. */
  timeSeries(options: SeriesOptions = {}): Promise<JsonObject> {
    const { windowSeconds, until, maxPoints } = options;
    return this.call("GET", path("/v1/admin/series", { windowSeconds, until, maxPoints }), options);
  }
  /** Searches that took longer than `thresholdMs`, newest first, as `queries`. limit: 0 for 100. */
  slowQueries(options: CallOptions & { collection?: string; limit?: number } = {}): Promise<JsonObject> {
    const { collection, limit } = options;
    return this.call("GET", path("/v1/admin/slow-queries", { collection, limit }), options);
  }
  /** What feedback has taught of a collection: state, evidence, saved versions. */
  ranking(collection: string, options: CallOptions = {}): Promise<JsonObject> {
    return this.call("GET", `/v1/admin/collections/${encodeURIComponent(collection)}/ranking`, options);
  }
  /** Serves the model or takes it back; version: of "restore". Answers with what holds then. */
  controlRanking(
    collection: string,
    action: "promote" | "rollback" | "resume" | "restore" | "reset",
    options: CallOptions & { version?: number } = {},
  ): Promise<JsonObject> {
    const body = { action: `MODEL_${action.toUpperCase()}`, version: String(options.version ?? 0) };
    return this.call("POST", `/v1/admin/collections/${encodeURIComponent(collection)}/ranking`, options, body);
  }

  private async call(verb: string, path: string, options: CallOptions, body?: JsonObject): Promise<JsonObject> {
    if (!this.url) {
      throw new InvalidArgumentError(
        'management calls go to the gateway\'s HTTP port: give the client the option httpUrl: "http://localhost:8080"',
      );
    }
    const url = this.url.replace(/\/+$/, "");
    const send = (attempt: Attempt) => httpCall(url, verb, path, body, attempt, {}, undefined, this.send);
    return (await this.run(verb === "GET" ? "read" : "other write", options, send)) as JsonObject;
  }
}
