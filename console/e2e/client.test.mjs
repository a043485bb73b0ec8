// The client library for browsers, bundled as an application bundles it, in a page of another origin that the server allows.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { closeBrowser, openPage, startVectron, test } from './harness.mjs';

const entry = fileURLToPath(new URL('../../sdk/typescript/src/browser.ts', import.meta.url));
let site, server, elsewhere;

// A site of its own with nothing but the library.
async function startSite(script) {
  const listener = http.createServer((request, response) => {
    const [type, text] = request.url === '/client.js' ? ['text/javascript', script] : ['text/html', '<!doctype html><title>app</title>'];
    response.writeHead(200, { 'content-type': type }).end(text);
  });
  await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
  return { url: `http://localhost:${listener.address().port}`, stop: () => new Promise((resolve) => (listener.closeAllConnections(), listener.close(resolve))) };
}

before(async () => {
  const lib = { entry, formats: ['es'], fileName: 'client' };
  const [bundle] = await build({ configFile: false, logLevel: 'error', build: { lib, write: false, target: 'es2022' } });
  const script = bundle.output.find((part) => part.type === 'chunk').code;
  site = await startSite(script);
  elsewhere = await startSite(script);
  server = await startVectron(['--auth', 'off', '--allow-origin', site.url]);
});
after(async () => {
  await closeBrowser();
  await Promise.all([server?.stop(), site?.stop(), elsewhere?.stop()]);
});

// In the page: every kind of call, with its answer in plain values.
async function use(url) {
  const { field, NotFoundError, VectronClient } = await import('/client.js');
  const client = new VectronClient(url);
  await client.createCollection('web', 2, 'cosine', { payloadIndexes: { n: 'integer' } });
  const points = [{ id: 'é/1', vector: new Float32Array([1, 0]), payload: { n: 1 } }, { id: 'b', vector: [0, 1], payload: { n: 2 } }];
  const written = await client.upsert('web', points);
  const found = await client.search('web', [1, 0], 5, { filter: field('n').lt(2), includeVectors: true });
  const streamed = [];
  for await (const answer of client.searchStream('web', [0, 1], 1)) streamed.push(answer[0].id);
  const feedback = await client.submitFeedback('web', [{ resultId: 'b', clicked: true }], { queryId: found.queryId });
  const missing = await client.get('web', 'absent').catch((error) => error);
  await client.delete('web', 'b');
  const left = [];
  for await (const point of client.scroll('web')) left.push(point.id);
  const health = await client.admin.health();
  await client.deleteCollection('web');
  client.close();
  return {
    written, streamed, left, feedback: feedback.length, found: found.map(({ id, payload, vector }) => [id, payload, [...vector]]),
    missing: missing instanceof NotFoundError, health: typeof health.overall_status,
  };
}

test('the library works in a page of an origin that is allowed', async () => {
  const { page, close } = await openPage(site.url);
  assert.deepEqual(await page.evaluate(use, server.url), {
    written: 2, streamed: ['b'], left: ['é/1'], feedback: 36, found: [['é/1', { n: 1 }, [1, 0]]], missing: true, health: 'string',
  });
  await close();
});

test('a page of another origin reads nothing, and is told that it cannot reach the server', async () => {
  const { page, close } = await openPage(elsewhere.url);
  const code = await page.evaluate(async (url) => {
    const { VectronClient } = await import('/client.js');
    const client = new VectronClient(url, undefined, { retry: { maxAttempts: 1 } });
    return client.listCollections().then(() => 'read', (error) => error.code);
  }, server.url);
  assert.equal(code, 'UNAVAILABLE');
  await close();
});
