"""quickstart_demo - direct and through chromabouncer, side by side; run by scripts/quickstart.

Method. One fresh Chroma server; real text (the distribution's package descriptions), embedded as
TF-IDF projected to 384 dimensions by a fixed random matrix; 20 client processes, each with
chromadb's own HttpClient, each sending its next request when the last is answered. Direct and
proxied runs alternate; every run of writes has a collection of its own, all runs of queries share
one. The first second of each run is not counted. Then `chromabouncer bench` does the like with 64
writers in C, which leave the CPUs to the servers. What quickstart_wrap.py shows comes last.
"""

import argparse
import collections
import math
import multiprocessing
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/e2e"))
os.environ["ANONYMIZED_TELEMETRY"] = "False"

import chromadb
import numpy

import quickstart_wrap
from bed import DATABASE, PROXY, Chroma, Proxy

CLIENTS = 20
DIMENSION = 384
TEXTS = 8000
TEXTS_MIN = 200
LOADED = 3000  # records in the collection that is queried
ROUNDS = 2
WARM_SECONDS = 1
SEED = 20260822

fork = multiprocessing.get_context("fork")


def main():
    parser = argparse.ArgumentParser(prog="scripts/quickstart")
    parser.add_argument("--keep", action="store_true", help="leave both servers running")
    parser.add_argument("--seconds", type=float, default=5, help="length of each measurement")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda signum, _: sys.exit(128 + signum))

    texts = read_descriptions()
    say(f"{len(texts)} package descriptions; embedding them")
    vectors = embed(texts)
    servers = []
    finished = False
    try:
        servers.append(Chroma(keep=options.keep))
        servers.append(Proxy(servers[0].port, keep=options.keep))
        say(f"Chroma {chromadb.__version__} on port {servers[0].port}, "
            f"chromabouncer in front of it on port {servers[1].port}")
        measure(*servers, Material(texts, vectors), options.seconds)
        measure_without_python(*servers, options.seconds)
        finished = True
    finally:
        if not (finished and options.keep):
            for server in reversed(servers):
                server.close()
    quickstart_wrap.show(quickstart_wrap.RECORDS)
    explain(*servers, options.keep)


def say(text):
    print(f"quickstart: {text}", flush=True)


# --- the text and its vectors ---


def read_descriptions():
    """'name: description' of packages that apt knows, in a fixed random order."""
    dump = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, check=True).stdout
    texts = set()
    for record in dump.decode("utf-8", errors="replace").split("\n\n"):
        name = re.search(r"^Package: (.+)", record, re.MULTILINE)
        description = re.search(r"^Description(?:-en)?: (.+(?:\n .+)*)", record, re.MULTILINE)
        if name and description:
            texts.add(f"{name[1]}: {description[1]}")
    if len(texts) < TEXTS_MIN:
        sys.exit("quickstart: apt knows too few packages; run apt-get update as root and try again")
    order = numpy.random.default_rng(SEED).permutation(len(texts))
    texts = sorted(texts)
    return [texts[index] for index in order[:TEXTS]]


def embed(texts):
    """TF-IDF, projected to DIMENSION by a random matrix, of length 1."""
    words = [collections.Counter(re.findall(r"[a-z0-9]{2,}", text.lower())) for text in texts]
    frequency = collections.Counter(word for counts in words for word in counts)
    index = {word: row for row, word in enumerate(frequency)}
    idf = {word: math.log(len(texts) / count) + 1 for word, count in frequency.items()}
    generator = numpy.random.default_rng(SEED)
    projection = generator.standard_normal((len(index), DIMENSION), dtype=numpy.float32)
    vectors = numpy.empty((len(texts), DIMENSION), dtype=numpy.float32)
    for row, counts in enumerate(words):
        weights = numpy.array([n * idf[word] for word, n in counts.items()], dtype=numpy.float32)
        vectors[row] = weights @ projection[[index[word] for word in counts]]
    return vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)


class Material:
    """Texts with their vectors; any number of them, as they come round again."""

    def __init__(self, texts, vectors):
        self.texts = texts
        self.vectors = vectors

    def pick(self, number):
        number %= len(self.texts)
        return self.texts[number], self.vectors[number]


# --- the work of one client ---


def upsert(collection, material, client, number):
    text, vector = material.pick(client + number * CLIENTS)
    collection.upsert(
        ids=[f"{client}-{number}"],
        embeddings=[vector],
        documents=[text],
        metadatas=[{"package": text.partition(":")[0], "length": len(text)}],
    )


def query(collection, material, client, number):
    _, vector = material.pick(client + number * CLIENTS)
    found = collection.query(query_embeddings=[vector], n_results=10)
    assert len(found["ids"][0]) == 10


def run_client(port, name, operation, material, client, seconds, ready, results):
    """Repeat `operation` for `seconds`; puts ([latency], number of calls)."""
    # Over plain HTTP certificates are not used, but reading them takes 0.2 s per client.
    settings = chromadb.Settings(chroma_server_ssl_verify=False)
    client_api = chromadb.HttpClient(host="127.0.0.1", port=port, settings=settings)
    collection = client_api.get_collection(name)
    ready.wait()
    begin = time.monotonic()
    latencies, number, now = [], 0, begin
    while now < begin + WARM_SECONDS + seconds:
        operation(collection, material, client, number)
        number += 1
        last, now = now, time.monotonic()
        if last >= begin + WARM_SECONDS:
            latencies.append(now - last)
    results.put((latencies, number))


def run_clients(port, name, operation, material, clients, seconds):
    """All latencies of `clients` concurrent clients, and how many calls they made."""
    ready, results = fork.Barrier(clients), fork.SimpleQueue()
    arguments = (port, name, operation, material)
    processes = [
        fork.Process(
            target=run_client, args=(*arguments, client, seconds, ready, results), daemon=True
        )
        for client in range(clients)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        if process.exitcode != 0:
            sys.exit("quickstart: a client failed; its error stands above")
    found = [results.get() for _ in processes]
    return [latency for latencies, _ in found for latency in latencies], sum(n for _, n in found)


# --- the measurements ---


def measure(chroma, proxy, material, seconds):
    ports = {"direct": chroma.port, "proxied": proxy.port}
    writes, lost = measure_writes(chroma, ports, material, seconds)
    load(chroma, material)
    queries = measure_queries(ports, material, CLIENTS, seconds)
    alone = measure_queries(ports, material, 1, seconds / 2)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)

    print(f"\n{'':36}{'direct':>10}{'through chromabouncer':>24}{'ratio':>9}")
    print_rows(f"one-record upserts, {CLIENTS} clients", writes, seconds)
    print_rows(f"queries for 10 records, {CLIENTS} clients", queries, seconds)
    print_rows("queries, one client alone", alone, seconds / 2)
    print(f"\n{os.cpu_count()} CPUs; {ROUNDS} runs of {seconds:g} s each, direct and proxied in "
          f"turn; the Python clients themselves used {used.ru_utime + used.ru_stime:.0f} s of CPU.")
    print(f"Every acknowledged write was counted at Chroma afterwards: {lost} missing.\n")
    if lost:
        sys.exit("quickstart: writes are missing")


def measure_without_python(chroma, proxy, seconds):
    """For some seconds at least: directly, one of 64 writers waits for one or two."""
    milliseconds = round(max(seconds, 5) * 1000)
    print("Clients in C leave the CPUs to the servers. chromabouncer bench:\n", flush=True)
    subprocess.run([PROXY, "bench", "--backend", f"http://127.0.0.1:{chroma.port}", "--through",
                    f"http://127.0.0.1:{proxy.port}", "--duration", f"{milliseconds}ms"],
                   check=True)  # fmt: skip
    print(flush=True)


def measure_writes(chroma, ports, material, seconds):
    latencies, lost = {name: [] for name in ports}, 0
    for number in range(ROUNDS):
        for name, port in ports.items():
            say(f"upserts, {name}, run {number + 1} of {ROUNDS}")
            collection = f"{name}-{number}"
            uuid = create(chroma, collection)
            measured, calls = run_clients(port, collection, upsert, material, CLIENTS, seconds)
            latencies[name] += measured
            lost += calls - chroma.ask("GET", f"{DATABASE}/collections/{uuid}/count")
    return latencies, lost


def measure_queries(ports, material, clients, seconds):
    latencies = {name: [] for name in ports}
    for number in range(ROUNDS):
        for name, port in ports.items():
            say(f"queries, {clients} at a time, {name}, run {number + 1} of {ROUNDS}")
            latencies[name] += run_clients(port, "queried", query, material, clients, seconds)[0]
    return latencies


def create(chroma, name):
    return chroma.ask("POST", f"{DATABASE}/collections", {"name": name})["id"]


def load(chroma, material):
    """The collection to query, in batches, straight into Chroma."""
    path = f"{DATABASE}/collections/{create(chroma, 'queried')}/add"
    count = min(LOADED, len(material.texts))
    say(f"loading {count} records to query")
    for start in range(0, count, 200):
        numbers = range(start, min(start + 200, count))
        batch = {
            "ids": [str(number) for number in numbers],
            "embeddings": [material.vectors[number].tolist() for number in numbers],
            "documents": [material.texts[number] for number in numbers],
        }
        chroma.ask("POST", path, batch)


def print_rows(title, latencies, seconds):
    print(title)
    rate = {name: len(values) / (ROUNDS * seconds) for name, values in latencies.items()}
    print_row("  per second", rate, "")
    for percent in (50, 99):
        times = {name: 1000 * numpy.percentile(v, percent) for name, v in latencies.items()}
        print_row(f"  p{percent}", times, " ms")


def print_row(label, values, unit):
    direct, proxied = values["direct"], values["proxied"]
    print(f"{label:36}{direct:>10.1f}{unit or '   '}{proxied:>18.1f}{unit or '   '}"
          f"{proxied / direct:>9.2f}x")


def explain(chroma, proxy, keep):
    if keep:
        print(f"Both are still running: Chroma on port {chroma.port}, chromabouncer on port "
              f"{proxy.port}.\nStop them with: kill {proxy.process.pid} {chroma.process.pid}; "
              f"their data: rm -r {chroma.directory} {proxy.directory}\n")
        port = proxy.port
    else:
        port = 8001
    print(f"""To put chromabouncer in front of your own Chroma on port 8000:
  ./chromabouncer run --backend http://127.0.0.1:8000 --listen 127.0.0.1:8001
and change one port in your application:
  chromadb:    chromadb.HttpClient(host="localhost", port={port})
  LangChain:   Chroma(collection_name=..., embedding_function=..., host="localhost", port={port})
  LlamaIndex:  ChromaVectorStore.from_params("name", host="localhost", port="{port}")
  JavaScript:  new ChromaClient({{ host: "localhost", port: {port} }})
An application that embeds Chroma needs neither: ./chromabouncer wrap -- COMMAND""")


if __name__ == "__main__":
    main()
