"""million - many operations, many faults: does any client get what is not its own?

    million.py [--operations N] [--faults M] [--seed S]

Runs rounds of 50 000 operations, alternately in role sidecar and gateway, each on a stub and a
proxy of its own, and checks every round with history.py. The full proof is
`million.py --operations 1000000`, which injects 10 000 faults; a fault is for one call, which may
hold the writes of many clients.
"""

import argparse
import asyncio
import collections
import json
import multiprocessing
import pathlib
import random
import tempfile
import time

from history import History
from proof_bed import (
    Bouncer, Checks, Client, Stub, encode_vector, make_collection, now_us, records_path,
)  # fmt: skip

ROUND = 50_000
PROCESSES = 2
CLIENTS = 32  # of each process
COLLECTIONS = 3
IDS = 1000  # of each collection
DIMENSION = 4
PATIENCE_SECONDS = 60  # of a client; far above the deadline

SETTINGS = ["deadline.write=1s", "writes.patience=100ms", "writes.in_flight_max=4"]
FAULTS = [
    "stall=5",
    "stall=40",
    "status=500",
    "status=503",
    "status=503,body=empty",
    "status=429",
    "status=429,body=admission",
    "status=429,body=plain",
    "status=503,body=admission",
    "applied-status=500",
    "applied-status=503",
    "applied-status=429",
    "early=503",
    "reset=before",
    "reset=after",
    "close=before",
    "close=after",
    "half-close=before",
    "half-close=after",
    "half-answer",
    "long-answer",
    "garbage",
    "quiet-close",
    "slow-body=100",
]
HANG = "stall=1300,op=write,p={:.6f}"  # longer than the deadline
HANGS = 3  # per round
ANSWERS = (b"{}", b'{"deleted":')  # to writes
OPERATIONS = ["upsert"] * 8 + ["add"] * 6 + ["update"] * 3 + ["delete"] + ["get"] * 2


class Worker:
    """The clients of one process."""

    def __init__(self, seed, port, uuids, count, path):
        self.random = random.Random(seed)
        self.prefix = f"{seed}"
        self.port, self.uuids, self.left, self.path = port, uuids, count, path
        self.number = 0
        self.lines = []

    async def run(self):
        await asyncio.gather(*(self._client(number) for number in range(CLIENTS)))
        with open(self.path, "w") as file:
            for line in self.lines:
                file.write(json.dumps(line) + "\n")

    async def _client(self, number):
        # Whose writes are refused goes alone for a while: not everybody is to be the same.
        client = Client(self.port, f"127.0.0.{2 + number}")
        may_poison = number == 0
        while self.left > 0:
            self.left -= 1
            await self._operation(client, may_poison)
        client.close()

    async def _operation(self, client, may_poison):
        draw = self.random
        self.number += 1
        unique = f"{self.prefix}-{self.number}"
        op = draw.choice(OPERATIONS)
        uuid = draw.choice(self.uuids)
        count = 1 if draw.random() < 0.7 else draw.randint(2, 5)
        ids = [f"r{draw.randrange(IDS)}" for _ in range(count)]
        if op == "get":
            ids = sorted(set(ids))
        line = {"op": op, "collection": uuid, "ids": ids, "executed": "", "request": unique}
        if op in ("add", "upsert", "update"):
            if may_poison and draw.random() < 0.05:
                line["poisoned"] = True
                ids[0] = f"poison {ids[0]}"
            line["records"] = [self._record(op, f"{unique}-{i}") for i in range(count)]
            body = self._body(line)
        elif op == "get":
            body = {"ids": ids, "include": ["embeddings", "documents", "metadatas"]}
        else:
            body = {"ids": ids}
        await self._ask(client, line, json.dumps(body).encode())

    def _record(self, op, unique):
        draw = self.random
        vector = [draw.randrange(-64, 64) / 16 for _ in range(DIMENSION)]
        metadata = {f"k{draw.randrange(4)}": draw.choice([self.number, "text", True])}
        if op != "add":
            metadata[f"k{draw.randrange(4)}"] = None
        # The document makes every record one of its kind in the log.
        return [vector, unique, metadata if draw.random() < 0.8 else None]

    def _body(self, line):
        vectors, documents, metadatas = map(list, zip(*line["records"]))
        if self.random.random() < 0.3:
            vectors = [encode_vector(vector) for vector in vectors]
        body = {"ids": line["ids"], "embeddings": vectors, "documents": documents}
        if any(metadata is not None for metadata in metadatas):
            body["metadatas"] = metadatas
        return body

    async def _ask(self, client, line, body):
        draw = self.random
        uuid = line["collection"]
        if draw.random() < 0.05:
            uuid = draw.choice([uuid.upper(), uuid.replace("-", ""), f"urn:uuid:{uuid}"])
        leaves = draw.random() < 0.01 and line["op"] != "get"
        cut = draw.choice([None, None, -1]) if leaves else None
        line.update(start=now_us(), status=0, failure="", cut=cut is not None)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                path = records_path(uuid, line["op"])
                fields = [("x-request-id", line["request"])]
                await client.send("POST", path, body, fields, cut)
                if leaves:
                    client.close(abort=draw.random() < 0.3)
                    line["failure"] = "left"
                else:
                    self._note(line, await client.receive())
        except (OSError, TimeoutError) as error:
            client.close()
            line["failure"] = type(error).__name__
        line["end"] = now_us()
        self.lines.append(line)

    def _note(self, line, answer):
        line["status"], line["executed"] = answer.status, answer.executed
        if answer.status >= 300:
            return
        try:
            body = json.loads(answer.body)
        except ValueError:
            # long-answer announces but half of Chroma's: so the client gets half.
            is_half = answer.body and any(text.startswith(answer.body) for text in ANSWERS)
            body = None if is_half else repr(answer.body)
        if line["op"] == "get" and isinstance(body, dict):
            columns = zip(body["embeddings"], body["documents"], body["metadatas"])
            line["found"] = dict(zip(body["ids"], map(list, columns)))
        else:
            line["answer"] = body


def run_worker(*arguments):
    asyncio.run(Worker(*arguments).run())


class Injector:
    """Spreads a number of faults over the calls that are still to come."""

    def __init__(self, stub, operations, faults):
        self.stub, self.operations, self.faults = stub, operations, faults

    def step(self):
        stats = self.stub.stats()
        calls = sum(stats["requests"][op] for op in ("add", "upsert", "update", "delete", "get"))
        done = max(1, stats["log_records"])
        # 1.9 records to a write and 0.9 writes to an operation, of which some are refused.
        share = min(0.97, done / (1.55 * self.operations))
        left = max(20, calls * (1 - share) / share)
        probability = min(0.5, max(0, self.faults - stats["faults"]) / left) / len(FAULTS)
        rules = [HANG.format(HANGS / (calls + left))]
        # An answer to a read is passed on as it comes: cut short, it has no history.
        rules += [f"{fault},op=write,p={probability:.6f}" for fault in FAULTS]
        rules += [f"{fault},op=read,p={probability:.6f}" for fault in FAULTS[:12]]
        self.stub.fault("clear", *rules)


def run_round(number, role, operations, faults, seed, checks, totals):
    name = f"round {number} ({role})"
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        log = pathlib.Path(directory) / "log"
        arguments = ["--poison", "poison", "--log", log, "--log-max", 1, "--seed", seed,
                     "--write-a-ms", 1]  # while that passes, writes meet
        with Stub(*map(str, arguments)) as stub:
            uuids = [make_collection(stub, f"proof{n}", DIMENSION) for n in range(COLLECTIONS)]
            with Bouncer(stub.port, f"role={role}", *SETTINGS, access="off") as proxy:
                paths = drive(stub, proxy, uuids, operations, faults, seed, directory)
                totals["memory"] = max(totals["memory"], proxy.memory_bytes())
            stats = stub.stats()
            finals = {uuid: everything(stub, uuid) for uuid in uuids}
        entries = [json.loads(line) for line in log.open()]
        lines = [json.loads(line) for path in paths for line in path.open()]
    entries = [entry for entry in entries if entry["ids"] != ["first"]]
    history = History(lines, entries, role)
    history.check()
    for uuid, found in finals.items():
        history.check_final(uuid, found)
    history.report(checks, name)
    check_leavers(history, checks, name)
    totals.update(history.counts)
    merged = sum(len(batch) for batch in history.batches) / max(1, len(entries))
    checks.check(f"{name}: writes share calls", merged > 1.5, f"{merged:.2f} in a call")
    totals["operations"] += len(lines)
    totals["faults"] += stats["faults"]
    totals["calls"] += len(entries)
    print(f"{name}: {time.monotonic() - began:.1f} s, {stats['faults']} faults", flush=True)


def drive(stub, proxy, uuids, operations, faults, seed, directory):
    """Let the workers run under faults. Returns the files of their histories."""
    paths, processes = [], []
    for number in range(PROCESSES):
        paths.append(pathlib.Path(directory) / f"history{number}")
        arguments = (seed * 10 + number, proxy.port, uuids, operations // PROCESSES, paths[-1])
        processes.append(multiprocessing.Process(target=run_worker, args=arguments, daemon=True))
        processes[-1].start()
    injector = Injector(stub, operations, faults)
    steps = 0
    while any(process.is_alive() for process in processes):
        injector.step()
        steps += 1
        if steps % 8 == 5:
            stub.fault("refuse", "close-idle")
            time.sleep(0.05)
            stub.fault("accept")
        time.sleep(0.2)
    assert all(process.exitcode == 0 for process in processes)
    stub.fault("clear")
    return paths


def everything(stub, uuid):
    """All records of a collection, past the faults."""
    include = {"include": ["embeddings", "documents", "metadatas"]}
    body = stub.ask("POST", records_path(uuid, "get"), include)
    columns = zip(body["embeddings"], body["documents"], body["metadatas"])
    return dict(zip(body["ids"], map(list, columns)))


def check_leavers(history, checks, name):
    """A complete write of a client that left is done; one that was cut off is not."""
    left = [write for write in history.writes if write.line["failure"] == "left"]
    cut = [write for write in left if write.line["cut"]]
    whole = [w for w in left if not w.line["cut"] and not w.line.get("poisoned")]
    applied = sum(bool(write.applied) for write in whole)
    checks.check(f"{name}: no write that was cut off is applied", not any(w.applied for w in cut),
                 f"{len(cut)} were cut off")  # fmt: skip
    checks.check(f"{name}: complete writes of clients that left are applied, but for faults",
                 applied >= 0.8 * len(whole), f"{applied} of {len(whole)}")  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--operations", type=int, default=50_000)
    parser.add_argument("--faults", type=int, help="default: one for 100 operations")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    faults = arguments.faults or arguments.operations // 100
    rounds = max(2, arguments.operations // ROUND)
    checks, totals = Checks(), collections.Counter()
    for number in range(rounds):
        role = ("sidecar", "gateway")[number % 2]
        run_round(number, role, arguments.operations // rounds, faults // rounds,
                  arguments.seed * 1000 + number, checks, totals)  # fmt: skip
    print("all rounds: " + ", ".join(f"{count} {name}" for name, count in totals.items()))
    checks.check("as many operations and faults as asked for, within a tenth",
                 totals["operations"] >= 0.99 * arguments.operations
                 and totals["faults"] >= 0.9 * faults)  # fmt: skip
    checks.finish()


if __name__ == "__main__":
    main()
