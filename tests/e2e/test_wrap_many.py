"""Constructing LangChain's Chroma() again and again under `wrap` leaks nothing, on either side.

WRAP_CONSTRUCTIONS=100000 constructs so many instead of 2000.
"""

import json
import os
import subprocess

import pytest

from processes import with_word
from test_wrap import PYTHONS, command, folder, in_folder  # noqa: F401 (a fixture)

COUNT = int(os.environ.get("WRAP_CONSTRUCTIONS", "2000"))
WARM = 300
MEMORY_MAX = 4 << 20  # what an allocator takes and keeps

APPLICATION = """
import json, sys, time
from langchain_chroma import Chroma

class Lengths:
    def embed_documents(self, texts):
        return [[float(len(text)), 1.0] for text in texts]

store = Chroma("many", Lengths(), persist_directory="db")
kind = type(store._client._server).__name__
for line in sys.stdin:
    began = time.process_time()
    for _ in range(int(line)):
        Chroma("many", Lengths(), persist_directory="db")
    print(json.dumps({"kind": kind, "cpu": time.process_time() - began}), flush=True)
"""


def descriptors(process):
    return len(os.listdir(f"/proc/{process}/fd"))


def memory(process):
    with open(f"/proc/{process}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.timeout(300 + COUNT // 20)
def test_many_constructions_leak_nothing(folder):  # noqa: F811
    application = subprocess.Popen(
        command(PYTHONS[0], "-c", APPLICATION), cwd=folder, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=(folder / "log").open("w"),
    )  # fmt: skip

    def construct(count):
        print(count, file=application.stdin, flush=True)
        return json.loads(application.stdout.readline())

    assert construct(WARM)["kind"] == "FastAPI"
    (proxy,) = [each for each in with_word("wrap\0--\0" + PYTHONS[0]) if in_folder(each, folder)]
    (chroma,) = [each for each in with_word("chromadb_rust_bindings as chroma") if in_folder(each, folder)]
    processes = {"application": application.pid, "proxy": proxy, "chroma": chroma}

    def held():
        return {name: (descriptors(each), memory(each)) for name, each in processes.items()}

    before = held()
    cpu = construct(COUNT)["cpu"]
    after = held()
    print(f"{COUNT} constructions of LangChain's Chroma(), {cpu / COUNT * 1000:.2f} ms of CPU each")
    for name in processes:
        (files, begin), (more_files, end) = before[name], after[name]
        print(f"  {name:12} descriptors {files} -> {more_files}, MiB {begin / 2**20:.1f} -> {end / 2**20:.1f}")
        assert more_files <= files + (0 if name == "application" else 2), name
        assert end - begin < MEMORY_MAX, name
    application.communicate()
    assert application.returncode == 0
