#!/usr/bin/env python3
"""cache_hits - what does an answer from the cache cost, in CPU time of the proxy?

A real Chroma with 2000 records of 384 numbers behind a gateway; the same query again and again over
1 and 32 connections, and beside it the same with the cache off, which is what Chroma and the proxy
need. Usage: tests/bench/cache_hits.py [SECONDS]
"""

import json
import os
import pathlib
import random
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from bed import DATABASE, Chroma, Proxy  # noqa: E402

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 3
DIMENSION = 384
TICK = os.sysconf("SC_CLK_TCK")


def vector(generator, digits):
    return [round(generator.uniform(-0.1, 0.1), digits) for _ in range(DIMENSION)]


def cpu_seconds(process):
    """In the program and in the kernel."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) / TICK, int(fields[12]) / TICK


def fill(chroma):
    generator = random.Random(1)
    made = chroma.ask("POST", f"{DATABASE}/collections", {"name": "bench"})
    path = f"{DATABASE}/collections/{made['id']}"
    for first in range(0, 2000, 500):
        numbers = range(first, first + 500)
        chroma.ask(
            "POST",
            f"{path}/upsert",
            {
                "ids": [f"record-{i}" for i in numbers],
                "embeddings": [vector(generator, 6) for _ in numbers],
                "documents": ["a document of some words " * 12 for _ in numbers],
                "metadatas": [{"source": f"page-{i}", "n": i} for i in numbers],
            },
        )
    return path


def exchange(connections, request):
    """One request on each connection; the sizes of the answers."""
    for connection in connections:
        connection.sendall(request)
    return [read_answer(connection) for connection in connections]


def read_answer(connection):
    data = connection.recv(65536)
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, body = data.split(b"\r\n\r\n", 1)
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    size = len(body)
    while size < length:
        size += len(connection.recv(65536))
    return length


def measure(proxy, request, count):
    connections = [socket.create_connection(("127.0.0.1", proxy.port)) for _ in range(count)]
    exchange(connections, request)
    exchange(connections, request)
    asked, began, cpu = 0, time.monotonic(), cpu_seconds(proxy.process)
    while time.monotonic() < began + SECONDS:
        size = exchange(connections, request)[0]
        asked += count
    spent = time.monotonic() - began
    each = [(end - begin) / asked * 1e6 for begin, end in zip(cpu, cpu_seconds(proxy.process))]
    return asked / spent, each, size


def main():
    with Chroma() as chroma:
        path = fill(chroma)
        print(f"{'cache':6} {'body':>6} {'answer':>7} {'connections':>12} {'requests/s':>11}"
              f" {'CPU of the proxy: program, kernel, us each':>43}")
        for cache in ("auto", "false"):
            with Proxy(
                chroma.port,
                ["--set", "role=gateway", "--set", f"cache.enabled={cache}", "--set", "log.access=off"],
            ) as proxy:
                for digits, results in ((7, 10), (17, 10), (7, 80)):
                    body = json.dumps(
                        {
                            "query_embeddings": [vector(random.Random(2), digits)],
                            "n_results": results,
                        },
                        separators=(",", ":"),
                    ).encode()
                    request = (
                        f"POST {path}/query HTTP/1.1\r\nHost: bench\r\n"
                        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                    ).encode() + body
                    for count in (1, 32):
                        rate, cpu, size = measure(proxy, request, count)
                        print(f"{cache:6} {len(body):6} {size:7} {count:12} {rate:11.0f} {cpu[0]:34.1f} {cpu[1]:8.1f}")


if __name__ == "__main__":
    main()
