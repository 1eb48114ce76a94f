#!/usr/bin/env python3
"""json_strictness.py - does a real Chroma server judge bodies as our scanner does?

Asks the server for its version, posts each body of a corpus, valid and invalid in every way known,
to a fresh collection and compares:
  1. what would be merged for a server of its family ("eligible") must be answered 2xx;
  2. what the scanner calls JSON must not be refused as malformed, what it calls malformed must be
     refused (not always as malformed: the server stops reading at the first value of a wrong
     type). Older servers read more than JSON, those of 1.0 what stands behind the body; this does
     no harm, for it goes alone, and is only counted with --older and for servers in Python;
  3. eligible bodies of one kind, each with ids of its own, spliced into one, must be answered 2xx
     and leave the same records as the bodies one after another, be the records new or known;
  4. every route of the server's own description is recognised, and a collection's UUID is taken in
     the spellings that the server takes (a server in Python may take more).

Usage: json_strictness.py [--tool PATH] [--chroma PATH] [--url URL] [--api v1|v2] [--older]
                          [--every N] [--verbose]
With --every N only each Nth body, for a quick look.
Starts its own server (`chroma run`) in a temporary directory unless a URL is given. Exit status 0
when all agree, 77 when there is no server to ask.
"""
import argparse
import base64
import itertools
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COLLECTIONS = {"v1": "/api/v1/collections",
               "v2": "/api/v2/tenants/default_tenant/databases/default_database/collections"}
MALFORMED = "Failed to parse the request body as JSON"


def b64(*floats):
    return base64.b64encode(struct.pack(f"<{len(floats)}f", *floats)).decode()


def one(ids='["a"]', embeddings="[[1,2,3]]", **columns):
    """A body of raw JSON texts."""
    fields = [("ids", ids), ("embeddings", embeddings), *columns.items()]
    return "{" + ",".join(f'"{k}":{v}' for k, v in fields if v is not None) + "}"


def numbers():
    good = ["0", "-0", "-0.0", "1", "-1", "1.5", "0.1", "1e5", "1E5", "1e+5", "1e-5", "1E-05", "0e0",
            "-1.25e-3", "3.4e38", "-3.4e38", "1e38", "1e-45", "1e-400", "0e999", "0.0e999",
            "18446744073709551615", "18446744073709551616", "9223372036854775808",
            "-9223372036854775809", "1" * 38, "1" * 30 + ".5e3", "0." + "1" * 200,
            "0." + "0" * 400 + "1e380", "1e00000000000000000001", "123456789012345678901234567890e-9"]
    large = ["1e39", "-1e39", "3.5e38", "1" * 39, "1" * 60, "1e100", "1e308", "1.7976931348623157e308",
             "17976931348623157e292", "1" * 300, "1" * 308 + ".5", "1e" + "0" * 30 + "50",
             "340282350000000000000000000000000000000", "3.4028235e38", "3.4028236e38"]
    range_ = ["1e309", "1e999", "-1e999", "1e400", "1.7976931348623159e308", "1.8e308",
              "179769313486231590e291", "17976931348623159e292", "1" * 310, "1" * 309 + ".0", "1e99999999999999999999",
              "123456789012345678901234567890e290", "0.1e310", "10e308", "0.00001e313", "9" * 309,
              "1797693134862315807e290", "18446744073709551615e288", "18446744073709551615e289",
              "18446744073709551615e290"]
    bad = ["", "-", "+1", "01", "-01", "00", "1.", ".5", "-.5", "1.e5", "1e", "1e+", "1e-", "1e5.5", "1ee5",
           "NaN", "-NaN", "Infinity", "-Infinity", "inf", "nan", "0x10", "1_000", "1f", "1d", "--1",
           "1-2", "1.2.3", "1e5e5", "0.-1", "1,5.", "\u0661", "1 2", "1+", "+", "1.0.", "00.5",
           "- 1", "1 .5", "1e 5", "tru", "nul", "True", "None", "null null", "undefined"]
    return good, large, range_, bad


def strings():
    good = ['"x"', '""', r'"\""', r'"\\"', r'"\/"', r'"\b\f\n\r\t"', r'"\u0041"', r'"\u00e9"', r'"\uABcd"',
            r'"\ud83d\ude00"', r'"\uD83D\uDE00"', r'"\u0000"', '"\u00e9"', '"\u4e2d\u6587"', '"\U0001f600"',
            '"\u007f"', '"\ufeff"', '"\uffff"', '"\ud7ff"', '"\ue000"', '"\U0010ffff"', r'"\u007f"',
            r'"\uffff"', '"' + "x" * 200 + '"', '"' + "\u00e9" * 100 + '"', '"' + "x" * 63 + r'\n"']
    bad = ['"', '"x', r'"\"', r'"\x41"', r'"\u12"', r'"\u12g4"', r'"\uD83D"', r'"\uDE00"', r'"\uD83Dx"',
           r'"\uD83D\n"', r'"\uD83D\uD83D"', r'"\uD83D\u0041"', r'"\uDE00\uD83D"', "'x'", "x", r'"\U0041"',
           r'"\a"', r'"\0"', r'"\ "', '"\t"', '"\n"', '"\0"', '"\x1f"', '"a" "b"', '"a""b"',
           '"' + "x" * 64 + '\n"', r'"\u00', '"\\']
    raw = [b'"\xff"', b'"\xc0\xaf"', b'"\xc1\xbf"', b'"\xe0\x80\x80"', b'"\xe0\x9f\xbf"', b'"\xed\xa0\x80"',
           b'"\xed\xbf\xbf"', b'"\xf0\x80\x80\x80"', b'"\xf0\x8f\xbf\xbf"', b'"\xf4\x90\x80\x80"',
           b'"\xf5\x80\x80\x80"', b'"\x80"', b'"\xbf"', b'"\xc3"', b'"\xc3x"', b'"\xe2\x82"', b'"\xe2\x82x"',
           b'"\xf0\x9f\x98"', b'"\xf0\x9f\x98x"', b'"\xfe"', b'"\xe9"']
    return good, bad, raw


def base64_texts():
    v = b64(1, 2, 3)
    good = [v, b64(1), b64(1, 2), b64(1, 2, 3, 4), b64(*range(64)), b64(*range(65)), b64(*range(66)),
            b64(3.4e38, -0.0, 1e-45)]
    bad = ["", "====", v[:-1], v + "=", v + "A", v + "====", b64(1)[:-1], b64(1)[:-2], b64(1).rstrip("="),
           b64(1) + b64(1), b64(1, 2)[:-1], b64(1, 2).replace("=", "A"), "AACAPx==", "AACAPw=A", "AACAP===",
           "AACAPw== ", " AACAPw==", "AACA\\nPw==", "AACAPw", "AACAPw=", "AAAA", "AAAAAA==A", "AAAAAAA=",
           "_-AAAAAA", "AAC-Pw==", "AA+A/w==", "A", "AA", "AAA", b64(float("inf")), b64(-float("inf")),
           b64(float("nan")), b64(*range(40), float("inf")), b64(1, float("nan"), 3) + "", "\u00e9AAAAAAA",
           "AACAPz==", "AACAPw\\u003d\\u003d", "\\u0041ACAPw==", b64(*range(64)).replace("A", "!", 1),
           b64(*range(64)).replace("A", "\u00e9", 1)]
    return good, bad


def columns():
    meta_good = ['{}', '{"k":1}', '{"k":"v","b":true,"f":1.5,"i":-3}', '{"k":1,"k":2}', r'{"\u006b":1}',
                 '{"k":"\\u0000"}', '{"k":18446744073709551615}', '{"k":1e308}', '{"k":-0.0}', '{"k":""}', '{" ":1}',
                 '{"k#":1}', '{"a$":1}', '{"k":9223372036854775808}', '{"k":1e-400}', '{"\u00e9":"\u00e9"}',
                 '{"' + "k" * 300 + '":1}', '{"k":[1,2]}', '{"k":["a","b"]}', '{"k":[true]}', '{"k":[1.5,2.5]}',
                 '{"k":[""]}', '{"a":1,"a":"x"}', '{"a\\u0000b":1}', '{"k":' + "1" * 100 + "}"]
    meta_odd = ['{"k":null}', '{"":1}', '{"#k":1}', '{"$k":1}', r'{"\u0023k":1}', r'{"\u0024k":1}', '{"k":{}}',
                '{"k":{"a":1}}', '{"k":[]}', '{"k":[1,"a"]}', '{"k":[1,2.5]}', '{"k":[null]}', '{"k":[[1]]}',
                '{"k":[1,null]}', '{"k":{"#type":"sparse_vector","indices":[1],"values":[1.0]}}', '[]', '"x"', '1',
                'true', '{"chroma:document":"x"}', '{"chroma:x":1}', r'{"chroma\u003adocument":"x"}',
                '{"k":[99999999999999999999]}', '{"k":[1,99999999999999999999]}', '{"k":[{}]}', '{"k":[true,1]}',
                '{"k":1e999}', '{"k":[1e999]}', '{1:2}', '{k:1}', '{"k"}', '{"k":}', '{"k":1,}', '{,}', '{"k" 1}',
                '{"k":1 "l":2}', '{"a":1,"a":null}', '{"a":null,"a":1}']
    text_good = ["null", '""', '"x"', '"\\u0000"', '"a\\u0000b"', '"' + "word " * 2000 + '"']
    text_odd = ["1", "true", "[]", "{}", '["x"]']
    return meta_good, meta_odd, text_good, text_odd


def structures():
    yield from [
        "", " ", "null", "[]", "{}", "1", '"x"', "{", "}", "{]", "[}", "{,}", '{"ids"}', '{"ids":}', '{"ids":["a"]',
        "\ufeff" + one(), one() + "\ufeff", one() + " ", "\n\t\r " + one() + "\n\t\r ", one() + "x", one() + "{}",
        one() + ",", one() + "\0", "\x0b" + one(), "\u00a0" + one(), "/**/" + one(), one() + "//", one()[:-1],
        one() + one(), one()[:-1] + ",}", "{" + one()[1:].replace("ids", "\\u0069ds"),
        one(ids='["a",]'), one(ids='[,"a"]'), one(ids='["a" "b"]'), one(ids="[]"), one(ids="[]", embeddings="[]"),
        one(ids='[""]'), one(ids="[1]"), one(ids="[null]"), one(ids="null"), one(ids='"a"'), one(ids=None),
        one(ids='["a","b"]'), one(ids='["a","b"]', embeddings="[[1],[2]]"), one(ids='["a","a"]', embeddings="[[1],[2]]"),
        one(ids='["a","b"]', embeddings="[[1],[2,3]]"), one(ids='["a","b"]', embeddings="[[1],null]"),
        one(ids='["a","b"]', embeddings=f'[[1],"{b64(1)}"]'), one(ids='["a","b"]', embeddings=f'["{b64(1)}",null]'),
        one(ids='["a","b"]', embeddings="[null,null]"), one(ids='["a","b"]', embeddings=f'[null,"{b64(1)}"]'),
        one(ids='["a","b"]', embeddings="[null,[1]]"), one(ids=r'["\u0061"]'), one(ids=r'["\u0000"]'),
        one(ids='["' + "i" * 5000 + '"]'), one(ids='["\u4e2d"]'), one(ids='[" "]'),
        one(embeddings=None), one(embeddings="null"), one(embeddings="[]"), one(embeddings="[[]]"), one(embeddings="[null]"),
        one(embeddings="{}"), one(embeddings="[{}]"), one(embeddings="[true]"), one(embeddings="[[true]]"),
        one(embeddings='[["1"]]'), one(embeddings="[[null]]"), one(embeddings="[[[1]]]"), one(embeddings="[1]"),
        one(embeddings="1"), one(embeddings='"x"'), one(embeddings="[[1,2,3],[1,2,3]]"), one(embeddings="[[1,2,]]"),
        one(embeddings="[[,1]]"), one(embeddings="[[1 2]]"), one(embeddings="[[1,2}]"), one(embeddings="[ [ 1 , 2 ] ]"),
        one(documents="null"), one(documents='["x"]'), one(documents="[null]"), one(documents="[]"), one(documents='["x","y"]'),
        one(documents='"x"'), one(documents="{}"), one(uris="null"), one(uris='["u"]'), one(uris="[null]"), one(uris="[]"),
        one(metadatas="null"), one(metadatas="[null]"), one(metadatas="[]"), one(metadatas="[{},{}]"), one(metadatas="{}"),
        one(documents='["x"]', uris='["u"]', metadatas='[{"k":1}]'),
        one(extra="1"), one(extra="null"), one(extra='{"a":[1,{"b":null}]}'), one(Ids='["b"]'), one(where="null"),
        one()[:-1] + ',"ids":["b"]}', one()[:-1] + ',"embeddings":[[4,5,6]]}', one(documents="null")[:-1] + ',"documents":["x"]}',
        one()[:-1] + r',"\u0069ds":["b"]}', one(extra="1")[:-1] + ',"extra":2}', one(extra="1")[:-1] + ',"extra":}',
    ]
    for depth in (1, 120, 123, 124, 125, 126, 127, 128, 129, 200):
        yield one(metadatas='[{"k":' + "[" * depth + "]" * depth + "}]")
        yield one(metadatas="[" * depth + "]" * depth)
        yield one(embeddings="[" * depth + "1" + "]" * depth)
        yield "[" * depth + "]" * depth


def corpus():
    for op in ("add", "upsert", "update"):
        for body in structures():
            yield op, body.encode()
    good, large, range_, bad = numbers()
    for text in good + large + range_ + bad:
        yield "upsert", one(embeddings=f"[[{text}]]").encode()
        yield "upsert", one(embeddings=f"[[{text},1]]").encode()
        yield "upsert", one(embeddings=f"[[1,{text}]]").encode()
        yield "upsert", one(embeddings="[[" + "0.25," * 40 + text + ",0.5" * 40 + "]]").encode()
        yield "upsert", one(metadatas='[{"k":' + text + "}]").encode()
        yield "upsert", one(extra=text).encode()
    good, bad, raw = strings()
    for text in [t.encode("utf-8", "surrogatepass") for t in good + bad] + raw:
        yield "upsert", one(documents="[@]").encode().replace(b"@", text)
        yield "upsert", one(ids="[@]").encode().replace(b"@", text)
        yield "upsert", one(metadatas='[{"k":@}]').encode().replace(b"@", text)
        yield "upsert", one(metadatas="[{@:1}]").encode().replace(b"@", text)
    good, bad = base64_texts()
    for text in good + bad:
        yield "upsert", one(embeddings=f'["{text}"]').encode()
    for v in good[:2]:
        yield "update", one(ids='["a","b"]', embeddings=f'["{v}",null]').encode()
    meta_good, meta_odd, text_good, text_odd = columns()
    for op, text in itertools.product(("add", "upsert", "update"), meta_good + meta_odd):
        yield op, one(metadatas=f"[{text}]").encode()
    for text in text_good + text_odd:
        yield "add", one(documents=f"[{text}]").encode()
        yield "add", one(uris=f"[{text}]").encode()


# serde skips what it ignores without looking at the range of numbers, at UTF-8 or at the depth, so
# there a body may pass that the scanner calls malformed. Bodies with such fields are never eligible.
def is_in_ignored_field(body):
    return b'"extra"' in body


class Server:
    def __init__(self, url, api):
        self.url, self.api, self.family = url, api, "unknown"
        self.collections = COLLECTIONS[api]
        self.reads_more = False

    def learn_family(self, tool):
        """"rust", as the tool names what answers so for its version."""
        status, version = self.call("GET", f"/api/{self.api}/version")
        assert status == 200, version
        self.family = subprocess.run([tool, "family", version], check=True, capture_output=True, text=True).stdout.strip()
        print(f"version {version}, family {self.family}, API {self.api}")

    def call(self, method, path, body=None):
        request = urllib.request.Request(self.url + path, data=body, method=method,
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode("utf-8", "replace")

    def collection(self, name):
        status, text = self.call("POST", self.collections, json.dumps({"name": name}).encode())
        assert status == 200, text
        return json.loads(text)["id"]

    def post(self, collection, op, body):
        return self.call("POST", f"{self.collections}/{collection}/{op}", body)

    def content(self, collection):
        include = ["embeddings", "documents", "uris", "metadatas"]
        status, text = self.post(collection, "get", json.dumps({"include": include}).encode())
        return status, json.loads(text)


def start_chroma(program, directory, api):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([program, "run", "--path", directory, "--host", "127.0.0.1", "--port", str(port)],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env=dict(os.environ, ANONYMIZED_TELEMETRY="False"))
    server = Server(f"http://127.0.0.1:{port}", api)
    for _ in range(300):
        try:
            if server.call("GET", f"/api/{api}/heartbeat")[0] == 200:
                return process, server
        except OSError:
            pass
        time.sleep(0.1)
    process.kill()
    sys.exit("chroma does not start")


def ask_tool(tool, server, op, path):
    argv = [tool, server.family, op, f"{server.collections}/x/{op}", path]
    text = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.splitlines()
    return text[0], text[1] == "json: valid"


def check_one(server, number, op, verdict, is_json, body):
    collection = server.collection(f"case-{number}")
    if op == "update":
        server.post(collection, "add", json.dumps({"ids": ["a", "b"], "embeddings": None}).encode())
    status, text = server.post(collection, op, body)
    is_malformed = status == 400 and MALFORMED in text
    problems = []
    if verdict.startswith("eligible") and not 200 <= status < 300:
        problems.append("eligible, but not 2xx")
    if is_json and is_malformed:
        problems.append("JSON, but the server says malformed")
    if not is_json and 200 <= status < 300 and not is_in_ignored_field(body) and not server.reads_more:
        problems.append("malformed, but 2xx")
    return status, text, problems


def with_own_ids(path, number):
    """The body of a file with ids that no other has, and these; as it is, and none, if it has others."""
    with open(path, "rb") as file:
        body = file.read()
    for ids in (["a"], ["a", "b"]):
        plain = json.dumps(ids, separators=(",", ":")).encode()
        if body.count(b'"ids":' + plain) == 1:
            own = [f"{i}{number}" for i in ids]
            return body.replace(b'"ids":' + plain, b'"ids":' + json.dumps(own).encode()), own
    return body, None


def check_splice(server, tool, directory, op, kind, paths, is_known):
    """The members one after another into one collection, their splice into another; what they write to is
    there before, with values in all columns, or is not."""
    name = f"{op}-{kind.split('/')[0]}-{int(is_known)}"
    alone, merged = server.collection(f"alone-{name}"), server.collection(f"merged-{name}")
    bodies, files, ids = [], [], []
    for number, path in enumerate(paths):
        body, own = with_own_ids(path, number)
        if own is None and number > 0:
            continue
        bodies.append(body)
        ids += own or []
        files.append(os.path.join(directory, f"member-{number}"))
        with open(files[-1], "wb") as file:
            file.write(body)
    dimension = int(dict(word.split("=") for word in kind.split("/") if "=" in word)["dimension"]) or 3
    old = {"ids": ids, "embeddings": [[9.0] * dimension] * len(ids), "documents": ["old"] * len(ids),
           "uris": ["old"] * len(ids), "metadatas": [{"k": "old", "o": 1}] * len(ids)}
    for collection in (alone, merged) if is_known and ids else ():
        status, text = server.post(collection, "add", json.dumps(old).encode())
        assert status == 201, text
    for body in bodies:
        status, text = server.post(alone, op, body)
        if not 200 <= status < 300:
            return f"member {body[:200]!r}: {status} {text}"
    body = subprocess.run([tool, "splice", server.family, op, *files], check=True, capture_output=True).stdout
    status, text = server.post(merged, op, body)
    if not 200 <= status < 300:
        return f"spliced: {status} {text}"
    one, other = server.content(alone), server.content(merged)
    if one != other:
        return f"the records differ: {json.dumps(one)[:2000]} and {json.dumps(other)[:2000]}"
    return None


def ask_route(tool, method, path):
    return subprocess.run([tool, "route", method, path], check=True, capture_output=True, text=True).stdout.split()


def check_routes(server, tool):
    failed = 0
    for path, methods in json.loads(server.call("GET", "/openapi.json")[1])["paths"].items():
        for method in methods:
            if ask_route(tool, method.upper(), path)[0].startswith("UNKNOWN"):
                failed += 1
                print(f"DISAGREEMENT: {method} {path} is not recognised")
    uuid = server.collection("spellings")
    plain = uuid.replace("-", "")
    spellings = [uuid, uuid.upper(), plain, plain.upper(), "{" + uuid + "}", "%7B" + uuid + "%7d", "urn:uuid:" + uuid,
                 "URN:UUID:" + uuid, "urn:uuid:" + plain, "{" + plain + "}", f"%{ord(uuid[0]):02x}" + uuid[1:],
                 uuid[:8] + uuid[9:], uuid + "0", uuid[:-1], "urn%3Auuid%3A" + uuid, uuid.replace("-", "%2d"),
                 uuid + "%20", "%20" + uuid, uuid.replace("-", "_"), "(" + uuid + ")", uuid[:-1] + "g", uuid[:-1] + "%"]
    for spelling in spellings:
        status, _ = server.post(spelling, "upsert", one().encode())
        words = ask_route(tool, "POST", f"{server.collections}/{spelling}/upsert")
        is_taken = words == ["UPSERT", plain]
        if (status == 200) != is_taken and (is_taken or server.family == "rust"):
            failed += 1
            print(f"DISAGREEMENT: {spelling}: server {status}, route {words}")
    return failed


def run(server, tool, directory, every, verbose):
    seen, kinds, failed, counts = set(), {}, 0, {}
    for number, (op, body) in enumerate(itertools.islice(corpus(), None, None, every)):
        if (op, body) in seen:
            continue
        seen.add((op, body))
        path = os.path.join(directory, f"{number}.json")
        with open(path, "wb") as file:
            file.write(body)
        verdict, is_json = ask_tool(tool, server, op, path)
        status, text, problems = check_one(server, number, op, verdict, is_json, body)
        eligible = verdict.startswith("eligible")
        counts[(eligible, is_json, status)] = counts.get((eligible, is_json, status), 0) + 1
        if eligible:
            kinds.setdefault((op, *verdict.split()[2:]), []).append(path)
        if problems or verbose:
            print(f"{op} {body[:120]!r}\n    {verdict}, json={is_json}; server {status} {text[:160]}")
        for problem in problems:
            failed += 1
            print(f"    DISAGREEMENT: {problem}")
    splices = 0
    for (op, *kind), paths in kinds.items():
        for first, is_known in itertools.product(range(0, len(paths), 64), (False, True)):
            splices += 1
            problem = check_splice(server, tool, directory, op, f"{splices}/" + "/".join(kind),
                                   paths[first:first + 64], is_known)
            if problem:
                failed += 1
                print(f"DISAGREEMENT in the splice of {len(paths)} {op} {kind}: {problem}")
    print(f"{len(seen)} bodies, {splices} splices, {failed} disagreements")
    for (eligible, is_json, status), count in sorted(counts.items()):
        print(f"  {'eligible' if eligible else 'alone':9} {'json' if is_json else 'malformed':10} {status}: {count}")
    return failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tool", default="tests/support/records_tool")
    parser.add_argument("--chroma", default=os.path.join(ROOT, ".venv/bin/chroma"))
    parser.add_argument("--url")
    parser.add_argument("--older", action="store_true")
    parser.add_argument("--api", choices=sorted(COLLECTIONS), default="v2")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    program = options.chroma if os.path.exists(options.chroma) else shutil.which("chroma")
    if not options.url and not program:
        print("no chroma server; see scripts/setup")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as directory:
        process = None
        server = Server(options.url, options.api)
        if not options.url:
            process, server = start_chroma(program, os.path.join(directory, "chroma"), options.api)
        try:
            server.learn_family(options.tool)
            server.reads_more = options.older or server.family != "rust"
            failed = run(server, options.tool, directory, options.every, options.verbose)
            failed += check_routes(server, options.tool)
        finally:
            if process:
                process.send_signal(signal.SIGTERM)
                process.wait()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
