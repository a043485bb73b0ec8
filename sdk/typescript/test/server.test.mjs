// Both clients against a real server: gRPC, and HTTP as browsers speak it. VECTRON_BINARY names the program.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import * as vectron from "@vectron/client";
import * as browser from "@vectron/client/browser";

import { start } from "./start.mjs";

const { field, VectronClient } = vectron;

let folder, server, client, web;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "vectron-ts-"));
  server = await start(join(folder, "data"));
  client = new VectronClient(server.grpc, undefined, { httpUrl: `http://${server.http}` });
  web = new browser.VectronClient(`http://${server.http}`);
});
after(async () => {
  client.close();
  web.close();
  assert.equal(await server.stop(), 0);
  await rm(folder, { recursive: true });
});

/** The same test over both protocols. */
let count = 0;
function over(title, body) {
  test(`${title} (gRPC)`, (t) => body(client, `c${++count}`, t));
  test(`${title} (HTTP)`, (t) => body(web, `c${++count}`, t));
}

over("points go in, are found, and go out", async (client, name) => {
  await client.createCollection(name, 3, "cosine", { payloadIndexes: { n: "integer" }, storage: "f16", hnsw: { m: 8 } });
  assert.ok((await client.listCollections()).includes(name));
  const payload = { s: "é", n: 7, f: 0.5, b: true, none: null, list: [1, "two", { three: 3 }] };
  assert.equal(await client.upsert(name, [{ id: "a", vector: [1, 0, 0], payload }, { id: "b", vector: new Float32Array([0, 1, 0]) }]), 2);
  const found = await client.search(name, Float32Array.from([1, 0, 0]), 1, { includeVectors: true });
  assert.equal(found.length, 1);
  assert.deepEqual([found[0].id, found[0].score, found[0].payload], ["a", 0, payload]);
  assert.deepEqual(found[0].vector, Float32Array.from([1, 0, 0]));
  assert.ok(found.queryId && found[0].version > 0n);
  const point = await client.get(name, "a");
  assert.deepEqual([point.payload, point.vector], [payload, Float32Array.from([1, 0, 0])]);
  const status = await client.getCollectionStatus(name);
  assert.deepEqual([status.dimension, status.distance, status.pointCount, status.shards[0].ready], [3, "cosine", 2n, true]);
  await client.delete(name, "a");
  await assert.rejects(client.get(name, "a"), vectron.NotFoundError);
  await client.deleteCollection(name);
  await assert.rejects(client.deleteCollection(name), vectron.NotFoundError);
});

over("filters choose what their expression says", async (client, name) => {
  await client.createCollection(name, 1);
  const points = Array.from({ length: 12 }, (_, i) => ({
    id: `p${String(i).padStart(2, "0")}`,
    vector: [i],
    payload: { n: i, even: i % 2 === 0, tags: [`t${i % 3}`] },
  }));
  await client.upsert(name, points);
  const cases = [
    [field("n").lt(3), (i) => i < 3],
    [field("n").gte(3).and(field("even").eq(true)), (i) => i >= 3 && i % 2 === 0],
    [field("n").lt(2).or(field("n").gt(9)), (i) => i < 2 || i > 9],
    [field("tags[]").oneOf(["t0", "t1"]).not(), (i) => i % 3 === 2],
    [field("n").between(4, 5), (i) => i === 4 || i === 5],
    [field("absent").exists(), () => false],
    [{ must: [{ field: "n", range: { gte: 4 } }], mustNot: [{ field: "even", match: true }] }, (i) => i >= 4 && i % 2 === 1],
    [vectron.hasId("p03", "absent"), (i) => i === 3],
  ];
  for (const [filter, expected] of cases) {
    const wanted = points.map((point) => point.id).filter((_, i) => expected(i));
    assert.deepEqual((await client.search(name, [0], 12, { filter })).map((result) => result.id).sort(), wanted);
    const scrolled = [];
    for await (const point of client.scroll(name, { filter, limit: 5 })) scrolled.push(point.id);
    assert.deepEqual(scrolled, wanted);
  }
});

over("options of a search arrive", async (client, name) => {
  await client.createCollection(name, 1);
  await client.upsert(name, Array.from({ length: 10 }, (_, i) => ({ id: `p${i}`, vector: [i], payload: { n: i, m: i } })));
  const ids = async (options, k = 10) => (await client.search(name, [0], k, options)).map((result) => result.id);
  assert.deepEqual(await ids({ offset: 2 }, 3), ["p2", "p3", "p4"]);
  assert.deepEqual(await ids({ scoreThreshold: 4 }), ["p0", "p1", "p2"]);
  assert.deepEqual((await client.search(name, [0], 1, { payloadFields: ["n"] }))[0].payload, { n: 0 });
  assert.deepEqual((await client.search(name, [0], 1, { includePayload: false }))[0].payload, {});
  assert.equal((await client.search(name, [0], 1))[0].vector, undefined);
  assert.ok((await client.search(name, [0], 1, { exact: true, explain: true, consistency: "eventual" })).explain.shards[0].plan);
  let last;
  for await (const answer of client.searchStream(name, [0], 2)) last = answer;
  assert.deepEqual([last.last, last.map((result) => result.id)], [true, ["p0", "p1"]]);
});

over("reranking is chosen by a collection, by a search, and told", async (client, name) => {
  const made = {
    shardCount: 1,
    hnsw: { m: 8, efConstruct: 50, efSearch: 0 },
    storage: "f16",
    payloadIndexes: { n: "integer" },
    defaultConsistency: "eventual",
    rerank: { strategy: "rule", candidates: 7, budgetMs: 500, explore: false },
  };
  await client.createCollection(name, 1, "euclidean", made);
  const { options } = await client.getCollectionStatus(name);
  for (const key of Object.keys(made)) assert.deepEqual(options[key], made[key], key);
  const other = `${name}-other`;
  await client.createCollection(other, 1, "euclidean", options);
  assert.deepEqual((await client.getCollectionStatus(other)).options, options);
  await client.upsert(name, [{ id: "a", vector: [1], payload: { text: "a blue boat" } }]);
  const search = (rerank) => client.search(name, [1], 1, { query: "boat", ...(rerank ? { rerank } : {}) });
  const { rerank } = await search();
  assert.deepEqual([rerank.strategy, typeof rerank.timeUs, rerank.explored], ["rule", "bigint", false]);
  assert.equal((await search({ strategy: "none" })).rerank?.strategy ?? "none", "none");
  assert.equal((await search({ candidates: 5, budgetMs: 100, explore: true })).rerank.strategy, "rule");
  await assert.rejects(search({ budgetMs: 70_000 }), vectron.InvalidArgumentError);
  assert.equal((await client.search(name, [1], 1)).rerank, undefined);
});

over("versions of a write are told, and reads say how fresh", async (client, name) => {
  await client.createCollection(name, 1);
  const versions = await client.upsertVersions(name, [{ id: "a", vector: [1] }, { id: "b", vector: [2] }]);
  const fresh = { consistency: "bounded", maxStalenessMs: 60_000 };
  assert.deepEqual([(await client.get(name, "a", fresh)).version, (await client.get(name, "b")).version], versions);
  assert.equal((await client.scrollPage(name, fresh)).points.length, 2);
  await assert.rejects(client.get(name, "a", { consistency: "weak" }), vectron.InvalidArgumentError);
  await assert.rejects(client.scrollPage(name, { consistency: "weak" }), vectron.InvalidArgumentError);
});

over("bad input is named and nothing of it is written", async (client, name) => {
  await client.createCollection(name, 2);
  const refused = (points, ...words) =>
    assert.rejects(client.upsert(name, [{ id: "good", vector: [1, 2] }, ...points]), (error) => {
      assert.ok(error instanceof vectron.InvalidArgumentError, String(error));
      for (const word of words) assert.match(error.message, word);
      return true;
    });
  await refused([{ id: "p", vector: [1, 2, 3] }], /p/, /3/, /2/);
  await refused([{ id: "p", vector: [1, NaN] }], /"p": component 1/);
  await refused([{ id: "x".repeat(257), vector: [1, 2] }], /256/);
  await refused([{ id: "p", vector: [1, 2], payload: { t: "x".repeat(1 << 20) } }], /payload/);
  assert.equal((await client.getCollectionStatus(name)).pointCount, 0n);
  await assert.rejects(client.search(name, [1, 2, 3]), vectron.InvalidArgumentError);
  await assert.rejects(client.search(name, [NaN, 1]), /the query: component 0/);
  await assert.rejects(client.search("absent", [1, 2]), vectron.NotFoundError);
  await assert.rejects(client.createCollection(name, 2), vectron.AlreadyExistsError);
  await client.upsert(name, [{ id: "p", vector: [1, 2] }]);
  await assert.rejects(client.upsert(name, [{ id: "p", vector: [1, 2] }], { insertOnly: true }), vectron.AlreadyExistsError);
});

over("unicode ids come back as they went", async (client, name) => {
  await client.createCollection(name, 1);
  for (const id of ["日本語", "emoji-😀", "a/b?c=d%20", "x".repeat(256), " spaces ", "ﬁ"]) {
    await client.upsert(name, [{ id, vector: [1] }]);
    assert.equal((await client.get(name, id)).id, id);
    assert.deepEqual((await client.search(name, [1])).map((result) => result.id), [id]);
    await client.delete(name, id);
  }
});

over("a request id applies once", async (client, name) => {
  await client.createCollection(name, 1);
  await client.upsert(name, [{ id: "p", vector: [1] }], { requestId: "r" });
  await client.upsert(name, [{ id: "p", vector: [2] }]);
  await client.upsert(name, [{ id: "p", vector: [1] }], { requestId: "r" });
  assert.deepEqual((await client.get(name, "p")).vector, Float32Array.from([2]));
});

test("100,000 points over the size limit are split by themselves", { timeout: 300_000 }, async () => {
  const name = `c${++count}`;
  await client.createCollection(name, 1, "euclidean", { hnsw: { m: 4, efConstruct: 8 } });
  const text = "x".repeat(700);
  function* points() {
    for (let i = 0; i < 100_000; i++) yield { id: `p${i}`, vector: [i], payload: { text } };
  }
  let progress;
  const report = await client.upsertBatch(name, points(), { timeoutMs: 250_000, onProgress: (step) => (progress = step) });
  assert.deepEqual(report, { upserted: 100_000, failures: [] });
  assert.deepEqual(progress, { pointsDone: 100_000, pointsFailed: 0 });
  assert.equal((await client.getCollectionStatus(name)).pointCount, 100_000n);
  await client.deleteCollection(name);
});

test("a bad part does not stop the batch", async () => {
  const name = `c${++count}`;
  await client.createCollection(name, 2);
  const points = Array.from({ length: 9 }, (_, i) => ({ id: `p${i}`, vector: i === 5 ? [1, 2, 3] : [i, i] }));
  const report = await client.upsertBatch(name, points, { batchSize: 3 });
  assert.equal(report.upserted, 6);
  assert.deepEqual(report.failures.map((failure) => failure.ids), [["p3", "p4", "p5"]]);
  assert.match(report.failures[0].error.message, /p5/);
});

test("wrong hosts are named", async () => {
  const nobody = new VectronClient("127.0.0.1:1", undefined, { timeoutMs: 60_000 });
  await assert.rejects(nobody.listCollections(), (error) => {
    assert.ok(error instanceof vectron.UnavailableError, String(error));
    assert.match(error.message, /127\.0\.0\.1:1.*is the server running/);
    return true;
  });
  nobody.close();
  const webNobody = new browser.VectronClient("http://127.0.0.1:1", undefined, { timeoutMs: 60_000 });
  await assert.rejects(webNobody.listCollections(), vectron.UnavailableError);
  assert.throws(() => new VectronClient("http://x:1"), /scheme/);
  assert.throws(() => new VectronClient(""), /empty/);
  assert.throws(() => new browser.VectronClient("x:1"), /URL/);
});

test("a server that does not answer is a timeout, and a call can be aborted", async () => {
  const sockets = [];
  const silent = createServer((socket) => sockets.push(socket.on("error", () => {}).resume())).listen(0, "127.0.0.1");
  await new Promise((resolve) => silent.once("listening", resolve));
  const { port } = silent.address();
  for (const quiet of [new VectronClient(`127.0.0.1:${port}`), new browser.VectronClient(`http://127.0.0.1:${port}`)]) {
    await assert.rejects(quiet.listCollections({ timeoutMs: 200 }), (error) => {
      assert.ok(error instanceof vectron.DeadlineExceededError, String(error));
      assert.match(error.message, new RegExp(`127.0.0.1:${port} in time.*pass a longer timeoutMs`));
      return true;
    });
    const controller = new AbortController();
    const call = quiet.listCollections({ signal: controller.signal });
    setImmediate(() => controller.abort());
    await assert.rejects(call, vectron.CancelledError);
    quiet.close();
    await assert.rejects(quiet.listCollections(), /closed/);
  }
  for (const socket of sockets) socket.destroy();
  silent.close();
});

test("a client survives a restart of the server", { timeout: 120_000 }, async () => {
  const data = join(folder, "restart");
  let own = await start(data);
  const patient = new VectronClient(own.grpc, undefined, { timeoutMs: 100_000, retry: { maxAttempts: 1_000 } });
  await patient.createCollection("c", 2);
  await patient.upsert("c", [{ id: "a", vector: [1, 2] }]);
  await own.stop("SIGKILL");
  const write = patient.upsert("c", [{ id: "b", vector: [3, 4] }]);
  own = await start(data, { grpc: own.grpc });
  assert.equal(await write, 1);
  assert.deepEqual((await patient.get("c", "a")).vector, Float32Array.from([1, 2]));
  assert.deepEqual((await patient.get("c", "b")).vector, Float32Array.from([3, 4]));
  patient.close();
  assert.equal(await own.stop(), 0);
});

test("the quickstart runs", async () => {
  const example = fileURLToPath(new URL("../installed/quickstart.mjs", import.meta.url));
  const { stdout, stderr } = await new Promise((resolve) =>
    execFile(process.execPath, [example, server.grpc], (error, stdout, stderr) => resolve({ stdout, stderr })));
  const lines = stdout.trim().split("\n");
  assert.match(lines[0], /^apple .*price: 1.2/, stderr);
  assert.equal(lines.at(-1), "final kiwi", stderr);
  assert.equal(stderr, "");
});

test("CommonJS offers the same", () => {
  const required = createRequire(import.meta.url)("@vectron/client");
  assert.deepEqual(Object.keys(required).filter((key) => key !== "__esModule").sort(), Object.keys(vectron).sort());
  assert.ok(new required.VectronClientPool("x:1", undefined, { size: 2 }).get() instanceof required.VectronClient);
});

over("feedback is stored", async (client, name) => {
  await client.createCollection(name, 1);
  const found = await client.search(name, [1], 10, { query: "hello" });
  const ids = [];
  for (let i = 0; i < 2; i++) {
    ids.push(await client.submitFeedback(name, [{ resultId: "a", relevanceScore: 5, clicked: true }], { queryId: found.queryId }));
  }
  assert.equal(ids[0].length, 36);
  const first = await client.listFeedback(name, { limit: 1 });
  const rest = await client.listFeedback(name, { afterNumber: first.nextAfterNumber });
  assert.deepEqual([...first.records, ...rest.records].map((record) => record.feedbackId), ids);
  assert.deepEqual([rest.nextAfterNumber, rest.records[0].queryId], [0n, found.queryId]);
  assert.deepEqual(rest.records[0].items, [{ resultId: "a", relevanceScore: 5, clicked: true, position: 0, comment: "" }]);
});

over("management calls", async (client, name) => {
  await client.createCollection(name, 1);
  const { admin } = client;
  assert.ok((await admin.health()).overall_status);
  assert.ok((await admin.collections()).some((found) => found.name === name));
  assert.ok((await admin.stats()).stats);
  assert.ok(Array.isArray(await admin.alerts({ status: "active" })));
  const worker = (await admin.workers())[0].worker_id;
  assert.deepEqual(await admin.rebalance({ dryRun: true }), { started: false, moves: [] });
  assert.ok((await admin.timeSeries({ windowSeconds: 60 })).stepSeconds);
  assert.deepEqual((await admin.slowQueries({ collection: name })).queries, []);
  assert.equal((await admin.ranking(name)).state, "rule");
  await assert.rejects(admin.controlRanking(name, "promote"), vectron.FailedPreconditionError);
  await assert.rejects(admin.drainWorker(worker), vectron.FailedPreconditionError); // nowhere to go
  await assert.rejects(admin.removeWorker(worker), vectron.FailedPreconditionError);
  await assert.rejects(admin.resolveAlert("absent"), vectron.NotFoundError);
});

test("users and keys", async () => {
  const data = join(folder, "auth");
  const flags = ["--auth-login-per-minute", "0", "--auth-register-per-minute", "0", "--auth-key-per-minute", "0"];
  const own = await start(data, { auth: "on", flags });
  const bootstrapSecret = (await readFile(join(data, "bootstrap.secret"), "utf8")).trim();
  const admin = new VectronClient(own.grpc);
  await assert.rejects(admin.listCollections(), vectron.AuthenticationError);
  assert.equal((await admin.registerUser("root@example.org", "Passw0rd!", { bootstrapSecret })).role, "admin");
  await admin.login("root@example.org", "Passw0rd!");
  const wrong = new VectronClient(own.grpc, "vkey-wrong");
  await assert.rejects(wrong.listCollections(), /an API key or the token of a login/);
  wrong.close();
  const webAdmin = new browser.VectronClient(`http://${own.http}`);
  await webAdmin.login("root@example.org", "Passw0rd!");
  for (const [client, root] of [[new VectronClient(own.grpc), admin], [new browser.VectronClient(`http://${own.http}`), webAdmin]]) {
    const user = await client.registerUser("ada@example.org", "Passw0rd!");
    assert.deepEqual(await client.login("ada@example.org", "Passw0rd!"), user);
    assert.deepEqual(await client.getUserProfile(), user);
    const key = await client.createApiKey("a key");
    const keyed = new VectronClient(own.grpc, key.fullKey);
    assert.deepEqual(await keyed.listCollections(), []);
    keyed.close();
    assert.deepEqual((await client.listApiKeys()).map((each) => each.keyPrefix), [key.keyPrefix]);
    assert.ok((await client.validateApiKey(key.fullKey)).valid);
    const sdk = new VectronClient(own.grpc, await client.createSdkJwt(key.keyPrefix));
    assert.deepEqual(await sdk.listCollections(), []);
    await assert.rejects(sdk.createApiKey("not allowed"), vectron.PermissionDeniedError);
    sdk.close();
    await client.createCollection("same", 1);
    await root.createCollection("same", 2, "cosine", { tenant: user.id }).then(assert.fail, (error) => assert.ok(error instanceof vectron.AlreadyExistsError));
    await root.createCollection("same", 2);
    const dimensions = [{}, { tenant: user.id }].map(async (options) => (await root.getCollectionStatus("same", options)).dimension);
    assert.deepEqual(await Promise.all(dimensions), [2, 1]);
    await root.deleteCollection("same");
    await client.deleteCollection("same");
    await client.deleteApiKey(key.keyPrefix);
    assert.equal((await client.validateApiKey(key.fullKey)).valid, false);

    const first = await root.listUsers({ limit: 1 });
    const rest = await root.listUsers({ afterId: first.nextAfterId });
    assert.deepEqual([first, rest].flatMap((page) => page.users).map((each) => each.email).sort(), ["ada@example.org", "root@example.org"]);
    await assert.rejects(client.listUsers(), vectron.PermissionDeniedError);
    assert.equal((await root.updateUserProfile("paid")).plan, "PAID");
    await assert.rejects(client.updateUserProfile("paid"), vectron.PermissionDeniedError);
    const changed = await root.updateUser(user.id, { plan: "free", subscriptionStatus: "past_due", role: "admin" });
    assert.deepEqual([changed.plan, changed.subscriptionStatus, changed.role], ["FREE", "PAST_DUE", "admin"]);
    assert.ok(await root.rotateSigningKey());
    assert.ok(await client.refreshToken());
    await client.changePassword("Passw0rd!", "Passw0rd!!");
    await assert.rejects(client.login("ada@example.org", "Passw0rd!"), vectron.AuthenticationError);
    await client.deleteUser("Passw0rd!!");
    await root.logout();
    client.close();
    root.close();
  }
  assert.equal(await own.stop(), 0);
});

test("a credential that expires says so", async () => {
  const data = join(folder, "expiry");
  const own = await start(data, { auth: "on" });
  const bootstrapSecret = (await readFile(join(data, "bootstrap.secret"), "utf8")).trim();
  const client = new VectronClient(own.grpc);
  await client.registerUser("ada@example.org", "Passw0rd!", { bootstrapSecret });
  await client.login("ada@example.org", "Passw0rd!");
  const key = await client.createApiKey("short", { expiresAt: BigInt(Math.floor(Date.now() / 1_000) + 2) });
  const keyed = new VectronClient(own.grpc, key.fullKey);
  const ends = Date.now() + 30_000;
  await assert.rejects(
    async () => {
      while (Date.now() < ends) await keyed.listCollections();
    },
    (error) => error instanceof vectron.AuthenticationError && /expired.*need a new login/.test(error.message),
  );
  keyed.close();
  client.close();
  assert.equal(await own.stop(), 0);
});

test("a login that is over says so", { skip: !process.env.VECTRON_EXPIRED_TOKEN_TOOL && "VECTRON_EXPIRED_TOKEN_TOOL is not set" }, async () => {
  const data = join(folder, "over");
  const own = await start(data, { auth: "on" });
  const bootstrapSecret = (await readFile(join(data, "bootstrap.secret"), "utf8")).trim();
  const expired = (await promisify(execFile)("python3", ["-B", process.env.VECTRON_EXPIRED_TOKEN_TOOL, data])).stdout.trim();
  const client = new VectronClient(own.grpc);
  await client.registerUser("ada@example.org", "Passw0rd!", { bootstrapSecret });
  await client.login("ada@example.org", "Passw0rd!");
  const ended = await client.refreshToken();
  const over = (token) => [new VectronClient(own.grpc, token), new browser.VectronClient(`http://${own.http}`, token)];
  const others = over(ended);
  for (const other of others) assert.deepEqual(await other.listCollections(), []);
  await client.logout();
  const refused = async (late, words) => {
    await assert.rejects(late.listCollections(), (error) => {
      assert.ok(error instanceof vectron.AuthenticationError, String(error));
      assert.match(error.message, words);
      return true;
    });
    late.close();
  };
  for (const other of others) await refused(other, /the session has ended.*need a new login/);
  for (const late of over(expired)) await refused(late, /the token is expired.*need a new login/);
  client.close();
  assert.equal(await own.stop(), 0);
});
