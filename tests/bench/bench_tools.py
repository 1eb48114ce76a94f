"""What the benchmark scripts share: pinned processes, the load generator, CPU time, results.

One CPU is the proxy's alone; backend and load generator share the others. What is compared is the
CPU time of the proxy's processes per request, from /proc: it survives a noisy machine, requests
per second do not.
"""
import http.client
import json
import os
import platform
import re
import resource
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("top_builddir", os.getcwd())
TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A program did not start, or a run did not work."""


def raise_descriptor_limit():
    """Allow as many descriptors as the system lets us; returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def cpus():
    """(the proxy's CPU, the CPUs of everything else); equal when there is only one."""
    allowed = sorted(os.sched_getaffinity(0))
    return [allowed[0]], allowed[1:] or allowed


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port, process, seconds=30):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            raise Failed(f"{process.args[0]} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise Failed(f"{process.args[0]} does not listen on port {port}")


class Bed:
    """Starts programs in a temporary directory and ends them all."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="chromabouncer-bench-")
        os.chmod(self.directory, 0o755)
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            self.stop(process)
        shutil.rmtree(self.directory, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as out:
            out.write(text)
        return self.path(name)

    def start(self, argv, cpus_allowed, **kwargs):
        def pin():
            os.sched_setaffinity(0, cpus_allowed)

        log = open(self.path(f"{len(self.processes)}-{os.path.basename(argv[0])}.log"), "wb")
        kwargs.setdefault("stdout", log)
        kwargs.setdefault("stderr", log)
        process = subprocess.Popen(argv, preexec_fn=pin, cwd=self.directory,
                                   stdin=subprocess.DEVNULL, start_new_session=True, **kwargs)
        process.log = log.name
        log.close()
        self.processes.append(process)
        return process

    def stop(self, process):
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process in self.processes:
            self.processes.remove(process)


class Stub:
    """tests/support/stub_chroma on free ports."""

    def __init__(self, bed, *options):
        self.bed = bed
        program = os.path.join(BUILD, "tests/support/stub_chroma")
        argv = [program, "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", *options]
        self.process = bed.start(argv, cpus()[1], stdout=subprocess.PIPE)
        lines = [self.process.stdout.readline().decode() for _ in range(2)]
        if not all(lines):
            raise Failed("stub_chroma did not start")
        self.port, self.control = (int(line.rsplit(":", 1)[1]) for line in lines)
        self.url = f"http://127.0.0.1:{self.port}"

    def stats(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.control, timeout=10)
        connection.request("GET", "/stub/stats")
        answer = json.load(connection.getresponse())
        connection.close()
        return answer

    def stop(self):
        self.bed.stop(self.process)


class Chroma:
    """A real Chroma server on an empty directory."""

    def __init__(self, bed, wal=False):
        self.bed = bed
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data = bed.path(f"chroma-{self.port}")
        self.start()
        if wal:
            bed.stop(self.process)
            with sqlite3.connect(os.path.join(self.data, "chroma.sqlite3")) as database:
                mode = database.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            database.close()
            if mode != "wal":
                raise Failed(f"SQLite stays in mode {mode}")
            self.start()

    @staticmethod
    def program():
        found = os.environ.get("CHROMA", os.path.join(SOURCE, ".venv/bin/chroma"))
        return found if os.path.exists(found) else None

    def start(self):
        self.process = self.bed.start([self.program(), "run", "--path", self.data, "--host",
                                       "127.0.0.1", "--port", str(self.port)], cpus()[1])
        wait_for_port(self.port, self.process, 60)

    def stop(self):
        self.bed.stop(self.process)
        shutil.rmtree(self.data, ignore_errors=True)


def generator():
    """The command that is the load generator."""
    return os.environ.get("BENCH_GENERATOR", os.path.join(BUILD, "chromabouncer") + " bench").split()


def load(url, *options, must_succeed=True, cpus_allowed=None):
    """Run one load; its result as the generator's JSON says it."""
    argv = [*generator(), "--backend", url, "--json", *map(str, options)]
    allowed = cpus_allowed or cpus()[1]
    run = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                         check=False, preexec_fn=lambda: os.sched_setaffinity(0, allowed))
    if run.returncode not in (0, 75):
        raise Failed(f"{' '.join(argv)}: exit {run.returncode}: {run.stderr.strip()}")
    result = json.loads(run.stdout)
    if must_succeed and result["errors"] > 0:
        raise Failed(f"{' '.join(argv)}: {result['errors']} errors: {result['first_error']}")
    return result


def family(pid):
    """`pid` and all its descendants."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as stat:
                    parent = int(stat.read().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(name))
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo += children.get(one, [])
    return found


def cpu_us(pid):
    """CPU time of `pid` and its descendants so far, user and system, in microseconds."""
    total = 0
    for one in family(pid):
        try:
            with open(f"/proc/{one}/stat", encoding="ascii", errors="replace") as stat:
                fields = stat.read().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total * 1e6 / TICKS


def memory_kib(pid, field="VmRSS"):
    """Resident memory of `pid` and its descendants; RssAnon leaves out what files back."""
    total = 0
    for one in family(pid):
        try:
            with open(f"/proc/{one}/status", encoding="ascii", errors="replace") as status:
                found = re.search(rf"^{field}:\s+(\d+) kB", status.read(), re.M)
        except OSError:
            continue
        total += int(found.group(1)) if found else 0
    return total


def machine():
    """What the numbers were measured on."""
    model = platform.processor()
    with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
        found = re.search(r"^model name\s*:\s*(.*)$", cpuinfo.read(), re.M)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    system = ""
    with open("/etc/os-release", encoding="utf-8") as release:
        name = re.search(r'^PRETTY_NAME="?([^"\n]*)', release.read(), re.M)
        system = name.group(1) if name else ""
    return {"cpu": found.group(1) if found else model, "cpus": os.cpu_count(),
            "memory_gib": round(memory / 2**30, 1), "system": system,
            "kernel": platform.release(), "load_at_start": os.getloadavg()[0]}


def version_of(argv):
    run = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         check=False)
    found = re.search(r"\d+(\.\d+)+\S*", run.stdout)
    return found.group(0) if found else "unknown"


def spread(values):
    """Minimum and median of the rounds, and the rounds."""
    return {"min": min(values), "median": statistics.median(values), "rounds": values}


def save(name, results):
    """Write bench-results/NAME.json under the build tree; returns its path."""
    directory = os.path.join(BUILD, "bench-results")
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, name + ".json")
    with open(path, "w", encoding="utf-8") as out:
        json.dump(results, out, indent=1)
        out.write("\n")
    return path


def table(head, rows):
    """Print rows of texts in columns, the first flush left."""
    widths = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        cells = [str(row[0]).ljust(widths[0])]
        cells += [str(cell).rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("  ".join(cells).rstrip())


def say(text):
    print(text, file=sys.stderr, flush=True)
