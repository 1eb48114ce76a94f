"""Do writes and deletes leave in src/mirror what they leave in a real Chroma?

Seeded sequences are sent to both, one request at a time; after each, everything that Chroma has is
compared: ids in their order, vectors, metadata, documents, uris; and pieces of it by filter, offset
and limit.

EFFECT_STEPS=N sends as many requests (the default takes some ten seconds), EFFECT_SEED=S begins with
another seed. A failure prints its own.
"""

import base64
import collections
import os
import random
import struct

import pytest

from filter_grammar import Grammar, Raw, dump
from mirror_bed import Tool, open_server

STEPS = int(os.environ.get("EFFECT_STEPS", "150"))
SEED = int(os.environ.get("EFFECT_SEED", "1"))
EACH = 150  # requests to a server
INCLUDE = ["embeddings", "metadatas", "documents", "uris"]
KEYS = ["a", "b", "c", "d", "中"]
FLOATS = ["0.0", "-0.0", "1.0", "0.5", "-1.5", "1e300", "5e-324", "3.141592653589793", "9007199254740993.0"]
NUMBERS = ["0", "1", "-1.5", "0.1", "-0", "16777217", "1152921573326323713", "1.25e18", "1e-46", "1.17549435e-38",
           "1e-40", "9007199254740993", "0.30000001192092896", "123456789.123456789"]  # fmt: skip


class Sequence:
    """Draws requests that touch few ids, so that they meet."""

    def __init__(self, rng):
        self.rng = rng
        self.grammar = Grammar(rng)
        # Integers of 19 digits in lists, and floats that are written like them, are left unread.
        self.grammar.integer = lambda: rng.choice([0, 1, -1, 2, 7, 10**15, -(2**53) - 1])
        self.grammar.float = lambda: self.grammar.odd_float() if rng.random() < 0.3 else Raw(rng.choice(FLOATS))
        self.ids = ["x", "é", "中", "\x00", "a b", "0", '"', *"bcdef"]

    def request(self):
        operation = self.rng.choice(["add", "upsert", "upsert", "update", "update", "delete"])
        return operation, self.deletion() if operation == "delete" else self.write(operation)

    def write(self, operation):
        count = self.rng.randrange(1, 6)
        body = {"ids": [self.rng.choice(self.ids) for _ in range(count)]}
        if operation != "update" or self.rng.random() < 0.6:
            body["embeddings"] = self.vectors(count, operation == "update")
        columns = {"metadatas": lambda: self.metadata(operation), "documents": self.document, "uris": self.document}
        for name, draw in columns.items():
            if self.rng.random() < 0.7:
                body[name] = [draw() if self.rng.random() < 0.75 else None for _ in range(count)]
            elif self.rng.random() < 0.3:
                body[name] = None
        return body

    def vectors(self, count, may_be_null):
        is_base64 = self.rng.random() < 0.3
        vectors = [self.vector64() if is_base64 else self.vector() for _ in range(count)]
        return [None if may_be_null and self.rng.random() < 0.3 else vector for vector in vectors]

    def vector(self):
        return [Raw(self.rng.choice(NUMBERS)) if self.rng.random() < 0.5 else self.rng.uniform(-1, 1) for _ in range(3)]

    def vector64(self):
        return base64.b64encode(struct.pack("<3f", *(self.rng.uniform(-1, 1) for _ in range(3)))).decode()

    def metadata(self, operation):
        keys = self.rng.sample(KEYS, self.rng.randrange(0, 4))
        may_be_null = operation != "add"
        return {key: None if may_be_null and self.rng.random() < 0.3 else self.grammar.value() for key in keys}

    def document(self):
        text = self.grammar.document()
        self.grammar.documents = [*self.grammar.documents[-50:], text]
        return text

    def deletion(self):
        body = {}
        if self.rng.random() < 0.6:
            body["ids"] = [self.rng.choice(self.ids) for _ in range(self.rng.randrange(1, 4))]
        if self.rng.random() < 0.5:
            body |= self.question()
            if body and "ids" not in body and self.rng.random() < 0.4:
                body["limit"] = self.rng.choice([0, 1, 1, 2, None])
        return body

    def question(self):
        """A filter that is not malformed, of keys that are there."""
        self.grammar.malformed = lambda: {"a": 1}
        question = {}
        if self.rng.random() < 0.6:
            key = self.rng.choice(KEYS)
            question["where"] = {key: self.rng.choice([self.grammar.comparison, self.grammar.listed])()}
        if self.rng.random() < 0.5:
            operator = self.rng.choice(["$contains", "$not_contains"])
            question["where_document"] = {operator: self.grammar.needle()}
        return question


@pytest.fixture
def tool():
    opened = Tool("effects_tool")
    yield opened
    opened.close()


def compare(server, tool, question):
    status, answer = server.ask("get", dump({**question, "include": INCLUDE}))
    assert status == 200, answer
    assert tool.ask(dump({"answer": answer, **question})) == ["same"], (question, answer)


def step(server, tool, sequence):
    operation, body = sequence.request()
    text = dump(body)
    status, answer = server.ask(operation, text)
    said = tool.ask(dump({operation: body}))[0]
    note = (operation, text, status, answer, said)
    if said.startswith("unknown"):
        # Here only what Chroma refuses is.
        assert status >= 400, note
    elif operation == "delete":
        assert (status, f"deleted {answer.get('deleted')}") == (200, said), note
    else:
        assert status in (200, 201) and said == "ok", note
    try:
        compare(server, tool, {})
        compare(server, tool, {"offset": sequence.rng.randrange(8), "limit": sequence.rng.randrange(6)})
        compare(server, tool, {**sequence.question(), "offset": sequence.rng.randrange(3), "limit": 3})
    except AssertionError as error:
        error.add_note(f"after {note}")
        raise
    return said.split()[0] if operation == "delete" else operation


@pytest.mark.timeout(24 * 3600)
def test_writes_leave_what_they_leave_in_chroma(tool):
    counts = collections.Counter()
    for seed in range(SEED, SEED + (STEPS + EACH - 1) // EACH):
        with open_server() as server:
            assert tool.ask('{"forget":true}') == ["ok"]
            take_steps(server, tool, seed, counts)
    print(dict(counts))
    assert counts["unknown"] < 0.1 * counts.total()


def take_steps(server, tool, seed, counts):
    sequence = Sequence(random.Random(seed))
    for _ in range(EACH):
        try:
            counts[step(server, tool, sequence)] += 1
        except AssertionError as error:
            error.add_note(f"EFFECT_SEED={seed}")
            raise
