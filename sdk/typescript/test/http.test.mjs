// Calls over HTTP against a scripted server: what is repeated, what is sent where, what is raised.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";

import * as vectron from "@vectron/client";
import * as browser from "@vectron/client/browser";

const retry = { initialBackoffMs: 1, maxBackoffMs: 2 };
const BUSY = [429, { "retry-after": "0" }, { code: 8, message: "busy" }];
const DOWN = [503, {}, { code: 14, message: "starting" }];
const GOOD = [200, {}, { workers: [{ worker_id: "1" }] }];

/** Answers from a list of [status, headers, body]; the last one repeats. A body of null never comes. */
async function scripted(t, ...answers) {
  const seen = [];
  const server = createServer((request, response) => {
    seen.push({ verb: request.method, url: request.url, headers: request.headers });
    const [status, headers, body] = answers.length > 1 ? answers.shift() : answers[0];
    if (body !== null) response.writeHead(status, headers).end(JSON.stringify(body));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { seen, port: server.address().port, url: `http://127.0.0.1:${server.address().port}` };
}
const node = (server, options = {}) => new vectron.VectronClient("127.0.0.1:1", "vkey-secret", { httpUrl: server.url, retry, ...options });
const web = (server, options = {}) => new browser.VectronClient(server.url, "vkey-secret", { retry, ...options });

test("the credential does not follow a redirect", async (t) => {
  const elsewhere = await scripted(t, GOOD);
  const gateway = await scripted(t, [302, { location: `http://localhost:${elsewhere.port}/v1/collections` }, {}]);
  const named = (error) => error instanceof vectron.InvalidArgumentError && error.message.includes(`localhost:${elsewhere.port}`);
  await assert.rejects(node(gateway).admin.workers(), named);
  await assert.rejects(web(gateway).listCollections(), named);
  assert.deepEqual([gateway.seen.length, elsewhere.seen.length], [2, 0]);
  assert.equal(gateway.seen[0].headers.authorization, "Bearer vkey-secret");
});

test("management reads are repeated, changes only when they did not begin", async (t) => {
  const reads = await scripted(t, DOWN, BUSY, [502, {}, "a proxy"], GOOD);
  assert.deepEqual(await node(reads).admin.workers(), [{ worker_id: "1" }]);
  assert.equal(reads.seen.length, 4);
  const changes = await scripted(t, BUSY, DOWN);
  await assert.rejects(node(changes).admin.rebalance(), vectron.UnavailableError);
  assert.deepEqual(changes.seen.map((call) => call.verb), ["POST", "POST"]);
});

test("the server's wish and the time of the call are heard", async (t) => {
  const busy = await scripted(t, [429, { "retry-after": "7" }, { code: 8, message: "busy" }]);
  await assert.rejects(node(busy, { timeoutMs: 5_000 }).admin.stats(), { code: "RESOURCE_EXHAUSTED", retryAfterMs: 7_000 });
  assert.equal(busy.seen.length, 1);
  const silent = await scripted(t, [200, {}, null]);
  for (const late of [node(silent, { timeoutMs: 50 }).admin.stats(), node(silent).admin.stats({ timeoutMs: 50 })]) {
    await assert.rejects(late, (error) => {
      assert.ok(error instanceof vectron.DeadlineExceededError && error.message.includes(silent.url), String(error));
      return true;
    });
  }
  assert.deepEqual(silent.seen.map((call) => call.url), ["/v1/admin/stats", "/v1/admin/stats"]);
});

test("a request that is too large is sent once", async (t) => {
  const limit = { code: 8, message: "the body has 9 bytes, at most 8 are taken here" };
  for (const body of [limit, "<html>Too Large</html>"]) {
    const strict = await scripted(t, [413, {}, body]);
    await assert.rejects(web(strict).search("c", [1]), (error) => {
      assert.ok(error instanceof vectron.ResourceExhaustedError && error.message.endsWith("[send smaller batches]"), String(error));
      return true;
    });
    assert.equal(strict.seen.length, 1);
  }
});

test("the tenant is named, of a client and of a call", async (t) => {
  const gateway = await scripted(t, [200, {}, { collections: [], workers: [] }]);
  await web(gateway, { tenant: "user-1" }).listCollections();
  await web(gateway, { tenant: "user-1" }).listCollections({ tenant: "user-2" });
  await node(gateway, { tenant: "user-1" }).admin.workers();
  await web(gateway).listCollections();
  assert.deepEqual(gateway.seen.map((call) => call.headers["x-vectron-tenant"]), ["user-1", "user-2", "user-1", undefined]);
});
