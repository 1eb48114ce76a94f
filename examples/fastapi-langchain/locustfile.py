"""The load: each user writes and searches as fast as it is answered, 70 % searches.

REPEATED percent of the searches that stand alone are for one of twenty texts.

After each /ingest that was acknowledged the same user searches for its text, on a new connection, so
that any worker may answer. An answer without it is counted as `missed`.

Run: TEXTS=DIR RECORDS=N [REPEATED=N] [RESULT=FILE] locust --headless --host URL --users 20 --run-time 30s
"""

import itertools
import json
import os
import random
import urllib.parse
import uuid

import gevent
from locust import constant, events, task
from locust.contrib.fasthttp import FastHttpUser

from table import load_texts

texts = load_texts(os.environ["TEXTS"])
repeated, popular = int(os.environ.get("REPEATED", "0")), texts[:20]
stored, unwritten = texts[: int(os.environ["RECORDS"])], texts[int(os.environ["RECORDS"]) :]
next_text = itertools.cycle(unwritten)
acknowledged, missed = [], []
CHECK_RESULTS = 10  # the index is approximate
gevent.get_hub().loop.update_now()  # or --run-time would count from before the texts were read


class Reader(FastHttpUser):
    wait_time = constant(0)

    @task(4)
    def search(self):
        asked = popular if random.randrange(100) < repeated else stored
        self.find(random.choice(asked)["text"], 4)

    @task(3)
    def ingest_and_look(self):
        article = {**next(next_text), "id": str(uuid.uuid4())}
        close = {"Connection": "close"}
        with self.client.post(
            "/ingest", json=article, headers=close, catch_response=True
        ) as response:
            if response.status_code != 200:
                return
        acknowledged.append({"id": article["id"], "text": article["text"]})
        found = self.find(article["text"], CHECK_RESULTS)
        if found is not None and article["id"] not in found:
            missed.append(article["id"])

    def find(self, text, count):
        """The ids that /search answers, None if it fails."""
        query = urllib.parse.urlencode({"text": text, "k": count})
        response = self.client.get(f"/search?{query}", name="/search")
        return [each["id"] for each in response.json()] if response.status_code == 200 else None


@events.quitting.add_listener
def write_result(environment, **_):
    total = environment.stats.total
    result = {
        "requests": total.num_requests,
        "failures": total.num_failures,
        "per_second": total.total_rps,
        "p50_ms": total.get_response_time_percentile(0.5),
        "p99_ms": total.get_response_time_percentile(0.99),
        "acknowledged": acknowledged,
        "missed": len(missed),
        "errors": [f"{each.occurrences} x {each.error}" for each in environment.stats.errors.values()],
    }
    if "RESULT" in os.environ:
        with open(os.environ["RESULT"], "w", encoding="utf-8") as file:
            json.dump(result, file)
    environment.process_exit_code = 0  # failures are a result, not an error of the run
