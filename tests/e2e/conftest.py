"""What the end-to-end tests share: two fresh servers, one of them behind chromabouncer.

CHROMABOUNCER=none leaves the proxy out, so that the tests compare two bare Chroma servers: what
fails then is Chroma's own randomness, not the proxy.
"""

import contextlib
import dataclasses
import os
import signal

import pytest

from bed import Chroma, OldChroma, Proxy
from http_wire import Recorder
from transcript import HOP_BY_HOP, Transcript, assert_same, fields_without

os.environ["ANONYMIZED_TELEMETRY"] = "False"
# What nohup and shells that run this in the background ignore, processes under test must not.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
WITHOUT_PROXY = os.environ.get("CHROMABOUNCER") == "none"


@dataclasses.dataclass
class Bed:
    """`direct_port` leads to one fresh Chroma, `proxied_port` through chromabouncer to another.

    `direct`, `front` and `back` record: clients and the first server; clients and the proxy; the
    proxy and the second server.
    """

    direct_server: Chroma
    proxied_server: Chroma
    direct: Recorder
    front: Recorder
    back: Recorder
    headers_off: bool
    proxy_port: int  # where nothing is recorded

    @property
    def direct_port(self):
        return self.direct.port

    @property
    def proxied_port(self):
        return self.front.port

    def forget(self):
        for recorder in (self.direct, self.front, self.back):
            recorder.clear()

    def assert_wire_is_same(self):
        """Both conversations were the same, and the proxy changed no byte of its one."""
        self.assert_conversation_is_same()
        self.assert_passed_through()

    def assert_conversation_is_same(self, digits=None):
        """Whoever answered; `digits` as in Transcript."""
        direct, front = self.direct.exchanges(), self.front.exchanges()
        assert len(direct) == len(front) > 0
        mine, theirs = Transcript(digits), Transcript(digits)
        for number, (left, right) in enumerate(zip(direct, front)):
            what = f"exchange {number}, {' '.join(left.request.start)}"
            assert_same(mine.request(left.request), theirs.request(right.request), what)
            assert_same(mine.response(left.response), theirs.response(right.response), what)

    def assert_passed_through(self):
        """What the client saw is, byte for byte, what the server sent, and the reverse."""
        front, back = self.front.exchanges(), forwarded(self.back.exchanges())
        assert [e.request.start for e in front] == [e.request.start for e in back]
        for near, far in zip(front, back):
            what = " ".join(near.request.start)
            assert near.request.body == far.request.body, what
            assert near.response.body == far.response.body, what
            assert near.response.start[1:] == far.response.start[1:], what
            if self.headers_off:
                sent = fields_without(far.response, HOP_BY_HOP)
                assert fields_without(near.response, HOP_BY_HOP) == sent, what


def forwarded(exchanges):
    """What clients caused: without chromabouncer's own requests (health checks), and without
    first tries of reads that it asks again because Chroma's error may pass."""
    caused = []
    for exchange in exchanges:
        if (exchange.request.field("user-agent") or "").startswith("chromabouncer"):
            continue
        if caused and is_second_try(caused[-1], exchange):
            caused.pop()
        caused.append(exchange)
    return caused


def is_second_try(first, second):
    return b"Error finding id" in first.response.body and first.request.start == second.request.start


@contextlib.contextmanager
def open_bed(settings=(), arguments=(), release=None):
    def server():
        return Chroma(settings) if release is None else OldChroma(release)

    with contextlib.ExitStack() as stack:
        direct_server = stack.enter_context(server())
        proxied_server = stack.enter_context(server())
        back = stack.enter_context(contextlib.closing(Recorder(proxied_server.port)))
        port = back.port
        if not WITHOUT_PROXY:
            port = stack.enter_context(Proxy(back.port, arguments)).port
        front = stack.enter_context(contextlib.closing(Recorder(port)))
        direct = stack.enter_context(contextlib.closing(Recorder(direct_server.port)))
        yield Bed(direct_server, proxied_server, direct, front, back, "headers=off" in arguments, port)


@pytest.fixture(scope="module")
def shared_bed():
    with open_bed() as opened:
        yield opened


@pytest.fixture
def bed(shared_bed):
    """With default settings; its servers hold no collection when a test begins."""
    yield shared_bed
    for server in (shared_bed.direct_server, shared_bed.proxied_server):
        server.delete_collections()
    shared_bed.forget()


@pytest.fixture
def bed_with():
    """For other settings: bed_with(settings=[...], arguments=[...])."""
    with contextlib.ExitStack() as stack:
        yield lambda **options: stack.enter_context(open_bed(**options))
