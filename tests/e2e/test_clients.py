"""Real clients cannot tell chromabouncer from Chroma: same results, same bytes on the wire."""

import json
import subprocess
import urllib.request

import pytest

import client_workloads
from bed import DATABASE, ROOT, wait_for
from conftest import open_bed
from transcript import Transcript, assert_same


def javascript(port):
    script = ROOT / "tests/e2e/workload_javascript.mjs"
    run = subprocess.run(
        ["node", script, str(port)], capture_output=True, text=True, timeout=100, check=False
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize(
    "workload",
    [
        client_workloads.python_sync,
        client_workloads.python_async,
        javascript,
        client_workloads.langchain,
        client_workloads.llamaindex,
    ],
    ids=lambda workload: workload.__name__,
)
def test_a_client_sees_no_difference(bed, workload):
    compare(bed, workload)


@pytest.mark.parametrize("workload", [client_workloads.python_sync, javascript])
@pytest.mark.parametrize("release", ["0.5.23", "0.6.3", "1.0.20"])
def test_nor_with_a_server_of_another_release(bed_with, release, workload):
    """Whether that server and the newest clients understand each other or not."""
    compare(bed_with(release=release), workload)


DIGITS = 5  # of a distance; Chroma's own last ones depend on its CPU
MIRROR = ["--set", "role=gateway", "--set", "backend.settle_time=0s", "--set", "mirror.mode=prefer", "--set", "cache.enabled=false"]


@pytest.fixture(scope="module")
def shared_mirror_bed():
    with open_bed(arguments=MIRROR) as opened:
        yield opened


@pytest.fixture
def mirror_bed(shared_mirror_bed):
    """One for all here: a gateway makes its first copy when it has run for ten seconds. Lists of a collection
    that is gone come back in Chroma (doc/mirror-filters.md): who writes some is the last."""
    yield shared_mirror_bed
    for server in (shared_mirror_bed.direct_server, shared_mirror_bed.proxied_server):
        server.delete_collections()
    shared_mirror_bed.forget()


@pytest.mark.parametrize(
    "workload",
    [
        client_workloads.langchain,
        client_workloads.llamaindex,
        javascript,
        client_workloads.python_sync,
    ],
    ids=lambda workload: workload.__name__,
)
def test_nor_where_a_mirror_answers(mirror_bed, workload, monkeypatch):
    compare_with_copies(mirror_bed, workload, monkeypatch)


def test_nor_does_the_async_client(monkeypatch):
    with open_bed(arguments=MIRROR) as bed:
        compare_with_copies(bed, client_workloads.python_async, monkeypatch)


def compare_with_copies(bed, workload, monkeypatch):
    """Copies answer all reads of records that succeed but for a few: of a query while there is no record Chroma
    says whether its dimension is right, and it has the first read of who sends fields that may be
    credentials, as JavaScript does."""
    direct = workload(bed.direct_port)
    monkeypatch.setattr(client_workloads.Journal, "before", lambda _: wait_for_copies(bed))
    monkeypatch.setenv("WAIT_FOR_COPIES", f"{bed.proxied_server.port} {bed.proxy_port}")
    compare_results(direct, workload(bed.proxied_port), DIGITS)
    bed.assert_conversation_is_same(DIGITS)
    reads = [exchange for exchange in bed.front.exchanges() if is_read_of_records(exchange)]
    others = [exchange.request for exchange in reads if exchange.response.field("x-chromabouncer-source") != "mirror"]
    print(f"{len(reads) - len(others)} of {len(reads)} reads were answered by a copy")
    assert len(reads) >= 5
    assert len(others) <= 2, [(request.start, request.body) for request in others]


def is_read_of_records(exchange):
    return exchange.request.start[1].endswith(("/query", "/get", "/count")) and exchange.response.start[1] == "200"


def wait_for_copies(bed):
    """Of all collections that there are, without leaving a trace in the conversation."""
    for collection in bed.proxied_server.ask("GET", f"{DATABASE}/collections"):
        url = f"http://127.0.0.1:{bed.proxy_port}{DATABASE}/collections/{collection['id']}/count"
        wait_for(lambda url=url: is_mirror(url), f"a copy of {collection['name']}")


def is_mirror(url):
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.headers["x-chromabouncer-source"] == "mirror"


def compare(bed, workload):
    compare_results(workload(bed.direct_port), workload(bed.proxied_port))
    bed.assert_wire_is_same()


def compare_results(direct, proxied, digits=None):
    mine, theirs = Transcript(digits), Transcript(digits)
    assert len(direct) == len(proxied)
    for (what, left), (_, right) in zip(direct, proxied):
        assert_same(mine.result(left), theirs.result(right), what)
