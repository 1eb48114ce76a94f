#!/usr/bin/env python3
"""construct_clients - what does constructing a client cost, through a gateway and direct?

An application constructs an HttpClient and a LangChain store on it, asks how much it may send at
once, and writes one record, again and again: the constructions are timed, the writes are not. Then
only the five questions are asked, over one connection, as fast as they are answered.
Usage: tests/bench/construct_clients.py [CONSTRUCTIONS]   with the Python of .venv
"""

import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import chromadb  # noqa: E402
from langchain_chroma import Chroma as LangChainChroma  # noqa: E402

from bed import DATABASE, Chroma, Proxy  # noqa: E402
from query_load import cpu_seconds  # noqa: E402
from test_cache import Asker  # noqa: E402

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 100
TIMES = 20
QUESTIONS = [
    ("GET", "/api/v2/auth/identity", None),
    ("GET", "/api/v2/tenants/default_tenant", None),
    ("GET", DATABASE, None),
    ("POST", f"{DATABASE}/collections", json.dumps({"name": "articles", "get_or_create": True})),
    ("GET", "/api/v2/pre-flight-checks", None),
]


class Lengths:
    def embed_documents(self, texts):
        return [[float(len(text)), 1.0, 2.0] for text in texts]


def construct(port):
    client = chromadb.HttpClient(host="127.0.0.1", port=port)
    store = LangChainChroma(client=client, collection_name="articles", embedding_function=Lengths())
    client.get_max_batch_size()
    return store


def ask(asker):
    for method, path, body in QUESTIONS:
        asker.ask(method, path, body)


class Side:
    """Where the questions go, and what that has cost."""

    def __init__(self, name, port, processes):
        self.name, self.port, self.processes = name, port, processes
        self.asker = Asker(port)
        self.begin()

    def begin(self):
        self.spent, self.cpu = 0.0, [0.0] * len(self.processes)

    def time(self, function):
        before, began = [sum(cpu_seconds(process)) for process in self.processes], time.monotonic()
        result = function(self)
        self.spent += time.monotonic() - began
        for number, process in enumerate(self.processes):
            self.cpu[number] += sum(cpu_seconds(process)) - before[number]
        return result


def measure(what, sides, times, once, afterwards):
    """Alternately, so that both meet the same weather; the first ones fill the cache."""
    for number in range(-10, COUNT):
        for side in sides:
            if number == 0:
                side.begin()
            afterwards(side.time(once), number)
    for side in sides:
        each = [value / COUNT / times * 1000 for value in (side.spent, *side.cpu, 0.0)]
        print(f"{what + ', ' + side.name:40} {each[0]:8.2f} {each[1]:14.2f} {each[2]:13.3f}")


def write(store, number):
    store.add_texts([f"text {number}"], [{"n": number}], ids=[f"t{number}"])


def main():
    with Chroma() as chroma, Proxy(
        chroma.port, ["--set", "role=gateway", "--set", "backend.settle_time=0s", "--set", "log.access=off"]
    ) as proxy:
        time.sleep(11)  # what is kept in the first ten seconds goes when they are over
        sides = [
            Side("direct", chroma.port, [chroma.process]),
            Side("gateway", proxy.port, [chroma.process, proxy.process]),
        ]
        print(f"{'each construction':40} {'ms':>8} {'ms CPU Chroma':>14} {'ms CPU proxy':>13}")
        measure("an application's", sides, 1, lambda side: construct(side.port), write)
        measure(
            "its five questions",
            sides,
            TIMES,
            lambda side: [ask(side.asker) for _ in range(TIMES)],
            lambda result, number: None,
        )


main()
