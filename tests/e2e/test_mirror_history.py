"""No client reads from a mirror what was overwritten, nor sees new and then old, whatever happens.

As test_cache_history.py, with mirror.mode: prefer: on the stub without the cache, on a real Chroma
with both. In short: some ten seconds each, most of which the first copy waits until no write of a
proxy before it can be under way. The long forms:

    MIRROR_OPERATIONS=1000000   in front of stub_chroma, whose writes fail in every third round
    MIRROR_SECONDS=300          on a real Chroma that is killed every ten seconds
"""

import os
import random
import signal
import time

import pytest

from bed import WatchedProxy
from test_cache_history import CLIENTS, ROUND, STUB, Client, Stub, Totals, WatchedExec, new_collections, run_clients

OPERATIONS = int(os.environ.get("MIRROR_OPERATIONS", "10000"))
SECONDS = float(os.environ.get("MIRROR_SECONDS", "5"))
ROUND_SECONDS = 10  # on a real Chroma; a kill in each
SETTINGS = ["mirror.mode=prefer", "log.access=off"]
FAULTS = [
    "op=write,p=0.002,reset=after",
    "op=write,p=0.002,reset=before",
    "op=write,p=0.002,applied-status=500",
    "op=read,p=0.002,stall=50",
]


def flags(*settings):
    return [word for setting in [*SETTINGS, *settings] for word in ("--set", setting)]


def wait_for_copies(port, paths):
    """Each is read until a copy answers; always another question, which no cache knows."""
    client, deadline, number = Client(port), time.monotonic() + 60, 0
    for path in paths:
        client.is_mirror = False
        while not client.is_mirror:
            assert time.monotonic() < deadline, "no copies"
            number += 1
            client.ask("POST", f"{path}/get", {"limit": number})
            time.sleep(0.02)
    client.close()


@pytest.mark.timeout(120 + OPERATIONS / 200)
def test_no_read_is_stale_in_front_of_the_stub():
    if not STUB.exists():
        pytest.skip("stub_chroma is not built")
    totals, number = Totals(), 0
    arguments = flags("role=gateway", "cache.enabled=false")
    with Stub("--write-a-ms", "1") as stub, WatchedProxy(stub.port, arguments) as proxy:
        while totals.operations < OPERATIONS:
            size = min(ROUND, OPERATIONS - totals.operations)
            paths, counted = new_collections(proxy.port, f"round-{number}")
            wait_for_copies(proxy.port, [*paths, counted])
            if number % 3 == 2:
                stub.fault(*FAULTS)
            history, collect = run_clients(
                proxy.port, paths, counted, 0.05, lambda steps, size=size: steps < size / CLIENTS
            )
            collect()
            stub.fault("clear")
            totals.add(history)
            number += 1
        totals.check_reads("stub")
    assert totals.hits > totals.reads / 4


@pytest.mark.timeout(300 + 4 * SECONDS)
def test_no_read_is_stale_on_a_chroma_that_is_killed():
    totals, number, killed = Totals(), 0, 0
    with WatchedExec(flags=flags("cache.enabled=true")) as one:
        one.ask()
        began = time.monotonic()
        while number == 0 or time.monotonic() < began + SECONDS:
            paths, counted = new_collections(one.port, f"round-{number}")
            wait_for_copies(one.port, [*paths, counted])
            seconds = min(ROUND_SECONDS, SECONDS)
            ends = time.monotonic() + seconds
            history, collect = run_clients(
                one.port, paths, counted, 0.03, lambda _, ends=ends: time.monotonic() < ends
            )
            time.sleep(seconds * random.uniform(0.3, 0.7))
            os.kill(one.chroma(), signal.SIGKILL)
            killed += 1
            collect()
            totals.add(history)
            number += 1
        totals.check_reads(f"killed {killed} times")
    assert totals.hits > totals.reads / 4
