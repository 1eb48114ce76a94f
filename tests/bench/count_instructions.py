#!/usr/bin/env python3
"""count_instructions - how many instructions of its own, the kernel's not among them, does a request cost?

One client asks the stub through each PROGRAM under callgrind, few times and many times; the
difference is what a request costs. It is the same on a busy machine, where CPU time is not.
Usage: tests/bench/count_instructions.py [PROGRAM]...   default: ./chromabouncer
"""

import json
import os
import pathlib
import re
import shutil
import socket
import sys
import time

import bench_tools as tools

FEW, MANY = 500, 2500
COLLECTIONS = "/api/v2/tenants/default_tenant/databases/default_database/collections"
RECORD = {"ids": ["a"], "embeddings": [[0.0123456 * (n % 7 - 3) for n in range(384)]], "documents": ["text " * 20],
          "metadatas": [{"k": 1}]}  # fmt: skip


def get(path):
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def post(path, body):
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


REQUESTS = {
    "1 KB GET": get("/bench/1k"),
    "20 KB GET": get("/bench/20k"),
    "30 KB POST": post("/bench/post", "x" * 30396),
    "upsert of 384 numbers": post(f"{COLLECTIONS}/UUID/upsert", json.dumps(RECORD)),
}


def exchange(connection, request):
    connection.sendall(request)
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, body = data.split(b"\r\n\r\n", 1)
    size = len(body)
    while size < int(re.search(rb"content-length: (\d+)", head.lower())[1]):
        size += len(connection.recv(65536))
    if not head.startswith(b"HTTP/1.1 2"):
        raise tools.Failed(head.decode())
    return body


def instructions(program, request, count):
    """Of the whole life of a proxy that passes `count` of these requests on."""
    with tools.Bed() as bed:
        stub, port, file = tools.Stub(bed), tools.free_port(), bed.path("callgrind")
        words = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={file}", program, "run", "--backend", stub.url,
                 "--listen", f"127.0.0.1:{port}", "--status", "off", "--set", "backend.health_interval=1h",
                 "--set", "log.access=off"]  # fmt: skip
        proxy = bed.start(words, tools.cpus()[0])
        tools.wait_for_port(port, proxy)
        time.sleep(1.5)  # it knows by then what its backend is
        with socket.create_connection(("127.0.0.1", port)) as connection:
            made = json.loads(exchange(connection, post(COLLECTIONS, '{"name": "counted"}')))
            request = request.replace(b"UUID", made["id"].encode())
            for _ in range(count):
                exchange(connection, request)
        bed.stop(proxy)
        return int(re.search(r"(?:summary|totals): (\d+)", pathlib.Path(file).read_text())[1])


def main():
    if shutil.which("valgrind") is None:
        raise tools.Failed("valgrind is missing")
    programs = sys.argv[1:] or [os.path.join(tools.BUILD, "chromabouncer")]
    rows = []
    for name, request in REQUESTS.items():
        counts = [(instructions(program, request, MANY) - instructions(program, request, FEW)) / (MANY - FEW)
                  for program in map(os.path.abspath, programs)]  # fmt: skip
        rows.append([name, *(f"{count:.0f}" for count in counts)])
    tools.table(["instructions", *programs], rows)


if __name__ == "__main__":
    try:
        main()
    except tools.Failed as failure:
        sys.exit(f"count_instructions: {failure}")
