#!/usr/bin/env python3
"""mirror_flood - what does a flood of searches in a copy cost those who ask something else?

Somebody asks Chroma for a heartbeat every 3 ms, through `chromabouncer exec` in mode prefer, first
while nobody else asks, then while wrk asks what compare_mirror does, each answered by the copy.
Usage: tests/bench/mirror_flood.py [--records N] [--seconds S] [--texts DIR]
with the Python of .venv; CHROMABOUNCER_WORKERS=2 lets two searches run at a time.
"""

import argparse
import http.client
import pathlib
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import bench_tools as tools  # noqa: E402
import mirror_filling  # noqa: E402
import mirror_sides  # noqa: E402

PAUSE_SECONDS = 0.003


def beats(port, seconds):
    connection, times, began = http.client.HTTPConnection("127.0.0.1", port), [], time.monotonic()
    while time.monotonic() < began + seconds:
        sent = time.monotonic()
        connection.request("GET", "/api/v2/heartbeat")
        connection.getresponse().read()
        times.append((time.monotonic() - sent) * 1e3)
        time.sleep(PAUSE_SECONDS)
    return mirror_filling.percentiles(sorted(times))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=20000)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--texts", type=pathlib.Path, default=pathlib.Path(tools.BUILD) / "bench-results/texts")
    arguments = parser.parse_args()
    compare = mirror_filling.compare_mirror()
    if not (arguments.texts / "queries.npy").exists():
        compare.mirror_texts.make(arguments.texts, arguments.records)
    with tools.Bed() as bed:
        records = compare.Records(arguments.texts, arguments.records, bed.path("questions.json"))
        side = mirror_sides.Prefer(bed, records)
        side.start()
        side.fill()
        side.settle()
        print("calm", beats(side.port, arguments.seconds))
        flood = []
        thread = threading.Thread(target=lambda: flood.append(compare.wrk(side, "query", arguments.seconds + 2)))
        thread.start()
        time.sleep(1)
        print("flood", beats(side.port, arguments.seconds))
        thread.join()
        print("wrk", flood[0])
        side.stop()


if __name__ == "__main__":
    main()
