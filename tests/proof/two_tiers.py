"""two_tiers - do many sidecars in front of a gateway keep its throughput?

    two_tiers.py [--real] [--seconds S]

The same closed-loop clients (one `chromabouncer bench` for each sidecar), each writing one record
at a time to one collection, straight to a gateway and through 30 sidecars in front of it, each of
which merges already. In turn, and the medians compared. All go by unix sockets: so every request
has the same Host, as the applications have that call their own sidecar localhost; writes with
different ones are not merged.
"""

import argparse
import json
import statistics
import subprocess

from proof_bed import Bouncer, Checks, Chroma, Stub, make_collection
from bed import PROXY  # found by proof_bed

SIDECARS = 30
CLIENTS_EACH = 4
ROUNDS = 4
SHARE_MIN = 0.9
COLLECTION = "tiers"


def throughput(addresses, number, seconds, dimension):
    """Records per second of some clients for each address."""
    loads = []
    for place, address in enumerate(addresses):
        command = [PROXY, "bench", "--backend", address, "--json",
                   "--mix", "upsert", "--clients", CLIENTS_EACH, "--dimension", dimension,
                   "--collection", COLLECTION, "--keep", "--id-prefix", number * 100 + place,
                   "--warm-up", "1s", "--duration", f"{seconds}s", "--variants", 50]  # fmt: skip
        loads.append(subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE))
    results = [json.loads(load.communicate(timeout=seconds + 120)[0]) for load in loads]
    assert not any(result["errors"] for result in results), results[0]["first_error"]
    return sum(result["ops"]["upsert"]["ok_per_second"] for result in results)


def batches(proxy):
    """(records, calls) of upserts so far."""
    metrics = proxy.metrics()
    name = 'chromabouncer_batch_records_{}{{op="upsert"}}'
    return metrics[name.format("sum")], metrics[name.format("count")]


def compare(checks, server, what, seconds, dimension, share_min):
    make_collection(server, f"{COLLECTION}-0", dimension)
    gateway = Bouncer(server.port, "role=gateway")
    sidecars = []
    try:
        sidecars = [Bouncer(gateway.port) for _ in range(SIDECARS)]
        through = [sidecar.socket for sidecar in sidecars]
        results = {"gateway": [], "tiers": []}
        sizes = {"gateway": [], "tiers": []}  # records in a call of the gateway
        for number in range(ROUNDS):
            pair = [("gateway", [gateway.socket] * SIDECARS), ("tiers", through)]
            # Turn and turn about: Chroma gets slower as the collection grows.
            for place, (name, addresses) in enumerate(pair[:: 1 if number % 2 == 0 else -1]):
                before = batches(gateway)
                rate = throughput(addresses, 2 * number + place, seconds, dimension)
                records, calls = (now - then for now, then in zip(batches(gateway), before))
                results[name].append(round(rate))
                sizes[name].append(round(records / calls))
        written, calls = map(sum, zip(*(batches(sidecar) for sidecar in sidecars)))
        merged = written / calls
    finally:
        for proxy in [*sidecars, gateway]:
            proxy.process.terminate()
        for proxy in [*sidecars, gateway]:
            proxy.close()
    alone, tiers = (statistics.median(results[name]) for name in ("gateway", "tiers"))
    print(f"{what}: records per second {results}, in a call of the gateway {sizes}")
    checks.check(f"{what}: the sidecars merge themselves", merged > 1.2, f"{merged:.1f} records in a call")
    checks.check(
        f"{what}: {SIDECARS} sidecars reach {share_min:.0%} of the gateway alone",
        tiers >= share_min * alone,
        f"gateway {alone:.0f}/s, through the sidecars {tiers:.0f}/s: {tiers / alone:.0%}",
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--real", action="store_true", help="on a real Chroma too")
    parser.add_argument("--seconds", type=int, default=4, help="of each round")
    parser.add_argument("--share-min", type=float, default=SHARE_MIN,
                        help="of the gateway's own throughput; less for short runs beside others")
    arguments = parser.parse_args()
    checks = Checks()
    with Stub("--write-a-ms", "10", "--write-b-ms", "0.3") as stub:
        compare(checks, stub, "stub", arguments.seconds, 8, arguments.share_min)
    if arguments.real:
        with Chroma() as chroma:
            compare(checks, chroma, "Chroma", arguments.seconds, 384, arguments.share_min)
    checks.finish()


if __name__ == "__main__":
    main()
