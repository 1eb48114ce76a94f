"""mirror_bed - real servers and the programs that speak for src/mirror, given the same."""

import contextlib
import http.client
import json
import subprocess

from bed import DATABASE, ROOT, Chroma


class Tool:
    """A program of tests/support that says what src/mirror says; it holds records."""

    def __init__(self, name):
        self.process = subprocess.Popen([ROOT / "tests/support" / name], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def tell(self, line):
        self.process.stdin.write(line.encode() + b"\n")

    def ask(self, line, answers=1):
        self.tell(line)
        self.process.stdin.flush()
        return [self.process.stdout.readline().decode().rstrip("\n") for _ in range(answers)]

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(60) == 0
        self.process.stdout.close()


class Server:
    """A real server with one collection, asked without a client library.

    There is never a second: what a deleted collection had in lists comes back in records of the
    next (doc/mirror-filters.md), and filters take longer the more there is of others.
    """

    def __init__(self, port, space="l2"):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        status, answer = self.post("", json.dumps({"name": "mirrored", "configuration": {"hnsw": {"space": space}}}))
        assert status == 200, answer
        self.collection = answer["id"]

    def request(self, method, path, body):
        self.connection.request(method, f"{DATABASE}/collections{path}", body.encode(), {"content-type": "application/json"})
        answer = self.connection.getresponse()
        return answer.status, answer.read().decode()

    def post(self, path, body):
        status, text = self.request("POST", path, body)
        return status, json.loads(text)

    def close(self):
        self.connection.close()

    def ask(self, operation, body):
        return self.post(f"/{self.collection}/{operation}", body)

    def read(self, operation, body):
        """With the text of the answer."""
        return self.request("GET" if operation == "count" else "POST", f"/{self.collection}/{operation}", body)


@contextlib.contextmanager
def open_server(space="l2"):
    with Chroma() as chroma, contextlib.closing(Server(chroma.port, space)) as server:
        yield server
