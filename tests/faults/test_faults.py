"""One test per fault: a clear error in Chroma's shape or a clean close, nothing hangs, nothing
leaks, the next request works. Started by tests/faults/run.
"""

import contextlib
import json
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from fault_bed import (
    DATABASE,
    PROXY,
    TEST_SECONDS,
    Client,
    Cut,
    FaultTest,
    Load,
    Program,
    Proxy,
    raise_descriptor_limit,
    record,
    record_of_bytes,
    wait_for,
)

BODY_BYTES = 40 << 20  # Chroma's own limit
BUSY = 'chromabouncer_backend_connections{state="busy"}'


def closed_port():
    """An address at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


class BackendFaults(FaultTest):
    """Chroma is absent, dies, stalls or talks nonsense."""

    def test_backend_absent_at_start(self):
        address = closed_port()
        self.proxy = self.start_proxy(f"http://{address}")
        with Client(self.proxy.listen) as client:
            answer = client.ask("GET", "/api/v2/heartbeat", None)
            message = self.expect_error(answer, 503, executed="no")
            self.assertIn(address, message)
            self.assertIn("retry-after", answer.fields)
        self.assertEqual(self.proxy.status_of("/readyz").status, 200)
        self.assertEqual(self.proxy.status_of("/readyz?backend=1").status, 503)
        self.assertEqual(self.proxy.metrics()["chromabouncer_backend_up"], 0)

        self.stub = self.start_stub(listen=address)
        self.collection = self.stub.new_collection("faults")
        self.expect_service()
        wait_for(
            lambda: self.proxy.status_of("/readyz?backend=1").status == 200, "the backend is up"
        )
        self.expect_end()

    def test_backend_killed_and_restarted_under_load(self):
        """Reads are refused at once; writes, which are tried again, when their deadline is over."""
        self.start_both(deadline__write="500ms")

        def request(identifier):
            if int(identifier.split("-")[1]) % 2:
                return "GET", f"{self.collection}/count"
            return "POST", f"{self.collection}/upsert", record(identifier)

        with Load(self.proxy.listen, request) as load:
            wait_for(lambda: load.outcomes[200] > 100, "load runs")
            for _ in range(3):
                self.stub.kill()
                before = load.outcomes[503]
                wait_for(lambda: load.outcomes[503] > before + 20, f"refusals: {load.outcomes}")
                self.stub.start()
                self.collection = self.stub.new_collection("faults")
                before = load.outcomes[200]
                wait_for(lambda: load.outcomes[200] > before + 100, "service again")
        # 404: between the start of the new stub and the making of its collection.
        self.assertLessEqual(set(load.outcomes), {200, 404, 502, 503, 504})
        self.assertLess(load.slowest, 5)
        for answer in load.answers:
            if answer.status != 404:
                self.expect_error(answer, answer.status)
        self.expect_recovery()

    def test_backend_restarted_during_a_pause(self):
        """No request fails, though there is no Chroma for a second and the deadlines are shorter."""
        control = self.directory / "control"
        self.start_both(
            control__path=control,
            deadline__read="500ms",
            deadline__write="500ms",
            queue__wait_max="500ms",
        )

        def ctl(*words):
            command = [PROXY, "ctl", *words, "--control", str(control), "-o", "json"]
            done = subprocess.run(command, check=True, capture_output=True, timeout=TEST_SECONDS)
            return json.loads(done.stdout)

        def request(identifier):
            if int(identifier.split("-")[1]) % 2:
                return "GET", "/api/v2/heartbeat"
            return "POST", f"{DATABASE}/collections", {"name": identifier, "get_or_create": True}

        with Load(self.proxy.listen, request) as load:
            wait_for(lambda: load.outcomes[200] > 100, "load runs")
            self.assertTrue(ctl("pause", "--wait")["paused"])
            self.assertEqual(ctl("stats")["under_way"], 0)
            self.stub.kill()
            before = sum(load.outcomes.values())
            time.sleep(1)
            self.assertLessEqual(sum(load.outcomes.values()), before + 8)
            self.stub.start()
            self.assertFalse(ctl("resume")["paused"])
            before = load.outcomes[200]
            wait_for(lambda: load.outcomes[200] > before + 100, "service again")
        self.assertEqual(set(load.outcomes), {200}, load.answers[:3])
        self.collection = self.stub.new_collection("faults")
        self.expect_recovery()

    def test_refused_request_tells_readyz_before_the_heartbeat(self):
        self.start_both(backend__health_interval="1s")
        ready = "/readyz?backend=1"
        wait_for(lambda: self.proxy.status_of(ready).status == 200, "the backend is up")
        self.stub.kill()
        with Client(self.proxy.listen) as client:
            self.assertEqual(client.ask("GET", f"{self.collection}/count").status, 503)
        answer = self.proxy.status_of(ready)
        self.assertEqual(answer.status, 503)
        self.assertIn(b"[--] backend: ", answer.body)
        self.stub.start()
        wait_for(lambda: self.proxy.status_of(ready).status == 200, "a heartbeat tells, too")
        self.stub.new_collection("faults")
        self.expect_recovery()

    def test_stalled_read_gets_504_in_time(self):
        self.start_both(deadline__read="300ms")
        self.stub.command_lines("stall=10s,op=count")
        began = time.monotonic()
        with Client(self.proxy.listen) as client:
            answer = client.ask("GET", f"{self.collection}/count")
            self.expect_error(answer, 504, executed="maybe")
            self.assertLess(time.monotonic() - began, 3)
            self.assertEqual(client.ask("GET", "/api/v2/heartbeat").status, 200)
        self.expect_recovery()

    def test_stalled_write_gets_504_but_is_not_cancelled(self):
        self.start_both(deadline__write="300ms")
        before = self.stub.stats()
        self.stub.command_lines("stall=1500ms,op=upsert,count=1")
        with Client(self.proxy.listen) as client:
            answer = client.ask("POST", f"{self.collection}/upsert", record("late"))
        self.expect_error(answer, 504, executed="maybe")
        wait_for(
            lambda: self.stub.stats()["log_records"] == before["log_records"] + 1,
            "the write is applied",
        )
        self.assertEqual(self.stub.stats()["abandoned"], before["abandoned"])
        self.expect_recovery()

    def test_stall_of_everything_does_not_stop_the_proxy(self):
        self.start_both(deadline__read="500ms", backend__connections_max="4", queue__wait_max="500ms")
        self.stub.command_lines("stall=10s")
        answers = []

        def ask():
            with Client(self.proxy.listen) as client:
                answers.append(client.ask("GET", f"{self.collection}/count"))

        threads = [threading.Thread(target=ask) for _ in range(16)]
        for thread in threads:
            thread.start()
        self.assertEqual(self.proxy.status_of("/livez").status, 200)
        for thread in threads:
            thread.join()
        self.assertEqual(len(answers), 16)
        for answer in answers:
            self.expect_error(answer, 504)
        self.expect_recovery()

    def test_backend_closes_idle_connections(self):
        self.start_both()
        with Client(self.proxy.listen) as client:
            for number in range(30):
                self.stub.command_lines("close-idle")
                request = ("GET", f"{self.collection}/count")
                if number % 2:
                    request = ("POST", f"{self.collection}/upsert", record(f"idle-{number}"))
                answer = client.ask(*request)
                self.assertEqual(answer.status, 200, answer)
        self.expect_recovery()

    def test_backend_closes_without_announcing_it(self):
        """A read is sent again. A write that met the closing connection cannot be: 502, once."""
        self.start_both()
        before = self.stub.stats()["log_records"]
        self.stub.command_lines("quiet-close,op=count", "quiet-close,op=upsert")
        applied = 0
        with Client(self.proxy.listen) as client:
            for number in range(30):
                answer = client.ask("POST", f"{self.collection}/upsert", record(f"quiet-{number}"))
                if answer.status == 200:
                    applied += 1
                else:
                    self.expect_error(answer, 502, executed="maybe")
                self.assertEqual(client.ask("GET", f"{self.collection}/count").status, 200)
        self.assertEqual(self.stub.stats()["log_records"], before + applied)
        self.assertGreater(applied, 15)
        self.expect_recovery()

    def test_backend_answers_garbage(self):
        self.start_both()
        self.stub.command_lines("garbage,op=count", "garbage,op=upsert")
        with Client(self.proxy.listen) as client:
            for _ in range(5):
                answer = client.ask("GET", f"{self.collection}/count")
                self.expect_error(answer, 502)
                answer = client.ask("POST", f"{self.collection}/upsert", record("garbage"))
                self.expect_error(answer, 502, executed="maybe")
        metrics = self.proxy.metrics()
        self.assertEqual(metrics["chromabouncer_backend_garbled_answers_total"], 10)
        self.expect_recovery()

    def test_backend_sends_half_an_answer(self):
        self.start_both()
        self.stub.command_lines("half-answer,op=get", "half-answer,op=raw")
        for request in (
            ("POST", f"{self.collection}/get", {}),
            ("GET", "/bench/20k"),
            ("GET", "/bench/bytes/5000000"),
        ):
            for _ in range(3):
                with Client(self.proxy.listen) as client:
                    try:
                        self.expect_error(client.ask(*request), 502)
                    except Cut:
                        pass  # a part was out already: the client sees that it is not complete
        self.expect_recovery()

    def test_backend_sends_more_than_declared(self):
        self.start_both()
        with Client(self.proxy.listen) as client:
            right = client.ask("GET", "/bench/20k")
            self.stub.command_lines("long-answer,op=raw")
            for _ in range(5):
                answer = client.ask("GET", "/bench/20k")
                self.assertEqual(answer.status, 200)
                self.assertEqual(answer.body, right.body[: len(answer.body)])
                # Never the surplus as somebody's answer.
                answer = client.ask("GET", f"{self.collection}/count")
                self.assertEqual((answer.status, answer.body), (200, b"1"))
        self.assertEqual(client.unread, b"")
        self.expect_recovery()

    def test_backend_resets_before_and_after_it_applied(self):
        self.start_both()
        for cut in ("reset=before", "reset=after", "close=before", "close=after"):
            before = self.stub.stats()["log_records"]
            self.stub.command_lines("clear", f"{cut},op=upsert", f"{cut},op=count")
            with Client(self.proxy.listen) as client:
                answer = client.ask("POST", f"{self.collection}/upsert", record(cut))
                self.expect_error(answer, 502, executed="maybe")
                self.expect_error(client.ask("GET", f"{self.collection}/count"), 502)
            applied = self.stub.stats()["log_records"] - before
            self.assertEqual(applied, 1 if "after" in cut else 0, cut)
        self.expect_recovery()

    def test_backend_half_closes(self):
        self.start_both()
        self.stub.command_lines("half-close=before,op=count", "half-close=after,op=upsert")
        with Client(self.proxy.listen) as client:
            for number in range(5):
                self.expect_error(client.ask("GET", f"{self.collection}/count"), 502)
                answer = client.ask("POST", f"{self.collection}/upsert", record(f"half-{number}"))
                self.assertEqual(answer.status, 200, answer)
        self.expect_recovery()

    def test_backend_refuses_a_large_write_before_it_is_sent(self):
        self.start_both()
        self.stub.command_lines("early=413,op=upsert")
        with Client(self.proxy.listen) as client:
            for _ in range(5):
                answer = client.ask("POST", f"{self.collection}/upsert", record_of_bytes(5 << 20))
                self.assertIn(answer.status, (413, 502), answer)
                self.assertEqual(client.ask("GET", f"{self.collection}/count").status, 200)
        self.expect_recovery()


class BackendHealth(FaultTest):
    """What the proxy finds out of Chroma by itself: is it there, and is it still the same?"""

    MOVED = "chromabouncer_backend_incarnations_total"
    MAY_MERGE = "chromabouncer_backend_may_merge"
    CHECKS = "chromabouncer_backend_checks_total"

    def metric(self, name):
        return self.proxy.metrics()[name]

    def wait_until_known(self):
        wait_for(lambda: self.metric(self.MAY_MERGE) == 1, "the family is known")

    def test_restart_is_noticed_without_a_request_or_a_check(self):
        """By the connection that breaks; what was known is void, and asked again."""
        self.start_both(backend__health_interval="30s")
        self.wait_until_known()
        before = self.metric(self.MOVED)
        time.sleep(1.5)
        self.assertEqual(self.metric(self.MOVED), before)
        self.stub.kill()
        wait_for(lambda: self.metric(self.MOVED) == before + 1, "the connection broke")
        self.assertEqual(self.metric(self.MAY_MERGE), 0)
        self.stub.start()
        self.wait_until_known()
        self.assertEqual(self.metric(self.MOVED), before + 2)
        wait_for(lambda: len(self.proxy.events("backend_known")) == 2, "the log says so")
        self.collection = self.stub.new_collection("faults")
        self.expect_recovery()

    def test_backend_without_a_known_family_is_not_merged_for(self):
        """It says so in the log, on the page, in the metrics and by `check`."""
        self.start_both()
        self.wait_until_known()
        self.stub.command_lines("status=401,op=admin", "close-idle")
        wait_for(lambda: b"merging      off: " in self.proxy.status_of("/").body, "the page says so")
        wait_for(
            lambda: [x["merging"] for x in self.proxy.events("backend_known")][-1:] == ["off"],
            "the log says so",
        )
        self.assertEqual(self.metric(self.MAY_MERGE), 0)
        command = [PROXY, "check", "--backend", self.stub.url, "--listen", "127.0.0.1:0"]
        checked = subprocess.run([*command, "--status", "off"], capture_output=True, text=True)
        self.assertEqual(checked.returncode, 0, checked.stdout)
        self.assertIn("warn  merging         off", checked.stdout)
        self.stub.command_lines("clear")
        self.expect_recovery()

    def test_hung_calls_on_all_connections_leave_the_check_its_own(self):
        self.start_both(backend__connections_max="4", deadline__read="5s")
        wait_for(lambda: self.metric(self.CHECKS) > 2, "checks run")
        self.stub.command_lines("stall=4s,op=count")
        clients = [Client(self.proxy.listen) for _ in range(16)]
        for client in clients:
            client.send_request("GET", f"{self.collection}/count")
        wait_for(lambda: self.metric(BUSY) >= 2, "all that reads can have are busy")
        before = self.metric(self.CHECKS)
        wait_for(lambda: self.metric(self.CHECKS) > before + 3, "checks go on")
        self.assertEqual(self.proxy.status_of("/readyz?backend=1").status, 200)
        for client in clients:
            client.close()
        self.stub.command_lines("clear")
        self.expect_recovery()

    def test_state_and_reason_are_of_the_same_moment(self):
        self.start_both()
        self.stub.kill()
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            answer = self.proxy.status_of("/readyz?backend=1")
            lines = answer.body.decode().splitlines()
            self.assertNotIn("[--] backend", lines)
            self.assertFalse([line for line in lines if line.startswith("[ok] backend:")], lines)
            self.assertEqual(answer.status == 200, "[ok] backend" in lines)
        self.assertEqual(answer.status, 503)
        self.stub.start()
        self.collection = self.stub.new_collection("faults")
        self.expect_recovery()

    def test_server_without_api_v2_is_up_for_all(self):
        """Chroma 0.4: 404 to the heartbeat of API v2 is an answer."""
        self.start_both()
        self.stub.command_lines("status=404,op=admin")
        before = self.metric(self.CHECKS)
        wait_for(lambda: self.metric(self.CHECKS) > before + 3, "checks go on")
        self.assertEqual(self.proxy.status_of("/readyz?backend=1").status, 200)
        for command in (["check", "--status", "off", "--listen", "127.0.0.1:0"], ["health"]):
            ran = subprocess.run([PROXY, *command, "--backend", self.stub.url], capture_output=True)
            self.assertEqual(ran.returncode, 0, ran)
        self.stub.command_lines("clear")
        self.expect_recovery()

    def test_checks_and_requests_resolve_alike(self):
        """A name that libcurl knows better than the system: `localhost` as ::1."""
        known = socket.getaddrinfo("localhost", 1, type=socket.SOCK_STREAM)
        if "::1" in {item[4][0] for item in known}:
            self.skipTest("the system knows ::1 for localhost")
        stub = self.start_stub(listen="[::1]:0")
        url = f"http://localhost:{stub.listen.rpartition(':')[2]}"
        self.proxy = self.start_proxy(url)
        with Client(self.proxy.listen) as client:
            self.expect_error(client.ask("GET", "/api/v2/heartbeat"), 503)
        time.sleep(1)
        self.assertEqual(self.proxy.status_of("/readyz?backend=1").status, 503)
        self.assertEqual(self.metric("chromabouncer_backend_up"), 0)
        command = [PROXY, "health", "--backend", url]
        self.assertEqual(subprocess.run(command, capture_output=True).returncode, 69)
        self.expect_end()


class ClientFaults(FaultTest):
    """Clients that vanish, dawdle or come in crowds."""

    REPEATS = 5

    def vanish(self, leave_at):
        """leave_at(client) brings a client to the point at which it vanishes, by FIN and by RST."""
        for number in range(2 * self.REPEATS):
            client = Client(self.proxy.listen)
            leave_at(client)
            if number % 2:
                client.reset()
            else:
                client.close()

    def test_client_vanishes_during_the_head(self):
        self.start_both()
        self.vanish(lambda client: client.send(b"POST /api/v2/x HTTP/1.1\r\nhost: f\r\nx-part: "))
        self.expect_recovery()

    def test_client_vanishes_during_the_body(self):
        self.start_both()
        before = self.stub.stats()
        for operation in ("upsert", "query"):  # kept, and streamed
            self.vanish(
                lambda client: client.send_request(
                    "POST", f"{self.collection}/{operation}", b'{"ids": [' * 60000, size=BODY_BYTES
                )
            )
        self.expect_recovery()
        # Never half a write: only the one of expect_service() came on.
        self.assertEqual(self.proxy.process.returncode, 0)
        after = self.stub.stats()
        self.assertEqual(after["requests"]["upsert"], before["requests"]["upsert"] + 1)

    def test_client_vanishes_while_a_read_waits(self):
        self.start_both()
        self.stub.command_lines("stall=20s,op=count")
        before = self.stub.stats()["abandoned"]

        def leave_at(client):
            client.send_request("GET", f"{self.collection}/count")
            wait_for(lambda: self.proxy.metrics()[BUSY] == 1, "the read is at the backend")

        for end in (Client.close, Client.reset) * 3:
            client = Client(self.proxy.listen)
            leave_at(client)
            end(client)
            wait_for(lambda: self.proxy.metrics()[BUSY] == 0, "the read is cut")
        wait_for(lambda: self.stub.stats()["abandoned"] == before + 6, "the backend is told")
        self.expect_recovery()

    def test_client_vanishes_while_a_write_waits(self):
        self.start_both()
        self.stub.command_lines("stall=300ms,op=upsert")
        before = self.stub.stats()
        for number in range(6):
            client = Client(self.proxy.listen)
            client.send_request("POST", f"{self.collection}/upsert", record(f"gone-{number}"))
            wait_for(lambda: self.stub.stats()["writes_in_flight"] > 0, "the write is sent")
            if number % 2:
                client.reset()
            else:
                client.close()
        wait_for(
            lambda: self.stub.stats()["log_records"] == before["log_records"] + 6,
            "all writes are applied",
        )
        self.assertEqual(self.stub.stats()["abandoned"], before["abandoned"])
        self.expect_recovery()

    def test_client_vanishes_during_the_answer(self):
        self.start_both()

        def leave_at(client):
            client.send_request("GET", "/bench/bytes/50000000")
            client.socket.recv(1 << 16)

        self.vanish(leave_at)
        self.expect_recovery()

    def test_client_sends_bytes_after_it_was_refused(self):
        self.start_both()
        with Client(self.proxy.listen) as client:
            client.send_request("POST", f"{self.collection}/upsert", size=BODY_BYTES + 1)
            client.send(b"x" * (1 << 20))
            answer = client.receive()
            self.assertEqual((answer.status, answer.body), (413, b"Payload too large"))
            self.assertTrue(client.is_closed_by_peer())
        self.expect_recovery()

    def test_bodies_that_trickle_are_refused_in_time_and_stop_nobody(self):
        """64 clients announce 40 MiB and send 1 KB/s, with the span shortened to 2 s."""
        self.start_both(listen__body_timeout="2s")
        alone = self.seconds_of_large_write()  # on a busy machine it is a second
        clients = [Client(self.proxy.listen) for _ in range(64)]
        stopping = threading.Event()

        def trickle():
            while not stopping.wait(0.25):
                for client in clients:
                    with contextlib.suppress(OSError):
                        client.socket.send(b"x" * 256)

        for client in clients:
            client.send_request("POST", f"{self.collection}/upsert", b"{", size=BODY_BYTES)
        trickler = threading.Thread(target=trickle)
        trickler.start()
        try:
            with Load(
                self.proxy.listen,
                lambda identifier: ("POST", f"{self.collection}/upsert", record(identifier)),
                threads=2,
                pause=0.05,
            ) as load:
                began = time.monotonic()
                self.assertLess(self.seconds_of_large_write(), 1 + 5 * alone)
                for client in clients:
                    self.expect_error(client.receive(), 408, executed="no")
                self.assertLess(time.monotonic() - began, 8 + 5 * alone)
            self.assertEqual(set(load.outcomes), {200})
            self.assertLess(load.slowest, 1 + 5 * alone)
        finally:
            stopping.set()
            trickler.join()
        for client in clients:
            self.assertTrue(client.is_closed_by_peer())
            client.close()
        self.expect_recovery()

    def seconds_of_large_write(self):
        began = time.monotonic()
        with Client(self.proxy.listen) as client:
            answer = client.ask("POST", f"{self.collection}/upsert", record_of_bytes(4 << 20))
        self.assertEqual(answer.status, 200)
        return time.monotonic() - began

    def test_heads_that_trickle_are_refused_in_time(self):
        self.start_both(listen__head_timeout="500ms")
        clients = [Client(self.proxy.listen) for _ in range(50)]
        for client in clients:
            client.send(b"GET /api/v2/heartbeat HTTP/1.1\r\nho")
        self.expect_service()
        for client in clients:
            self.expect_error(client.receive(), 408, executed="no")
            self.assertTrue(client.is_closed_by_peer())
            client.close()
        self.expect_recovery()

    def test_answers_that_are_not_read_are_held_in_bounded_memory_and_cut(self):
        self.start_both(listen__send_timeout="1s")
        clients = [Client(self.proxy.listen, receive_buffer=4096) for _ in range(20)]
        for client in clients:
            client.send_request("GET", "/bench/bytes/100000000")
        deadline, most = time.monotonic() + 0.7, 0
        while time.monotonic() < deadline:
            metrics = self.proxy.metrics()
            most = max(most, metrics["chromabouncer_buffered_bytes"])
        self.assertGreater(most, 0)
        self.assertLess(most, 20 * (1 << 20))
        self.expect_service()
        wait_for(
            lambda: self.proxy.metrics()["chromabouncer_client_connections"] == 0, "clients are cut"
        )
        for client in clients:
            self.assertRaises(Cut, client.receive)
            client.close()
        self.expect_recovery()

    def test_answers_that_are_read_steadily_are_not_cut(self):
        """However long the socket's buffer, which takes megabytes, says that it is full."""
        self.start_both(listen__send_timeout="1s")
        with Client(self.proxy.listen) as client:
            client.send_request("GET", "/bench/bytes/30000000")
            deadline = time.monotonic() + 8
            while time.monotonic() < deadline:
                self.assertGreater(len(client.socket.recv(20000)), 0)
                time.sleep(0.1)
            timeouts = "chromabouncer_client_timeouts_total"
            self.assertEqual(self.proxy.metrics()[timeouts], 0)
            wait_for(lambda: self.proxy.metrics()[timeouts] == 1, "it reads no more, and is cut")
        line = wait_for(
            lambda: [x for x in self.proxy.events("request") if x["path"].startswith("/bench")],
            "it is logged",
        )[0]
        self.assertEqual(line["end"], "client")
        self.assertNotEqual(line["status"], 504)
        late = [name for name in self.proxy.metrics() if 'code="504"' in name]
        self.assertEqual(late, [])
        self.expect_recovery()

    def test_metrics_cost_the_loop_the_same_with_many_clients(self):
        count = min(3000, (raise_descriptor_limit() - 500) // 2)
        self.start_both()
        before = self.proxy.metrics()["process_open_fds"]
        clients = [Client(self.proxy.listen) for _ in range(count)]
        wait_for(
            lambda: self.proxy.metrics()["process_open_fds"] >= before + count, "all are counted"
        )
        lag = 'chromabouncer_loop_lag_seconds_bucket{le="0.0025"}'
        total = "chromabouncer_loop_lag_seconds_count"
        first = self.proxy.metrics()
        for _ in range(50):
            last = self.proxy.metrics()
        slow = (last[total] - first[total]) - (last[lag] - first[lag])
        self.assertLess(slow, 25)  # not 0: others may have the CPU meanwhile
        for client in clients:
            client.close()
        self.expect_recovery()

    def test_more_connections_than_allowed(self):
        """10 000 at the default limit of 4096, where the limit of descriptors allows it."""
        descriptors = raise_descriptor_limit()
        count = min(10000, (descriptors - 500) // 2)
        limit = count * 4096 // 10000
        if count < 10000:
            print(f"(scaled to {count} connections: {descriptors} descriptors) ", end="")
        self.start_both(listen__connections_max=limit)
        clients = [Client(self.proxy.listen) for _ in range(count)]
        served = refused = closed = 0
        for client in clients:
            client.send_request("GET", "/api/v2/heartbeat")
            try:
                answer = client.receive()
            except Cut:
                closed += 1  # beyond those that get a lingering close, the answer may be lost
                continue
            if answer.status == 200:
                served += 1
            else:
                refused += 1
                self.expect_error(answer, 503, executed="no")
        self.assertEqual(served, limit)
        self.assertEqual(served + refused + closed, count)
        self.assertGreater(refused, 0)
        metrics = self.proxy.metrics()
        self.assertEqual(
            metrics['chromabouncer_client_connections_refused_total{reason="limit"}'],
            count - limit,
        )
        for client in clients:
            client.close()
        wait_for(
            lambda: self.proxy.metrics()["chromabouncer_client_connections"] == 0, "all are gone"
        )
        self.expect_recovery()

    def test_out_of_descriptors(self):
        """Limited to 100 at run time, for 300 clients: some are served, the others told."""
        self.start_both()
        resource.prlimit(self.proxy.process.pid, resource.RLIMIT_NOFILE, (100, 100))
        clients = [Client(self.proxy.listen, timeout=10) for _ in range(300)]
        outcomes = []
        for client in clients:
            client.send_request("GET", f"{self.collection}/count")
            try:
                answer = client.receive()
                outcomes.append(answer.status)
                if answer.status != 200:
                    self.expect_error(answer, 503, executed="no")
            except Cut:
                outcomes.append("closed")
            except TimeoutError:
                outcomes.append("hangs")
        self.assertLessEqual(set(outcomes), {200, 503, "closed"})
        self.assertGreater(outcomes.count(200), 20)
        for client in clients:
            client.close()
        wait_for(
            lambda: self.proxy.metrics()["chromabouncer_client_connections"] == 0, "all are gone"
        )
        name = 'chromabouncer_client_connections_refused_total{reason="descriptors"}'
        self.assertGreater(self.proxy.metrics()[name], 0)
        self.expect_recovery()

    def test_limit_of_descriptors_too_low_for_the_settings(self):
        """Said at start, instead of refusing clients at the busiest hour."""
        self.stub = self.start_stub()
        proxy = Proxy(self.directory, self.stub.url, descriptors=120)
        self.addCleanup(proxy.kill)
        proxy.command = [PROXY, "run", "--backend", self.stub.url, "--listen", "127.0.0.1:0"]
        proxy.spawn()
        self.assertEqual(proxy.wait(), 78)
        self.assertIn("the hard limit is 120", proxy.errors())
        self.collection = self.stub.new_collection("faults")
        self.proxy = self.start_proxy(
            self.stub.url, descriptors=160, listen__connections_max=20, backend__connections_max=8
        )
        self.expect_service()
        self.expect_end()


class Operation(FaultTest):
    """Starting, stopping, signals, logs and addresses."""

    def test_log_file_on_a_full_disk(self):
        self.start_both(log__file="/dev/full", log__format="json")
        for _ in range(50):
            self.expect_service()
        self.proxy.signal(signal.SIGUSR1)
        self.expect_service()
        wait_for(
            lambda: self.proxy.metrics()["chromabouncer_log_lines_dropped_total"] > 100,
            "dropped lines are counted",
        )
        self.expect_recovery()

    def test_log_goes_on_when_the_disk_has_room_again(self):
        disk = pathlib.Path(tempfile.mkdtemp(prefix="faults-disk-"))
        self.addCleanup(shutil.rmtree, disk, ignore_errors=True)
        mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
        if subprocess.run(mount, stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("a small tmpfs cannot be mounted here")
        self.addCleanup(subprocess.run, ["umount", "-l", str(disk)])
        self.start_both(log__file=disk / "log", log__format="json")
        name = "chromabouncer_log_lines_dropped_total"

        def fill():
            self.expect_service()
            return self.proxy.metrics()[name] > 0

        wait_for(fill, "the disk is full")
        (disk / "log").rename(disk / "old")
        (disk / "old").unlink()
        self.proxy.signal(signal.SIGUSR1)
        wait_for((disk / "log").exists, "the log is opened again")
        self.expect_service()
        wait_for(lambda: "log_lines_dropped" in (disk / "log").read_text(), "the loss is logged")
        for line in (disk / "log").read_text().splitlines():
            json.loads(line)
        self.expect_recovery()

    def test_killed_and_started_again_at_the_same_addresses(self):
        path = self.directory / "proxy.sock"
        self.stub = self.start_stub()
        self.collection = self.stub.new_collection("faults")
        for listen in ("127.0.0.1:0", f"unix:{path}"):
            self.proxy = self.start_proxy(self.stub.url, listen=listen)
            self.expect_service()
            self.proxy.kill()
            self.proxy.start()
            self.expect_service()
            self.expect_end()

    def test_drain_under_load_fails_no_request(self):
        self.start_both(drain__timeout="10s")
        self.stub.command_lines("stall=20ms")
        with Load(
            self.proxy.listen,
            lambda identifier: ("POST", f"{self.collection}/upsert", record(identifier)),
        ) as load:
            wait_for(lambda: load.outcomes[200] > 100, "load runs")
            self.proxy.signal(signal.SIGTERM)
            wait_for(lambda: self.proxy.status_of("/readyz").status == 503, "not ready", 2)
            before = load.outcomes[200]
            wait_for(lambda: load.outcomes[200] > before + 100, "service while draining")
        self.assertEqual(set(load.outcomes), {200})
        self.assertEqual(self.proxy.wait(), 0)
        self.expect_no_complaint(self.proxy)
        self.assertEqual(len(self.proxy.events("draining")), 1)
        self.assertEqual(len(self.proxy.events("stopped")), 1)
        self.assertEqual(self.proxy.events("drain_timeout"), [])

    def test_write_in_flight_is_waited_for_in_a_drain(self):
        self.start_both(drain__timeout="10s")
        self.stub.command_lines("stall=1s,op=upsert")
        with Client(self.proxy.listen) as client:
            client.send_request("POST", f"{self.collection}/upsert", record("drain"))
            wait_for(lambda: self.stub.stats()["writes_in_flight"] > 0, "the write is sent")
            self.proxy.signal(signal.SIGTERM)
            answer = client.receive()
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.fields["connection"], "close")
        self.assertEqual(self.proxy.wait(), 0)

    def test_writes_that_outlive_the_drain_are_said_in_the_log(self):
        """One at the backend, three that wait for its connection, one without its client."""
        self.start_both(drain__timeout="300ms", backend__connections_max="1")
        self.stub.command_lines("stall=20s,op=upsert")
        clients = [Client(self.proxy.listen) for _ in range(4)]
        for number, client in enumerate(clients):
            client.send_request("POST", f"{self.collection}/upsert", record(f"long-{number}"))
        wait_for(lambda: self.stub.stats()["writes_in_flight"] > 0, "a write is sent")
        clients[1].close()
        began = time.monotonic()
        self.proxy.signal(signal.SIGTERM)
        self.assertEqual(self.proxy.wait(), 0, self.proxy.errors()[-3000:])
        self.assertLess(time.monotonic() - began, 3)
        self.expect_no_complaint(self.proxy)
        (event,) = self.proxy.events("drain_timeout")
        self.assertEqual(event["level"], "warning")
        self.assertEqual(event["writes_without_answer"], 1)
        for client in clients:
            client.close()

    def test_second_signal_and_quit_end_at_once(self):
        for signals in ((signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGINT),
                        (signal.SIGQUIT,)):
            self.start_both()
            self.stub.command_lines("stall=20s,op=count")
            with Client(self.proxy.listen) as client:
                client.send_request("GET", f"{self.collection}/count")
                wait_for(lambda: self.proxy.metrics()[BUSY] == 1, "a request is under way")
                for number in signals:
                    self.proxy.signal(number)
                    time.sleep(0.1)
                self.assertEqual(self.proxy.wait(2), 0)
                self.assertTrue(client.is_closed_by_peer())
            self.expect_no_complaint(self.proxy)

    def test_reload_with_a_good_and_a_bad_file(self):
        config = self.directory / "proxy.yaml"
        config.write_text("deadline:\n  read: 60s\n")
        self.stub = self.start_stub()
        self.collection = self.stub.new_collection("faults")
        self.proxy = self.start_proxy(self.stub.url, extra=["--config", config])
        self.expect_service()

        config.write_text("deadline:\n  read: 200ms\n")
        self.proxy.signal(signal.SIGHUP)
        wait_for(lambda: self.proxy.events("reloaded"), "the good file is taken")
        self.stub.command_lines("stall=10s,op=count")
        with Client(self.proxy.listen) as client:
            self.expect_error(client.ask("GET", f"{self.collection}/count"), 504)

        config.write_text("deadline:\n  reed: 90s\n")
        self.proxy.signal(signal.SIGHUP)
        (event,) = wait_for(lambda: self.proxy.events("reload_failed"), "the bad file is refused")
        self.assertEqual(event["level"], "error")
        self.assertIn("proxy.yaml:2:", event["reason"])
        metrics = self.proxy.metrics()
        self.assertEqual(metrics["chromabouncer_config_last_reload_successful"], 0)
        with Client(self.proxy.listen) as client:
            self.expect_error(client.ask("GET", f"{self.collection}/count"), 504)
        self.stub.command_lines("clear")
        self.expect_service()
        self.expect_end()

    def test_what_a_reload_lets_go_is_sent_by_its_keys(self):
        """A limit is wider from then on, and the key of who waits for it is revoked."""
        keys, control = self.directory / "keys", self.directory / "control"

        def run(*words):
            done = subprocess.run([PROXY, *words], check=True, capture_output=True, timeout=TEST_SECONDS)
            return done.stdout.decode()

        def add(name):
            text = run("key", "add", name, "--allow", "read:*/*/*", "--set", f"auth.keys_file={keys}")
            return [f"authorization: Bearer {re.search(r'cbk_[0-9A-Za-z_-]+', text)[0]}"]

        fields = [add("stays"), add("goes")]
        self.stub = self.start_stub()
        self.collection = self.stub.new_collection("faults")
        self.proxy = self.start_proxy(
            self.stub.url, auth__required="true", auth__keys_file=keys, control__path=control
        )
        with Client(self.proxy.listen) as first, Client(self.proxy.listen) as second:
            for client, own in zip((first, second), fields, strict=True):
                self.assertEqual(client.ask("GET", f"{self.collection}/count", fields=own).status, 200)
            run("ctl", "set", "reads.limit=1", "--control", control)
            self.stub.command_lines("stall=3s,op=count,count=1")
            first.send_request("GET", f"{self.collection}/count", fields=fields[0])
            time.sleep(0.2)
            second.send_request("GET", f"{self.collection}/count", fields=fields[1])
            time.sleep(0.2)
            run("key", "revoke", "goes", "--set", f"auth.keys_file={keys}")
            run("ctl", "reload", "--control", control)
            self.assertEqual(second.receive().status, 401)
            self.assertEqual(first.receive().status, 200)

    def test_log_file_is_opened_again_on_usr1(self):
        log, old = self.directory / "log", self.directory / "log.1"
        self.start_both(log__file=log, log__format="json")
        wait_for(lambda: "request" in log.read_text(), "requests are logged")
        log.rename(old)
        self.proxy.signal(signal.SIGUSR1)
        wait_for(log.exists, "a new file")
        self.expect_service()
        wait_for(lambda: '"event":"request"' in log.read_text(), "requests in the new file")
        self.expect_recovery()

    def test_port_in_use(self):
        self.start_both()
        for flag, other in (("--listen", "--status"), ("--status", "--listen")):
            taken = Program(
                self.directory,
                [PROXY, "run", "--backend", self.stub.url, flag, self.proxy.listen,
                 other, "127.0.0.1:0"],
            )
            taken.spawn()
            self.addCleanup(taken.kill)
            self.assertEqual(taken.wait(), 71)
            self.assertIn(f"cannot listen on {self.proxy.listen}", taken.errors())
            self.assertIn("Address already in use", taken.errors())
            self.expect_no_complaint(taken)
        self.expect_recovery()

    def test_unix_socket_in_use_and_not_a_socket(self):
        path = self.directory / "proxy.sock"
        self.stub = self.start_stub()
        self.collection = self.stub.new_collection("faults")
        self.proxy = self.start_proxy(self.stub.url, listen=f"unix:{path}")
        (self.directory / "file").write_text("precious")
        for name in ("proxy.sock", "file"):
            other = Program(
                self.directory,
                [PROXY, "run", "--backend", self.stub.url, "--status", "off",
                 "--listen", f"unix:{self.directory / name}"],
            )
            other.spawn()
            self.addCleanup(other.kill)
            self.assertEqual(other.wait(), 71)
            self.assertIn(name, other.errors())
        self.assertEqual((self.directory / "file").read_text(), "precious")
        self.expect_service()
        self.expect_end()

    def test_folder_for_copies_that_cannot_be_made(self):
        """There are none, until there is room for them and the settings are read again."""
        file, control = self.directory / "file", self.directory / "control"

        def ctl(*words):
            command = [PROXY, "ctl", *words, "--control", str(control), "-o", "json"]
            done = subprocess.run(command, capture_output=True, timeout=TEST_SECONDS, text=True)
            return json.loads(done.stdout or "{}"), done.returncode, done.stderr

        self.stub = self.start_stub()
        self.collection = self.stub.new_collection("faults")
        file.write_text("precious")
        for place in (file, file / "below", "/proc/none"):
            self.proxy = self.start_proxy(
                self.stub.url,
                control__path=control,
                role="gateway",
                mirror__mode="prefer",
                mirror__directory=place,
            )
            self.expect_service()
            (event,) = self.proxy.events("mirror_unavailable")
            self.assertEqual(event["level"], "warning")
            self.assertIn(f"mirror.directory: {place}", event["reason"])
            answer, code, _ = ctl("mirror")
            self.assertEqual((code, answer["obstacle"]), (0, event["reason"]))
            self.assertIn(f"mirror       none: {event['reason']}", self.proxy.status_of("/").body.decode())
            for verb in ("fill", "drop", "verify"):
                _, code, complaint = ctl("mirror", verb, "faults")
                self.assertEqual(code, 69)
                self.assertIn(event["reason"], complaint)
            _, code, complaint = ctl("set", "mirror.max_age=20s")
            self.assertEqual(code, 71)
            self.assertIn(event["reason"], complaint)
            if place == file / "below":
                file.unlink()
                file.mkdir()
                self.assertEqual(ctl("reload")[1], 0)
                self.assertNotIn("mirror.directory", ctl("mirror")[0]["obstacle"])
            self.expect_end()

    def test_unix_sockets_on_both_sides(self):
        self.stub = self.start_stub(listen=f"unix:{self.directory / 'chroma.sock'}")
        self.collection = self.stub.new_collection("faults")
        self.proxy = self.start_proxy(
            self.stub.url, listen=f"unix:{self.directory / 'proxy.sock'}"
        )
        self.expect_service()
        with Client(self.proxy.listen) as client:
            answer = client.ask("POST", f"{self.collection}/upsert", record_of_bytes(8 << 20))
            self.assertEqual(answer.status, 200)
            self.assertEqual(len(client.ask("GET", "/bench/bytes/20000000").body), 20000000)
        self.stub.kill()
        with Client(self.proxy.listen) as client:
            message = self.expect_error(client.ask("GET", "/api/v2/heartbeat"), 503)
            self.assertIn("chroma.sock", message)
        (self.directory / "chroma.sock").unlink()
        self.stub.start()
        self.collection = self.stub.new_collection("faults")
        self.expect_service()
        self.expect_end()

    def test_ipv6_listener_and_backend(self):
        try:
            self.stub = self.start_stub(listen="[::1]:0")
        except AssertionError:
            self.skipTest("no IPv6 here")
        self.collection = self.stub.new_collection("faults")
        self.proxy = self.start_proxy(self.stub.url, listen="[::1]:0")
        self.assertIn("[::1]:", self.proxy.listen)
        self.expect_service()
        self.expect_end()

    def test_name_that_resolves(self):
        self.stub = self.start_stub()
        self.collection = self.stub.new_collection("faults")
        port = self.stub.listen.rpartition(":")[2]
        # The stub does not listen on ::1, which localhost may name too.
        self.proxy = self.start_proxy(f"http://localhost:{port}", listen="localhost:0")
        self.expect_service()
        self.expect_end()

    def test_name_that_does_not_resolve(self):
        self.proxy = self.start_proxy("http://chroma.invalid:8000")
        with Client(self.proxy.listen, timeout=35) as client:
            message = self.expect_error(client.ask("GET", "/api/v2/heartbeat"), 503, executed="no")
            self.assertIn("chroma.invalid", message)
        self.assertEqual(self.proxy.status_of("/livez").status, 200)
        self.expect_end()

    def test_metrics_are_clean(self):
        promtool = shutil.which("promtool")
        if promtool is None:
            self.skipTest("promtool is not installed")
        self.start_both(deadline__read="200ms")
        self.stub.command_lines("stall=1s,op=get,count=1", "garbage,op=query,count=1")
        with Client(self.proxy.listen) as client:
            self.assertEqual(client.ask("POST", f"{self.collection}/get", {}).status, 504)
            self.assertEqual(client.ask("POST", f"{self.collection}/query", {}).status, 502)
            self.assertEqual(client.ask("GET", "/no/such/route").status, 404)
        with Client(self.proxy.listen) as client:
            client.send(b"bad\r\n\r\n")
            self.expect_error(client.receive(), 400, name="InvalidArgumentError")
        page = self.proxy.status_of("/metrics").body
        check = subprocess.run(
            [promtool, "check", "metrics"], input=page, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.assertEqual((check.returncode, check.stdout.decode()), (0, ""))
        self.expect_recovery()


class Bench(FaultTest):
    """`chromabouncer bench` against somebody's server."""

    def run_bench(self, *options):
        stub = self.stub = self.start_stub()
        return subprocess.Popen(
            [PROXY, "bench", "--backend", stub.url, "--mix", "upsert", "--dimension", "4",
             "--variants", "10", "--warm-up", "0ms", *options],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def collection_names(self):
        with Client(self.stub.listen) as client:
            answer = client.ask("GET", f"{DATABASE}/collections")
        return {collection["name"] for collection in json.loads(answer.body)}

    def test_what_was_made_up_goes_and_what_has_a_name_stays(self):
        bench = self.run_bench("--count", "5", "--collection", "mine")
        self.assertEqual(bench.communicate()[1], "")
        self.assertEqual(bench.returncode, 0)
        self.assertEqual(self.collection_names(), {"mine-0"})

    def test_stopped_bench_leaves_nothing(self):
        bench = self.run_bench("--duration", "60s")
        wait_for(lambda: self.collection_names(), "a collection is made")
        wait_for(lambda: self.stub.stats()["log_records"] > 0, "load runs")
        bench.send_signal(signal.SIGINT)
        self.assertIn("interrupted", bench.communicate(timeout=10)[1])
        self.assertEqual(bench.returncode, 71)
        self.assertEqual(self.collection_names(), set())

    def test_half_an_answer_and_an_end_are_seen_together(self):
        with socket.create_server(("127.0.0.1", 0)) as server:

            def serve():
                with contextlib.suppress(OSError):
                    while True:
                        connection = server.accept()[0]
                        connection.recv(1000)
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
                        connection.close()

            threading.Thread(target=serve, daemon=True).start()
            bench = subprocess.run(
                [PROXY, "bench", "--backend", f"http://127.0.0.1:{server.getsockname()[1]}",
                 "--url", "/", "--count", "3", "--warm-up", "0ms", "--deadline", "20s", "--json"],
                capture_output=True, text=True, timeout=10,
            )  # fmt: skip
        self.assertIn('"reset": 3', bench.stdout)


def main(names):
    suite = unittest.TestSuite()
    for case in (BackendFaults, BackendHealth, ClientFaults, Operation, Bench):
        for test in unittest.defaultTestLoader.loadTestsFromTestCase(case):
            if not names or any(name in test.id() for name in names):
                suite.addTest(test)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    failed = len(result.failures) + len(result.errors)
    skipped = f", {len(result.skipped)} skipped" if result.skipped else ""
    print(f"{result.testsRun - failed - len(result.skipped)} passed, {failed} failed{skipped}")
    return 1 if failed or result.testsRun == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
