"""Many real clients at once, for a minute: no error, and every acknowledged record is there.

E2E_SECONDS sets another duration; CHROMABOUNCER=none lets the clients loose on Chroma itself.
"""

import json
import os
import subprocess
import sys

import pytest

from bed import DATABASE, ROOT, Chroma, Proxy
from conftest import WITHOUT_PROXY
from writer import COLLECTION, record

SECONDS = int(os.environ.get("E2E_SECONDS", "30"))
LIBRARIES = ["http", "http", "http", "async", "async", "javascript", "langchain", "llamaindex"]
PAGE_RECORDS = 1000


@pytest.mark.timeout(SECONDS + 180)
def test_concurrent_writers_get_no_error_and_lose_nothing():
    with Chroma() as chroma, chroma if WITHOUT_PROXY else Proxy(chroma.port) as proxy:
        names = [f"{library}{number}" for number, library in enumerate(LIBRARIES)]
        writers = [start_writer(*pair, proxy.port) for pair in zip(LIBRARIES, names)]
        results = [json.loads(writer.communicate()[0]) for writer in writers]
        written = {name: result["written"] for name, result in zip(names, results)}
        print(f"records written in {SECONDS} s: {sum(written.values())}, {written}")

        assert [result["errors"] for result in results] == [[] for _ in names]
        assert all(written.values())
        for library, name in zip(LIBRARIES, names):
            stored = stored_records(chroma, COLLECTION.get(library, name), name)
            assert len(stored) == written[name]
            for number in range(written[name]):
                identifier, *rest = record(name, number)
                assert stored[identifier] == tuple(rest), identifier
        shared = [name for library, name in zip(LIBRARIES, names) if library in COLLECTION]
        assert count_of(chroma, "shared") == sum(written[name] for name in shared)


def start_writer(library, name, port):
    arguments = [str(port), str(SECONDS), name]
    if library == "javascript":
        command = ["node", ROOT / "tests/e2e/writer_javascript.mjs", *arguments]
    else:
        command = [sys.executable, ROOT / "tests/e2e/writer.py", library, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def stored_records(server, collection, name):
    """What `server` holds of the writer `name`: id to (document, embedding, metadata)."""
    path = f"{DATABASE}/collections/{collection_id(server, collection)}/get"
    include = ["documents", "embeddings", "metadatas"]
    stored = {}
    while True:
        request = {
            "where": {"writer": name},
            "include": include,
            "limit": PAGE_RECORDS,
            "offset": len(stored),
        }
        answer = server.ask("POST", path, request)
        for identifier, document, embedding, metadata in zip(
            answer["ids"], answer["documents"], answer["embeddings"], answer["metadatas"]
        ):
            # LlamaIndex adds keys of its own.
            plain = {key: metadata[key] for key in ("writer", "number")}
            stored[identifier] = (document, embedding, plain)
        if len(answer["ids"]) < PAGE_RECORDS:
            return stored


def collection_id(server, collection):
    return server.ask("GET", f"{DATABASE}/collections/{collection}")["id"]


def count_of(server, collection):
    path = f"{DATABASE}/collections/{collection_id(server, collection)}/count"
    return server.ask("GET", path)
