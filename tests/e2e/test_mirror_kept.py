"""Copies that outlast the program: a real Chroma under exec, ended, changed, killed, started again."""

import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

import chromadb
import pytest

from processes import wait_until, with_word
from test_exec import Exec
from test_mirror import QUESTIONS, RECORDS, Door, copy_of, fill, same, vector, wait_for_copy

UPDATE = """
import sys, chromadb
client = chromadb.PersistentClient(sys.argv[1])
client.get_collection("docs").update(ids=["id7"], documents=["by others"], embeddings=[[0.5] * 32])
"""


class Keeping(Exec):
    """Its copies have a place."""

    def __init__(self, flags=()):
        super().__init__(wait=False)
        self.place = self.directory / "copies"
        self.control = self.directory / "control"
        self.flags = ["--mirror=prefer", "--control", self.control, "--set", f"mirror.directory={self.place}"]
        self.flags += ["--set", "cache.enabled=false", *flags]
        self.start()

    def stop(self):
        assert self.end() == 0

    def start_kept(self):
        """Nobody reads anything. From then on a crash finds nothing."""
        completed = len(self.events("mirror_complete"))
        self.start()
        wait_until(lambda: self.events("mirror_complete")[completed:])
        assert not self.kept()
        assert self.events("mirror_complete")[-1]["kept"]

    def start_filled(self):
        completed = len(self.events("mirror_complete"))
        self.start()
        _, path = self.collection()
        wait_for_copy(self.control, "docs", Door(self.port), path)
        assert not self.kept()
        wait_until(lambda: len(self.events("mirror_complete")) > completed)  # the log comes behind
        assert [line["kept"] for line in self.events("mirror_complete")[completed:]] == [False]

    def collection(self):
        found = chromadb.HttpClient(host="127.0.0.1", port=self.port).get_collection("docs")
        return found, f"/api/v2/tenants/default_tenant/databases/default_database/collections/{found.id}"

    def kept(self):
        return list(self.place.glob("copies.*/*"))

    def compare(self, questions=QUESTIONS):
        """Answers of the copy, each the same as Chroma's."""
        _, path = self.collection()
        door, answers = Door(self.port), []
        for method, what, body in questions:
            status, answer, fields = door.ask(method, f"{path}/{what}", body)
            assert fields["x-chromabouncer-mirror"] == "age=0; complete=yes", (what, body)
            plain = door.ask(method, f"{path}/{what}", body, [("cache-control", "no-store")])
            assert "x-chromabouncer-mirror" not in plain[2]
            assert status == plain[0] and same(json.loads(answer), json.loads(plain[1])), (what, body)
            answers.append(json.loads(answer))
        return answers


def change(collection):
    """Every kind of write, so that rows and places are not what they were at first."""
    collection.delete(ids=["id3", "id400"])
    collection.update(ids=["id7"], documents=["another document"], embeddings=[vector(1007)])
    collection.upsert(ids=["id3", "new"], embeddings=[vector(1003), vector(1004)], documents=["中文", "🙂"])


def test_copies_outlast_a_clean_end_and_nothing_else():
    with Keeping() as one:
        collection, path = fill(one.port)
        change(collection)
        wait_for_copy(one.control, "docs", Door(one.port), path)
        before = one.compare()
        one.stop()
        assert [line["records"] for line in one.events("mirror_kept")] == [RECORDS]
        assert any(file.name == "manifest" for file in one.kept())

        one.start_kept()
        row = copy_of(one.control, "docs")
        assert (row["state"], row["from"], row["fills"]) == ("complete", "kept", 0)
        assert one.compare() == before
        # It goes on like any other: what is written is seen, and kept again.
        change(one.collection()[0])
        one.collection()[0].add(ids=["later"], embeddings=[vector(2000)], documents=["later"])
        after = one.compare()
        assert after != before
        one.stop()
        one.start_kept()
        assert one.compare() == after

        # A kill finds nothing to be trusted.
        one.end(signal.SIGKILL)
        wait_until(lambda: not with_word(f"{one.directory}/db"))
        one.start_filled()
        assert copy_of(one.control, "docs")["from"] == "filled"
        one.compare()
        one.stop()

        # An update in place by others: neither the number of records nor an id is another one.
        assert one.kept()
        subprocess.run([sys.executable, "-c", UPDATE, one.directory / "db"], check=True)
        one.start_filled()
        [line] = one.events("mirror_kept_not_used")
        assert line["reason"] == "the database was changed since"
        [answer] = one.compare([("POST", "get", {"ids": ["id7"]})])
        assert answer["documents"] == ["by others"]
    wait_until(lambda: not with_word(one.directory.name))


def test_of_a_directory_that_was_replaced_under_chroma_nothing_is_kept():
    with Keeping() as one:
        collection, path = fill(one.port)
        wait_for_copy(one.control, "docs", Door(one.port), path)
        # A backup is put back while Chroma runs, which goes on with the files that it has open.
        database, backup = one.directory / "db", one.directory / "backup"
        shutil.copytree(database, backup)
        collection.update(ids=["id7"], documents=["another document"], embeddings=[vector(1007)])
        database.rename(one.directory / "aside")
        backup.rename(database)
        one.stop()
        assert not one.events("mirror_kept") and not one.kept()
        [line] = one.events("mirror_not_kept")
        assert line["reason"] == "Chroma's database was replaced while it ran"
        one.start_filled()
        [answer] = one.compare([("POST", "get", {"ids": ["id7"]})])
        assert answer["documents"] != ["another document"]
    wait_until(lambda: not with_word(one.directory.name))


def grow(port, is_enough):
    """Write to another collection until Chroma has too much memory."""
    other = chromadb.HttpClient(host="127.0.0.1", port=port).create_collection("other")
    rng = random.Random(2)
    for first in range(0, 100_000, 1000):
        if is_enough():
            return
        vectors = [[rng.random() for _ in range(384)] for _ in range(1000)]
        other.add(ids=[f"id{first + i}" for i in range(1000)], embeddings=vectors)
    raise AssertionError("Chroma has not grown")


def test_a_copy_is_carried_over_when_chroma_is_started_anew():
    with Keeping(["--set", "exec.memory_max=120MiB"]) as one:
        collection, path = fill(one.port)
        change(collection)
        wait_for_copy(one.control, "docs", Door(one.port), path)
        before = one.compare()
        grow(one.port, lambda: one.events("chroma_has_grown"))
        wait_until(lambda: len(one.events("mirror_complete")) == 2)
        assert [event["cause"] for event in one.events("chroma_ended")] == ["it was started anew"]
        row = copy_of(one.control, "docs")
        assert (row["state"], row["from"], row["fills"]) == ("complete", "kept", 1)
        assert one.compare() == before
        collection.update(ids=["id9"], documents=["later"], embeddings=[vector(1009)])
        one.compare()
        # One that is killed leaves nothing.
        os.kill(one.chroma(), signal.SIGKILL)
        wait_until(lambda: len(one.events("mirror_complete")) == 3)
        assert [line["kept"] for line in one.events("mirror_complete")] == [False, True, False]
        one.compare()
        one.stop()
    wait_until(lambda: not with_word(one.directory.name))


@pytest.mark.skipif("MIRROR_KEPT_RECORDS" not in os.environ, reason="takes minutes: how long does it take?")
def test_a_large_copy_is_complete_when_chroma_is_ready():
    count, dimension = int(os.environ["MIRROR_KEPT_RECORDS"]), 384
    rng = random.Random(1)
    with Keeping(["--set", "mirror.memory_max=400MiB", "--set", "memory_max=1GiB"]) as one:
        collection = chromadb.HttpClient(host="127.0.0.1", port=one.port).create_collection("docs")
        for at in range(0, count, 1000):
            collection.add(
                ids=[f"id{i}" for i in range(at, at + 1000)],
                embeddings=[[rng.gauss(0, 1) for _ in range(dimension)] for _ in range(1000)],
                documents=[f"document number {i} of some words about {i % 77}" for i in range(at, at + 1000)],
                metadatas=[{"n": i, "kind": f"k{i % 10}"} for i in range(at, at + 1000)],
            )
        _, path = one.collection()
        door = Door(one.port)
        wait_until(lambda: door.ask("GET", f"{path}/count") and one.events("mirror_complete"), 1800)
        print("filled in", one.events("mirror_complete")[0]["took_ms"], "ms")
        begun = time.monotonic()
        one.stop()
        print("ended in", time.monotonic() - begun, "s")
        one.start_kept()
        print("ready at", one.events("chroma_ready")[1]["time"], "complete at", one.events("mirror_complete")[1]["time"])
        ticks = sum(map(int, pathlib.Path(f"/proc/{one.process.pid}/stat").read_text().split()[13:15]))
        print("processor time of the start", ticks / os.sysconf("SC_CLK_TCK"), "s")
        one.compare([("POST", "get", {"where": {"n": {"$lt": 20}}, "include": ["documents", "embeddings"]})])
