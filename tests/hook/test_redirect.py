"""Which clients become clients of the proxy, and that the others stay what they are."""

import importlib.metadata
import json
import os
import sys
import textwrap

import pytest

from conftest import PRELUDE

OPEN_IN_EVERY_WAY = """
os.makedirs(directory, exist_ok=True)
link = directory + ".link"
if not os.path.islink(link):
    os.symlink(directory, link)
segment = "chromadb.api.segment.SegmentAPI"
settings = [
    Settings(is_persistent=True, persist_directory=directory),
    Settings(is_persistent=True, persist_directory=directory + "/."),
    Settings(is_persistent=True, persist_directory=link, chroma_api_impl=segment),
]
clients = [chromadb.PersistentClient(directory), chromadb.PersistentClient(path=link + "/")]
if VERSION >= (1,):
    rust = "chromadb.api.rust.RustBindingsAPI"
    clients.append(chromadb.RustClient(directory + "//"))
    other = os.path.join(directory, "..", os.path.basename(directory))
    settings.append(
        Settings(is_persistent=True, persist_directory=other, chroma_api_impl=rust)
    )
clients += [chromadb.Client(one) for one in settings]
os.chdir(os.path.dirname(directory))
clients.append(chromadb.PersistentClient(os.path.basename(directory)))
admin = chromadb.AdminClient(settings[0])
clients[0].get_or_create_collection("ways", embedding_function=None)
counts = [client.get_collection("ways", embedding_function=None).count() for client in clients]
links = ["/proc/self/fd/" + name for name in os.listdir("/proc/self/fd")]
held = [os.readlink(link) for link in links if os.path.islink(link)]
tell(
    apis=[api(client) for client in clients] + [api(admin)],
    counts=counts,
    tenant=admin.get_tenant("default_tenant")["name"],
    holds_database=any(name.startswith(directory) for name in held),
)
"""

OTHER_CLIENTS = """
import asyncio
port = int(os.environ["PORT"])

def facts(client):
    session = getattr(client._server, "_session", None)
    return [
        api(client), type(client).__name__, type(session).__module__,
        client._identifier == "ephemeral", len(client._identifier),
    ]

async def asynchronous():
    client = await chromadb.AsyncHttpClient(host="127.0.0.1", port=port)
    return [api(client), await client.count_collections() >= 0, len(client._identifier)]

cloud = chromadb.CloudClient(
    tenant="default_tenant", database="default_database", api_key="key", cloud_host="127.0.0.1",
    cloud_port=port, enable_ssl=False,
)
tell(
    ephemeral=facts(chromadb.EphemeralClient(Settings(persist_directory=directory))),
    plain=facts(chromadb.Client(Settings(persist_directory=directory))),
    http=facts(chromadb.HttpClient(host="127.0.0.1", port=port)),
    cloud=facts(cloud),
    asynchronous=asyncio.run(asynchronous()),
    variables=sorted(name for name in os.environ if name.startswith("CHROMA_")),
)
"""


def test_every_way_to_open_the_directory_leads_to_the_proxy(wrapped):
    ran = wrapped.run(OPEN_IN_EVERY_WAY)
    assert set(ran.apis) == {"fastapi"}
    assert set(ran.counts) == {0}
    assert ran.tenant == "default_tenant"
    assert not ran.holds_database


def test_other_clients_stay_what_they_are(wrapped, embedded):
    wrapped.run("chromadb.PersistentClient(directory)")  # starts the server
    port = str(wrapped.stand_in.port)
    alone = embedded(OTHER_CLIENTS, PORT=port)
    under = wrapped.run(OTHER_CLIENTS, PORT=port)
    assert under.output == alone.output


def test_another_directory_stays_embedded_and_is_noted_once(wrapped, tmp_path):
    before = len(wrapped.stand_in.asked("note"))
    ran = wrapped.run(
        f"""
        ours = chromadb.PersistentClient(directory)
        for _ in range(2):
            other = chromadb.PersistentClient({str(tmp_path)!r})
        ours.get_or_create_collection("only-here", embedding_function=None)
        names = [getattr(item, "name", item) for item in other.list_collections()]
        tell(apis=[api(ours), api(other)], names=names)
        """
    )
    assert ran.apis[0] == "fastapi" and ran.apis[1] in ("rust", "segment")
    assert ran.names == [] and "chromabouncer" not in ran.errors
    notes = wrapped.stand_in.asked("note")[before:]
    assert [(note["what"], note["path"]) for note in notes] == [("other_directory", str(tmp_path))]


def test_the_first_directory_asked_for_is_the_wrapped_one(wrap, tmp_path):
    wrapped = wrap()
    ran = wrapped.run("tell(api=api(chromadb.PersistentClient(directory)))")
    assert ran.api == "fastapi"
    asked = wrapped.stand_in.asked("open")[0]
    assert asked["path"] == str(tmp_path / "db") and asked["python"] == sys.executable
    assert asked["hook"] == 1 and asked["allow_reset"] is False and asked["pid"] > 1
    assert asked["version"] == importlib.metadata.version("chromadb")


def test_a_refused_directory_stays_embedded_loudly(wrap):
    wrapped = wrap(refuse="no chroma command")
    ran = wrapped.run(
        """
        clients = [chromadb.PersistentClient(directory) for _ in range(3)]
        tell(apis=[api(client) for client in clients])
        """
    )
    assert set(ran.apis) <= {"rust", "segment"}
    assert ran.errors.count("no chroma command") == 1 and "opens it itself" in ran.errors
    assert [note["what"] for note in wrapped.stand_in.asked("note")] == ["stayed_embedded"]
    assert len(wrapped.stand_in.asked("open")) == 1


@pytest.mark.parametrize(
    "refusal",
    [
        {"refuse": "no chroma command", "strict": True},
        {"refuse": "used by process 1", "in_use": True},
    ],
)
def test_where_it_would_be_wrong_or_is_not_wanted_no_client_is_embedded(wrap, refusal):
    wrapped = wrap(**refusal)
    ran = wrapped.run(
        """
        reasons = []
        for _ in range(2):
            try:
                chromadb.PersistentClient(directory)
            except RuntimeError as error:
                reasons.append(str(error))
        memory = api(chromadb.EphemeralClient())
        tell(reasons=reasons, exists=os.path.exists(directory), memory=memory)
        """
    )
    assert len(ran.reasons) == 2 and refusal["refuse"] in ran.reasons[1]
    assert not ran.exists and ran.memory in ("rust", "segment")
    assert not wrapped.stand_in.asked("note")


OPEN = """
try:
    client = chromadb.PersistentClient(directory)
    seen = api(client)
except RuntimeError as error:
    seen = str(error)
"""
IN_A_FORK = """
if os.fork() == 0:
    chromadb.api.client.SharedSystemClient.clear_system_cache()
    {open}
    tell(child=seen)
    os._exit(0)
os.wait()
"""


def test_where_there_is_no_proxy_a_client_stays_embedded(wrap):
    wrapped = wrap()
    os.unlink(wrapped.stand_in.socket_path)
    ran = wrapped.run("tell(api=api(chromadb.PersistentClient(directory)))")
    assert ran.api in ("rust", "segment") and "no answer" in ran.errors


def test_beside_clients_of_a_proxy_that_has_died_no_client_is_embedded(wrap):
    wrapped = wrap()
    wrapped.stand_in.stop_listening()
    ran = wrapped.run(OPEN + "tell(seen=seen, exists=os.path.exists(directory))")
    assert "the proxy has ended" in ran.seen and not ran.exists


def test_of_many_processes_one_at_a_time_stays_embedded(wrap):
    wrapped = wrap(refuse="no chroma command")
    other = PRELUDE + OPEN + "tell(seen=seen)"
    code = f"""
        import subprocess
        def another():
            ran = subprocess.run([sys.executable, "-c", {other!r}, directory], capture_output=True, text=True)
            return json.loads(ran.stdout.splitlines()[-1])["seen"]
        first = api(chromadb.PersistentClient(directory))
        tell(first=first, beside=another())
        """
    ran = wrapped.run(code)
    assert ran.first in ("rust", "segment") and "another process has it open" in ran.beside
    assert wrapped.run(OPEN + "tell(seen=seen)").seen == ran.first  # the other one has ended


def test_a_fork_of_an_embedded_process_does_not_open_the_directory_again(wrap):
    wrapped = wrap(refuse="no chroma command")
    forking = IN_A_FORK.format(open=textwrap.indent(OPEN, "    ").strip())
    ran = wrapped.run(OPEN + "tell(parent=seen)\n" + forking)
    seen = [json.loads(line) for line in ran.output.splitlines() if line.startswith("{")]
    assert "another process has it open" in {**seen[0], **seen[1]}["child"]


def test_reset_is_allowed_as_the_client_says(wrap, embedded):
    reset = """
        client = chromadb.PersistentClient(directory, settings=Settings(allow_reset=True))
        client.create_collection("gone", embedding_function=None)
        done = client.reset()
        tell(done=done, left=len(client.list_collections()))
        """
    ran = wrap().run(reset)
    assert (ran.done, ran.left) == (embedded(reset).done, 0)


def test_reset_is_refused_as_the_client_says(wrapped):
    ran = wrapped.run(
        """
        client = chromadb.PersistentClient(directory)
        client.get_or_create_collection("kept", embedding_function=None)
        try:
            client.reset()
        except Exception as error:
            refused = str(error)
        tell(refused=refused, left=client.count_collections())
        """
    )
    assert "eset" in ran.refused and ran.left >= 1


def test_different_settings_for_one_directory_are_refused_as_embedded(wrapped, embedded):
    code = """
        first = chromadb.PersistentClient(directory)
        try:
            chromadb.PersistentClient(directory, settings=Settings(migrations_hash_algorithm="sha256"))
        except ValueError as error:
            tell(error=str(error).replace(first._identifier, "IT"))
        """
    assert wrapped.run(code).error == embedded(code).error


def test_settings_read_the_environment_as_before(wrapped, embedded, tmp_path):
    (tmp_path / "cwd").mkdir()
    (tmp_path / "cwd" / ".env").write_text("CHROMA_SERVER_HTTP_PORT=4711\nOTHER=1\n")
    code = f"""
        plain = Settings().chroma_server_http_port
        os.chdir({str(tmp_path / "cwd")!r})
        del os.environ["ALLOW_RESET"]
        there = Settings()
        os.environ["Tenant_Id"] = "mine"
        os.environ["CHROMA_SERVER_HTTP_PORT"] = "4712"
        both = Settings(environment="argument")
        tell(seen=[plain, there.chroma_server_http_port, there.allow_reset, both.tenant_id,
                   both.chroma_server_http_port, both.environment],
             fields=repr(sorted(both.dict().items())))
        """
    under = wrapped.run(code, ALLOW_RESET="TRUE")
    assert under.seen == [None, 4711, False, "mine", 4712, "argument"]
    assert under.output == embedded(code, ALLOW_RESET="TRUE").output
