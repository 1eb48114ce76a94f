"""measure - the unfixed application alone, the fixed one, and the unfixed one under `wrap`, without and
with a mirror, in turn.

Usage: measure.py [--quick] [--rounds N] [--seconds N] [--workers N,N] [--variants A,B] [--repeated N]
                  [--wrap "COMMAND ..."] [--mirror "COMMAND ..."] [--output FILE.md]

Each run gets a fresh copy of one prepared directory. Prints a table of the medians over the rounds
(of errors, missed and lost: the sums) in Markdown.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shlex
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

import chromadb

from table import TableEmbeddings, load_texts

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BIN = pathlib.Path(sys.executable).parent
USERS = 20
VARIANTS = {
    "unfixed": "unfixed alone",
    "fixed": "fixed",
    "wrap": "unfixed under `wrap`",
    "mirror": "unfixed under `wrap --mirror`",
    "uncached": "unfixed under `wrap`, `cache.enabled: false`",
    "floor": "floor: a store that answers at once",
}
COLUMNS = (
    ("per_second", "requests/s", "{:.0f}"),
    ("p50_ms", "p50 ms", "{:.0f}"),
    ("p99_ms", "p99 ms", "{:.0f}"),
    ("requests", "requests", "{:.0f}"),
    ("failures", "errors", "{:.0f}"),
    ("missed", "missed", "{:.0f}"),
    ("lost", "lost", "{:.0f}"),
    ("memory_mb", "memory MB", "{:.0f}"),
    ("descriptors", "descriptors", "{:.0f}"),
)
SUMMED = ("requests", "failures", "missed", "lost")


def main():
    arguments = parse()
    data = ROOT / "bench-results/fastapi-langchain"
    texts = data / f"texts-{arguments.texts}"
    base = data / f"chroma-{arguments.records}"
    prepare(texts, base, arguments)
    results = {}
    for number in range(arguments.rounds):
        for workers in arguments.workers:
            for variant in arguments.variants:
                result = Run(variant, workers, texts, base, arguments).measure()
                results.setdefault((variant, workers), []).append(result)
                print(f"round {number + 1}: {describe(variant, workers, result)}", file=sys.stderr)
    table = table_of(results)
    print(table, end="")
    if arguments.output:
        pathlib.Path(arguments.output).write_text(table, encoding="utf-8")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="one short round on few records")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=int)
    parser.add_argument("--records", type=int)
    parser.add_argument("--workers", type=numbers, default=[1, 4])
    parser.add_argument(
        "--variants", type=names, default=[name for name in VARIANTS if name != "uncached"]
    )
    parser.add_argument("--repeated", type=int, default=0, metavar="PERCENT")
    parser.add_argument("--wrap", default=f"{ROOT}/chromabouncer wrap --", type=shlex.split)
    parser.add_argument("--mirror", default=f"{ROOT}/chromabouncer wrap --mirror --", type=shlex.split)
    parser.add_argument(
        "--uncached",
        default=f"{ROOT}/chromabouncer wrap --set cache.enabled=false --",
        type=shlex.split,
    )
    parser.add_argument("--output")
    arguments = parser.parse_args()
    quick = arguments.quick
    arguments.rounds = arguments.rounds or (1 if quick else 3)
    arguments.seconds = arguments.seconds or (6 if quick else 25)
    arguments.records = arguments.records or (2000 if quick else 20000)
    arguments.texts = arguments.records + (500 if quick else 6000)
    return arguments


def numbers(text):
    return [int(part) for part in text.split(",")]


def names(text):
    chosen = text.split(",")
    if not set(chosen) <= set(VARIANTS):
        raise argparse.ArgumentTypeError(f"variants are {', '.join(VARIANTS)}")
    return chosen


def prepare(texts, base, arguments):
    """What stays between runs: the texts with their embeddings, and a directory with the records."""
    if not (texts / "texts.json").exists():
        command = [sys.executable, HERE / "texts.py", texts, str(arguments.texts)]
        subprocess.run(command, check=True)
    if base.exists():
        return
    making = base.with_suffix(".part")
    shutil.rmtree(making, ignore_errors=True)
    client = chromadb.PersistentClient(str(making))
    collection = client.get_or_create_collection("articles", embedding_function=None)
    embeddings, records = TableEmbeddings(texts), load_texts(texts)[: arguments.records]
    for start in range(0, len(records), 1000):
        part = records[start : start + 1000]
        collection.upsert(
            ids=[f"record-{start + number}" for number in range(len(part))],
            embeddings=embeddings.embed_documents([each["text"] for each in part]),
            documents=[each["text"] for each in part],
            metadatas=[{"source": each["source"]} for each in part],
        )
    client.close()
    making.rename(base)


class Run:
    """One variant with some number of workers, from a fresh directory to its figures."""

    def __init__(self, variant, workers, texts, base, arguments):
        self.variant, self.workers, self.texts, self.arguments = variant, workers, texts, arguments
        self.scratch = tempfile.TemporaryDirectory(prefix="fastapi-langchain-")
        self.database = os.path.join(self.scratch.name, "db")
        self.log = os.path.join(self.scratch.name, "log")
        shutil.copytree(base, self.database)
        self.port, self.chroma_port = free_port(), free_port()

    def measure(self):
        with self.scratch, contextlib.ExitStack() as stack:
            if self.variant == "fixed":
                stack.enter_context(self.running(self.chroma(), self.is_chroma_up))
            stack.enter_context(self.running(self.application(), self.is_up))
            sampler = Sampler(f"DATABASE={self.database}".encode())
            result = self.load()
            result.update(sampler.stop())
            if result["failures"]:
                print(f"measure: errors: {result.pop('errors')}\n{self.log_end()}", file=sys.stderr)
            stack.close()
            acknowledged = result.pop("acknowledged")
            result["lost"] = 0 if self.variant == "floor" else self.count_lost(acknowledged)
            if self.variant == "floor":
                result["missed"] = 0  # it stores nothing
            return result

    def chroma(self):
        config = os.path.join(self.scratch.name, "chroma.yaml")
        pathlib.Path(config).write_text(
            f'port: {self.chroma_port}\nlisten_address: "127.0.0.1"\n'
            f"persist_path: {json.dumps(self.database)}\n"
        )
        return [BIN / "chroma", "run", config]

    def application(self):
        under = {
            "wrap": self.arguments.wrap,
            "mirror": self.arguments.mirror,
            "uncached": self.arguments.uncached,
        }.get(self.variant)
        module = self.variant if under is None else "unfixed"
        command = [BIN / "uvicorn", f"{module}:app", "--app-dir", HERE, "--port", self.port]
        command += ["--workers", self.workers, "--no-access-log", "--log-level", "warning"]
        # On a busy machine uvicorn would take a worker for dead that is still importing.
        command += ["--timeout-worker-healthcheck", "60"]
        return (under or []) + command

    def environment(self):
        own = {"DATABASE": self.database, "TEXTS": str(self.texts), "ANONYMIZED_TELEMETRY": "False"}
        if self.variant == "fixed":
            own["SERVER_PORT"] = str(self.chroma_port)
        return {**os.environ, **own}

    @contextlib.contextmanager
    def running(self, command, is_ready):
        with open(self.log, "ab") as log:
            process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment(),
                start_new_session=True,
            )
        try:
            deadline = time.monotonic() + 120
            while not is_ready():
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"measure: did not start: {self.log_end()}")
                time.sleep(0.1)
            yield
        finally:
            end(process)

    def log_end(self):
        return pathlib.Path(self.log).read_text(errors="replace")[-3000:]

    def is_chroma_up(self):
        return answers(f"http://127.0.0.1:{self.chroma_port}/api/v2/heartbeat")

    def is_up(self):
        return answers(f"http://127.0.0.1:{self.port}/openapi.json")

    def load(self):
        """Only when all workers have opened their store, and have been under load for a moment."""
        query = urllib.parse.urlencode({"text": load_texts(self.texts)[0]["text"]})
        for _ in range(8 * self.workers):
            if not answers(f"http://127.0.0.1:{self.port}/search?{query}", timeout=60):
                sys.exit(f"measure: a search failed: {self.log_end()}")
        self.locust(3 if self.arguments.quick else 5)
        return self.locust(self.arguments.seconds)

    def locust(self, seconds):
        result = os.path.join(self.scratch.name, "result.json")
        command = [BIN / "locust", "-f", HERE / "locustfile.py", "--headless", "--only-summary"]
        command += ["--host", f"http://127.0.0.1:{self.port}", "--users", USERS]
        command += ["--spawn-rate", USERS, "--run-time", f"{seconds}s", "--stop-timeout", "60"]
        load = {
            "RECORDS": str(self.arguments.records),
            "REPEATED": str(self.arguments.repeated),
            "RESULT": result,
        }
        subprocess.run(
            [str(part) for part in command],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**self.environment(), "DATABASE": "", **load},
        )
        return json.loads(pathlib.Path(result).read_text(encoding="utf-8"))

    def count_lost(self, acknowledged):
        """How many acknowledged articles one fresh process does not find by their own vector."""
        client = chromadb.PersistentClient(self.database)
        collection = client.get_collection("articles", embedding_function=None)
        embeddings = TableEmbeddings(self.texts)
        lost = 0
        for article in acknowledged:
            found = collection.query(
                query_embeddings=[embeddings.embed_query(article["text"])], n_results=10, include=[]
            )
            lost += article["id"] not in found["ids"][0]
        client.close()
        return lost


class Sampler:
    """Once a second: memory (each page counted once) and descriptors of all processes whose
    environment holds `mark`. stop() gives the highest."""

    def __init__(self, mark):
        self.mark, self.memory, self.descriptors = mark, 0, 0
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.sample, daemon=True)
        self.thread.start()

    def sample(self):
        while not self.done.wait(1):
            processes = processes_with(self.mark)
            self.memory = max(self.memory, sum(map(memory_of, processes)))
            self.descriptors = max(self.descriptors, sum(map(descriptors_of, processes)))

    def stop(self):
        self.done.set()
        self.thread.join()
        return {"memory_mb": self.memory / 1024, "descriptors": self.descriptors}


def processes_with(mark):
    """All whose environment holds `mark`, whoever their parent is by now."""
    found = []
    for environment in pathlib.Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in environment.read_bytes():
                found.append(int(environment.parent.name))
    return found


def memory_of(pid):
    with contextlib.suppress(OSError):
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def descriptors_of(pid):
    with contextlib.suppress(OSError):
        return len(os.listdir(f"/proc/{pid}/fd"))
    return 0


def end(process):
    """In order, as a service manager does; by force after half a minute."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        print("measure: ended by force", file=sys.stderr)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def answers(url, timeout=5):
    try:
        with urllib.request.urlopen(url, timeout=timeout):
            return True
    except OSError:
        return False


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def describe(variant, workers, result):
    figures = ", ".join(f"{title} {form.format(result[key])}" for key, title, form in COLUMNS)
    return f"{VARIANTS[variant]}, {workers} workers: {figures}"


def table_of(results):
    lines = [
        "| application | workers | " + " | ".join(title for _, title, _ in COLUMNS) + " |",
        "|---|---:|" + "---:|" * len(COLUMNS),
    ]
    for (variant, workers), rounds in sorted(results.items(), key=lambda item: item[0][1]):
        cells = []
        for key, _, form in COLUMNS:
            values = [result[key] for result in rounds]
            cells.append(form.format(sum(values) if key in SUMMED else statistics.median(values)))
        lines.append(f"| {VARIANTS[variant]} | {workers} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
