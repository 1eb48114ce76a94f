"""No client reads from a mirror what was overwritten, nor sees new and then old, whatever happens.

As test_cache_history.py, with mirror.mode: prefer: on the stub without the cache, on a real Chroma
with both. In turn nothing happens, writes fail, Chroma is killed, the proxy is; a real Chroma also
ends with a proxy that is told to end, and the next one begins with what that has kept of its copies
(mirror.directory). Who reads and writes goes on meanwhile, and until copies answer again. In short: a
minute, most of which the first copy waits until no write of a proxy before it can be under way. The
long forms:

    MIRROR_OPERATIONS=1000000   in front of stub_chroma
    MIRROR_SECONDS=300          on a real Chroma
"""

import os
import random
import signal
import time

import pytest

from bed import WatchedProxy
from processes import wait_until, with_word
from test_cache_history import (
    CLIENTS, FORK, REST_SECONDS, ROUND, STUB, Client, Stub, Totals, WatchedExec, new_collections, run_clients,
)  # fmt: skip

OPERATIONS = int(os.environ.get("MIRROR_OPERATIONS", "10000"))
SECONDS = float(os.environ.get("MIRROR_SECONDS", "15"))
KINDS = 3  # of rounds on a real Chroma
SETTINGS = ["mirror.mode=prefer", "log.access=off"]
FAULTS = [
    "op=write,p=0.002,reset=after",
    "op=write,p=0.002,reset=before",
    "op=write,p=0.002,applied-status=500",
    "op=read,p=0.002,stall=50",
]
DYING = ["op=write,p=0.5,reset=after", "reset=before"]
DEAD_SECONDS = 0.5
COPY_SECONDS = 60  # how long copies may take
# After a write that was lost with its connection a gateway waits two minutes. For most of them clients
# rest: else nearly all operations would be these, of which no copy answers one.
DOUBT_SECONDS = 110


def flags(*settings):
    return [word for setting in [*SETTINGS, *settings] for word in ("--set", setting)]


def wait_for_copies(port, paths):
    """Each is read until a copy answers; always another question, which no cache knows."""
    client, deadline, number = Client(port), time.monotonic() + COPY_SECONDS, 0
    for path in paths:
        client.is_mirror = False
        while not client.is_mirror:
            assert time.monotonic() < deadline, f"no copy of {path}"
            number += 1
            client.ask("POST", f"{path}/get", {"limit": number})
            time.sleep(0.02)
    client.close()


def run_beside(port, paths, counted, writes, happens):
    """What clients note until happens(paused) has; they rest while the event `paused` is set."""
    over, paused = FORK.Event(), FORK.Event()

    def goes_on(_):
        while paused.is_set():
            time.sleep(REST_SECONDS)
        return not over.is_set()

    history, collect = run_clients(port, paths, counted, writes, goes_on)
    try:
        happens(paused)
    finally:
        over.set()
        collect()
    return history


class OnStub:
    """Rounds in front of stub_chroma, as many operations each as it should have."""

    def __init__(self, stub, proxy, is_long):
        self.stub, self.proxy, self.is_long = stub, proxy, is_long
        self.kinds = [self.calm, self.faults, self.chroma_is_killed, self.proxy_is_killed]

    def run(self, number, size):
        self.paths, self.counted = new_collections(self.proxy.port, f"round-{number}")
        wait_for_copies(self.proxy.port, [*self.paths, self.counted])
        return self.kinds[number % len(self.kinds)](size)

    def calm(self, size):
        history, collect = run_clients(
            self.proxy.port, self.paths, self.counted, 0.05, lambda steps: steps < size / CLIENTS
        )
        collect()
        return history

    def faults(self, size):
        self.stub.fault(*FAULTS)
        history = self.calm(size)
        self.stub.fault("clear")
        return history

    def beside(self, happens):
        return run_beside(self.proxy.port, self.paths, self.counted, 0.05, happens)

    def chroma_is_killed(self, _):
        """As far as the proxy can tell; what it was told is on its disk."""

        def happens(paused):
            time.sleep(random.uniform(0.1, 2))
            self.stub.fault(*DYING)
            time.sleep(DEAD_SECONDS)
            self.stub.fault("clear")
            time.sleep(1)
            if self.is_long:
                paused.set()
                time.sleep(DOUBT_SECONDS)
                paused.clear()
                wait_for_copies(self.proxy.port, [*self.paths, self.counted])
                time.sleep(2)

        return self.beside(happens)

    def proxy_is_killed(self, _):
        def happens(_):
            time.sleep(random.uniform(0.1, 2))
            self.proxy.kill()
            self.proxy.start()
            wait_for_copies(self.proxy.port, [*self.paths, self.counted])
            time.sleep(2)

        return self.beside(happens)


@pytest.mark.timeout(300 + OPERATIONS / 200)
def test_no_read_is_stale_in_front_of_the_stub():
    if not STUB.exists():
        pytest.skip("stub_chroma is not built")
    totals, number = Totals(), 0
    arguments = flags("role=gateway", "backend.settle_time=0s", "cache.enabled=false")
    with Stub("--write-a-ms", "1") as stub, WatchedProxy(stub.port, arguments) as proxy:
        rounds = OnStub(stub, proxy, OPERATIONS > ROUND)
        while totals.operations < OPERATIONS or number % len(rounds.kinds):
            size = min(ROUND, OPERATIONS // len(rounds.kinds))
            totals.add(rounds.run(number, size))
            number += 1
        totals.check_reads(f"stub, {number} rounds")
    assert totals.hits > totals.reads / 8  # a gateway that was killed makes no copies for a while


class Restarted(WatchedExec):
    """A real Chroma, and what happens to it."""

    def __init__(self):
        super().__init__(flags=flags("cache.enabled=true"))
        self.flags = [*self.flags, "--set", f"mirror.directory={self.directory}/copies"]
        self.happenings = [self.kill_chroma, self.kill_proxy, self.end_proxy]
        assert len(self.happenings) == KINDS
        assert self.end() == 0
        self.start()

    def kill_chroma(self, _):
        os.kill(self.chroma(), signal.SIGKILL)

    def kill_proxy(self, _):
        self.kill()
        wait_until(lambda: not with_word(f"{self.directory}/db"))
        self.start()

    def end_proxy(self, paused):
        """Which serves those who come until nobody does."""
        paused.set()
        assert self.end() == 0
        self.start()
        paused.clear()


@pytest.mark.timeout(300 + 4 * SECONDS)
def test_no_read_is_stale_on_a_chroma_that_is_killed():
    totals, number = Totals(), 0
    with Restarted() as one:
        one.ask()
        began = time.monotonic()
        while number % KINDS or time.monotonic() < began + SECONDS:
            paths, counted = new_collections(one.port, f"round-{number}")
            wait_for_copies(one.port, [*paths, counted])

            def happens(paused, happening=one.happenings[number % KINDS], all_of=(*paths, counted)):
                time.sleep(random.uniform(0.2, min(4, SECONDS / KINDS)))
                happening(paused)
                time.sleep(REST_SECONDS)
                wait_for_copies(one.port, all_of)
                time.sleep(min(2, SECONDS / KINDS))

            totals.add(run_beside(one.port, paths, counted, 0.03, happens))
            number += 1
        kept = [line for line in one.events("mirror_complete") if line["kept"]]
        totals.check_reads(f"{number} rounds, {len(kept)} copies were kept")
    assert kept, (one.events("mirror_not_kept"), one.events("mirror_kept_not_used"))
    assert totals.hits > totals.reads / 4
