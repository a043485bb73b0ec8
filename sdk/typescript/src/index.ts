/**
 * Client of the Vectron vector database for Node, over gRPC.
 *
 *     import { field, VectronClient } from "@vectron/client";
 *
 *     const client = new VectronClient("localhost:8081", "vkey-...");
 *     await client.createCollection("docs", 3, "cosine");
 *     await client.upsert("docs", [{ id: "a", vector: [0.1, 0.2, 0.3], payload: { section: "sound" } }]);
 *     const found = await client.search("docs", [0.1, 0.2, 0.3], 5, { filter: field("section").eq("sound") });
 *     client.close();
 */

import { BaseClient, type BaseOptions, type Credential } from "./client_base.js";
import { InvalidArgumentError } from "./errors.js";
import { GrpcTransport, type GrpcOptions } from "./grpc_transport.js";
import { httpsFetch } from "./node_https.js";

export * from "./common.js";
export type { GrpcOptions };

export type ClientOptions = BaseOptions & GrpcOptions;

export class VectronClient extends BaseClient {
  /** host: HOST:PORT of the gateway's gRPC port. credential: an API key, a JWT, or a function that returns one. */
  constructor(host: string, credential?: Credential, options: ClientOptions = {}) {
    const tls = { ca: options.tlsRootCertificates, cert: options.tlsClientCertificate, key: options.tlsClientKey };
    const own = options.httpUrl?.startsWith("https:") && (tls.ca || tls.cert);
    super(new GrpcTransport(host, options), credential, options, own ? httpsFetch(tls) : undefined);
  }
}

/** Several connections used in turn, for programs that send more than one HTTP/2 connection carries well. */
export class VectronClientPool {
  private readonly clients: VectronClient[];
  private next = 0;

  constructor(host: string, credential?: Credential, options: ClientOptions & { size?: number } = {}) {
    const size = options.size ?? 4;
    if (!(size >= 1)) throw new InvalidArgumentError(`size is ${size}; a pool holds at least one client`);
    this.clients = Array.from({ length: size }, () => new VectronClient(host, credential, options));
  }
  /** Lends a client. */
  get(): VectronClient {
    this.next = (this.next + 1) % this.clients.length;
    return this.clients[this.next]!;
  }
  close(): void {
    for (const client of this.clients) client.close();
  }
}
