"""What Chroma does to the proxy: it is absent, dies, stalls, talks nonsense or is another one."""

import json
import socket
import subprocess
import threading
import time

from fault_bed import (
    BUSY,
    DATABASE,
    PROXY,
    TEST_SECONDS,
    Client,
    Cut,
    FaultTest,
    Load,
    closed_port,
    record,
    record_of_bytes,
    wait_for,
)


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
