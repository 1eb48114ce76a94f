"""stand_in - a small stand-in for `chromabouncer wrap`: its socket, a real Chroma, no proxy.

Usage: stand_in.py [--strict] [--refuse REASON] [--path DIR] -- COMMAND...

Runs COMMAND under the start-up hook and serves the hook's socket: the first directory that a client
asks for (or DIR) is served by a real Chroma server of that client's own environment. Ends with
COMMAND's exit status. Tests use the class.
"""

import argparse
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOOK = ROOT / "src/hook"
START_SECONDS = 90


class StandIn:
    """Answers hooks on `socket_path`. `requests` are what was asked; `refuse` is a reason to say no,
    `in_use` that somebody else has the directory open."""

    def __init__(self, path=None, strict=False, refuse=None, in_use=False):
        self.directory = tempfile.TemporaryDirectory(prefix="hook-")
        self.socket_path = os.path.join(self.directory.name, "wrap")
        self.path = path and os.path.realpath(path)
        self.strict = strict
        self.refuse = refuse
        self.in_use = in_use
        self.requests = []
        self.chroma = None
        self.port = None
        self.lock = threading.Lock()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.socket_path)
        self.listener.listen(64)
        threading.Thread(target=self.serve, daemon=True).start()

    def environment(self, base=None):
        """What COMMAND is run with."""
        environment = dict(os.environ if base is None else base)
        hidden = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = f"{HOOK}:{hidden}" if hidden else str(HOOK)
        environment["CHROMABOUNCER_WRAP"] = self.socket_path
        if self.strict:
            environment["CHROMABOUNCER_WRAP_STRICT"] = "1"
        return environment

    def asked(self, op):
        return [request for request in self.requests if request["op"] == op]

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection):
        with connection, connection.makefile("rwb") as stream:
            request = json.loads(stream.readline())
            self.requests.append(request)
            answer = {"ok": True} if request["op"] == "note" else self.open(request)
            stream.write(json.dumps(answer).encode() + b"\n")

    def open(self, request):
        if self.refuse:
            answer = {"ok": False, "reason": self.refuse, "other_directory": False}
            return {**answer, "in_use": self.in_use}
        with self.lock:
            self.path = self.path or request["path"]
            if request["path"] != self.path:
                reason = f"{self.path} is the wrapped directory"
                return {"ok": False, "reason": reason, "other_directory": True}
            if self.chroma is None:
                self.start(request)
        return {"ok": True, "host": "127.0.0.1", "port": self.port}

    def start(self, request):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        # CHROMA_PORT and the like would win over the configuration file.
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.upper().startswith("CHROMA") and name != "PYTHONPATH"
        }
        environment["ANONYMIZED_TELEMETRY"] = "False"
        chroma = os.path.join(os.path.dirname(request["python"]), "chroma")
        command = [request["python"], chroma, "run"]
        if int(request["version"].split(".")[0]) >= 1:
            config = os.path.join(self.directory.name, "chroma.yaml")
            pathlib.Path(config).write_text(
                f'port: {self.port}\nlisten_address: "127.0.0.1"\n'
                f"persist_path: {json.dumps(self.path)}\nmax_payload_size_bytes: 268435456\n"
                f"allow_reset: {json.dumps(request['allow_reset'])}\n"
            )
            command += [config]
        else:
            command += ["--path", self.path, "--host", "127.0.0.1", "--port", str(self.port)]
            environment["ALLOW_RESET"] = str(request["allow_reset"])
        self.log = os.path.join(self.directory.name, "chroma.log")
        with open(self.log, "wb") as log:
            self.chroma = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment
            )
        self.wait_until_ready()

    def wait_until_ready(self):
        deadline = time.monotonic() + START_SECONDS
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while True:
            try:
                opener.open(f"http://127.0.0.1:{self.port}/api/v2/heartbeat", timeout=5).read()
                return
            except OSError:
                if self.chroma.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(pathlib.Path(self.log).read_text()[-2000:]) from None
                time.sleep(0.05)

    def stop_listening(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def close(self):
        if self.listener.fileno() >= 0:
            self.stop_listening()
        if self.chroma is not None:
            self.chroma.send_signal(signal.SIGINT)
            try:
                self.chroma.wait(15)
            except subprocess.TimeoutExpired:
                self.chroma.kill()
                self.chroma.wait()
        self.directory.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--refuse")
    parser.add_argument("--path")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    with StandIn(arguments.path, arguments.strict, arguments.refuse) as stand_in:
        command = subprocess.Popen(arguments.command, env=stand_in.environment())
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda received, _: command.send_signal(received))
        status = command.wait()
    sys.exit(status)


if __name__ == "__main__":
    main()
