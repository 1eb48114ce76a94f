"""While Chroma is down an application that makes its client anew for each request goes on."""

import time

import chromadb
import pytest
from langchain_chroma import Chroma as LangChainChroma

from bed import DATABASE, Chroma, Proxy
from processes import wait_until
from test_construct import Lengths
from test_mirror import Door, wait_for_copy

TEXTS = ["a", "bb", "ccc", "dddd"]
NEAREST = ["ccc", "dddd"]


@pytest.fixture
def chroma():
    with Chroma() as server:
        yield server


@pytest.fixture(params=[("fallback", "true"), ("prefer", "false")], ids=lambda param: param[0])
def proxy(chroma, request):
    mode, cache = request.param
    flags = ["--set", "role=gateway", "--set", f"mirror.mode={mode}", "--set", f"cache.enabled={cache}"]
    control = chroma.directory / "control"
    with Proxy(chroma.port, [*flags, "--control", control]) as proxy:
        proxy.control = control
        yield proxy


def one_request(port):
    """What the application does: everything is made anew."""
    client = chromadb.HttpClient(host="127.0.0.1", port=port)
    plain = client.get_collection("articles").query(query_embeddings=[[3.0, 1.0, 2.0]], n_results=2)
    store = LangChainChroma(client=client, collection_name="articles", embedding_function=Lengths())
    assert [found.page_content for found in store.similarity_search("ccc", k=2)][0] == "ccc"
    assert plain["documents"][0][0] == "ccc"
    assert store.get(ids=["t1"])["documents"] == ["bb"]


def test_an_application_that_constructs_per_request_goes_on(chroma, proxy):
    client = chromadb.HttpClient(host="127.0.0.1", port=proxy.port)
    store = LangChainChroma(client=client, collection_name="articles", embedding_function=Lengths())
    store.add_texts(TEXTS, ids=[f"t{i}" for i in range(len(TEXTS))])
    door = Door(proxy.port)
    uuid = client.get_collection("articles").id
    wait_for_copy(proxy.control, "articles", door, f"{DATABASE}/collections/{uuid}")
    for _ in range(3):
        one_request(proxy.port)
    said = door.ask("GET", "/api/v2/tenants/default_tenant")
    version = door.ask("GET", "/api/v2/version")
    chroma.kill()
    began = time.monotonic()
    for _ in range(10):
        one_request(proxy.port)
    assert time.monotonic() - began < 10
    status, text, fields = door.ask("GET", "/api/v2/tenants/default_tenant")
    assert (status, text) == said[:2]
    assert fields["x-chromabouncer-source"] == "mirror"
    assert fields["x-chromabouncer-mirror"] == "age=0; complete=yes"
    assert fields["content-type"] == said[2]["content-type"]
    assert door.ask("GET", "/api/v2/version")[:2] == version[:2]
    assert door.ask("GET", "/api/v2/heartbeat")[0] == 503
    assert door.ask("GET", f"{DATABASE}/collections/other")[0] == 503
    chroma.start()
    wait_until(lambda: door.ask("GET", "/api/v2/heartbeat")[0] == 200)
    one_request(proxy.port)
    client.delete_collection("articles")
    wait_until(lambda: door.ask("GET", f"{DATABASE}/collections/articles")[0] == 404)
    chroma.kill()
    status, text, _ = door.ask("GET", f"{DATABASE}/collections/articles")
    assert status == 503, text
