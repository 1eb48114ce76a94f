#!/usr/bin/env python3
"""mirror_outages - what do clients notice of a Chroma that stalls, or is killed, with copies and without?

stalls: a relay in front of a real Chroma holds back a share of its answers for a second; queries are
asked through `mirror.mode=hedge`, without stalls and with, and past the copy.
kills: a real Chroma that somebody else runs is killed (KILL) and started anew after some seconds, again
and again, under readers; with `mirror.mode=fallback` and without the mirror. A query fails if its answer
is not 200. Back is the first answer that was Chroma's, counted from the first heartbeat.
Usage: tests/bench/mirror_outages.py [stalls|kills] [--clients N] [--seconds S] [--rounds N] [--kills N]
with the Python of .venv
"""

import argparse
import http.client
import json
import multiprocessing
import pathlib
import random
import signal
import socket
import statistics
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from bed import Chroma, WatchedProxy  # noqa: E402
from query_load import fill, vector  # noqa: E402

STALL_SHARE, STALL_SECONDS = 0.02, 1.0
AWAY_SECONDS = 3
SETTINGS = ["role=gateway", "backend.settle_time=0s", "cache.enabled=false", "log.access=off"]


class Relay:
    """Connections to a Chroma, in a process of its own; the first bytes of an answer may be held back."""

    def __init__(self, port):
        self.backend, self.shared, self.random = port, multiprocessing.Value("d", 0.0), random.Random(1)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self.listener.getsockname()[1]
        self.process = multiprocessing.Process(target=self.serve, daemon=True)
        self.process.start()
        self.listener.close()

    @property
    def share(self):
        return self.shared.value

    @share.setter
    def share(self, share):
        self.shared.value = share

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.connect, args=(client,), daemon=True).start()

    def connect(self, client):
        with client, socket.create_connection(("127.0.0.1", self.backend)) as server:
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            asked = threading.Event()
            up = threading.Thread(target=self.pass_on, args=(client, server, asked.set), daemon=True)
            up.start()
            self.pass_on(server, client, lambda: self.stall(asked))
            up.join()

    def stall(self, asked):
        if asked.is_set():
            asked.clear()
            if self.random.random() < self.share:
                time.sleep(STALL_SECONDS)

    @staticmethod
    def pass_on(source, sink, before):
        try:
            while data := source.recv(65536):
                before()
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.process.kill()
        self.process.join()


class Load:
    """Clients that ask for the neighbours of random vectors as fast as they are answered."""

    def __init__(self, port, path, clients):
        self.port, self.path, self.is_over, self.answers = port, path, False, []
        self.threads = [threading.Thread(target=self.run, args=(number,)) for number in range(clients)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        for thread in self.threads:
            thread.join()

    def run(self, number):
        """Of each: when it began and ended, its status (0: none) and source."""
        generator, connection = random.Random(number), None
        bodies = [
            json.dumps({"query_embeddings": [vector(generator, 6)], "n_results": 4, "include": ["documents", "metadatas"]})
            for _ in range(50)
        ]
        while not self.is_over:
            began, status, source = time.monotonic(), 0, ""
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
                connection.request("POST", f"{self.path}/query", generator.choice(bodies), {"content-type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                status, source = answer.status, answer.getheader("x-chromabouncer-source")
            except (OSError, http.client.HTTPException):
                connection = None
                time.sleep(0.05)
            self.answers.append((began, time.monotonic(), status, source))


def percentile(times, share):
    return sorted(times)[min(len(times) - 1, int(share * len(times)))] * 1000


def proxy_to(port, mode):
    words = [word for setting in [*SETTINGS, f"mirror.mode={mode}"] for word in ("--set", setting)]
    return WatchedProxy(port, words)


def wait_for_copy(proxy, path):
    with Load(proxy.port, path, 1):
        while proxy.metric('chromabouncer_mirror_collections{state="complete"}') != 1:
            time.sleep(0.1)


def ask(port, path, arguments):
    with Load(port, path, arguments.clients) as load:
        time.sleep(arguments.seconds)
    return load.answers


def tell(name, answers):
    times = [ended - began for began, ended, _, _ in answers]
    failed = sum(status != 200 for _, _, status, _ in answers)
    mirrored = sum(source == "mirror" for _, _, _, source in answers)
    numbers = " ".join(f"{percentile(times, share):8.1f}" for share in (0.5, 0.95, 0.99))
    print(f"{name:28} {numbers} {len(times):8} {mirrored:6} {failed:6}", flush=True)


def stalls(arguments):
    with Chroma() as chroma:
        path, relay = fill(chroma), Relay(chroma.port)
        with proxy_to(relay.port, "hedge") as proxy, proxy_to(relay.port, "off") as plain:
            wait_for_copy(proxy, path)
            sides = {
                "no mirror, healthy": (0, plain.port, []),
                "no mirror, 2 % stall for 1 s": (STALL_SHARE, plain.port, []),
                "hedge, healthy": (0, proxy.port, []),
                "hedge, 2 % stall for 1 s": (STALL_SHARE, proxy.port, []),
            }
            for _ in range(arguments.rounds):  # in turns: all meet the same weather
                for share, port, answers in sides.values():
                    relay.share = share
                    answers += ask(port, path, arguments)
            print(f"{'':28} {'p50 ms':>8} {'p95 ms':>8} {'p99 ms':>8} {'queries':>8} {'copy':>6} {'failed':>6}")
            for name, (_, _, answers) in sides.items():
                tell(name, answers)
            page = proxy.get("/metrics")
            print("\n".join(line for line in page.splitlines() if line.startswith("chromabouncer_mirror_compared")))
        relay.close()


def kills(arguments):
    for mode in ("fallback", "off"):
        with Chroma() as chroma:
            path = fill(chroma)
            with proxy_to(chroma.port, mode) as proxy:
                first, back, failed, count = [], [], 0, 0
                for _ in range(arguments.kills):
                    if mode != "off":
                        wait_for_copy(proxy, path)
                    moments, answers = kill(chroma, proxy, path, arguments)
                    gone, alive = moments
                    good = [each for each in answers if each[2] == 200]
                    first.append(min((e for b, e, _, _ in good if b >= gone), default=alive) - gone)
                    back.append(min((e for _, e, _, s in good if e >= alive and s == "backend"), default=0) - alive)
                    failed += len(answers) - len(good)
                    count += len(answers)
        print(f"{mode}: {arguments.kills} kills under {arguments.clients} readers, Chroma away for {AWAY_SECONDS} s")
        print(f"  queries                            {count}, failed {failed}")
        print(f"  kill to the first answer           {listed(first)}")
        print(f"  heartbeat to Chroma's first answer {listed(back)}", flush=True)


def kill(chroma, proxy, path, arguments):
    """(when it was killed, when it answers again), and the answers."""
    with Load(proxy.port, path, arguments.clients) as load:
        time.sleep(arguments.seconds)
        chroma.process.send_signal(signal.SIGKILL)
        gone = time.monotonic()
        chroma.process.wait()
        time.sleep(AWAY_SECONDS)
        chroma.start()
        alive = time.monotonic()
        time.sleep(arguments.seconds)
    return (gone, alive), load.answers


def listed(seconds):
    return " ".join(f"{each * 1000:.0f}" for each in seconds) + f" ms, median {statistics.median(seconds) * 1000:.0f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("part", nargs="?", choices=["stalls", "kills"])
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3, help="of stalls")
    parser.add_argument("--kills", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.part != "kills":
        stalls(arguments)
    if arguments.part != "stalls":
        kills(arguments)


main()
