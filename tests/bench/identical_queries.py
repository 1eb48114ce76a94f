#!/usr/bin/env python3
"""identical_queries - what do 32 clients cost that ask the same at once, and what where they wait for
one of them?

A real Chroma with 2000 records of 384 numbers behind a gateway. In each round all ask the same, which
nobody has asked before, so that nothing comes from the cache; with the cache, and with
`cache.enabled: false`, where each question is sent. Usage: tests/bench/identical_queries.py [ROUNDS]
"""

import json
import pathlib
import random
import re
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from bed import Chroma, WatchedProxy  # noqa: E402
from query_load import cpu_seconds, exchange, fill, vector  # noqa: E402

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 100
CLIENTS = 32


def request_of(path, number):
    body = json.dumps(
        {
            "query_embeddings": [vector(random.Random(number), 7)],
            "n_results": 10,
            "where": {"n": {"$gt": 100}},
        }
    ).encode()
    return (
        f"POST {path}/query HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def calls(proxy):
    found = re.findall(r'_backend_requests_total{op="query",.*} (\d+)', proxy.get("/metrics"))
    return sum(int(count) for count in found)


def measure(chroma, proxy, path, first):
    connections = [socket.create_connection(("127.0.0.1", proxy.port)) for _ in range(CLIENTS)]
    exchange(connections, request_of(path, first))
    processes = (proxy.process, chroma.process)
    before, asked = [sum(cpu_seconds(process)) for process in processes], calls(proxy)
    began = time.monotonic()
    for number in range(first + 1, first + 1 + ROUNDS):
        exchange(connections, request_of(path, number))
    seconds = time.monotonic() - began
    cpu = [
        (sum(cpu_seconds(process)) - then) * 1000 / ROUNDS
        for process, then in zip(processes, before)
    ]
    return (calls(proxy) - asked) / ROUNDS, seconds * 1000 / ROUNDS, *cpu


def main():
    print(f"{'cache':6} {'calls':>6} {'ms':>8} {'CPU ms: proxy':>14} {'Chroma':>8}  each round")
    with Chroma() as chroma:
        path = fill(chroma)
        for cache in ("false", "auto") * 2:
            settings = ["role=gateway", "backend.settle_time=0s", f"cache.enabled={cache}", "log.access=off"]
            arguments = [part for setting in settings for part in ("--set", setting)]
            with WatchedProxy(chroma.port, arguments) as proxy:
                time.sleep(1)  # what is kept before the proxy knows its Chroma is void
                row = measure(chroma, proxy, path, 1000 * (cache == "auto"))
                print(f"{cache:6} {row[0]:6.1f} {row[1]:8.1f} {row[2]:14.2f} {row[3]:8.1f}")


if __name__ == "__main__":
    main()
