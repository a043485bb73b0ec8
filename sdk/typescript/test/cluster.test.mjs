// The client against three workers, one of which is killed under load. VECTRON_CLUSTER_TOOL names tools/cluster.py.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";

import { VectronClient } from "@vectron/client";

const tool = (...args) => promisify(execFile)("python3", ["-B", process.env.VECTRON_CLUSTER_TOOL, ...args]);

// New points are written one by one, with insertOnly: a write that applied twice would be refused. Searches go on.
test("a killed worker loses nothing and writes apply once", { timeout: 280_000 }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "vectron-ts-"));
  const place = ["--data", folder, "--json", "--binary", process.env.VECTRON_BINARY];
  t.after(async () => {
    await tool("down", ...place);
    await rm(folder, { recursive: true });
  });
  const cluster = JSON.parse((await tool("up", "--no-demo", "--threads", "1", ...place)).stdout);
  const client = new VectronClient(cluster.grpc[0], undefined, { timeoutMs: 90_000, retry: { maxAttempts: 1_000 } });
  t.after(() => client.close());
  await client.createCollection("c", 2, "euclidean", { shardCount: 3, replicationFactor: 3 });
  const write = (n) =>
    client.upsert("c", [{ id: `p${n}`, vector: [n, 1], payload: { n } }], { insertOnly: true, requestId: `r${n}` });

  let writing = true;
  let searches = 0;
  const searching = (async () => {
    for (; writing; searches++) await client.search("c", [0, 1], 10, { exact: true });
  })();
  let before;
  for (let n = 0; n < 150; n++) {
    if (n === 50) {
      before = searches;
      const leaderOf = async () => (await client.getCollectionStatus("c")).shards[0].leaderId;
      let leaderId;
      while (Number((leaderId = await leaderOf())) === 0) await pause(100); // an election is under way
      process.kill(cluster.nodes.find((node) => node.id === Number(leaderId)).pid, "SIGKILL");
    }
    assert.equal(await write(n), 1);
  }
  writing = false;
  await searching;
  assert.ok(searches > before);

  const all = async () => {
    const found = {};
    for await (const { id, payload, version } of client.scroll("c")) found[id] = [payload.n, version];
    return found;
  };
  const found = await all();
  assert.deepEqual(Object.keys(found).sort(), Array.from({ length: 150 }, (_, n) => `p${n}`).sort());
  for (let n = 0; n < 150; n++) assert.equal(found[`p${n}`][0], n);
  assert.equal((await client.getCollectionStatus("c")).pointCount, 150n);
  for (let n = 0; n < 150; n++) await write(n); // every write again, late, by its name
  assert.deepEqual(await all(), found);
});
