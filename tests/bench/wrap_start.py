#!/usr/bin/env python3
"""wrap_start - what does `chromabouncer wrap` cost at a program's start, and for each client?

The start of Python without and with the hook (ten times as many rounds); from the start of a
command to the first answered request, embedded, by `chroma run` (an HTTP heartbeat that is asked every 5 ms), and under `wrap`;
the CPU time of constructing LangChain's Chroma(). The sides take turns; medians, and the least.
Usage: tests/bench/wrap_start.py [ROUNDS]   7; with the Python of .venv
"""

import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from bed import CHROMA, PROXY, ROOT, free_port  # noqa: E402

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 7
CONSTRUCTIONS = 300
PYTHON = ROOT / ".venv/bin/python"
WRAP = [PROXY, "wrap", "--"]
FIRST = """
import time; began = time.monotonic()
import chromadb; imported = time.monotonic()
client = chromadb.PersistentClient("db"); made = time.monotonic()
client.heartbeat(); answered = time.monotonic()
print(began, imported, made, answered)
"""
CONSTRUCT = """
import sys, time
from langchain_chroma import Chroma
for count in 100, int(sys.argv[1]):
    began = time.monotonic(), time.process_time()
    for _ in range(count):
        Chroma("many", persist_directory="db")
    spent = [(end - begin) / count for begin, end in zip(began, (time.monotonic(), time.process_time()))]
print(*spent)
"""


def run(words, folder, **more):
    """What it printed, and the seconds of CPU that it and what it waited for took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = subprocess.run(words, cwd=folder, capture_output=True, text=True, **more)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ran.returncode == 0, ran.stderr
    return ran, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def python_start(prefix, folder):
    return run([*prefix, PYTHON, "-c", ""], folder)[1]


def hooked_start(environment, folder):
    """CPU of a Python that does nothing, in an environment of its own."""
    return run([PYTHON, "-c", ""], folder, env=environment)[1]


def hook_sides(top):
    """Environments: without the hook, with it, and with it where Python keeps no byte code."""
    hook = top / "hook"
    shutil.copytree(ROOT / "src/hook", hook)
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    hooked = {**plain, "PYTHONPATH": str(hook), "CHROMABOUNCER_WRAP": "/nowhere"}
    bare = shutil.copytree(hook, top / "bare")
    return {
        "none": plain, "compiled": hooked,
        "bare": {**hooked, "PYTHONPATH": str(bare), "PYTHONDONTWRITEBYTECODE": "1"},
    }  # fmt: skip


def first_answer(prefix, folder):
    """From the start to the import of chromadb, to the client, to the first answer."""
    began = time.monotonic()
    ran, _ = run([*prefix, PYTHON, "-c", FIRST], folder)
    return [float(word) - began for word in ran.stdout.split()]


def chroma_alone(words, folder):
    port = free_port()
    began = time.monotonic()
    server = subprocess.Popen(
        [*words, "run", "--path", "db", "--host", "127.0.0.1", "--port", str(port)],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v2/heartbeat", timeout=5):
                    return time.monotonic() - began
            except OSError:
                time.sleep(0.005)
    finally:
        server.kill()
        server.wait()


def construct(prefix, folder):
    return [float(word) for word in run([*prefix, PYTHON, "-c", CONSTRUCT, str(CONSTRUCTIONS)], folder)[0].stdout.split()]


def tell(what, values, unit=1000):
    print(f"{what:68}{statistics.median(values) * unit:9.2f}{min(values) * unit:9.2f}", flush=True)


def gather(measure, sides, folders, rounds=ROUNDS):
    """For each side its values, the sides in turn; the first round is not counted."""
    found = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, words in sides.items():
            value = measure(words, folders[name])
            if number > 0:
                found[name].append(value)
    return found


def main():
    with tempfile.TemporaryDirectory(prefix="wrap-start-") as top:
        folders = {name: pathlib.Path(top) / name for name in ("alone", "wrap", "command", "server")}
        for folder in folders.values():
            folder.mkdir()
        sides = {"alone": [], "wrap": WRAP}
        servers = {"command": [ROOT / ".venv/bin/chroma"], "server": CHROMA}
        print(f"{'milliseconds':68}{'median':>9}{'least':>9}")
        environments = hook_sides(pathlib.Path(top))
        plain = gather(hooked_start, environments, dict.fromkeys(environments, folders["alone"]), 10 * ROUNDS)
        tell("CPU of a Python that does nothing", plain["none"])
        tell("the same with the hook, compiled once", plain["compiled"])
        tell("the same with the hook, PYTHONDONTWRITEBYTECODE=1", plain["bare"])
        starts = gather(python_start, sides, folders)
        tell("the same, by turns with the next", starts["alone"])
        tell("the same under wrap, with the start of the proxy", starts["wrap"])
        answers, alone = gather(first_answer, sides, folders), gather(chroma_alone, servers, folders)
        for name in sides:
            began, imported, made, answered = zip(*answers[name])
            where = "embedded" if name == "alone" else "under wrap"
            tell(f"{where}: start to the first statement", began)
            tell(f"{where}: import chromadb", [end - begin for begin, end in zip(began, imported)])
            tell(f"{where}: PersistentClient()", [end - begin for begin, end in zip(imported, made)])
            tell(f"{where}: start to the first answer", answered)
        tell("chroma run: start to the first answer", alone["command"])
        tell("the same without the import of Chroma's client library", alone["server"])
        for name, values in gather(construct, sides, folders).items():
            wall, cpu = zip(*values)
            where = "embedded" if name == "alone" else "under wrap"
            tell(f"{where}: LangChain's Chroma(), CPU of the application", cpu)
            tell(f"{where}: LangChain's Chroma(), time", wall)


main()
