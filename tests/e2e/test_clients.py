"""Real clients cannot tell chromabouncer from Chroma: same results, same bytes on the wire."""

import json
import subprocess

import pytest

import client_workloads
from bed import ROOT
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


def compare(bed, workload):
    direct, proxied = workload(bed.direct_port), workload(bed.proxied_port)
    mine, theirs = Transcript(), Transcript()
    assert len(direct) == len(proxied)
    for (what, left), (_, right) in zip(direct, proxied):
        assert_same(mine.result(left), theirs.result(right), what)
    bed.assert_wire_is_same()
