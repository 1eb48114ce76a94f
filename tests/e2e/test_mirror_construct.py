"""While Chroma is down an application that makes its client anew for each request goes on."""

import contextlib
import json
import os
import random
import socket
import time

import chromadb
import pytest
from langchain_chroma import Chroma as LangChainChroma

from bed import DATABASE, Chroma, Proxy
from processes import wait_until
from test_construct import Lengths
from test_mirror import Door, wait_for_copy

TEXTS = ["a", "bb", "ccc", "dddd"]


MODES = [("fallback", "true"), ("prefer", "false")]


@pytest.fixture
def chroma():
    with Chroma() as server:
        yield server


@pytest.fixture
def proxies(chroma):
    """In both modes before the same Chroma: only the first is written through."""
    with contextlib.ExitStack() as stack:
        started = []
        for mode, cache in MODES:
            control = chroma.directory / f"control-{mode}"
            flags = ["role=gateway", "backend.settle_time=0s", f"mirror.mode={mode}", f"cache.enabled={cache}"]
            flags = [word for flag in flags for word in ("--set", flag)]
            proxy = stack.enter_context(Proxy(chroma.port, [*flags, "--control", control]))
            proxy.control, proxy.door = control, Door(proxy.port)
            started.append(proxy)
        yield started


def one_request(port):
    """What the application does: everything is made anew."""
    client = chromadb.HttpClient(host="127.0.0.1", port=port)
    plain = client.get_collection("articles").query(query_embeddings=[[3.0, 1.0, 2.0]], n_results=2)
    store = LangChainChroma(client=client, collection_name="articles", embedding_function=Lengths())
    assert [found.page_content for found in store.similarity_search("ccc", k=2)][0] == "ccc"
    assert plain["documents"][0][0] == "ccc"
    assert store.get(ids=["t1"])["documents"] == ["bb"]


def expect_mirrored(door, path, said):
    status, text, fields = door.ask("GET", path)
    assert (status, text) == said[:2]
    assert fields["x-chromabouncer-source"] == "mirror"
    assert fields["x-chromabouncer-mirror"] == "age=0; complete=yes"
    assert fields["content-type"] == said[2]["content-type"]


def test_an_application_that_constructs_per_request_goes_on(chroma, proxies):
    client = chromadb.HttpClient(host="127.0.0.1", port=proxies[0].port)
    store = LangChainChroma(client=client, collection_name="articles", embedding_function=Lengths())
    store.add_texts(TEXTS, ids=[f"t{i}" for i in range(len(TEXTS))])
    uuid = client.get_collection("articles").id
    paths = ["/api/v2/tenants/default_tenant", "/api/v2/version", f"{DATABASE}/collections/articles"]
    for proxy in proxies:
        wait_for_copy(proxy.control, "articles", proxy.door, f"{DATABASE}/collections/{uuid}")
        for _ in range(3):
            one_request(proxy.port)
        proxy.said = [proxy.door.ask("GET", path) for path in paths]
    chroma.kill()
    for proxy in proxies:
        for _ in range(10):
            one_request(proxy.port)
        for path, said in zip(paths, proxy.said, strict=True):
            expect_mirrored(proxy.door, path, said)
        assert proxy.door.ask("GET", "/api/v2/heartbeat")[0] == 503
        assert proxy.door.ask("GET", f"{DATABASE}/collections/other")[0] == 503
    chroma.start()
    door = proxies[0].door
    wait_until(lambda: door.ask("GET", "/api/v2/heartbeat")[0] == 200)
    one_request(proxies[0].port)
    client.delete_collection("articles")
    wait_until(lambda: door.ask("GET", paths[-1])[0] == 404)
    chroma.kill()
    assert door.ask("GET", paths[-1])[0] == 503


def restart(chroma, proxy, path):
    chroma.kill()
    chroma.start()
    wait_until(lambda: proxy.door.ask("GET", "/api/v2/heartbeat")[0] == 200)
    wait_for_copy(proxy.control, "articles", proxy.door, path)


def test_an_ordinary_write_after_a_restart_is_no_end(chroma, proxies):
    proxy = proxies[0]
    client = chromadb.HttpClient(host="127.0.0.1", port=proxy.port)
    collection = client.create_collection("articles")
    collection.add(ids=["t1", "t2"], embeddings=[[2, 1, 2], [3, 1, 2]], documents=["bb", "ccc"], metadatas=[{"k": 1}] * 2)
    path = f"{DATABASE}/collections/{collection.id}"
    wait_for_copy(proxy.control, "articles", proxy.door, path)
    restart(chroma, proxy, path)
    one_request(proxy.port)
    collection.update(ids=["t1"], metadatas=[{"k": 2}])
    said = chroma.ask("GET", f"{DATABASE}/collections/articles")
    chroma.kill()
    for _ in range(3):
        one_request(proxy.port)
    assert json.loads(proxy.door.ask("GET", f"{DATABASE}/collections/articles")[1]) == said


def cut(chroma, path, key, seconds):
    """An upload that its client leaves."""
    columns = {"embeddings": [[1.0] * 64] * 60, "metadatas": [{key: 1}] * 60}
    body = json.dumps({"ids": [f"{key}-{i}" for i in range(60)], **columns}).encode()
    head = f"POST {path}/upsert HTTP/1.1\r\nHost: c\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", chroma.port)) as connection:
        connection.sendall(head.encode() + body)
        time.sleep(seconds)
    time.sleep(0.2)  # what is under way is


def test_any_update_shows_what_was_cut(chroma):
    """On it rests what collection_table.h says of an update: nothing older changes a description."""
    path = f"{DATABASE}/collections/{chroma.ask('POST', f'{DATABASE}/collections', {'name': 'docs'})['id']}"
    vectors = {"ids": ["x"], "embeddings": [[1.0] * 64]}
    chroma.ask("POST", f"{path}/upsert", vectors)
    rng, hidden = random.Random(1), 0
    for i in range(int(os.environ.get("CONSTRUCT_CUTS", "40"))):

        def is_described(key=f"k{i}"):
            return key in chroma.ask("GET", f"{DATABASE}/collections/docs")["schema"]["keys"]

        cut(chroma, path, f"k{i}", rng.uniform(0.001, 0.04))
        before = is_described()
        chroma.ask("POST", f"{path}/update", [{"ids": ["nobody"]}, {"ids": ["x"], "documents": [str(i)]}][i % 2])
        after = is_described()
        hidden += after and not before
        chroma.ask("POST", f"{path}/upsert", vectors)
        assert is_described() == after
    print(f"{hidden} were hidden until then")


def test_who_was_told_need_not_ask_again_after_a_write(chroma, proxies):
    proxy = proxies[0]
    collection = chromadb.HttpClient(host="127.0.0.1", port=proxy.port).create_collection("articles")
    collection.add(ids=["t1"], embeddings=[[2, 1, 2]], metadatas=[{"k": 1}])
    wait_for_copy(proxy.control, "articles", proxy.door, f"{DATABASE}/collections/{collection.id}")
    path = f"{DATABASE}/collections"
    creation = {"name": "articles", "get_or_create": True, "metadata": {"other": 1}}
    questions = [("GET", f"{path}/articles"), ("GET", f"{path}/by-id/{collection.id}"), ("POST", path, creation)]
    told = [proxy.door.ask(*question)[1] for question in questions * 2]
    collection.update(ids=["t1"], metadatas=[{"new": "key"}])
    said = chroma.ask("GET", f"{path}/articles")
    assert "new" in said["schema"]["keys"] and said not in map(json.loads, told)
    time.sleep(1)
    assert [json.loads(Door(chroma.port).ask(*question)[1]) for question in questions] == [said] * 3
    chroma.kill()
    wait_until(lambda: proxy.door.ask(*questions[0])[0] == 200)
    for question in questions:
        status, text, fields = proxy.door.ask(*question)
        assert (status, fields["x-chromabouncer-source"], json.loads(text)) == (200, "mirror", said)
