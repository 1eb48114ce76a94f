"""live_settings - every setting that "HUP changes" really takes effect on HUP.

One row per such setting: a value before, a value after, and an effect that somebody outside can
see. The same observer must not see it before the reload and must see it after, on the same
process; where the value after takes something away, the other way round. The list of live settings
is the program's own; one without a row here fails.

What must be there is waited for, for as long as a busy machine may need; that something is not
there is seen from another state that excludes it, or by waiting a while. So a slow machine can hide
what is wrong, and never makes up what is not.

    tests/faults/live_settings.py BUILD_DIR [KEY]...
"""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

os.environ["FAULTS_BUILD"] = sys.argv[1] if len(sys.argv) > 1 else "."

from fault_bed import DATABASE, PROXY, Client, Cut, Proxy, Stub, record, wait_for  # noqa: E402

NOT_SECONDS = 0.7  # in which an effect that must not be there does not show
SHOWS_SECONDS = 20  # in which one that must be there shows, on a busy machine
STALL_SECONDS = 60  # for which a call hangs that must hang for as long as a row is looked at
HEARTBEAT = "/api/v2/heartbeat"
QUIET = ["backend.health_interval=1h"]  # what a check does is not what is looked at


KEYS = tempfile.TemporaryDirectory(prefix="live-keys-")  # gone when the program ends


def make_keys():
    """Two files of keys, one of them empty, and a credential; the key of the other."""
    folder = pathlib.Path(KEYS.name)
    for name, text in (("none", ""), ("credential", "ours\n")):
        (folder / name).touch(0o600)
        (folder / name).write_text(text)
    command = [PROXY, "key", "add", "one", "--set", f"auth.keys_file={folder}/known"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


KEY = make_keys()
KNOWN = f"auth.keys_file={KEYS.name}/known"


class Skipped(Exception):
    """This machine cannot show it."""


class Bed:
    """A stub and a proxy whose configuration file holds `settings`."""

    def __init__(self, settings, backend=None):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="live-"))
        self.settings = dict(setting.split("=") for setting in settings)
        self.settings["control.path"] = self.directory / "control"
        self.stub = Stub(self.directory)
        self.proxy = Proxy(self.directory, backend or self.stub.url)
        self.answers = backend is None  # it can be asked at start
        self.file = self.directory / "settings.yaml"
        self.proxy.arguments = ["--status", "127.0.0.1:0", "--config", str(self.file)]
        self.prefix = []
        self.collection = self.stub.new_collection("live")
        self.threads = []

    def __enter__(self):
        self._write()
        spawn = self.proxy.spawn

        def spawn_with_prefix():
            self.proxy.command = self.prefix + self.proxy.command
            spawn()

        self.proxy.spawn = spawn_with_prefix
        self.proxy.start()
        if self.answers:
            wait_for(lambda: self.metric("backend_up") == 1, "the backend is up", SHOWS_SECONDS)
        return self

    def __exit__(self, *_):
        self.proxy.kill()
        self.stub.kill()
        for thread in self.threads:
            thread.join()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _write(self):
        self.file.write_text("".join(f"{key}: {value}\n" for key, value in self.settings.items()))

    def reload(self, key, value):
        self.settings[key] = value
        self._write()
        before = self.loaded_at()
        time.sleep(max(0, before + 1 - time.time()))
        self.proxy.signal(signal.SIGHUP)
        wait_for(lambda: self.loaded_at() > before, "reloaded", SHOWS_SECONDS)

    def loaded_at(self):
        """Seconds; asked without the log, whose level is one of the settings."""
        assert self.metric("config_last_reload_successful") == 1, self.proxy.errors()
        return self.metric("config_last_reload_success_timestamp_seconds")

    def metric(self, name):
        return self.metrics()["chromabouncer_" + name]

    def metrics(self):
        """Asked again while the setting that is looked at refuses or cuts the one who asks."""

        def asked():
            with contextlib.suppress(ConnectionError, ValueError):
                return self.proxy.metrics()

        return wait_for(asked, "metrics", SHOWS_SECONDS)

    def reads(self):
        """How many have a connection, and how many wait for their turn."""
        metrics = self.metrics()
        return (
            metrics['chromabouncer_backend_connections{state="busy"}'],
            metrics['chromabouncer_turn_waiting_calls{class="read"}'],
        )

    def ask(self, seconds, method, path, body=None, fields=(), address=None):
        """The answer's status; None when there is none in time, 0 when the connection is cut."""
        try:
            with Client(address or self.proxy.listen, timeout=seconds) as client:
                return client.ask(method, path, body, fields).status
        except TimeoutError:
            return None
        except (Cut, ConnectionError):
            return 0

    def ask_beside(self, *arguments):
        """The same in a thread, whose answer nobody waits for."""
        thread = threading.Thread(target=self.ask, args=(STALL_SECONDS, *arguments))
        thread.start()
        self.threads.append(thread)

    def stall(self, rule):
        self.stub.command_lines("clear", rule)

    @contextlib.contextmanager
    def stub_that_hangs(self):
        """Until it gets SIGCONT, at the latest at the end."""
        self.stub.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.stub.signal(signal.SIGCONT)

    def both_listeners(self):
        return (self.proxy.listen, self.proxy.status)


def within(seconds, condition):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def sees_body_max(bed, seconds):
    return bed.ask(SHOWS_SECONDS, "POST", f"{bed.collection}/upsert", b"x" * 4096) == 413


def sees_headers(bed, seconds):
    """Fields of our own: on answers, and on errors of both listeners."""
    seen = []
    for address in bed.both_listeners():
        with Client(address, timeout=SHOWS_SECONDS) as client:
            client.send(b"GET bad HTTP/1.1\r\nhost: x\r\n\r\n")
            seen.append(any(name.startswith("x-chroma") for name in client.receive().fields))
    with Client(bed.proxy.listen, timeout=SHOWS_SECONDS) as client:
        seen.append("via" in client.ask("GET", HEARTBEAT).fields)
    assert len(set(seen)) == 1, f"data, status, answers: {seen}"
    return not seen[0]


def sees_one_call_for_all_columns(bed, seconds):
    """Behind a call that takes its time wait writes with documents and without. Chroma below 1.0
    takes the null of a merged column for "erase": there they must not share a call."""
    path = f"{bed.collection}/upsert"
    before = bed.stub.stats()["requests"]["upsert"]
    bodies = [record(f"{i}") for i in range(6)]
    for body in bodies[::2]:
        del body["documents"]
    with bed.stub_that_hangs(), concurrent.futures.ThreadPoolExecutor(7) as pool:
        asks = [pool.submit(bed.ask, STALL_SECONDS, "POST", path, record("first"))]
        hangs = "write_calls_in_flight"
        wait_for(lambda: bed.metric(hangs) == 1, "a call hangs", SHOWS_SECONDS)
        asks += [pool.submit(bed.ask, STALL_SECONDS, "POST", path, body) for body in bodies]
        wait_for(lambda: bed.metric("writes_waiting") == 6, "six wait behind it", SHOWS_SECONDS)
        bed.stub.signal(signal.SIGCONT)
        assert [ask.result() for ask in asks] == [200] * 7
    return bed.stub.stats()["requests"]["upsert"] - before == 2


def sees_second_client_refused(bed, seconds):
    def is_refused():
        with Client(bed.proxy.listen, timeout=SHOWS_SECONDS) as client:
            with contextlib.suppress(Cut):  # those before it may not yet be gone
                is_served = client.ask("GET", HEARTBEAT).status == 200
                return is_served and bed.ask(SHOWS_SECONDS, "GET", HEARTBEAT) in (503, 0)

    return within(seconds, is_refused)


def sees_service_believed(bed, seconds):
    """Is the second of two requests that name a service of one a second refused?"""
    with Client(bed.proxy.listen, timeout=SHOWS_SECONDS) as client:
        ask = ("GET", f"{bed.collection}/count", None, ["x-service: chat"])
        client.ask(*ask)
        return client.ask(*ask).status == 429


def is_kept(bed):
    """Is the second of two equal counts, by who shows credentials, answered from the cache?"""
    with Client(bed.proxy.listen, timeout=SHOWS_SECONDS) as client:
        ask = ("GET", f"{bed.collection}/count", None, ["authorization: mine"])
        client.ask(*ask)
        return client.ask(*ask).fields.get("cache-status", "").endswith("; hit")


def sees_old_answers(bed, seconds):
    """Of a backend that is gone, is an answer given that was kept?"""
    with Client(bed.proxy.listen, timeout=SHOWS_SECONDS) as client:

        def ask():
            return client.ask("GET", f"{bed.collection}/count")

        def says_stale():
            return "stale-if-error" in ask().fields.get("cache-status", "")

        def sees_once():
            wait_for(lambda: ask().status == 200, "the backend is there", SHOWS_SECONDS)
            bed.stub.command_lines("refuse", "close-idle")
            try:
                return within(1, says_stale)
            finally:
                bed.stub.command_lines("accept")

        seen = within(seconds, sees_once)
        wait_for(lambda: ask().status == 200, "the backend is there again", SHOWS_SECONDS)
        return seen


def answers_from_copy(bed, fields=()):
    """Of a count."""
    with Client(bed.proxy.listen, timeout=SHOWS_SECONDS) as client:
        answer = client.ask("GET", f"{bed.collection}/count", None, fields)
        return answer.fields.get("x-chromabouncer-source") == "mirror"


COPY_SECONDS = 60
GATEWAY = ("role=gateway", "backend.settle_time=0s")
COPIES = (*GATEWAY, "cache.enabled=false")


def sees_copy(bed, seconds):
    return within(max(seconds, 2), lambda: answers_from_copy(bed))


def copies_complete(bed):
    answers_from_copy(bed)  # reads let one begin
    return bed.metrics().get('chromabouncer_mirror_collections{state="complete"}', 0) == 1


def sees_copy_while_down(bed, seconds):
    """Once it is complete Chroma goes away."""
    if bed.stub.process.poll() is None:
        wait_for(lambda: copies_complete(bed), "there is a copy", COPY_SECONDS)
        bed.stub.kill()
        time.sleep(1.2)  # it is older than the least age
    return within(seconds, lambda: answers_from_copy(bed))


def sees_doubtful_copy(bed, seconds):
    """Chroma goes away with a write that it had."""
    if bed.stub.process.poll() is None:
        wait_for(lambda: copies_complete(bed), "there is a copy", COPY_SECONDS)
        bed.stall(f"op=upsert,stall={STALL_SECONDS}s")
        bed.ask_beside("POST", f"{bed.collection}/upsert", record("x"))
        hangs = "write_calls_in_flight"
        wait_for(lambda: bed.metric(hangs) == 1, "a write is under way", SHOWS_SECONDS)
        bed.stub.kill()
        wait_for(lambda: bed.metric(hangs) == 0, "it has ended", SHOWS_SECONDS)
    return within(seconds, lambda: answers_from_copy(bed))


MINE = ("authorization: mine",)


def sees_copy_for_credentials(bed, seconds):
    return within(max(seconds, 2), lambda: answers_from_copy(bed, MINE))


def lets_in(bed, *fields):
    with Client(bed.proxy.listen, timeout=SHOWS_SECONDS) as client:
        return client.ask("GET", f"{DATABASE}/collections", None, fields).status == 200


def lets_anybody_in(bed, seconds):
    return within(seconds, lambda: lets_in(bed))


def lets_in_with_key(bed, seconds):
    return within(seconds, lambda: lets_in(bed, f"authorization: Bearer {KEY}"))


def sees_no_credential_leave(bed, seconds):
    """With cache.trust at 0s the answer is kept only if Chroma sees nothing that may be one."""

    def is_hit():
        with Client(bed.proxy.listen, timeout=SHOWS_SECONDS) as client:
            fields = [f"authorization: Bearer {KEY}"]
            ask = ("GET", f"{bed.collection}/count", None, fields)
            client.ask(*ask)
            return client.ask(*ask).fields.get("cache-status", "").endswith("; hit")

    return within(seconds, is_hit)


def sees_answers_kept(bed, seconds):
    return within(seconds, lambda: is_kept(bed))


def sees_answers_verified(bed, seconds):
    name = 'chromabouncer_cache_verified_total{result="same"}'
    return within(seconds, lambda: is_kept(bed) and bed.metrics().get(name, 0) > 0)


# Of a read that shares no other's answer.
ALONE = ("cache-control: no-store",)


def sees_one_connection(bed, seconds):
    """Of three reads that hang, does one go and do the others wait?"""
    bed.stall(f"op=count,stall={STALL_SECONDS}s")
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            client = stack.enter_context(Client(bed.proxy.listen, timeout=SHOWS_SECONDS))
            client.send_request("GET", f"{bed.collection}/count", fields=ALONE)

        def settled():
            going, waiting = bed.reads()  # none goes while a check has the only place
            return going > 0 and going + waiting == 3 and (going, waiting)

        outcome = wait_for(settled, "three reads go or wait", SHOWS_SECONDS)
        assert outcome in ((3, 0), (1, 2)), outcome
    wait_for(lambda: sum(bed.reads()) == 0, "they are gone", SHOWS_SECONDS)
    return outcome == (1, 2)


def sees_connect_timeout(bed, seconds):
    return bed.ask(seconds, "GET", HEARTBEAT) == 503


def sees_backend_idle_closed(bed, seconds):
    assert bed.ask(SHOWS_SECONDS, "GET", HEARTBEAT) == 200
    return within(seconds, lambda: count_backend_connections(bed) == 0)


def count_backend_connections(bed):
    prefix = "chromabouncer_backend_connections{"
    return sum(value for name, value in bed.metrics().items() if name.startswith(prefix))


def sees_new_name(bed, seconds):
    """The name leads to another server now; a new connection goes there. (One that is lost would
    have the name looked up at once.)"""
    bed.hosts.write_text("127.0.0.2 chroma.test\n")

    def asks_the_other():
        before = bed.other.stats()["requests"]["count"]
        time.sleep(0.3)  # the connection before is closed as idle
        bed.ask(SHOWS_SECONDS, "GET", f"{bed.collection}/count")
        return bed.other.stats()["requests"]["count"] > before

    return within(max(seconds, 2), asks_the_other)


def sees_checks(bed, seconds):
    before = bed.metric("backend_checks_total")
    more = 3  # two are made at start, whatever the interval
    return within(seconds, lambda: bed.metric("backend_checks_total") >= before + more)


def sees_check_fail(bed, seconds):
    bed.stall("op=admin,stall=5s")
    return within(seconds, lambda: bed.metric("backend_up") == 0)


def sees_idle_client_closed(bed, seconds):
    """By both listeners. On a busy machine it may be idle for too long before it asks."""
    closed = []
    for address, path in zip(bed.both_listeners(), (HEARTBEAT, "/livez")):
        with Client(address, timeout=SHOWS_SECONDS) as client:
            try:
                assert client.ask("GET", path).status == 200
                closed.append(client.is_closed_by_peer(seconds))
            except Cut:
                closed.append(True)
    assert len(set(closed)) == 1, f"data, status: {closed}"
    return closed[0]


def sees_slow_head_cut(bed, seconds):
    closed = []
    for address in bed.both_listeners():
        with Client(address, timeout=SHOWS_SECONDS) as client:
            client.send(b"GET / HTTP/1.1\r\nhost:")
            closed.append(client.is_closed_by_peer(seconds))
    assert len(set(closed)) == 1, f"data, status: {closed}"
    return closed[0]


def sees_slow_body_cut(bed, seconds):
    with Client(bed.proxy.listen, timeout=seconds) as client:
        client.send_request("POST", f"{bed.collection}/query", b"{", size=1000)
        with contextlib.suppress(TimeoutError):
            return client.receive().status == 408
    return False


def sees_slow_reader_cut(bed, seconds):
    """Somebody who takes nothing of a large answer."""
    before = bed.metric("client_timeouts_total")
    with Client(bed.proxy.listen, timeout=SHOWS_SECONDS, receive_buffer=4096) as client:
        client.send_request("GET", f"/bench/bytes/{30 << 20}")
        return within(seconds, lambda: bed.metric("client_timeouts_total") > before)


def sees_long_line_refused(bed, seconds):
    paths = (HEARTBEAT, "/livez")
    answers = [
        bed.ask(SHOWS_SECONDS, "GET", f"{path}?{'x' * 2000}", address=address)
        for address, path in zip(bed.both_listeners(), paths)
    ]
    assert answers in ([200, 200], [414, 414]), f"data, status: {answers}"
    return answers[0] == 414


def sees_long_head_refused(bed, seconds):
    paths = (HEARTBEAT, "/livez")
    answers = [
        bed.ask(SHOWS_SECONDS, "GET", path, fields=["x-long: " + "x" * 8000], address=address)
        for address, path in zip(bed.both_listeners(), paths)
    ]
    assert answers in ([200, 200], [431, 431]), f"data, status: {answers}"
    return answers[0] == 431


def sees_wait_end(bed, seconds):
    """A read that has to wait for the only connection."""
    occupy(bed)
    return bed.ask(seconds, "GET", f"{bed.collection}/count") == 504


def occupy(bed):
    """A read holds the only connection for as long as the row is looked at."""
    if bed.reads()[0] == 0:
        bed.stall(f"op=count,stall={STALL_SECONDS}s")
        bed.ask_beside("GET", f"{bed.collection}/count")
    wait_for(lambda: bed.reads()[0] == 1, "the connection is busy", SHOWS_SECONDS)


def sees_refusal(bed, seconds):
    """A read that has to wait for its turn."""
    occupy(bed)
    return bed.ask(seconds, "GET", f"{bed.collection}/count") == 429


def sees_two_wait_for_their_turn(bed, seconds):
    """Behind a busy connection; or does one of them wait unread?"""
    occupy(bed)
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            client = stack.enter_context(Client(bed.proxy.listen, timeout=SHOWS_SECONDS))
            client.send_request("GET", f"{bed.collection}/count", fields=ALONE)
        queued = 'queue_requests{class="read"}'
        wait_for(lambda: bed.metric(queued) == 2, "both are there", SHOWS_SECONDS)
        return within(seconds, lambda: bed.reads()[1] == 2)


def sees_bytes_bounded(bed, seconds):
    """Ten bodies of 200 KB: does one of them wait for room before 1.5 MiB are held?"""
    occupy(bed)
    body = b"x" * 200000
    head = f"POST {bed.collection}/query HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    with contextlib.ExitStack() as stack:
        unsent = {}
        for _ in range(10):
            client = stack.enter_context(Client(bed.proxy.listen, timeout=SHOWS_SECONDS))
            client.socket.setblocking(False)
            unsent[client.socket] = head.encode() + body

        def outcome():
            for socket_, data in unsent.items():
                with contextlib.suppress(BlockingIOError):  # what is held back stays here
                    unsent[socket_] = data[socket_.send(data) :]
            metrics = bed.metrics()
            if metrics["chromabouncer_buffered_bytes"] > 3 << 19:
                return "held"
            waiting = metrics['chromabouncer_memory_waiting_requests{account="reads"}']
            return "waits" if waiting > 0 else None

        return wait_for(outcome, "bodies are held or wait", SHOWS_SECONDS) == "waits"


def sees_read_deadline(bed, seconds):
    bed.stall(f"op=count,stall={STALL_SECONDS}s")
    return bed.ask(seconds, "GET", f"{bed.collection}/count") == 504


def sees_write_deadline(bed, seconds):
    bed.stall(f"op=upsert,stall={STALL_SECONDS}s")
    return bed.ask(seconds, "POST", f"{bed.collection}/upsert", record("x")) == 504


def sees_clients_deadline(bed, seconds):
    bed.stall(f"op=count,stall={STALL_SECONDS}s")
    fields = ["x-request-timeout-ms: 200"]
    return bed.ask(seconds, "GET", f"{bed.collection}/count", None, fields) == 504


def sees_reads_refused(bed, seconds):
    """While half of them fail."""
    path = f"{bed.collection}/count"
    bed.stall("op=count,status=500")
    for _ in range(25):
        assert bed.ask(SHOWS_SECONDS, "GET", path) in (500, 503)
    return within(seconds, lambda: bed.ask(SHOWS_SECONDS, "GET", path) == 503)


def sees_drain_end(bed, seconds):
    """TERM under a request that hangs: is the process gone?"""
    bed.stall(f"op=count,stall={STALL_SECONDS}s")
    bed.ask_beside("GET", f"{bed.collection}/count")
    wait_for(lambda: bed.reads()[0] == 1, "the request is under way", SHOWS_SECONDS)
    bed.proxy.signal(signal.SIGTERM)
    try:
        bed.proxy.wait(max(seconds, 1.5))
    except subprocess.TimeoutExpired:
        return False
    return True


def sees_access_line(bed, seconds):
    before = len(bed.proxy.events("request"))
    assert bed.ask(SHOWS_SECONDS, "GET", HEARTBEAT) == 200
    return within(seconds, lambda: len(bed.proxy.events("request")) > before)


def sees_pause_end(bed, seconds):
    ctl = [PROXY, "ctl", "--control", bed.settings["control.path"]]
    subprocess.run([*ctl, "pause"], check=True, capture_output=True)
    answer = bed.ask(max(seconds, 2), "GET", HEARTBEAT)
    subprocess.run([*ctl, "resume"], check=True, capture_output=True)
    return answer == 200


def full_listener():
    """A backend to which no connection can be made: nobody takes those that fill its queue."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    fillers = []
    for _ in range(8):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())
        fillers.append(filler)
    bed_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    return bed_url, [listener, *fillers]


def plain(before, observe, *others):
    return {"before": before, "observe": observe, "others": [*QUIET, *others]}


def takes_away(before, observe, *others):
    """What is there with the value before, and not with the one after."""
    return plain(before, observe, *others) | {"takes_away": True}


def sees_guarded_name(bed, seconds):
    return bed.ask(SHOWS_SECONDS, "DELETE", f"{DATABASE}/collections/gone") == 403


def sees_guarded_record(bed, seconds):
    body = json.dumps({"ids": ["nobody"]}).encode()
    return bed.ask(SHOWS_SECONDS, "POST", f"{bed.collection}/delete", body) == 403


# key: (value after, the rest)
ROWS = {
    "body_max": ("2KiB", plain("1MiB", sees_body_max)),
    "headers": ("off", plain("on", sees_headers)),
    "backend.family": ("rust", plain("python", sees_one_call_for_all_columns)),
    "backend.connections_max": ("1", plain("8", sees_one_connection)),
    "backend.connect_timeout": ("100ms", plain("5m", sees_connect_timeout)),
    "backend.idle_timeout": ("100ms", plain("1h", sees_backend_idle_closed)),
    "backend.resolve_interval": ("1s", plain("1h", sees_new_name, "backend.idle_timeout=100ms")),
    "backend.health_interval": ("100ms", plain("1h", sees_checks) | {"others": []}),
    "backend.health_timeout": (
        "100ms",
        plain("5m", sees_check_fail) | {"others": ["backend.health_interval=100ms"]},
    ),
    "listen.connections_per_address_max": ("1", plain("0", sees_second_client_refused)),
    "listen.trusted_proxies": (
        "127.0.0.1",
        plain(
            "192.0.2.1",
            sees_service_believed,
            "services=[{name: chat, match: {header: 'x-service: chat'}, rate: 1/s}]",
        ),
    ),
    "listen.idle_timeout": ("100ms", plain("1h", sees_idle_client_closed)),
    "listen.head_timeout": ("100ms", plain("10m", sees_slow_head_cut)),
    "listen.body_timeout": ("100ms", plain("1h", sees_slow_body_cut)),
    "listen.send_timeout": ("100ms", plain("1h", sees_slow_reader_cut)),
    "listen.start_line_max": ("1KiB", plain("16KiB", sees_long_line_refused)),
    "listen.head_max": ("4KiB", plain("64KiB", sees_long_head_refused)),
    "cache.enabled": ("false", takes_away("auto", sees_answers_kept, *GATEWAY)),
    "cache.max_staleness": ("1h", plain("0s", sees_answers_kept)),
    "cache.trust": ("0s", takes_away("1h", sees_answers_kept, *GATEWAY)),
    "cache.stale_if_error": (
        "1h",
        plain("0s", sees_old_answers, "cache.max_staleness=1ms"),
    ),
    "cache.verify": ("100%", plain("0%", sees_answers_verified, *GATEWAY)),
    "mirror.mode": ("prefer", plain("off", sees_copy, *COPIES)),
    "mirror.collections": (
        "live",
        plain("other", sees_copy, *COPIES, "mirror.mode=prefer"),
    ),
    "mirror.trust": (
        "1h",
        plain("0s", sees_copy_for_credentials, *COPIES, "mirror.mode=prefer"),
    ),
    "mirror.max_age": ("1s", takes_away("1h", sees_copy_while_down, "mirror.mode=fallback")),
    "mirror.allow_incomplete": (
        "false",
        takes_away("true", sees_doubtful_copy, *COPIES, "mirror.mode=fallback"),
    ),
    "queue.wait_max": ("100ms", plain("1h", sees_wait_end, "backend.connections_max=1")),
    "queue.requests_max": (
        "1",
        takes_away("64", sees_two_wait_for_their_turn, "backend.connections_max=1"),
    ),
    "queue.bytes_max": ("1MiB", plain("64MiB", sees_bytes_bounded, "backend.connections_max=1")),
    "guard.collections": ("gone", plain("other", sees_guarded_name)),
    "guard.records_max": ("0", plain("1", sees_guarded_record, "guard.collections=live")),
    "reads.limit": ("1", plain("none", sees_one_connection)),
    "overload": ("shed", plain("wait", sees_refusal, "reads.limit=1")),
    "auth.required": ("true", takes_away("false", lets_anybody_in, KNOWN)),
    "auth.keys_file": (
        f"{KEYS.name}/known",
        plain(f"{KEYS.name}/none", lets_in_with_key, "auth.required=true"),
    ),
    "auth.forward": (
        "true",
        takes_away("false", sees_no_credential_leave, *GATEWAY, "cache.trust=0s", KNOWN),
    ),
    "auth.backend_credential_file": (
        f"{KEYS.name}/credential",
        takes_away('""', sees_no_credential_leave, *GATEWAY, "cache.trust=0s", KNOWN),
    ),
    "deadline.read": ("100ms", plain("1h", sees_read_deadline)),
    "deadline.write": ("100ms", plain("1h", sees_write_deadline)),
    "deadline.from_client": ("true", plain("false", sees_clients_deadline)),
    "breaker.reads": ("refuse", plain("watch", sees_reads_refused)),
    "pause.max": ("1s", plain("24h", sees_pause_end)),
    "drain.timeout": ("100ms", plain("1h", sees_drain_end) | {"ends": True}),
    "log.level": ("info", plain("error", sees_access_line)),
    "log.access": ("all", plain("off", sees_access_line)),
}


def live_keys():
    """Those of which the program itself says that HUP changes them."""
    sample = subprocess.run([PROXY, "config", "init"], check=True, capture_output=True, text=True)
    section, is_live, keys = "", False, []
    for line in sample.stdout.splitlines():
        if match := re.fullmatch(r"([a-z_]+):", line):
            section = match.group(1) + "."
        elif match := re.fullmatch(r"( *)#([a-z_]+): .*", line):
            if is_live:
                keys.append((section if match.group(1) else "") + match.group(2))
            is_live = False
        elif line.lstrip().startswith("# "):
            is_live = line.endswith("; HUP changes it")
    return keys


@contextlib.contextmanager
def bed_of(key, row):
    settings = [f"{key}={row['before']}", *row["others"]]
    if key == "backend.connect_timeout":
        url, sockets = full_listener()
        with Bed(settings, backend=url) as bed:
            yield bed
        for each in sockets:
            each.close()
    elif key == "backend.resolve_interval":
        yield from bed_with_names(settings)
    else:
        with Bed(settings) as bed:
            yield bed


def bed_with_names(settings):
    """The backend is a name in an /etc/hosts that only the proxy sees; two stubs answer to it."""
    with tempfile.TemporaryDirectory() as directory:
        hosts = pathlib.Path(directory) / "hosts"
        hosts.write_text("127.0.0.1 chroma.test\n")
        mount = ["unshare", "-r", "-m", "sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$@"']
        if subprocess.run([*mount, "sh", "true"], capture_output=True, check=False).returncode != 0:
            raise Skipped("no namespaces for a file of host names")
        probe = Bed(settings)
        port = probe.stub.listen.rpartition(":")[2]
        other = Stub(probe.directory, listen=f"127.0.0.2:{port}")
        probe.proxy.backend = f"http://chroma.test:{port}"
        probe.prefix = [*mount, "sh"]
        probe.hosts, probe.other = hosts, other
        try:
            with probe:
                yield probe
        finally:
            other.kill()


def check(key):
    after, row = ROWS[key]
    with bed_of(key, row) as bed:
        expect(bed, row, row["before"], row.get("takes_away", False))
        if not row.get("ends"):
            bed.reload(key, after)
            expect(bed, row, after, not row.get("takes_away", False))
    if row.get("ends"):  # the process that was looked at is on its way out
        with bed_of(key, row) as bed:
            bed.reload(key, after)
            expect(bed, row, after, True)


def expect(bed, row, value, is_there):
    is_seen = row["observe"](bed, SHOWS_SECONDS if is_there else NOT_SECONDS)
    assert is_seen == is_there, f"{value}: {row['observe'].__name__} says {is_seen}"


def outcome(key):
    try:
        check(key)
        return "ok"
    except Skipped as reason:
        return f"skipped: {reason}"
    except Exception:  # noqa: BLE001 - whatever it is, it is this row's
        return f"FAILED\n{traceback.format_exc()}"


def main():
    live = live_keys()
    wanted = sys.argv[2:] or live
    bad = 0
    for key in sorted(set(live) ^ set(ROWS)):
        print(f"{key}: {'no row in ' + __file__ if key in live else 'HUP does not change it'}")
        bad = 1
    keys = [key for key in wanted if key in ROWS]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        for key, result in zip(keys, pool.map(outcome, keys)):
            print(f"{key}: {result}")
            bad |= result.startswith("FAILED")
    return bad


if __name__ == "__main__":
    sys.exit(main())
