"""A stand-in for Chroma that takes 64 MiB more for each POST, which lasts for two seconds."""

import http.server
import sys
import time

taken = []


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer()

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        taken.append(b"x" * (64 << 20))
        time.sleep(2)  # under way when it has grown
        self.answer()

    def answer(self):
        body = b'{"nanosecond heartbeat": %d}' % len(taken)
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
