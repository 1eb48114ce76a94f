"""Does a copy hold what Chroma holds, however the writes came?

Eight clients write to five collections through `chromabouncer exec`. When they rest, each copy is
exported, which asks nothing of Chroma, and compared with what Chroma says: ids in their order,
vectors, documents, metadata, uris; and `ctl mirror verify` must find the same.

MIRROR_ROUNDS=N writes and compares as often (the default takes some ten seconds), MIRROR_SEED=S
begins with another seed.
"""

import json
import os
import subprocess
import time

import pytest

from bed import PROXY
from mirror_workload import KINDS
from test_mirror_workload import COLLECTIONS, SEED, Client, Mirrored, Place, Truth, canonical, fill, write_at_once

ROUNDS = int(os.environ.get("MIRROR_ROUNDS", "2"))
COLUMNS = {"embedding": "embeddings", "document": "documents", "metadata": "metadatas", "uri": "uris"}


def ctl(server, *words):
    run = subprocess.run([PROXY, "ctl", "--control", server.control, "mirror", *words, "-o", "json"],
                         capture_output=True, text=True, check=False)  # fmt: skip
    assert run.returncode == 0, (words, run.stderr)
    return json.loads(run.stdout)


def states(server):
    return {each["name"]: each["state"] for each in ctl(server)["collections"]}


def know(client, place):
    """As an application does that gets its collection by name."""
    assert client.ask("GET", f"{COLLECTIONS}/{place.kind.name}")[0] == 200


def wait_until_complete(server, client, places):
    """Whoever came anew gets its copy begun."""
    deadline = time.monotonic() + 60
    for place in places:
        know(client, place)
    found = states(server)
    for place in places:
        if place.kind.name not in found:
            ctl(server, "fill", place.kind.name)
    while any(found.get(place.kind.name) != "complete" for place in places):
        assert time.monotonic() < deadline, ctl(server)
        time.sleep(0.05)
        found = states(server)


def exported(server, name):
    """As soon as its copy is complete (again)."""
    deadline = time.monotonic() + 60
    while True:
        run = subprocess.run([PROXY, "export", name, "--control", server.control], capture_output=True, check=False)
        if run.returncode == 0:
            return [json.loads(line) for line in run.stdout.splitlines()]
        assert time.monotonic() < deadline, (name, run.stderr)
        time.sleep(0.05)


def compare(server, client, place):
    theirs = Truth(client, place).answer
    ours = exported(server, place.kind.name)
    assert [record["id"] for record in ours] == theirs["ids"], place.kind.name
    for number, record in enumerate(ours):
        for one, all_of in COLUMNS.items():
            wanted = theirs[all_of][number]
            if wanted == {}:  # of a record with a uri and no metadata
                wanted = None
            assert canonical(record[one]) == canonical(wanted), (place.kind.name, record["id"], one)
    return len(ours)


def verify(server, place):
    ctl(server, "verify", place.kind.name)
    deadline = time.monotonic() + 60
    while (found := ctl(server)["verified"])["result"] == "running" or found["collection"] != place.path[-36:]:
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    assert found["result"] == "same", found


@pytest.mark.timeout(120 + 20 * ROUNDS)
def test_a_copy_holds_what_chroma_holds():
    records = 0
    with Mirrored() as server:
        client, places = Client(server.port), [Place(kind) for kind in KINDS]
        fill(client, places, SEED)
        for number in range(ROUNDS):
            try:
                write_at_once(server.port, places, SEED + number)
                wait_until_complete(server, client, places)
                records += sum(compare(server, client, place) for place in places)
            except AssertionError as error:
                error.add_note(f"MIRROR_SEED={SEED}, round {number}")
                raise
        for place in places:
            verify(server, place)
        given_up = {key: value for key, value in ctl(server)["numbers"].items() if "given_up" in key and value}
        client.close()
    print(f"{records} records compared; given up: {given_up}")
    assert records > 1000 * ROUNDS
