"""Does a mirror answer what Chroma answers?

Eight clients write to five collections through `chromabouncer exec` with mirror.mode: prefer. When
they rest, questions are asked twice: of the mirror, and with `Cache-Control: no-store` of Chroma.
What both say must be the same; where queries find others, exact search decides who is right.

MIRROR_COMPARISONS=100000 compares as many (the default takes some fifteen seconds), MIRROR_SEED=S
begins with another seed. A failure prints its own.
"""

import collections
import http.client
import json
import os
import random
import subprocess
import threading
import time

import numpy
import pytest

from bed import DATABASE, PROXY
from mirror_workload import KINDS, Questions, Work, dump
from test_exec import Exec

COMPARISONS = int(os.environ.get("MIRROR_COMPARISONS", "300"))
SEED = int(os.environ.get("MIRROR_SEED", "1"))
CLIENTS, WRITES_EACH = 8, 12
MODIFIED = 0.005  # of the writes change the collection's own metadata
EACH = 200  # comparisons between writes
RECALL_AT = 10
SETTINGS = ["mirror.mode=prefer", "cache.enabled=false", "log.access=off"]
COLLECTIONS = f"{DATABASE}/collections"
EVERYTHING = {"include": ["embeddings", "documents", "metadatas", "uris"]}


class Mirrored(Exec):
    """A real Chroma of its own, with copies."""

    def __init__(self, settings=()):
        flags = [word for setting in [*SETTINGS, *settings] for word in ("--set", setting)]
        super().__init__(flags=flags, wait=False)
        self.control = self.directory / "control"
        self.flags += ["--control", self.control]
        self.start()

    def mirrors(self):
        words = [PROXY, "ctl", "--control", self.control, "mirror", "-o", "json"]
        run = subprocess.run(words, capture_output=True, text=True, check=False)
        return run.stdout + run.stderr


class Client:
    """One connection; answers with what they say of their source."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def ask(self, method, path, body=None, may_be_mirror=True):
        """(status, parsed body, was it the mirror?)"""
        fields = {} if may_be_mirror else {"cache-control": "no-store"}
        data = None if body is None else dump(body).encode("utf-8", "surrogatepass")
        self.connection.request(method, path, data, {"content-type": "application/json", **fields})
        answer = self.connection.getresponse()
        text = answer.read()
        is_mirror = answer.getheader("x-chromabouncer-source") == "mirror"
        if is_mirror:
            assert "complete=yes" in answer.getheader("x-chromabouncer-mirror"), answer.getheaders()
        try:
            return answer.status, json.loads(text), is_mirror
        except ValueError:
            return answer.status, text.decode(), is_mirror

    def close(self):
        self.connection.close()


class Place:
    """A collection by its name; its UUID changes when it goes and comes."""

    def __init__(self, kind):
        self.kind, self.path, self.lock = kind, None, threading.Lock()

    def create(self, client):
        body = {"name": self.kind.name, "configuration": {"hnsw": {"space": self.kind.space}}}
        status, answer, _ = client.ask("POST", COLLECTIONS, body)
        assert status == 200, answer
        self.path = f"{COLLECTIONS}/{answer['id']}"

    def replace(self, client):
        with self.lock:
            status, answer, _ = client.ask("DELETE", f"{COLLECTIONS}/{self.kind.name}")
            assert status == 200, answer
            self.create(client)


class Writer:
    """One of those who write at the same time."""

    def __init__(self, port, places, seed):
        self.client, self.places, self.rng = Client(port), places, random.Random(seed)
        self.works = {place: Work(self.rng, place.kind) for place in places}
        self.failures = []

    def run(self, writes):
        try:
            for _ in range(writes):
                self.write()
        except Exception as error:  # told by who waits for this thread
            self.failures.append(repr(error))

    def write(self):
        place, kind = self.rng.choice(self.places), self.rng.random()
        if kind < MODIFIED:
            changes = {"new_metadata": {"n": self.rng.randrange(9)}}
            status, answer, _ = self.client.ask("PUT", place.path, changes)
        elif kind < 0.04 and place.kind.goes:
            place.replace(self.client)
            return
        elif kind < 0.1:  # deletes by filter take many
            status, answer, _ = self.client.ask("POST", f"{place.path}/upsert", self.works[place].many())
        else:
            operation, body = self.works[place].request()
            status, answer, _ = self.client.ask("POST", f"{place.path}/{operation}", body)
        if status >= 500:
            self.failures.append((status, answer))


class Truth:
    """What a collection holds, by Chroma."""

    def __init__(self, client, place):
        self.client, self.path, self.space = client, place.path, place.kind.space
        status, answer, _ = client.ask("POST", f"{place.path}/get", EVERYTHING, may_be_mirror=False)
        assert status == 200, answer
        self.answer, self.ids = answer, answer["ids"]
        self.numbers = {name: number for number, name in enumerate(self.ids)}
        self.vectors = numpy.array(answer["embeddings"] or [[0.0] * place.kind.dimension], numpy.float64)

    def is_odd(self, body):
        """A query by ids of which some are not there: Chroma may fail, and the mirror leaves it to it."""
        return body is not None and "query_embeddings" in body and not set(body.get("ids", [])) <= self.numbers.keys()

    def distances(self, vector):
        """From each record, in their order."""
        given = numpy.array(vector, numpy.float32).astype(numpy.float64)
        if self.space == "l2":
            return ((self.vectors - given) ** 2).sum(1)
        products = self.vectors @ given
        if self.space == "ip":
            return 1 - products
        return 1 - products / (numpy.linalg.norm(self.vectors, axis=1) * numpy.linalg.norm(given))

    def candidates(self, body):
        """Whom a query's filter takes."""
        if not body.keys() & {"ids", "where", "where_document"}:
            return list(range(len(self.ids)))
        question = {key: body[key] for key in ("ids", "where", "where_document") if key in body}
        status, answer, _ = self.client.ask("POST", f"{self.path}/get", {**question, "include": []}, may_be_mirror=False)
        assert status == 200, answer
        return sorted(self.numbers[name] for name in answer["ids"])


def canonical(value):
    """Equal only for what is the same JSON, whatever the order of keys."""
    return json.dumps(value, sort_keys=True)


def is_near(one, other):
    return one is None and other is None or abs(one - other) <= 1e-5 * abs(one) + 1e-6


def is_tie(one, other):
    """Within one unit of the last place of a float of 32 bits, of the distance or of what it is 1 less."""
    return abs(one - other) <= float(numpy.spacing(numpy.float32(max(1, abs(one)))))


class Comparison:
    """Counts what was asked and how it came out; a difference that nothing explains fails."""

    def __init__(self):
        self.counts = collections.Counter()
        self.recall = {"mirror": [], "chroma": []}

    def ask(self, client, truth, operation, body, is_usual):
        method = "GET" if operation == "count" else "POST"
        path = f"{truth.path}/{operation}"
        mirrored = client.ask(method, path, body)
        direct = client.ask(method, path, body, may_be_mirror=False)
        assert not direct[2], "no-store was answered by the mirror"
        if is_usual and direct[0] == 200 and not truth.is_odd(body):
            self.counts["usual"] += 1
            self.counts["usual, mirror"] += mirrored[2]
        if not mirrored[2]:
            self.counts["left to Chroma"] += 1
            return
        self.counts[f"{operation}, {direct[0]}"] += 1
        if direct[0] in (500, 502) and mirrored[0] == 200:
            # As where `ids` name a record that was deleted, or no result is wanted: a right answer is better.
            self.counts["right where Chroma failed"] += 1
            self.compare_query(truth, body, mirrored[1], None)
            return
        assert mirrored[0] == direct[0], (mirrored, direct)
        if operation == "query" and direct[0] == 200:
            self.compare_query(truth, body, mirrored[1], direct[1])
        else:
            assert canonical(mirrored[1]) == canonical(direct[1]), (mirrored[1], direct[1])

    def compare_query(self, truth, body, ours, theirs):
        """`theirs` is None where Chroma has no answer."""
        if theirs is None:
            for row, vector in enumerate(body["query_embeddings"]):
                self.check_alone(truth, body, vector, row_of(ours, row))
            return
        assert ours.keys() == theirs.keys()
        assert ours["include"] == theirs["include"]
        assert len(ours["ids"]) == len(theirs["ids"]) == len(body["query_embeddings"])
        for name in ("embeddings", "documents", "metadatas", "uris", "distances"):
            assert (ours[name] is None) == (theirs[name] is None), name
        for row, vector in enumerate(body["query_embeddings"]):
            self.compare_row(truth, body, vector, row_of(ours, row), row_of(theirs, row))

    def compare_row(self, truth, body, vector, ours, theirs):
        distances = truth.distances(vector)
        candidates = truth.candidates(body) if ours["ids"] != theirs["ids"] or self.is_sampled() else None
        self.check_row(truth, distances, ours)
        if ours["ids"] == theirs["ids"]:
            self.counts["rows, same"] += 1
            if theirs["distances"] is not None:
                assert all(map(is_near, theirs["distances"], ours["distances"])), (theirs, ours)
        else:
            self.explain(truth, distances, candidates, ours["ids"], theirs["ids"])
        if candidates is not None:
            best = numpy.sort(distances[candidates])[: min(RECALL_AT, len(theirs["ids"]))]
            for who, row in ("mirror", ours), ("chroma", theirs):
                self.recall[who].append(share_found(best, [distances[truth.numbers[name]] for name in row["ids"]]))

    def check_alone(self, truth, body, vector, ours):
        distances = truth.distances(vector)
        self.check_row(truth, distances, ours)
        best = numpy.sort(distances[truth.candidates(body)])[: body.get("n_results", 10)]
        found = [float(distances[truth.numbers[name]]) for name in ours["ids"]]
        assert len(found) == len(best) and all(map(is_tie, found, best)), (found, best)

    def is_sampled(self):
        return self.counts["rows, same"] % 5 == 0

    @staticmethod
    def check_row(truth, distances, row):
        """What stands beside each id belongs to it."""
        assert len(set(row["ids"])) == len(row["ids"]), row["ids"]
        for place, name in enumerate(row["ids"]):
            number = truth.numbers[name]
            for column in ("embeddings", "documents", "metadatas", "uris"):
                if row[column] is not None:
                    pair = row[column][place], truth.answer[column][number]
                    assert canonical(pair[0]) == canonical(pair[1]), (name, column, pair)
            if row["distances"] is not None:
                assert is_near(distances[number], row["distances"][place]), (name, distances[number], row["distances"][place])

    def explain(self, truth, distances, candidates, ours, theirs):
        """Equal distances, or one of the two did not find what exact search finds."""
        mine, other = ([float(distances[truth.numbers[name]]) for name in ids] for ids in (ours, theirs))
        if len(mine) == len(other) and all(map(is_tie, mine, other)):
            self.counts["rows, tie"] += 1
            return
        allowed = set(candidates)
        assert all(truth.numbers[name] in allowed for name in ours), "the filter does not take it"
        assert all(is_tie(one, after) or one < after for one, after in zip(mine, mine[1:])), ("order", mine)
        best = numpy.sort(distances[candidates])[: max(len(mine), len(other))]
        is_exact = len(mine) == len(best) and all(map(is_tie, mine, best))
        self.counts["rows, Chroma missed some" if is_exact else "rows, the mirror missed some"] += 1

    def finish(self):
        print(dict(sorted(self.counts.items())))
        mirror, chroma = (float(numpy.mean(each)) for each in (self.recall["mirror"], self.recall["chroma"]))
        print(f"recall@{RECALL_AT}: mirror {mirror:.5f}, Chroma {chroma:.5f} in {len(self.recall['mirror'])} rows")
        share = self.counts["usual, mirror"] / self.counts["usual"]
        print(f"answered by the mirror: {share:.4f}")
        assert share >= 0.95
        assert mirror >= 0.99 and mirror >= chroma - 0.0005
        for expected in ("rows, same", "get, 200", "query, 200", "count, 200", "left to Chroma"):
            assert self.counts[expected] > 0, expected


def row_of(answer, row):
    names = ("ids", "embeddings", "documents", "metadatas", "uris", "distances")
    return {name: None if answer[name] is None else answer[name][row] for name in names}


def share_found(best, found):
    """How many of the nearest are there, those of equal distance standing for one another."""
    if len(best) == 0:
        return 1.0
    return sum(distance <= best[-1] + 1e-6 for distance in found[: len(best)]) / len(best)


def wait_for_copies(server, client, places):
    deadline = time.monotonic() + 60
    waiting = list(places)
    while waiting:
        waiting = [place for place in waiting if not client.ask("GET", f"{place.path}/count")[2]]
        if waiting:
            names = [place.kind.name for place in waiting]
            assert time.monotonic() < deadline, (f"no copies of {names}", server.mirrors())
            time.sleep(0.02)


def write_at_once(port, places, seed):
    writers = [Writer(port, places, f"{seed}-{number}") for number in range(CLIENTS)]
    threads = [threading.Thread(target=writer.run, args=(WRITES_EACH,)) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    failures = [failure for writer in writers for failure in writer.failures]
    assert not failures, failures[:3]
    for writer in writers:
        writer.client.close()
    return [text for writer in writers for work in writer.works.values() for text in work.grammar.documents]


def fill(client, places, seed):
    for place in places:
        place.create(client)
        work = Work(random.Random(f"{seed}-{place.kind.name}"), place.kind)
        status, answer, _ = client.ask("POST", f"{place.path}/add", work.first())
        assert status == 201, answer


@pytest.mark.timeout(120 + COMPARISONS)
def test_the_mirror_answers_what_chroma_answers():
    comparison, seed = Comparison(), SEED
    with Mirrored() as server:
        client, places = Client(server.port), [Place(kind) for kind in KINDS]
        fill(client, places, seed)
        for start in range(0, COMPARISONS, EACH):
            try:
                documents = write_at_once(server.port, places, seed)
                wait_for_copies(server, client, places)
                compare(comparison, client, places, documents, seed)
            except AssertionError as error:
                error.add_note(f"MIRROR_SEED={SEED}, after {start} comparisons, round {seed}")
                raise
            seed += 1
        client.close()
    comparison.finish()


def compare(comparison, client, places, documents, seed):
    rng = random.Random(seed)
    truths = {place: Truth(client, place) for place in places}
    for _ in range(EACH):
        place = rng.choice(places)
        questions = Questions(rng, place.kind, documents)
        operation, body = questions.draw()
        try:
            comparison.ask(client, truths[place], operation, body, questions.is_usual)
        except AssertionError as error:
            error.add_note(f"{place.kind.name} ({place.kind.space}): {operation} {'' if body is None else dump(body)}")
            raise
