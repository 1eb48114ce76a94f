"""serial_order - is a concurrent run through the proxy the same as its own order, one by one?

    serial_order.py [--seconds S] [--seed S]

Python, JavaScript, LangChain and LlamaIndex clients write at once through the proxy to a real
Chroma; writers of our own fight over few ids. Every request is recorded in front of the proxy. Then
the same bytes are sent one by one to a fresh Chroma, in the order in which the proxy says that it
sent them (batch and batch_index of its access log). Answers are compared one by one, collections
record by record.

Left out: `update` of an id that may be missing, on which Chroma's result depends on its timing.
"""

import argparse
import json
import os
import random
import subprocess
import threading
import time

from proof_bed import DATABASE, ROOT, Bouncer, Checks, Chroma, encode_vector, records_path
from http_wire import Connection, Recorder, encode_request  # found by proof_bed

LIBRARIES = ["http", "http", "async", "javascript", "langchain", "llamaindex"]
FIGHTERS = 16
IDS = 60  # that each kind of fight is about
DIMENSION = 16
WRITES = {"add": 201, "upsert": 200, "update": 200, "delete": 200}
PAGE = 1000


class Fighter(threading.Thread):
    """Writes to ids that others write to as well: `kept` are never deleted, `lost` never updated."""

    def __init__(self, port, uuid, seed, over):
        super().__init__()
        self.port, self.uuid, self.over = port, uuid, over
        self.random = random.Random(seed)
        self.errors = []

    def run(self):
        with Connection(self.port) as connection:
            while not self.over.is_set():
                op, body = self._draw()
                fields = [("host", "h"), ("content-type", "application/json")]
                target = records_path(self.uuid, op)
                connection.send(encode_request("POST", target, fields, json.dumps(body).encode()))
                answer = connection.receive("POST")
                if answer.status != WRITES[op]:
                    self.errors.append((op, answer.status, answer.body))

    def _draw(self):
        draw = self.random
        pool, operations = draw.choice([("kept", ["add", "upsert", "upsert", "update"]),
                                        ("lost", ["add", "upsert", "upsert", "delete"])])  # fmt: skip
        op = draw.choice(operations)
        ids = draw.sample([f"{pool}{number}" for number in range(IDS)], draw.choice([1, 1, 2]))
        if op == "delete":
            return op, {"ids": ids}
        vectors = [[draw.randrange(-64, 64) / 64 for _ in range(DIMENSION)] for _ in ids]
        body = {"ids": ids, "embeddings": vectors}
        if draw.random() < 0.3:
            body["embeddings"] = [encode_vector(vector) for vector in vectors]
        if draw.random() < 0.7:
            body["documents"] = [f"{op} {draw.random()} 记录" for _ in ids]
        if draw.random() < 0.8:
            body["metadatas"] = [{f"k{draw.randrange(5)}": draw.randrange(1000)} for _ in ids]
        return op, body


def start_writer(library, name, port, seconds):
    arguments = [str(port), str(seconds), name]
    if library == "javascript":
        command = ["node", ROOT / "tests/e2e/writer_javascript.mjs", *arguments]
    else:
        python = ROOT / ".venv/bin/python"
        command = [python, ROOT / "tests/e2e/writer.py", library, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def run_clients(port, uuid, seconds, seed):
    """All clients at once. Returns their errors and how many records the libraries wrote."""
    writers = [start_writer(library, f"{library}{number}", port, seconds)
               for number, library in enumerate(LIBRARIES)]  # fmt: skip
    over = threading.Event()
    fighters = [Fighter(port, uuid, seed * 100 + number, over) for number in range(FIGHTERS)]
    for fighter in fighters:
        fighter.start()
    results = [json.loads(writer.communicate(timeout=150)[0]) for writer in writers]
    over.set()
    for fighter in fighters:
        fighter.join()
    errors = [error for result in results for error in result["errors"]]
    errors += [error for fighter in fighters for error in fighter.errors]
    return errors, sum(result["written"] for result in results)


def order_of(recorder, proxy):
    """The writes to records in the proxy's order, and what created the collections."""
    lines = {}
    for line in proxy.log_lines("request"):
        port = int(line["client"].rpartition(":")[2])
        lines.setdefault(port, []).append(line)
    writes, creations, unmatched = [], [], 0
    for port, exchanges in recorder.connections():
        logged = lines.get(port, [])
        unmatched += len(exchanges) != len(logged)
        for exchange, line in zip(exchanges, logged):
            method, target, _ = exchange.request.start
            assert (method, target.split("?")[0]) == (line["method"], line["path"]), line
            if line["op"] in WRITES:
                place = (line["batch"], line["batch_index"])
                writes.append((place, exchange, line))
            elif method == "POST" and target.endswith("/collections"):
                creations.append(exchange)
    return sorted(writes, key=lambda item: item[0]), creations, unmatched


def send_serially(chroma, writes, creations, uuids):
    """The recorded writes to a fresh server. Returns the answers that differ."""
    renamed = {}
    for exchange in creations:
        body = json.loads(exchange.request.body)
        body["get_or_create"] = True
        fresh = chroma.ask("POST", f"{DATABASE}/collections", body)["id"]
        renamed[json.loads(exchange.response.body)["id"]] = fresh
    for name, uuid in uuids.items():
        if uuid not in renamed:
            body = {"name": name}
            renamed[uuid] = chroma.ask("POST", f"{DATABASE}/collections", body)["id"]
    different = []
    with Connection(chroma.port) as connection:
        for _, exchange, _ in writes:
            method, target, _ = exchange.request.start
            old = target.split("/collections/")[1].split("/")[0]
            fields = [("host", "h"), ("content-type", "application/json")]
            target = target.replace(old, renamed[old])
            connection.send(encode_request(method, target, fields, exchange.request.body))
            answer = connection.receive(method)
            pair = [(one.status, one.field("content-type"), one.body)
                    for one in (exchange.response, answer)]  # fmt: skip
            if pair[0] != pair[1]:
                different.append(pair)
    return different


def contents(chroma, name):
    """All records in Chroma's own order, which is that of their first add."""
    path = records_path(chroma.ask("GET", f"{DATABASE}/collections/{name}")["id"], "get")
    records = []
    while True:
        page = {"include": ["documents", "embeddings", "metadatas", "uris"],
                "limit": PAGE, "offset": len(records)}  # fmt: skip
        answer = chroma.ask("POST", path, page)
        columns = ("ids", "documents", "embeddings", "metadatas", "uris")
        records += zip(*(answer[column] for column in columns))
        if len(answer["ids"]) < PAGE:
            return records


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    os.environ["ANONYMIZED_TELEMETRY"] = "False"
    checks = Checks()
    with Chroma() as chroma, Bouncer(chroma.port, access="all") as proxy:
        uuid = chroma.ask("POST", f"{DATABASE}/collections", {"name": "fought"})["id"]
        recorder = Recorder(proxy.port)
        seed_ids(recorder.port, uuid)
        errors, written = run_clients(recorder.port, uuid, arguments.seconds, arguments.seed)
        checks.check("all clients work without an error", not errors and written > 0,
                     f"{written} records of the libraries {errors[:2] or ''}")  # fmt: skip
        time.sleep(0.5)
        recorder.close()
        proxy.process.terminate()
        proxy.process.wait()
        writes, creations, unmatched = order_of(recorder, proxy)
        checks.check("every recorded request has its line in the access log", unmatched == 0,
                     f"{len(writes)} writes, {len(creations)} creations")  # fmt: skip
        calls = len({line["batch"] for _, _, line in writes})
        checks.check("writes were merged", calls < 0.9 * len(writes),
                     f"{len(writes)} writes in {calls} calls")  # fmt: skip
        uuids = {one["name"]: one["id"] for one in chroma.ask("GET", f"{DATABASE}/collections")}
        merged = {name: contents(chroma, name) for name in uuids}
    with Chroma() as chroma:
        began = time.monotonic()
        different = send_serially(chroma, writes, creations, uuids)
        print(f"sent one by one in {time.monotonic() - began:.1f} s")
        checks.check("every answer is the one that the request got alone", not different,
                     str(different[:2]) if different else len(writes))  # fmt: skip
        for name, records in merged.items():
            alone = contents(chroma, name)
            checks.check(f"collection {name}: same records in the same order", records == alone,
                         f"{len(records)} records")  # fmt: skip
            for one, other in list(zip(records, alone)):
                if one != other:
                    print("   through:", str(one)[:300], "\n   alone:  ", str(other)[:300])
                    break
    checks.finish()


def seed_ids(port, uuid):
    """Every `kept` id exists before anybody updates it."""
    body = {"ids": [f"kept{number}" for number in range(IDS)],
            "embeddings": [[0.5] * DIMENSION] * IDS}  # fmt: skip
    fields = [("host", "h"), ("content-type", "application/json")]
    with Connection(port) as connection:
        target = records_path(uuid, "upsert")
        connection.send(encode_request("POST", target, fields, json.dumps(body).encode()))
        assert connection.receive("POST").status == 200


if __name__ == "__main__":
    main()
