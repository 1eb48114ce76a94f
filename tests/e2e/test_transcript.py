"""The comparison itself: it masks what Chroma leaves to chance, and notices everything else."""

import pytest

from transcript import Transcript, assert_same

RECORD = b'{"ids":["a"],"distances":[[0.25]],"metadatas":[{"x":1,"y":null}],"include":["uris"]}'


def same(left, right):
    assert_same(Transcript().body(left), Transcript().body(right), "test")


@pytest.mark.parametrize(
    "other",
    [
        RECORD.replace(b'{"x":1,"y":null}', b'{"y":null,"x":1}'),
        RECORD.replace(b",", b", "),
    ],
)
def test_metadata_order_and_white_space_do_not_matter(other):
    same(RECORD, other)


@pytest.mark.parametrize(
    "change",
    [
        (b'"a"', b'"b"'),
        (b"0.25", b"0.250"),
        (b'"x":1', b'"x":1.0'),
        (b'"x":1', b'"x":"1"'),
        (b'"x":1', b'"x":true'),
        (b"null", b'"null"'),
        (b'["a"]', b'["a","a"]'),
        (b'"ids":["a"],"distances":[[0.25]]', b'"distances":[[0.25]],"ids":["a"]'),
        (b"}]", b"},null]"),
        (RECORD, RECORD[:-1]),
    ],
)
def test_any_other_change_is_noticed(change):
    with pytest.raises(AssertionError):
        same(RECORD, RECORD.replace(*change))


def test_uuids_may_differ_but_not_in_the_way_they_are_used():
    first, second = (f"{digit * 8}-0000-4000-8000-000000000000" for digit in "12")
    same(f'["{first}","{second}","{first}"]'.encode(), f'["{second}","{first}","{second}"]'.encode())
    with pytest.raises(AssertionError):
        same(f'["{first}","{second}"]'.encode(), f'["{first}","{first}"]'.encode())
