/** Over HTTPS with an authority or a client certificate of one's own, which the global fetch of Node does not take. */

import { request } from "node:https";

import type { Fetch } from "./http.js";

export interface HttpsOptions {
  ca?: Uint8Array | undefined;
  cert?: Uint8Array | undefined;
  key?: Uint8Array | undefined;
}

export function httpsFetch(options: HttpsOptions): Fetch {
  const pem = (bytes: Uint8Array | undefined) => (bytes ? Buffer.from(bytes) : undefined);
  const tls = { ca: pem(options.ca), cert: pem(options.cert), key: pem(options.key) };
  return (url, { method, headers, body, signal }) =>
    new Promise((resolve, reject) => {
      const failed = (cause: Error) => reject(new TypeError("the HTTPS call failed", { cause }));
      const call = request(url, { method, headers, signal, ...tls }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on("error", failed);
        answer.on("data", (chunk: Buffer) => chunks.push(chunk));
        answer.on("end", () => {
          const kept = ["content-type", "retry-after", "location"].flatMap((name) => (answer.headers[name] ? [[name, String(answer.headers[name])]] : []));
          resolve(new Response(Buffer.concat(chunks).toString(), { status: answer.statusCode ?? 500, headers: kept as [string, string][] }));
        });
      });
      call.on("error", failed);
      call.end(body ?? undefined);
    });
}
