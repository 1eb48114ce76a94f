"""A stand-in for Chroma, started with a port: what it does is said by the request.

GET .../collections/slow describes a collection, any other .../collections/NAME does not exist;
POST .../query of it answers after a second; POST .../grow takes 64 MiB more, in two seconds; a body
with "die" kills it before it answers. Its heartbeat counts the growth.
"""

import http.server
import json
import os
import signal
import sys
import time

UUID = "12345678-1234-1234-1234-123456789abc"
taken = []


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        name = self.path.rpartition("/collections/")[2]
        if name == "slow":
            self.answer(200, {"id": UUID, "name": "slow", "dimension": 3})
        elif name != self.path:
            self.answer(404, {"error": "NotFoundError"})
        else:
            self.answer(200, {"nanosecond heartbeat": len(taken)})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if b"die" in body:
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.path.endswith(f"/{UUID}/query"):
            time.sleep(1)
            self.answer(200, {"asked": json.loads(body)})
        else:
            taken.append(b"x" * (64 << 20))
            time.sleep(2)  # under way when it has grown
            self.answer(200, {"nanosecond heartbeat": len(taken)})

    def answer(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, form, *words):
        print(form % words, flush=True)


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
