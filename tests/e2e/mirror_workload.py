"""mirror_workload - random work on a few collections, and questions about what it has left.

Everything is drawn by a seeded generator. Writers run at the same time, so that what is left is not
known beforehand: whoever compares asks two servers the same at a quiet point.
"""

import base64
import struct

from filter_grammar import Grammar, Raw, dump  # noqa: F401
from test_effects import Sequence

INCLUDE = ["documents", "metadatas", "distances", "embeddings", "uris"]
SPACES = ["l2", "cosine", "ip"]
IDS = ["é", "中", "a b", '"', "\x00", *(f"id-{number}" for number in range(120))]


class Kind:
    """What a collection is like. One that goes holds no lists: Chroma gives them to records of others
    when it is gone (doc/mirror-filters.md)."""

    def __init__(self, name, space, dimension, goes=False, is_large=False):
        self.name, self.space, self.dimension = name, space, dimension
        self.goes, self.is_large = goes, is_large


KINDS = [
    Kind("work-l2", "l2", 3),
    Kind("work-cosine", "cosine", 8),
    Kind("work-ip", "ip", 5),
    Kind("work-goes", "l2", 4, goes=True),
    Kind("work-large", "cosine", 24, is_large=True),
]


class Work(Sequence):
    """Requests that write to one collection."""

    def __init__(self, rng, kind):
        super().__init__(rng)
        self.kind = kind
        self.ids = [*IDS, *(f"large-{number}" for number in range(3000))] if kind.is_large else IDS
        if kind.goes:
            self.grammar.value = self.grammar.scalar

    def vector(self):
        return vector(self.rng, self.kind.dimension)

    def vector64(self):
        floats = vector(self.rng, self.kind.dimension)
        return base64.b64encode(struct.pack(f"<{len(floats)}f", *floats)).decode()

    def first(self):
        return self.many(1500 if self.kind.is_large else 60)

    def many(self, count=40):
        """So many records at once, without surprises."""
        return {
            "ids": self.rng.sample(self.ids, count),
            "embeddings": [self.vector() for _ in range(count)],
            "metadatas": [self.metadata("add") or {"a": 1} for _ in range(count)],
            "documents": [self.document() for _ in range(count)],
        }


def vector(rng, dimension):
    """Now and then one of few, so that distances are equal."""
    if rng.random() < 0.2:
        return [rng.choice([0.5, -1, 0.25]) for _ in range(dimension)]
    return [round(rng.gauss(0, 1), 5) for _ in range(dimension)]


class Questions:
    """(operation, body) about one collection."""

    def __init__(self, rng, kind, documents):
        self.rng, self.kind = rng, kind
        self.grammar = Grammar(rng)
        self.grammar.documents = documents
        self.is_usual = True  # was the last one no mistake?

    def draw(self):
        kind = self.rng.random()
        self.is_usual = not 0.05 <= kind < 0.1
        if kind < 0.05:
            return "count", None
        if not self.is_usual:
            return self.malformed()
        return ("get", self.get()) if kind < 0.5 else ("query", self.query())

    def include(self, names):
        return self.rng.sample(names, self.rng.randrange(len(names) + 1))

    def filtered(self, body, share):
        if self.rng.random() < share:
            body |= self.grammar.question()
        if self.rng.random() < 0.15:
            names = self.rng.choice([3, 20, 60])
            body["ids"] = self.rng.sample([*IDS, "missing", "large-1", "large-2"], names)
        return body

    def get(self):
        body = self.filtered({}, 0.6)
        if self.rng.random() < 0.5:
            body["limit"] = self.rng.choice([0, 1, 2, 5, 100, None])
        if self.rng.random() < 0.3:
            body["offset"] = self.rng.choice([0, 1, 3, 40, 10**6])
        if self.kind.is_large and body.get("limit") is None:
            body["limit"] = 50
        if self.rng.random() < 0.9:
            body["include"] = self.include([name for name in INCLUDE if name != "distances"])
        return body

    def query(self):
        count = self.rng.choice([1, 1, 1, 2, 5])
        body = {"query_embeddings": [vector(self.rng, self.kind.dimension) for _ in range(count)]}
        if self.rng.random() < 0.9:
            body["n_results"] = self.rng.choice([1, 3, 10, 10, 10, 50])
        if self.rng.random() < 0.9:
            body["include"] = ["distances", *self.include([name for name in INCLUDE if name != "distances"])]
        return self.filtered(body, 0.4)

    def malformed(self):
        """Asked for by mistake; refused, or not."""
        wrong = vector(self.rng, self.kind.dimension + 1)
        right = vector(self.rng, self.kind.dimension)
        return self.rng.choice([
            ("query", {"query_embeddings": [wrong]}), ("query", {"query_embeddings": [right, wrong]}),
            ("query", {"query_embeddings": []}), ("query", {"query_embeddings": [[]]}), ("query", {}),
            ("query", {"query_embeddings": [right], "n_results": 0}),
            ("query", {"query_embeddings": [right], "n_results": -1}),
            ("query", {"query_embeddings": [right], "include": ["nothing"]}),
            ("query", {"query_embeddings": [right], "ids": []}),
            ("query", {"query_embeddings": [right], "ids": ["missing"]}),
            ("query", {"query_embeddings": right}), ("query", {"query_embeddings": [["a"] * len(right)]}),
            ("query", {"query_embeddings": [right], "where": None, "where_document": None}),
            ("query", {"query_embeddings": [right], "n_results": 100_000}),
            ("get", {"limit": -1}), ("get", {"offset": -1}), ("get", {"limit": "1"}), ("get", {"ids": []}),
            ("get", {"ids": ["missing", "missing"]}), ("get", {"ids": "id-1"}), ("get", {"include": ["distances"]}),
            ("get", {"include": None}), ("get", {"where": self.grammar.malformed(), "limit": 3}), ("get", []),
            ("get", Raw('{"ids":["id-1"]')), ("get", Raw("")), ("get", {"unknown": 1, "limit": 2}),
            ("query", {"query_embeddings": [right], "where": self.grammar.malformed()}),
        ])  # fmt: skip
