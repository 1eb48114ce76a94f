"""What clients ask when they are made is answered by a gateway as Chroma would answer in the same
moment, on a real server, whatever is written in between; and it is Chroma that is spared.

CONSTRUCT_STEPS=3000 writes so often instead of 150 times.
"""

import json
import os
import random
import time

import chromadb
import httpx
import pytest
from langchain_chroma import Chroma as LangChainChroma

from bed import DATABASE, WAIT_SECONDS, Chroma, OldChroma, Proxy
from test_cache import Asker

STEPS = int(os.environ.get("CONSTRUCT_STEPS", "150"))
CONSTRUCTIONS = 60
HIT = "chromabouncer; hit"


@pytest.fixture(scope="module", params=["newest", "1.0.20", "0.6.3", "0.5.23"])
def chroma(request):
    with Chroma() if request.param == "newest" else OldChroma(request.param) as server:
        server.is_newest = request.param == "newest"
        yield server


@pytest.fixture
def gateway(chroma):
    with Proxy(chroma.port, ["--set", "role=gateway", "--set", "backend.settle_time=0s"]) as proxy:
        wait_until_descriptions_are_kept(chroma, proxy)
        yield proxy


def wait_until_descriptions_are_kept(chroma, proxy):
    """The proxy finds out in its first moments which Chroma it is, and how much that takes."""
    chroma.ask("POST", f"{DATABASE}/collections", {"name": "known", "get_or_create": True})
    asker, deadline, hits = Asker(proxy.port), time.monotonic() + WAIT_SECONDS, 0
    while hits < 10:
        found = asker.ask("GET", f"{DATABASE}/collections/known")
        hits = hits + 1 if asker.status == HIT else 0
        asker.ask("GET", f"{DATABASE}/collections/{found['id']}/count")
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Comparer:
    """Sends what the gateway answered from its cache to Chroma as well."""

    def __init__(self, monkeypatch, gateway, chroma):
        self.asked, self.hits, self.missed = 0, 0, []
        send = httpx.Client.send

        def compare(client, request, **options):
            response = send(client, request, **options)
            if request.url.port != gateway.port or request.url.path.endswith("/upsert"):
                return response
            self.asked += 1
            if response.headers.get("cache-status") != HIT:
                self.missed.append(f"{request.method} {request.url.path}")
                return response
            self.hits += 1
            again = httpx.Request(
                request.method,
                request.url.copy_with(port=chroma.port),
                content=request.content,
                headers={"content-type": "application/json"},
            )
            with httpx.Client() as direct:
                assert send(direct, again).json() == response.json(), request.url
            return response

        monkeypatch.setattr(httpx.Client, "send", compare)


class Lengths:
    """An embedding function of no great merit."""

    def embed_documents(self, texts):
        return [[float(len(text)), 1.0, 2.0] for text in texts]

    def embed_query(self, text):
        return self.embed_documents([text])[0]


def test_constructing_clients_is_left_to_the_gateway(chroma, gateway, monkeypatch):
    if not chroma.is_newest:
        pytest.skip("the newest client does not speak to older servers")
    comparer = Comparer(monkeypatch, gateway, chroma)
    for number in range(CONSTRUCTIONS):
        client = chromadb.HttpClient(host="127.0.0.1", port=gateway.port)
        store = LangChainChroma(
            client=client, collection_name="articles", embedding_function=Lengths()
        )
        store.add_texts(
            [f"text {number}"], [{"source": f"page-{number}", "n": number}], ids=[f"t{number}"]
        )
    print(f"{comparer.hits} hits of {comparer.asked}; not: {comparer.missed}")
    assert comparer.asked == 5 * CONSTRUCTIONS
    assert comparer.hits >= 0.95 * comparer.asked, comparer.missed


class Catalogue:
    """One collection, and requests that may change its description or seem to."""

    def __init__(self, chroma, gateway, seed):
        self.random = random.Random(seed)
        self.through, self.direct = Asker(gateway.port), Asker(chroma.port)
        self.create = {"name": f"construct-{seed}", "get_or_create": True}
        self.asked = self.hits = 0
        self.path = None
        self.make()

    def make(self):
        made = self.through.ask("POST", f"{DATABASE}/collections", self.create)
        self.path = f"{DATABASE}/collections/{made['id']}"
        self.by_id = f"{DATABASE}/collections/by-id/{made['id']}"

    def metadata(self):
        """Mostly of few keys and types; sometimes not."""
        value = self.random.choice
        made = {}
        for _ in range(self.random.randrange(4)):
            key = value(["a", "b", "c"] * 5 + ["é", "x y", '"', f"new-{self.random.randrange(99)}"])
            made[key] = value([1, 2, -3] * 5 + [1.5, -0.0, 1e3, True, "s", "", 2**62])
        return made or None

    def write(self):
        ids = [f"r{self.random.randrange(30)}" for _ in range(self.random.randrange(1, 4))]
        ids = sorted(set(ids))
        operation = self.random.choice(["upsert", "upsert", "add", "update", "delete", "other"])
        body = {"ids": ids}
        if operation == "other":
            self.change_catalogue()
            return
        if operation != "delete":
            body["metadatas"] = [self.metadata() for _ in ids]
        if operation in ("upsert", "add"):
            size = 4 if self.random.randrange(30) else 3  # refused
            body["embeddings"] = [[1.0] * size for _ in ids]
        if operation != "delete" and self.random.randrange(2):
            body["documents"] = [self.random.choice(["text", None]) for _ in ids]
        if operation != "delete" and self.random.randrange(4) == 0:
            body["uris"] = ["file" for _ in ids]
        self.through.ask("POST", f"{self.path}/{operation}", body)

    def change_catalogue(self):
        choice = self.random.randrange(8)
        if choice == 0:
            metadata = {"version": self.random.randrange(1000)}
            self.through.ask("PUT", self.path, {"new_metadata": metadata})
        elif choice == 1:
            self.through.ask("DELETE", f"{DATABASE}/collections/{self.create['name']}")
            self.make()
        elif choice == 2:
            other = {"name": f"other-{self.random.randrange(5)}", "get_or_create": True}
            self.through.ask("POST", f"{DATABASE}/collections", other)
        else:
            self.through.ask("GET", f"{self.path}/count")

    def check(self):
        by_name = f"{DATABASE}/collections/{self.create['name']}"
        for method, path, body in [
            ("GET", by_name, None),
            ("GET", self.by_id, None),
            ("POST", f"{DATABASE}/collections", json.dumps(self.create)),
        ]:
            answer = self.through.ask(method, path, body)
            status = self.through.status
            self.asked += 1
            self.hits += status == HIT
            assert answer == self.direct.ask(method, path, body), (status, method, path)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_description_is_chromas_after_any_write(chroma, gateway, seed):
    catalogue = Catalogue(chroma, gateway, seed)
    for _ in range(STEPS):
        catalogue.write()
        catalogue.check()
    print(f"{catalogue.hits} hits of {catalogue.asked}")
    assert catalogue.hits > catalogue.asked / 4


def test_descriptions_are_kept_for_their_asker_and_role_alone(chroma, gateway):
    body = json.dumps({"name": "known", "get_or_create": True})
    asker = Asker(gateway.port)

    def status(headers=()):
        asker.ask("POST", f"{DATABASE}/collections", body, headers)
        return asker.status

    mine = {"authorization": "Bearer mine"}
    assert [status() == HIT for _ in range(2)] == [False, True]
    assert [status(mine) == HIT for _ in range(2)] == [False, True]
    assert status({"authorization": "Bearer other"}) != HIT
    assert status({"cache-control": "no-cache"}) == "chromabouncer; fwd=bypass"
    asker.ask("POST", f"{DATABASE}/collections", {"name": "known"})
    assert asker.code >= 400 and asker.status is None
    with Proxy(chroma.port, ["--set", "cache.max_staleness=1m"]) as sidecar:
        asker = Asker(sidecar.port)
        for path in ["/api/v2/auth/identity", f"{DATABASE}/collections/known"] * 3:
            asker.ask("GET", path)
            assert asker.status is None
        assert [status() for _ in range(3)] == [None] * 3
