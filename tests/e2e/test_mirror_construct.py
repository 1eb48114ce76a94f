"""While Chroma is down an application that makes its client anew for each request goes on."""

import contextlib

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
