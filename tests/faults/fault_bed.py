"""fault_bed - chromabouncer and the stub of Chroma as processes, a raw client, what must not leak.

Everything listens on 127.0.0.1 or [::1] with ports that the system chooses, or on unix sockets in
a temporary directory. A process dies with the one that started it.
"""

import collections
import contextlib
import ctypes
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

BUILD = pathlib.Path(os.environ.get("FAULTS_BUILD", ".")).resolve()
PROXY = BUILD / "chromabouncer"
STUB = BUILD / "tests/support/stub_chroma"

DATABASE = "/api/v2/tenants/default_tenant/databases/default_database"
START_SECONDS = 20
TEST_SECONDS = 40  # a test that takes longer hangs
SETTLE_SECONDS = 8  # until what a test left behind must be gone
METRICS_HEAD_BYTES = 1024  # buffered while /metrics is asked: the head of that request
BODY_BYTES = 40 << 20  # Chroma's own limit
BUSY = 'chromabouncer_backend_connections{state="busy"}'

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def wait_for(condition, what, seconds=SETTLE_SECONDS):
    """Until condition() is true; its value. AssertionError with `what` if that takes too long."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.01)


def closed_port():
    """An address at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def raise_descriptor_limit():
    """To the hard limit; returns it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class Program:
    """A process, with what it printed to standard output and to standard error in files."""

    def __init__(self, directory, command, descriptors=None):
        self.directory = directory
        self.command = [str(part) for part in command]
        self.descriptors = descriptors
        self.output_path = self.error_path = None
        self.process = None

    def spawn(self):
        name = f"{pathlib.Path(self.command[0]).name}.{time.monotonic_ns()}"
        self.output_path = self.directory / f"{name}.out"
        self.error_path = self.directory / f"{name}.err"
        with open(self.output_path, "wb") as output, open(self.error_path, "wb") as error:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=error,
                cwd=self.directory,
                preexec_fn=self._before_exec,
            )

    def _before_exec(self):
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if self.descriptors is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.descriptors, self.descriptors))

    def output(self):
        return self.output_path.read_text(errors="replace")

    def errors(self):
        return self.error_path.read_text(errors="replace")

    def wait_until_printed(self, pattern):
        def found():
            if self.process.poll() is not None:
                raise AssertionError(f"ended with {self.process.returncode}: {self.errors()}")
            return re.search(pattern, self.output())

        return wait_for(found, f"'{pattern}' printed", START_SECONDS)

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=SETTLE_SECONDS):
        """Its exit code."""
        return self.process.wait(seconds)

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Stub(Program):
    """tests/support/stub_chroma; faults go in by its control address."""

    def __init__(self, directory, listen="127.0.0.1:0", arguments=()):
        super().__init__(directory, [])
        self.listen, self.arguments = listen, arguments
        self.control = None
        self.start()

    def start(self):
        """Also after kill(): at the same address."""
        self.command = [str(STUB), "--listen", self.listen, "--control", "127.0.0.1:0"]
        self.command += self.arguments
        self.spawn()
        self.listen = self.wait_until_printed(r"listening on (\S+)\n").group(1)
        self.control = self.wait_until_printed(r"control on (\S+)\n").group(1)

    @property
    def url(self):
        return self.listen if self.listen.startswith("unix:") else f"http://{self.listen}"

    def ask(self, method, path, body=None):
        with Client(self.control) as client:
            return client.ask(method, path, body)

    def command_lines(self, *lines):
        """See the head of stub_chroma.c and stub_fault.h."""
        answer = self.ask("POST", "/stub/fault", "\n".join(lines).encode())
        assert answer.status == 200, answer.body

    def stats(self):
        return json.loads(self.ask("GET", "/stub/stats").body)

    def new_collection(self, name):
        """Its path."""
        answer = self.ask("POST", f"{DATABASE}/collections", {"name": name, "get_or_create": True})
        return f"{DATABASE}/collections/{json.loads(answer.body)['id']}"


class Proxy(Program):
    """chromabouncer. `settings` are given with --set, dots in their keys written as __."""

    def __init__(self, directory, backend, listen="127.0.0.1:0", descriptors=None, **settings):
        super().__init__(directory, [], descriptors)
        settings = {"backend__health_interval": "200ms", **settings}
        self.listen, self.backend = listen, backend
        self.arguments = ["--status", "127.0.0.1:0"]
        for key, value in settings.items():
            self.arguments += ["--set", f"{key.replace('__', '.')}={value}"]

    def start(self, extra=()):
        self.command = [str(PROXY), "run", "--backend", self.backend, "--listen", self.listen]
        self.command += [*self.arguments, *extra]
        self.spawn()
        found = self.wait_until_printed(r"listening on (\S+), status on (\S+)\n")
        self.listen, self.status = found.group(1), found.group(2)
        return self

    def status_of(self, path):
        with Client(self.status) as client:
            return client.ask("GET", path)

    def metrics(self):
        """Samples by name with labels."""
        text = self.status_of("/metrics").body.decode()
        samples = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in samples}

    def log_lines(self):
        lines = self.errors().split("\n")[:-1]  # the last may be half written
        return [json.loads(line) for line in lines if line.startswith("{")]

    def events(self, name):
        return [line for line in self.log_lines() if line.get("event") == name]

    def descriptor_count(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def descriptors_beside_backend(self):
        """Those that are not connections to the backend, which are kept on purpose."""
        metrics = self.metrics()
        kept = sum(
            value
            for name, value in metrics.items()
            if name.startswith("chromabouncer_backend_connections{")
        )
        return self.descriptor_count() - kept


Answer = collections.namedtuple("Answer", "status fields body")


class Cut(ConnectionError):
    """The connection ended before the answer was complete; `received` is what came."""

    def __init__(self, received):
        super().__init__(f"cut after {len(received)} bytes")
        self.received = received


class Client:
    """A connection that sends exactly the bytes it is told to."""

    def __init__(self, address, timeout=20, receive_buffer=None):
        self.socket = socket.socket(family_of(address), socket.SOCK_STREAM)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.unread = b""
        try:
            self.socket.connect(endpoint_of(address))
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Close with RST instead of FIN (TCP)."""
        linger = struct.pack("ii", 1, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.socket.close()

    def send(self, data):
        """Whoever refuses early may close while we send; the answer is read all the same."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def send_request(self, method, path, body=None, fields=(), size=None):
        """Head and body; with `size`, only the head that announces so much."""
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", "host: faults", *fields]
        if body is not None or size is not None:
            lines += ["content-type: application/json"]
            lines += [f"content-length: {len(body) if size is None else size}"]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""))

    def ask(self, method, path, body=None, fields=()):
        self.send_request(method, path, body, fields)
        return self.receive(method)

    def receive(self, method="GET"):
        """The next answer. Cut if the connection ends before."""
        while b"\r\n\r\n" not in self.unread:
            self._fill()
        head, _, self.unread = self.unread.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines[1:])
        fields = {name.lower(): value.strip() for name, _, value in pairs}
        status = int(lines[0].split(" ")[1])
        if status == 100:
            return self.receive(method)
        size = 0 if method == "HEAD" else int(fields.get("content-length", 0))
        received = bytearray(self.unread)
        while len(received) < size:
            self.unread = bytes(received)
            more = self._receive_some()
            received += more
        self.unread = bytes(received[size:])
        return Answer(status, fields, bytes(received[:size]))

    def _fill(self):
        self.unread += self._receive_some()

    def _receive_some(self):
        try:
            data = self.socket.recv(1 << 18)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Cut(self.unread)
        return data

    def is_closed_by_peer(self, seconds=SETTLE_SECONDS):
        """Does the peer end the connection in time? What comes before is thrown away."""
        self.socket.settimeout(seconds)
        try:
            while self.socket.recv(1 << 18):
                pass
            return True
        except TimeoutError:
            return False
        except ConnectionResetError:
            return True


def family_of(address):
    if address.startswith("unix:"):
        return socket.AF_UNIX
    return socket.AF_INET6 if address.startswith("[") else socket.AF_INET


def endpoint_of(address):
    if address.startswith("unix:"):
        return address[5:]
    host, _, port = address.rpartition(":")
    return (host.strip("[]"), int(port))


class Load:
    """Threads that send requests one after the other and note each outcome, until stop()."""

    def __init__(self, address, make_request, threads=8, pause=0.0):
        self.address, self.make_request, self.pause = address, make_request, pause
        self.outcomes = collections.Counter()
        self.answers = []  # those other than 200
        self.slowest = 0.0
        self.stopping = False
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._run, args=(i,)) for i in range(threads)]
        for thread in self.threads:
            thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()

    def _run(self, number):
        count, client = 0, None
        while not self.stopping:
            began = time.monotonic()
            outcome = "no connection"
            try:
                client = client or Client(self.address)
                outcome = "cut"
                answer = client.ask(*self.make_request(f"{number}-{count}"))
                outcome = answer.status
                if answer.fields.get("connection", "") == "close":
                    client.close()
                    client = None
            except OSError:
                if client is not None:
                    client.close()
                client, answer = None, None
            count += 1
            with self.lock:
                self.outcomes[outcome] += 1
                self.slowest = max(self.slowest, time.monotonic() - began)
                if outcome != 200 and answer is not None:
                    self.answers.append(answer)
            if outcome != 200 or self.pause > 0:
                time.sleep(self.pause or 0.01)
        if client is not None:
            client.close()


def record(identifier):
    return {"ids": [identifier], "embeddings": [[1.0, 2.0, 3.0]], "documents": [identifier]}


def record_of_bytes(size):
    """A valid upsert of about so many bytes."""
    return {"ids": ["big"], "embeddings": [[1.0, 2.0, 3.0]], "documents": ["x" * size]}


class FaultTest(unittest.TestCase):
    """A directory, and at the end of each test: nothing leaked, nothing crashed, ends in order."""

    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="faults-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.addCleanup(signal.alarm, 0)
        signal.signal(signal.SIGALRM, self._on_alarm)
        signal.alarm(TEST_SECONDS)

    @staticmethod
    def _on_alarm(_number, _frame):
        raise TimeoutError(f"the test has not ended after {TEST_SECONDS} s")

    def start_stub(self, **arguments):
        stub = Stub(self.directory, **arguments)
        self.addCleanup(stub.kill)
        return stub

    def start_proxy(self, backend, extra=(), **settings):
        proxy = Proxy(self.directory, backend, **settings)
        self.addCleanup(proxy.kill)
        return proxy.start(extra)

    def start_both(self, **settings):
        """A stub, a proxy before it and a collection; the proxy has served one request."""
        self.stub = self.start_stub()
        self.proxy = self.start_proxy(self.stub.url, **settings)
        self.collection = self.stub.new_collection("faults")
        self.expect_service()
        name = "chromabouncer_backend_up"
        wait_for(lambda: self.proxy.metrics().get(name) == 1, "the backend is up")
        self.descriptors_before = self.proxy.descriptors_beside_backend()

    def expect_service(self):
        """A read and a write work."""
        with Client(self.proxy.listen) as client:
            answer = client.ask("POST", f"{self.collection}/upsert", record("service"))
            self.assertEqual(answer.status, 200, answer)
            answer = client.ask("GET", f"{self.collection}/count")
            self.assertEqual(answer.status, 200, answer)
            self.assertGreaterEqual(int(answer.body), 1)

    def expect_error(self, answer, status, name="ChromaError", executed=None):
        """An error of the proxy's own, in Chroma's shape."""
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.fields["content-type"], "application/json")
        body = json.loads(answer.body)
        self.assertEqual(set(body), {"error", "message"})
        self.assertEqual(body["error"], name)
        self.assertTrue(body["message"])
        if executed is not None:
            self.assertEqual(answer.fields.get("x-chromabouncer-executed"), executed)
        return body["message"]

    def expect_nothing_left(self):
        """No request, connection, descriptor or buffered byte is left of what happened."""

        def is_quiet():
            metrics = self.proxy.metrics()
            self.seen = {
                "buffered": metrics["chromabouncer_buffered_bytes"],
                "clients": metrics["chromabouncer_client_connections"],
                "busy": metrics['chromabouncer_backend_connections{state="busy"}'],
                "more descriptors": self.proxy.descriptors_beside_backend()
                - self.descriptors_before,
            }
            # The health check's connection comes and goes.
            return (
                self.seen["clients"] == self.seen["busy"] == 0
                and self.seen["buffered"] == METRICS_HEAD_BYTES
                and self.seen["more descriptors"] <= 1
            )

        try:
            wait_for(is_quiet, "nothing is left")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.seen}") from None

    def expect_end(self, proxy=None, code=0):
        """TERM ends the proxy in order, and it has complained of nothing."""
        proxy = proxy or self.proxy
        proxy.signal(signal.SIGTERM)
        self.assertEqual(proxy.wait(), code, proxy.errors()[-2000:])
        self.expect_no_complaint(proxy)

    def expect_no_complaint(self, proxy):
        for sign in ("Sanitizer", "runtime error", "Assertion"):
            self.assertNotIn(sign, proxy.errors())

    def expect_recovery(self):
        """After a fault: service, nothing left, an orderly end."""
        self.stub.command_lines("clear")
        self.expect_service()
        self.expect_nothing_left()
        self.expect_end()
