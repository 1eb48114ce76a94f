"""`chromabouncer advice` about real clients: each rule of reads speaks of the client that has the
habit and is silent about the one that has not; and processes that open a directory themselves are
found by `wrap`, `exec` and `check`."""

import contextlib
import json
import subprocess
import sys

import chromadb
import pytest

from bed import PROXY, ROOT, Chroma, Proxy, free_port
from processes import wait_until, with_word

PYTHON = str(ROOT / ".venv/bin/python")
CHROMA = ROOT / ".venv/bin/chroma"
DIMENSION = 8


def advice(control):
    words = [PROXY, "advice", "-o", "json", "--control", str(control)]
    result = subprocess.run(words, capture_output=True, text=True, timeout=60)
    return json.loads(result.stdout)["advice"] if result.returncode == 0 else []


def rules(control):
    return {found["rule"]: found for found in advice(control)}


@pytest.fixture(scope="module")
def chroma():
    with Chroma() as server:
        yield server


@pytest.fixture(params=["sidecar", "gateway"])
def role(request):
    return request.param


@pytest.fixture
def proxy(chroma, role, tmp_path):
    flags = ["--control", str(tmp_path / "control"), "--set", f"role={role}", "--set", "backend.settle_time=0s"]
    with Proxy(chroma.port, flags) as proxy:
        proxy.control = tmp_path / "control"
        yield proxy
    chroma.delete_collections()


def collection_of(proxy):
    client = chromadb.HttpClient("127.0.0.1", proxy.port)
    collection = client.get_or_create_collection("advised")
    vectors = [[float(n)] * DIMENSION for n in range(400)]
    collection.add(ids=[f"id{n}" for n in range(400)], embeddings=vectors)
    return collection


def test_a_client_with_all_the_habits_is_told_of_each(proxy, role):
    collection = collection_of(proxy)
    for _ in range(30):
        collection.get()
        collection.query(query_embeddings=[[1.0] * DIMENSION], n_results=350)
    found = rules(proxy.control)
    assert set(found) == {"unfiltered_gets", "wide_queries", "repeated_reads"}
    assert found["unfiltered_gets"]["evidence"].startswith("30 of 30 gets, up to ")
    expected = "30 of 30 queries looked at, n_results up to 350"
    assert found["wide_queries"]["evidence"] == expected
    repeated = found["repeated_reads"]
    expected = "58 of 60 reads looked at, 58 of them asked by itself before; the cache answered "
    assert repeated["evidence"].startswith(expected) and repeated["count"] == 58
    answered = int(repeated["evidence"].removeprefix(expected))
    if role == "gateway":
        assert answered > 0 and "from the cache" in repeated["here"]
    else:
        assert answered == 0 and "cache.enabled" in repeated["here"]


def test_a_good_client_is_told_nothing(proxy):
    collection = collection_of(proxy)
    for n in range(30):
        collection.query(query_embeddings=[[float(n)] * DIMENSION], n_results=10)
        collection.get(ids=[f"id{n}"])
        collection.get(limit=10, offset=n)
    assert rules(proxy.control) == {}


@contextlib.contextmanager
def wrapped(folder, code):
    """The process of an application that has run `code` under wrap, and waits."""
    code = f"import chromadb, pathlib, sys; {code}; pathlib.Path('ready').touch(); input()"
    words = [PROXY, "wrap", "--control", folder / "control", "--", PYTHON, "-c", code]
    process = subprocess.Popen(words, cwd=folder, stdin=subprocess.PIPE)
    try:
        wait_until(lambda: (folder / "ready").exists())
        yield process.pid
    finally:
        process.communicate(b"\n")
    wait_until(lambda: not with_word(str(folder)))


def test_wrap_tells_of_clients_that_it_does_not_serve(tmp_path):
    control = tmp_path / "control"
    with wrapped(tmp_path, "a, b = (chromadb.PersistentClient(p) for p in 'ab')") as process:
        (found,) = advice(control)
        assert found["rule"] == "embedded_processes" and found["count"] == 1
        assert found["address"] == f"'{tmp_path}/b'"
        expected = f"the last {process}: another directory than the one that is served"
        assert expected in found["evidence"]
        text = subprocess.run(
            [PROXY, "advice", "--control", control], capture_output=True, text=True, check=True
        ).stdout
        assert text.startswith(f"Embedded clients at '{tmp_path}/b' open the directory themselves")


def test_wrap_tells_of_clients_that_it_could_not_serve(tmp_path):
    """There is no Chroma beside the Python that it says it is."""
    code = "sys.executable = '/nonexistent/python'; client = chromadb.PersistentClient('db')"
    with wrapped(tmp_path, code) as process:
        (found,) = advice(tmp_path / "control")
        assert found["rule"] == "embedded_processes" and found["address"] == f"'{tmp_path}/db'"
        assert f"1 process, the last {process}: it could not" in found["evidence"]


def test_exec_and_check_find_another_process_at_the_directory(tmp_path):
    control, database = tmp_path / "control", tmp_path / "db" / "chroma.sqlite3"
    port = free_port()
    words = [PROXY, "exec", "--status", "off", "--control", control, "--"]
    words += [CHROMA, "run", "--path", tmp_path / "db", "--port", str(port)]
    running = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.DEVNULL)
    try:
        client = wait_until(lambda: try_client(port))
        assert client.heartbeat() and advice(control) == []
        assert f"'{tmp_path}/db' is open" not in check(port)
        holder = subprocess.Popen(
            [sys.executable, "-c", f"f = open({str(database)!r}); input()"], stdin=subprocess.PIPE
        )
        try:
            found = wait_until(lambda: advice(control))[0]
            assert found["rule"] == "embedded_processes"
            assert f"the last {holder.pid}: the Chroma that runs here" in found["evidence"]
            said = check(port)
            assert f"'{tmp_path}/db' is open in 2 processes (" in said and str(holder.pid) in said
        finally:
            holder.communicate(b"\n")
    finally:
        running.terminate()
        running.wait(60)
    wait_until(lambda: not with_word(str(tmp_path)))


def try_client(port):
    try:
        return chromadb.HttpClient("127.0.0.1", port)
    except ValueError:  # it does not listen yet
        return None


def check(port):
    words = [PROXY, "check", "--listen", "127.0.0.1:0", "--status", "off"]
    words += ["--backend", f"http://127.0.0.1:{port}"]
    return subprocess.run(words, capture_output=True, text=True, timeout=60).stdout
