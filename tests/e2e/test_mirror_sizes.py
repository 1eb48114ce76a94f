"""What copies of collections take: is it known before they are filled? Real Chroma."""

import contextlib
import json
import os
import random
import subprocess
import time

import pytest

from bed import DATABASE, PROXY, Chroma, Proxy
from processes import wait_until
from test_mirror import Door, copy_of, ctl

MIB = 1 << 20
WORDS = [f"word{i}" for i in range(3000)]

# name: records, dimension, bytes of documents, keys of metadata
SHAPES = {
    "sentences": (3800, 384, 120, 2),
    "vectors": (1800, 1536, 0, 0),
    "facts": (8000, 8, 0, 10),
}


def records(name, first, count):
    _, dimension, size, keys = SHAPES[name]
    rng = random.Random(f"{name} {first}")
    body = {
        "ids": [f"{rng.getrandbits(128):032x}" for _ in range(count)],
        "embeddings": [[round(rng.gauss(0, 1), 3) for _ in range(dimension)] for _ in range(count)],
    }
    if size:
        body["documents"] = [" ".join(rng.choices(WORDS, k=size // 8)) for _ in range(count)]
    if keys:
        many = [3, 40, 700, 10**9]  # different values of a key
        body["metadatas"] = [
            {f"key{i}": (str if i % 2 else int)(rng.randrange(many[i % 4])) for i in range(keys)} for _ in range(count)
        ]
    return body


@pytest.fixture(scope="module")
def chroma():
    with Chroma() as chroma:
        door = Door(chroma.port)
        for name, (count, *_) in SHAPES.items():
            status, text, _ = door.ask("POST", f"{DATABASE}/collections", {"name": name})
            assert status == 200, text
            for first in range(0, count, 200):
                path = f"{DATABASE}/collections/{uuid_of(door, name)}/add"
                status, text, _ = door.ask("POST", path, records(name, first, 200))
                assert status == 201, text
        yield chroma


def uuid_of(door, name):
    return json_of(door.ask("GET", f"{DATABASE}/collections/{name}"))["id"]


def json_of(answer):
    status, text, _ = answer
    assert status == 200, text
    return json.loads(text)


@contextlib.contextmanager
def gateway(chroma, memory_max, mode="prefer", settle_time="0s"):
    control = chroma.directory / f"control{memory_max}"
    settings = ["role=gateway", f"backend.settle_time={settle_time}", f"mirror.mode={mode}", f"mirror.memory_max={memory_max}B", "cache.enabled=false"]
    flags = [word for setting in settings for word in ("--set", setting)]
    with Proxy(chroma.port, [*flags, "--control", control]) as proxy:
        yield control, Door(proxy.port)


def settle(control, name):
    """Until it has a copy or never will. Nobody has named it before."""
    ctl(control, "mirror", "fill", name)
    wait_until(lambda: copy_of(control, name)["state"] in ("complete", "stopped"))
    return copy_of(control, name)


def test_what_a_copy_takes_is_known_before_it_is_filled(chroma):
    with gateway(chroma, 64 * MIB) as (control, _):
        whole = {name: settle(control, name) for name in SHAPES}
    for name, copy in whole.items():
        assert (copy["state"], copy["records"]) == ("complete", SHAPES[name][0])
        assert copy["expected_records"] is None and copy["expected_memory"] is None
    sizes = [copy["memory"] for copy in whole.values()]
    assert max(sizes) < 1.3 * min(sizes), sizes

    # With a fifth more than it needs none is taken for too large, whatever was read of it so far.
    with gateway(chroma, int(max(sizes) * 1.2)) as (control, _):
        for name in SHAPES:
            assert settle(control, name)["state"] == "complete"
            ctl(control, "mirror", "drop", name)

    # What does not fit is not read to the end.
    with gateway(chroma, int(min(sizes) * 0.75)) as (control, _):
        for name, (count, *_) in SHAPES.items():
            copy = settle(control, name)
            assert (copy["state"], copy["reason"], copy["expected_records"]) == ("stopped", "too_large", count), copy
            assert copy["expected_memory"] == pytest.approx(whole[name]["memory"], rel=0.15), name
            ctl(control, "mirror", "drop", name)


def test_what_waits_says_what_it_would_take(chroma):
    """All wait until it is settled, then one is filled at a time; nobody has said their dimensions."""
    with gateway(chroma, 64 * MIB, settle_time="10s") as (control, _):
        told = {}
        for name in SHAPES:
            ctl(control, "mirror", "fill", name)

        def is_told():
            for row in ctl(control, "mirror")["collections"]:
                if row["state"] == "waiting" and row["expected_memory"] is not None:
                    told.setdefault(row["name"], row)
            return all(copy_of(control, name)["state"] == "complete" for name in SHAPES)

        wait_until(is_told)
        assert len(told) >= len(SHAPES) - 1, told
        for name, row in told.items():
            count, dimension, *_ = SHAPES[name]
            copy = copy_of(control, name)
            assert (row["expected_records"], row["records"]) == (count, 0)
            assert row["expected_memory"] == pytest.approx(copy["memory"], rel=0.5), name
            assert count * dimension * 4 <= row["expected_vectors"] <= copy["disk"], name


def test_a_name_is_looked_up_at_chroma(chroma):
    def fill(name):
        began = time.monotonic()
        run = subprocess.run([PROXY, "ctl", "mirror", "fill", name, "--control", control], capture_output=True, text=True)
        assert time.monotonic() - began < 10
        return run.returncode, run.stderr

    with gateway(chroma, 64 * MIB) as (control, door):
        for name in ("nobody", "default_tenant/default_database/nobody", "no/tenant/vectors", "a", "..", "%2e%2e"):
            code, complaint = fill(name)
            assert code == os.EX_USAGE and complaint, name
        assert ctl(control, "mirror")["collections"] == []
        assert fill("default_tenant/default_database/vectors")[0] == 0
        wait_until(lambda: copy_of(control, "vectors")["state"] == "complete")
    with gateway(chroma, 64 * MIB, "off") as (control, _):
        assert fill("vectors") == (os.EX_USAGE, fill("nobody")[1])
