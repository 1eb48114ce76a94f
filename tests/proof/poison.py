"""poison - one write among 64 that only Chroma knows to be wrong: who pays for it?

    poison.py [--real]

The stub refuses a marked id with 400: the 63 others succeed, the one gets its own answer, and the
search for it costs at most 14 calls. No body was found that a real single-node Chroma refuses with
4xx and the proxy's own check lets pass. The worst that it has (--real) is metadata of some 6000
keys: it logs the record, cannot apply it, and fails every later write to the collection with it. So
that one must not share a call: the 63 that came before it succeed.
"""

import argparse
import asyncio
import json

from proof_bed import Bouncer, Checks, Chroma, Client, Stub, make_collection, records_path

WRITES = 64
POISONED = (0, 31, 63)  # places in the batch that are tried
EXTRA_CALLS_MAX = 14
DIMENSION = 8
CALLS = "chromabouncer_backend_requests_total"


async def send_together(proxy, uuid, bodies):
    """A write that takes long, and while it does `bodies`, in order. Their answers."""
    first = Client(proxy.port)
    blocker = {"ids": [f"blocker{n}" for n in range(1000)],
               "embeddings": [[0.25] * DIMENSION] * 1000}  # fmt: skip
    clients = [Client(proxy.port) for _ in bodies]
    for client in clients:
        await client.ask("GET", "/api/v2/version")
    await first.send("POST", records_path(uuid, "upsert"), json.dumps(blocker).encode())
    await asyncio.sleep(0.02)
    for client, body in zip(clients, bodies):
        await client.send("POST", records_path(uuid, "upsert"), body)
    answers = [await client.receive() for client in clients]
    await first.receive()
    for client in [first, *clients]:
        client.close()
    return answers


def calls(proxy):
    return sum(value for name, value in proxy.metrics().items()
               if name.startswith(CALLS) and 'op="upsert"' in name)  # fmt: skip


def body_of(identifier, **more):
    record = {"ids": [identifier], "embeddings": [[0.5] * DIMENSION], "documents": [identifier]}
    return json.dumps({**record, **more}).encode()


def try_poison(checks, server, poison, what):
    """`poison`: the body of the write that the server alone refuses."""
    for place in POISONED:
        uuid = make_collection(server, f"poison{place}-{len(what)}", DIMENSION)
        # A proxy of its own each: whoever was refused goes alone for a while.
        with Bouncer(server.port) as proxy:
            warm_up = asyncio.run(send_together(proxy, uuid, [body_of("known")]))
            before = calls(proxy)
            bodies = [body_of(f"{place}-{number}") for number in range(WRITES)]
            asyncio.run(send_together(proxy, uuid, bodies))
            plain = calls(proxy) - before
            bodies[place] = poison
            answers = asyncio.run(send_together(proxy, uuid, bodies))
            extra = calls(proxy) - before - 2 * plain
        statuses = [answer.status for answer in answers]
        alone = asyncio.run(ask_alone(server, uuid, poison))
        name = f"{what}, place {place} of {WRITES}"
        checks.check(f"{name}: without poison they share a call", warm_up[0].status == 200
                     and plain <= 3, f"{plain:.0f} calls with the one before")  # fmt: skip
        checks.check(f"{name}: 63 succeed", statuses.count(200) == WRITES - 1,
                     f"{statuses.count(200)}")  # fmt: skip
        checks.check(f"{name}: the one gets the answer that it gets alone",
                     (answers[place].status, answers[place].body) == alone, alone[0])  # fmt: skip
        checks.check(f"{name}: at most {EXTRA_CALLS_MAX} extra calls", extra <= EXTRA_CALLS_MAX,
                     f"{extra:.0f}")  # fmt: skip


async def ask_alone(server, uuid, body):
    client = Client(server.port)
    answer = await client.ask("POST", records_path(uuid, "upsert"), body)
    client.close()
    return answer.status, answer.body


def try_real(checks, chroma):
    uuid = make_collection(chroma, "poison", DIMENSION)
    keys = {f"key{number}": number for number in range(6000)}
    bodies = [body_of(f"{number}") for number in range(WRITES)]
    bodies[-1] = body_of("wedges", metadatas=[keys])
    with Bouncer(chroma.port) as proxy:
        asyncio.run(send_together(proxy, uuid, [body_of("known")]))
        before = calls(proxy)
        answers = asyncio.run(send_together(proxy, uuid, bodies))
        made = calls(proxy) - before
    statuses = [answer.status for answer in answers]
    checks.check("Chroma: 63 succeed before the one that wedges the collection",
                 statuses[:-1] == [200] * (WRITES - 1), f"then {statuses[-1]}, {made:.0f} calls")  # fmt: skip
    alone = asyncio.run(ask_alone(chroma, uuid, body_of("next")))
    checks.check("Chroma: it is Chroma that the one wedges", statuses[-1] == alone[0] == 500)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--real", action="store_true", help="on a real Chroma too")
    arguments = parser.parse_args()
    checks = Checks()
    with Stub("--poison", "poison", "--write-a-ms", "100", "--write-b-ms", "0.3") as stub:
        try_poison(checks, stub, body_of("a poisoned one"), "stub")
    if arguments.real:
        with Chroma() as chroma:
            try_real(checks, chroma)
    checks.finish()


if __name__ == "__main__":
    main()
