// writer_javascript - writer.py's http writer with the JavaScript client.
// Usage: node writer_javascript.mjs PORT SECONDS NAME
import { createHash } from "node:crypto";
import { ChromaClient } from "chromadb";

const [port, seconds, name] = process.argv.slice(2);

function batchOf(start, size) {
  const numbers = Array.from({ length: size }, (_, offset) => start + offset);
  const documents = numbers.map((number) => `${name}-${number} 记录 😀`);
  return {
    ids: numbers.map((number) => `${name}-${number}`),
    documents,
    embeddings: documents.map((document) =>
      [...createHash("sha256").update(document).digest().subarray(0, 16)].map(
        (byte) => (byte - 128) / 128,
      )),
    metadatas: numbers.map((number) => ({ writer: name, number })),
  };
}

const end = Date.now() + Number(seconds) * 1000;
const errors = [];
let written = 0;
try {
  const client = new ChromaClient({ host: "127.0.0.1", port: Number(port) });
  const collection = await client.getOrCreateCollection({
    name: "shared",
    embeddingFunction: null,
  });
  for (let size = 1; Date.now() < end; size = (size % 3) + 1) {
    const batch = batchOf(written, size);
    await (written % 2 ? collection.add(batch) : collection.upsert(batch));
    written += size;
    await collection.query({ queryEmbeddings: [batch.embeddings[0]], nResults: 3 });
  }
} catch (error) {
  errors.push(`${error.name}: ${error.message}`);
}
console.log(JSON.stringify({ written, errors }));
