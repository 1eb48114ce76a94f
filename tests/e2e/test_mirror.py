"""Copies of collections: real Chroma, and what is answered without asking it."""

import collections
import contextlib
import http.client
import json
import pathlib
import random
import signal
import socket
import sqlite3
import subprocess
import threading
import time

import chromadb
import pytest

from bed import DATABASE, PROXY, Chroma, Proxy
from processes import wait_until
from test_exec import Exec

RECORDS = 500
DIMENSION = 32


class Door:
    """Requests whose answers are looked at as they are."""

    def __init__(self, port, fields=()):
        self.fields = {"content-type": "application/json", **dict(fields)}
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, method, path, body=None, fields=()):
        data = None if body is None else json.dumps(body)
        self.connection.request(method, path, data, {**self.fields, **dict(fields)})
        answer = self.connection.getresponse()
        return answer.status, answer.read(), answer.headers


def ctl(control, *words):
    command = [PROXY, "ctl", "--control", control, *words, "-o", "json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def copy_of(control, name):
    rows = [row for row in ctl(control, "mirror")["collections"] if row["name"] == name]
    return rows[0] if rows else {"state": "none"}


def wait_for_copy(control, name, door, path):
    """Reads let it begin."""

    def is_complete():
        door.ask("GET", f"{path}/count")
        return copy_of(control, name)["state"] == "complete"

    wait_until(is_complete)


def vector(seed):
    rng = random.Random(seed)
    return [round(rng.uniform(-1, 1), 4) for _ in range(DIMENSION)]


def fill(port, name="docs", headers=None):
    client = chromadb.HttpClient(host="127.0.0.1", port=port, headers=headers)
    collection = client.create_collection(name)
    collection.add(
        ids=[f"id{i}" for i in range(RECORDS)],
        embeddings=[vector(i) for i in range(RECORDS)],
        documents=[f"document {i} of {i % 7}" for i in range(RECORDS)],
        metadatas=[{"n": i, "kind": "odd" if i % 2 else "even"} for i in range(RECORDS)],
    )
    return collection, f"{DATABASE}/collections/{collection.id}"


QUESTIONS = [
    ("GET", "count", None),
    ("POST", "get", {"limit": 10, "offset": 20, "include": ["documents", "metadatas", "uris"]}),
    ("POST", "get", {"ids": ["id7", "id3", "nobody"], "include": ["embeddings", "documents"]}),
    ("POST", "get", {"where": {"$and": [{"n": {"$gte": 100}}, {"kind": "odd"}]}, "include": []}),
    ("POST", "get", {"where_document": {"$contains": "of 3"}, "limit": 5}),
    ("POST", "query", {"query_embeddings": [vector(-1), vector(-2)], "n_results": 5,
                       "include": ["distances", "documents", "metadatas"]}),
    ("POST", "query", {"query_embeddings": [vector(-3)], "n_results": 3, "where": {"n": {"$lt": 50}}}),
]


def same(left, right):
    """Equal, but for the last bits of distances."""
    if isinstance(left, float) and isinstance(right, float):
        return left == pytest.approx(right, rel=1e-5)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return left == right


def compare(door, direct, path):
    for method, operation, body in QUESTIONS:
        status, text, fields = door.ask(method, f"{path}/{operation}", body)
        assert fields["x-chromabouncer-source"] == "mirror", (operation, body, text[:200])
        assert fields["x-chromabouncer-mirror"] == "age=0; complete=yes"
        expected = direct.ask(method, f"{path}/{operation}", body)
        assert (status, fields["content-type"]) == (expected[0], expected[2]["content-type"])
        assert same(json.loads(text), json.loads(expected[1])), (operation, body)


class Mirrored:
    """Behind `run`, as `exec` takes note of others that speak with its Chroma, and these tests do."""

    def __init__(self, chroma, proxy, control):
        self.port, self.control, self.database = proxy.port, control, chroma.database
        self.chroma = chroma.process
        self.collection, self.path = fill(proxy.port)
        self.door, self.direct = Door(proxy.port), Door(chroma.port)
        wait_for_copy(control, "docs", self.door, self.path)


@pytest.fixture(scope="module")
def mirrored():
    with Chroma() as chroma:
        control = chroma.directory / "control"
        flags = ["--set", "role=gateway", "--set", "backend.settle_time=0s", "--set", "mirror.mode=prefer", "--set", "cache.enabled=false"]
        flags += ["--control", control]
        with Proxy(chroma.port, flags) as proxy:
            yield Mirrored(chroma, proxy, control)


def test_one_word_is_enough_with_exec():
    one = Exec(wait=False)
    control = one.directory / "control"
    one.flags = ["--mirror", "--control", control]
    with one:
        one.start()
        _, path = fill(one.port)
        door = Door(one.port)
        wait_for_copy(control, "docs", door, path)
        status, text, fields = door.ask("POST", f"{path}/get", {"ids": ["id7"], "include": []})
        assert (status, fields["x-chromabouncer-source"]) == (200, "mirror")
        assert json.loads(text)["ids"] == ["id7"]


def test_check_says_what_copies_would_take():
    with Chroma() as chroma:
        client = chromadb.HttpClient(host="127.0.0.1", port=chroma.port)
        for name in ("docs", "docs-2", "other"):
            collection = client.create_collection(name)
            for at in range(0, 2000, 1000):
                ids = [f"id{i}" for i in range(at, at + 1000)]
                collection.add(ids=ids, embeddings=[vector(7)] * 1000)
        words = [PROXY, "check", "--listen", "127.0.0.1:0", "--status", "off", "--set", "mirror.mode=fallback"]
        words += ["--backend", f"http://127.0.0.1:{chroma.port}"]

        def check(*settings):
            flags = [word for setting in settings for word in ("--set", setting)]
            checked = subprocess.run([*words, *flags], capture_output=True, text=True, timeout=60).stdout
            [line] = [line for line in checked.split("\n") if "would take" in line]
            return line

        line = check("mirror.collections=docs*")
        assert "all 2 collections of the default database, 4000 records" in line
        assert line.startswith("ok") and "about 2MiB of memory" in line.replace(" MiB", "MiB"), line  # 632 bytes each
        line = check("mirror.disk_max=1MiB")  # vectors of 128 bytes, in steps of 4096
        assert line.startswith("warn") and "all 3 collections" in line, line


def test_answers_of_a_copy_are_chromas(mirrored):
    compare(mirrored.door, mirrored.direct, mirrored.path)


def test_a_change_of_name_or_metadata_leaves_a_copy(mirrored):
    """Chroma goes on searching in the space in which the collection was made."""
    fills = copy_of(mirrored.control, "docs")["fills"]
    changes = [
        {"new_metadata": {"hnsw:space": "cosine", "hnsw:search_ef": 7}},
        {"new_name": "renamed"},
        {"new_name": "docs", "new_metadata": {"hnsw:space": "ip"}, "new_configuration": None},
    ]
    for change in changes:
        assert mirrored.door.ask("PUT", mirrored.path, change)[0] == 200
        compare(mirrored.door, mirrored.direct, mirrored.path)
    assert copy_of(mirrored.control, "docs")["fills"] == fills
    assert verified(mirrored.control, "docs")["result"] == "same"
    mirrored.door.ask("GET", f"{DATABASE}/collections/docs")  # whoever has no copy is known by name again
    row = copy_of(mirrored.control, "docs")
    assert (row["records"], row["hollow"]) == (RECORDS, 0)
    assert row["memory"] > 0 and row["disk"] > 0


def test_what_was_written_is_read_at_once(mirrored):
    collection, path, door = mirrored.collection, mirrored.path, mirrored.door
    collection.update(ids=["id1"], embeddings=[vector(77)], documents=["changed"], metadatas=[{"kind": None, "more": 1.5}])
    collection.delete(ids=["id2"])
    collection.upsert(ids=["new", "id3"], embeddings=[vector(9001), vector(9002)], documents=["n", "m"])
    collection.delete(where={"n": {"$gt": 490}})
    compare(door, mirrored.direct, path)
    status, text, fields = door.ask("POST", f"{path}/get", {"ids": ["id1", "id2", "new"]})
    assert (status, fields["x-chromabouncer-source"]) == (200, "mirror")
    assert sorted(json.loads(text)["ids"]) == ["id1", "new"]
    for i in range(50):
        collection.upsert(ids=[f"turn{i}"], embeddings=[vector(i)], documents=[f"turn {i}"])
        got = collection.get(ids=[f"turn{i}"])
        assert got["documents"] == [f"turn {i}"]
    compare(door, mirrored.direct, path)


def test_who_asks_for_chromas_own_answer_gets_it(mirrored):
    fields = {"cache-control": "no-store"}
    answer = mirrored.door.ask("GET", f"{mirrored.path}/count", None, fields)
    assert answer[2]["x-chromabouncer-source"] == "backend"


def test_a_copy_is_dropped_and_filled_by_hand(mirrored):
    assert copy_of(mirrored.control, "docs")["state"] == "complete"
    ctl(mirrored.control, "mirror", "drop", "docs")
    assert copy_of(mirrored.control, "docs")["state"] != "complete"
    ctl(mirrored.control, "mirror", "fill", "docs")
    wait_until(lambda: copy_of(mirrored.control, "docs")["state"] == "complete")
    compare(mirrored.door, mirrored.direct, mirrored.path)


def verified(control, name):
    ctl(control, "mirror", "verify", name)
    wait_until(lambda: ctl(control, "mirror")["verified"]["result"] != "running")
    return ctl(control, "mirror")["verified"]


def test_a_copy_is_written_out_and_read_in(mirrored):
    flags = ["--control", mirrored.control]
    text = subprocess.run([PROXY, "export", "docs", *flags], check=True, capture_output=True).stdout
    client = chromadb.HttpClient(host="127.0.0.1", port=mirrored.port)
    other = client.create_collection("other")
    flags = ["--listen", f"127.0.0.1:{mirrored.port}"]
    subprocess.run([PROXY, "import", "other", *flags], input=text, check=True, capture_output=True)
    include = ["embeddings", "documents", "metadatas", "uris"]
    one, two = (each.get(include=include) for each in (mirrored.collection, other))
    assert one["ids"] == two["ids"] and (one["embeddings"] == two["embeddings"]).all()
    assert (one["documents"], one["metadatas"]) == (two["documents"], two["metadatas"])
    client.create_collection("unread")  # nobody reads it, so there is no copy
    command = [PROXY, "export", "unread", "--control", mirrored.control]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert (refused.returncode, refused.stdout) == (69, ""), refused
    assert "no complete copy" in refused.stderr


def test_a_write_behind_the_proxys_back_is_found(mirrored):
    found = verified(mirrored.control, "docs")
    assert found["result"] == "same", found
    body = {"ids": ["id9"], "documents": ["not seen"], "embeddings": [vector(9)]}
    assert mirrored.direct.ask("POST", f"{mirrored.path}/update", body)[0] == 200
    found = verified(mirrored.control, "docs")
    assert (found["result"], found["records"] > 0) == ("different", True), found
    assert copy_of(mirrored.control, "docs")["refills"]["differs"] == 1
    wait_for_copy(mirrored.control, "docs", mirrored.door, mirrored.path)
    compare(mirrored.door, mirrored.direct, mirrored.path)


def ask_late(mirrored):
    """Chroma answers this only when the copy has."""
    mirrored.chroma.send_signal(signal.SIGSTOP)
    status, _, fields = mirrored.door.ask("POST", f"{mirrored.path}/get", {"ids": ["id9"]})
    mirrored.chroma.send_signal(signal.SIGCONT)
    assert (status, fields["x-chromabouncer-source"]) == (200, "mirror")


def compared(control):
    return ctl(control, "mirror")["compared"]


def test_who_was_overtaken_is_compared(mirrored):
    ctl(mirrored.control, "set", "mirror.mode=hedge")
    for _ in range(60):  # how long Chroma takes
        mirrored.door.ask("POST", f"{mirrored.path}/get", {"ids": ["id9"]})
    same_before = compared(mirrored.control)["same"]
    time.sleep(0.2)
    ask_late(mirrored)
    wait_until(lambda: compared(mirrored.control)["same"] == same_before + 1)
    body = {"ids": ["id9"], "documents": ["not seen either"], "embeddings": [vector(9)]}
    assert mirrored.direct.ask("POST", f"{mirrored.path}/update", body)[0] == 200
    time.sleep(0.2)
    ask_late(mirrored)
    wait_until(lambda: compared(mirrored.control)["different"] == 1)
    assert copy_of(mirrored.control, "docs")["reason"] == "differs"
    ctl(mirrored.control, "set", "mirror.mode=prefer")
    wait_for_copy(mirrored.control, "docs", mirrored.door, mirrored.path)
    compare(mirrored.door, mirrored.direct, mirrored.path)


def test_a_damaged_copy_is_made_anew(mirrored):
    folder = pathlib.Path(ctl(mirrored.control, "mirror")["directory"])
    uuid = mirrored.path.rsplit("/", 1)[1]
    for file in folder.glob(f"{uuid}-*"):
        data = file.read_bytes()
        if b"document 8 " in data:
            with file.open("r+b") as out:  # the same file, as a disk would damage it
                out.write(data.replace(b"document 8 ", b"document 9 "))
    status, text, fields = mirrored.door.ask("POST", f"{mirrored.path}/get", {"ids": ["id8"]})
    assert (status, fields["x-chromabouncer-source"]) == (200, "backend")
    assert b"document 8 " in text
    row = copy_of(mirrored.control, "docs")
    assert (row["reason"], row["refills"]["store"]) == ("store", 1)
    assert "checksum" in row["why"]
    wait_for_copy(mirrored.control, "docs", mirrored.door, mirrored.path)
    compare(mirrored.door, mirrored.direct, mirrored.path)


def cut_upload(port, path, name, seconds):
    body = {"ids": [f"{name}-{i}" for i in range(300)], "embeddings": [vector(i) for i in range(300)]}
    data = json.dumps(body).encode()
    head = f"POST {path}/add HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head.encode() + data)
        time.sleep(seconds)
    time.sleep(0.1)


def is_logged(database, name):
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        row = connection.execute("SELECT count(*) FROM embeddings_queue WHERE id = ?", [f"{name}-0"]).fetchone()
    return row[0] > 0


def hide_upload(database, direct, path):
    """Cut uploads until one is in Chroma's log and shown to nobody: until the next write it stays so."""
    rng = random.Random(11)
    for upload in range(300):
        name = f"cut{upload}"
        cut_upload(direct.connection.port, path, name, rng.uniform(0.002, 0.03))
        got = json.loads(direct.ask("POST", f"{path}/get", {"ids": [f"{name}-0"], "include": []})[1])
        if not got["ids"] and is_logged(database, name):
            return
    raise AssertionError("none of these uploads was cut where it matters")


def test_what_chroma_holds_and_does_not_show_is_in_a_copy(mirrored):
    client = chromadb.HttpClient(host="127.0.0.1", port=mirrored.port)
    collection = client.create_collection("cut")
    collection.add(ids=["first"], embeddings=[vector(0)])
    path = f"{DATABASE}/collections/{collection.id}"
    mirrored.direct.ask("GET", f"{path}/count")  # the first read applies what is there
    hide_upload(mirrored.database, mirrored.direct, path)
    wait_for_copy(mirrored.control, "cut", mirrored.door, path)
    collection.upsert(ids=["later"], embeddings=[vector(1)])
    asked = ("POST", f"{path}/get", {"include": []})
    _, text, fields = mirrored.door.ask(*asked)
    assert fields["x-chromabouncer-source"] == "mirror"
    assert json.loads(text)["ids"] == json.loads(mirrored.direct.ask(*asked)[1])["ids"]


def test_what_a_single_node_does_not_have_leaves_a_copy(mirrored):
    """An attached function may write at any time: what was refused is none."""
    body = {"name": "f", "function_id": "statistics", "output_collection": "docs", "params": {}}
    assert mirrored.door.ask("POST", f"{mirrored.path}/functions/attach", body)[0] == 501
    assert mirrored.door.ask("POST", f"{mirrored.path}/fork", {"new_name": "forked"})[0] == 501
    compare(mirrored.door, mirrored.direct, mirrored.path)


def test_fallback_answers_while_chroma_is_down():
    with Chroma() as chroma:
        control, keys = chroma.directory / "control", chroma.directory / "keys"
        key = subprocess.run([PROXY, "key", "add", "all", "--set", f"auth.keys_file={keys}"], check=True,
                             capture_output=True, text=True).stdout.split()[0]
        fields = {"authorization": f"Bearer {key}"}
        flags = ["--set", "role=gateway", "--set", "backend.settle_time=0s", "--set", "mirror.mode=fallback", "--set", "cache.enabled=false"]
        flags += ["--set", "auth.required=true", "--set", f"auth.keys_file={keys}"]
        with Proxy(chroma.port, [*flags, "--control", control]) as proxy:
            collection, path = fill(proxy.port, headers=fields)
            door, direct = Door(proxy.port, fields), Door(chroma.port)
            wait_for_copy(control, "docs", door, path)
            asked = [(question, direct.ask(question[0], f"{path}/{question[1]}", question[2])[1])
                     for question in QUESTIONS]
            answer = door.ask("GET", f"{path}/count")
            assert answer[2]["x-chromabouncer-source"] == "backend"
            chroma.process.send_signal(signal.SIGKILL)
            chroma.process.wait()
            for (method, operation, body), expected in asked:
                status, text, said = door.ask(method, f"{path}/{operation}", body)
                assert (status, said["x-chromabouncer-source"]) == (200, "mirror"), text
                assert same(json.loads(text), json.loads(expected))
            assert collection.count() == RECORDS
            assert Door(proxy.port).ask("GET", f"{path}/count")[0] == 401
            command = [PROXY, "export", "docs", "--control", control]
            lines = subprocess.run(command, check=True, capture_output=True).stdout.splitlines()
            assert len(lines) == RECORDS
            chroma.start()

            def is_asked():
                return door.ask("GET", f"{path}/count")[2]["x-chromabouncer-source"] == "backend"

            wait_until(is_asked)


def test_fallback_answers_after_a_stop_under_load():
    """A Chroma that is told to end closes its idle connections, and answers what it has for a moment: that is no
    other one, for which the copy would be void, if the moment is a tenth of a second at most (20 ms on a quiet
    machine)."""
    with Chroma() as chroma:
        control = chroma.directory / "control"
        flags = ["--set", "role=gateway", "--set", "backend.settle_time=0s", "--set", "mirror.mode=fallback", "--set", "cache.enabled=false"]
        with Proxy(chroma.port, [*flags, "--control", control]) as proxy:
            _, path = fill(proxy.port)
            ended, statuses, quick = threading.Event(), collections.Counter(), []

            def read():
                door = Door(proxy.port)
                while not ended.is_set():
                    statuses[door.ask("POST", f"{path}/query", {"query_embeddings": [vector(1)]})[0]] += 1

            readers = [threading.Thread(target=read) for _ in range(4)]
            wait_for_copy(control, "docs", Door(proxy.port), path)
            for reader in readers:
                reader.start()
            for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
                began = time.monotonic()
                chroma.process.send_signal(stop)
                chroma.process.wait()
                quick.append(time.monotonic() - began < 0.1)
                time.sleep(0.5)
                assert copy_of(control, "docs")["state"] == "complete" or not quick[-1], stop
                chroma.start()
                if quick[-1]:
                    wait_until(lambda: copy_of(control, "docs")["state"] != "complete")
                wait_for_copy(control, "docs", Door(proxy.port), path)
            ended.set()
            for reader in readers:
                reader.join()
            assert any(quick) and (set(statuses) == {200} or not all(quick)), (quick, statuses)


def test_a_full_disk_ends_a_copy_and_nothing_else():
    with Chroma() as chroma:
        disk = chroma.directory / "disk"
        disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
        if subprocess.run(mount, stderr=subprocess.DEVNULL).returncode != 0:
            pytest.skip("a small tmpfs cannot be mounted here")
        try:
            use_full_disk(chroma, disk)
        finally:
            subprocess.run(["umount", "-l", str(disk)], check=True)


def use_full_disk(chroma, disk):
    control = chroma.directory / "control"
    flags = ["--set", "role=gateway", "--set", "backend.settle_time=0s", "--set", "mirror.mode=prefer", "--set", "cache.enabled=false"]
    flags += ["--set", f"mirror.directory={disk}", "--control", control]
    with Proxy(chroma.port, flags) as proxy:
        door, direct = Door(proxy.port), Door(chroma.port)
        _, small = fill(proxy.port, "small")
        wait_for_copy(control, "small", door, small)
        large, path = fill(proxy.port, "large")
        records = [(f"long-{number}", vector(number), "text " * 20000) for number in range(40)]
        for number in range(0, len(records), 10):
            ids, vectors, texts = zip(*records[number:number + 10])
            large.add(ids=list(ids), embeddings=list(vectors), documents=list(texts))

        def has_failed():
            assert door.ask("GET", f"{path}/count")[1] == direct.ask("GET", f"{path}/count")[1]
            return copy_of(control, "large").get("reason") == "store"

        wait_until(has_failed)
        assert copy_of(control, "small")["state"] == "complete"
        for operation, body in (("get", {"ids": ["long-39"]}), ("query", {"query_embeddings": [vector(7)]})):
            (status, text, said), expected = (side.ask("POST", f"{path}/{operation}", body) for side in (door, direct))
            assert (status, said["x-chromabouncer-source"]) == (200, "backend"), operation
            assert same(json.loads(text), json.loads(expected[1])), operation
        assert door.ask("GET", f"{small}/count")[2]["x-chromabouncer-source"] == "mirror"
        large.delete(ids=[each[0] for each in records])
        wait_for_copy(control, "large", door, path)  # it fits now
        compare(door, direct, path)
