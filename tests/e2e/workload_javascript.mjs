// workload_javascript - seeded work with the JavaScript client: node workload_javascript.mjs PORT
// Prints [[what was called, result], ...] as JSON; an exception is a result too. WAIT_FOR_COPIES="CHROMA PROXY",
// two ports, makes each call wait until the proxy answers from copies of all collections.
import { ChromaClient } from "chromadb";

const dimension = 8;
const count = 30;
const texts = ["plain text", "向量数据库 🚀", 'quotes " and \\', "ünïcödé é"];

// Multiples of 1/64 below 16: exact in 32-bit floats.
function embed(number) {
  return Array.from(
    { length: dimension },
    (_, i) => ((number * number * (13 + i) + number * 37 + i * i * 11) % 1024) / 64,
  );
}

const range = (from, to) => Array.from({ length: to - from }, (_, i) => from + i);
const recordsOf = (numbers) => ({
  ids: numbers.map((n) => `标识-${n}`),
  embeddings: numbers.map(embed),
  documents: numbers.map((n) => `${texts[n % texts.length]} #${n}`),
  metadatas: numbers.map((n) => ({ number: n, even: n % 2 === 0, 文本: texts[n % texts.length] })),
});

const collections = "/api/v2/tenants/default_tenant/databases/default_database/collections";
async function waitForCopies(server, proxy) {
  for (const { id } of await (await fetch(`http://127.0.0.1:${server}${collections}`)).json()) {
    const count = () => fetch(`http://127.0.0.1:${proxy}${collections}/${id}/count`);
    while ((await count()).headers.get("x-chromabouncer-source") !== "mirror") {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

const journal = [];
async function call(what, promise) {
  if (process.env.WAIT_FOR_COPIES) await waitForCopies(...process.env.WAIT_FOR_COPIES.split(" "));
  try {
    journal.push([what, (await promise()) ?? null]);
  } catch (error) {
    journal.push([what, { raises: error.name, text: error.message }]);
  }
}

const client = new ChromaClient({ host: "127.0.0.1", port: Number(process.argv[2]) });
await call("version", () => client.version());
await call("no such collection", () => client.getCollection({ name: "missing" }));
const collection = await client.createCollection({
  name: "javascript",
  embeddingFunction: null,
  metadata: { 键: "值" },
});
const everything = ["documents", "metadatas", "embeddings", "uris"];
await call("add", () => collection.add(recordsOf(range(0, 10))));
await call("upsert", () => collection.upsert(recordsOf(range(10, count))));
await call("count", () => collection.count());
await call("get", () => collection.get({ include: everything }));
await call("get where", () => collection.get({ where: { 文本: texts[1] }, limit: 3 }));
await call("get whereDocument", () => collection.get({ whereDocument: { $contains: "🚀" } }));
await call("peek", () => collection.peek({ limit: 2 }));
await call("query", () =>
  collection.query({ queryEmbeddings: [embed(3), embed(20)], nResults: 4 }));
await call("query where", () =>
  collection.query({ queryEmbeddings: [embed(3)], where: { number: { $lt: 9 } } }));
// After the queries: one of 125 upserts that replaced vectors and added some hid a neighbour from Chroma itself.
await call("upsert again", () => collection.upsert(recordsOf(range(5, 9))));
await call("update", () =>
  collection.update({
    ids: ["标识-1"],
    documents: ["更新 ✅"],
    embeddings: [embed(99)],
    metadatas: [{ number: -1 }],
  }));
await call("delete", () => collection.delete({ ids: ["标识-2"] }));
await call("delete where", () => collection.delete({ where: { number: { $gte: 25 } } }));
await call("get at the end", () => collection.get({ include: everything }));
await call("wrong dimension", () => collection.add({ ids: ["x"], embeddings: [[1, 2]] }));
await call("wrong query", () => collection.query({ queryEmbeddings: [[1]] }));
await call("modify", () => collection.modify({ name: "renamed" }));
await call("countCollections", () => client.countCollections());
await call("deleteCollection", () => client.deleteCollection({ name: "renamed" }));
await call("after the end", () => collection.count());
console.log(JSON.stringify(journal));
