"""reads.limit and overload: shed in front of a real Chroma: the bound is kept, what is refused was
not sent and is understood by Chroma's own client, and by default nothing is refused.
"""

import http.client
import json
import signal
import subprocess
import threading

import chromadb
import pytest

from bed import DATABASE, PROXY, Chroma, WatchedProxy, wait_for

READS = 8


@pytest.fixture(scope="module")
def chroma():
    with Chroma() as chroma:
        collection = chroma.ask("POST", f"{DATABASE}/collections", {"name": "limited"})["id"]
        chroma.collection = f"{DATABASE}/collections/{collection}"
        body = {"ids": ["a"], "embeddings": [[1.0, 2.0]]}
        chroma.ask("POST", f"{chroma.collection}/add", body)
        yield chroma


class Limited:
    """A proxy, and reads through it while Chroma stands still."""

    def __init__(self, chroma, folder, *settings):
        words = [word for setting in settings for word in ("--set", setting)]
        self.control = ["--control", f"{folder}/control"]
        self.chroma, self.proxy = chroma, WatchedProxy(chroma.port, [*words, *self.control])
        self.answers = []

    def __enter__(self):
        self.proxy.__enter__()
        wait_for(lambda: self.proxy.metric("chromabouncer_backend_up") == 1, "the backend is up")
        return self

    def __exit__(self, *words):
        self.chroma.process.send_signal(signal.SIGCONT)
        return self.proxy.__exit__(*words)

    def limits(self):
        command = [str(PROXY), "ctl", "limits", "-o", "json", *self.control]
        answer = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        return answer, {row["limit"]: row for row in answer["limits"]}

    def ask(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.proxy.port, timeout=60)
        alone = {"cache-control": "no-store"}  # else those that wait would share one call
        connection.request("GET", f"{self.chroma.collection}/count", headers=alone)
        response = connection.getresponse()
        self.answers.append((response, response.read()))

    def ask_while_it_stands_still(self, settled):
        """Of READS counts one gets its turn and hangs; go on when the others have `settled`."""
        self.chroma.process.send_signal(signal.SIGSTOP)
        threads = [threading.Thread(target=self.ask) for _ in range(READS)]
        for thread in threads:
            thread.start()
        wait_for(lambda: settled(self.limits()[1]["reads.limit"]), "the others are settled")
        self.chroma.process.send_signal(signal.SIGCONT)
        for thread in threads:
            thread.join()
        return sorted(response.status for response, _ in self.answers)


def test_by_default_reads_beyond_the_limit_wait(chroma, tmp_path):
    with Limited(chroma, tmp_path, "reads.limit=1") as limited:
        statuses = limited.ask_while_it_stands_still(lambda row: row["waiting"] == READS - 1)
        assert statuses == [200] * READS
        assert limited.limits()[1]["reads.limit"]["refused"] == 0


def test_with_shed_they_are_refused_and_told_why(chroma, tmp_path):
    with Limited(chroma, tmp_path, "reads.limit=1", "overload=shed") as limited:
        client = chromadb.HttpClient(host="127.0.0.1", port=limited.proxy.port)
        collection = client.get_collection("limited")
        statuses = limited.ask_while_it_stands_still(lambda row: row["refused"] == READS - 1)
        assert statuses == [200] + [429] * (READS - 1)
        for response, body in limited.answers:
            if response.status == 429:
                assert response.getheader("retry-after") == "1"
                assert response.getheader("x-chromabouncer-executed") == "no"
                assert json.loads(body)["error"] == "Backoff"
                assert "reads.limit is 1 now" in json.loads(body)["message"]
        chroma.process.send_signal(signal.SIGSTOP)
        hangs = threading.Thread(target=limited.ask)
        hangs.start()
        name = 'chromabouncer_limit_refused_total{limit="%s",service=""}'
        for limit, row in limited.limits()[1].items():  # what ctl shows is on the metrics page
            assert limited.proxy.metric(name % limit) == row["refused"], limit
        wait_for(lambda: limited.limits()[1]["reads.limit"]["in_use"] == 1, "one hangs")
        with pytest.raises(Exception, match="reads.limit is 1 now"):
            collection.count()
        chroma.process.send_signal(signal.SIGCONT)
        hangs.join()
        assert collection.count() == 1


def test_what_adaptive_would_allow_is_shown_before_it_is_set(chroma, tmp_path):
    with Limited(chroma, tmp_path) as limited:
        answer, rows = limited.limits()
        assert rows["reads.limit"]["setting"] == "none"
        assert rows["reads.limit"]["bound"] == 47  # of 64 connections
        assert answer["reads_adaptive"] == 4
        command = [str(PROXY), "ctl", "set", "reads.limit=adaptive", *limited.control]
        subprocess.run(command, check=True, capture_output=True)
        answer, rows = limited.limits()
        assert rows["reads.limit"]["setting"] == "adaptive"
        assert rows["reads.limit"]["bound"] == answer["reads_adaptive"] == 4
