"""What chromabouncer finds out of real servers by itself: the family, the limits, and that it is
not the same Chroma any more.
"""

import shutil
import signal
import subprocess
import time
import urllib.request

import pytest

from bed import DATABASE, PROXY, Chroma, OldChroma, Proxy, free_port

WAIT_SECONDS = 20


class WatchedProxy(Proxy):
    """With its status listener, and checks so rare that they tell nothing here."""

    def __init__(self, backend_port, arguments=()):
        self.status_port = free_port()
        self.status = f"127.0.0.1:{self.status_port}"
        super().__init__(backend_port, ["--set", "backend.health_interval=1m", *arguments])

    def get(self, path):
        url = f"http://127.0.0.1:{self.status_port}{path}"
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.read().decode()

    def metric(self, name):
        lines = [line for line in self.get("/metrics").splitlines() if line.startswith(f"{name} ")]
        return float(lines[0].split()[1])

    def moved(self):
        return self.metric("chromabouncer_backend_incarnations_total")

    def may_merge(self):
        return self.metric("chromabouncer_backend_may_merge") == 1


def wait_for(condition, what):
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.02)


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
        assert not proxy.may_merge()
        shutil.rmtree(chroma.directory / "data")
        chroma.start()
        wait_for(proxy.may_merge, "the new one is asked")
        assert proxy.moved() == before + 2
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
