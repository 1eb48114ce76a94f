"""bed - real Chroma servers and chromabouncer processes for the end-to-end tests.

Servers of other releases than that of .venv are taken from CHROMA_VENVS, a directory of virtual
environments by version (0.6.3/bin/chroma, ...): scripts/older_chroma makes them in .venvs. A test of
one that is missing is skipped.

Everything listens on 127.0.0.1 and lives in temporary directories. A server dies with the
process that started it, however that process ends, unless it was started with keep=True.
"""

import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What the `chroma` command of the Python package runs, without importing the whole client library
# first (2 s).
CHROMA = [ROOT / ".venv/bin/python", "-c", "import chromadb_rust_bindings as c, sys; c.cli(sys.argv)"]
VENVS = pathlib.Path(os.environ.get("CHROMA_VENVS", "/nonexistent")).absolute()
PROXY = pathlib.Path(os.environ.get("CHROMABOUNCER") or ROOT / "chromabouncer")

DATABASE = "/api/v2/tenants/default_tenant/databases/default_database"
START_SECONDS = 60  # a loaded two-core machine
WAIT_SECONDS = 60  # what takes a moment, on such a machine
STOP_SECONDS = 40  # above chromabouncer's drain.timeout of 25 s

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def free_port():
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A server process with its log; base of Chroma and Proxy."""

    name = "process"

    def __init__(self, keep=False):
        self.keep = keep
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"e2e-{self.name}-"))
        self.log = self.directory / "log"
        self.process = None
        self.port = None

    def spawn(self, command):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                start_new_session=self.keep,
                preexec_fn=None if self.keep else _die_with_parent,
            )

    def wait_until(self, is_ready):
        deadline = time.monotonic() + START_SECONDS
        while not is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                text = self.log.read_text(errors="replace")[-2000:]
                self.close()
                raise RuntimeError(f"{self.name} did not start:\n{text}")
            time.sleep(0.02)

    def kill(self):
        """The crash: no chance to clean up."""
        self.process.kill()
        self.process.wait()

    def close(self):
        """Stop in order and remove the directory. Returns the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)
        return self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Chroma(Process):
    """A Chroma server on an empty directory; `settings` are lines of its own config file."""

    name = "chroma"
    is_python = False

    def __init__(self, settings=(), keep=False):
        super().__init__(keep)
        self.port = free_port()
        self.config = self.directory / "chroma.yaml"
        self.database = self.directory / "data" / "chroma.sqlite3"
        lines = [
            f"port: {self.port}",
            'listen_address: "127.0.0.1"',
            f'persist_path: "{self.directory / "data"}"',
            *settings,
        ]
        self.config.write_text("\n".join(lines) + "\n")
        self.start()

    def start(self):
        """Also after kill(): the same port and the same data."""
        self.spawn([*CHROMA, "run", self.config])
        self.wait_until(self._answers)

    def _answers(self):
        try:
            self.ask("GET", "/api/v2/heartbeat")
            return True
        except OSError:
            return False

    def ask(self, method, path, body=None):
        """One request with its JSON answer, past chromabouncer. OSError if it failed: an HTTPError
        has the answer's `body`."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data,
            {"content-type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            error.body = error.read()
            error.add_note(f"{method} {path}: {error.body.decode(errors='replace')}")
            raise

    def delete_collections(self):
        for collection in self.ask("GET", f"{DATABASE}/collections"):
            self.ask("DELETE", f"{DATABASE}/collections/{collection['name']}")


class OldChroma(Chroma):
    """The server of another release."""

    name = "old-chroma"

    def __init__(self, version):
        self.program = VENVS / version / "bin/chroma"
        if not self.program.exists():
            raise unittest.SkipTest(f"no {version} in CHROMA_VENVS")
        self.is_python = version.startswith("0.")
        super().__init__()

    def start(self):
        address = ["--host", "127.0.0.1", "--port", self.port]
        self.spawn([self.program, "run", "--path", self.directory / "data", *address])
        self.wait_until(self._answers)


class Proxy(Process):
    """chromabouncer in front of the server on `backend_port`."""

    name = "chromabouncer"
    status = "off"  # its status listener
    also = ""  # a comma and another address to listen on

    def __init__(self, backend_port, arguments=(), keep=False):
        super().__init__(keep)
        self.command = [PROXY, "run", "--backend", f"http://127.0.0.1:{backend_port}"]
        self.arguments = list(arguments)
        self.start()

    def start(self):
        """Also after kill(): on the port that it had before."""
        offset = self.log.stat().st_size if self.log.exists() else 0
        listen = f"127.0.0.1:{self.port or 0}{self.also}"
        self.spawn([*self.command, "--listen", listen, "--status", self.status, *self.arguments])
        self.wait_until(lambda: self._find_port(offset))

    def _find_port(self, offset):
        text = self.log.read_bytes()[offset:].decode(errors="replace")
        found = re.search(r"listening on .*?127\.0\.0\.1:(\d+)", text)
        if found:
            self.port = int(found.group(1))
        return found is not None


class WatchedProxy(Proxy):
    """With its status listener, and checks so rare that they tell it nothing."""

    def __init__(self, backend_port, arguments=()):
        self.status_port = free_port()
        self.status = f"127.0.0.1:{self.status_port}"
        super().__init__(backend_port, ["--set", "backend.health_interval=1m", *arguments])

    def get(self, path):
        url = f"http://127.0.0.1:{self.status_port}{path}"
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.read().decode()

    def metric(self, name):
        lines = [line for line in self.get("/metrics").splitlines() if line.startswith(f"{name} ")]
        return float(lines[0].split()[-1])

    def moved(self):
        return self.metric("chromabouncer_backend_incarnations_total")

    def may_merge(self):
        return self.metric("chromabouncer_backend_may_merge") == 1


def wait_for(condition, what):
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.02)
