"""Services in front of a real Chroma: one that asks for more than it may is told so, and the others
do not notice. One is known by its user (a unix socket), one by its header, all others are default.
"""

import http.client
import json
import os
import socket
import subprocess
import threading
import time

import pytest

from bed import DATABASE, PROXY, Chroma, WatchedProxy, wait_for

RATE = 20
SECONDS = 3


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("chroma", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.path))


def ask(connection, method, path, body=None, headers=()):
    text = None if body is None else json.dumps(body)
    connection.request(method, path, text, {"content-type": "application/json", **dict(headers)})
    response = connection.getresponse()
    return response, json.loads(response.read())


@pytest.fixture(scope="module")
def bed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("services")
    settings = folder / "settings.yaml"
    settings.write_text(
        "listen: {trusted_proxies: 127.0.0.1}\n"
        "services:\n"
        f"  - {{name: mine, match: {{unix_uid: {os.getuid()}}}, rate: {RATE}/s}}\n"
        "  - {name: batch, match: {header: 'x-service: batch'}, rate: 1/s, over: shadow,\n"
        "     bytes_rate: 10MiB/s, concurrency_max: 9, collection: {concurrency_reads_max: 8,\n"
        "     concurrency_writes_max: 7, batch_records_max: 300}}\n"
    )
    arguments = ["--config", str(settings), "--control", f"{folder}/control"]

    class BothProxy(WatchedProxy):
        also = f",unix:{folder}/data"

    with Chroma() as chroma, BothProxy(chroma.port, arguments) as proxy:
        proxy.folder = folder
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=60)
        body = {"name": "services", "get_or_create": True}
        _, answer = ask(connection, "POST", f"{DATABASE}/collections", body)
        proxy.collection = f"{DATABASE}/collections/{answer['id']}"
        yield proxy


def write(number):
    return {"ids": [f"w{number}"], "embeddings": [[1.0, float(number)]]}


def test_who_asks_for_too_much_is_told_and_the_others_are_untouched(bed):
    """A flood of writes and counts by one service beside a client that belongs to none."""
    other_codes, times, is_over = [], [], threading.Event()

    def others():
        connection = http.client.HTTPConnection("127.0.0.1", bed.port, timeout=60)
        while not is_over.is_set():
            began = time.monotonic()
            response, _ = ask(connection, "GET", f"{bed.collection}/count")
            other_codes.append(response.status)
            times.append(time.monotonic() - began)

    thread = threading.Thread(target=others)
    thread.start()
    connection = UnixConnection(bed.folder / "data")
    began, codes, acknowledged, refused = time.monotonic(), [], 0, None
    while time.monotonic() - began < SECONDS:
        if len(codes) % 2:
            response, answer = ask(connection, "GET", f"{bed.collection}/count")
        else:
            response, answer = ask(
                connection, "POST", f"{bed.collection}/upsert", write(len(codes))
            )
            acknowledged += response.status == 200
        codes.append(response.status)
        if response.status == 429:
            refused = response, answer
            time.sleep(0.002)
    elapsed = time.monotonic() - began
    is_over.set()
    thread.join()
    assert set(codes) == {200, 429}
    assert codes.count(200) <= RATE + RATE * elapsed + 1
    assert codes.count(200) >= RATE
    assert set(other_codes) == {200}
    assert len(other_codes) > 10
    response, answer = refused
    assert answer["error"] == "RateLimitError"
    assert answer["message"].startswith(f"service mine is over its limit of {RATE}/s")
    assert response.getheader("retry-after") == "1"
    assert response.getheader("x-chromabouncer-executed") == "no"
    assert response.getheader("ratelimit-policy") == f'"mine";q={RATE};w=1'
    assert response.getheader("ratelimit") == '"mine";r=0;t=1'
    # What was refused was not done.
    connection = http.client.HTTPConnection("127.0.0.1", bed.port, timeout=60)
    _, count = ask(connection, "GET", f"{bed.collection}/count")
    assert count == acknowledged
    refusals = codes.count(429)  # the log has a thread of its own
    wait_for(lambda: [entry["status"] for entry in logged(bed)].count(429) >= refusals, "all logged")
    entries = logged(bed)
    assert {entry["service"] for entry in entries} == {"mine", "default"}
    assert [entry["status"] for entry in entries].count(429) == refusals
    reasons = {entry.get("reason") for entry in entries if entry["status"] == 429}
    assert all(f"over its limit of {RATE}/s" in reason for reason in reasons), reasons
    assert all("ctl set services.mine.rate" in reason for reason in reasons), reasons
    assert not any("reason" in entry for entry in entries if entry["status"] == 200)


def logged(bed):
    whole, _, _ = bed.log.read_text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines() if '"event":"request"' in line]


def test_what_is_seen_and_changed_while_running(bed):
    def ctl(*words):
        command = [str(PROXY), "ctl", *words, "-o", "json", "--control", f"{bed.folder}/control"]
        return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)

    connection = http.client.HTTPConnection("127.0.0.1", bed.port, timeout=60)
    for _ in range(5):
        response, _ = ask(
            connection, "GET", f"{bed.collection}/count", headers={"x-service": "batch"}
        )
        assert response.status == 200
    services = {each["service"]: each for each in ctl("services")["services"]}
    assert set(services) == {"default", "mine", "batch"}
    assert services["batch"]["requests"] == 5
    assert 3 <= services["batch"]["shadowed"] <= 4  # on a slow machine a second may pass
    assert services["mine"]["rejected"] > 0
    assert services["mine"]["rate_per_second"] == str(RATE)
    # Every limit that is set has its row, in ctl and in the metrics.
    rows = {row["limit"]: row for row in ctl("limits")["limits"] if ".batch." in row["limit"]}
    assert {limit: row["bound"] for limit, row in rows.items()} == {
        "services.batch.rate": 1,
        "services.batch.bytes_rate": 10 << 20,
        "services.batch.concurrency_max": 9,
        "services.batch.collection.concurrency_reads_max": 8,
        "services.batch.collection.concurrency_writes_max": 7,
        "services.batch.collection.batch_records_max": 300,
    }
    name = 'chromabouncer_limit_refused_total{limit="%s",service="batch"}'
    for limit, row in rows.items():
        assert bed.metric(name % limit.removeprefix("services.batch.")) == row["refused"]
    ctl("set", "services.batch.over=refuse")
    codes = [
        ask(connection, "GET", f"{bed.collection}/count", headers={"x-service": "batch"})[0].status
        for _ in range(3)
    ]
    assert 429 in codes
    ctl("set", "services.batch.rate=1000/s")
    time.sleep(0.1)
    response, _ = ask(connection, "GET", f"{bed.collection}/count", headers={"x-service": "batch"})
    assert response.status == 200
