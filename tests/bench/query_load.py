"""query_load - a collection, and the same request on many connections, in plain Python: for counting and
comparing, not for load."""

import os
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from bed import DATABASE  # noqa: E402

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
