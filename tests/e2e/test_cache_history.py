"""No client of a gateway reads from the cache what was overwritten, whatever happens to writes.

Sixteen clients read and write, and note what they got and when; read_history.py judges. In short:
some seconds each. The long forms:

    CACHE_OPERATIONS=1000000    in front of stub_chroma, whose writes fail in every third round
    CACHE_SECONDS=300           on a real Chroma that is killed every ten seconds
    CACHE_CUTS=60               writes on a real Chroma whose connections are cut
    CACHE_KILLS=20              of the gateway in front of a real Chroma, started again at once

One in twenty of the hits is asked of Chroma as well meanwhile (cache.verify): none may differ.
"""

import http.client
import json
import multiprocessing
import os
import random
import re
import signal
import socket
import sys
import threading
import time

import pytest

from bed import DATABASE, ROOT, Chroma, WatchedProxy, free_port
from read_history import INITIAL, History
from test_exec import Exec

sys.path.insert(0, str(ROOT / "tests/proof"))
from proof_bed import STUB, Stub  # noqa: E402

OPERATIONS = int(os.environ.get("CACHE_OPERATIONS", "20000"))
SECONDS = float(os.environ.get("CACHE_SECONDS", "5"))
CUTS = int(os.environ.get("CACHE_CUTS", "6"))
KILLS = int(os.environ.get("CACHE_KILLS", "1"))
SETTLE_SECONDS = 10
CLIENTS, PROCESSES = 16, 4
ROUND = 50_000
ROUND_SECONDS = 10  # on a real Chroma; a kill in each
REST_SECONDS = 0.01  # of who had no answer
COLLECTIONS, IDS = 6, 3
FORK = multiprocessing.get_context("fork")
GATEWAY = [word for setting in ("role=gateway", "backend.settle_time=0s", "log.access=off", "cache.verify=5%")
           for word in ("--set", setting)]  # fmt: skip
ALL = [f"r{i}" for i in range(IDS)]
HIT, MIRROR = b"cache-status: chromabouncer; hit", b"x-chromabouncer-source: mirror"


class Client:
    """One connection, opened again when it is lost."""

    def __init__(self, port):
        self.port, self.socket = port, None
        self.is_mirror = False  # the last answer

    def ask(self, method, path, body=None):
        """(status, was it answered without Chroma?, the body); status 0: there was no answer."""
        data = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(data)}\r\n\r\n"
        )
        try:
            if self.socket is None:
                self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=90)
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket.sendall(head.encode() + data)
            return self._receive()
        except OSError:
            self.close()
            time.sleep(REST_SECONDS)
            return 0, False, b""

    def _receive(self):
        data = b""
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._more()
        lower = data[:end].lower()
        found = re.search(rb"\r\ncontent-length: *(\d+)", lower)
        length = int(found.group(1)) if found else 0
        body = data[end + 4 :]
        while len(body) < length:
            body += self._more()
        if b"\r\nconnection: close" in lower:
            self.close()
        self.is_mirror = MIRROR in lower
        return int(data[9:12]), HIT in lower or self.is_mirror, body

    def _more(self):
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError
        return data

    def close(self):
        if self.socket is not None:
            self.socket.close()
        self.socket = None


class Worker:
    """What one client does, and its part of the history: lines (kind, where, value, begin, end,
    was it good?)."""

    def __init__(self, port, number, paths, counted, writes):
        self.client = Client(port)
        self.random = random.Random(number)
        self.number, self.paths, self.counted, self.writes = number, paths, counted, writes
        self.lines, self.count = [], 0
        self.reads = self.hits = 0

    def step(self):
        path = self.random.choice(self.paths)
        if self.random.random() < self.writes:
            self.add() if self.random.random() < 0.2 else self.write(path)
        else:
            self.read(path)

    def write(self, path):
        self.count += 1
        value, name = self.number * 1_000_000 + self.count, self.random.choice(ALL)
        body = {"ids": [name], "metadatas": [{"n": value}]}
        operation = self.random.choice(["update", "upsert"])
        if operation == "upsert":
            body["embeddings"] = [[10 * ALL.index(name), self.count % 7, 1.5, -1]]
        began = time.monotonic_ns()
        status, _, _ = self.client.ask("POST", f"{path}/{operation}", body)
        ended = time.monotonic_ns()
        self.lines.append(("write", (path, name), value, began, ended, status == 200))

    def add(self):
        self.count += 1
        began = time.monotonic_ns()
        body = {"ids": [f"a{self.number}-{self.count}"], "embeddings": [[9, 9, 9, 9]]}
        status, _, _ = self.client.ask("POST", f"{self.counted}/add", body)
        self.lines.append(("add", self.counted, 0, began, time.monotonic_ns(), status == 201))

    def read(self, path):
        kind, began = self.random.random(), time.monotonic_ns()
        if kind < 0.1:
            status, hit, body = self.client.ask("GET", f"{self.counted}/count")
        elif kind < 0.4:
            ids = ALL
            body = {"query_embeddings": [[0, 0, 0, 0]], "n_results": IDS, "include": ["metadatas"]}
            status, hit, body = self.client.ask("POST", f"{path}/query", body)
        else:
            ids = ALL if kind < 0.7 else [self.random.choice(ALL)]
            body = {"ids": ids, "include": ["metadatas"]}
            status, hit, body = self.client.ask("POST", f"{path}/get", body)
        ended = time.monotonic_ns()
        if status != 200:
            return
        self.reads += 1
        self.hits += hit
        answer = json.loads(body)
        if kind < 0.1:
            self.lines.append(("count", self.counted, answer, began, ended, True))
            return
        found = answer["ids"], answer["metadatas"]
        found = dict(zip(found[0][0], found[1][0]) if kind < 0.4 else zip(*found))
        for name in ids:  # of one that is missing no value is right
            value = found.get(name, {}).get("n")
            self.lines.append(("read", (path, name), value, began, ended, True))


def run_clients(port, paths, counted, writes, goes_on):
    """Sixteen clients in some processes, each as long as goes_on(how many steps it made)."""

    def serve(numbers, pipe):
        workers = [Worker(port, number, paths, counted, writes) for number in numbers]

        def work(worker):
            steps = 0
            while goes_on(steps):
                worker.step()
                steps += 1
            worker.client.close()

        threads = [threading.Thread(target=work, args=(worker,)) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for worker in workers:
            worker.client = None
            pipe.send((worker.lines, worker.reads, worker.hits))
        pipe.close()

    history, pipes, processes = History(), [], []
    for first in range(PROCESSES):
        pipe, other = FORK.Pipe(duplex=False)
        processes.append(FORK.Process(target=serve, args=(range(first, CLIENTS, PROCESSES), other)))
        processes[-1].start()
        other.close()
        pipes.append(pipe)

    def collect():
        for pipe in pipes:
            for _ in range(CLIENTS // PROCESSES):
                tell(history, *pipe.recv())
        for process in processes:
            process.join()

    return history, collect


def tell(history, lines, reads, hits):
    for kind, where, value, began, ended, is_good in lines:
        if kind == "write":
            history.write(where, value, began, ended, is_good)
        elif kind == "add":
            history.add(where, began, ended, is_good)
        elif kind == "count":
            history.count(where, value, began, ended)
        else:
            history.read(where, value, began, ended)
    history.reads += reads
    history.hits += hits


def new_collection(client, name):
    """Its path; as soon as the server takes a write."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        body = {"name": name, "get_or_create": True}
        status, _, answer = client.ask("POST", f"{DATABASE}/collections", body)
        if status == 200:
            path = f"{DATABASE}/collections/{json.loads(answer)['id']}"
            body = {
                "ids": ALL,
                "embeddings": [[10 * i, 0, 1.5, -1] for i in range(IDS)],
                "metadatas": [{"n": INITIAL}] * IDS,
            }
            if client.ask("POST", f"{path}/upsert", body)[0] == 200:
                return path
        time.sleep(0.05)
    raise AssertionError("no collection")


def new_collections(port, name):
    """Paths of some that hold the registers, and of one that is counted, which is empty."""
    client = Client(port)
    paths = [new_collection(client, f"{name}-{i}") for i in range(COLLECTIONS)]
    counted = new_collection(client, f"{name}-counted")
    assert client.ask("POST", f"{counted}/delete", {"ids": ALL})[0] == 200
    client.close()
    return paths, counted


def verified(page):
    found = re.findall(r'^chromabouncer_cache_verified_total{result="(\w+)"} (\d+)', page, re.M)
    return {result: int(count) for result, count in found}


class Totals:
    def __init__(self):
        self.operations = self.reads = self.hits = self.writes = self.unanswered = 0
        self.faults = []

    def add(self, history):
        self.operations += history.reads + history.writes
        self.reads += history.reads
        self.hits += history.hits
        self.writes += history.writes
        self.unanswered += history.unanswered
        self.faults += history.judge()

    def check_reads(self, what):
        print(
            f"{what}: {self.operations} operations of {CLIENTS} clients, {self.hits} of {self.reads} "
            f"reads were hits, {self.writes} writes of which {self.unanswered} had no good answer; "
            f"{len(self.faults)} stale"
        )
        assert not self.faults, self.faults[:5]

    def check(self, page, what):
        results = verified(page)
        self.check_reads(what)
        print(f"verified: {results}")
        assert results.get("same", 0) > 0
        assert results["different"] == 0


BROKEN = [
    [("w", 1, 0, 1), ("w", 2, 2, 3), ("r", 1, 4, 5)],  # overwritten and acknowledged
    [("w", 1, 0, 1), ("w", 2, 2, None), ("r", 2, 3, 4), ("r", 1, 5, 6)],  # seen, then not
    [("w", 1, 0, 1), ("r", INITIAL, 2, 3)],
    [("w", 1, 5, 6), ("r", 1, 2, 3)],  # from the future
    [("r", 7, 2, 3)],
    [("r", None, 2, 3)],
    [("a", 0, 0, 1), ("c", 0, 2, 3)],
    [("a", 0, 0, None), ("c", 1, 2, 3), ("c", 0, 4, 5)],
    [("a", 0, 4, 5), ("c", 1, 2, 3)],
]
SOUND = [
    [("w", 1, 0, 1), ("w", 2, 2, 9), ("r", 1, 4, 5), ("r", 2, 4, 6), ("r", 2, 7, 8)],
    [("w", 1, 0, 1), ("w", 2, 2, None), ("r", 1, 5, 6), ("r", 2, 7, 8), ("r", 2, 9, 10)],
    [("w", 1, 0, 5), ("w", 2, 1, 4), ("r", 1, 6, 7), ("r", 1, 8, 9)],  # either may be the last
    [("a", 0, 0, None), ("c", 0, 2, 3), ("c", 1, 4, 5), ("c", 1, 6, 7)],
]


def judge(lines):
    history = History()
    for kind, value, began, ended in lines:
        if kind == "w":
            history.write("x", value, began, ended or 0, ended is not None)
        elif kind == "a":
            history.add("x", began, ended or 0, ended is not None)
        else:
            (history.read if kind == "r" else history.count)("x", value, began, ended)
    return history.judge()


def test_broken_histories_are_found_out():
    for lines in BROKEN:
        assert judge(lines), lines
    for lines in SOUND:
        assert not judge(lines), lines


@pytest.mark.timeout(120 + OPERATIONS / 200)
def test_no_read_is_stale_in_front_of_the_stub():
    if not STUB.exists():
        pytest.skip("stub_chroma is not built")
    totals, number = Totals(), 0
    with Stub("--write-a-ms", "1") as stub, WatchedProxy(stub.port, GATEWAY) as proxy:
        while totals.operations < OPERATIONS:
            size = min(ROUND, OPERATIONS - totals.operations)
            paths, counted = new_collections(proxy.port, f"round-{number}")
            if number % 3 == 2:
                stub.fault(
                    "op=write,p=0.002,reset=after",
                    "op=write,p=0.002,reset=before",
                    "op=write,p=0.002,applied-status=500",
                    "op=read,p=0.002,stall=50",
                )
            history, collect = run_clients(
                proxy.port, paths, counted, 0.05, lambda steps, size=size: steps < size / CLIENTS
            )
            collect()
            stub.fault("clear")
            totals.add(history)
            number += 1
        totals.check(proxy.get("/metrics"), "stub")
    assert totals.hits > totals.reads / 4


class WatchedExec(Exec):
    def __init__(self, flags):
        self.status_port = free_port()
        self.status = f"127.0.0.1:{self.status_port}"
        super().__init__(flags=flags)

    def page(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.status_port, timeout=30)
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()


@pytest.mark.timeout(300 + 4 * SECONDS)
def test_no_read_is_stale_on_a_chroma_that_is_killed():
    totals, number = Totals(), 0
    with WatchedExec(flags=GATEWAY[2:]) as one:
        one.ask()
        began = time.monotonic()
        while number == 0 or time.monotonic() < began + SECONDS:
            paths, counted = new_collections(one.port, f"round-{number}")
            seconds = min(ROUND_SECONDS, SECONDS)
            ends = time.monotonic() + seconds
            history, collect = run_clients(
                one.port, paths, counted, 0.03, lambda _, ends=ends: time.monotonic() < ends
            )
            time.sleep(seconds * random.uniform(0.3, 0.7))
            os.kill(one.chroma(), signal.SIGKILL)
            collect()
            totals.add(history)
            number += 1
        totals.check(one.page(), f"killed {number} times")
    assert totals.hits > totals.reads / 4


@pytest.mark.timeout(120 + 60 * KILLS)
def test_no_read_is_stale_behind_a_gateway_that_is_killed():
    """What it had sent Chroma may apply while the next one runs."""
    totals = Totals()
    with Chroma() as chroma, WatchedProxy(chroma.port, ["--set", "role=gateway", "--set", "log.access=off"]) as proxy:
        for number in range(KILLS):
            paths, counted = new_collections(proxy.port, f"round-{number}")
            ends = time.monotonic() + SETTLE_SECONDS + 6
            history, collect = run_clients(
                proxy.port, paths, counted, 0.1, lambda _, ends=ends: time.monotonic() < ends
            )
            time.sleep(random.uniform(1, 3))
            proxy.kill()
            proxy.start()
            collect()
            totals.add(history)
        totals.check_reads(f"gateway killed {KILLS} times")
    assert totals.hits > 0 and totals.unanswered > 0


class Cutter:
    """Between the proxy and Chroma: cuts connections on which a marked write has passed."""

    def __init__(self, port, delays=(0, 0.001, 0.003, 0.01)):
        self.backend, self.random, self.delays = port, random.Random(1), delays
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.marks, self.cuts = {}, 0  # how often each mark is cut yet
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.backend))
            for ends in (client, server), (server, client):
                threading.Thread(target=self._pump, args=ends, daemon=True).start()

    def _pump(self, source, target):
        try:
            while data := source.recv(1 << 16):
                target.sendall(data)
                for mark in [mark for mark in self.marks if mark in data and self.marks[mark] > 0]:
                    self.marks[mark] -= 1
                    self.cuts += 1
                    time.sleep(self.random.choice(self.delays))
                    raise ConnectionError
        except OSError:
            pass
        for end in source, target:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()


@pytest.mark.timeout(180 + 20 * CUTS)
def test_no_read_is_stale_after_writes_that_were_cut():
    """Cut once, which a gateway repeats, or each time, which leaves the outcome unknown; then
    reads, an update of nothing, and reads again."""
    totals, history = Totals(), History()
    with Chroma() as chroma:
        cutter = Cutter(chroma.port)
        with WatchedProxy(cutter.port, GATEWAY) as proxy:
            paths, counted = new_collections(proxy.port, "calm")
            ending = threading.Event()
            current = []
            readers = [Worker(proxy.port, n, current, counted, 0) for n in range(CLIENTS)]

            def read_all(worker):
                while not ending.is_set():
                    worker.read(worker.random.choice(current[-2:] + paths[:2]))

            client, threads = Client(proxy.port), []
            for number in range(CUTS):
                path = new_collection(client, f"cut-{number}")
                current.append(path)
                if not threads:
                    threads = [threading.Thread(target=read_all, args=(r,)) for r in readers]
                    for thread in threads:
                        thread.start()
                cut(client, cutter, history, path, number)
            ending.set()
            for thread in threads:
                thread.join()
            for worker in readers:
                tell(history, worker.lines, worker.reads, worker.hits)
            totals.add(history)
            totals.check(proxy.get("/metrics"), f"{cutter.cuts} connections cut under {CUTS} writes")
        cutter.close()
    assert cutter.cuts >= CUTS
    assert totals.hits > totals.reads / 4


def cut(client, cutter, history, path, number):
    """One write of which the connection is cut, and what follows it."""
    mark, value = f"mark-{number}-".encode(), 1 + number
    body = {
        "ids": [ALL[0]],
        "metadatas": [{"n": value}],
        "embeddings": [[0, 0, 1.5, -1]],
        "documents": [mark.decode()],
    }
    time.sleep(0.1)
    cutter.marks[mark] = 1 if number % 2 else 9
    began = time.monotonic_ns()
    status, _, _ = client.ask("POST", f"{path}/upsert", body)
    history.write((path, ALL[0]), value, began, time.monotonic_ns(), status == 200)
    time.sleep(0.2)
    client.ask("POST", f"{path}/update", {"ids": ["nobody"], "metadatas": [{"n": 1}]})
    time.sleep(0.2)
    began = time.monotonic_ns()
    status, _, _ = client.ask("POST", f"{path}/update", {"ids": [ALL[1]], "metadatas": [{"n": value}]})
    history.write((path, ALL[1]), value, began, time.monotonic_ns(), status == 200)
    time.sleep(0.1)
