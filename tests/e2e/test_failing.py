"""A real Chroma that is stopped (SIGSTOP: it hangs) and one that is killed: what reads and writes
get, when they get answers again, and what is shown meanwhile (doc/failing.md)."""

import concurrent.futures
import http.client
import json
import signal
import time

from bed import DATABASE, Chroma, WatchedProxy, wait_for

READS = 24  # above the 20 calls of which half must fail


class Ask:
    """Requests about one collection, each on a connection of its own."""

    def __init__(self, port):
        self.port = port
        answer = self("POST", f"{DATABASE}/collections", {"name": "failing"})
        self.collection = f"{DATABASE}/collections/{json.loads(answer.body)['id']}"
        assert self.write(0).status == 201

    def __call__(self, method, path, body=None, fields=()):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"content-type": "application/json", **dict(fields)})
        response = connection.getresponse()
        response.body = response.read().decode()
        connection.close()
        return response

    def count(self, fields=()):
        return self("GET", f"{self.collection}/count", None, fields)

    def write(self, number):
        body = {"ids": [f"w{number}"], "embeddings": [[1.0, float(number)]]}
        return self("POST", f"{self.collection}/add", body)


def executed(response):
    return response.headers["x-chromabouncer-executed"]


def state_of_reads(proxy):
    return proxy.metric('chromabouncer_breaker_state{of="reads"}')


def settings(*values):
    return [word for value in values for word in ("--set", value)]


def test_a_stopped_chroma_opens_the_breaker_and_is_used_again_when_it_goes_on():
    """Health checks are a minute apart: the breaker asks for a heartbeat by itself."""
    arguments = settings(
        "breaker.reads=refuse",
        "deadline.read=1s",
        "backend.health_timeout=500ms",
    )
    with (
        Chroma() as chroma,
        WatchedProxy(chroma.port, arguments) as proxy,
        concurrent.futures.ThreadPoolExecutor(READS + 1) as pool,
    ):
        ask = Ask(proxy.port)
        chroma.process.send_signal(signal.SIGSTOP)
        try:
            reads = [pool.submit(ask.count) for _ in range(READS)]
            for read in reads:
                answer = read.result()
                assert (answer.status, executed(answer)) == (504, "maybe"), answer.body
            assert state_of_reads(proxy) == 1

            refused_at = time.monotonic()
            refused = ask.count()
            assert (refused.status, executed(refused)) == (503, "no"), refused.body
            assert "breaker of reads is open" in json.loads(refused.body)["message"]
            assert refused.headers["retry-after"] == "1"
            assert time.monotonic() - refused_at < 1  # the deadline of a read that was sent
            page = proxy.get("/")
            assert "reads open: " in page and "calls in 10 s failed" in page, page

            write = pool.submit(ask.write, 1)  # never refused
            time.sleep(1)
            assert not write.done()
        finally:
            chroma.process.send_signal(signal.SIGCONT)
        assert write.result().status == 201
        wait_for(lambda: ask.count().status == 200, "reads are answered again")
        wait_for(lambda: ask.count().status == 200 and state_of_reads(proxy) == 0, "it is closed")
        assert ask.count().body == "2"
        assert "reads closed" in proxy.get("/")


def test_by_default_a_stopped_chroma_answers_all_who_wait_when_it_goes_on():
    """And who says how long he waits is told in time, and not sent when that is past."""
    arguments = settings("deadline.from_client=true")
    with (
        Chroma() as chroma,
        WatchedProxy(chroma.port, arguments) as proxy,
        concurrent.futures.ThreadPoolExecutor(READS) as pool,
    ):
        ask = Ask(proxy.port)
        chroma.process.send_signal(signal.SIGSTOP)
        try:
            reads = [pool.submit(ask.count) for _ in range(READS)]
            began = time.monotonic()
            for field in ({"x-request-timeout-ms": "700"}, {"grpc-timeout": "700m"}):
                late = ask.count(field)
                assert (late.status, executed(late)) == (504, "maybe"), late.body
                assert next(iter(field)) in late.body
            assert 1.4 <= time.monotonic() - began < 30
        finally:
            chroma.process.send_signal(signal.SIGCONT)
        assert {read.result().status for read in reads} == {200}
        answer = ask.count({"x-request-timeout-ms": "30000"})
        assert (answer.status, answer.body) == (200, "1")


def test_a_killed_chroma_is_used_by_the_first_read_after_it_listens():
    """With health checks a minute apart: nobody has to notice first that it is back."""
    with Chroma() as chroma, WatchedProxy(chroma.port) as proxy:
        ask = Ask(proxy.port)
        chroma.kill()
        for _ in range(10):
            answer = ask.count()
            assert (answer.status, executed(answer)) == (503, "no"), answer.body
            assert "breaker" not in answer.body
        assert state_of_reads(proxy) == 1
        assert "reads open: 5 calls in a row could not connect" in proxy.get("/")
        chroma.start()
        answer = ask.count()
        assert (answer.status, answer.body) == (200, "1")
        wait_for(lambda: ask.count().status == 200 and state_of_reads(proxy) == 0, "it is closed")
