"""client_workloads - the same seeded work with each Python client library.

Each function talks to the server on `port`, one request at a time, and returns what the library
gave back, as [(what was called, result)]. An exception is a result too: its type and text.
"""

import asyncio
import hashlib
import random

import chromadb
from langchain_chroma import Chroma as LangchainChroma
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores import (
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
)
from llama_index.vector_stores.chroma import ChromaVectorStore

DIMENSION = 16
TEXTS = [
    "A vector database stores embeddings.",
    "向量数据库存储嵌入向量。",
    "代理服务器把许多小写请求合并成一批。",
    "Emoji: 😀👩‍👩‍👧‍👦🇨🇭, combining: e\u0301, right-to-left: שלום",
    "Quotes \" ' \\ and control characters \t\n are escaped.",
    "Zażółć gęślą jaźń",
    "",
    "x" * 5000,
]


def embed(text):
    """A vector that depends on the text alone; exact in 32-bit floats."""
    seed = hashlib.sha256(text.encode()).digest()
    return [(byte - 128) / 128 for byte in seed[:DIMENSION]]


def make_records(seed, count):
    generator = random.Random(seed)
    texts = [f"{generator.choice(TEXTS)} #{number}" for number in range(count)]
    return {
        "ids": [f"记录-{number}" for number in range(count)],
        "documents": texts,
        "embeddings": [embed(text) for text in texts],
        "metadatas": [
            {
                "number": number,
                "share": generator.random(),
                "even": number % 2 == 0,
                "语言": generator.choice(["中文", "English", "🏴‍☠️"]),
            }
            for number in range(count)
        ],
    }


class Journal(list):
    """Collects results; a failing call is a result. `before` runs before each call."""

    before = staticmethod(lambda: None)

    def call(self, what, function, *arguments, **named):
        self.before()
        try:
            result = function(*arguments, **named)
        except Exception as error:
            result = {"raises": type(error).__name__, "text": str(error)}
        self.append((what, result))
        return result

    async def wait(self, what, awaitable):
        self.before()
        try:
            result = await awaitable
        except Exception as error:
            result = {"raises": type(error).__name__, "text": str(error)}
        self.append((what, result))
        return result


EVERYTHING = ["documents", "metadatas", "embeddings", "uris"]


def collection_calls(seed):
    """(method, arguments) of one collection's life, for both of chromadb's own clients."""
    records = make_records(seed, 40)
    first = {key: values[:10] for key, values in records.items()}
    rest = {key: values[10:] for key, values in records.items()}
    one = records["embeddings"][3]
    return [
        ("count", {}),
        ("query", {"query_embeddings": [one]}),
        ("add", first),
        ("add", first),
        ("upsert", rest),
        ("count", {}),
        ("get", {}),
        ("get", {"ids": ["记录-1", "missing"], "include": EVERYTHING}),
        ("get", {"where": {"语言": "中文"}, "limit": 3, "offset": 1}),
        ("get", {"where_document": {"$contains": "合并"}}),
        ("get", {"where": {"$and": [{"even": True}, {"share": {"$gt": 0.5}}]}}),
        ("peek", {"limit": 3}),
        ("query", {"query_embeddings": [one, records["embeddings"][7]], "n_results": 5}),
        ("query", {"query_embeddings": [one], "where": {"number": {"$in": [1, 3, 5]}}}),
        ("query", {"query_embeddings": [one], "include": [*EVERYTHING, "distances"]}),
        (
            "update",
            {
                "ids": ["记录-3"],
                "documents": ["更新 ✅"],
                "embeddings": [embed("更新 ✅")],
                "metadatas": [{"number": -3}],
            },
        ),
        ("update", {"ids": ["记录-2"], "metadatas": [{"number": None, "more": [1, 2]}]}),
        ("upsert", {"ids": ["记录-4"], "embeddings": [embed("again")]}),
        ("get", {"ids": ["记录-2", "记录-3", "记录-4"], "include": EVERYTHING}),
        ("delete", {"ids": ["记录-5", "记录-6"]}),
        ("delete", {"where": {"number": {"$gte": 30}}}),
        ("count", {}),
        ("query", {"query_embeddings": [one], "n_results": 3}),
        ("add", {"ids": ["wrong"], "embeddings": [[1.0, 2.0]]}),
        ("add", {"ids": ["same", "same"], "embeddings": [embed("a"), embed("b")]}),
        ("query", {"query_embeddings": [[1.0]]}),
        ("get", {"where_document": {"$regex": "("}}),
        ("modify", {"name": "renamed", "metadata": {"k": "值"}}),
        ("count", {}),
    ]


def python_sync(port):
    journal = Journal()
    client = chromadb.HttpClient(host="127.0.0.1", port=port)
    journal.call("version", client.get_version)
    journal.call("max_batch_size", client.get_max_batch_size)
    journal.call("no such collection", client.get_collection, "missing")
    collection = client.create_collection("python", embedding_function=None, metadata={"a": 1})
    journal.call("create again", client.create_collection, "python")
    for method, arguments in collection_calls(1):
        journal.call(method, getattr(collection, method), **arguments)
    journal.call("count_collections", client.count_collections)
    journal.call("delete_collection", client.delete_collection, "renamed")
    journal.call("after the end", collection.count)
    return journal


def python_async(port):
    return asyncio.run(_python_async(port))


async def _python_async(port):
    journal = Journal()
    client = await chromadb.AsyncHttpClient(host="127.0.0.1", port=port)
    await journal.wait("version", client.get_version())
    await journal.wait("no such collection", client.get_collection("missing"))
    collection = await client.create_collection("async", embedding_function=None)
    for method, arguments in collection_calls(2):
        await journal.wait(method, getattr(collection, method)(**arguments))
    await journal.wait("delete_collection", client.delete_collection("renamed"))
    await journal.wait("after the end", collection.count())
    return journal


class TextEmbeddings(Embeddings):
    """embed() in LangChain's form."""

    def embed_documents(self, texts):
        return [embed(text) for text in texts]

    def embed_query(self, text):
        return embed(text)


def langchain(port):
    journal = Journal()
    store = LangchainChroma(
        "langchain",
        TextEmbeddings(),
        host="127.0.0.1",
        port=port,
        collection_configuration={"hnsw": {"space": "cosine"}},
    )
    records = make_records(3, 30)
    documents = [
        Document(page_content=text, metadata=metadata if number % 3 else {})
        for number, (text, metadata) in enumerate(zip(records["documents"], records["metadatas"]))
    ]
    journal.call("add_documents", store.add_documents, documents, ids=records["ids"])
    question = "向量数据库 😀"
    journal.call("similarity_search", store.similarity_search, question)
    journal.call("with score", store.similarity_search_with_score, question, k=7)
    journal.call("with filter", store.similarity_search, question, filter={"even": True})
    journal.call("by vector", store.similarity_search_by_vector, embed("x"), k=3)
    journal.call("relevance", store.similarity_search_with_relevance_scores, question)
    journal.call("mmr", store.max_marginal_relevance_search, question, k=5, fetch_k=15)
    journal.call("get_by_ids", store.get_by_ids, records["ids"][1:3])
    changed = Document(page_content="更新", metadata={"number": 99})
    journal.call("update_document", store.update_document, records["ids"][0], changed)
    journal.call("get", store.get, records["ids"][0])
    journal.call("delete", store.delete, records["ids"][5:10])
    journal.call("after delete", store.similarity_search, question, k=30)
    retriever = store.as_retriever(search_type="mmr")
    journal.call("retriever", retriever.invoke, question)
    journal.call("delete_collection", store.delete_collection)
    return journal


def llamaindex(port):
    journal = Journal()
    store = ChromaVectorStore.from_params(
        collection_name="llamaindex", host="127.0.0.1", port=str(port)
    )
    records = make_records(4, 30)
    nodes = []
    for number, text in enumerate(records["documents"]):
        node = TextNode(
            id_=f"节点-{number}",
            text=text,
            embedding=records["embeddings"][number],
            metadata=records["metadatas"][number],
        )
        source = RelatedNodeInfo(node_id=f"document-{number % 4}")
        node.relationships[NodeRelationship.SOURCE] = source
        nodes.append(node)
    journal.call("add", store.add, nodes)
    question = embed("代理 🚀")
    for top_k in (1, 5):
        query = VectorStoreQuery(query_embedding=question, similarity_top_k=top_k)
        journal.call(f"query {top_k}", _query, store, query)
    filters = MetadataFilters(
        filters=[MetadataFilter(key="number", value=10, operator=FilterOperator.LT)]
    )
    query = VectorStoreQuery(query_embedding=question, similarity_top_k=4, filters=filters)
    journal.call("filtered query", _query, store, query)
    journal.call("get_nodes", lambda: [_node(node) for node in store.get_nodes(["节点-7"])])
    journal.call("delete", store.delete, "document-1")
    journal.call("delete_nodes", store.delete_nodes, ["节点-2"])
    query = VectorStoreQuery(query_embedding=question, similarity_top_k=30)
    journal.call("query after delete", _query, store, query)
    journal.call("clear", store.clear)
    return journal


def _query(store, query):
    result = store.query(query)
    return [result.ids, result.similarities, [_node(node) for node in result.nodes]]


def _node(node):
    return {"id": node.node_id, "text": node.text, "metadata": node.metadata}
