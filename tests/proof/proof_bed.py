"""proof_bed - what the proofs share: the stub, clients on asyncio, metrics, and counted checks.

The programs are those of a build tree: CHROMABOUNCER and STUB_CHROMA name them; by default they are
where a build at the top of the tree leaves them.
"""

import asyncio
import base64
import json
import os
import pathlib
import re
import resource
import struct
import sys
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

# pylint: disable=wrong-import-position,unused-import
from bed import DATABASE, ROOT, Chroma, Process, Proxy, free_port  # noqa: E402,F401

STUB = pathlib.Path(os.environ.get("STUB_CHROMA") or ROOT / "tests/support/stub_chroma")
STATUS_FORMAT = "http://127.0.0.1:{}{}"


class Checks:
    """What was checked, one line each, and the sum in the end."""

    def __init__(self):
        self.passed = self.failed = 0
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def check(self, what, holds, figures=""):
        if holds:
            self.passed += 1
        else:
            self.failed += 1
        figures = f" ({figures})" if figures != "" else ""
        print(f"{'ok' if holds else 'FAILED'}: {what}{figures}", flush=True)
        return holds

    def finish(self):
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        sys.exit(0 if self.failed == 0 else 1)


class Stub(Process):
    """stub_chroma: `port` is under its faults, `control` never."""

    name = "stub"

    def __init__(self, *arguments):
        super().__init__()
        self.spawn([STUB, "--control", "127.0.0.1:0", "--listen", "127.0.0.1:0", *arguments])
        self.wait_until(self._find_ports)

    def _find_ports(self):
        text = self.log.read_text(errors="replace")
        ports = dict(re.findall(r"^(listening|control) on .*:(\d+)$", text, re.M))
        if len(ports) < 2:
            return False
        self.port, self.control = int(ports["listening"]), int(ports["control"])
        return True

    def ask(self, method, path, body=None, raw=False):
        data = body.encode() if isinstance(body, str) else body
        if body is not None and not isinstance(body, (str, bytes)):
            data = json.dumps(body).encode()
        request = urllib.request.Request(
            STATUS_FORMAT.format(self.control, path),
            data,
            {"content-type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            text = response.read()
        return text if raw else json.loads(text)

    def stats(self):
        return self.ask("GET", "/stub/stats")

    def fault(self, *commands):
        self.ask("POST", "/stub/fault", "\n".join(commands), raw=True)

    def applied(self):
        """The log of what was applied, in order: parsed lines."""
        entries, offset = [], 0
        while text := self.ask("GET", f"/stub/log?offset={offset}", raw=True):
            entries += [json.loads(line) for line in text.splitlines()]
            offset += len(text)
        return entries

    def collection(self, name, dimension=0):
        return make_collection(self, name, dimension)


class Bouncer(Proxy):
    """chromabouncer with a status listener and an access log in a file of its own."""

    def __init__(self, backend_port, *settings, access="errors", arguments=()):
        self.status_port = free_port()
        flags = ["--set", f"log.access={access}", "--set", "log.format=json"]
        for setting in settings:
            flags += ["--set", setting]
        self.status = f"127.0.0.1:{self.status_port}"
        super().__init__(backend_port, [*flags, *arguments])

    @property
    def also(self):
        return f",{self.socket}"

    @property
    def socket(self):
        return f"unix:{self.directory}/socket"

    def metrics(self):
        """Name with its labels -> value."""
        url = STATUS_FORMAT.format(self.status_port, "/metrics")
        with urllib.request.urlopen(url, timeout=10) as response:
            lines = response.read().decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def log_lines(self, event):
        """The parsed lines of the log about `event`."""
        found = []
        for line in self.log.read_text(errors="replace").splitlines():
            if line.startswith("{"):
                entry = json.loads(line)
                if entry.get("event") == event:
                    found.append(entry)
        return found

    def memory_bytes(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", text).group(1)) * 1024


def make_collection(server, name, dimension=0):
    """A collection; one write gives it its dimension. Returns its UUID."""
    uuid = server.ask("POST", f"{DATABASE}/collections", {"name": name})["id"]
    if dimension:
        record = {"ids": ["first"], "embeddings": [[0.5] * dimension]}
        server.ask("POST", f"{DATABASE}/collections/{uuid}/upsert", record)
    return uuid


class Answer:
    def __init__(self, status, fields, body):
        self.status, self.fields, self.body = status, fields, body

    @property
    def executed(self):
        return self.fields.get("x-chromabouncer-executed", "")


class Client:
    """One connection at a time to `port`, opened again when it was closed."""

    def __init__(self, port, source="127.0.0.1"):
        self.port, self.source = port, source
        self.reader = self.writer = None

    async def send(self, method, path, body=b"", fields=(), cut=None):
        """Write a request; `cut`: only its first so many bytes."""
        if self.writer is None or self.writer.is_closing() or self.reader.at_eof():
            self.reader, self.writer = await asyncio.open_connection(
                "127.0.0.1", self.port, local_addr=(self.source, 0)
            )
        extra = "".join(f"{name}: {value}\r\n" for name, value in fields)
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n"
            f"{extra}content-length: {len(body)}\r\n\r\n"
        )
        self.writer.write((head.encode() + body)[:cut])

    async def receive(self):
        """The answer, or ConnectionError."""
        try:
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            fields = {}
            for line in head[1:-2]:
                name, _, value = line.partition(":")
                fields[name.lower()] = value.strip()
            body = await self.reader.readexactly(int(fields.get("content-length", 0)))
        except (asyncio.IncompleteReadError, OSError) as error:
            self.close()
            raise ConnectionError(str(error)) from error
        if fields.get("connection") == "close":
            self.close()
        return Answer(int(head[0].split(" ")[1]), fields, body)

    async def ask(self, method, path, body=b"", fields=()):
        await self.send(method, path, body, fields)
        return await self.receive()

    def close(self, abort=False):
        if self.writer is None:
            return
        if abort:
            self.writer.transport.abort()
        else:
            self.writer.close()
        self.reader = self.writer = None


def records_path(uuid, operation):
    return f"{DATABASE}/collections/{uuid}/{operation}"


def encode_vector(vector):
    """As base64 of little-endian f32, which Chroma takes in writes."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def one_record(identifier, vector, **more):
    """The body of a write of one record."""
    return json.dumps({"ids": [identifier], "embeddings": [vector], **more}).encode()


def now_us():
    """The clock of the whole machine, also between processes."""
    return time.monotonic_ns() // 1000
