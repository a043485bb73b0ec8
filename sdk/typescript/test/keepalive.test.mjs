// A connection that has died without a word is noticed by pings while a call is under way, and replaced. VECTRON_BINARY names the
// server.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { VectronClient } from "@vectron/client";

import { relay } from "./relay.mjs";
import { start } from "./start.mjs";

let folder, server;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "vectron-ts-"));
  server = await start(join(folder, "data"));
});
after(async () => {
  assert.equal(await server.stop(), 0);
  await rm(folder, { recursive: true });
});

test("a silent connection is replaced", async (t) => {
  const { passed, address } = await relay(t, server.grpc);
  // An attempt may take all of the call's time: what ends it earlier is the ping without an answer. On a busy machine that may end
  // good connections too, whence the many attempts.
  const patient = { timeoutMs: 60_000, attemptTimeoutMs: 60_000, retry: { maxAttempts: 100 } };
  const client = new VectronClient(address, undefined, { ...patient, keepaliveTimeMs: 100, keepaliveTimeoutMs: 500 });
  const direct = new VectronClient(server.grpc);
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
