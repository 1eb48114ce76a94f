"""`chromabouncer wrap`: real applications with embedded clients, served by one Chroma.

CHROMABOUNCER_WRAP_PYTHONS names further interpreters with other versions of chromadb, with colons
between them.
"""

import os
import pty
import re
import signal
import subprocess
import time

import pytest

from bed import PROXY, ROOT
from processes import wait_until, with_word

PYTHONS = [str(ROOT / ".venv/bin/python")]
PYTHONS += [path for path in os.environ.get("CHROMABOUNCER_WRAP_PYTHONS", "").split(":") if path]

OPEN = "import chromadb, sys, os, time; c = chromadb.PersistentClient('db'); "
KIND = OPEN + "print(type(c._server).__name__, flush=True); "
ADD = KIND + (
    "x = c.get_or_create_collection('col'); x.add(ids=[sys.argv[1]], "
    "embeddings=[[float(sys.argv[2]), 1.0]]); "
)
QUERY = "print(x.query(query_embeddings=[[float(sys.argv[2]), 1.0]], n_results=1)['ids']); "


def command(*words, flags=()):
    return [PROXY, "wrap", *flags, "--", *words]


def run(folder, *words, flags=(), **more):
    return subprocess.run(
        command(*words, flags=flags), cwd=folder, capture_output=True, text=True, timeout=120, **more
    )


@pytest.fixture
def folder(tmp_path):
    yield tmp_path
    wait_until(lambda: not with_word(str(tmp_path)))


@pytest.mark.parametrize("python", PYTHONS)
def test_an_embedded_client_is_served_and_its_records_are_there_afterwards(folder, python):
    result = run(folder, python, "-c", ADD + QUERY, "one", "1")
    assert result.returncode == 0, result.stderr
    assert result.stdout == "FastAPI\n[['one']]\n"
    # What it has written is what an embedded client finds, without us.
    code = "import chromadb; print(chromadb.PersistentClient('db').get_collection('col').get()['ids'])"
    alone = subprocess.run([python, "-c", code], cwd=folder, capture_output=True, text=True)
    assert alone.stdout == "['one']\n", alone.stderr


def test_processes_see_at_once_what_others_have_written(folder):
    # In one piece: four processes write to one pipe.
    code = ADD + """time.sleep(3); import sys; sys.stdout.write("%s %d\\n" % (sorted(x.get()['ids']),
        len(x.query(query_embeddings=[[2.0, 1.0]], n_results=4)['ids'][0])))"""
    script = " & ".join(f"{PYTHONS[0]} -c \"$CODE\" {n} {n}" for n in range(4)) + "; wait"
    result = run(folder, "sh", "-c", script, env={**os.environ, "CODE": code})
    assert result.stdout.count("['0', '1', '2', '3'] 4") == 4, result.stderr


def test_who_opens_a_directory_anew_finds_what_lies_there_now(folder):
    code = (
        "import shutil; shutil.rmtree('db', True) if sys.argv[3] == 'remove' else None; "
        + ADD
        + "print(sorted(x.get()['ids'])); "
    )
    code = "import sys; " + code
    steps = f"""{PYTHONS[0]} -c "$CODE" one 1 remove && {PYTHONS[0]} -c "$CODE" two 2 remove &&
        mv db aside && cp -r aside db && {PYTHONS[0]} -c "$CODE" three 3 keep"""
    result = run(folder, "sh", "-c", steps, env={**os.environ, "CODE": code})
    assert result.returncode == 0, result.stderr
    assert result.stdout.split("\n")[1::2] == ["['one']", "['two']", "['three', 'two']"]
    assert result.stderr.count("directory_was_replaced") == 2


def test_status_output_and_process_are_the_commands_own(folder):
    result = run(folder, "sh", "-c", "echo $$; echo oops >&2; exit 42")
    assert result.returncode == 42
    assert "oops\n" in result.stderr
    assert "no client of this command came to the proxy" in result.stderr
    started = subprocess.Popen(command("sh", "-c", "echo $$"), cwd=folder, stdout=subprocess.PIPE)
    assert int(started.communicate()[0]) == started.pid
    result = run(folder, "sh", "-c", "kill -SEGV $$")
    assert result.returncode == -signal.SIGSEGV


def test_what_cannot_be_run_has_the_shells_statuses(folder):
    missing = run(folder, "nonexistent")
    assert missing.returncode == 127 and "nonexistent" in missing.stderr
    (folder / "plain").write_text("")
    assert run(folder, "./plain").returncode == 126
    broken = folder / "broken"
    broken.write_text("#!/nonexistent/interpreter\n")
    broken.chmod(0o700)
    result = run(folder, "./broken")
    assert result.returncode == 127 and "no client" not in result.stderr
    assert subprocess.run([PROXY, "wrap"], capture_output=True).returncode == 64


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGKILL])
def test_a_signal_is_the_commands_and_nothing_is_left(folder, number):
    code = KIND + "time.sleep(100)"
    process = subprocess.Popen(
        command(PYTHONS[0], "-c", code), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout.readline() == b"FastAPI\n"
    process.send_signal(number)
    assert process.wait(30) == (1 if number == signal.SIGINT else -number) or number == signal.SIGINT
    wait_until(lambda: not with_word(str(folder)))


def test_a_command_that_ignores_TERM_is_served_on(folder):
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + ADD + "input(); " + QUERY
    process = subprocess.Popen(
        command(PYTHONS[0], "-c", code, "one", "1"),
        cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"FastAPI\n"
    process.terminate()
    time.sleep(1)
    assert process.communicate(b"\n", 30)[0] == b"[['one']]\n"
    assert process.returncode == 0


def test_interrupt_of_a_terminal_reaches_the_command_only(folder):
    code = KIND + (
        "\ntry:\n  print('ready', flush=True)\n  time.sleep(100)\nexcept KeyboardInterrupt:\n"
        "  print('interrupted', c.heartbeat() > 0, os.isatty(0), flush=True)"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        words = [str(word) for word in command(PYTHONS[0], "-c", code)]
        os.execv(words[0], words)
    text = b""

    def hear():
        nonlocal text
        try:
            text += os.read(terminal, 4096)
        except OSError:
            return True
        return False

    wait_until(lambda: hear() or b"ready" in text)
    os.write(terminal, b"\x03")
    wait_until(lambda: hear() or b"interrupted True True" in text)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(terminal)


def test_a_daemon_is_served_on_after_its_starter_has_ended(folder):
    code = (
        "import os, time\nif os.fork(): os._exit(3)\nos.setsid()\ntime.sleep(1.5)\n"
        + ADD + "\nopen('done', 'w').write(type(c._server).__name__)\n"
    )
    process = subprocess.Popen(command(PYTHONS[0], "-c", code, "one", "1"), cwd=folder)
    assert process.wait(30) == 3
    done = folder / "done"
    assert wait_until(lambda: done.exists() and done.read_text()) == "FastAPI"


def test_another_directory_and_other_clients_stay_what_they_are(folder):
    code = KIND + (
        "print([type(x._server).__name__ for x in (chromadb.PersistentClient('other'), "
        "chromadb.EphemeralClient(), chromadb.PersistentClient('./db/'))])"
    )
    result = run(folder, PYTHONS[0], "-c", code)
    assert result.stdout == "FastAPI\n['RustBindingsAPI', 'RustBindingsAPI', 'FastAPI']\n"
    assert "other_directory" in result.stderr and str(folder / "other") in result.stderr


MENDED = """
import os, chromadb
from chromadb.config import Settings
client = chromadb.PersistentClient("db", settings=Settings(allow_reset=True))
notes = client.get_or_create_collection("notes")
names, vectors = [str(n) for n in range(60)], [[float(n), 1.0] for n in range(60)]
notes.add(ids=names, embeddings=vectors, documents=["x" * (1 << 20)] * 60)
print(type(client._server).__name__, notes.count(), chromadb.EphemeralClient().list_collections())
child = os.fork()
if child == 0:
    notes.add(ids=["child"], embeddings=[[-1.0, 1.0]])
    os._exit(notes.count())
notes.add(ids=["parent"], embeddings=[[-5.0, 1.0]])
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) > 60)
print(notes.query(query_embeddings=[[-1.0, 1.0]], n_results=1)["ids"])
print(client.reset(), client.list_collections())
"""


def test_what_a_server_does_otherwise_than_an_embedded_chroma_is_mended(folder):
    """Adds above 40 MiB, other clients, fork(), reset(), a proxy in the environment."""
    proxies = {name: "http://127.0.0.1:1" for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY")}
    result = run(folder, PYTHONS[0], "-c", MENDED, env={**os.environ, **proxies})
    expected = "FastAPI 60 []\nTrue\n[['child']]\nTrue []\n"
    assert result.stdout == expected, result.stderr


def test_the_directory_may_be_named_and_need_not_exist(folder):
    code = "import chromadb; print([type(chromadb.PersistentClient(p)._server).__name__ for p in ('a', 'b')])"
    result = run(folder, PYTHONS[0], "-c", code, flags=["--path", "b"])
    assert result.stdout == "['RustBindingsAPI', 'FastAPI']\n", result.stderr
    assert "no client" not in result.stderr
    assert run(folder, "true", flags=["--path", "no/such/parent"]).returncode == 66


def test_at_the_end_it_is_said_that_nobody_was_served(folder):
    bypassed = run(folder, PYTHONS[0], "-I", "-c", KIND)
    assert bypassed.stdout == "RustBindingsAPI\n"
    assert "no client of this command came to the proxy; a Python started with -I" in bypassed.stderr
    other = run(folder, PYTHONS[0], "-c", KIND, flags=["--path", "b"])
    assert other.stdout == "RustBindingsAPI\n"
    assert "no client was served; one at least stayed embedded" in other.stderr


def test_where_chroma_cannot_start_a_client_stays_embedded_or_fails(folder):
    code = "import sys; sys.executable = '/nonexistent/python'; " + KIND
    result = run(folder, PYTHONS[0], "-c", code)
    assert result.stdout == "RustBindingsAPI\n"
    assert "/nonexistent/python" in result.stderr and "opens it itself" in result.stderr
    strict = run(folder, PYTHONS[0], "-c", code, flags=["--strict"])
    assert strict.returncode == 1 and "RuntimeError" in strict.stderr


def test_the_reason_is_the_end_of_what_chroma_said(folder):
    (folder / "db").mkdir()
    (folder / "db" / "chroma.sqlite3").write_bytes(b"no database" * 1000)
    result = run(folder, PYTHONS[0], "-c", KIND, flags=["--strict"])
    assert result.returncode == 1
    (reason,) = re.findall(r"RuntimeError: .*; it said: (.*)", result.stderr)
    assert "file is not a database" in reason and "((((" not in reason and "\ufffd" not in reason


def test_a_directory_that_another_process_has_open_is_not_opened(folder):
    (folder / "db").mkdir()
    (folder / "db" / "chroma.sqlite3").touch()
    holder = subprocess.Popen(["sleep", "100"], stdin=open(folder / "db" / "chroma.sqlite3"))
    try:
        for flags in [], ["--strict"]:
            result = run(folder, PYTHONS[0], "-c", KIND, flags=flags)
            assert result.returncode == 1 and result.stdout == ""
            assert re.search(rf"RuntimeError: .* is used by process {holder.pid} ", result.stderr)
        assert not (folder / "db" / "chroma.sqlite3").stat().st_size
    finally:
        holder.kill()
        holder.wait()


def test_a_second_wrap_does_not_open_the_directory_of_the_first(folder):
    code = ADD + "input(); " + QUERY
    first = subprocess.Popen(
        command(PYTHONS[0], "-c", code, "one", "1"),
        cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )
    assert first.stdout.readline() == b"FastAPI\n"
    second = run(folder, PYTHONS[0], "-c", ADD, "two", "2")
    assert second.returncode == 1 and second.stdout == ""
    assert re.search(r"RuntimeError: .* is used by process \d+ .*'FIRST & SECOND & wait'", second.stderr)
    assert first.communicate(b"\n", 30)[0] == b"[['one']]\n"


def test_killed_chroma_comes_back_and_a_killed_proxy_leaves_nothing(folder):
    code = ADD + "input(); " + QUERY + "sys.stdout.flush(); input()"
    process = subprocess.Popen(
        command(PYTHONS[0], "-c", code, "one", "1"),
        cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )
    assert process.stdout.readline() == b"FastAPI\n"
    time.sleep(0.5)
    server = [pid for pid in with_word("chromadb_rust_bindings as chroma") if in_folder(pid, folder)]
    os.kill(server[0], signal.SIGKILL)
    wait_until(lambda: not os.path.exists(f"/proc/{server[0]}"))  # reaped: the proxy knows
    process.stdin.write(b"\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"[['one']]\n"
    proxy = [pid for pid in with_word("wrap\0--\0" + PYTHONS[0]) if in_folder(pid, folder)]
    os.kill(proxy[0], signal.SIGKILL)
    process.communicate(b"\n", 30)


def test_of_two_wraps_that_start_at_once_one_gets_the_directory(folder):
    # Between the look at the directory and Chroma's there is time for another one.
    (folder / "sitecustomize.py").write_text(
        "import sys, time\n"
        "if any('chromadb_rust_bindings as chroma' in word for word in sys.orig_argv): time.sleep(2)\n"
    )
    code = ADD + "time.sleep(4); print(x.get()['ids'])"
    both = [
        subprocess.Popen(
            command(PYTHONS[0], "-c", code, name, "1"), cwd=folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(folder)},
        )
        for name in ("one", "two")
    ]
    told = [(*process.communicate(timeout=100), process.returncode) for process in both]
    (served,) = [output for output, _, status in told if status == 0]
    assert served in ("FastAPI\n['one']\n", "FastAPI\n['two']\n")
    (refused,) = [errors for _, errors, status in told if status == 1]
    assert re.search(r"RuntimeError: .* is used by process \d+ ", refused)


def start_and_tell_proxy(folder, code):
    """An application that waits for a line, and how to send TERM to its proxy and its Chroma."""
    process = subprocess.Popen(
        command(PYTHONS[0], "-c", code, "one", "1", flags=["--set", "drain.timeout=1s"]),
        cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"FastAPI\n"
    (proxy,) = [pid for pid in with_word("drain.timeout=1s") if in_folder(pid, folder)]
    (server,) = [pid for pid in with_word("chromadb_rust_bindings as chroma") if in_folder(pid, folder)]

    def tell():
        for pid in proxy, server:
            os.kill(pid, signal.SIGTERM)

    return process, proxy, tell


def test_the_first_TERM_of_a_proxy_waits_for_the_application(folder):
    code = KIND + "input(); " + ADD.removeprefix(KIND) + QUERY
    process, _, tell = start_and_tell_proxy(folder, code)
    tell()
    time.sleep(3)  # drain.timeout is over, and Chroma has ended
    assert process.communicate(b"\n", 60)[0] == b"[['one']]\n"
    assert process.returncode == 0


def test_the_second_TERM_of_a_proxy_drains(folder):
    process, proxy, tell = start_and_tell_proxy(folder, KIND + "input()")
    tell()
    time.sleep(0.5)
    os.kill(proxy, signal.SIGTERM)
    wait_until(lambda: not os.path.exists(f"/proc/{proxy}"))
    assert process.poll() is None
    process.communicate(b"\n", 30)


def in_folder(pid, folder):
    try:
        return os.readlink(f"/proc/{pid}/cwd") == str(folder)
    except OSError:
        return False


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_another_user_is_not_served(folder):
    code = KIND + "print(c._server._api_url, flush=True); input()"
    process = subprocess.Popen(
        command(PYTHONS[0], "-c", code), cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"FastAPI\n"
    port = process.stdout.readline().decode().split(":")[2].split("/")[0]
    ask = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://127.0.0.1:{port}/api/v2/heartbeat"]
    assert subprocess.run(ask, capture_output=True).stdout == b"200"
    other = subprocess.run(ask, capture_output=True, user=65534, group=65534)
    assert other.stdout == b"000" and other.returncode != 0
    process.communicate(b"\n", 30)
