"""quickstart_wrap - one Chroma directory in two processes, alone and under `chromabouncer wrap`; the
last part of scripts/quickstart.

Method. APPLICATION is run twice at the same time. First one adds LOOKS records, and the other asks
by a query for each as soon as it was acknowledged. Then one adds many records, and when it has done
so the other does the same. When both have ended, a third process, new and alone, asks for each
record by its own vector. All of this in a fresh directory, first as it is, then with
`chromabouncer wrap --` in front.
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/e2e"))
from bed import PROXY  # noqa: E402

APPLICATION = """\
import chromadb, quickstart_wrap
notes = chromadb.PersistentClient("notes").get_or_create_collection("notes")
quickstart_wrap.do_as_told(notes)
"""
LOOKS = 100
RECORDS = 1200  # of each: Chroma writes its index to the directory after each 1000
AT_ONCE = 20  # in one call
DIMENSION = 32
SECONDS_MAX = 600


# --- in the application's processes ---


def do_as_told(notes):
    """Each line that comes in is one thing to do; what came of it goes out."""
    print("ready", flush=True)
    for line in sys.stdin:
        what, *names = line.split()
        try:
            print(add(notes, names) if what == "add" else find(notes, *names), flush=True)
        except Exception as error:
            print(f"failed: {error!r}"[:200].replace("\n", " "), flush=True)


def add(notes, names):
    notes.add(ids=names, embeddings=[vector(name) for name in names])
    return "ok"


def find(notes, name):
    found = notes.query(query_embeddings=[vector(name)], n_results=1)["ids"][0]
    return "ok" if found == [name] else "missed"


def vector(name):
    chance = random.Random(name)
    return [chance.uniform(-1, 1) for _ in range(DIMENSION)]


# --- who starts them, in a process of its own: COMMAND of `wrap` ---


class Application:
    """One running APPLICATION."""

    def __init__(self):
        path = os.pathsep.join([str(ROOT / "scripts"), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            [sys.executable, "-c", APPLICATION], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env={**os.environ, "PYTHONPATH": path.rstrip(os.pathsep)},
        )  # fmt: skip
        assert self.hear() == "ready"

    def ask(self, *words):
        print(*words, file=self.process.stdin, flush=True)
        return self.hear()

    def hear(self):
        return self.process.stdout.readline().strip()

    def end(self):
        self.process.communicate()


def run_pair(records):
    """Counts, as one line of JSON."""
    both, added, missed = [Application(), Application()], [], 0
    for number in range(LOOKS):
        name = f"look-{number}"
        if both[0].ask("add", name) == "ok":
            added.append(name)
            missed += both[1].ask("find", name) == "missed"
    for number, each in enumerate(both):
        for start in range(0, records, AT_ONCE):
            names = [f"{number}-{n}" for n in range(start, min(start + AT_ONCE, records))]
            if each.ask("add", *names) == "ok":
                added += names
    for each in both:
        each.end()
    third = Application()
    lost = sum(third.ask("find", name) != "ok" for name in added)
    third.end()
    counts = {"adds": LOOKS + 2 * records, "added": len(added), "missed": missed, "lost": lost}
    print(json.dumps(counts))


# --- alone and under wrap ---


def measure(prefix, records):
    """What run_pair() counts, with `prefix` in front of its command, in a directory of its own."""
    words = [*prefix, sys.executable, __file__, "--pair", "--records", str(records)]
    with tempfile.TemporaryDirectory(prefix="quickstart-") as directory:
        with open(os.path.join(directory, "log"), "w+") as log:
            ran = subprocess.run(words, cwd=directory, stdout=subprocess.PIPE, stderr=log, text=True,
                                 timeout=SECONDS_MAX)  # fmt: skip
            log.seek(0)
            if ran.returncode != 0:
                sys.exit(f"quickstart: {' '.join(map(str, words))} failed:\n{log.read()[-2000:]}")
    return json.loads(ran.stdout)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=RECORDS, help="records of each process")
    parser.add_argument("--pair", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.pair:
        run_pair(options.records)
    else:
        show(options.records)


def show(records):
    print(f"One directory in two processes, each of which runs\n\n{indent(APPLICATION)}\n"
          f"and adds {records} records, one process after the other:\n", flush=True)
    alone, wrapped = measure([], records), measure([PROXY, "wrap", "--"], records)
    print(f"{'':60}{'alone':>8}{'under wrap':>12}")
    for title, key in (
        (f"records acknowledged, of {LOOKS + 2 * records}", "added"),
        (f"missed of {LOOKS} queries for what the other had just added", "missed"),
        ("records not found by their own vector afterwards", "lost"),
    ):
        print(f"{title:60}{alone[key]:>8}{wrapped[key]:>12}")
    print("\nChroma's directory has no lock: each process has an index of its own and writes it over the"
          "\nother's. Under `chromabouncer wrap -- COMMAND` there is one server, and one index.\n")


def indent(text):
    return "".join(f"    {line}\n" for line in text.splitlines())


if __name__ == "__main__":
    main()
