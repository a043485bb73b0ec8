/** Management routes of the gateway's HTTP port, as the JSON they answer with. All but health need an administrator. */

import { InvalidArgumentError } from "./errors.js";
import { httpCall } from "./http.js";

type JsonObject = Record<string, unknown>;

export class Admin {
  constructor(
    private readonly url: string | undefined,
    private readonly token: () => Promise<string | undefined>,
    private readonly timeoutMs: number,
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

  private async call(verb: string, path: string): Promise<JsonObject> {
    if (!this.url) {
      throw new InvalidArgumentError(
        'management calls go to the gateway\'s HTTP port: give the client the option httpUrl: "http://localhost:8080"',
      );
    }
    const attempt = { timeoutMs: this.timeoutMs, signal: undefined, token: await this.token() };
    return (await httpCall(this.url, verb, path, undefined, attempt)) as JsonObject;
  }
}
