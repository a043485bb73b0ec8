// The one way the console talks to the server: typed calls over HTTP/JSON, with the session's token.
import { ApiError } from './errors';
import { routes, type Calls } from './generated';
import { getToken, isRenewalDue, setToken } from './session';

const timeoutMs = 30_000;

// The folder the console is served from; the API is below it, so that a path prefix in front of both works.
export function baseUrl(): string {
  return new URL('./', document.baseURI.split('#')[0]).href;
}

export interface CallOptions {
  signal?: AbortSignal;
  headers?: Record<string, string>;
}

type CallName = keyof Calls;
const camel = (name: string) => name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

// Fills the path of a route from the request; what is left over is the body, or the query of a GET.
export function requestOf<N extends CallName>(name: N, request: Calls[N]['request']) {
  const { verb, path } = routes[name];
  const rest: Record<string, unknown> = { ...request };
  const filled = path.replace(/\{(\w+)\}/g, (_, field: string) => {
    const key = camel(field);
    const value = rest[key];
    if (typeof value !== 'string' || value === '') throw new Error(`${name}: ${key} is missing`);
    delete rest[key];
    return encodeURIComponent(value);
  });
  if (verb !== 'GET' && verb !== 'DELETE') return { verb, path: filled, body: rest };
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(rest)) {
    if (value !== undefined && value !== '') query.set(key, String(value));
  }
  const text = query.toString();
  return { verb, path: text ? `${filled}?${text}` : filled, body: undefined };
}

// Names a collection of another user, for administrators: "docs@user-1". No collection's name has an @. Everywhere in the console
// such a text stands for a collection, in addresses too; here, on the way out, it becomes the name and the tenant.
export const ownedBy = (name: string, owner: string): string => (owner === '' ? name : `${name}@${owner}`);

function tenantOf<N extends CallName>(name: N, request: Calls[N]['request']): { request: Calls[N]['request']; headers: Record<string, string> } {
  const field = routes[name].path.startsWith('/v1/collections/{name}') ? 'name' : 'collection';
  const text = (request as Record<string, unknown>)[field];
  const at = typeof text === 'string' ? text.indexOf('@') : -1;
  if (typeof text !== 'string' || at < 0) return { request, headers: {} };
  return { request: { ...request, [field]: text.slice(0, at) }, headers: { 'x-vectron-tenant': text.slice(at + 1) } };
}

// Calls one RPC over its HTTP route. Throws ApiError.
export async function call<N extends CallName>(
  name: N,
  request: Calls[N]['request'] = {},
  options: CallOptions = {},
): Promise<Calls[N]['response']> {
  const named = tenantOf(name, request);
  const { verb, path, body } = requestOf(name, named.request);
  return (await send(verb, path, body, { ...options, headers: { ...named.headers, ...options.headers } })) as Calls[N]['response'];
}

// One request to a plain-JSON management route. Throws ApiError.
export async function send(verb: string, path: string, body?: unknown, options: CallOptions = {}): Promise<unknown> {
  const headers: Record<string, string> = { accept: 'application/json', ...options.headers };
  const token = getToken();
  if (token) headers.authorization = `Bearer ${token}`;
  if (body !== undefined) headers['content-type'] = 'application/json';
  const timeout = AbortSignal.timeout(timeoutMs);
  let response: Response;
  try {
    response = await fetch(new URL(`.${path}`, baseUrl()), {
      method: verb,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: options.signal ? AbortSignal.any([options.signal, timeout]) : timeout,
      cache: 'no-store',
      credentials: 'omit',
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    const text = timeout.aborted ? `no answer within ${timeoutMs / 1000} s` : 'no connection to the server';
    throw new ApiError(0, 14, text);
  }
  const text = await response.text();
  const json = parseJson(text);
  if (response.ok && json !== undefined) return json;
  if (response.status === 401 && token && getToken() === token) setToken(null);
  throw errorOf(response, json);
}

function parseJson(text: string): unknown {
  try {
    return text === '' ? {} : JSON.parse(text);
  } catch {
    return undefined;
  }
}

function errorOf(response: Response, json: unknown): ApiError {
  const retry = Number(response.headers.get('retry-after'));
  const wait = Number.isFinite(retry) && retry > 0 ? retry : null;
  if (typeof json === 'object' && json !== null && 'message' in json) {
    const body = json as { code?: unknown; message?: unknown };
    return new ApiError(response.status, Number(body.code ?? 2), String(body.message), wait);
  }
  // Something else than the gateway answered: a proxy, or a server of another kind.
  if (response.ok) return new ApiError(501, 12, 'the answer is no JSON: there is no such route at this address');
  return new ApiError(response.status, 2, `HTTP ${response.status} ${response.statusText}`.trim(), wait);
}

// Exchanges the token for a fresh one when half of its life is over; from then on the old one is refused. After a failure on the way
// there the old one is tried again, and if it is refused, the user logs in.
export async function renewTokenIfDue(nowMs: number): Promise<void> {
  const token = getToken();
  if (!token || !isRenewalDue(token, nowMs)) return;
  try {
    const { jwtToken } = await call('RefreshToken');
    if (jwtToken && getToken() === token) setToken(jwtToken);
  } catch {
    // Asked again at the next tick.
  }
}
