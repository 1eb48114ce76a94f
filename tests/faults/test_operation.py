"""What the operator and the system do to the proxy: signals, reloads, disks; and `bench`."""

import contextlib
import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from fault_bed import (
    BUSY,
    DATABASE,
    PROXY,
    TEST_SECONDS,
    Client,
    FaultTest,
    Load,
    Program,
    record,
    record_of_bytes,
    wait_for,
)


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
