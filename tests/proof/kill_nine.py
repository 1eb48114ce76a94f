"""kill_nine - SIGKILL at random moments under load: what does the proxy lose that Chroma does not?

    kill_nine.py [--crashes N] [--seed S]

Writers put load on a real Chroma. In a control run without the proxy, and in a run through it,
Chroma is killed at the same random moments and started again; in a third run the proxy is. A write
that was answered 2xx may be missing in the end only if Chroma itself loses such writes too.
tests/e2e/kill_backend.py crashes at fixed moments and looks at the outcomes as well; its load and
its judgement are used here.
"""

import argparse
import contextlib
import random
import time

from proof_bed import Bouncer, Checks, Chroma
from kill_backend import has_broken_index, load_on, missing_records, report  # found by proof_bed

MOMENTS = (0.2, 2.5)  # seconds of load before a crash
DOWN = (0.0, 0.6)  # seconds before the start after it
LAST_SECONDS = 1.5
METRIC = "chromabouncer_batch_requests_sum{op=\"upsert\"}"
CALLS = "chromabouncer_batch_requests_count{op=\"upsert\"}"


def crash_at_random(load, server, crashes, seed):
    """True if writes are acknowledged again after the last crash."""
    draw = random.Random(seed)
    for _ in range(crashes):
        time.sleep(draw.uniform(*MOMENTS))
        server.kill()
        time.sleep(draw.uniform(*DOWN))
        server.start()
    before, deadline = len(load.acknowledged), time.monotonic() + 20
    time.sleep(LAST_SECONDS)
    while len(load.acknowledged) == before and time.monotonic() < deadline:
        time.sleep(0.1)
    return len(load.acknowledged) > before


def run(what, through, victim, crashes, seed):
    """(acknowledged, missing, recovered) of one run."""
    with contextlib.ExitStack() as stack:
        chroma = stack.enter_context(Chroma())
        server = stack.enter_context(Bouncer(chroma.port)) if through else chroma
        with load_on(chroma, server.port) as load:
            target = server if victim == "proxy" else chroma
            recovered = crash_at_random(load, target, crashes, seed)
            if through and victim != "proxy":
                metrics = server.metrics()
                print(f"{what}: {metrics[METRIC]:.0f} writes in {metrics[CALLS]:.0f} calls")
        # What was killed may have been in the middle of anything: as after a crash of the machine.
        chroma.kill()
        chroma.start()
        missing = missing_records(chroma, load.acknowledged)
        report(what, load, missing)
        # A Chroma that broke its own index takes no write, whoever is in front of it.
        return len(load.acknowledged), missing, recovered or has_broken_index(chroma)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--crashes", type=int, default=4, help="in each of the three runs")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    crashes, seed = arguments.crashes, arguments.seed
    checks = Checks()
    written, lost, recovered = run("control", False, "Chroma", crashes, seed)
    checks.check("the control run writes", written > 0, f"{written} writes, {len(lost)} missing")
    if lost or not recovered:
        print("Chroma alone does not survive these kills: of its own losses nothing can be said")
    written, missing, again = run("Chroma killed", True, "Chroma", crashes, seed)
    checks.check("Chroma killed: nothing is missing that is not missing in the control too",
                 written > 0 and (not missing or bool(lost)),
                 f"{len(missing)} of {written}, control {len(lost)}")  # fmt: skip
    checks.check("Chroma killed: writes go on as they do without the proxy",
                 again or not recovered)  # fmt: skip
    written, missing, again = run("proxy killed", True, "proxy", crashes, seed)
    checks.check("proxy killed: nothing that was answered is missing", written > 0 and not missing,
                 f"{len(missing)} of {written}")  # fmt: skip
    checks.check("proxy killed: writes go on after it", again)
    checks.finish()


if __name__ == "__main__":
    main()
