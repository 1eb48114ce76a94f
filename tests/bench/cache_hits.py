#!/usr/bin/env python3
"""cache_hits - what does an answer from the cache cost, beside nginx, varnish, and Chroma itself?

A real Chroma with 20 000 records of 384 numbers and 2000 of 1536; one query of each, a body of 4
and of 31 KB, again and again over 1 and 32 connections: direct, and answered from the caches of
chromabouncer (role gateway), nginx (proxy_cache, keyed by the body) and varnish. Each proxy is
alone on one CPU with one worker, the load generator (wrk) on the others. Proxies take turns; the
minimum over the rounds is what the machine can do, the median beside it.

Prints a table and writes bench-results/cache.json. What is not installed is left out, with a word.
Usage: tests/bench/cache_hits.py [--rounds N] [--seconds S] [--records N] [--only NAME,...]
"""

import argparse
import http.client
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time

import bench_tools as tools

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from bed import DATABASE, Chroma  # noqa: E402

CONNECTIONS = (1, 32)
SBIN = os.environ["PATH"] + ":/usr/sbin"
LUA = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local file = io.open("BODY", "rb")
wrk.body = file:read("*a")
file:close()
done = function(summary, latency)
  io.write(string.format('\\nRESULT {"requests": %d, "us": %d, "errors": %d}\\n', summary.requests,
    summary.duration, summary.errors.status + summary.errors.connect + summary.errors.read +
    summary.errors.write + summary.errors.timeout))
end
"""


class Case:
    """One query of a collection, and wrk's script for it."""

    def __init__(self, bed, name, path, body):
        self.name, self.path, self.body = name, f"{path}/query", body
        file = bed.write(f"{name}.body".replace(" ", "-"), body)
        self.script = bed.write(f"{name}.lua".replace(" ", "-"), LUA.replace("BODY", file))


class Target:
    """A cache in front of `backend_port`; `hit` is a field of its answers and what it says then."""

    name = "direct"
    hit = None

    def __init__(self, bed, backend_port):
        self.bed, self.backend_port, self.port = bed, backend_port, tools.free_port()
        self.process = bed.start(self.command(), tools.cpus()[0])
        tools.wait_for_port(self.port, self.process)

    def warm(self, case):
        """Ask until it is answered from the cache; the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        for _ in range(100):
            connection.request("POST", case.path, case.body, {"content-type": "application/json"})
            response = connection.getresponse()
            answer = response.read()
            if self.hit is None or self.hit[1] in (response.getheader(self.hit[0]) or ""):
                assert response.status == 200, answer
                return answer
            time.sleep(0.2)
        raise tools.Failed(f"{self.name} keeps no answer")


class Direct(Target):
    def __init__(self, _, backend_port):
        self.port = backend_port


class Chromabouncer(Target):
    name = "chromabouncer"
    hit = ("cache-status", "hit")

    @staticmethod
    def program():
        return shutil.which(os.path.join(tools.BUILD, "chromabouncer"))

    def command(self):
        return [self.program(), "--backend", f"http://127.0.0.1:{self.backend_port}", "--listen",
                f"127.0.0.1:{self.port}", "--status", "off", "--control", "off", "--set",
                "role=gateway", "--set", "backend.settle_time=0s", "--set", "log.access=off"]  # fmt: skip


class Nginx(Target):
    name = "nginx"
    hit = ("x-cache", "HIT")

    @staticmethod
    def program():
        return shutil.which("nginx", path=SBIN)

    def command(self):
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else self.bed.directory
        self.directory = os.path.join(memory, os.path.basename(self.bed.directory))
        places = "\n".join(f"  {module}_temp_path {self.bed.path(module)};"
                           for module in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        configuration = self.bed.write("nginx.conf", f"""
daemon off;
worker_processes 1;
pid {self.bed.path("nginx.pid")};
error_log {self.bed.path("nginx-error.log")} crit;
events {{ worker_connections 4096; }}
http {{
  access_log off;
{places}
  keepalive_requests 1000000000;
  keepalive_timeout 3600s;
  client_body_buffer_size 64k;
  proxy_cache_path {self.directory} levels=1:2 keys_zone=answers:8m max_size=64m inactive=1h use_temp_path=off;
  open_file_cache max=1000 inactive=1h;
  server {{
    listen 127.0.0.1:{self.port} backlog=4096;
    proxy_buffer_size 64k;
    proxy_buffers 8 64k;
    proxy_busy_buffers_size 128k;
    location / {{
      proxy_pass http://127.0.0.1:{self.backend_port};
      proxy_cache answers;
      proxy_cache_methods GET POST;
      proxy_cache_key "$request_method$request_uri$request_body";
      proxy_cache_valid 200 1h;
      add_header X-Cache $upstream_cache_status;
    }}
  }}
}}
""")  # fmt: skip
        return [self.program(), "-e", self.bed.path("nginx-error.log"), "-p", self.bed.directory,
                "-c", configuration]  # fmt: skip


class Varnish(Target):
    name = "varnish"
    hit = ("x-cache", "HIT")

    @staticmethod
    def program():
        """With the module that hashes bodies."""
        has_module = any(pathlib.Path("/usr/lib").glob("*/varnish/vmods/libvmod_bodyaccess.so"))
        return shutil.which("varnishd", path=SBIN) if has_module else None

    def command(self):
        configuration = self.bed.write("answers.vcl", f"""
vcl 4.1;
import std;
import bodyaccess;
backend default {{ .host = "127.0.0.1"; .port = "{self.backend_port}"; }}
sub vcl_recv {{
  unset req.http.X-Method;
  if (req.method == "POST") {{
    if (!std.cache_req_body(64KB)) {{ return (pass); }}
    set req.http.X-Method = "POST";
    return (hash);
  }}
}}
sub vcl_hash {{
  if (req.http.X-Method) {{ bodyaccess.hash_req_body(); }}
}}
sub vcl_backend_fetch {{
  if (bereq.http.X-Method) {{ set bereq.method = "POST"; }}
}}
sub vcl_backend_response {{ set beresp.ttl = 1h; }}
sub vcl_deliver {{
  if (obj.hits > 0) {{ set resp.http.X-Cache = "HIT"; }}
}}
""")  # fmt: skip
        return [self.program(), "-F", "-j", "none", "-n", self.bed.path("varnish"), "-a",
                f"127.0.0.1:{self.port}", "-f", configuration, "-s", "malloc,64m", "-p",
                "thread_pools=1", "-p", "thread_pool_min=64"]  # fmt: skip


def vector(generator, dimension, digits):
    return [round(generator.uniform(-0.1, 0.1), digits) for _ in range(dimension)]


def fill(chroma, dimension, records):
    generator = random.Random(dimension)
    made = chroma.ask("POST", f"{DATABASE}/collections", {"name": f"bench-{dimension}"})
    path = f"{DATABASE}/collections/{made['id']}"
    for first in range(0, records, 1000):
        numbers = range(first, min(first + 1000, records))
        body = {
            "ids": [f"record-{i}" for i in numbers],
            "embeddings": [vector(generator, dimension, 6) for _ in numbers],
            "documents": ["a document of some words " * 12 for _ in numbers],
            "metadatas": [{"source": f"page-{i}", "n": i} for i in numbers],
        }
        chroma.ask("POST", f"{path}/upsert", body)
    return path


def query_of(dimension, digits):
    body = {"query_embeddings": [vector(random.Random(2), dimension, digits)], "n_results": 10}
    return json.dumps(body, separators=(",", ":"))


def load(target, case, connections, seconds):
    """(requests a second, requests)"""
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s", "-s", case.script,
            f"http://127.0.0.1:{target.port}{case.path}"]  # fmt: skip
    run = subprocess.run(argv, capture_output=True, text=True, check=True,
                         preexec_fn=lambda: os.sched_setaffinity(0, tools.cpus()[1]))  # fmt: skip
    result = json.loads(run.stdout.partition("RESULT ")[2])
    if result["errors"]:
        raise tools.Failed(f"{target.name}: {result['errors']} errors")
    return result["requests"] / result["us"] * 1e6, result["requests"]


def measure(target, case, connections, seconds):
    target.warm(case)
    load(target, case, connections, 1)
    before = tools.cpu_us(target.process.pid)
    rate, requests = load(target, case, connections, seconds)
    return {"cpu_us": (tools.cpu_us(target.process.pid) - before) / requests, "rate": rate}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--records", type=int, default=20000)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    kinds = [kind for kind in (Chromabouncer, Nginx, Varnish)
             if not arguments.only or kind.name in arguments.only.split(",")]  # fmt: skip
    for kind in [kind for kind in kinds if kind.program() is None]:
        tools.say(f"{kind.name} is not installed, and left out")
        kinds.remove(kind)
    if shutil.which("wrk") is None:
        sys.exit("cache_hits: wrk is not installed")
    with tools.Bed() as bed, Chroma() as chroma:
        cases = [
            Case(bed, "4 KB", fill(chroma, 384, arguments.records), query_of(384, 7)),
            Case(bed, "31 KB", fill(chroma, 1536, arguments.records // 10), query_of(1536, 17)),
        ]
        results, rows = {}, []
        direct = Direct(bed, chroma.port)
        targets = [kind(bed, chroma.port) for kind in kinds]
        for case in cases:
            size = len(direct.warm(case))
            rate, _ = load(direct, case, CONNECTIONS[-1], arguments.seconds)
            results[f"direct, {case.name}"] = {"rate": rate, "answer_bytes": size}
            rows.append([f"{len(case.body)} B, answer of {size} B", CONNECTIONS[-1], "direct",
                         "", "", f"{rate:.0f}"])  # fmt: skip
            for connections in CONNECTIONS:
                rounds = {target.name: [] for target in targets}
                for _ in range(arguments.rounds):
                    for target in targets:
                        rounds[target.name].append(
                            measure(target, case, connections, arguments.seconds)
                        )
                for name, each in rounds.items():
                    cpu = tools.spread([one["cpu_us"] for one in each])
                    rate = tools.spread([one["rate"] for one in each])
                    key = f"{name}, {case.name}, {connections}"
                    results[key] = {"cpu_us": cpu, "rate": rate}
                    rows.append(["", connections, name, f"{cpu['min']:.1f}",
                                 f"{cpu['median']:.1f}", f"{rate['median']:.0f}"])  # fmt: skip
        for target in targets:
            if isinstance(target, Nginx):
                bed.stop(target.process)
                shutil.rmtree(target.directory, ignore_errors=True)
    tools.table(["body", "connections", "", "CPU us: min", "median", "requests/s"], rows)
    versions = {kind.name: tools.version_of([kind.program(), "-V" if kind is Varnish else "-v"])
                for kind in kinds if kind is not Chromabouncer}  # fmt: skip
    tools.say(tools.save("cache", {"machine": tools.machine(), "versions": versions, **results}))


if __name__ == "__main__":
    main()
