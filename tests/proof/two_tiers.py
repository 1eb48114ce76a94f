"""two_tiers - do many sidecars in front of a gateway keep its throughput?

    two_tiers.py [--real] [--seconds S]

The same closed-loop clients, each writing one record at a time to one collection, once straight to
a gateway and once through 30 sidecars in front of it, each of which merges already. Both are run
twice, in turn, and the medians compared.
"""

import argparse
import asyncio
import json
import multiprocessing
import statistics
import time

from proof_bed import Bouncer, Checks, Chroma, Client, Stub, make_collection, records_path

SIDECARS = 30
CLIENTS_EACH = 4
PROCESSES = 2
ROUNDS = 3
SHARE_MIN = 0.9


async def write_on(port, uuid, name, until, dimension):
    client, number = Client(port), 0
    while time.monotonic() < until:
        vector = [(number % 100) / 100] * dimension
        body = {"ids": [f"{name}-{number}"], "embeddings": [vector], "documents": [name]}
        path = records_path(uuid, "upsert")
        answer = await client.ask("POST", path, json.dumps(body).encode())
        assert answer.status == 200, answer.body
        number += 1
    client.close()
    return number


def run_process(ports, uuid, name, until, dimension, queue):
    async def everybody():
        writers = [write_on(port, uuid, f"{name}-{place}", until, dimension)
                   for place, port in enumerate(ports)]  # fmt: skip
        return sum(await asyncio.gather(*writers))

    queue.put(asyncio.run(everybody()))


def throughput(ports, uuid, name, seconds, dimension):
    """Records per second of one client for each entry of `ports`."""
    queue = multiprocessing.Queue()
    until = time.monotonic() + seconds
    parts = [ports[number::PROCESSES] for number in range(PROCESSES)]
    processes = [
        multiprocessing.Process(
            target=run_process, args=(part, uuid, f"{name}-{n}", until, dimension, queue), daemon=True
        )
        for n, part in enumerate(parts)
    ]  # fmt: skip
    for process in processes:
        process.start()
    written = sum(queue.get(timeout=seconds + 60) for _ in processes)
    for process in processes:
        process.join()
    return written / seconds


def compare(checks, server, what, seconds, dimension):
    uuid = make_collection(server, "tiers", dimension)
    gateway = Bouncer(server.port, "role=gateway")
    sidecars = []
    try:
        sidecars = [Bouncer(gateway.port) for _ in range(SIDECARS)]
        direct = [gateway.port] * (SIDECARS * CLIENTS_EACH)
        through = [sidecar.port for sidecar in sidecars] * CLIENTS_EACH
        results = {"gateway": [], "tiers": []}
        for number in range(ROUNDS):
            for name, ports in (("gateway", direct), ("tiers", through)):
                rate = throughput(ports, uuid, f"{name}{number}", seconds, dimension)
                results[name].append(rate)
        merged = sum(one.metrics()['chromabouncer_batch_requests_sum{op="upsert"}']
                     / max(1, one.metrics()['chromabouncer_batch_requests_count{op="upsert"}'])
                     for one in sidecars) / SIDECARS  # fmt: skip
    finally:
        for proxy in [*sidecars, gateway]:
            proxy.process.terminate()
        for proxy in [*sidecars, gateway]:
            proxy.close()
    alone, tiers = (statistics.median(results[name]) for name in ("gateway", "tiers"))
    print(f"{what}: rounds {({name: [round(r) for r in rates] for name, rates in results.items()})}")
    checks.check(f"{what}: the sidecars merge themselves", merged > 1.2, f"{merged:.1f} writes a call")
    checks.check(
        f"{what}: {SIDECARS} sidecars reach {SHARE_MIN:.0%} of the gateway alone",
        tiers >= SHARE_MIN * alone,
        f"gateway {alone:.0f}/s, through the sidecars {tiers:.0f}/s: {tiers / alone:.0%}",
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--real", action="store_true", help="on a real Chroma too")
    parser.add_argument("--seconds", type=float, default=4, help="of each round")
    arguments = parser.parse_args()
    checks = Checks()
    with Stub("--write-a-ms", "10", "--write-b-ms", "0.3") as stub:
        compare(checks, stub, "stub", arguments.seconds, 8)
    if arguments.real:
        with Chroma() as chroma:
            compare(checks, chroma, "Chroma", arguments.seconds, 384)
    checks.finish()


if __name__ == "__main__":
    main()
