"""`chromabouncer wrap` in front of servers with several processes, and of pytest -n."""

import ast
import concurrent.futures
import json
import random
import subprocess
import time
import urllib.request

import pytest

from bed import free_port
from test_wrap import PYTHONS, command, folder  # noqa: F401 (a fixture)

SECONDS, CLIENTS, SIZE = 20, 4, 4

# Of looks by a record's own vector. Chroma's search is approximate: of 400 random vectors in 16
# dimensions it missed an outlier now and then, also when it was asked directly. Without wrap far
# more are missed.
MISSES_MAX = 0.01  # and one more

# A client per request, or, EARLY, one that the processes inherit when they are forked after it.
APPLICATION = """
import json, os, urllib.parse
import chromadb

early = chromadb.PersistentClient("db") if os.environ.get("EARLY") else None
early_collection = early and early.get_or_create_collection("col")


def answer(path, query):
    words = urllib.parse.parse_qs(query)
    collection = early_collection
    if collection is None:
        collection = chromadb.PersistentClient("db").get_or_create_collection("col")
    vector = json.loads(words["vector"][0])
    if path == "/add":
        collection.add(ids=words["id"], embeddings=[vector])
        found = []
    else:
        found = collection.query(query_embeddings=[vector], n_results=1)["ids"][0]
        found = [found == words["id"], collection.get(ids=words["id"])["ids"] == words["id"]]
    return json.dumps({"process": os.getpid(), "found": found}).encode()


def wsgi(environ, start_response):
    body = answer(environ["PATH_INFO"], environ["QUERY_STRING"])
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    body = answer(scope["path"], scope["query_string"].decode())
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""

SERVERS = {
    "gunicorn": (["gunicorn", "-w", "4", "application:wsgi", "-b", "127.0.0.1:{}"], {}),
    "gunicorn_preload": (
        ["gunicorn", "--preload", "-w", "4", "application:wsgi", "-b", "127.0.0.1:{}"],
        {"EARLY": "1"},
    ),
    "uvicorn": (["uvicorn", "--workers", "4", "application:asgi", "--port", "{}"], {}),
}


def ask(port, path, name, vector):
    url = f"http://127.0.0.1:{port}{path}?id={name}&vector={json.dumps(vector, separators=(',', ':'))}"
    with urllib.request.urlopen(url, timeout=60) as response:
        return json.load(response)


def answers(port):
    try:
        return ask(port, "/add", "first", [0.0] * SIZE)
    except OSError:
        return None


def work(port, client, end):
    """Add records, each of which is looked for at once, until another process was asked."""
    chance, written, elsewhere, looks, misses = random.Random(client), {}, 0, 0, 0
    while time.monotonic() < end:
        name = f"{client}-{len(written)}"
        vector = [round(chance.uniform(-1, 1), 6) for _ in range(SIZE)]
        writer = ask(port, "/add", name, vector)["process"]
        written[name] = vector
        for _ in range(20):
            answer = ask(port, "/query", name, vector)
            by_vector, by_name = answer["found"]
            assert by_name, (name, answer, writer)
            looks, misses = looks + 1, misses + (not by_vector)
            if answer["process"] != writer:
                elsewhere += 1
                break
    assert misses <= 1 + looks * MISSES_MAX, f"{misses} of {looks} looks"
    return written, elsewhere


@pytest.mark.timeout(300)
@pytest.mark.parametrize("server", SERVERS)
def test_workers_see_what_others_have_written(folder, monkeypatch, server):  # noqa: F811
    words, variables = SERVERS[server]
    port = free_port()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    (folder / "application.py").write_text(APPLICATION)
    words = [PYTHONS[0], "-m", *[word.format(port) for word in words]]
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(command(*words), cwd=folder, stdout=output, stderr=output)
    try:
        end = time.monotonic() + 60
        while not answers(port):
            assert process.poll() is None and time.monotonic() < end, (folder / "output").read_text()
            time.sleep(0.2)
        end = time.monotonic() + SECONDS
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            results = list(pool.map(lambda client: work(port, client, end), range(CLIENTS)))
        written = {name: vector for names, _ in results for name, vector in names.items()}
        elsewhere = sum(count for _, count in results)
        print(f"{server}: {len(written)} records, {elsewhere} looked for in another process")
        assert elsewhere > len(written) / 2 > 10
        found = [ask(port, "/query", *record)["found"] for record in written.items()]
        assert all(by_name for _, by_name in found)
        assert sum(not by_vector for by_vector, _ in found) <= 1 + len(found) * MISSES_MAX
    finally:
        process.terminate()
        assert process.wait(60) in (0, -15)


TESTS = """
import chromadb, os, pytest

@pytest.mark.parametrize("number", range(12))
def test_one(number):
    client = chromadb.PersistentClient("db")
    assert type(client._server).__name__ == "FastAPI"
    collection = client.get_or_create_collection("col")
    vector = [float(number), 1.0]
    collection.add(ids=[f"{number}-{os.getpid()}"], embeddings=[vector])
    found = collection.query(query_embeddings=[vector], n_results=1)["ids"][0]
    assert found == [f"{number}-{os.getpid()}"]
"""


@pytest.mark.timeout(300)
def test_tests_in_several_processes_share_one_directory(folder):  # noqa: F811
    (folder / "test_them.py").write_text(TESTS)
    words = [PYTHONS[0], "-m", "pytest", "-q", "-n", "4", "-p", "no:cacheprovider", "test_them.py"]
    result = subprocess.run(
        command(*words), cwd=folder, capture_output=True, text=True, timeout=240
    )
    assert result.returncode == 0 and "12 passed" in result.stdout, result.stdout + result.stderr
    code = "import chromadb; print(chromadb.PersistentClient('db').get_collection('col').get()['ids'])"
    alone = subprocess.run([PYTHONS[0], "-c", code], cwd=folder, capture_output=True, text=True)
    names = [name.split("-") for name in ast.literal_eval(alone.stdout)]
    assert len(names) == 12 and len({process for _, process in names}) == 4
