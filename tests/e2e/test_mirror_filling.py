"""Copies beside writes that never end: real Chroma, while a copy is filled."""

import contextlib
import json
import statistics
import threading
import time

import pytest

from bed import Chroma, Proxy
from processes import wait_until
from test_mirror import Door, copy_of, ctl, vector
from mirror_bed import Server

RECORDS = 3000


def add_records(door, path, ids):
    for begin in range(0, len(ids), 1000):
        part = ids[begin : begin + 1000]
        status, text, _ = door.ask("POST", f"{path}/add", {
            "ids": [f"id{i}" for i in part],
            "embeddings": [vector(i) for i in part],
            "documents": [f"document {i} of {i % 7}" for i in part],
            "metadatas": [{"n": i, "kind": "odd" if i % 2 else "even"} for i in part],
        })
        assert status == 201, text


@pytest.fixture(scope="module")
def bed():
    with Chroma() as chroma:
        control = chroma.directory / "control"
        flags = ["--set", "role=gateway", "--set", "backend.settle_time=0s", "--set", "mirror.mode=prefer", "--set", "cache.enabled=false"]
        flags += ["--control", control]
        began_at = time.monotonic()
        with Proxy(chroma.port, flags) as proxy, contextlib.closing(Server(proxy.port)) as server:
            path = f"/api/v2/tenants/default_tenant/databases/default_database/collections/{server.collection}"
            door = Door(proxy.port)
            add_records(door, path, range(RECORDS))
            yield control, door, Door(chroma.port), path, proxy.port, began_at


# Each is asked as a `get`, and then is a delete. `i` makes them meet other records.
FILTERS = [
    lambda i: {"where": {"n": i}},
    lambda i: {"where": {"$and": [{"n": {"$gte": i}}, {"kind": "odd"}]}, "limit": 3},
    lambda i: {"where_document": {"$contains": f"document {i} "}},
    lambda i: {"where_document": {"$regex": f"^document {i + 1} "}},
    lambda i: {"ids": [f"id{i}", f"id{i + 1}", "nobody"], "where": {"kind": "even"}},
    lambda i: {"where": {"n": {"$lt": -1}}},
    lambda i: {"where": {"n": {"$gte": i}}, "where_document": {"$contains": "of 3"}, "limit": 2},
]


def test_a_delete_takes_what_a_get_finds(bed):
    """And what that costs: pytest -s."""
    _, _, direct, path, _, _ = bed
    took = {"get": [], "delete": []}
    for i in range(84):
        body = FILTERS[i % len(FILTERS)](RECORDS - 40 * (i + 1) // 4)
        began = time.perf_counter()
        found = json.loads(direct.ask("POST", f"{path}/get", {**body, "include": []})[1])["ids"]
        took["get"].append(time.perf_counter() - began)
        status, text, _ = direct.ask("POST", f"{path}/delete", body)
        took["delete"].append(time.perf_counter() - began - took["get"][-1])
        assert (status, json.loads(text)["deleted"]) == (200, len(found)), (body, found, text)
        left = json.loads(direct.ask("POST", f"{path}/get", {"ids": found + ["id0"], "include": []})[1])["ids"]
        assert left == ["id0"]
    print({name: f"{1000 * statistics.median(each):.1f} ms" for name, each in took.items()})


def test_deletes_by_a_filter_do_not_keep_a_copy_from_being_filled(bed):
    control, door, direct, path, port, began_at = bed
    over = threading.Event()
    deleted = []

    def delete():
        other = Door(port)
        for i in range(0, RECORDS - 900, 3):
            if over.is_set():
                break
            status, text, _ = other.ask("POST", f"{path}/delete", FILTERS[i % len(FILTERS)](i))
            assert status == 200, text
            deleted.append(json.loads(text)["deleted"])
            over.wait(0.05)

    time.sleep(max(0.0, began_at + 10.5 - time.monotonic()))  # nothing is copied before
    thread = threading.Thread(target=delete)
    thread.start()
    began = time.monotonic()
    ctl(control, "mirror", "fill", "mirrored")
    wait_until(lambda: copy_of(control, "mirrored")["state"] == "complete")
    while len(deleted) < 40:
        time.sleep(0.05)
    over.set()
    thread.join()
    print(f"complete after {time.monotonic() - began:.1f} s, {len(deleted)} deletes of {sum(deleted)} records")
    assert sum(deleted) > 20
    copy = copy_of(control, "mirrored")
    assert copy["state"] == "complete", copy
    given_up = ctl(control, "mirror")["numbers"]['chromabouncer_mirror_given_up_total{reason="unreadable"}']
    assert given_up == 0
    _, text, fields = door.ask("POST", f"{path}/get", {"include": []})
    assert fields["x-chromabouncer-source"] == "mirror"
    assert json.loads(text)["ids"] == json.loads(direct.ask("POST", f"{path}/get", {"include": []})[1])["ids"]


def test_updates_of_the_same_records_do_not_keep_a_copy_from_being_filled(bed):
    control, door, direct, path, port, _ = bed
    over = threading.Event()
    hot = [f"id{i}" for i in range(0, 60, 3)]
    status, text, _ = door.ask("POST", f"{path}/upsert", {"ids": hot, "embeddings": [vector(i) for i in range(20)]})
    assert status == 200, text
    took, failed = [], []

    def update(number):
        other = Door(port)
        while not over.is_set():
            began = time.monotonic()
            body = {"ids": hot, "embeddings": [vector(number)] * 20, "documents": [f"by {number}"] * 20}
            status, text, _ = other.ask("POST", f"{path}/update", body)
            took.append(time.monotonic() - began)
            if status != 200:
                failed.append(text)

    threads = [threading.Thread(target=update, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    ctl(control, "mirror", "fill", "mirrored")
    wait_until(lambda: copy_of(control, "mirrored")["state"] == "complete")
    print(f"complete after {time.monotonic() - began:.1f} s, {len(took)} updates, the longest {max(took):.2f} s")
    over.set()
    for thread in threads:
        thread.join()
    assert not failed
    body = {"ids": hot, "include": ["documents", "embeddings"]}
    _, text, fields = door.ask("POST", f"{path}/get", body)
    assert fields["x-chromabouncer-source"] == "mirror"
    assert json.loads(text) == json.loads(direct.ask("POST", f"{path}/get", body)[1])
