// Calls over gRPC against a server that does what a script says.
import assert from "node:assert/strict";
import { test } from "node:test";

import * as grpc from "@grpc/grpc-js";
import * as vectron from "@vectron/client";

import * as pb from "../dist/esm/gen/vectron/vectron.js";
import { relay } from "./relay.mjs";

const retry = { initialBackoffMs: 1, maxBackoffMs: 2 };
const raw = (bytes) => bytes;
const STREAM = { path: "/vectron.v1.VectronService/SearchStream", requestStream: false, responseStream: true };
const answer = (ids, last = false) =>
  Buffer.from(pb.SearchResponse.encode(pb.SearchResponse.fromPartial({ results: ids.map((id) => ({ id })), last })).finish());

/** At the end of a list: the call stays until the connection is gone. */
const STAYS = Symbol("stays");

/** Answers streams of searches with lists of messages and errors, one list a call. */
async function scripted(t, ...streams) {
  const server = new grpc.Server();
  const seen = { calls: 0 };
  const serializers = { requestSerialize: raw, requestDeserialize: raw, responseSerialize: raw, responseDeserialize: raw };
  server.addService({ searchStream: { ...STREAM, ...serializers } }, {
    searchStream(call) {
      const stream = streams[seen.calls++] ?? [{ code: grpc.status.INTERNAL, details: "the script is over" }];
      for (const message of stream) {
        if (message === STAYS) return;
        if (!(message instanceof Buffer)) return call.emit("error", message);
        call.write(message);
      }
      call.end();
    },
  });
  const port = await new Promise((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => (error ? reject(error) : resolve(port))));
  t.after(() => server.forceShutdown());
  return { seen, address: `127.0.0.1:${port}` };
}

for (const [way, end] of [["by an error", { code: grpc.status.UNAVAILABLE, details: "restarting" }], ["with its connection", STAYS]]) {
  test(`a stream that breaks ${way} is asked again`, async (t) => {
    const { seen, address: there } = await scripted(t, [answer(["b"]), end], [answer(["b"]), answer(["a", "b"], true)]);
    const { passed, address } = await relay(t, there);
    const client = new vectron.VectronClient(address, undefined, { retry });
    t.after(() => client.close());
    const answers = [];
    for await (const better of client.searchStream("c", [1])) {
      answers.push([better.map((result) => result.id), better.last]);
      if (end === STAYS && answers.length === 1) passed.cut();
    }
    assert.deepEqual(answers, [[["b"], false], [["b"], false], [["a", "b"], true]]);
    assert.equal(seen.calls, 2);
  });
}

test("an answer that is too large is asked for once", async (t) => {
  const { seen, address } = await scripted(t, [answer(["a".repeat(10_000)])]);
  const client = new vectron.VectronClient(address, undefined, { retry, maxMessageBytes: 5_000 });
  t.after(() => client.close());
  await assert.rejects(client.searchStream("c", [1]).next(), (error) => {
    assert.ok(error instanceof vectron.ResourceExhaustedError, String(error));
    assert.match(error.message, /larger than.*maxMessageBytes/);
    return true;
  });
  assert.equal(seen.calls, 1);
});
