"""kill_load - readers, writers and creators of collections, over plain HTTP, who note every answer.

Meant for a Chroma that is killed meanwhile. Who gets no answer at all connects anew a moment later.
"""

import dataclasses
import http.client
import json
import threading
import time

COLLECTIONS = "/api/v2/tenants/default_tenant/databases/default_database/collections"
NAMERS = 2  # who create and delete collections
REST_SECONDS = 0.05  # after a request that failed


class Client:
    def __init__(self, port):
        self.port, self.connection = port, None

    def ask(self, method, path, body=None):
        """Its status, 0 if there was no answer, and its body."""
        data = None if body is None else json.dumps(body)
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            self.connection.request(method, path, data, {"content-type": "application/json"})
            answer = self.connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            self.connection = None
            time.sleep(REST_SECONDS)
            return 0, repr(error)
        try:
            return answer.status, json.loads(text or b"null")
        except ValueError:
            return answer.status, text.decode(errors="replace")


@dataclasses.dataclass
class Answer:
    what: str  # begins with r, w or n
    began: float
    ended: float
    status: int
    body: object

    @property
    def took(self):
        return self.ended - self.began

    @property
    def failed(self):
        return not 200 <= self.status < 300


class KillLoad:
    """`clients` readers and as many writers, from start() to stop()."""

    def __init__(self, port, clients):
        self.port = port
        status, collection = self.make().ask("POST", COLLECTIONS, {"name": "kills"})
        assert status == 200, collection
        self.path = f"{COLLECTIONS}/{collection['id']}"
        assert self.make().ask("POST", f"{self.path}/upsert", record("seed"))[0] == 200
        self.answers, self.lock, self.ending = [], threading.Lock(), threading.Event()
        jobs = [(self.write, clients), (self.read, clients), (self.name, NAMERS)]
        self.threads = [
            threading.Thread(target=job, args=(number,)) for job, count in jobs for number in range(count)
        ]

    def make(self):
        return Client(self.port)

    def start(self):
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.ending.set()
        for thread in self.threads:
            thread.join()

    def ask(self, client, what, *words):
        began = time.monotonic()
        status, body = client.ask(*words)
        with self.lock:
            self.answers.append(Answer(what, began, time.monotonic(), status, body))

    def write(self, number):
        client, count = self.make(), 0
        while not self.ending.is_set():
            name, operation = f"w{number}-{count}", ("upsert", "add")[count % 2]
            self.ask(client, name, "POST", f"{self.path}/{operation}", record(name))
            count += 1

    def read(self, number):
        client, count = self.make(), 0
        while not self.ending.is_set():
            what = f"r{number}-{count}"
            if count % 2:
                self.ask(client, what, "GET", f"{self.path}/count")
            else:
                self.ask(client, what, "POST", f"{self.path}/get", {"ids": ["seed"]})
            count += 1

    def name(self, number):
        client, count = self.make(), 0
        while not self.ending.is_set():
            what, name = f"n{number}-{count}", f"named-{number}-{count}"
            self.ask(client, what, "POST", COLLECTIONS, {"name": name})
            self.ask(client, what, "DELETE", f"{COLLECTIONS}/{name}")
            count += 1

    def failures(self):
        return [answer for answer in self.answers if answer.failed]

    def acknowledged(self):
        """Names of records."""
        return [each.what for each in self.answers if each.what[0] == "w" and not each.failed]

    def missing(self):
        """Those of them that are not there."""
        names, found, client = self.acknowledged(), set(), self.make()
        for start in range(0, len(names), 500):
            status, got = client.ask("POST", f"{self.path}/get", {"ids": names[start : start + 500]})
            assert status == 200, got
            found |= set(got["ids"])
        return sorted(set(names) - found)


def record(name):
    return {"ids": [name], "embeddings": [[1.0, 2.0, 3.0]], "documents": [name]}
