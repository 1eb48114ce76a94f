"""What an operator sees of the cache of a gateway in front of a real Chroma, and what a flush does."""

import json
import os
import subprocess

import pytest

from bed import DATABASE, PROXY, Chroma, Proxy
from test_cache import Asker, new_collection, wait_until_known


@pytest.fixture(scope="module")
def bed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    settings = folder / "settings.yaml"
    settings.write_text(
        "role: gateway\n"
        "backend: {settle_time: 0s}\n"
        "listen: {trusted_proxies: 127.0.0.1}\n"
        "services:\n"
        "  - {name: chat, match: {header: 'x-service: chat'}}\n"
    )
    arguments = ["--config", str(settings), "--control", f"{folder}/control"]
    with Chroma() as chroma, Proxy(chroma.port, arguments) as proxy:
        proxy.chroma, proxy.control = chroma, f"{folder}/control"
        wait_until_known(chroma, proxy)
        yield proxy


def ctl(bed, *words, code=0):
    command = [str(PROXY), "ctl", *words, "-o", "json", "--control", bed.control]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == code, run
    return json.loads(run.stdout) if code == 0 else run.stderr


def row(bed, kind, name):
    rows = {each[kind[:-1]]: each for each in ctl(bed, "cache")[kind]}
    return rows.get(name, {"entries": 0, "bytes": 0, "lookups": 0, "hits": 0, "saved_seconds": 0})


def status_of(asker, path, headers=()):
    asker.ask("POST", f"{path}/get", "{}", headers)
    return asker.status.removeprefix("chromabouncer; ")


def test_what_is_kept_and_saved_is_told_by_collection_and_service(bed):
    path = new_collection(bed.chroma, "told")
    uuid = path.rsplit("/", 1)[1]
    asker = Asker(bed.port)
    chat = {"x-service": "chat"}
    assert status_of(asker, path, chat) == "fwd=miss; stored"
    for _ in range(9):
        assert status_of(asker, path, chat) == "hit"
    mine = row(bed, "collections", uuid)
    assert (mine["entries"], mine["lookups"], mine["hits"]) == (1, 10, 9)
    assert mine["hit_ratio"] == pytest.approx(0.9)
    assert 1024 <= mine["bytes"] <= 8192
    assert 0 < mine["saved_seconds"] < 10
    mine = row(bed, "services", "chat")
    assert (mine["entries"], mine["lookups"], mine["hits"]) == (1, 10, 9)
    whole = ctl(bed, "cache")
    assert whole["enabled"] is True
    assert whole["entries"] >= 1 and whole["bytes"] <= whole["bytes_max"]
    assert whole["hits"] >= 9 and whole["saved_seconds"] >= mine["saved_seconds"]
    text = subprocess.run(
        [str(PROXY), "ctl", "cache", "--control", bed.control], capture_output=True, text=True
    ).stdout
    assert "collections" in text and uuid in text and "chat" in text


def test_what_is_flushed_is_asked_of_chroma_again(bed):
    first, second = new_collection(bed.chroma, "first"), new_collection(bed.chroma, "second")
    uuid = first.rsplit("/", 1)[1]
    asker = Asker(bed.port)

    def fill():
        for path in first, second:
            status_of(asker, path)
            assert status_of(asker, path) == "hit"

    fill()
    assert ctl(bed, "cache", "flush", uuid) == {"flushed": uuid, "entries": 1}
    assert row(bed, "collections", uuid)["entries"] == 0
    assert status_of(asker, second) == "hit"
    assert status_of(asker, first) == "fwd=miss; stored"
    assert "no collection is known as" in ctl(bed, "cache", "flush", "first", code=os.EX_USAGE)
    asker.ask("GET", f"{DATABASE}/collections/first")  # now its name is known
    assert ctl(bed, "cache", "flush", "first")["flushed"] == uuid
    assert status_of(asker, first) == "fwd=miss; stored"
    name = "default_tenant/default_database/first"
    assert ctl(bed, "cache", "flush", name)["flushed"] == uuid


def test_after_a_write_past_the_gateway_a_flush_brings_the_truth(bed):
    path = new_collection(bed.chroma, "past")
    asker = Asker(bed.port)

    def value():
        return asker.ask("POST", f"{path}/get", '{"ids":["r7"]}')["metadatas"][0]["n"]

    assert value() == 7
    past = {"ids": ["r7"], "metadatas": [{"n": 99}]}
    bed.chroma.ask("POST", f"{path}/update", past)
    assert value() == 7 and asker.status == "chromabouncer; hit"
    assert ctl(bed, "cache", "flush")["flushed"] == "all"
    assert ctl(bed, "cache")["entries"] == 0
    assert value() == 99
