// The pure parts: retry, filters, errors, splitting, the wire.
import assert from "node:assert/strict";
import { test } from "node:test";

import * as vectron from "@vectron/client";
import { BinaryWriter } from "@bufbuild/protobuf/wire";

import { runBatch, splitPoints, MAX_UPSERT_POINTS } from "../dist/esm/batch.js";
import { makeError } from "../dist/esm/errors.js";
import { filterJson } from "../dist/esm/filters.js";
import * as pb from "../dist/esm/gen/vectron/vectron.js";
import { encodeSearch, encodeUpsert } from "../dist/esm/grpc_transport.js";
import { checkJson, toFloats } from "../dist/esm/payload.js";
import { pauseMs } from "../dist/esm/retry.js";
import { retryAfterMs } from "../dist/esm/retry_info.js";

const { all, any, atLeast, field, hasId, not } = vectron;
const POLICY = { maxAttempts: 4, initialBackoffMs: 100, maxBackoffMs: 1_000, jitter: () => 0.5 };
const pause = (code, kind, { attempt = 1, left = 1e6, retryAfter = undefined, policy = POLICY } = {}) =>
  pauseMs(policy, makeError(code, "", "h", retryAfter), kind, attempt, left);

test("reads and named writes are repeated, a write that may have happened is not", () => {
  for (const code of ["UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"]) {
    assert.ok(pause(code, "read") > 0);
    assert.ok(pause(code, "named write") > 0);
  }
  assert.equal(pause("UNAVAILABLE", "other write"), undefined);
  assert.ok(pause("RESOURCE_EXHAUSTED", "other write") > 0);
  for (const code of ["INVALID_ARGUMENT", "NOT_FOUND", "INTERNAL", "ABORTED"]) assert.equal(pause(code, "read"), undefined);
});

test("pauses double up to a bound, end, and honour the server and the clock", () => {
  assert.deepEqual([1, 2, 3, 4].map((attempt) => pause("UNAVAILABLE", "read", { attempt })), [75, 150, 300, undefined]);
  assert.ok(pause("UNAVAILABLE", "read", { attempt: 90, policy: { ...POLICY, maxAttempts: 100 } }) <= 1_000);
  assert.ok(pause("RESOURCE_EXHAUSTED", "read", { retryAfter: 7_000 }) >= 7_000);
  assert.equal(pause("RESOURCE_EXHAUSTED", "read", { retryAfter: 7_000, left: 5_000 }), undefined);
});

test("a server that sets the pace is heeded beyond the attempts", () => {
  assert.ok(pause("RESOURCE_EXHAUSTED", "named write", { attempt: 50, retryAfter: 1_000 }) > 0);
  assert.equal(pause("RESOURCE_EXHAUSTED", "named write", { attempt: 50 }), undefined);
  assert.equal(pause("RESOURCE_EXHAUSTED", "read", { retryAfter: 1, policy: { ...POLICY, maxAttempts: 1 } }), undefined);
});

test("each code has its class and says what to do", () => {
  const kinds = {
    UNAUTHENTICATED: vectron.AuthenticationError,
    NOT_FOUND: vectron.NotFoundError,
    INVALID_ARGUMENT: vectron.InvalidArgumentError,
    OUT_OF_RANGE: vectron.InvalidArgumentError,
    ALREADY_EXISTS: vectron.AlreadyExistsError,
    INTERNAL: vectron.InternalServerError,
    UNAVAILABLE: vectron.UnavailableError,
    DEADLINE_EXCEEDED: vectron.DeadlineExceededError,
    RESOURCE_EXHAUSTED: vectron.ResourceExhaustedError,
  };
  for (const [code, kind] of Object.entries(kinds)) {
    const error = makeError(code, "why", "host:1");
    assert.ok(error instanceof kind && error instanceof vectron.VectronError);
    assert.equal(error.code, code);
    assert.equal(error.name, kind.name);
  }
  assert.match(makeError("UNAVAILABLE", "", "host:1").message, /host:1.*8081/);
  assert.match(makeError("DEADLINE_EXCEEDED", "", "host:1").message, /requestId/);
});

test("what is too large is not repeated", () => {
  for (const message of [
    "Attempted to send message with a size larger than 4",
    "Received message larger than max (5 vs 4)",
    "Received message that decompresses to a size larger than 4",
    "collection 'c': the hits hold more than 9 bytes of payloads and vectors, the most of one answer; ask for fewer",
  ]) {
    const error = makeError("RESOURCE_EXHAUSTED", message, "h", 1_000);
    for (const kind of ["read", "named write", "other write"]) assert.equal(pauseMs(POLICY, error, kind, 1, 1e6), undefined);
    assert.ok(!error.message.includes("slow down"), error.message);
  }
});

test("the hint when to come back is read, and no bytes break the reader", () => {
  const bytes = (number, value) => new BinaryWriter().uint32((number << 3) | 2).bytes(value).finish();
  const text = (value) => new TextEncoder().encode(value);
  const join = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));
  const duration = new BinaryWriter().uint32(8).int64(2n).uint32(16).int32(500_000_000).finish();
  const url = "type.googleapis.com/google.rpc.RetryInfo";
  const good = join([8, 8], bytes(2, text("busy")), bytes(3, join(bytes(1, text(url)), bytes(2, bytes(1, duration)))));
  assert.equal(retryAfterMs(good), 2_500);
  assert.equal(retryAfterMs(bytes(2, text("busy"))), undefined);
  for (let cut = 0; cut < good.length; cut++) {
    retryAfterMs(good.subarray(0, cut));
    retryAfterMs(join(good.subarray(0, cut), new Array(12).fill(255)));
  }
});

test("expressions become the wire's form, and chains stay flat", () => {
  const [a, b, c] = ["a", "b", "c"].map((name) => field(name).eq(1));
  const names = (conditions) => conditions.map((condition) => condition.field);
  assert.deepEqual(filterJson(field("a").oneOf(["x", 1, true])), { must: [{ field: "a", match: ["x", 1, true] }] });
  assert.deepEqual(filterJson(field("t").gte(new Date(0))).must[0].range, { gte: "1970-01-01T00:00:00.000Z" });
  assert.deepEqual(filterJson(hasId("p")), { must: [{ hasId: ["p"] }] });
  assert.deepEqual(names(filterJson(a.and(b).and(c)).must), ["a", "b", "c"]);
  assert.deepEqual(names(filterJson(a.or(b).or(c)).should), ["a", "b", "c"]);
  const mixed = filterJson(a.and(not(b)).and(c.not()));
  assert.deepEqual([names(mixed.must), names(mixed.mustNot)], [["a"], ["b", "c"]]);
  assert.deepEqual(names(filterJson(any(a, b).and(c)).must[0].filter.should), ["a", "b"]);
  assert.equal(filterJson(all(atLeast(2, a, b, c))).must[0].filter.minShould, 2);
  assert.deepEqual(filterJson(any(all(), a)).should[0], { filter: {} });
});

test("what is no filter is refused", () => {
  const bad = [
    { musst: [] },
    { must: [{ field: "a" }] },
    { must: [{ field: "a", match: 1, exists: true }] },
    { must: [{ field: "a", range: { less: 1 } }] },
    "a = 1",
  ];
  for (const filter of bad) assert.throws(() => filterJson(filter), vectron.InvalidArgumentError);
  assert.throws(() => field(""), vectron.InvalidArgumentError);
  assert.throws(() => atLeast(3, field("a").eq(1)), vectron.InvalidArgumentError);
  assert.throws(() => field("a").eq(NaN), /NaN/);
});

test("points and queries are those of the generated code", () => {
  const vector = Float32Array.from({ length: 300 }, (_, i) => i / 7);
  const payload = { s: "é", n: 1, deep: { list: [1, "x", null, true] } };
  const request = { collection: "c", requestId: "r", insertOnly: true, points: [{ id: "p", vector, payload }] };
  const upsert = pb.UpsertRequest.decode(encodeUpsert(request).finish());
  assert.deepEqual(Float32Array.from(upsert.points[0].vector), vector);
  assert.deepEqual(upsert.points[0].fields, payload);
  assert.deepEqual([upsert.collection, upsert.requestId, upsert.insertOnly], ["c", "r", true]);
  const filter = filterJson(field("a").eq("x"));
  const search = pb.SearchRequest.decode(encodeSearch({ collection: "c", vector, topK: 3, filter, ef: 9 }).finish());
  assert.deepEqual(Float32Array.from(search.vector), vector);
  assert.deepEqual([search.topK, search.params.ef, search.filter.must[0].match], [3, 9, "x"]);
});

test("a slice of a larger array is sent as that slice", () => {
  const vector = Float32Array.from([1, 2, 3, 4]).subarray(1, 3);
  const request = { collection: "c", requestId: "r", insertOnly: false, points: [{ id: "p", vector }] };
  assert.deepEqual(pb.UpsertRequest.decode(encodeUpsert(request).finish()).points[0].vector, [2, 3]);
});

test("bad values are refused by their path", () => {
  const cases = [
    [{ a: { b: NaN } }, /p\.a\.b.*NaN/],
    [{ a: 1n }, /bigint/],
    [{ a: undefined }, /undefined/],
    [{ a: new Date() }, /toISOString/],
    [{ a: "\ud800" }, /Unicode/],
  ];
  for (const [payload, words] of cases) assert.throws(() => checkJson(payload, "p"), words);
  let deep = {};
  for (let i = 0; i < 40; i++) deep = { a: deep };
  assert.throws(() => checkJson(deep, "p"), /deeper than 32/);
  assert.throws(() => toFloats([1, NaN], "point p"), /point p: component 1/);
  assert.throws(() => toFloats([1e39], "point p"), /component 0.*1e\+39/);
  assert.throws(() => toFloats([], "point p"), /empty/);
  assert.throws(() => toFloats(undefined, "point p"), /no array/);
});

test("points are split in order, within the limits", () => {
  const points = (count, payload) => Array.from({ length: count }, (_, i) => ({ id: `p${i}`, vector: [1], ...(payload ? { payload } : {}) }));
  const sizes = (parts) => [...parts].map((part) => part.points.length);
  assert.deepEqual(sizes(splitPoints(points(10), { maxPoints: 4 })), [4, 4, 2]);
  assert.deepEqual(sizes(splitPoints(points(MAX_UPSERT_POINTS + 1), { maxPoints: 1e9 })), [MAX_UPSERT_POINTS, 1]);
  assert.deepEqual(sizes(splitPoints(points(4, { t: "x".repeat(1_000) }), { maxBytes: 7_000 })), [2, 2]);
  assert.deepEqual(sizes(splitPoints(points(2, { t: "x".repeat(1_000) }), { maxBytes: 10 })), [1, 1]);
  assert.deepEqual([...splitPoints([])], []);
  assert.deepEqual([...splitPoints(points(2), { maxPoints: 1, requestId: "r" })].map((part) => part.requestId), ["r", "r/1"]);
  assert.throws(() => [...splitPoints([{ id: "", vector: [1] }])], /ids are strings/);
  assert.throws(() => [...splitPoints([{ id: "a", vector: [1], payload: { n: NaN } }])], /payload of point "a"\.n/);
});

test("requests have ids where browsers make none", () => {
  Object.defineProperty(crypto, "randomUUID", { value: undefined, configurable: true });
  const ids = Array.from({ length: 2 }, () => [...splitPoints([{ id: "a", vector: [1] }])][0].requestId);
  delete crypto.randomUUID;
  for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.notEqual(ids[0], ids[1]);
});

test("a batch goes on after a failure and reports it", async () => {
  const points = Array.from({ length: 6 }, (_, i) => ({ id: `p${i}`, vector: [1] }));
  const steps = [];
  const send = async (part) => {
    if (part.start === 2) throw makeError("INVALID_ARGUMENT", "bad", "h");
    return part.points.length;
  };
  const report = await runBatch(points, { batchSize: 2, onProgress: (step) => steps.push(step) }, send);
  assert.equal(report.upserted, 4);
  assert.deepEqual(report.failures.map(({ start, ids }) => [start, ids]), [[2, ["p2", "p3"]]]);
  assert.deepEqual(steps.at(-1), { pointsDone: 6, pointsFailed: 2 });
});
