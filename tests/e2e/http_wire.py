"""http_wire - HTTP/1.1 messages as bytes: parse them, send them, record them.

The clients under test hide what is on the wire, so the tests read it themselves.
"""

import dataclasses
import itertools
import select
import socket
import threading

CHUNK = 1 << 16


@dataclasses.dataclass
class Message:
    """One request or response; `start` is its first line split in three."""

    start: tuple
    fields: list  # (lower-case name, value), in the order sent
    body: bytes

    def field(self, name):
        return next((value for key, value in self.fields if key == name), None)

    @property
    def status(self):
        return int(self.start[1])


@dataclasses.dataclass
class Exchange:
    request: Message
    response: Message


class Incomplete(Exception):
    """The bytes end inside a message."""


def parse_message(data, position, head_only=False, until_end=False):
    """The message at `position` of `data`: (Message, position after it).

    head_only: a response that never has a body (to HEAD). until_end: the peer closed, so a
    response without a length is complete.
    """
    end = data.find(b"\r\n\r\n", position)
    if end < 0:
        raise Incomplete
    lines = data[position:end].decode("latin-1").split("\r\n")
    fields = []
    for line in lines[1:]:
        name, _, value = line.partition(":")
        fields.append((name.lower(), value.strip()))
    start = tuple((lines[0].split(" ", 2) + ["", ""])[:3])
    message = Message(start, fields, b"")
    position = end + 4
    is_response = start[0].startswith("HTTP/")
    if head_only or (is_response and (message.status < 200 or message.status in (204, 304))):
        return message, position
    if "chunked" in (message.field("transfer-encoding") or ""):
        message.body, position = _parse_chunks(data, position)
    elif message.field("content-length") is not None:
        size = int(message.field("content-length"))
        if len(data) - position < size:
            raise Incomplete
        message.body = bytes(data[position : position + size])
        position += size
    elif is_response:
        if not until_end:
            raise Incomplete
        message.body, position = bytes(data[position:]), len(data)
    return message, position


def _parse_chunks(data, position):
    body = bytearray()
    while True:
        end = data.find(b"\r\n", position)
        if end < 0:
            raise Incomplete
        size = int(data[position:end].split(b";")[0], 16)
        position = end + 2
        if len(data) < position + size + 2:
            raise Incomplete
        body += data[position : position + size]
        position += size + 2
        if size == 0:
            return bytes(body), position


def encode_request(method, target, fields, body):
    """Request bytes; content-length is added for a body unless `fields` frame it already."""
    names = {name.lower() for name, _ in fields}
    if body is not None and not names & {"content-length", "transfer-encoding"}:
        fields = [*fields, ("content-length", str(len(body)))]
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")


def encode_chunked(body, chunk_bytes):
    parts = [body[i : i + chunk_bytes] for i in range(0, len(body), chunk_bytes)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


class Connection:
    """A client connection that sends exactly the bytes it is given."""

    def __init__(self, port, timeout=60):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unread = bytearray()
        self.position = 0
        self.closed = False

    def send(self, data):
        """A peer that refuses early may close while we send; its answer is then read all the
        same."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def receive(self, method="GET"):
        """The next final response to a request of `method`; ConnectionError if there is none."""
        while True:
            try:
                message, self.position = parse_message(
                    self.unread, self.position, method == "HEAD", self.closed
                )
                if message.status >= 200:
                    return message
            except Incomplete:
                self._fill()

    def is_answered(self):
        """Whether there is anything to read by now."""
        return bool(select.select([self.socket], [], [], 0)[0])

    def is_closed_by_peer(self):
        """Whether the peer closes within a moment, without further bytes."""
        self.socket.settimeout(1)
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def _fill(self):
        if self.closed:
            raise ConnectionError("closed before a complete response")
        try:
            data = self.socket.recv(CHUNK)
        except ConnectionResetError:
            data = b""
        self.unread += data
        self.closed = not data

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Recorder:
    """A forwarder to `target_port` that keeps every byte; exchanges() is what passed."""

    def __init__(self, target_port):
        self.target_port = target_port
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.sequence = itertools.count()
        self.lock = threading.Lock()
        self.pipes = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target_port))
            except OSError:
                client.close()
                continue
            streams = [_Stream(), _Stream()]
            streams[0].port = server.getsockname()[1]  # whom the target sees
            with self.lock:
                self.pipes.append(streams)
            for source, sink, stream in ((client, server, 0), (server, client, 1)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(
                    target=self._pump, args=(source, sink, streams[stream]), daemon=True
                ).start()

    def _pump(self, source, sink, stream):
        try:
            while data := source.recv(CHUNK):
                stream.append(data, next(self.sequence))
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            # Either side is gone: so is the other, as without a forwarder.
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        stream.ended = True

    def clear(self):
        """Forget what passed; only between exchanges."""
        with self.lock:
            for streams in self.pipes:
                for stream in streams:
                    stream.clear()

    def connections(self):
        """(port that the target saw, exchanges in their order) of every connection."""
        with self.lock:
            return [(pair[0].port, [item for _, item in _pair(*pair)]) for pair in self.pipes]

    def exchanges(self):
        """Every complete exchange, in the order in which the requests began."""
        with self.lock:
            found = [item for streams in self.pipes for item in _pair(*streams)]
        return [exchange for _, exchange in sorted(found, key=lambda item: item[0])]

    def close(self):
        self.listener.close()


class _Stream:
    """Bytes of one direction, with the global order in which they came."""

    def __init__(self):
        self.clear()
        self.ended = False

    def clear(self):
        self.data = bytearray()
        self.marks = []  # (offset, sequence)

    def append(self, data, sequence):
        self.marks.append((len(self.data), sequence))
        self.data += data

    def sequence_at(self, offset):
        return max(sequence for start, sequence in self.marks if start <= offset)


def _pair(requests, responses):
    request_at = response_at = 0
    pairs = []
    while request_at < len(requests.data):
        try:
            request, next_request_at = parse_message(requests.data, request_at)
        except Incomplete:
            # Refused before the body was read: what there is of it tells which request it was.
            end = requests.data.find(b"\r\n\r\n", request_at)
            if end < 0:
                break
            head = requests.data[request_at : end + 4].replace(b"ontent-", b"ontent_")
            request, _ = parse_message(head.replace(b"ransfer-", b"ransfer_"), 0)
            next_request_at = len(requests.data)
        try:
            response, response_at = _final_response(responses, response_at, request.start[0])
        except Incomplete:
            break
        pairs.append((requests.sequence_at(request_at), Exchange(request, response)))
        request_at = next_request_at
    return pairs


def _final_response(stream, position, method):
    while True:
        message, position = parse_message(stream.data, position, method == "HEAD", stream.ended)
        if message.status >= 200:
            return message, position
