// What the TypeScript client costs per search, against the generated messages and a bare channel. Arguments: HOST:PORT of gRPC, and
// the folder of the built package.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { createRequire } from "node:module";

const [host, folder] = process.argv.slice(2);
const { VectronClient } = await import(pathToFileURL(join(folder, "dist/esm/index.js")).href);
const pb = await import(pathToFileURL(join(folder, "dist/esm/gen/vectron/vectron.js")).href);
const grpc = createRequire(join(folder, "package.json"))("@grpc/grpc-js");

const WARM_UP = 200;
const ROUNDS = 2_000;
const channel = new grpc.Client(host, grpc.credentials.createInsecure());
const raw = (name, vector) =>
  new Promise((resolve, reject) =>
    channel.makeUnaryRequest(
      "/vectron.v1.VectronService/Search",
      (request) => Buffer.from(pb.SearchRequest.encode(request).finish()),
      (bytes) => pb.SearchResponse.decode(bytes),
      pb.SearchRequest.fromPartial({ collection: name, vector, topK: 10 }),
      new grpc.Metadata(),
      { deadline: Date.now() + 10_000 },
      (error, answer) => (error ? reject(error) : resolve(answer.results.map(({ id, score }) => [id, score]))),
    ),
  );
const client = new VectronClient(host);
const ours = async (name, vector) => (await client.search(name, vector)).map(({ id, score }) => [id, score]);
const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];

for (const dimension of [128, 768]) {
  const name = `overhead-${dimension}`;
  const vectors = Array.from({ length: 2_000 }, () => Float32Array.from({ length: dimension }, () => Math.random() - 0.5));
  await client.createCollection(name, dimension);
  await client.upsertBatch(name, vectors.map((vector, i) => ({ id: String(i), vector })));
  const times = { raw: [], client: [] };
  for (let round = 0; round < WARM_UP + ROUNDS; round++) {
    const vector = vectors[round % vectors.length];
    const calls = [["raw", raw], ["client", ours]];
    const found = [];
    for (const [kind, call] of round % 2 ? calls : calls.reverse()) {
      const start = process.hrtime.bigint();
      found.push(JSON.stringify(await call(name, vector)));
      if (round >= WARM_UP) times[kind].push(Number(process.hrtime.bigint() - start) / 1e3);
    }
    if (found[0] !== found[1]) throw new Error(`different answers: ${found}`);
  }
  const [a, b] = [median(times.raw), median(times.client)];
  console.log(`typescript ${dimension}: raw ${a.toFixed(0)} us, client ${b.toFixed(0)} us, ratio ${(b / a).toFixed(3)}`);
  await client.deleteCollection(name);
}
client.close();
channel.close();
