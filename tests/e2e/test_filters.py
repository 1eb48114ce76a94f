"""Does src/mirror understand filters as a real Chroma does?

Records and filters of a seeded grammar are given to both: the same records must match, and what
Chroma refuses must be refused in its words, or left to it.

FILTER_QUESTIONS=N asks as many (the default takes some ten seconds), FILTER_SEED=S begins with
another seed. A failure prints its own.
"""

import collections
import os
import random
import struct

import pytest

from bed import DATABASE, Chroma
from filter_grammar import Grammar, Raw, dump
from mirror_bed import Tool, open_server

QUESTIONS = int(os.environ.get("FILTER_QUESTIONS", "1000"))
SEED = int(os.environ.get("FILTER_SEED", "1"))
RECORDS = 120  # of each seed, in a server of their own
EACH = 1000  # questions to it


@pytest.fixture
def server():
    with open_server() as opened:
        yield opened


@pytest.fixture
def tool():
    opened = Tool("filter_tool")
    yield opened
    opened.close()


def add(server, records):
    metadatas, documents = zip(*records)
    count = len(records)
    body = {"ids": [str(number) for number in range(count)], "embeddings": [[0.5]] * count}
    status, answer = server.ask("add", dump({**body, "metadatas": metadatas, "documents": documents}))
    assert status == 201, answer


def fill(server, tool, grammar):
    records = [grammar.record() for _ in range(RECORDS)]
    add(server, records)
    tool.tell('{"forget":true}')
    for metadata, document in records:
        tool.tell(dump({"metadata": metadata, "document": document}))


def compare(server, tool, question):
    """What kind of answer both gave; fails if they differ."""
    text = dump(question)
    kind, _, rest = tool.ask(text)[0].partition(" ")
    status, answer = server.ask("get", text[:-1] + ',"include":[]}')
    if kind == "match":
        assert status == 200, (text, answer)
        assert sorted(answer["ids"]) == sorted(rest.split()), text
        return "some" if rest else "none"
    if kind == "invalid":
        assert (status, answer["error"], answer["message"]) == (400, "InvalidArgumentError", rest), (text, answer)
    return kind


@pytest.mark.timeout(24 * 3600)
def test_filters_match_what_chroma_matches(tool):
    counts = collections.Counter()
    for seed in range(SEED, SEED + (QUESTIONS + EACH - 1) // EACH):
        with open_server() as server:
            ask_all(server, tool, seed, counts)
    print(dict(counts))
    # The grammar reaches all kinds, and what is left to Chroma is rare.
    assert counts["some"] > 0.3 * counts.total() and counts["invalid"] > 0 and counts["none"] > 0
    assert counts["ask"] < 0.02 * counts.total()


def ask_all(server, tool, seed, counts):
    grammar = Grammar(random.Random(seed))
    fill(server, tool, grammar)
    for _ in range(EACH):
        question = grammar.question()
        try:
            counts[compare(server, tool, question)] += 1
        except AssertionError as error:
            error.add_note(f"FILTER_SEED={seed}")
            raise


def test_numbers_have_the_value_that_chroma_reads(server, tool):
    """To the bit: also where its arithmetic misses the nearest float."""
    grammar = Grammar(random.Random(SEED))
    spellings = [grammar.odd_float() for _ in range(2000)] + [grammar.float() for _ in range(300)]
    add(server, [({str(number): text for number, text in enumerate(spellings)}, None)])
    status, answer = server.ask("get", '{"include":["metadatas"]}')
    assert status == 200, answer
    kept, missed = answer["metadatas"][0], 0
    for number, said in enumerate(tool.ask(dump({"numbers": spellings}), len(spellings))):
        kind, _, value = said.partition(" ")
        found = kept[str(number)]
        assert kind == "double" and isinstance(found, float), (spellings[number], said, found)
        # Stored in SQLite, -0 is 0.
        assert bits(float(value) + 0.0) == bits(found), (spellings[number], said, found)
        missed += float(value) != float(spellings[number])
    assert missed > 0


def bits(value):
    return struct.pack("<d", value)


# What doc/mirror-filters.md says: metadata, document, question, whether the record matches.
ODDITIES = [
    ({}, None, {"where": {"k": {"$ne": 1}}}, True),
    ({"k": "1"}, None, {"where": {"k": {"$ne": 1}}}, True),
    ({"k": [1]}, None, {"where": {"k": {"$nin": [1, 2]}}}, True),
    ({"k": 1}, None, {"where": {"k": {"$not_contains": 1}}}, True),
    ({}, None, {"where": {"k": {"$not_contains": 1}}}, True),
    ({"k": 1}, None, {"where": {"k": 1.5}}, True),
    ({"k": 1}, None, {"where": {"k": {"$gte": 1.5}}}, True),
    ({"k": 1}, None, {"where": {"k": {"$lt": 1.5}}}, False),
    ({"k": 1}, None, {"where": {"k": {"$in": [1.5]}}}, True),
    ({"k": 1}, None, {"where": {"k": {"$ne": 1.5}}}, False),
    ({"k": 2**63 - 1}, None, {"where": {"k": 1e300}}, True),
    ({"k": 2.0**53}, None, {"where": {"k": 2**53 + 1}}, True),
    ({"k": 1.0}, None, {"where": {"k": 1}}, True),
    ({"k": Raw("12.0889957903289218")}, None, {"where": {"k": Raw("12.0889957903289218")}}, False),
    ({"k": Raw("12.0889957903289218")}, None, {"where": {"k": {"$in": [12.08899579032892]}}}, True),
    ({"k": True}, None, {"where": {"k": 1}}, False),
    ({"k": 1}, None, {"where": {"k": True}}, False),
    ({"k": [1]}, None, {"where": {"k": 1}}, False),
    ({"k": 1}, None, {"where": {"k": {"$contains": 1}}}, False),
    ({"k": [1]}, None, {"where": {"k": {"$contains": 1.0}}}, False),
    ({"k": [1.0]}, None, {"where": {"k": {"$contains": 1}}}, False),
    ({"k": "a\x00b"}, None, {"where": {"k": "a\x00c"}}, False),
    ({"k": "a"}, None, {"where": {"k": "A"}}, False),
    ({"k": "é"}, None, {"where": {"k": "e\u0301"}}, False),
    ({}, None, {"where": {"$and": []}}, True),
    ({}, None, {"where": {"$or": []}}, False),
    ({}, "abc", {"where": {"#document": {"$contains": "b"}}}, True),
    ({}, "hello", {"where_document": {"$contains": "o"}}, True),
    ({}, "hello", {"where_document": {"$contains": "He"}}, False),
    ({}, "É", {"where_document": {"$contains": "é"}}, False),
    ({}, "中文测试", {"where_document": {"$contains": "文"}}, True),
    ({}, "a👨‍👩‍👧b", {"where_document": {"$contains": "👩"}}, True),
    ({}, "100%", {"where_document": {"$contains": "0%"}}, True),
    ({}, "100", {"where_document": {"$contains": "1%0"}}, False),
    ({}, "a\\b", {"where_document": {"$contains": "\\"}}, True),
    ({}, "", {"where_document": {"$contains": ""}}, True),
    ({}, None, {"where_document": {"$contains": ""}}, False),
    ({}, None, {"where_document": {"$not_contains": ""}}, True),
    ({}, "a\x00b", {"where_document": {"$contains": "b"}}, False),
    ({}, "ab", {"where_document": {"$contains": "b\x00c"}}, True),
    ({}, "abc", {"where_document": {"$contains": "b\x00c"}}, False),
    ({}, "ab", {"where_document": {"$contains": "\x00"}}, True),
]


def test_oddities_are_as_the_document_says(server, tool):
    add(server, [(metadata or None, document) for metadata, document, _, _ in ODDITIES])
    for metadata, document, _, _ in ODDITIES:
        tool.tell(dump({"metadata": metadata, "document": document}))
    for number, (_, _, question, is_match) in enumerate(ODDITIES):
        status, answer = server.ask("get", dump(question))
        assert status == 200, (question, answer)
        assert (str(number) in answer["ids"]) == is_match, ODDITIES[number]
        assert compare(server, tool, question) in ("some", "none")


def test_characters_that_are_one_to_sqlite_are_left_to_chroma(server, tool):
    add(server, [(None, "a\ufffe"), (None, "\uffff"), (None, "\ufffd"), (None, "b")])
    for character in "\ufffd\ufffe\uffff":
        question = dump({"where_document": {"$contains": character}})
        assert server.ask("get", question)[1]["ids"] == ["0", "1", "2"]
        assert tool.ask(question)[0].startswith("ask ")


def test_lists_of_a_deleted_collection_come_back():
    """A fault of Chroma's that doc/mirror-filters.md tells of: when it is gone, so should that be."""
    with Chroma() as chroma:
        for name in ("first", "second"):
            collection = chroma.ask("POST", f"{DATABASE}/collections", {"name": name})["id"]
            path = f"{DATABASE}/collections/{collection}"
            metadata = {"of": name, **({"list": ["x"]} if name == "first" else {})}
            chroma.ask("POST", f"{path}/add", {"ids": ["a"], "embeddings": [[1]], "metadatas": [metadata]})
            found = chroma.ask("POST", f"{path}/get", {"where": {"list": {"$contains": "x"}}})
            assert found["metadatas"] == [{"of": name, "list": ["x"]}]
            chroma.ask("DELETE", f"{DATABASE}/collections/{name}")


# As in src/mirror/filter_program.h. What is within them Chroma takes, so that no answer is given where it
# would refuse.
def largest_filters():
    deep = {"a": 1}
    for _ in range(16):
        deep = {"$and": [deep]}
    yield {"where": deep}
    yield {"where_document": {"$or": [{"$contains": "x"}] * 255}}
    yield {"where": {"$and": [{"a": {"$ne": number}} for number in range(255)]}}
    yield {"where": {"a": {"$in": list(range(4096))}}}
    yield {"where": {"a": {"$nin": [number + 0.5 for number in range(4096)]}}}
    yield {"where": {"$or": [{"a": {"$in": [f"{number}"] * 16}} for number in range(255)]}}
    yield {"where_document": {"$contains": "%" * 8192}}
    yield {"where_document": {"$contains": "😀" * 2048}}
    yield {"where": {"a": "x" * 65000}}


def test_chroma_takes_what_is_within_the_bounds(server, tool):
    records = [({"a": 1}, "x"), ({"a": 4095.5}, "%" * 9000), (None, None)]
    add(server, records)
    for metadata, document in records:
        tool.tell(dump({"metadata": metadata, "document": document}))
    for question in largest_filters():
        assert compare(server, tool, question) in ("some", "none")
