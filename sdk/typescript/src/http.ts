/** One HTTP/JSON call by fetch, or by what does the same. */

import { CODES, makeError, type Code, type VectronError } from "./errors.js";
import type { Attempt } from "./transport.js";

export interface HttpRequest {
  method: string;
  headers: Record<string, string>;
  body: string | null;
  signal: AbortSignal;
  /** The credential is the gateway's to see: no answer may send it to another address. */
  redirect: "manual";
}
/** As the global fetch, for what is used here. */
export type Fetch = (url: string, request: HttpRequest) => Promise<Response>;

/** The JSON of the answer. Errors: VectronErrors. */
export async function httpCall(
  url: string,
  verb: string,
  path: string,
  body: unknown,
  attempt: Attempt,
  headers: Record<string, string> = {},
  cancel?: AbortSignal,
  send: Fetch = fetch,
): Promise<unknown> {
  const timeout = AbortSignal.timeout(Math.ceil(attempt.timeoutMs));
  const controller = new AbortController();
  const stop = () => controller.abort();
  const signals = [timeout, attempt.signal, cancel].filter((signal) => signal !== undefined);
  for (const signal of signals) signal.addEventListener("abort", stop);
  try {
    const response = await send(url + path, {
      method: verb,
      headers: {
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(attempt.tenant ? { "x-vectron-tenant": attempt.tenant } : {}),
        ...(attempt.token ? { authorization: `Bearer ${attempt.token}` } : {}),
        ...headers,
      },
      body: body === undefined ? null : JSON.stringify(body),
      signal: controller.signal,
      redirect: "manual",
    });
    if (response.type === "opaqueredirect" || (response.status >= 300 && response.status < 400)) throw redirected(response, url);
    const text = await response.text();
    if (!response.ok) throw httpError(response, text, url);
    return text === "" ? {} : (JSON.parse(text) as unknown);
  } catch (error) {
    if (timeout.aborted) throw makeError("DEADLINE_EXCEEDED", "the time of the call is over", url);
    if (attempt.signal?.aborted || cancel?.aborted) throw makeError("CANCELLED", "the call was cancelled", url);
    if (error instanceof TypeError || error instanceof SyntaxError) {
      const cause = (error as { cause?: { message?: string } }).cause?.message;
      throw makeError("UNAVAILABLE", `${error.message}${cause ? `: ${cause}` : ""}`, url);
    }
    throw error;
  } finally {
    for (const signal of signals) signal.removeEventListener("abort", stop);
  }
}

/** Of answers that are not a Vectron's: a proxy's, most likely. */
const CODES_OF_STATUS: Partial<Record<number, Code>> = {
  413: "RESOURCE_EXHAUSTED", 429: "RESOURCE_EXHAUSTED", 502: "UNAVAILABLE", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
};

/** Browsers do not tell where to. */
function redirected(response: Response, url: string): VectronError {
  const location = response.headers.get("location");
  const there = location && URL.canParse(location, url) ? new URL(location, url).origin : "another address";
  return makeError(
    "INVALID_ARGUMENT",
    `${url} redirects to ${there}, where the credential is not sent; if it is the gateway, give the client its URL`,
    url,
  );
}

function httpError(response: Response, text: string, url: string): VectronError {
  let body: { code?: number; message?: string } = {};
  try {
    body = JSON.parse(text) as typeof body;
  } catch {
    // Not from a Vectron: a proxy, or another server.
  }
  const code = CODES[body.code ?? -1] ?? CODES_OF_STATUS[response.status] ?? "UNKNOWN";
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  const reason = response.status === 413 ? "the request is larger than what is taken on the way" : "without a Vectron error";
  const message = body.message ?? `HTTP ${response.status}: ${reason}`;
  return makeError(code, message, url, Number.isFinite(seconds) ? seconds * 1_000 : undefined);
}
