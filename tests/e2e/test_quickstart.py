"""The last part of scripts/quickstart shows what it says: two processes, alone and under wrap."""

import sys

import pytest

from bed import PROXY, ROOT

sys.path.insert(0, str(ROOT / "scripts"))
import quickstart_wrap  # noqa: E402


RECORDS = 1100


@pytest.mark.timeout(600)
def test_two_processes_miss_and_damage_alone_and_not_under_wrap():
    alone = quickstart_wrap.measure([], RECORDS)
    assert alone["added"] == alone["adds"] and alone["missed"] > quickstart_wrap.LOOKS / 2
    assert alone["lost"] > RECORDS / 2
    wrapped = quickstart_wrap.measure([PROXY, "wrap", "--"], RECORDS)
    # Chroma's search is approximate.
    assert wrapped["added"] == wrapped["adds"] and wrapped["missed"] <= 1
    assert wrapped["lost"] <= RECORDS / 100
