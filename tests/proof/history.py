"""history - do the answers that clients got agree with what the backend applied?

    history.py HISTORY LOG [--role gateway]     files of JSON lines; LOG is the stub's
    history.py --self-test                      broken histories are found out

A history has one line per request, as `chromabouncer bench --history` writes it and, where a proof
has clients of its own, with more: the records themselves (in place of their sums), what a read
returned, and the body of an answer. Times are of one clock, in microseconds.

    {"op": "upsert", "collection": UUID, "start": N, "end": N, "status": N, "failure": "",
     "executed": "", "ids": [...], "sums": [...] | "records": [[vector, document, metadata], ...],
     "answer": TEXT, "request": X-REQUEST-ID, "found": {id: [vector, document, metadata]}}

Each id of a collection is a register with Chroma's rules: add of an id that exists is ignored,
upsert and update replace vector and document and merge metadata (null takes a key away), update of
an id that does not exist is ignored, delete. The log gives the order; the answers must fit it.
"""

import argparse
import bisect
import collections
import copy
import json
import math
import struct
import sys

WRITES = {"add": 201, "upsert": 200, "update": 200, "delete": 200}
KINDS = {
    "wrong answer": "an answer that this request cannot have",
    "no answer": "no answer to a client that waited for one",
    "unsaid": "an unknown outcome without X-Chromabouncer-Executed",
    "lost": "answered 2xx and not applied",
    "applied after no": "refused, or said not to be executed, and applied",
    "applied twice": "applied again where that is not allowed",
    "torn": "a request applied in parts",
    "never written": "applied, and written by nobody",
    "order": "one id: a write that began after another had ended was applied before it",
    "stale read": "a read that fits no state between its beginning and its end",
}
# A batch, the batch again, then each write alone: see the rules of unknown outcomes.
GATEWAY_APPLICATIONS_MAX = 3


class Write:
    """One request that writes."""

    def __init__(self, line):
        self.line = line
        self.op = line["op"]
        self.ids = line["ids"]
        self.start = line["start"]
        # Whoever left saw no end.
        self.end = line["end"] if line["status"] else math.inf
        self.status = line["status"]
        self.executed = line.get("executed", "")
        self.applied = []  # indexes of log entries
        self.keys = None if self.op == "delete" else list(zip(self.ids, sums_of(line)))

    @property
    def is_acknowledged(self):
        return 200 <= self.status < 300

    @property
    def is_refused(self):
        return self.executed == "no" or self.status in (400, 404, 413, 415, 422)


def sums_of(line):
    """What stub_log.h calls the sum of each record."""
    if "sums" in line:
        return line["sums"]
    return [record_sum(*record) for record in line["records"]]


def record_sum(vector, document, metadata):
    text = b""
    if vector is not None:
        text += b"v" + struct.pack(f"<{len(vector)}f", *vector)
    if document is not None:
        text += b"d" + document.encode()
    if metadata is not None:
        text += b"m" + json.dumps(metadata, separators=(",", ":"), sort_keys=True).encode()
    value = 0xCBF29CE484222325
    for byte in text:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


class History:
    """The lines of clients, the log of the backend, and what does not fit."""

    def __init__(self, lines, log, role="sidecar"):
        self.role = role
        self.log = log
        self.findings = collections.defaultdict(list)
        self.counts = collections.Counter()
        lines = name_collections(lines, log)
        self.writes = [Write(line) for line in lines if line["op"] in WRITES]
        self.reads = [line for line in lines if line["op"] == "get"]
        self.others = [line for line in lines if line["op"] not in WRITES and line["op"] != "get"]
        self.batches = [[] for _ in log]  # the writes of each entry
        self.states = {}  # (collection, id) -> ([entry], [state after it])
        self.bounds = {}  # (collection, id) -> its Writes

    def check(self):
        self._match()
        self._replay()
        for write in self.writes:
            self._judge(write)
            for identifier in set(write.ids):
                key = (write.line["collection"], identifier)
                self.bounds.setdefault(key, []).append(write)
        for key, writes in self.bounds.items():
            self._judge_order(key, writes)
        for line in self.reads:
            self._judge_read(line)
        for line in self.others:
            self._judge_answered(line)
        return self.findings

    def _match(self):
        """Find out whose writes each entry of the log holds."""
        by_first, by_request = {}, {}
        for write in self.writes:
            collection = write.line["collection"]
            if write.op == "delete":
                by_request[write.line.get("request")] = write
            elif write.keys:
                by_first.setdefault((collection, write.op, write.keys[0]), []).append(write)
        for index, entry in enumerate(self.log):
            collection, op = entry["collection"], entry["op"]
            if op == "delete":
                write = by_request.get(entry.get("request"))
                whole = write is not None and write.ids == entry["ids"]
                if whole and write.line["collection"] == collection:
                    self._note(write, index)
                elif "request" in entry:
                    self._find("never written", entry)
                continue
            keys = list(zip(entry["ids"], entry["sums"]))
            position = 0
            while position < len(keys):
                found = by_first.get((collection, op, keys[position]), [])
                fits = [w for w in found if w.keys == keys[position : position + len(w.keys)]]
                # Of several with the same contents the one that was not applied yet.
                write = min(fits, key=lambda w: (len(w.applied), w.start), default=None)
                if write is None:
                    self._find("torn" if found else "never written", entry)
                    break
                self._note(write, index)
                position += len(write.keys)

    def _note(self, write, index):
        write.applied.append(index)
        self.batches[index].append(write)

    def _replay(self):
        """The state of each register after each entry that touches it."""
        if any("records" not in w.line for w in self.writes if w.op != "delete"):
            return  # sums alone say nothing about states
        now = {}
        for index, writes in enumerate(self.batches):
            touched = {}
            for write in writes:
                records = write.line.get("records") or [None] * len(write.ids)
                for identifier, record in zip(write.ids, records):
                    key = (write.line["collection"], identifier)
                    touched[key] = now[key] = after(write.op, now.get(key), record)
            for key, state in touched.items():
                entries, states = self.states.setdefault(key, ([], []))
                entries.append(index)
                states.append(state)

    def _judge_answered(self, line):
        """Did it get an answer, and does an error of unknown outcome say so?"""
        if line["status"] == 0:
            if line["failure"] != "left":
                self._find("no answer", line)
            self.counts["left"] += 1
        elif line["status"] >= 500 or line["status"] == 429:
            self.counts["errors"] += 1
        return line["status"] != 0

    def _judge(self, write):
        line = write.line
        self.counts["writes"] += 1
        self.counts["applied"] += bool(write.applied)
        if len(write.applied) > 1:
            self.counts["repeated"] += 1
        if self._judge_answered(line):
            if write.is_acknowledged:
                self.counts["acknowledged"] += 1
                if write.status != WRITES[write.op] or not is_own_answer(write):
                    self._find("wrong answer", line)
                if not write.applied and write.ids:
                    self._find("lost", line)
            elif write.is_refused:
                self.counts["refused"] += 1
                if write.applied:
                    self._find("applied after no", line)
                if write.status == 400 and not line.get("poisoned"):
                    self._find("wrong answer", line)
            elif write.executed != "maybe":
                self._find("unsaid", line)
            if line.get("poisoned") and write.is_acknowledged:
                self._find("wrong answer", line)
        if len(write.applied) > 1 and not self._may_repeat(write):
            self._find("applied twice", line)

    def _may_repeat(self, write):
        if self.role != "gateway" or write.op == "delete":
            return False
        if len(write.applied) > GATEWAY_APPLICATIONS_MAX:
            return False
        # The lane was held meanwhile: nothing but those of the same batch came between.
        batch = self.batches[write.applied[0]]
        between = range(write.applied[0] + 1, write.applied[-1])
        collection = write.line["collection"]
        return all(
            other in batch
            for index in between
            if self.log[index]["collection"] == collection
            for other in self.batches[index]
        )

    def _judge_order(self, key, writes):
        ended = sorted(writes, key=lambda write: write.end)
        latest, position = -1, 0
        for write in sorted(writes, key=lambda write: write.start):
            while position < len(ended) and ended[position].end < write.start:
                if ended[position].applied:
                    latest = max(latest, ended[position].applied[-1])
                position += 1
            if write.applied and write.applied[0] <= latest:
                self._find("order", {"id": key, "entry": latest, "line": write.line})

    def _judge_read(self, line):
        self.counts["reads"] += 1
        if not self._judge_answered(line) or line["status"] != 200:
            return
        if "found" not in line or not set(line["found"]) <= set(line["ids"]):
            self._find("wrong answer", line)
            return
        for identifier in line["ids"]:
            key = (line["collection"], identifier)
            writes = self.bounds.get(key, [])
            low = max((w.applied[-1] for w in writes if w.end < line["start"]
                       and w.is_acknowledged and w.applied), default=-1)  # fmt: skip
            high = min((w.applied[0] for w in writes if w.start > line["end"] and w.applied),
                       default=len(self.log))  # fmt: skip
            entries, states = self.states.get(key, ([], []))
            first = bisect.bisect_right(entries, low)
            last = bisect.bisect_left(entries, high)
            possible = [states[first - 1] if first > 0 else None, *states[first:last]]
            found = line["found"].get(identifier)
            if found is not None:
                found = [found[0], found[1], found[2] or {}]
            if found not in possible:
                self._find("stale read", {"line": line, "id": identifier, "possible": possible})

    def check_final(self, collection, found):
        """`found`: all records of a collection in the end."""
        for (where, identifier), (_, states) in self.states.items():
            if where != collection:
                continue
            state = found.get(identifier)
            state = state and [state[0], state[1], state[2] or {}]
            if state != states[-1]:
                self._find("stale read", {"id": identifier, "is": state, "should": states[-1]})

    def _find(self, kind, what):
        self.findings[kind].append(what)

    def report(self, checks, what):
        """One check for each kind of finding."""
        figures = ", ".join(f"{count} {name}" for name, count in self.counts.items())
        print(f"{what}: {figures}, {len(self.log)} calls applied")
        for kind, meaning in KINDS.items():
            found = self.findings.get(kind, [])
            checks.check(f"{what}: 0 times {meaning}", not found, len(found) or "")
            for one in found[:3]:
                print("  ", json.dumps(one)[:600])


def after(op, state, record):
    """The register after one write: None or [vector, document, metadata]."""
    if op == "delete":
        return None
    if op == ("update" if state is None else "add"):
        return state
    vector, document, metadata = record
    old_vector, old_document, old_metadata = state or (None, None, {})
    merged = {**old_metadata, **(metadata or {})}
    return [
        old_vector if vector is None else vector,
        old_document if document is None else document,
        {key: value for key, value in merged.items() if value is not None},
    ]


def is_own_answer(write):
    answer = write.line.get("answer")
    if answer is None:
        return True
    return answer == ({"deleted": len(write.ids)} if write.op == "delete" else {})


def name_collections(lines, log):
    """bench counts its collections: find the UUID of each by a record that is in the log."""
    if not any(isinstance(line.get("collection"), int) for line in lines):
        return lines
    where = {}
    for entry in log:
        for key in zip(entry["ids"], entry.get("sums", ())):
            where[key] = entry["collection"]
    names = {}
    for line in lines:
        for key in zip(line["ids"], line.get("sums", ())):
            names.setdefault(line["collection"], where.get(key))
    return [{**line, "collection": names.get(line["collection"])} for line in lines]


def _sound():
    """A small history that is in order, and its log."""

    def write(op, start, identifier, record, **more):
        line = {"op": op, "collection": "c", "start": start, "end": start + 5, "executed": "",
                "status": WRITES[op], "failure": "", "ids": [identifier], "answer": {}}  # fmt: skip
        return {**line, **({"records": [record]} if record else {}), **more}

    def entry(op, *writes):
        ids = [identifier for line in writes for identifier in line["ids"]]
        if op == "delete":
            return {"op": op, "collection": "c", "ids": ids, "request": writes[0]["request"]}
        sums = [value for line in writes for value in sums_of(line)]
        return {"op": op, "collection": "c", "ids": ids, "sums": sums}

    a = write("upsert", 0, "a", [[1.0], "one", {"k": 1, "l": 2}])
    b = write("upsert", 1, "b", [[2.0], "two", None])
    c = write("add", 10, "a", [[3.0], "ignored", None])
    d = write("upsert", 20, "a", [[4.0], None, {"k": None}])
    e = write("delete", 30, "b", None, request="r1", answer={"deleted": 1})
    read = {"op": "get", "collection": "c", "start": 26, "end": 29, "status": 200, "failure": "",
            "ids": ["a", "b"], "found": {"a": [[4.0], "one", {"l": 2}], "b": [[2.0], "two", None]}}  # fmt: skip
    lines = [a, b, c, d, read, e]
    return lines, [entry("upsert", a, b), entry("add", c), entry("upsert", d), entry("delete", e)]


def _break(kind):
    """The sound history with one thing wrong, and the role it is judged by."""
    lines, log = copy.deepcopy(_sound())
    if kind == "wrong answer":
        lines[2]["status"] = 200
    elif kind == "no answer":
        lines[3].update(status=0, failure="closed")
    elif kind == "unsaid":
        lines[3]["status"] = 500
    elif kind == "lost":
        del log[1]
    elif kind == "applied after no":
        lines[2].update(status=504, executed="no")
    elif kind == "applied twice":
        log.insert(3, log[0])  # after another write to the same id
    elif kind == "torn":
        lines[0]["ids"].append("z")
        lines[0]["records"].append([[9.0], "z", None])
    elif kind == "never written":
        log[1]["sums"] = ["0" * 16]
    elif kind == "order":
        log[0], log[1] = log[1], log[0]
    elif kind == "stale read":
        lines[4]["found"]["a"] = [[1.0], "one", {"k": 1, "l": 2}]
    return lines, log, "gateway"


def self_test(checks):
    lines, log = _sound()
    checks.check("a sound history passes", not History(lines, log).check())
    resent = [log[0], log[0], *log[1:]]
    checks.check("a gateway may repeat a batch", not History(lines, resent, "gateway").check())
    twice = History(lines, resent, "sidecar").check()
    checks.check("a sidecar may not", "applied twice" in twice)
    for kind, meaning in KINDS.items():
        findings = History(*_break(kind)).check()
        checks.check(f"found out: {meaning}", kind in findings, ", ".join(findings))


def main():
    from proof_bed import Checks

    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("files", nargs="*", metavar="HISTORY LOG")
    parser.add_argument("--role", default="sidecar", choices=["sidecar", "gateway"])
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    checks = Checks()
    if arguments.self_test:
        self_test(checks)
    elif len(arguments.files) == 2:
        lines, log = ([json.loads(line) for line in open(name)] for name in arguments.files)
        history = History(lines, log, arguments.role)
        history.check()
        history.report(checks, arguments.files[0])
    else:
        parser.error("a history and a log, or --self-test")
    checks.finish()


if __name__ == "__main__":
    sys.exit(main())
