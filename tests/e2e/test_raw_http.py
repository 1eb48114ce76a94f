"""Every route and every status, as bytes on the wire."""

import json

import pytest

from bed import DATABASE
from conftest import WITHOUT_PROXY
from http_wire import Connection, encode_chunked, encode_request
from sweep_steps import RECORDS, STEPS
from transcript import Transcript, assert_same

HEADERS_OFF = ["--set", "headers=off"]
BODY_MAX = 40 << 20  # Chroma's own limit
JSON = ("content-type", "application/json")


def run_sweep(port, keep_alive):
    """Send every step one at a time; returns [(step, response)]."""
    saved, answers, connection = {}, [], None
    for step in STEPS:
        target = step.full_target(saved)
        fields = [("host", "chroma.test"), *step.fields]
        data = encode_request(step.method, target, fields, step.encoded_body())
        if connection is None:
            connection = Connection(port)
        connection.send(data)
        response = connection.receive(step.method)
        # After a refusal Chroma may close without saying so; go on with a fresh connection.
        if not keep_alive or response.status >= 400:
            connection.close()
            connection = None
        if step.save:
            saved[step.save] = json.loads(response.body)["id"]
        answers.append((step, response))
    return answers


@pytest.mark.parametrize("keep_alive", [False, True], ids=["connection each", "keep-alive"])
@pytest.mark.parametrize("arguments", [[], HEADERS_OFF], ids=["defaults", "headers off"])
def test_every_route_and_status_comes_through_unchanged(bed_with, arguments, keep_alive):
    bed = bed_with(arguments=arguments)
    direct = run_sweep(bed.direct_port, keep_alive)
    proxied = run_sweep(bed.proxied_port, keep_alive)
    mine, theirs = Transcript(), Transcript()
    for (step, left), (_, right) in zip(direct, proxied):
        what = f"{step.method} {step.target}"
        assert left.status == step.status, what
        assert_same(mine.response(left), theirs.response(right), what)
    bed.assert_wire_is_same()


@pytest.mark.parametrize("count, status", [(100, 200), (101, 431)])
def test_as_many_header_fields_as_chroma_takes(bed, count, status):
    """A field of the proxy's own must not make one too many."""
    fields = [("host", "h"), *((f"x-{number}", "1") for number in range(count - 1))]
    request = encode_request("GET", "/api/v2/heartbeat", fields, None)
    assert [ask(port, request).status for port in ports(bed)] == [status, status]


@pytest.mark.parametrize("status", [403, 200])
def test_reset_is_the_operators_choice(bed_with, status):
    bed = bed_with(settings=["allow_reset: true"] if status == 200 else [])
    request = encode_request("POST", "/api/v2/reset", [("host", "h")], b"")
    assert [ask(port, request).status for port in ports(bed)] == [status, status]
    bed.assert_wire_is_same()


def test_429_of_the_scorecard_comes_through(bed_with):
    patterns = ["scorecard_enabled: true", "scorecard:", '  - patterns: ["op:read"]', "    score: 0"]
    bed = bed_with(settings=patterns)
    for port in ports(bed):
        response = ask_collection(port, create_collection(port), "get", {})
        assert response.status == 429
        assert response.field("content-type") == "application/json"
    bed.assert_wire_is_same()


def test_429_of_the_circuit_breaker_comes_through(bed_with):
    """Plain text, not JSON. A half-sent request straight to the server takes its only place."""
    bed = bed_with(settings=["circuit_breaker:", "  requests: 1"])
    for port, server in zip(ports(bed), (bed.direct_server, bed.proxied_server)):
        with occupant_of_the_only_place(server.port, create_collection(port)):
            response = ask(port, encode_request("GET", f"{DATABASE}/collections", [("host", "h")], None))
        assert response.status == 429
        assert response.body == b"You have been rate limited."
        assert response.field("content-type") == "text/plain; charset=utf-8"


def occupant_of_the_only_place(port, uuid):
    """Chroma lets go of a place a moment after it has answered, so that one refusal proves nothing:
    it may be the occupant that is refused. It is in when others are refused again and again."""
    half = [("host", "h"), JSON, ("content-length", "2")]
    probe = encode_request("GET", "/api/v2/tenants/default_tenant", [("host", "h")], None)
    for _ in range(100):
        occupant = Connection(port)
        occupant.send(encode_request("POST", f"{DATABASE}/collections/{uuid}/get", half, b"{"))
        if all(ask(port, probe).status == 429 for _ in range(10)) and not occupant.is_answered():
            return occupant
        occupant.close()
    raise AssertionError("the place is never free")


@pytest.mark.skipif(WITHOUT_PROXY, reason="this is what the proxy adds")
def test_a_panic_in_chroma_is_a_502_in_chromas_shape(bed):
    """Chroma closes the connection without a word; the client is told, and the next one works."""
    request = encode_request("GET", "/api/v2/collections/a:b:c", [("host", "h")], None)
    with pytest.raises(ConnectionError):
        ask(bed.direct_port, request)
    response = ask(bed.proxied_port, request)
    assert response.status == 502
    assert set(json.loads(response.body)) == {"error", "message"}
    heartbeat = encode_request("GET", "/api/v2/heartbeat", [("host", "h")], None)
    assert ask(bed.proxied_port, heartbeat).status == 200


def test_pipelined_requests_are_answered_in_order(bed):
    for port in ports(bed):
        uuid = create_collection(port)
        bodies = [{"ids": [f"id{n}"], "embeddings": [[n, 1]]} for n in range(5)]
        with Connection(port) as connection:
            connection.send(
                b"".join(
                    request_for(uuid, "add", body) + request_for(uuid, "get", {}) for body in bodies
                )
            )
            answers = [connection.receive() for _ in range(10)]
        assert [answer.status for answer in answers] == [201, 200] * 5
        counts = [len(json.loads(answer.body)["ids"]) for answer in answers[1::2]]
        assert counts == [1, 2, 3, 4, 5]
    bed.assert_wire_is_same()


@pytest.mark.parametrize("chunk_bytes", [1, 100, 65536])
def test_chunked_request_bodies_arrive_whole(bed, chunk_bytes):
    body = json.dumps(RECORDS, ensure_ascii=False).encode()
    for port in ports(bed):
        uuid = create_collection(port)
        target = f"{DATABASE}/collections/{uuid}/add"
        fields = [("host", "h"), JSON, ("transfer-encoding", "chunked")]
        framed = encode_chunked(body, chunk_bytes)
        assert ask(port, encode_request("POST", target, fields, framed)).status == 201
        assert ask_collection(port, uuid, "get", {}).status == 200
    bed.assert_wire_is_same()


def test_expect_100_continue_gets_its_go_ahead(bed):
    body = json.dumps(RECORDS, ensure_ascii=False).encode()
    for port in ports(bed):
        uuid = create_collection(port)
        target = f"{DATABASE}/collections/{uuid}/add"
        fields = [("host", "h"), JSON, ("expect", "100-continue"), ("content-length", len(body))]
        with Connection(port) as connection:
            connection.send(encode_request("POST", target, fields, None))
            assert connection.socket.recv(12) == b"HTTP/1.1 100"
            connection.send(body)
            while b"\r\n\r\n" not in connection.unread:
                connection._fill()
            del connection.unread[: connection.unread.index(b"\r\n\r\n") + 4]
            assert connection.receive("POST").status == 201


def test_http_1_0_is_answered_and_closed(bed):
    answers = []
    for port in ports(bed):
        with Connection(port) as connection:
            connection.send(b"GET /api/v2/version HTTP/1.0\r\nhost: h\r\n\r\n")
            answers.append(connection.receive())
            assert connection.is_closed_by_peer()
    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].body == answers[1].body


def test_absolute_form_targets_are_understood(bed):
    for port in ports(bed):
        target = f"http://127.0.0.1:{port}/api/v2/version"
        response = ask(port, encode_request("GET", target, [("host", f"127.0.0.1:{port}")], None))
        assert (response.status, response.body) == (200, b'"1.0.0"')


@pytest.mark.parametrize("operation", ["add", "upsert", "update", "query", "get", "delete"])
def test_a_body_of_40_mib_passes_and_one_byte_more_is_refused_as_by_chroma(bed, operation):
    """413 has a different body on different routes."""
    request = {
        "query": {"query_embeddings": [[1, 2]]},
        "get": {},
        "delete": {"ids": ["a"]},
    }.get(operation, {"ids": ["a"], "embeddings": [[1, 2]]})
    body = json.dumps(request).encode()
    mine, theirs = Transcript(), Transcript()
    uuids = [create_collection(port) for port in ports(bed)]
    for size, accepted in ((BODY_MAX, True), (BODY_MAX + 1, False)):
        answers = [
            ask_bytes(port, uuid, operation, body.ljust(size)) for port, uuid in zip(ports(bed), uuids)
        ]
        assert answers[0].status == ((201 if operation == "add" else 200) if accepted else 413)
        assert_same(mine.response(answers[0]), theirs.response(answers[1]), f"{operation} of {size}")


def test_a_chunked_body_beyond_40_mib_is_refused_as_by_chroma(bed):
    framed = encode_chunked(b'{"ids":["a"],"embeddings":[[1,2]]}'.ljust(BODY_MAX + 1), 1 << 20)
    fields = [("host", "h"), JSON, ("transfer-encoding", "chunked")]
    answers = []
    for port in ports(bed):
        target = f"{DATABASE}/collections/{create_collection(port)}/add"
        answers.append(ask(port, encode_request("POST", target, fields, framed)))
    assert answers[0].status == 413
    assert_same(Transcript().response(answers[0]), Transcript().response(answers[1]), "chunked")


def test_5000_records_in_one_body_of_40_mib_are_stored(bed):
    """And come back in an answer of that size."""
    vector = [n / 1024 for n in range(384)]
    records = {
        "ids": [f"id{n}" for n in range(5000)],
        "embeddings": [[n / 4096 + 0.123456789012345678] + vector[1:] for n in range(5000)],
    }
    body = json.dumps(records).encode().ljust(BODY_MAX)
    bodies = []
    for port in ports(bed):
        uuid = create_collection(port)
        assert ask_bytes(port, uuid, "add", body).status == 201
        answer = ask_collection(port, uuid, "get", {"include": ["embeddings"]})
        assert len(json.loads(answer.body)["ids"]) == 5000
        bodies.append(answer.body)
    assert bodies[0] == bodies[1]
    bed.assert_passed_through()


def ports(bed):
    return bed.direct_port, bed.proxied_port


def ask(port, request):
    with Connection(port) as connection:
        connection.send(request)
        return connection.receive(request.split(b" ", 1)[0].decode())


def create_collection(port):
    body = b'{"name":"collection"}'
    answer = ask(port, encode_request("POST", f"{DATABASE}/collections", [("host", "h"), JSON], body))
    return json.loads(answer.body)["id"]


def request_for(uuid, operation, body):
    data = json.dumps(body, ensure_ascii=False).encode()
    target = f"{DATABASE}/collections/{uuid}/{operation}"
    return encode_request("POST", target, [("host", "h"), JSON], data)


def ask_collection(port, uuid, operation, body):
    return ask(port, request_for(uuid, operation, body))


def ask_bytes(port, uuid, operation, body):
    target = f"{DATABASE}/collections/{uuid}/{operation}"
    return ask(port, encode_request("POST", target, [("host", "h"), JSON], body))
