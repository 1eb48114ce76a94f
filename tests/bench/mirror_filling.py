#!/usr/bin/env python3
"""mirror_filling - what do other clients notice of a copy that is being filled?

Clients ask at a fixed rate, half of what Chroma alone answers, first while no copy is filled, then
while one of the same collection is, again and again (`ctl mirror drop`, `fill`). Mode fallback: every
question goes to Chroma. A time counts from when its request was due.
Usage: tests/bench/mirror_filling.py [--records N] [--rounds N] [--seconds S] [--texts DIR]
with the Python of .venv; the texts are those of compare_mirror.
"""

import argparse
import importlib.machinery
import importlib.util
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import bench_tools as tools  # noqa: E402
import mirror_clients  # noqa: E402
import mirror_sides  # noqa: E402

CLIENTS = 20
NAME = "items"


def compare_mirror():
    """The program beside this one, which has no suffix."""
    loader = importlib.machinery.SourceFileLoader("compare_mirror", str(HERE / "compare_mirror"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("compare_mirror", loader))
    loader.exec_module(module)
    return module


class Fallback(mirror_sides.Prefer):
    """Nothing is copied until it is said."""

    name = "fallback"
    settings = ["mirror.mode=fallback", "mirror.collections=none", "mirror.memory_max=1GiB", "memory_max=2GiB",
                "cache.enabled=false", "log.access=off"]  # fmt: skip

    def launch(self):
        self.control = self.folder / "control"
        words = [word for setting in self.settings for word in ("--set", setting)]
        chroma = ["--", shutil.which(tools.Chroma.program()), "run", "--path", self.folder / "data", "--port", self.port]
        program = pathlib.Path(tools.BUILD) / "chromabouncer"
        self.spawn([program, "exec", "--status", "off", "--control", self.control, *words, *chroma])

    def ctl(self, *words):
        program = pathlib.Path(tools.BUILD) / "chromabouncer"
        run = subprocess.run([program, "ctl", "mirror", *words, "-o", "json", "--control", self.control],
                             capture_output=True, text=True, check=False)  # fmt: skip
        if run.returncode != 0:
            raise tools.Failed(f"ctl mirror {words}: {run.stderr}")
        return run.stdout

    def is_filled(self):
        return any(each["state"] == "complete" for each in json.loads(self.ctl())["collections"])


class Load:
    """`rate` requests each second, 0: as many as are answered, until stop()."""

    def __init__(self, side, rate):
        self.side, self.rate = side, rate
        self.lock, self.number, self.times, self.is_over = threading.Lock(), 0, [], False
        self.began = time.monotonic()
        self.threads = [threading.Thread(target=self.run) for _ in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def run(self):
        questions = self.side.records.questions
        client = mirror_clients.Chroma(self.side.address, questions, 0)
        while not self.is_over:
            with self.lock:
                number = self.number
                self.number += 1
            due = self.began + number / self.rate if self.rate else time.monotonic()
            time.sleep(max(0, due - time.monotonic()))
            client.query(number % len(questions["vectors"]))
            self.times.append((time.monotonic() - due) * 1e3)

    def stop(self):
        self.is_over = True
        for thread in self.threads:
            thread.join()
        return sorted(self.times), time.monotonic() - self.began


def percentiles(times):
    return {"count": len(times), "p50_ms": times[len(times) // 2], "p99_ms": times[len(times) * 99 // 100]}


def quiet(side, rate, seconds):
    load = Load(side, rate)
    time.sleep(seconds)
    return percentiles(load.stop()[0])


def filling(side, rate, seconds):
    """The same while a copy is filled, as often as it takes."""
    load, took = Load(side, rate), []
    while time.monotonic() < load.began + seconds:
        began = time.monotonic()
        side.ctl("fill", NAME)
        while not side.is_filled():
            time.sleep(0.05)
        took.append(time.monotonic() - began)
        side.ctl("drop", NAME)
    return percentiles(load.stop()[0]) | {"filled_s": took}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=20000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=15, help="of each round, at least")
    parser.add_argument("--texts", type=pathlib.Path, default=pathlib.Path(tools.BUILD) / "bench-results/texts")
    arguments = parser.parse_args()
    compare = compare_mirror()
    if not (arguments.texts / "queries.npy").exists():
        compare.mirror_texts.make(arguments.texts, arguments.records)
    with tools.Bed() as bed:
        side = Fallback(bed, compare.Records(arguments.texts, arguments.records, bed.path("questions.json")))
        side.start()
        side.fill()
        side.ask("GET", f"{mirror_sides.DATABASE}/collections/{NAME}")
        quiet(side, 0, 2)
        load = Load(side, 0)
        time.sleep(arguments.seconds)
        times, seconds = load.stop()
        rate = len(times) / seconds / 2
        print(f"{arguments.records} records; {CLIENTS} clients get {rate * 2:.0f}/s; asked at {rate:.0f}/s")
        rounds = []
        for _ in range(arguments.rounds):
            rounds.append((quiet(side, rate, arguments.seconds), filling(side, rate, arguments.seconds)))
            print(rounds[-1], flush=True)
        side.stop()
    for key in ("p50_ms", "p99_ms"):
        without, beside = (statistics.median(one[index][key] for one in rounds) for index in (0, 1))
        print(f"{key}: {without:.1f} without, {beside:.1f} while a copy is filled: {beside / without:.2f} times")


if __name__ == "__main__":
    try:
        main()
    except tools.Failed as failure:
        sys.exit(f"mirror_filling: {failure}")
