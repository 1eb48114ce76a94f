"""API keys in front of a real Chroma: who gets in, what he may touch and see, and each way around it
that was thought of, tried.

Two tenants with a database each. `reader` reads docs-* of the first, `writer` does all there, and
`stranger` belongs to the second.
"""

import base64
import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import time
import uuid

import chromadb
import pytest

from bed import DATABASE, PROXY, Chroma, OldChroma, WatchedProxy, wait_for

TENANT = "default_tenant"
ALLOWED = {
    "reader": [f"read:{TENANT}/default_database/docs-*"],
    "writer": [f"*:{TENANT}/default_database/*"],
    "stranger": ["*:other_tenant/*/*"],
    "admin": ["*:*/*/*", "admin:*/*/*"],
}
# 1.0.20, 1.2.1, 1.3.5, 1.4.1 and 0.5.23 pass, too: KEYS_VERSIONS=... of the environment.
VERSIONS = os.environ.get("KEYS_VERSIONS", "0.6.3").split()
CLOSE = "Connection: close\r\n\r\n"
OTHER = "/api/v2/tenants/other_tenant/databases/other_database"


def key_command(folder, *words):
    command = [PROXY, "key", *words, "--set", f"auth.keys_file={folder}/keys"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def ask(port, method, path, body=None, key=None, headers=(), raw_path=False):
    """Status, answer as JSON where it is, and the fields."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    fields = {"content-type": "application/json", **dict(headers)}
    if key:
        fields["authorization"] = f"Bearer {key}"
    text = None if body is None else json.dumps(body)
    connection.request(method, path, text, fields)
    response = connection.getresponse()
    data = response.read()
    connection.close()
    try:
        data = json.loads(data)
    except ValueError:
        pass
    return response.status, data, response


class KeyBed:
    def __init__(self, chroma, proxy, folder, keys):
        self.chroma, self.proxy, self.folder, self.keys = chroma, proxy, folder, keys

    def ask(self, key, method, path, body=None, headers=()):
        status, data, _ = ask(self.proxy.port, method, path, body, self.keys.get(key), headers)
        return status, data

    def raw(self, text):
        """All that comes back for these bytes, of which the last say `Connection: close`."""
        with socket.create_connection(("127.0.0.1", self.proxy.port), timeout=60) as connection:
            connection.sendall(text.encode())
            data = b""
            while piece := connection.recv(1 << 16):
                data += piece
        return data.decode()

    def ctl(self, *words):
        command = [PROXY, "ctl", *words, "-o", "json", "--control", f"{self.folder}/control"]
        return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def create(chroma, database, name):
    body = {"name": name, "get_or_create": True}
    return chroma.ask("POST", f"{database}/collections", body)["id"]


@pytest.fixture(scope="module")
def bed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    keys = {}
    for name, scopes in ALLOWED.items():
        allow = [word for scope in scopes for word in ("--allow", scope)]
        keys[name] = key_command(folder, "add", name, *allow)
    keys["wrong"] = keys["reader"][:-1] + ("a" if keys["reader"][-1] != "a" else "b")
    arguments = ["--set", "auth.required=true", "--set", f"auth.keys_file={folder}/keys"]
    arguments += ["--control", f"{folder}/control"]
    with Chroma() as chroma, WatchedProxy(chroma.port, arguments) as proxy:
        chroma.ask("POST", "/api/v2/tenants", {"name": "other_tenant"})
        path = "/api/v2/tenants/other_tenant/databases"
        chroma.ask("POST", path, {"name": "other_database"})
        bed = KeyBed(chroma, proxy, folder, keys)
        bed.docs = create(chroma, DATABASE, "docs-1")
        bed.secret = create(chroma, DATABASE, "secret")
        bed.others = create(chroma, OTHER, "docs-1")
        for database, collection in (
            (DATABASE, bed.docs),
            (DATABASE, bed.secret),
            (OTHER, bed.others),
        ):
            body = {"ids": ["a"], "embeddings": [[1.0, 2.0]], "documents": ["text"]}
            chroma.ask("POST", f"{database}/collections/{collection}/upsert", body)
        yield bed


def record(collection, operation, database=DATABASE):
    return f"{database}/collections/{collection}/{operation}"


# ---- What is allowed works ------------------------------------------------------------------------


def test_the_python_client_works_with_its_token(bed):
    """As people configure it: a reader opens, gets or "creates", queries and lists."""
    settings = chromadb.Settings(
        chroma_client_auth_provider="chromadb.auth.token_authn.TokenAuthClientProvider",
        chroma_client_auth_credentials=bed.keys["reader"],
    )
    client = chromadb.HttpClient(host="127.0.0.1", port=bed.proxy.port, settings=settings)
    assert client.heartbeat() > 0
    collection = client.get_or_create_collection("docs-1")
    assert str(collection.id) == bed.docs
    assert collection.get()["ids"] == ["a"]
    assert collection.query(query_embeddings=[[1.0, 2.0]], n_results=1)["ids"] == [["a"]]
    assert [each.name for each in client.list_collections()] == ["docs-1"]
    assert client.count_collections() == 1
    with pytest.raises(Exception, match="does not allow write"):
        collection.upsert(ids=["b"], embeddings=[[1.0, 2.0]])
    with pytest.raises(Exception, match="does not allow creating"):
        client.get_or_create_collection("docs-none")
    with pytest.raises(Exception, match="does not allow read"):
        client.get_collection("secret")
    headers = {"x-chroma-token": bed.keys["writer"]}
    writer = chromadb.HttpClient(host="127.0.0.1", port=bed.proxy.port, headers=headers)
    mine = writer.get_or_create_collection("mine")
    mine.upsert(ids=["b"], embeddings=[[1.0, 2.0]])
    assert mine.count() == 1
    mine.delete(ids=["b"])
    mine.modify(name="mine-2")
    writer.delete_collection("mine-2")
    assert {each.name for each in writer.list_collections()} == {"docs-1", "secret"}


def test_basic_takes_the_key_as_password(bed):
    text = base64.b64encode(f"anybody:{bed.keys['reader']}".encode()).decode()
    headers = {"authorization": f"Basic {text}"}
    assert bed.ask(None, "GET", record(bed.docs, "count"), headers=headers) == (200, 1)


def test_health_checks_and_preflights_need_no_key(bed):
    for path in ("/api/v2/heartbeat", "/api/v2/version", "/api/v2/healthcheck"):
        assert bed.ask(None, "GET", path)[0] == 200
    headers = {"origin": "http://page", "access-control-request-method": "POST"}
    assert bed.ask(None, "OPTIONS", record(bed.docs, "get"), headers=headers)[0] != 401


# ---- Ways around ----------------------------------------------------------------------------------


def test_without_a_key(bed):
    for method, path in (
        ("GET", f"{DATABASE}/collections"),
        ("GET", record(bed.docs, "count")),
        ("POST", record(bed.docs, "get")),
        ("POST", "/api/v2/reset"),
        ("GET", "/api/v2/auth/identity"),
        ("GET", "/api/v1/collections"),
        ("GET", "/docs"),
        ("GET", "/nowhere"),
    ):
        status, data, response = ask(bed.proxy.port, method, path, {} if method == "POST" else None)
        assert (status, data["error"]) == (401, "AuthError"), path
        assert response.getheader("www-authenticate").startswith("Bearer")


def test_with_a_wrong_key(bed):
    assert bed.ask("wrong", "GET", record(bed.docs, "count"))[0] == 401


def test_with_a_revoked_key(bed):
    bed.keys["former"] = key_command(bed.folder, "add", "former")
    bed.ctl("reload")
    assert bed.ask("former", "GET", record(bed.docs, "count")) == (200, 1)
    key_command(bed.folder, "revoke", "former")
    assert bed.ask("former", "GET", record(bed.docs, "count")) == (200, 1)
    bed.ctl("reload")
    assert bed.ask("former", "GET", record(bed.docs, "count"))[0] == 401
    # At HUP as well.
    bed.keys["former"] = key_command(bed.folder, "add", "former")
    bed.proxy.process.send_signal(signal.SIGHUP)
    wait_for(lambda: bed.ask("former", "GET", record(bed.docs, "count"))[0] == 200, "it is known")
    key_command(bed.folder, "revoke", "former")
    bed.ctl("reload")


def test_of_another_tenant_by_uuid(bed):
    """Chroma itself answers this: it looks at the UUID alone."""
    assert bed.chroma.ask("GET", record(bed.docs, "count", OTHER)) == 1
    for database in (DATABASE, OTHER):
        status, data = bed.ask("stranger", "GET", record(bed.docs, "count", database))
        assert (status, data["error"]) == (404, "NotFoundError"), database
    for collection in (bed.others, bed.secret):
        for database in (DATABASE, OTHER):
            path = record(collection, "get", database)
            assert bed.ask("reader", "POST", path, {})[0] == 404, path
    # A true path and a full key: that is all right.
    assert bed.ask("stranger", "GET", record(bed.others, "count", OTHER)) == (200, 1)
    assert bed.ask("admin", "GET", record(bed.docs, "count", OTHER))[0] == 404


def test_a_uuid_out_of_scope_looks_like_none(bed):
    """Word for word what Chroma says of one that does not exist."""
    none = str(uuid.uuid4())
    for method, operation, body in (
        ("GET", "count", None),
        ("POST", "get", {}),
        ("POST", "query", {"query_embeddings": [[1.0, 2.0]]}),
        ("POST", "upsert", {"ids": ["a"], "embeddings": [[1.0, 2.0]]}),
        ("POST", "delete", {"ids": ["a"]}),
    ):
        status, words, theirs = ask(bed.chroma.port, method, record(none, operation), body)
        assert status == 404
        key = bed.keys["stranger"]
        for collection in (none, bed.docs, bed.secret):
            status, mine, answer = ask(
                bed.proxy.port, method, record(collection, operation), body, key
            )
            expected = json.loads(json.dumps(words).replace(none, collection))
            assert (status, mine) == (404, expected), operation
            assert answer.getheader("content-type") == theirs.getheader("content-type")


def test_by_spelling_the_path_otherwise(bed):
    key = bed.keys["reader"]
    database = DATABASE.removeprefix("/api/v2")
    for path in (
        f"/api/v2/%2e%2e/v2{database}/collections/secret",
        f"/api/v2/tenants/other_tenant/%2e%2e/{TENANT}/databases/default_database/collections",
        f"/api/v2//{database.lstrip('/')}/collections/secret",
        f"/api/v2{database}//collections/secret",
        f"/api/v2{database}/collections//secret",
        f"/api/v2{database}/collections/docs-1%2f..%2fsecret",
        f"/api/v2{database}/collections/docs-1/../secret",
        f"/api/v2{database}/collections/secret/",
        f"/api/v2{database}/collections/%73ecret",
        f"/api/v2/tenants/default%5ftenant/databases/default_database/collections/secret",
        f"/api/v2/tenants/other%5ftenant/databases/other_database/collections/docs-1",
        f"/api/v2{database}/collections/secret?x=docs-1",
        f"/api/v2{database}/collections/secret%00docs-",
        f"/api/v2/tenants/{TENANT}/databases/default_database%2fcollections%2fsecret",
        f"/API/v2{database}/collections/secret",
    ):
        answer = bed.raw(
            f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
            "Connection: close\r\n\r\n"
        )
        assert answer.split()[1] in ("400", "403"), path
        assert bed.secret not in answer
    # An encoded name of one's own is one's own.
    assert bed.ask("reader", "GET", f"{DATABASE}/collections/%64ocs-1")[0] == 200


def test_by_the_absolute_form(bed):
    key = bed.keys["reader"]
    for host in ("x", f"127.0.0.1:{bed.chroma.port}"):
        for name, expected in (("secret", "403"), ("docs-1", "200")):
            answer = bed.raw(
                f"GET http://{host}{DATABASE}/collections/{name} HTTP/1.1\r\nHost: {host}\r\n"
                f"Authorization: Bearer {key}\r\nConnection: close\r\n\r\n"
            )
            assert answer.split()[1] == expected
    answer = bed.raw(f"GET http://x{DATABASE}/collections HTTP/1.1\r\nHost: x\r\n{CLOSE}")
    assert answer.split()[1] == "401"


def test_by_v1_routes(bed):
    for path in (
        "/api/v1/collections/secret",
        f"/api/v1/collections/{bed.secret}/count",
        "/api/v1/collections?tenant=other_tenant&database=other_database",
        "/api/v1/collections/docs-1?tenant=default_tenant&tenant=other_tenant",
    ):
        status, data = bed.ask("reader", "GET", path)
        assert status >= 400, path
        assert "docs-1" not in str(data), path
    assert bed.ask("reader", "GET", "/api/v1/collections/secret")[0] == 403


def test_by_head(bed):
    key = bed.keys["reader"]
    for path in (record(bed.secret, "count"), f"{DATABASE}/collections", record(bed.docs, "query")):
        answer = bed.raw(
            f"HEAD {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
            "Connection: close\r\n\r\n"
        )
        assert answer.split()[1] in ("403", "404", "405"), path
    assert bed.raw(f"HEAD {DATABASE} HTTP/1.1\r\nHost: x\r\n{CLOSE}").split()[1] == "401"


def test_by_unknown_routes(bed):
    for method, path in (
        ("GET", "/metrics"),
        ("POST", f"{DATABASE}/collections/{bed.docs}/unheard_of"),
        ("GET", f"{DATABASE}/collections/{bed.docs}/unheard_of"),
        ("DELETE", f"{DATABASE}/collections"),
        ("POST", "/api/v2/reset"),
        ("TRACE", record(bed.docs, "get")),
    ):
        for key in ("reader", "writer", "stranger"):
            assert bed.ask(key, method, path, {} if method == "POST" else None)[0] == 403, path
        assert bed.ask("admin", method, path, {} if method == "POST" else None)[0] in (403, 404, 405)


def test_by_fields_of_others(bed):
    """What proxies say, and what clients might think is listened to."""
    for headers in (
        {"x-forwarded-for": "127.0.0.1"},
        {"x-forwarded-user": "admin"},
        {"x-service": "admin"},
        {"forwarded": "for=127.0.0.1"},
        {"x-original-url": "/api/v2/heartbeat"},
        {"x-http-method-override": "GET"},
        {"x-chroma-tenant": "other_tenant"},
        {"connection": "authorization"},
        {"cookie": f"authorization=Bearer {bed.keys['admin']}"},
        {"proxy-authorization": f"Bearer {bed.keys['admin']}"},
        {"x-api-key": bed.keys["admin"]},
    ):
        assert bed.ask(None, "GET", record(bed.docs, "count"), headers=headers)[0] == 401, headers
        path = record(bed.secret, "count")
        assert bed.ask("reader", "GET", path, headers=headers)[0] == 404, headers


def test_by_a_key_in_the_query(bed):
    for name in ("key", "token", "authorization", "x-chroma-token"):
        path = f"{record(bed.docs, 'count')}?{name}={bed.keys['admin']}"
        assert bed.ask(None, "GET", path)[0] == 401


def test_by_two_keys_at_once(bed):
    path = record(bed.secret, "count")
    headers = {"x-chroma-token": bed.keys["admin"]}
    assert bed.ask("reader", "GET", path, headers=headers)[0] == 400
    for first, second in (("reader", "admin"), ("admin", "reader"), ("wrong", "admin")):
        answer = bed.raw(
            f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bed.keys[first]}\r\n"
            f"Authorization: Bearer {bed.keys[second]}\r\nConnection: close\r\n\r\n"
        )
        assert answer.split()[1] == "400"


def test_by_a_second_request_in_the_first(bed):
    """Whatever the two could read differently is refused, and each request is asked for its key."""
    key = bed.keys["reader"]
    inner = f"GET {record(bed.secret, 'count')} HTTP/1.1\r\nHost: x\r\n{CLOSE}"
    first = f"POST {record(bed.docs, 'get')} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
    for fields in (
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Content-Length: 2\r\nContent-Length: 200\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Content-Length : 2\r\n",
    ):
        answer = bed.raw(first + fields + "\r\n{}" + inner)
        assert answer.count("HTTP/1.1 ") == 1 and answer.split()[1][0] in "45", fields
    answer = bed.raw(first + "Content-Length: 2\r\n\r\n{}" + inner)
    assert answer.count("HTTP/1.1 200") == 1 and answer.count("HTTP/1.1 401") == 1
    # And within a name that goes out in a request of the proxy's own.
    name = f"docs-1 HTTP/1.1\r\nHost: x\r\n\r\nGET {record(bed.secret, 'count')}"
    body = {"name": name, "get_or_create": True}
    assert bed.ask("reader", "POST", f"{DATABASE}/collections", body)[0] == 403


def test_by_the_body(bed):
    path = f"{DATABASE}/collections"
    for text in (
        '{"name":"docs-1","name":"secret","get_or_create":true}',
        '{"name":"docs-1","n\\u0061me":"secret","get_or_create":true}',
        '{"name":"secret","get_or_create":true}',
        '\ufeff{"name":"secret","get_or_create":true}',
    ):
        answer = bed.raw(
            f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bed.keys['reader']}\r\n"
            f"Content-Length: {len(text.encode())}\r\nConnection: close\r\n\r\n{text}"
        )
        assert answer.split()[1] in ("400", "403"), text
        assert bed.secret not in answer
    rename = {"new_name": "secret-2"}
    key = key_command(bed.folder, "add", "renamer", "--allow", f"write:{TENANT}/*/docs-*")
    bed.ctl("reload")
    path = f"{DATABASE}/collections/{bed.docs}"
    status, data, _ = ask(bed.proxy.port, "PUT", path, rename, key)
    assert (status, data["error"]) == (403, "AuthError")
    assert ask(bed.proxy.port, "PUT", path, {"new_metadata": {"a": 1}}, key)[0] == 200


def test_deletions_need_their_verb(bed):
    key = key_command(bed.folder, "add", "appender", "--allow", f"read,write:{TENANT}/*/docs-*")
    bed.ctl("reload")
    status, data, _ = ask(
        bed.proxy.port, "POST", record(bed.docs, "delete"), {"ids": ["a"]}, key
    )
    assert status == 403 and "delete:" in data["message"]
    assert ask(bed.proxy.port, "DELETE", f"{DATABASE}/collections/docs-1", None, key)[0] == 403
    assert bed.chroma.ask("GET", record(bed.docs, "count")) == 1


def test_what_may_be_seen_in_lists(bed):
    for number in range(3):
        create(bed.chroma, DATABASE, f"docs-list-{number}")
    try:
        everything = bed.chroma.ask("GET", f"{DATABASE}/collections")
        visible = [each for each in everything if each["name"].startswith("docs-")]
        assert len(visible) == 4 and len(everything) > len(visible)
        path = f"{DATABASE}/collections"
        assert bed.ask("reader", "GET", path) == (200, visible)
        for limit in range(1, 6):
            pages, offset = [], 0
            while page := bed.ask("reader", "GET", f"{path}?limit={limit}&offset={offset}")[1]:
                assert len(page) <= limit
                pages += page
                offset += limit
            assert pages == visible
        assert bed.ask("reader", "GET", f"{DATABASE}/collections_count") == (200, 4)
        assert bed.ask("writer", "GET", path) == (200, everything)
        assert bed.ask("stranger", "GET", path)[0] == 403
        assert bed.ask("reader", "GET", f"{OTHER}/collections")[0] == 403
    finally:
        for number in range(3):
            bed.chroma.ask("DELETE", f"{DATABASE}/collections/docs-list-{number}")


def test_a_rename_behind_our_back_counts_within_5_s(bed):
    """In role sidecar others may rename: a name that a scope rests on is at most 5 s old."""
    collection = create(bed.chroma, DATABASE, "docs-moving")
    try:
        assert bed.ask("reader", "GET", record(collection, "count")) == (200, 0)
        path = f"{DATABASE}/collections/{collection}"
        bed.chroma.ask("PUT", path, {"new_name": "secret-moving"})
        time.sleep(5.2)
        assert bed.ask("reader", "GET", record(collection, "count"))[0] == 404
    finally:
        bed.chroma.ask("DELETE", f"{DATABASE}/collections/secret-moving")


# ---- What is seen of keys -------------------------------------------------------------------------


def test_nothing_tells_a_key_or_a_digest(bed):
    """Not the log, the metrics, ctl, `config show`, `key list` or a core of what was shown there."""
    digests = [
        word.removeprefix("sha256=")
        for line in (bed.folder / "keys").read_text().splitlines()
        for word in line.split()
        if word.startswith("sha256=")
    ]
    assert len(digests) >= len(ALLOWED)
    bed.ask("wrong", "GET", record(bed.docs, "count"))
    shown = subprocess.run(
        [PROXY, "config", "show", "--set", f"auth.keys_file={bed.folder}/keys"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    listed = key_command(bed.folder, "list")
    told = json.dumps(bed.ctl("keys"))
    texts = [bed.proxy.log.read_text(), bed.proxy.get("/metrics"), bed.proxy.get("/"), shown]
    texts += [listed, told]
    for text in texts:
        for secret in [*bed.keys.values(), *digests]:
            assert secret not in text
            assert secret[-40:] not in text
    entry = next(each for each in bed.ctl("keys")["keys"] if each["key"] == "reader")
    assert entry["allow"] == ALLOWED["reader"] and entry["requests"] > 10
    assert bed.ctl("keys")["refused"]["two_keys"] > 0
    assert "reader" in listed
    metrics = bed.proxy.get("/metrics")
    assert 'chromabouncer_auth_refused_total{reason="scope"}' in metrics
    entries = [json.loads(line) for line in bed.proxy.log.read_text().splitlines() if '"request"' in line]
    assert {"reader", "writer"} <= {entry.get("key") for entry in entries}


def test_a_core_holds_no_key(bed):
    """There is none. Without keys the same death leaves one, where the machine writes any."""
    keys = ["--set", "auth.required=true", "--set", f"auth.keys_file={bed.folder}/keys"]
    limits = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (limits[1], limits[1]))
    left = []
    try:
        for arguments in ([], keys):
            with WatchedProxy(bed.chroma.port, arguments) as proxy:
                proxy.process.send_signal(signal.SIGABRT)
                left.append(os.WCOREDUMP(os.waitpid(proxy.process.pid, 0)[1]))
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, limits)
    if not left[0]:
        pytest.skip("cores are not written here")
    assert left == [True, False]


def test_a_file_that_others_can_read_is_refused(bed, tmp_path):
    (tmp_path / "keys").write_text("")
    os.chmod(tmp_path / "keys", 0o644)
    for words in (["run"], ["key", "list"], ["check"]):
        command = [PROXY, *words, "--backend", f"http://127.0.0.1:{bed.chroma.port}"]
        command += ["--listen", "127.0.0.1:0", "--status", "off", "--set", "control.path=off"]
        command += ["--set", "auth.required=true", "--set", f"auth.keys_file={tmp_path}/keys"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        assert done.returncode == 77, words
        assert "chmod 600" in done.stdout + done.stderr
    # And at a reload the former keys stay.
    os.chmod(bed.folder / "keys", 0o640)
    command = [PROXY, "ctl", "reload", "--control", f"{bed.folder}/control"]
    assert subprocess.run(command, capture_output=True).returncode == 77
    os.chmod(bed.folder / "keys", 0o600)
    assert bed.ask("reader", "GET", record(bed.docs, "count")) == (200, 1)


def test_check_reads_the_credential_as_run_does(bed, tmp_path):
    file, words = tmp_path / "credential", ["--backend", f"http://127.0.0.1:{bed.chroma.port}"]
    words += ["--listen", "127.0.0.1:0", "--status", "off", "--set", "control.path=off"]
    words += ["--set", f"auth.backend_credential_file={file}"]
    for text, mode, told in (
        ("a\nb\n", 0o600, "one line"),
        ("token\n", 0o644, "chmod 600"),
        ("token\n", 0o600, "Chroma is shown"),
        (None, None, "cannot be read"),
    ):
        file.unlink(missing_ok=True)
        if text is not None:
            file.write_text(text)
            os.chmod(file, mode)
        check = subprocess.run([PROXY, "check", *words], capture_output=True, text=True, timeout=30)
        assert any("credential" in line and told in line for line in check.stdout.splitlines()), check.stdout
        if told == "Chroma is shown":
            assert check.returncode == 0
        else:
            run = subprocess.run([PROXY, "run", *words], capture_output=True, timeout=30)
            assert check.returncode == run.returncode > 0, told


# ---- Older servers --------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_older_servers_tell_whose_uuid_it_is(version, tmp_path):
    reader = key_command(tmp_path, "add", "reader", "--allow", ALLOWED["reader"][0])
    arguments = ["--set", "auth.required=true", "--set", f"auth.keys_file={tmp_path}/keys"]
    with OldChroma(version) as chroma, WatchedProxy(chroma.port, arguments) as proxy:
        docs, secret = create(chroma, DATABASE, "docs-1"), create(chroma, DATABASE, "secret")
        assert ask(proxy.port, "GET", record(docs, "count"), None, reader)[:2] == (200, 0)
        assert ask(proxy.port, "GET", record(secret, "count"), None, reader)[0] == 404
        status, data, _ = ask(proxy.port, "GET", f"{DATABASE}/collections", None, reader)
        assert (status, [each["name"] for each in data]) == (200, ["docs-1"])
        path = f"{DATABASE}/collections"
        body = {"name": "docs-1", "get_or_create": True}
        assert ask(proxy.port, "POST", path, body, reader)[1]["id"] == docs
        if version.startswith("0."):
            path = "/api/v1/collections"
            assert ask(proxy.port, "POST", path, body, reader)[1]["id"] == docs
            assert ask(proxy.port, "GET", f"{path}/{docs}/count", None, reader)[:2] == (200, 0)
            assert ask(proxy.port, "GET", f"{path}/{secret}/count", None, reader)[0] == 404
            assert [each["id"] for each in ask(proxy.port, "GET", path, None, reader)[1]] == [docs]
            # What these servers decode before they take a path apart.
            tricky = f"{DATABASE}%2fcollections%2f{secret}/count"
            assert ask(proxy.port, "GET", tricky, None, reader)[0] in (400, 403)
            tricky = f"{DATABASE}/collections/{secret[:8]}{secret[9:]}/count"
            assert ask(proxy.port, "GET", tricky, None, reader)[0] == 400
