"""Redirected clients do what embedded ones do: data, threads, forks, many constructions, cost."""

import importlib.metadata
import signal

import pytest

THREADS = """
import threading
chromadb.PersistentClient(directory).get_or_create_collection("threads", embedding_function=None)
chromadb.api.client.SharedSystemClient.clear_system_cache()
start, errors, clients = threading.Barrier(16), [], []

def work(number):
    try:
        start.wait()
        for round in range(5):
            client = chromadb.PersistentClient(directory)
            clients.append(client)
            collection = client.get_or_create_collection("threads", embedding_function=None)
            name = f"{number}-{round}"
            collection.upsert(ids=[name], embeddings=[[number, round]])
            assert collection.get(ids=[name])["ids"] == [name]
    except Exception as error:
        errors.append(repr(error))

threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
count = clients[0].get_collection("threads", embedding_function=None).count()
tell(errors=errors, count=count, systems=len({id(client._system) for client in clients}),
     sessions=len({id(client._server._session) for client in clients}))
"""

FORK = """
import multiprocessing
multiprocessing.set_start_method("fork")
client = chromadb.PersistentClient(directory)
collection = client.get_or_create_collection("fork", embedding_function=None)
collection.upsert(ids=["parent"], embeddings=[[0, 0]])
before = client._server._session.idle[0][0].sock.getsockname()[1]

def child(number, answers):
    wrong = 0
    for round in range(20):
        name = f"{number}-{round}"
        collection.upsert(ids=[name], embeddings=[[number, round]])
        wrong += collection.get(ids=[name])["ids"] != [name]
    own = chromadb.PersistentClient(directory)
    port = own._server._session.idle[0][0].sock.getsockname()[1]
    answers.put((wrong, port, own._server is client._server))

answers = multiprocessing.Queue()
children = [multiprocessing.Process(target=child, args=(n, answers)) for n in range(4)]
for each in children: each.start()
wrong = 0
for round in range(20):
    collection.upsert(ids=[f"p-{round}"], embeddings=[[9, round]])
    wrong += collection.get(ids=[f"p-{round}"])["ids"] != [f"p-{round}"]
told = [answers.get(timeout=60) for _ in children]
for each in children: each.join(60)
after = client._server._session.idle[0][0].sock.getsockname()[1]
tell(count=collection.count(), wrong=wrong + sum(each[0] for each in told),
     ports=len({before} | {each[1] for each in told}), shared=all(each[2] for each in told),
     exits=[each.exitcode for each in children], same=before == after)
"""

LANGCHAIN = """
from langchain_chroma import Chroma

class Letters:
    def embed_query(self, text):
        return [float(text.count(letter)) for letter in "abcdefgh"]
    def embed_documents(self, texts):
        return [self.embed_query(text) for text in texts]

def store():
    return Chroma("langchain", Letters(), persist_directory=directory)

ids = store().add_texts(["aaa", "bbb", "cab"], metadatas=[{"n": 1}, {"n": 2}, {"n": 3}])
found = store().similarity_search("bb", k=1)[0]
filtered = store().similarity_search("bb", k=3, filter={"n": {"$ne": 2}})
store().delete(ids=ids[:1])
tell(api=api(store()._client), found=[found.page_content, found.metadata],
     filtered=len(filtered), left=len(store().get()["ids"]))
"""

COST = """
client = chromadb.PersistentClient(directory)
client.get_or_create_collection("cost", embedding_function=None)
rounds = []
for _ in range(3):
    began = time.process_time()
    for _ in range(20):
        client = chromadb.PersistentClient(directory)
        client.get_or_create_collection("cost", embedding_function=None)
    rounds.append((time.process_time() - began) / 20 * 1000)
tell(ms=min(rounds))
"""


def test_threads_that_construct_at_once_share_one_system(wrapped):
    ran = wrapped.run(THREADS)
    assert ran.errors == [] and ran.count == 80
    assert (ran.systems, ran.sessions) == (1, 1)


def test_forked_children_get_connections_of_their_own(wrapped):
    ran = wrapped.run(FORK)
    assert ran.wrong == 0 and ran.count == 101 and ran.exits == [0] * 4
    assert ran.ports == 5 and ran.shared and ran.same


def test_langchain_is_served(wrapped):
    pytest.importorskip("langchain_chroma")
    ran = wrapped.run(LANGCHAIN)
    assert ran.api == "fastapi" and ran.found == ["bbb", {"n": 2}]
    assert ran.filtered == 2 and ran.left == 2


def test_llama_index_is_served(wrapped):
    pytest.importorskip("llama_index.vector_stores.chroma")
    ran = wrapped.run(
        """
        from llama_index.core.schema import TextNode
        from llama_index.core.vector_stores import VectorStoreQuery
        from llama_index.vector_stores.chroma import ChromaVectorStore

        store = ChromaVectorStore.from_params(collection_name="llama", persist_dir=directory)
        nodes = [TextNode(text=t, id_=t, embedding=[float(len(t)), 1.0]) for t in ("a", "bbbb")]
        store.add(nodes)
        found = store.query(VectorStoreQuery(query_embedding=[4.0, 1.0], similarity_top_k=1))
        tell(api=api(chromadb.PersistentClient(directory)), found=found.ids,
             held=any("sqlite3" in os.readlink("/proc/self/fd/" + fd) for fd in os.listdir("/proc/self/fd")
                      if os.path.islink("/proc/self/fd/" + fd)))
        """
    )
    assert ran.found == ["bbbb"] and ran.api == "fastapi" and not ran.held


def test_processes_find_each_others_records(wrapped):
    ran = wrapped.run(
        """
        import subprocess
        collection = chromadb.PersistentClient(directory).get_or_create_collection(
            "between", embedding_function=None)
        collection.upsert(ids=["mine"], embeddings=[[1, 0, 0]])
        collection.query(query_embeddings=[[1, 0, 0]], n_results=1)
        code = '''if True:
            import chromadb, sys
            client = chromadb.PersistentClient(sys.argv[1])
            collection = client.get_collection("between", embedding_function=None)
            collection.upsert(ids=["theirs"], embeddings=[[0, 1, 0]])
            print(collection.query(query_embeddings=[[1, 0, 0]], n_results=1)["ids"][0][0])'''
        theirs = subprocess.check_output([sys.executable, "-c", code, directory], text=True).strip()
        mine = collection.query(query_embeddings=[[0, 1, 0]], n_results=1)["ids"][0][0]
        tell(seen=[theirs, mine])
        """
    )
    assert ran.seen == ["mine", "theirs"]


def test_more_clients_take_no_more_descriptors_or_memory(wrapped):
    ran = wrapped.run(
        """
        def memory():
            return int(open("/proc/self/statm").read().split()[1]) * 4

        def construct(number):
            for _ in range(number):
                chromadb.PersistentClient(directory)
            return descriptors(), memory()

        construct(50)
        before, after = construct(50), construct(250)
        tell(descriptors=after[0] - before[0], memory=after[1] - before[1])
        """
    )
    assert ran.descriptors == 0
    assert ran.memory < 2048  # KiB


def test_constructing_costs_no_more_cpu_than_embedded(wrapped, embedded):
    under, alone = wrapped.run(COST).ms, embedded(COST).ms
    print(f"CPU per client with get_or_create_collection: {under:.2f} ms, embedded {alone:.2f} ms")
    # Chroma below 1.0 spends as much on either, most of it on Settings().
    assert under < alone * 1.5


def test_an_http_proxy_of_the_environment_is_not_used(wrapped):
    dead = "http://127.0.0.1:1"
    ran = wrapped.run(
        "client = chromadb.PersistentClient(directory); tell(count=client.count_collections())",
        HTTP_PROXY=dead,
        http_proxy=dead,
        ALL_PROXY=dead,
    )
    assert ran.count >= 0


def test_errors_are_those_of_embedded_clients(wrapped, embedded):
    code = """
        client = chromadb.PersistentClient(directory)
        collection = client.get_or_create_collection("errors", embedding_function=None)
        collection.upsert(ids=["1"], embeddings=[[1, 2]])
        seen = []
        for wrong in (
            lambda: client.get_collection("missing"),
            lambda: client.delete_collection("missing"),
            lambda: client.get_or_create_collection("x"),
            lambda: collection.add(ids=["2", "2"], embeddings=[[1, 2], [1, 2]]),
            lambda: collection.get(where={"a": {"$gt": 1}, "b": 2}),
            lambda: chromadb.PersistentClient(directory, tenant="missing"),
        ):
            try:
                wrong()
                seen.append(None)
            except Exception as error:
                seen.append(type(error).__name__)
        tell(seen=seen)
        """
    under, alone = wrapped.run(code).seen, embedded(code).seen
    if int(importlib.metadata.version("chromadb").split(".")[0]) < 1:
        # The servers below 1.0 name some errors otherwise than their embedded clients.
        under = ["ValueError" if each == "InvalidArgumentError" else each for each in under]
    assert under == alone


def test_a_closed_client_makes_room_for_the_next(wrapped):
    ran = wrapped.run(
        """
        if hasattr(chromadb.api.client.Client, "close"):
            for _ in range(20):
                client = chromadb.PersistentClient(directory)
                client.close()
        client = chromadb.PersistentClient(directory)
        held = descriptors()
        for _ in range(20):
            chromadb.PersistentClient(directory)
        chromadb.api.client.SharedSystemClient.clear_system_cache()
        tell(grew=descriptors() - held, count=chromadb.PersistentClient(directory).count_collections())
        """
    )
    assert ran.grew <= 0 and ran.count >= 0


def test_a_connection_that_the_server_closed_is_not_used(wrap):
    wrapped = wrap()
    ran = wrapped.run(
        """
        client = chromadb.PersistentClient(directory)
        client.heartbeat()
        session = client._server._session
        session.idle[0][0].sock.shutdown(2)
        second = client.heartbeat()
        session.idle[0] = (session.idle[0][0], time.monotonic() - 41)
        old = session.idle[0][0]
        third = client.heartbeat()
        tell(ok=second < third, renewed=session.idle[0][0] is not old, idle=len(session.idle))
        """
    )
    assert ran.ok and ran.renewed and ran.idle == 1


def test_a_server_that_is_gone_is_an_error_not_a_hang(wrap):
    wrapped = wrap()
    wrapped.run("chromadb.PersistentClient(directory)")
    wrapped.stand_in.chroma.send_signal(signal.SIGKILL)
    wrapped.stand_in.chroma.wait()
    ran = wrapped.run(
        """
        try:
            chromadb.PersistentClient(directory)
        except Exception as error:
            tell(error=type(error).__name__ + ": " + str(error))
        """
    )
    assert "Could not connect" in ran.error
