"""Writes that share a call leave behind what they leave one by one, on real servers.

On servers in Python a null in `documents` or `uris` of an upsert or update erases what was there: who
filled up the columns of a batch there would erase what others had stored.
"""

import http.client
import itertools
import json
import threading

import pytest

from bed import DATABASE, Chroma, OldChroma, WatchedProxy, wait_for

COPIES = 4
OPTIONAL = ["documents", "uris", "metadatas"]
SETS = [c for size in range(4) for c in itertools.combinations(OPTIONAL, size)]
# What the writes are, each COPIES times in a row: neighbours in the queue have other columns.
KINDS = [(op, ("embeddings", *columns)) for op in ("add", "upsert", "update") for columns in SETS]
KINDS += [("update", columns) for columns in SETS if columns]
WRITES = [kind for kind in KINDS for _ in range(COPIES)]


@pytest.fixture(params=["newest", "1.0.20", "0.6.3", "0.5.23"])
def chroma(request):
    with Chroma() if request.param == "newest" else OldChroma(request.param) as server:
        yield server


def body_of(number, columns):
    """Of ids that no other write has; the second is there before only if `number` is even."""
    values = {
        "embeddings": [[number, 1, 0.5], [number, 2, 0.5]],
        "documents": ["new text", None],
        "uris": [None, "new:uri"],
        "metadatas": [{"k": "new"}, {"n": number}],
    }
    ids = [f"known-{number}", f"other-{number}"]
    return {"ids": ids, **{column: values[column] for column in columns}}


def records_before():
    ids = [f"known-{i}" for i in range(len(WRITES))]
    ids += [f"other-{i}" for i in range(0, len(WRITES), 2)]
    return {
        "ids": ids,
        "embeddings": [[9, 9, 9]] * len(ids),
        "documents": [f"text of {name}" for name in ids],
        "uris": [f"old:{name}" for name in ids],
        "metadatas": [{"k": "old", "of": name} for name in ids],
    }


def new_collection(chroma, port, name):
    made = chroma.ask("POST", f"{DATABASE}/collections", {"name": name})
    path = f"{DATABASE}/collections/{made['id']}"
    assert post(port, f"{path}/add", records_before()) == 201
    return path


def post(port, path, body):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


def write_all_at_once(port, path):
    """The status of each write."""
    statuses = [None] * len(WRITES)

    def write(number, op, columns):
        statuses[number] = post(port, f"{path}/{op}", body_of(number, columns))

    threads = [
        threading.Thread(target=write, args=(number, *kind)) for number, kind in enumerate(WRITES)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def content(chroma, path):
    """Of a collection: id to what is stored of it."""
    include = ["embeddings", *OPTIONAL]
    answer = chroma.ask("POST", f"{path}/get", {"include": include})
    return dict(zip(answer["ids"], zip(*(answer[column] for column in include))))


def test_merged_writes_leave_what_they_leave_one_by_one(chroma):
    with WatchedProxy(chroma.port) as proxy:
        wait_for(proxy.may_merge, "the family is known")
        alone = new_collection(chroma, chroma.port, "alone")
        merged = new_collection(chroma, proxy.port, "merged")
        expected = [
            post(chroma.port, f"{alone}/{op}", body_of(number, columns))
            for number, (op, columns) in enumerate(WRITES)
        ]
        assert write_all_at_once(proxy.port, merged) == expected
        assert set(expected) <= {200, 201}
        for op in ("add", "upsert", "update"):
            calls = proxy.metric(f'chromabouncer_batch_requests_count{{op="{op}"}}')
            writes = proxy.metric(f'chromabouncer_batch_requests_sum{{op="{op}"}}')
            print(f"{op}: {writes:.0f} writes in {calls:.0f} calls")
            assert calls <= writes * 3 / 4, f"{op}: hardly anything was merged"
        before, after = content(chroma, alone), content(chroma, merged)
        assert before.keys() == after.keys()
        assert [(i, before[i], after[i]) for i in before if before[i] != after[i]] == []
