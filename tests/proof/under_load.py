"""under_load - what must hold when there is more to do than Chroma can do.

    under_load.py [--seconds S]

On the stub: a write is seen by reads on every connection once it was answered; a hung write shows
in the metrics and the log within a second; a write whose deadline passes at Chroma is answered 504
`maybe` and never sent again; an open loop at ten times what Chroma does directly neither collapses
nor leaves a request without an answer, and memory stays within its bound. The full proof takes
`--seconds 60`.
"""

import argparse
import asyncio
import json
import subprocess
import threading
import time

from proof_bed import (
    Bouncer, Checks, Client, Stub, make_collection, one_record, records_path,
)  # fmt: skip
from bed import PROXY  # found by proof_bed

COST = ("--write-a-ms", "10", "--write-b-ms", "0.3")  # as a real Chroma: 97/s directly
MEMORY_MAX = 64 << 20  # what may wait, in bytes
PROCESS_BYTES = 48 << 20  # the program itself, its tables and the sockets of 256 clients
VECTOR = [0.5] * 8
OLDEST = "chromabouncer_write_call_oldest_seconds"
HUNG = "chromabouncer_writes_hung"


def read_your_writes(checks):
    async def writer(port, uuid, number, count, seen):
        one, other = Client(port), Client(port)
        for turn in range(count):
            name = f"{number}-{turn}"
            body = one_record(f"{number}-{turn % 3}", VECTOR, documents=[name])
            answer = await one.ask("POST", records_path(uuid, "upsert"), body)
            assert answer.status == 200, answer.body
            body = json.dumps({"ids": [f"{number}-{turn % 3}"]}).encode()
            found = await other.ask("POST", records_path(uuid, "get"), body)
            seen.append(json.loads(found.body)["documents"] == [name])
        one.close()
        other.close()

    async def everybody(port, uuid):
        seen = []
        await asyncio.gather(*(writer(port, uuid, number, 15, seen) for number in range(64)))
        return seen

    with Stub(*COST) as stub, Bouncer(stub.port) as proxy:
        uuid = make_collection(stub, "seen", len(VECTOR))
        seen = asyncio.run(everybody(proxy.port, uuid))
        writes = stub.stats()["requests"]["upsert"]
    checks.check("a write that was answered is seen on another connection", all(seen),
                 f"{sum(seen)} of {len(seen)}, {writes} calls")  # fmt: skip


def wait_for(holds, seconds):
    """Seconds until `holds()`, or None."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if holds():
            return time.monotonic() - began
        time.sleep(0.05)
    return None


def hung_write(checks):
    """Patience is over after a second; Chroma comes back after six."""
    with Stub() as stub, Bouncer(stub.port, "writes.patience=1s") as proxy:
        uuid = make_collection(stub, "hung", len(VECTOR))
        stub.fault("stall=6s,op=write,count=1")
        answers = []

        async def ask():
            client = Client(proxy.port)
            answers.append(await client.ask("POST", records_path(uuid, "upsert"), body))
            client.close()

        body = one_record("hangs", VECTOR)
        thread = threading.Thread(target=lambda: asyncio.run(ask()))
        thread.start()
        shows = wait_for(lambda: proxy.metrics()[OLDEST] > 0.1, 3)
        checks.check("the age of a call without answer shows within a second",
                     shows is not None and shows < 1, f"{shows or 0:.2f} s")  # fmt: skip
        wait_for(lambda: proxy.metrics()[OLDEST] >= 1, 3)
        hung = wait_for(lambda: proxy.metrics()[HUNG] == 1, 3)
        checks.check("beyond writes.patience it counts as hung within a second",
                     hung is not None and hung < 1, f"{hung or 0:.2f} s")  # fmt: skip
        logged = wait_for(lambda: proxy.log_lines("write_hangs"), 3)
        checks.check("and is in the log within a second", logged is not None and logged < 1,
                     f"{logged or 0:.2f} s")  # fmt: skip
        thread.join()
        metrics = proxy.metrics()
        checks.check("the answer ends it", answers[0].status == 200
                     and metrics[HUNG] == metrics[OLDEST] == 0)  # fmt: skip


def deadline_without_resend(checks, role):
    """Chroma takes longer than the deadline: 504 maybe, and the write is sent once."""
    what = f"deadline in role {role}"
    with Stub() as stub, Bouncer(stub.port, f"role={role}", "deadline.write=1s") as proxy:
        uuid = make_collection(stub, "late", len(VECTOR))
        before = stub.stats()["requests"]["upsert"]
        stub.fault("stall=3s,op=write,count=1")

        async def ask():
            clients = [Client(proxy.port) for _ in range(4)]
            for number, client in enumerate(clients):
                body = one_record(f"late{number}", VECTOR)
                await client.send("POST", records_path(uuid, "upsert"), body)
                await asyncio.sleep(0.05)
            began = time.monotonic()
            answers = [await client.receive() for client in clients]
            answered = time.monotonic() - began
            for client in clients:
                client.close()
            await asyncio.sleep(3)
            client = Client(proxy.port)
            again = await client.ask("POST", records_path(uuid, "upsert"), one_record("x", VECTOR))
            client.close()
            return answers, answered, again

        answers, answered, again = asyncio.run(ask())
        calls = stub.stats()["requests"]["upsert"] - before
        applied = [identifier for entry in stub.applied() for identifier in entry["ids"]]
    got = [(answer.status, answer.executed) for answer in answers]
    checks.check(f"{what}: the sent write gets 504 maybe, those behind it 504 no",
                 got == [(504, "maybe")] + [(504, "no")] * 3 and answered < 2,
                 f"after {answered:.2f} s")  # fmt: skip
    checks.check(f"{what}: it was sent once, applied once, and the others never",
                 calls == 2 and applied.count("late0") == 1
                 and not {"late1", "late2", "late3"} & set(applied), f"{calls} calls")  # fmt: skip
    checks.check(f"{what}: the lane is free when the answer comes", again.status == 200)


def open_loop(checks, what, seconds, cost, rate, deadline_seconds, goodput_min):
    """So many requests a second at random moments, whatever the answers."""
    with Stub(*cost) as stub:
        settings = [f"memory_max={MEMORY_MAX >> 20}MiB", f"deadline.write={deadline_seconds}s"]
        with Bouncer(stub.port, *settings, access="off") as proxy:
            memory = []
            over = threading.Event()

            def watch():
                while not over.wait(0.2):
                    memory.append(proxy.memory_bytes())

            watcher = threading.Thread(target=watch)
            watcher.start()
            command = [PROXY, "bench", "--backend", f"http://127.0.0.1:{proxy.port}", "--json",
                       "--mix", "upsert", "--rate", rate, "--dimension", 8,
                       "--clients", 3500, "--duration", f"{seconds}s", "--warm-up", "1s",
                       "--deadline", f"{deadline_seconds + 5}s"]  # fmt: skip
            run = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                                 check=False)  # fmt: skip
            over.set()
            watcher.join()
    checks.check(f"{what}: the generator ran", run.returncode in (0, 75), run.stderr.strip()[:200])
    result = json.loads(run.stdout)
    if result["void"]:
        print("   (the generator lagged: this machine is busy)")
    upserts = result["ops"]["upsert"]
    answered = sum(upserts["statuses"].values())
    seconds_of = result["records_by_second"]
    third = max(1, len(seconds_of) // 3)
    first, last = sum(seconds_of[:third]) / third, sum(seconds_of[-third:]) / third
    checks.check(f"{what}: every request is answered within its deadline",
                 answered == upserts["requests"] and not upserts["failures"],
                 f"{upserts['statuses']} {upserts['executed']} {upserts['failures'] or ''}"
                 f" p99 {upserts['latency_us']['p99'] / 1e3:.0f} ms")  # fmt: skip
    checks.check(f"{what}: no collapse", upserts["ok_per_second"] >= goodput_min
                 and last >= 0.7 * first,
                 f"{upserts['ok_per_second']:.0f}/s good, first third {first:.0f}/s, last "
                 f"{last:.0f}/s, offered {rate:.0f}/s")  # fmt: skip
    checks.check(f"{what}: memory within its bound", max(memory) < MEMORY_MAX + PROCESS_BYTES,
                 f"{max(memory) >> 20} MiB at most")  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seconds", type=int, default=6, help="of each open loop")
    arguments = parser.parse_args()
    checks = Checks()
    read_your_writes(checks)
    hung_write(checks)
    for role in ("sidecar", "gateway"):
        deadline_without_resend(checks, role)
    # Merging makes of ten times too much an ordinary load; on a busy machine some may be late.
    open_loop(checks, "open loop", arguments.seconds, COST, 10 * 97, 30, 7 * 97)
    # Where records cost as much as calls, merging but doubles 50/s: most must be refused in time,
    # and what is done must not be done for clients that were told that it came too late.
    open_loop(checks, "open loop beyond merging", max(12, arguments.seconds),
              ("--write-a-ms", "10", "--write-b-ms", "10"), 500, 3, 50)  # fmt: skip
    checks.finish()


if __name__ == "__main__":
    main()
