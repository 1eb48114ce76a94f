"""`chromabouncer ctl pause`, another Chroma on the same directory, `resume`: no request fails."""

import json
import signal
import subprocess
import time

import pytest

from bed import CHROMA, PROXY, Chroma, OldChroma, Proxy
from kill_load import KillLoad
from processes import wait_until

CLIENTS = 8


def replace(chroma):
    """End it in order and start the newest on its directory and port."""
    chroma.process.send_signal(signal.SIGINT)
    chroma.process.wait(40)
    address = ["--host", "127.0.0.1", "--port", chroma.port]
    chroma.spawn([*CHROMA, "run", "--path", chroma.directory / "data", *address])
    chroma.wait_until(chroma._answers)


@pytest.mark.timeout(200)
@pytest.mark.parametrize("release", ["newest", "1.0.20"])
def test_chroma_is_replaced_during_a_pause_and_no_request_fails(tmp_path, release):
    def ctl(*words):
        command = [PROXY, "ctl", *words, "--control", tmp_path / "control", "-o", "json"]
        return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)

    with (
        Chroma() if release == "newest" else OldChroma(release) as chroma,
        Proxy(chroma.port, ["--control", tmp_path / "control"]) as proxy,
    ):
        load = KillLoad(proxy.port, CLIENTS)
        load.start()
        try:
            wait_until(lambda: len(load.answers) > 200)
            assert ctl("pause", "--wait")["paused"]
            assert ctl("stats")["under_way"] == 0
            paused = time.monotonic()
            replace(chroma)
            before = len(load.answers)
            ctl("resume")
            resumed = time.monotonic()
            wait_until(lambda: len(load.answers) > before + 200)
        finally:
            load.stop()
        assert not load.failures(), load.failures()[:5]
        assert load.acknowledged() and not load.missing()
        waited = [each for each in load.answers if each.began < resumed and each.ended > resumed]
        print(f"{release}: {resumed - paused:.1f} s without Chroma, {len(waited)} requests waited")
        assert len(waited) > CLIENTS
