"""What the hook's tests share: directories, servers behind the stand-in, and Python run under it."""

import json
import os
import pathlib
import subprocess
import sys
import textwrap

import pytest

from stand_in import StandIn

# No test depends on what the machine's own environment says.
for name in list(os.environ):
    if name.lower().endswith("_proxy") or name.startswith(("CHROMA", "PYTHON")):
        del os.environ[name]
os.environ["ANONYMIZED_TELEMETRY"] = "False"

PRELUDE = """
import json, os, sys, time
import chromadb
from chromadb.config import Settings
VERSION = tuple(int(part) for part in chromadb.__version__.split("."))
directory = sys.argv[1]

def api(client):
    return type(client._server).__module__.rpartition(".")[2]

def descriptors():
    return len(os.listdir("/proc/self/fd"))

def tell(**values):
    print(json.dumps(values), flush=True)
"""


class Ran:
    """How a Python ended: `status`, `output`, `errors`, and what its last tell() said, as fields."""

    def __init__(self, process):
        self.status, self.output, self.errors = process.returncode, process.stdout, process.stderr
        lines = [line for line in self.output.splitlines() if line.startswith("{")]
        vars(self).update(json.loads(lines[-1]) if lines else {})


def run(code, directory, environment, options=(), cwd=None, python=sys.executable):
    """Run PRELUDE and `code` in a Python of its own. Not checked: see Wrapped.run()."""
    command = [python, *options, "-c", PRELUDE + textwrap.dedent(code), str(directory)]
    return Ran(
        subprocess.run(
            command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=100
        )
    )


class Wrapped:
    """A directory and its stand-in."""

    def __init__(self, directory, **options):
        self.directory = pathlib.Path(directory)
        self.stand_in = StandIn(**options)

    def run(self, code, options=(), cwd=None, **environment):
        ran = run(code, self.directory, self.environment(**environment), options, cwd)
        assert ran.status == 0, ran.errors
        return ran

    def environment(self, **more):
        return self.stand_in.environment({**os.environ, **more})


@pytest.fixture(scope="session")
def wrapped(tmp_path_factory):
    """One wrapped directory for all tests that need no server of their own."""
    directory = tmp_path_factory.mktemp("wrapped") / "db"
    wrapped = Wrapped(directory, path=directory)
    with wrapped.stand_in:
        yield wrapped


@pytest.fixture
def wrap(tmp_path):
    """wrap(OPTIONS of StandIn) gives a fresh Wrapped; its server starts when it is asked for."""
    all_wrapped = []

    def make(**options):
        all_wrapped.append(Wrapped(tmp_path / "db", **options))
        return all_wrapped[-1]

    yield make
    for each in all_wrapped:
        each.stand_in.close()


@pytest.fixture
def embedded(tmp_path):
    """Run code without `wrap`, on a fresh directory."""

    def run_embedded(code, **environment):
        ran = run(code, tmp_path / "embedded", {**os.environ, **environment})
        assert ran.status == 0, ran.errors
        return ran

    return run_embedded
