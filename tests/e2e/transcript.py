"""transcript - are two conversations with Chroma the same?

Two fresh servers differ in what they make up and in what they leave to chance. Exactly that is
masked, and nothing else:
  - UUIDs made by the server: each is replaced by a number in order of first appearance;
  - the clock of heartbeat;
  - the order of keys inside `metadata`, `metadatas` and a schema's `keys` (random per response);
  - likewise the keys beside an `x-` extension in /openapi.json, and the parameters that a
    validation error quotes;
  - the date header.
Numbers are compared as written, strings by code point, other keys in their order.
"""

import dataclasses
import json
import re

_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_PARAMETERS = re.compile(r"(Validation error: \w+ \[)\{(.*?)\}\]")
_ADDRESS = re.compile(r"127\.0\.0\.1:\d+")
_CLOCK = re.compile(r'("nanosecond heartbeat":\s*)\d+')

# What belongs to one connection, and what a proxy must or may add (RFC 9110, section 7.6).
HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
ADDED_TO_REQUESTS = {"via", "x-forwarded-for", "x-forwarded-proto", "forwarded"}
ADDED_TO_RESPONSES = {
    "via", "server-timing", "cache-status", "x-chromabouncer-source", "x-chromabouncer-executed",
    "x-chromabouncer-mirror",
}  # fmt: skip


class Transcript:
    """One side's conversation; comparing two needs a Transcript each, fed in the same order. With
    `digits` only so many of a number with a point count: distances that another computed."""

    def __init__(self, digits=None):
        self.uuids = {}
        self.digits = digits

    def mask(self, text):
        text = _UUID.sub(lambda match: self._number(match.group()), text)
        text = _PARAMETERS.sub(lambda match: match[1] + _sorted_items(match[2]) + "]", text)
        return _CLOCK.sub(r"\1<clock>", text)

    def _number(self, uuid):
        return self.uuids.setdefault(uuid, f"<uuid {len(self.uuids)}>")

    def body(self, data):
        """Comparable form of a body: structure for JSON, else text."""
        text = self.mask(data.decode("utf-8", errors="backslashreplace"))
        try:
            return json.loads(
                text, object_pairs_hook=_pairs, parse_float=self._float, parse_int=_Number
            )
        except ValueError:
            return text

    def _float(self, text):
        return _Number(text if self.digits is None else f"{float(text):.{self.digits}g}")

    def response(self, message):
        """Comparable form of a response, without what the proxy may add."""
        dropped = HOP_BY_HOP | ADDED_TO_RESPONSES | {"date"}
        if self.digits is not None:
            dropped.add("content-length")
        return {
            "status": message.status,
            "fields": fields_without(message, dropped),
            "body": self.body(message.body),
        }

    def request(self, message):
        dropped = HOP_BY_HOP | ADDED_TO_REQUESTS | {"host", "expect", "content-length"}
        return {
            "method": message.start[0],
            "target": self.mask(message.start[1]),
            "fields": fields_without(message, dropped),
            "body": self.body(message.body),
        }

    def result(self, value):
        """Comparable form of what a client library returned, which may quote its address."""
        text = json.dumps(value, ensure_ascii=False, sort_keys=True, default=_plain)
        return self.body(_ADDRESS.sub("<address>", text).encode())


class _Number(str):
    """A number exactly as it was written; never equal to the string of the same digits."""

    def __eq__(self, other):
        return isinstance(other, _Number) and str.__eq__(self, other)

    __hash__ = str.__hash__


class _Object(list):
    """A JSON object as its (key, value) pairs."""


def _pairs(pairs):
    found = _Object()
    for key, value in pairs:
        if key in ("metadata", "keys"):
            value = _unordered(value)
        elif key == "metadatas" and isinstance(value, list):
            value = _unordered_lists(value)
        found.append((key, value))
    has_extension = any(key.startswith("x-") for key, _ in found)
    return _unordered(found) if has_extension else found


def _sorted_items(text):
    return ", ".join(sorted(text.split(", ")))


def _unordered(value):
    return _Object(sorted(value, key=lambda pair: pair[0])) if type(value) is _Object else value


def _unordered_lists(value):
    if type(value) is list:
        return [_unordered_lists(item) for item in value]
    return _unordered(value)


def _plain(value):
    if hasattr(value, "tolist"):  # numpy
        return value.tolist()
    if hasattr(value, "model_dump"):  # LangChain's documents
        return value.model_dump()
    if dataclasses.is_dataclass(value):
        return dataclasses.asdict(value)
    return str(value)


def fields_without(message, dropped):
    """Header fields in order, without `dropped` and what its Connection field names."""
    named = {
        name.strip().lower()
        for key, value in message.fields
        if key == "connection"
        for name in value.split(",")
    }
    return [(key, value) for key, value in message.fields if key not in dropped | named]


def assert_same(direct, proxied, what):
    """Two comparable forms are equal; else say where they first differ."""
    if direct != proxied:
        raise AssertionError(f"{what}: {_difference(direct, proxied)}")


def _difference(left, right, path=""):
    if type(left) is type(right):
        if isinstance(left, dict) and left.keys() == right.keys():
            for key in left:
                if left[key] != right[key]:
                    return _difference(left[key], right[key], f"{path}.{key}")
        if isinstance(left, (list, tuple)) and len(left) == len(right):
            for index, (one, other) in enumerate(zip(left, right)):
                if one != other:
                    return _difference(one, other, f"{path}[{index}]")
    return f"at {path or 'top'}: direct {_short(left)}, through the proxy {_short(right)}"


def _short(value):
    text = repr(value)
    return text if len(text) <= 600 else text[:600] + "..."
