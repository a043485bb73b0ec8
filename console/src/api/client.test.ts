import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { call, ownedBy, requestOf, send } from './client';
import { adviceFor, ApiError, troubleOf } from './errors';
import { getToken, isRenewalDue, setToken, tokenTimes } from './session';

const answer = (status: number, body: string, headers: Record<string, string> = {}) =>
  vi.fn<(url: URL, init: RequestInit) => Promise<Response>>(async () => new Response(body, { status, headers }));

afterEach(() => {
  vi.unstubAllGlobals();
  setToken(null);
});

describe('a request', () => {
  it('fills its path and sends the rest as the body', () => {
    expect(requestOf('Search', { collection: 'a b', vector: [1] })).toEqual({
      verb: 'POST', path: '/v1/collections/a%20b/points/search', body: { vector: [1] },
    });
    expect(requestOf('DeleteAPIKey', { keyPrefix: 'vkey-abc' }).path).toBe('/v1/keys/vkey-abc');
    expect(requestOf('Get', { collection: 'c', id: '../x/ü' }).path).toBe('/v1/collections/c/points/..%2Fx%2F%C3%BC');
  });

  it('sends the rest of a GET as its query', () => {
    expect(requestOf('ListAlerts', { status: 'active', level: '', limit: 5 })).toEqual({
      verb: 'GET', path: '/v1/alerts?status=active&limit=5', body: undefined,
    });
  });

  it('refuses a path with a hole', () => {
    expect(() => requestOf('Get', { collection: 'c' })).toThrow('id is missing');
  });

  it('carries the token, stays below the page’s folder and sends no cookies', async () => {
    const fetch = answer(200, '{"collections":[]}');
    vi.stubGlobal('fetch', fetch);
    setToken('t0');
    await call('ListCollections');
    const [url, init] = fetch.mock.calls[0]!;
    expect(String(url)).toBe('http://localhost:3000/v1/collections');
    expect(init.headers).toMatchObject({ authorization: 'Bearer t0' });
    expect(init.credentials).toBe('omit');
  });
});

describe('a collection of another user', () => {
  const sent = async (act: () => Promise<unknown>) => {
    const fetch = answer(200, '{}');
    vi.stubGlobal('fetch', fetch);
    await act();
    const [url, init] = fetch.mock.calls[0]!;
    return { path: new URL(url).pathname, tenant: new Headers(init.headers).get('x-vectron-tenant'), body: init.body };
  };

  it('is asked for by its name and its tenant', async () => {
    const docs = ownedBy('docs', 'user-1');
    expect(await sent(() => call('GetCollectionStatus', { name: docs }))).toMatchObject({
      path: '/v1/collections/docs/status', tenant: 'user-1',
    });
    expect(await sent(() => call('Search', { collection: docs, vector: [1] }))).toEqual({
      path: '/v1/collections/docs/points/search', tenant: 'user-1', body: '{"vector":[1]}',
    });
    expect((await sent(() => call('Search', { collection: ownedBy('docs', ''), vector: [1] }))).tenant).toBeNull();
  });

  it('is nothing that other names could be taken for', async () => {
    const { body, tenant } = await sent(() => call('CreateAPIKey', { name: 'of ada@example.org' }));
    expect([body, tenant]).toEqual(['{"name":"of ada@example.org"}', null]);
  });
});

describe('a failure', () => {
  const failure = async () => {
    try {
      await send('GET', '/v1/x');
    } catch (error) {
      return error as ApiError;
    }
    throw new Error('it succeeded');
  };

  it('has the server’s message, code and wait', async () => {
    vi.stubGlobal('fetch', answer(429, '{"code":8,"message":"slow down","details":[]}', { 'retry-after': '3' }));
    const error = await failure();
    expect(error).toMatchObject({ status: 429, code: 8, message: 'slow down', retryAfterSeconds: 3 });
    expect(troubleOf(error)).toBe('busy');
    expect(adviceFor(error).text).toContain('3 s');
  });

  it('tells a missing route from a missing thing', () => {
    expect(troubleOf(new ApiError(404, 5, 'there is no such path'))).toBe('unsupported');
    expect(troubleOf(new ApiError(404, 5, "collection 'a' does not exist"))).toBe('not-found');
    expect(troubleOf(new ApiError(501, 12, 'not here'))).toBe('unsupported');
  });

  it('without an answer is offline', async () => {
    vi.stubGlobal('fetch', vi.fn(async () => Promise.reject(new TypeError('Failed to fetch'))));
    expect(troubleOf(await failure())).toBe('offline');
  });

  it('of a page in place of JSON is a missing route', async () => {
    vi.stubGlobal('fetch', answer(200, '<!doctype html>'));
    expect(troubleOf(await failure())).toBe('unsupported');
  });

  it('of the credentials ends the session, once and only the one that failed', async () => {
    setToken('old');
    vi.stubGlobal('fetch', answer(401, '{"code":16,"message":"expired"}'));
    expect(troubleOf(await failure())).toBe('unauthenticated');
    expect(getToken()).toBeNull();
    setToken('old');
    vi.stubGlobal('fetch', vi.fn(async () => {
      setToken('new');
      return new Response('{"code":16,"message":"expired"}', { status: 401 });
    }));
    await failure();
    expect(getToken()).toBe('new');
  });

  it('always comes with what to do', () => {
    for (const status of [0, 400, 401, 403, 404, 405, 409, 413, 429, 500, 501, 503, 504]) {
      const advice = adviceFor(new ApiError(status, 2, 'why'));
      expect(advice.title).not.toBe('');
      expect(advice.text).not.toBe('');
    }
    expect(adviceFor('odd').text).toBe('odd');
  });
});

describe('a token', () => {
  beforeEach(() => sessionStorage.clear());
  const jwt = (claims: object) => `h.${btoa(JSON.stringify(claims)).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '')}.s`;

  it('survives a reload of its tab', () => {
    setToken('abc');
    expect(sessionStorage.getItem('vectron.session')).toBe('abc');
    setToken(null);
    expect(sessionStorage.length).toBe(0);
  });

  it('is renewed in the second half of its life', () => {
    const token = jwt({ iat: 1000, exp: 2000, user_id: 'ü?>' });
    expect(tokenTimes(token)).toEqual({ issuedAt: 1_000_000, expiresAt: 2_000_000 });
    expect(isRenewalDue(token, 1_400_000)).toBe(false);
    expect(isRenewalDue(token, 1_600_000)).toBe(true);
    expect(isRenewalDue(token, 2_100_000)).toBe(false);
    expect(isRenewalDue('vkey-no-jwt', 1_600_000)).toBe(false);
    expect(tokenTimes('a.b.c')).toBeNull();
  });
});
