/**
 * Client of the Vectron vector database over HTTP/JSON, for browsers and wherever `fetch` is.
 *
 *     import { VectronClient } from "@vectron/client/browser";
 *     const client = new VectronClient("https://vectron.example.org", token);
 */

import { BaseClient, type BaseOptions, type Credential } from "./client_base.js";
import { HttpTransport } from "./http_transport.js";

export * from "./common.js";

export type ClientOptions = Omit<BaseOptions, "httpUrl">;

export class VectronClient extends BaseClient {
  /** url: of the gateway's HTTP port, perhaps with a path prefix. credential: an API key, a JWT, or a function that returns one. */
  constructor(url: string, credential?: Credential, options: ClientOptions = {}) {
    super(new HttpTransport(url), credential, { ...options, httpUrl: url.replace(/\/+$/, "") });
  }
}
