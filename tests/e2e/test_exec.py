"""`chromabouncer exec`: a real Chroma as a child, its deaths and ours."""

import contextlib
import json
import os
import pathlib
import pty
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest

from bed import PROXY, ROOT, Process, free_port
from processes import children, wait_until, with_word

CHROMA = ROOT / ".venv/bin/chroma"
ODD = ROOT / "tests/e2e/odd_chroma.py"
DATABASE = "/api/v2/tenants/default_tenant/databases/default_database"
TOO_SMALL = "memory_max_of_chroma_is_too_small"
UNAVAILABLE, SYSTEM = 69, 71


class Exec(Process):
    name = "exec"
    status = "off"  # its status listener

    def __init__(self, arguments=None, flags=(), wait=True):
        super().__init__()
        self.port = free_port()
        self.database = self.directory / "db" / "chroma.sqlite3"
        self.arguments = arguments or [
            CHROMA, "run", "--path", self.directory / "db", "--host", "127.0.0.1", "--port", self.port,
        ]
        self.flags = flags
        if wait:
            self.start()

    def start(self):
        before = self.text().count("listening on")
        self.spawn([PROXY, "exec", "--status", self.status, *self.flags, "--", *self.arguments])
        self.wait_until(lambda: self.text().count("listening on") > before)

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def events(self, name):
        lines = [json.loads(line) for line in self.text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == name]

    def ask(self, path="/api/v2/heartbeat", body=None, seconds=60):
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers)
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            return json.load(answer)

    def chroma(self):
        return wait_until(lambda: children(self.process.pid))[0]

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(40)


@pytest.fixture
def running():
    with Exec() as one:
        yield one
    wait_until(lambda: not with_word(one.directory.name))


def test_it_accepts_at_once_and_answers_when_chroma_is_ready(running):
    assert "nanosecond heartbeat" in running.ask()
    assert "in front of" not in running.text()  # no terminal
    ready = wait_until(lambda: running.events("chroma_ready"))[0]
    assert ready["process"] == running.chroma()
    assert running.end() == 0
    assert not children(running.process.pid) and not with_word(running.directory.name)
    assert running.events("chroma_ended")[0]["level"] == "info"
    assert running.events("chroma_ended")[0]["cause"] == "it was told to end"


def start_on_terminal(tmp_path):
    """(its id, the terminal, what it said there until it was ready to be looked at)"""
    words = [PROXY, "exec", "--status", "127.0.0.1:0", "--control", tmp_path / "control", "--"]
    words += [CHROMA, "run", "--path", tmp_path / "db", "--port", free_port()]
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(PROXY, [str(word) for word in words])
    text = b""
    while b"  end        ^C" not in text:
        text += os.read(terminal, 4096)
    return pid, terminal, text


def test_on_a_terminal_it_says_where_to_look(tmp_path):
    pid, terminal, text = start_on_terminal(tmp_path)
    os.write(terminal, b"\x03")
    with contextlib.suppress(OSError):  # when it has closed the terminal
        while part := os.read(terminal, 4096):
            text += part
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert b"in front of a Chroma of its own, http://127.0.0.1:" in text
    assert f"top --control {tmp_path}/control\r\n  status     http://127.0.0.1:".encode() in text
    wait_until(lambda: not with_word(str(tmp_path)))


def test_it_ends_with_its_terminal_and_takes_chroma_with_it(tmp_path):
    pid, terminal, _ = start_on_terminal(tmp_path)
    wait_until(lambda: children(pid))
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    wait_until(lambda: not with_word(str(tmp_path)))


def test_a_configuration_file_serves_too(monkeypatch):
    monkeypatch.setenv("CHROMA_PORT", str(free_port()))  # Chroma lets it win over the file
    with Exec(wait=False) as one:
        config = one.directory / "theirs.yaml"
        data = one.directory / "data"
        config.write_text(f"port: {one.port}\nlisten_address: 127.0.0.1\npersist_path: {data}\n")
        one.arguments = [CHROMA, "run", config]
        one.start()
        one.ask()
        assert (data / "chroma.sqlite3").exists()
        assert one.end() == 0


def test_killed_chroma_is_started_again_and_requests_wait(running):
    running.ask()
    first = running.chroma()
    for _ in range(3):
        killed = running.chroma()
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: not os.path.exists(f"/proc/{killed}"))
        assert "nanosecond heartbeat" in running.ask()  # waits for the new one
    assert running.chroma() != first
    ends = running.events("chroma_ended")
    assert len(ends) == 3 and all(end["cause"] == "it was killed" for end in ends)
    # It lived for less than a second each time: the wait before the next start doubles.
    assert [end["starts_in_ms"] for end in ends] == [200.0, 400.0, 800.0]


def test_a_directory_in_use_is_refused_with_the_process(running):
    running.ask()
    user = running.chroma()
    with Exec(wait=False) as second:
        second.arguments = [CHROMA, "run", "--path", running.directory / "db", "--port", second.port]
        second.spawn([PROXY, "exec", "--status", "off", "--", *second.arguments])
        assert second.process.wait(30) == UNAVAILABLE
        reason = second.events("chroma_cannot_be_started")[0]["reason"]
        assert f"is used by process {user} " in reason
    assert running.ask()


def test_a_missing_chroma_and_a_corrupt_directory_end_it_with_the_reason():
    with Exec(wait=False) as one:
        one.spawn([PROXY, "exec", "--status", "off", "--", "/nonexistent/chroma", "run"])
        assert one.process.wait(30) == UNAVAILABLE
        assert "/nonexistent/chroma" in one.events("chroma_cannot_be_started")[0]["reason"]
    with Exec(wait=False) as one:
        one.database.parent.mkdir()
        one.database.write_bytes(b"no database" * 1000)
        one.spawn([PROXY, "exec", "--status", "off", "--", *one.arguments])
        assert one.process.wait(60) == UNAVAILABLE
        assert "it said" in one.events("chroma_cannot_be_started")[0]["reason"]
        assert len(one.events("chroma_ended")) == 3


def test_requests_that_wait_for_a_chroma_that_cannot_be_started_are_told_so():
    flags = ["--listen", f"127.0.0.1:{free_port()}"]
    with Exec(["sh", "-c", "sleep 0.5; echo no teeth >&2; exit 3 # {port}"], flags, wait=False) as one:
        one.port = int(flags[1].rpartition(":")[2])
        one.start()
        answers = []

        def ask(path, body):
            try:
                one.ask(path, body)
            except urllib.error.HTTPError as error:
                answers.append((error.code, json.load(error)))

        collection = "/api/v2/tenants/default_tenant/databases/default_database/collections/" + "0" * 32
        record = {"ids": ["a"], "embeddings": [[1.0]]}
        asked = [("/api/v2/heartbeat", None), (collection + "/upsert", record), (collection + "/delete", {})]
        threads = [threading.Thread(target=ask, args=each) for each in asked]
        for thread in threads:
            thread.start()
        assert one.process.wait(30) == UNAVAILABLE
        for thread in threads:
            thread.join()
        assert [code for code, _ in answers] == [503] * 3
        assert all("no teeth" in said["message"] for _, said in answers)


def test_a_taken_port_is_said_and_nothing_is_started():
    with Exec(wait=False) as one, socket.create_server(("127.0.0.1", one.port)):
        one.spawn([PROXY, "exec", "--status", "off", "--", *one.arguments])
        assert one.process.wait(30) == SYSTEM
        assert str(one.port) in one.text() and not one.database.exists()


def test_killed_itself_it_leaves_no_chroma_and_can_be_started_at_once(monkeypatch):
    with Exec(wait=False) as one:
        private = one.directory / "private"
        private.mkdir()
        monkeypatch.setenv("TMPDIR", str(private))
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
        one.start()
        one.ask()
        old, left = one.chroma(), list(private.iterdir())
        one.kill()
        assert len(left) == 1 and list(private.iterdir()) == left
        one.start()
        assert "nanosecond heartbeat" in one.ask()
        assert old not in with_word(one.directory.name)
        assert len(list(private.iterdir())) == 1 and not left[0].exists()
        assert one.end() == 0
        assert not list(private.iterdir())
        wait_until(lambda: not with_word(one.directory.name))


def test_what_an_earlier_run_has_left_behind_is_waited_for(running):
    running.ask()
    running.end()
    # Stands for a Chroma whose chromabouncer is gone, and which still finishes what it does.
    leftover = subprocess.Popen(
        ["sleep", "100"],
        stdin=running.database.open(),
        env={**os.environ, "CHROMABOUNCER_CHILD_OF": "999999999"},
    )
    try:
        running.start()
        wait_until(lambda: running.events("waiting_for_old_chroma"))
        assert len(running.events("chroma_ready")) == 1
    finally:
        leftover.kill()
        leftover.wait()
    assert "nanosecond heartbeat" in running.ask()


def test_interrupted_by_the_terminal_it_ends_chroma_last_and_finishes_what_is_under_way(running):
    answers = []

    def ask():
        answers.append(running.ask())

    running.ask()
    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    assert running.end(signal.SIGINT) == 0
    for thread in threads:
        thread.join()
    assert len(answers) == 20
    assert not with_word(running.directory.name)


def test_a_stop_while_chroma_starts_is_quick():
    with Exec() as one:
        assert one.end() == 0
        assert not with_word(one.directory.name)


def test_others_at_the_port_or_the_directory_turn_the_role_to_sidecar(running):
    running.ask()
    holder = subprocess.Popen(
        [sys.executable, "-c", f"f = open({str(running.database)!r}); input()"],
        stdin=subprocess.PIPE,
    )
    try:
        reason = wait_until(lambda: running.events("chroma_has_other_users"))[0]["reason"]
        assert f"process {holder.pid} has its directory open" in reason
        wait_until(lambda: running.events("role_is_now_sidecar"))
    finally:
        holder.communicate(b"\n")


def test_a_peer_of_chroma_itself_turns_the_role_to_sidecar(running):
    running.ask()
    backend = running.events("started")[0]["backend"].rpartition(":")[2]
    code = f"import socket; s = socket.create_connection(('127.0.0.1', {backend})); input()"
    peer = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    try:
        reason = wait_until(lambda: running.events("chroma_has_other_users"))[0]["reason"]
        assert f"port {backend}" in reason
    finally:
        peer.communicate(b"\n")


def test_our_own_connections_do_not(running):
    running.ask()
    threading.Event().wait(3.5)
    assert not running.events("chroma_has_other_users")


def test_a_hanging_chroma_is_killed_and_started_again():
    flags = ["--set", "exec.hang_timeout=3s", "--set", "backend.health_interval=500ms"]
    with Exec(flags=flags) as one:
        one.ask()
        os.kill(one.chroma(), signal.SIGSTOP)
        # INT does not reach it; KILL comes 10 s later.
        ended = wait_until(lambda: one.events("chroma_ended"), 40)[0]
        assert ended["cause"] == "it did not answer its heartbeat"
        assert "nanosecond heartbeat" in one.ask()


@contextlib.contextmanager
def odd_chroma(*settings):
    """Behind `exec`, and listening: a stand-in for Chroma."""
    port = free_port()
    flags = ["--listen", f"127.0.0.1:{port}"]
    for setting in settings:
        flags += ["--set", setting]
    with Exec([sys.executable, ODD, "{port}"], flags, wait=False) as one:
        one.port, one.status = port, f"127.0.0.1:{free_port()}"
        one.start()
        yield one


def readiness(one):
    try:
        with urllib.request.urlopen(f"http://{one.status}/readyz", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_collections_are_warmed_before_it_is_ready_whenever_chroma_was_started():
    with odd_chroma("exec.warm=none,slow, a/b/slow,/,a/b") as one:
        one.ask()  # clients need not wait for it
        for starts in 1, 2:
            wait_until(lambda: len(one.events("chroma_ready")) == starts)
            status, text = readiness(one)
            assert status == 503 and "exec.warm" in text
            wait_until(lambda: readiness(one)[0] == 200)
            wait_until(lambda: len(one.events("collection_not_warmed")) == 3 * starts)
            warm, cold = one.events("collection_warmed"), one.events("collection_not_warmed")
            assert [event["collection"] for event in warm] == ["slow", "a/b/slow"] * starts
            assert all(event["took_ms"] >= 1000 for event in warm)
            assert [event["collection"] for event in cold] == ["none", "/", "a/b"] * starts
            assert cold[0]["reason"] == "it does not exist"
            os.kill(one.chroma(), signal.SIGKILL)
        assert one.end() == 0


def test_a_warmed_collection_has_its_index_loaded(running):
    running.ask()
    collection = running.ask(f"{DATABASE}/collections", {"name": "warm"})
    running.ask(f"{DATABASE}/collections", {"name": "empty"})
    records = [[float(number), 1.0, 2.0] for number in range(2000)]
    running.ask(f"{DATABASE}/collections/{collection['id']}/add",
                {"ids": [str(number) for number in range(2000)], "embeddings": records})
    running.end()
    running.flags = ["--set", "exec.warm=warm,empty"]
    running.start()
    warm = wait_until(lambda: len(events := running.events("collection_warmed")) == 2 and events)
    assert warm[0]["took_ms"] > warm[1]["took_ms"]  # no index, one question
    assert not running.events("collection_not_warmed")


@pytest.mark.parametrize("operation", ["query", "upsert"])
def test_what_kills_chroma_three_times_is_refused_and_others_are_answered(operation):
    with odd_chroma() as one:
        one.ask()
        answers = []
        collection = f"{DATABASE}/collections/12345678-1234-1234-1234-123456789abc"
        beside = [threading.Thread(target=lambda: answers.append(one.ask())) for _ in range(5)]

        def kill():
            with pytest.raises(urllib.error.HTTPError) as raised:
                one.ask(f"{collection}/{operation}", {"ids": ["die"], "embeddings": [[1, 2, 3]]})
            answers.append(raised.value)

        killer = threading.Thread(target=kill)
        killer.start()
        wait_until(lambda: one.events("chroma_ended"))
        for thread in beside:
            thread.start()
        for thread in [killer, *beside]:
            thread.join()
        refused = [answer for answer in answers if not isinstance(answer, dict)]
        assert len(answers) == 6 and len(refused) == 1
        assert refused[0].code == 502
        assert refused[0].headers["x-chromabouncer-executed"] == "maybe"
        assert "nanosecond heartbeat" in one.ask()
        assert len(one.events("chroma_ended")) == 3
        assert one.end() == 0


def grow(one):
    """One request under which the stand-in for Chroma grows, and one that comes meanwhile."""
    answers = []
    grower = threading.Thread(target=lambda: answers.append(one.ask("/api/v2/grow", {})))
    grower.start()
    wait_until(lambda: one.events("chroma_has_grown") or one.events(TOO_SMALL))
    asked = one.ask()
    grower.join()
    return answers[0]["nanosecond heartbeat"], asked["nanosecond heartbeat"]


def test_a_chroma_that_has_grown_is_started_anew_between_requests():
    with odd_chroma("exec.memory_max=60MiB", "exec.warm=slow") as one:
        one.ask()
        time.sleep(4)  # it was seen to be small
        # The one under way is finished by the old one; the one that came meanwhile waits.
        assert grow(one) == (1, 0)
        ended = one.events("chroma_ended")
        assert [event["cause"] for event in ended] == ["it was started anew"]
        wait_until(lambda: one.events("resumed"))
        assert len(one.events("collection_warmed")) == 2  # before that
        assert one.end() == 0


def test_a_chroma_that_is_large_from_the_beginning_is_left_alone():
    with odd_chroma("exec.memory_max=1MiB") as one:
        one.ask()
        assert grow(one) == (1, 1)
        time.sleep(2.5)
        assert len(one.events(TOO_SMALL)) == 1 and not one.events("chroma_ended")
        assert one.end() == 0


def may_unshare():
    """May we be given a process namespace of our own?"""
    words = ["unshare", "--pid", "--fork", "--mount-proc", "true"]
    try:
        return subprocess.run(words, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not may_unshare(), reason="no process namespace to be had")
def test_it_may_be_the_first_process_of_a_container():
    with Exec(wait=False) as one:
        # What loses its parent is PID 1's: the sleep's parent ends at once.
        words = ["sh", "-c", 'sh -c "sleep 1 &"; exec "$0" "$@"', *one.arguments]
        unshare = ["unshare", "--pid", "--fork", "--mount-proc"]
        one.spawn([*unshare, PROXY, "exec", "--status", "off", "--", *words])
        assert "nanosecond heartbeat" in wait_until(lambda: answer_of(one), 60)
        first = children(one.process.pid)[0]
        status = pathlib.Path(f"/proc/{first}/status").read_text()
        assert status.partition("NSpid:")[2].split()[:2] == [str(first), "1"]
        killed = wait_until(lambda: len(found := children(first)) == 1 and found)
        assert not zombies(first)  # the sleep is gone altogether
        os.kill(killed[0], signal.SIGKILL)
        assert "nanosecond heartbeat" in one.ask()
        assert children(first) != killed
        os.kill(first, signal.SIGTERM)
        assert one.process.wait(40) == 0
        wait_until(lambda: not with_word(one.directory.name))


def answer_of(one):
    try:
        return one.ask()
    except OSError:
        return None


def zombies(process):
    found = []
    for folder in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if fields[0] == "Z" and int(fields[1]) == process:
                found.append(folder.name)
    return found


def test_the_database_is_put_into_WAL_mode_and_back():
    with Exec(flags=["--set", "exec.sqlite_wal=true"]) as one:
        one.ask()
        one.end()  # a new directory: Chroma has made it itself
        one.start()
        one.ask()
        collection = one.ask(f"{DATABASE}/collections", {"name": "records"})
        one.ask(f"{DATABASE}/collections/{collection['id']}/add", {"ids": ["a"], "embeddings": [[1, 2]]})
        assert one.database.read_bytes()[18] == 2
        one.end()
        one.flags = ()
        one.start()
        count = one.ask(f"{DATABASE}/collections/{collection['id']}/count")
        assert count == 1 and one.database.read_bytes()[18] == 1
        assert [event["mode"] for event in one.events("database_mode_changed")] == ["wal", "delete"]
