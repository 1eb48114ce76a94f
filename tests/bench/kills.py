#!/usr/bin/env python3
"""kills - what do clients notice when Chroma is killed again and again, with `exec` and without?

Readers, writers and creators of collections ask as fast as they are answered; Chroma is killed
(KILL) in between. First behind `chromabouncer exec`, then started anew by a shell's loop, as many
do it; who gets no answer there connects anew 50 ms later.
Usage: tests/bench/kills.py [KILLSxSECONDSxCLIENTS]   12x5x20; with the Python of .venv
"""

import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.request

os.environ["EXEC_KILLS"] = sys.argv[1] if len(sys.argv) > 1 else "12x5x20"
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from bed import Process, free_port  # noqa: E402
from kill_load import KillLoad  # noqa: E402
from processes import children, wait_until  # noqa: E402
from test_exec import CHROMA, Exec  # noqa: E402
from test_exec_kills import CLIENTS, KILLS, SECONDS_BETWEEN  # noqa: E402

LOOP = 'while true; do "$0" "$@"; done'


class Looped(Process):
    """Chroma, started anew by a shell whenever it has ended."""

    name = "looped"

    def __init__(self):
        super().__init__()
        self.port = free_port()
        words = ["run", "--path", self.directory / "db", "--host", "127.0.0.1", "--port", self.port]
        self.spawn(["sh", "-c", LOOP, CHROMA, *words])
        self.wait_until(self.answers)

    def chroma(self):
        return wait_until(lambda: children(self.process.pid))[0]

    def answers(self):
        return answers(self.port)

    def close(self):
        self.kill()  # the loop
        for process in self.left:
            os.kill(process, signal.SIGKILL)
        super().close()

    def kill(self):
        self.process.send_signal(signal.SIGSTOP)
        self.left = children(self.process.pid)
        super().kill()


def answers(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v2/heartbeat", timeout=60):
            return True
    except OSError:
        return False


def run(server):
    """(its load, of each kill: when it was, when Chroma was gone, when the next heartbeat was answered)"""
    load, kills = KillLoad(server.port, CLIENTS), []
    load.start()
    try:
        for _ in range(KILLS):
            time.sleep(SECONDS_BETWEEN)
            killed, began = server.chroma(), time.monotonic()
            os.kill(killed, signal.SIGKILL)
            wait_until(lambda: not os.path.exists(f"/proc/{killed}"))
            gone = time.monotonic()
            wait_until(lambda: answers(server.port), 120)
            kills.append((began, gone, time.monotonic()))
        time.sleep(SECONDS_BETWEEN)
    finally:
        load.stop()
    return load, kills


def tell(name, load, kills):
    good = [each for each in load.answers if not each.failed]
    back = [end - begin for begin, _, end in kills]
    first = [
        min((each.ended for each in good if each.what[0] == "r" and each.ended > gone), default=begin) - begin
        for begin, gone, _ in kills
    ]
    last = [
        max((each.ended for each in good if each.began <= end and each.ended >= gone), default=begin) - begin
        for begin, gone, end in kills
    ]
    after = [whole - start for whole, start in zip(last, first)]
    missing = load.missing()
    print(f"{name}: {KILLS} kills under {CLIENTS} readers and {CLIENTS} writers")
    print(f"  requests                             {len(load.answers)}")
    print(f"  failed                               {len(load.failures())}")
    print(f"  acknowledged writes of records       {len(load.acknowledged())}, missing {len(missing)}")
    print(f"  longest wait                         {max(each.took for each in load.answers):.2f} s")
    print(f"  kill to the next heartbeat           {listed(back)}")
    print(f"  kill to the first answered read      {listed(first)}")
    print(f"  kill to the last answer of that time {listed(last)}")
    print(f"  between these two, at most           {max(after):.2f} s", flush=True)


def listed(seconds):
    return " ".join(f"{each:.1f}" for each in seconds) + " s"


def main():
    with Exec() as one:
        tell("chromabouncer exec", *run(one))
    with Looped() as one:
        tell("without, in a shell's loop", *run(one))


if __name__ == "__main__":
    main()
