#!/usr/bin/env python3
"""mirror_memory - what memory does a proxy take that keeps a copy, and does it live within a limit?

A Chroma of its own is filled; in front of it stands a gateway in mode prefer that may not have more
memory than --limit (a control group, where this user may make one; else it is only measured). When its
copy is complete, each question is asked of it. Printed: anonymous and resident memory at the end and at
most, what the limit refused, recall@4, and how many answers were the copy's.
Usage: tests/bench/mirror_memory.py [--records N] [--limit MIB] [--texts DIR]
with the Python of .venv; the texts are those of compare_mirror.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import bench_tools as tools  # noqa: E402
import mirror_sides  # noqa: E402
from mirror_filling import compare_mirror  # noqa: E402

SETTINGS = ["role=gateway", "backend.settle_time=0s", "mirror.mode=prefer", "mirror.memory_max=150MiB", "memory_max=2GiB", "cache.enabled=false",
            "log.access=off"]  # fmt: skip
PLACES = [  # of a group, its limit, and how often that was met, for each kind of control group
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.failcnt"),
    ("/sys/fs/cgroup", "memory.max", "memory.events"),
]


class Group:
    """A control group with a limit, or none."""

    def __init__(self, limit):
        self.path = None
        for place, name, self.met in PLACES:
            path = pathlib.Path(place, f"mirror_memory.{os.getpid()}")
            try:
                path.mkdir()
                (path / name).write_text(str(limit))
            except OSError:
                continue
            self.path = path
            return

    def enter(self):
        if self.path is not None:
            (self.path / "cgroup.procs").write_text(str(os.getpid()))

    def report(self):
        return "no group could be made: only measured" if self.path is None else (self.path / self.met).read_text().split()

    def remove(self):
        if self.path is not None:
            self.path.rmdir()


class Limited(mirror_sides.Prefer):
    name = "limited"
    group = None

    def __init__(self, bed, records, chroma, group):
        super().__init__(bed, records)
        self.chroma, self.group, self.uuid = chroma, group, chroma.uuid

    def launch(self):
        words = [word for setting in SETTINGS for word in ("--set", setting)]
        backend, listen = f"http://127.0.0.1:{self.chroma.port}", f"127.0.0.1:{self.port}"
        program = os.path.join(tools.BUILD, "chromabouncer")
        self.spawn([program, "run", "--backend", backend, "--listen", listen, "--status", "off", "--control", "off",
                    *words], preexec_fn=self.group.enter)  # fmt: skip

    def settle(self):
        """Nobody else uses Chroma meanwhile but for a question now and then."""
        began = time.monotonic()
        while self.question()[2] != "mirror":
            time.sleep(3)
        return time.monotonic() - began

    def memory(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return {name: int(re.search(rf"^{name}:\s+(\d+)", text, re.M)[1]) // 1024 for name in ("RssAnon", "VmRSS", "VmHWM")}


def ask_all(side):
    """(the names that each question found, how many answers were the copy's)"""
    found, copied = [], 0
    for vector in side.records.questions["vectors"]:
        body = {"query_embeddings": [vector], "n_results": 4, "include": ["documents", "metadatas"]}
        status, answer, source = side.ask("POST", f"{mirror_sides.DATABASE}/collections/{side.uuid}/query", body)
        assert status == 200, answer
        found.append([int(name.rpartition("-")[2]) for name in answer["ids"][0]])
        copied += source == "mirror"
    return found, copied


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=100000)
    parser.add_argument("--limit", type=int, default=200, help="MiB")
    parser.add_argument("--texts", type=pathlib.Path, default=pathlib.Path(tools.BUILD) / "bench-results/texts")
    arguments = parser.parse_args()
    with tools.Bed() as bed:
        records = compare_mirror().Records(arguments.texts, arguments.records, bed.path("questions.json"))
        chroma = mirror_sides.Chroma(bed, records)
        chroma.start()
        chroma.fill()
        group = Group(arguments.limit << 20)
        side = Limited(bed, records, chroma, group)
        side.start()
        took, filled = side.settle(), side.memory()
        found, copied = ask_all(side)
        result = {"records": arguments.records, "limit_mib": arguments.limit, "limit_met": group.report(), "complete_s": round(took, 1),
                  "when_complete_mib": filled, "in_the_end_mib": side.memory(), "answers": len(found), "copied": copied,
                  "recall": records.recall("query", found)}  # fmt: skip
        side.stop()
        group.remove()
        chroma.stop()
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    try:
        main()
    except (tools.Failed, subprocess.SubprocessError) as failure:
        sys.exit(f"mirror_memory: {failure}")
