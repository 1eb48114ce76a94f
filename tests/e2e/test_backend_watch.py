"""What chromabouncer finds out of real servers by itself: the family, the limits, and that it is
not the same Chroma any more.
"""

import shutil
import signal
import subprocess
import time

import pytest

from bed import DATABASE, PROXY, Chroma, OldChroma, WatchedProxy, wait_for

def test_data_swapped_behind_a_restarted_server():
    """What was known is void as soon as the old one is gone, and asked of the new one."""
    with Chroma() as chroma, WatchedProxy(chroma.port) as proxy:
        wait_for(proxy.may_merge, "the family is known")
        time.sleep(3)
        before = proxy.moved()
        assert before == 1, "an idle connection stays open"
        chroma.ask("POST", f"{DATABASE}/collections", {"name": "gone"})
        chroma.process.send_signal(signal.SIGINT)
        chroma.process.wait()
        wait_for(lambda: proxy.moved() > before, "the end is noticed")
        wait_for(lambda: not proxy.may_merge(), "the one that ends is not taken for a new one")
        shutil.rmtree(chroma.directory / "data")
        chroma.start()
        wait_for(proxy.may_merge, "the new one is asked")
        assert proxy.moved() >= before + 2  # the one that ended may have been reached once more
        assert "merging      on" in proxy.get("/")
        assert chroma.ask("GET", f"{DATABASE}/collections") == []


@pytest.mark.parametrize(
    ("version", "says", "family"),
    [("0.5.23", "0.5.23", "python"), ("0.6.3", "0.6.3", "python"), ("1.0.20", "1.0.0", "rust")],
)
def test_family_of_other_releases(version, says, family):
    with OldChroma(version) as chroma, WatchedProxy(chroma.port) as proxy:
        wait_for(lambda: f"family       {family}, says version {says}" in proxy.get("/"), family)
        before = proxy.moved()
        time.sleep(11)  # uvicorn closes idle connections after 5 s
        assert proxy.moved() == before
        assert proxy.may_merge()
        command = [PROXY, "check", "--backend", f"http://127.0.0.1:{chroma.port}"]
        command += ["--listen", "127.0.0.1:0", "--status", "off"]
        checked = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert f"says version {says}" in checked
        assert "ok    merging         on" in checked
