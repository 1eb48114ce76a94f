"""A store of 11 000 records that somebody wipes by mistake: with guard.collections nothing of it goes
unless somebody says its name, and what may go goes as ever. Old servers, which take ten times as long
for a record, have a tenth of it.
"""

import http.client
import json
import subprocess

import pytest

from bed import DATABASE, PROXY, Chroma, OldChroma, Proxy

PARTS = 11
V2 = "/api/v2"


class Bed:
    def __init__(self, chroma, proxy, records_max):
        self.chroma, self.proxy, self.max = chroma, proxy, records_max
        self.connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=120)

    def ask(self, method, path, body=None, **fields):
        """The status and the answer, through the proxy."""
        text = None if body is None else json.dumps(body)
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        self.connection.request(
            method, path, text, {"content-type": "application/json", **headers}
        )
        response = self.connection.getresponse()
        body = response.read()
        return response.status, json.loads(body) if body else None

    def refused(self, method, path, body=None):
        """The message of the refusal."""
        status, answer = self.ask(method, path, body)
        assert (status, answer["error"]) == (403, "AuthError"), (method, path, answer)
        assert "X-Chromabouncer-Confirm: " in answer["message"]
        return answer["message"]

    def fill(self, name, count):
        collection = self.chroma.ask("POST", f"{DATABASE}/collections", {"name": name})["id"]
        path = f"{DATABASE}/collections/{collection}"
        for first in range(0, count, self.max):
            numbers = range(first, min(first + self.max, count))
            self.chroma.ask("POST", f"{path}/upsert", {
                "ids": [f"r{number}" for number in numbers],
                "embeddings": [[float(number % 7), 1.0] for number in numbers],
                "documents": [f"text {number}" for number in numbers],
                "metadatas": [
                    {"all": 1, "part": number // self.max, "edge": int(number <= self.max)}
                    for number in numbers
                ],
            })  # fmt: skip
        return path

    def count(self, path):
        return self.chroma.ask("GET", f"{path}/count")

    def ctl(self, *words):
        path = self.proxy.directory / "control"
        result = subprocess.run(
            [PROXY, "ctl", "--control", path, "-o", "json", "guard", *words],
            capture_output=True,
            text=True,
            timeout=60,
        )
        return result.returncode, json.loads(result.stdout) if result.stdout else result.stderr


class GuardingProxy(Proxy):
    def __init__(self, backend_port, records_max):
        super().__init__(backend_port, [
            "--set", "guard.collections=docs*", "--set", f"guard.records_max={records_max}"
        ])  # fmt: skip

    def start(self):
        self.arguments += ["--control", str(self.directory / "control")]
        super().start()


@pytest.fixture(scope="module", params=["newest", "1.0.20", "0.6.3"])
def bed(request):
    is_newest = request.param == "newest"
    records_max = 1000 if is_newest else 100
    with Chroma(["allow_reset: true"]) if is_newest else OldChroma(request.param) as chroma:
        with GuardingProxy(chroma.port, records_max) as proxy:
            yield Bed(chroma, proxy, records_max)


def test_a_wiped_store_is_not_wiped(bed):
    count = PARTS * bed.max
    docs = bed.fill("docs", count)
    everything = {"where": {"all": 1}}

    # What wipes it: by a filter, by the documents, by every id, by its name, with its database, and
    # with everything else.
    assert f"guard.records_max allows: {bed.max}" in bed.refused("POST", f"{docs}/delete", everything)
    bed.refused("POST", f"{docs}/delete", {"where_document": {"$contains": "text"}})
    bed.refused("POST", f"{docs}/delete", {"ids": [f"r{number}" for number in range(count)]})
    bed.refused("POST", f"{docs}/delete", {"where": {"edge": 1}})  # one too many
    bed.refused("POST", f"{docs}/delete", {"where": {"all": 1}, "limit": 5})
    assert "'docs'" in bed.refused("DELETE", f"{DATABASE}/collections/docs")
    bed.refused("PUT", docs, {"new_name": "other"})
    bed.refused("DELETE", DATABASE)
    bed.refused("POST", f"{V2}/reset")
    bed.refused("DELETE", f"{V2}/tenants/default_tenant")
    if bed.chroma.is_python:
        bed.refused("POST", docs.replace(DATABASE, "/api/v1") + "/delete", everything)
        bed.refused("DELETE", "/api/v1/collections/docs")
        bed.refused("POST", "/api/v1/reset")
    assert bed.count(docs) == count

    # By another's path, which released servers do not hold against the UUID.
    bed.refused("POST", docs.replace("default_database", "no_such") + "/delete", everything)
    assert bed.count(docs) == count

    # What may go: so many as it says, and few ids.
    assert bed.ask("POST", f"{docs}/delete", {"where": {"part": 3}})[0] == 200
    assert bed.count(docs) == count - bed.max
    assert bed.ask("POST", f"{docs}/delete", {"ids": ["r1", "r1", "r2"]})[0] == 200
    assert bed.count(docs) == count - bed.max - 2
    assert bed.ask("POST", f"{docs}/delete", {"where": {"edge": 1}})[0] == 200  # two less by now
    assert bed.count(docs) == count - 2 * bed.max - 1

    # With its name.
    status, _ = bed.ask("POST", f"{docs}/delete", everything, x_chromabouncer_confirm="docs")
    assert status == 200
    assert bed.count(docs) == 0
    assert bed.ctl()[1]["refused"]["records"] >= 4


def test_an_opening_is_for_its_name_and_ends(bed):
    bed.fill("docs-2", 10)
    bed.refused("DELETE", f"{DATABASE}/collections/docs-2")
    assert bed.ctl("open", "docs-2", "2h")[0] == 64
    code, answer = bed.ctl("open", "docs-2", "60s")
    assert code == 0
    assert answer["openings"] == [{"name": "docs-2", "seconds_left": 60}]
    bed.refused("DELETE", DATABASE)
    assert bed.ask("DELETE", f"{DATABASE}/collections/docs-2")[0] == 200
    bed.fill("docs-2", 1)
    assert bed.ctl("close", "docs-2")[1]["openings"] == []
    bed.refused("DELETE", f"{DATABASE}/collections/docs-2")
    assert '"guard_opened"' in bed.proxy.log.read_text()


def test_what_is_not_guarded_goes_as_ever(bed):
    other = bed.fill("other", bed.max + 1)
    assert bed.ask("POST", f"{other}/delete", {"where": {"all": 1}})[0] == 200
    assert bed.count(other) == 0
    assert bed.ask("DELETE", f"{DATABASE}/collections/other")[0] == 200


def test_what_Chroma_would_say_is_said(bed):
    """An invalid filter, and a collection that is not there."""
    docs = bed.fill("docs-3", 1)
    for path in docs, docs[:-12] + "000000000000":
        for body in {"where": {"$no": 1}}, {"where": {"a": 1}}:
            try:
                direct = 200, bed.chroma.ask("POST", f"{path}/delete", body)
            except OSError as error:
                direct = error.code, json.loads(error.body)
            if direct[0] >= 400 and direct[0] < 500:
                assert bed.ask("POST", f"{path}/delete", body) == direct


def test_a_client_sees_what_to_do(bed):
    if bed.chroma.is_python or bed.chroma.name == "old-chroma":
        pytest.skip("its client is another one's")
    import chromadb

    bed.fill("docs-4", bed.max + 1)
    client = chromadb.HttpClient(host="127.0.0.1", port=bed.proxy.port)
    with pytest.raises(Exception, match="X-Chromabouncer-Confirm: docs-4"):
        client.get_collection("docs-4", embedding_function=None).delete(where={"all": 1})
    confirmed = chromadb.HttpClient(
        host="127.0.0.1", port=bed.proxy.port, headers={"X-Chromabouncer-Confirm": "docs-4"}
    )
    confirmed.delete_collection("docs-4")


def test_check_names_a_pattern_that_fits_nothing(bed):
    for name in "docs-5", "docs-6", "docs-7":
        bed.fill(name, 0)
    backend = f"http://127.0.0.1:{bed.chroma.port}"
    patterns = "docs-7,docs-*,slip,slip-*,default_tenant/default_database/docs-6,x*/y/z"
    arguments = ["--backend", backend, "--listen", "127.0.0.1:0", "--status", "off"]
    result = subprocess.run(
        [PROXY, "check", *arguments, "--set", f"guard.collections={patterns}"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    lines = [line for line in result.stdout.splitlines() if " guard " in line]
    assert [line.split("'")[1] for line in lines] == ["slip", "slip-*"], result.stdout
    assert all(line.startswith("warn") for line in lines)
    assert result.returncode == 0
