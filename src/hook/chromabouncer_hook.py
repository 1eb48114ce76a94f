"""chromabouncer_hook - embedded clients of the wrapped directory become clients of the proxy.

Loaded by sitecustomize.py after chromadb.api.shared_system_client, through which all of Chroma's
clients are made. Two things change:

* A client that would open the wrapped directory itself gets a copy of its settings that names
  Chroma's own HTTP implementation and the proxy's address. All other clients stay what they are.
* Such clients share one system per process and directory, as embedded clients do. Chroma gives
  each HTTP client a system of its own and never frees it.

And two costs go away: redirected clients speak through http.client instead of httpx, and
Settings() does not search sources that hold none of its fields.

The proxy is asked over the unix socket CHROMABOUNCER_WRAP, one JSON line each way per connection.
"""

import contextlib
import copy
import errno
import fcntl
import http.client
import json
import os
import select
import socket
import sys
import threading
import time

EMBEDDED = ("chromadb.api.segment.SegmentAPI", "chromadb.api.rust.RustBindingsAPI")
OPEN_SECONDS = 180.0  # Chroma starts, and may migrate its directory
NOTE_SECONDS = 1.0
IDLE_SECONDS = 40.0  # as long as Chroma's own clients keep an idle connection

addresses = {}  # of a directory's real path: the proxy's (host, port), or None: stays embedded
held = []  # descriptors whose locks say that this process has the wrapped directory embedded
lock = threading.RLock()


def renew():
    """In a forked child: none of its threads holds the lock; what its parent has embedded it asks for."""
    global lock
    lock = threading.RLock()
    for path in [path for path in addresses if addresses[path] is None]:
        del addresses[path]


class Redirected(str):
    """The name of Chroma's HTTP implementation in settings that are ours. Its `identifier` names
    the system that all clients of these settings share."""


def install(module):
    """Change `module`, chromadb.api.shared_system_client."""
    shared = module.SharedSystemClient
    construct = shared.__init__
    name_system = shared._get_identifier_from_settings

    def __init__(self, settings=construct.__defaults__[0]):
        settings = redirect(settings, shared._identifier_to_system)
        if not isinstance(settings.chroma_api_impl, Redirected):
            return construct(self, settings)
        with lock:
            construct(self, settings)
            use_session(self._system.instance(module.ServerAPI))

    def _get_identifier_from_settings(settings):
        if isinstance(settings.chroma_api_impl, Redirected):
            return settings.chroma_api_impl.identifier
        return name_system(settings)

    shared.__init__ = __init__
    shared._get_identifier_from_settings = staticmethod(_get_identifier_from_settings)
    os.register_at_fork(after_in_child=renew)
    if hasattr(module.Settings, "settings_customise_sources"):  # Chroma below 1.0 has pydantic 1
        module.Settings.settings_customise_sources = classmethod(sources_that_matter)


def redirect(settings, systems):
    """The settings to make a client with: `settings` itself, or a copy that leads to the proxy."""
    if settings.chroma_api_impl not in EMBEDDED or not settings.is_persistent:
        return settings
    if settings.persist_directory in systems:  # this process has it open embedded
        return settings
    path = os.path.realpath(settings.persist_directory)
    with lock:
        if path not in addresses:
            addresses[path] = ask(path, bool(settings.allow_reset))
    if addresses[path] is None:
        return settings
    ours = copy.copy(settings)
    ours.chroma_api_impl = Redirected("chromadb.api.fastapi.FastAPI")
    ours.chroma_api_impl.identifier = f"{settings.persist_directory} (by chromabouncer: {path})"
    ours.chroma_server_host, ours.chroma_server_http_port = addresses[path]
    ours.chroma_server_ssl_enabled = False
    ours.chroma_server_ssl_verify = False  # so that no certificates are loaded
    ours.chroma_server_headers = None  # an embedded client sends neither these
    ours.chroma_client_auth_provider = None  # nor credentials
    return ours


def ask(path, allow_reset):
    """The proxy's (host, port) for the directory `path`; None if clients of it stay embedded."""
    version = sys.modules["chromadb"].__version__
    client = {"python": sys.executable, "version": version, "allow_reset": allow_reset}
    try:
        answer = call(OPEN_SECONDS, op="open", path=path, **client)
        if answer["ok"]:
            return str(answer["host"]), int(answer["port"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        answer = {"reason": f"no answer: {error!r}"}
        if isinstance(error, ConnectionRefusedError):  # others may have clients of its Chroma yet
            answer = {"reason": "the proxy has ended; start the command anew", "in_use": True}
    if answer.get("other_directory"):
        note("other_directory", path)
        return None
    reason = f"chromabouncer: {path} is not served: {answer.get('reason')}"
    if answer.get("in_use") or os.environ.get("CHROMABOUNCER_WRAP_STRICT") == "1":
        raise RuntimeError(reason)
    if not take_alone(path):
        raise RuntimeError(f"{reason}; another process has it open, and two damage it")
    note("stayed_embedded", path)
    print(f"{reason}; process {os.getpid()} opens it itself", file=sys.stderr, flush=True)
    return None


def take_alone(path):
    """Of the processes that would have `path` embedded one may, as long as it or a child of it lives."""
    try:
        os.makedirs(path, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return True  # Chroma will say so in its own words
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        return error.errno not in (errno.EAGAIN, errno.EACCES)  # else there are no locks here
    held.append(descriptor)
    return True


def note(what, path):
    """Tell the proxy what became of a client. The proxy may be gone."""
    with contextlib.suppress(OSError, ValueError):
        call(NOTE_SECONDS, op="note", what=what, path=path)


def call(seconds, **request):
    """One request to the proxy, and its answer."""
    line = json.dumps({"hook": 1, **request, "pid": os.getpid()}) + "\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(seconds)
        connection.connect(os.environ["CHROMABOUNCER_WRAP"])
        connection.sendall(line.encode())
        with connection.makefile("rb") as answer:
            return json.loads(answer.readline(65536))


def use_session(api):
    """Give Chroma's HTTP implementation a Session in the place of its httpx.Client."""
    if not isinstance(api._session, Session):
        api._session.close()
        api._session = Session(api._settings, api._session.headers)


class Session:
    """What Chroma uses of httpx.Client, in a fifth of the time. Knows no proxy, cookie or redirect.

    `idle` holds the connections that no thread is using, with the time when each became free. They
    belong to process `pid`: a forked child leaves them to its parent and connects anew."""

    def __init__(self, settings, headers):
        self.address = settings.chroma_server_host, settings.chroma_server_http_port
        self.headers = {name: headers[name] for name in headers if name != "accept-encoding"}
        self.idle, self.pid = [], os.getpid()

    def request(self, method, url, content=None, params=None):
        import httpx

        path = "/" + url.split("/", 3)[3]
        if params:
            path += f"?{httpx.QueryParams(params)}"
        try:
            connection = self.take()
        except OSError as error:
            raise httpx.ConnectError(str(error)) from error
        try:
            connection.request(method.upper(), path, content, self.headers)
            answer = connection.getresponse()
            body = answer.read()
        except BaseException as error:
            connection.close()
            if isinstance(error, (OSError, http.client.HTTPException)):
                raise httpx.RemoteProtocolError(repr(error)) from error
            raise
        if connection.sock is not None:  # None if the server asked to close it
            self.idle.append((connection, time.monotonic()))
        if answer.status < 400:
            return Answer(answer.status, body)
        request, fields = httpx.Request(method, url), answer.getheaders()
        return httpx.Response(answer.status, headers=fields, content=body, request=request)

    def take(self):
        """A connection for one request: the one that became free last, or a new one."""
        if self.pid != os.getpid():
            self.idle, self.pid = [], os.getpid()
        with contextlib.suppress(IndexError):  # none is left
            while True:
                connection, since = self.idle.pop()
                if time.monotonic() - since < IDLE_SECONDS and is_quiet(connection.sock):
                    return connection
                connection.close()
        connection = http.client.HTTPConnection(*self.address)
        connection.connect()
        return connection

    def close(self):
        self.idle = []


class Answer:
    """What Chroma reads of an httpx.Response that is no error."""

    def __init__(self, status_code, body):
        self.status_code, self.text = status_code, body.decode("utf-8", "replace")

    def raise_for_status(self):
        return self


def is_quiet(connection):
    """The peer has neither closed it nor sent what nobody asked for."""
    if not hasattr(select, "poll"):  # eventlet takes it away
        return not select.select([connection], [], [], 0)[0]
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return not poll.poll(0)


def sources_that_matter(
    cls, settings_cls, init_settings, env_settings, dotenv_settings, file_secret_settings
):
    """pydantic-settings' way to choose where Settings() looks: arguments, environment, `.env`.

    Looking for each field in each takes 4 of its 4.7 ms: one that holds no field is left out."""
    fields = {name.lower() for name in settings_cls.model_fields}
    sources = [init_settings, env_settings, dotenv_settings, file_secret_settings]
    if "settings_customise_sources" in vars(settings_cls):  # else fields may have other names
        sources = [source for source in sources if not holds_none(source, fields)]
    return tuple(sources)


def holds_none(source, fields):
    names = getattr(source, "env_vars", None)
    return names is not None and fields.isdisjoint(name.lower() for name in names)
