// What goes over the wire: compressed when asked for, no larger than allowed, and over a new connection when the old one has died
// without a word. VECTRON_BINARY names the server.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import * as vectron from "@vectron/client";

import { relay } from "./relay.mjs";
import { start } from "./start.mjs";

const LONG = [{ id: "a", vector: [1], payload: { text: "x".repeat(100_000) } }];

let folder, server;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "vectron-ts-"));
  server = await start(join(folder, "data"));
});
after(async () => {
  assert.equal(await server.stop(), 0);
  await rm(folder, { recursive: true });
});

test("gzip is used and understood", async (t) => {
  const { passed, address } = await relay(t, server.grpc);
  const small = new vectron.VectronClient(address, undefined, { compression: "gzip" });
  t.after(() => small.close());
  await small.createCollection("gzip", 1);
  assert.equal(await small.upsert("gzip", LONG), 1);
  assert.deepEqual((await small.search("gzip", [1]))[0].payload, LONG[0].payload);
  assert.ok(passed.sent > 0 && passed.sent < 20_000, String(passed.sent));
});

test("a message that is too large says what to do", async (t) => {
  const client = new vectron.VectronClient(server.grpc);
  const tiny = new vectron.VectronClient(server.grpc, undefined, { maxMessageBytes: 10_000, retry: { maxAttempts: 1 } });
  t.after(() => [client, tiny].forEach((each) => each.close()));
  const refused = (error) => {
    assert.ok(error instanceof vectron.ResourceExhaustedError, String(error));
    assert.match(error.message, /larger than.*smaller batches.*maxMessageBytes/);
    return true;
  };
  await client.createCollection("tiny", 1);
  await assert.rejects(tiny.upsert("tiny", LONG), refused);
  await client.upsert("tiny", LONG);
  await assert.rejects(tiny.get("tiny", "a"), refused);
});

test("a silent connection is replaced", async (t) => {
  const { passed, address } = await relay(t, server.grpc);
  // An attempt may take all of the call's time: what ends it earlier is the ping without an answer. On a busy machine that may end
  // good connections too, whence the many attempts.
  const patient = { timeoutMs: 60_000, attemptTimeoutMs: 60_000, retry: { maxAttempts: 100 } };
  const client = new vectron.VectronClient(address, undefined, { ...patient, keepaliveTimeMs: 100, keepaliveTimeoutMs: 500 });
  const direct = new vectron.VectronClient(server.grpc);
  t.after(() => [client, direct].forEach((each) => each.close()));
  await direct.createCollection("c", 1);
  await direct.upsert("c", [{ id: "a", vector: [1] }]);
  const streamed = async () => {
    let best;
    for await (const better of client.searchStream("c", [1])) best = better;
    return best;
  };
  for (const ask of [() => client.search("c", [1]), streamed]) {
    assert.equal((await ask())[0].id, "a");
    const before = passed.connections;
    passed.fallSilent();
    assert.equal((await ask())[0].id, "a");
    assert.ok(passed.connections > before);
  }
});
