import { field, VectronClient } from "@vectron/client";

const client = new VectronClient(process.argv[2] ?? "localhost:8081");
await client.createCollection("fruit-typescript", 3, "cosine");
await client.upsert("fruit-typescript", [
  { id: "apple", vector: [0.9, 0.1, 0.2], payload: { price: 1.2 } },
  { id: "kiwi", vector: new Float32Array([0.1, 0.9, 0.4]), payload: { price: 0.6 } },
]);
const found = await client.search("fruit-typescript", [0.9, 0.2, 0.2], 2, { filter: field("price").lt(5) });
console.log(found[0].id, found[0].score, found[0].payload);
for await (const better of client.searchStream("fruit-typescript", [0.1, 0.8, 0.4], 1)) console.log(better.last ? "final" : "so far", better[0].id);
await client.submitFeedback("fruit-typescript", [{ resultId: "apple", relevanceScore: 5, clicked: true }], { queryId: found.queryId });
await client.deleteCollection("fruit-typescript");
client.close();
