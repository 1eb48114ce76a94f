"""writer - one client that writes records of its own for a while, then tells how many.

Usage: writer.py LIBRARY PORT SECONDS NAME
Prints {"written": N, "errors": [...]}: records 0..N-1 of NAME were acknowledged. What record n
of a name holds follows from the two alone, here and in writer_javascript.mjs.
"""

import asyncio
import hashlib
import json
import sys
import time

import chromadb

COLLECTION = {"http": "shared", "async": "shared", "javascript": "shared"}


def record(name, number):
    """(id, document, embedding, metadata)"""
    identifier = f"{name}-{number}"
    document = f"{identifier} 记录 😀"
    return identifier, document, embed(document), {"writer": name, "number": number}


def embed(document):
    """Exact in 32-bit floats."""
    seed = hashlib.sha256(document.encode()).digest()
    return [(byte - 128) / 128 for byte in seed[:16]]


def records(name, start, count):
    """As add() and upsert() want them."""
    columns = zip(*(record(name, number) for number in range(start, start + count)))
    return dict(zip(("ids", "documents", "embeddings", "metadatas"), map(list, columns)))


class Pace:
    """Batches of 1, 2, 3, 1, ... records until the time is up, which starts with the first."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.written = 0

    def batches(self):
        size = 1
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            yield self.written, size
            self.written += size
            size = size % 3 + 1


def write_http(port, name, pace):
    client = chromadb.HttpClient(host="127.0.0.1", port=port)
    collection = client.get_or_create_collection(COLLECTION["http"], embedding_function=None)
    for start, size in pace.batches():
        batch = records(name, start, size)
        write = collection.add if start % 2 else collection.upsert
        write(**batch)
        assert collection.get(ids=batch["ids"])["documents"] == batch["documents"]
        if start % 5 == 0:
            collection.query(query_embeddings=batch["embeddings"][:1], n_results=3)
            assert collection.count() >= start


def write_async(port, name, pace):
    asyncio.run(_write_async(port, name, pace))


async def _write_async(port, name, pace):
    client = await chromadb.AsyncHttpClient(host="127.0.0.1", port=port)
    collection = await client.get_or_create_collection(
        COLLECTION["async"], embedding_function=None
    )
    for start, size in pace.batches():
        await asyncio.gather(
            *(collection.upsert(**records(name, start + offset, 1)) for offset in range(size)),
            collection.count(),
        )


def write_langchain(port, name, pace):
    from langchain_chroma import Chroma
    from langchain_core.embeddings import Embeddings

    class RecordEmbeddings(Embeddings):
        def embed_documents(self, texts):
            return [embed(text) for text in texts]

        def embed_query(self, text):
            return embed(text)

    store = Chroma(name, RecordEmbeddings(), host="127.0.0.1", port=port)
    for start, size in pace.batches():
        batch = records(name, start, size)
        store.add_texts(batch["documents"], batch["metadatas"], batch["ids"])
        store.similarity_search_by_vector(batch["embeddings"][0], k=2)


def write_llamaindex(port, name, pace):
    from llama_index.core.schema import TextNode
    from llama_index.core.vector_stores import VectorStoreQuery
    from llama_index.vector_stores.chroma import ChromaVectorStore

    store = ChromaVectorStore.from_params(collection_name=name, host="127.0.0.1", port=str(port))
    for start, size in pace.batches():
        nodes = [record(name, start + offset) for offset in range(size)]
        store.add(
            [
                TextNode(id_=identifier, text=document, embedding=embedding, metadata=metadata)
                for identifier, document, embedding, metadata in nodes
            ]
        )
        store.query(VectorStoreQuery(query_embedding=nodes[0][2], similarity_top_k=2))


def main(library, port, seconds, name):
    pace, errors = Pace(float(seconds)), []
    try:
        globals()[f"write_{library}"](int(port), name, pace)
    except Exception as error:
        errors.append(f"{type(error).__name__}: {error}")
    print(json.dumps({"written": pace.written, "errors": errors}))


if __name__ == "__main__":
    main(*sys.argv[1:])
