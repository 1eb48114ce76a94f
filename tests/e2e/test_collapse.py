"""Who asks what another one asks at this moment waits for that answer, on a real server: many at once
are one call, and no reader behind a sidecar misses what was acknowledged, here or at another one.

COLLAPSE_SECONDS=300 lets the history run so long instead of a few seconds.
"""

import os
import signal
import threading
import time

import pytest

from bed import DATABASE, Chroma, Proxy, WatchedProxy, wait_for
from test_cache import Asker, new_collection, records, wait_until_known

SECONDS = float(os.environ.get("COLLAPSE_SECONDS", "4"))
JOINED_MIN, WRITES_MIN = 100, 10  # of a history
MANY = 32
QUERY = {"query_embeddings": [[1, 2, 0.1, 0]], "n_results": 3, "where": {"n": {"$gt": 2}}}


@pytest.fixture(scope="module")
def chroma():
    with Chroma() as server:
        yield server


class At:
    """One who asks in a thread of its own."""

    def __init__(self, port, path, body=QUERY):
        self.asker, self.answer = Asker(port), None
        self.thread = threading.Thread(target=self.run, args=(path, body))
        self.thread.start()

    def run(self, path, body):
        self.answer = self.asker.ask("POST", path, body)


def total(proxy, prefix):
    """The sum of all series that begin like this."""
    lines = [line for line in proxy.get("/metrics").splitlines() if line.startswith(prefix)]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def waiting(proxy, kind):
    requests = f"_requests{{class=\"{kind}\"}}"
    return total(proxy, f"chromabouncer_inflight{requests}") + total(
        proxy, f"chromabouncer_queue{requests}"
    )


def ask_at_once(chroma, proxy, path, count, body=QUERY, kind="read"):
    """While Chroma stands still; it goes on when all wait."""
    os.kill(chroma.process.pid, signal.SIGSTOP)
    try:
        askers = [At(proxy.port, path, body) for _ in range(count)]
        wait_for(lambda: waiting(proxy, kind) == count, "all wait")
    finally:
        os.kill(chroma.process.pid, signal.SIGCONT)
    for at in askers:
        at.thread.join()
    return askers


def test_32_identical_queries_at_once_are_one_call(chroma):
    path = f"{new_collection(chroma, 'once')}/query"
    with WatchedProxy(chroma.port, ["--set", "role=gateway", "--set", "backend.settle_time=0s"]) as proxy:
        wait_until_known(chroma, proxy)
        calls = 'chromabouncer_backend_requests_total{op="query"'
        before = total(proxy, calls)
        askers = ask_at_once(chroma, proxy, path, MANY)
        direct = Asker(chroma.port).ask("POST", path, QUERY)
        assert all(at.asker.code == 200 and at.answer == direct for at in askers)
        said = sorted(at.asker.status for at in askers)
        assert said == ["chromabouncer; fwd=miss; collapsed"] * (MANY - 1) + [
            "chromabouncer; fwd=miss; stored"
        ]
        assert total(proxy, calls) == before + 1
        of_others = 'chromabouncer_requests_total{op="query",code="200",source="collapsed"}'
        assert total(proxy, of_others) == MANY - 1
        assert total(proxy, 'chromabouncer_cache_lookups_total{result="collapsed"}') == MANY - 1

        def told():  # the log is written by a thread of its own
            log = proxy.log.read_text()
            return log.count("source=collapsed") + log.count('"source":"collapsed"')

        wait_for(lambda: told() >= MANY - 1, "all are in the log")
        assert told() == MANY - 1


def test_32_creations_at_once_of_what_is_there_are_one_call(chroma):
    path = new_collection(chroma, "made")
    body = {"name": "made", "get_or_create": True, "metadata": {"a": 1}}
    with WatchedProxy(chroma.port, ["--set", "role=gateway", "--set", "backend.settle_time=0s"]) as proxy:
        wait_until_known(chroma, proxy)
        asker = Asker(proxy.port)
        asker.ask("GET", f"{DATABASE}/collections/made")
        asker.ask("POST", f"{path}/query", QUERY)
        calls = 'chromabouncer_backend_requests_total{op="collection"'
        before = total(proxy, calls)
        askers = ask_at_once(chroma, proxy, f"{DATABASE}/collections", MANY, body, "other")
        direct = Asker(chroma.port).ask("POST", f"{DATABASE}/collections", body)
        assert all(at.asker.code == 200 and at.answer == direct for at in askers)
        said = sorted(at.asker.status for at in askers)
        assert said == ["chromabouncer; fwd=miss; collapsed"] * (MANY - 1) + [
            "chromabouncer; fwd=miss; stored"
        ]
        assert total(proxy, calls) == before + 1


def test_a_sidecar_sends_one_that_waits_for_its_turn_and_no_more(chroma):
    path = f"{new_collection(chroma, 'turns')}/query"
    settings = ["--set", "backend.connections_max=1"]
    with WatchedProxy(chroma.port, settings) as proxy:
        askers = ask_at_once(chroma, proxy, path, MANY)
        direct = Asker(chroma.port).ask("POST", path, QUERY)
        assert all(at.asker.code == 200 and at.answer == direct for at in askers)
        # One may be sent at once, which nobody may join; the next waits, and the others for it.
        calls = total(proxy, 'chromabouncer_backend_requests_total{op="query"')
        joined = total(proxy, 'chromabouncer_requests_total{op="query",code="200",source="collapsed"}')
        assert calls <= 2 and calls + joined == MANY


class History:
    """Two sidecars: writes go through one, identical reads through the other."""

    def __init__(self, reads, writes, path):
        self.reads, self.writes, self.path = reads, writes, path
        self.acknowledged = self.joined = 0
        self.faults = []
        self.began = time.monotonic()
        self.lock = threading.Lock()

    def is_over(self):
        seconds = time.monotonic() - self.began
        shows = self.joined > JOINED_MIN and self.acknowledged > WRITES_MIN
        return seconds > SECONDS + 60 or (seconds > SECONDS and shows)

    def write(self):
        asker, number = Asker(self.writes), 0
        while not self.is_over():
            number += 1
            body = records([1])
            body["metadatas"] = [{"n": number}]
            asker.ask("POST", f"{self.path}/upsert", body)
            assert asker.code == 200
            self.acknowledged = number

    def read(self):
        asker = Asker(self.reads)
        body = {"query_embeddings": [[0.5, 1.25, -2, 0.1]], "n_results": 1, "ids": ["r1"]}
        while not self.is_over():
            least = self.acknowledged
            answer = asker.ask("POST", f"{self.path}/query", body)
            if asker.code != 200:
                continue
            seen = answer["metadatas"][0][0]["n"]
            with self.lock:
                self.joined += "collapsed" in (asker.status or "")
                if seen < least:
                    self.faults.append((asker.status, least, seen))


@pytest.mark.timeout(SECONDS + 120)
def test_behind_two_sidecars_no_read_misses_a_write_of_the_other(chroma):
    path = new_collection(chroma, "two")
    Asker(chroma.port).ask("POST", f"{path}/upsert", records([1]) | {"metadatas": [{"n": 0}]})
    settings = ["--set", "backend.connections_max=1", "--set", "log.access=errors"]
    with Proxy(chroma.port, settings) as reads, Proxy(chroma.port) as writes:
        history = History(reads.port, writes.port, path)
        threads = [threading.Thread(target=history.read) for _ in range(12)]
        threads.append(threading.Thread(target=history.write))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    print(f"{history.joined} joined, {history.acknowledged} writes")
    assert not history.faults, history.faults[:5]
    assert history.joined > JOINED_MIN and history.acknowledged > WRITES_MIN
