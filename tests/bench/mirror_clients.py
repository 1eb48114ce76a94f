"""mirror_clients - some clients of one of the stores that compare_mirror measures.

    mirror_clients.py SIDE ADDRESS QUESTIONS PART --clients N --seconds S
    mirror_clients.py SIDE ADDRESS QUESTIONS PART --once N

Runs with the Python in whose environment the store's own client library is. PART: query, filtered,
contains, write. The same questions for each store; requests are made beforehand where its library
allows, answers are read whole. Says when it is ready, reads when to begin (of time.monotonic()), and
prints the times in microseconds as a JSON list; with --once the numbers of the records that each
question found.
"""

import argparse
import json
import socket
import sys
import threading
import time

WARM_UP = 1.0
TENTH = 3
K = 4


class Chroma:
    """Plain HTTP. The address: PORT/COLLECTION-UUID."""

    def __init__(self, address, questions, _):
        port, uuid = address.split("/")
        self.port, self.questions = int(port), questions
        self.path = f"/api/v2/tenants/default_tenant/databases/default_database/collections/{uuid}"
        self.socket, self.kept = None, {}

    def request(self, operation, body):
        data = body.encode()
        head = (
            f"POST {self.path}/{operation} HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
        )
        return head.encode() + data

    def body(self, part, number):
        filters = {
            "query": {},
            "filtered": {"where": {"tenth": TENTH}},
            "contains": {"where_document": {"$contains": self.questions["words"][number]}},
        }
        body = {"query_embeddings": [self.questions["vectors"][number]], "n_results": K}
        return json.dumps({**body, "include": ["documents", "metadatas", "distances"], **filters[part]})

    def ask(self, part, number):
        if (part, number) not in self.kept:
            self.kept[part, number] = self.request("query", self.body(part, number))
        answer = json.loads(self.exchange(self.kept[part, number]))
        return [each["n"] for each in answer["metadatas"][0]]

    def query(self, number):
        return self.ask("query", number)

    def filtered(self, number):
        return self.ask("filtered", number)

    def contains(self, number):
        return self.ask("contains", number)

    def write(self, number, record):
        metadata = {"package": "new", "n": record, "tenth": record % 10}
        body = {"ids": [f"record-{record}"], "embeddings": [self.questions["vectors"][number]],
                "documents": [self.questions["texts"][number]], "metadatas": [metadata]}  # fmt: skip
        self.exchange(self.request("upsert", json.dumps(body)))

    def exchange(self, request):
        if self.socket is None:
            self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=120)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(request)
        data = self.socket.recv(65536)
        while b"\r\n\r\n" not in data:
            data += self.more()
        head, body = data.split(b"\r\n\r\n", 1)
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += self.more()
        if not head.startswith(b"HTTP/1.1 2"):
            sys.exit(f"mirror_clients: {head.decode()} {body.decode()[:500]}")
        return body

    def more(self):
        data = self.socket.recv(65536)
        if not data:
            sys.exit("mirror_clients: the connection ended")
        return data


class Milvus:
    """The address: that of its gRPC server."""

    FIELDS = ["document", "package", "tenth", "n"]

    def __init__(self, address, questions, ef):
        import pymilvus

        self.client = pymilvus.MilvusClient(uri=address)
        self.questions = questions
        self.parameters = {"metric_type": "COSINE", "params": {"ef": ef}}

    def ask(self, number, words):
        found = self.client.search("items", data=[self.questions["vectors"][number]], limit=K, filter=words,
                                   output_fields=self.FIELDS, search_params=self.parameters)  # fmt: skip
        return [each["entity"]["n"] for each in found[0]]

    def query(self, number):
        return self.ask(number, "")

    def filtered(self, number):
        return self.ask(number, f"tenth == {TENTH}")

    def contains(self, number):
        return self.ask(number, f'document like "%{self.questions["words"][number]}%"')

    def write(self, number, record):
        row = {"n": record, "embedding": self.questions["vectors"][number], "package": "new", "tenth": record % 10,
               "document": self.questions["texts"][number]}  # fmt: skip
        self.client.upsert("items", [row])


class Pgvector:
    """The address: libpq's."""

    SELECT = "SELECT n, document, package, tenth, embedding <=> %s AS distance FROM items {} ORDER BY distance LIMIT 4"
    INSERT = (
        "INSERT INTO items VALUES (%s, %s, %s, %s, %s) ON CONFLICT (n) DO UPDATE SET embedding = excluded.embedding,"
        " package = excluded.package, tenth = excluded.tenth, document = excluded.document"
    )

    def __init__(self, address, questions, ef):
        import pgvector
        import pgvector.psycopg
        import psycopg

        self.connection = psycopg.connect(address, autocommit=True)
        pgvector.psycopg.register_vector(self.connection)
        self.connection.execute(f"SET hnsw.ef_search = {ef}")
        self.connection.execute("SET hnsw.iterative_scan = strict_order")
        self.questions = questions
        self.vectors = [pgvector.Vector(vector) for vector in questions["vectors"]]

    def ask(self, number, words, *values):
        statement = self.SELECT.format(words)
        found = self.connection.execute(statement, [self.vectors[number], *values], prepare=True, binary=True)
        return [each[0] for each in found.fetchall()]

    def query(self, number):
        return self.ask(number, "")

    def filtered(self, number):
        return self.ask(number, "WHERE tenth = %s", TENTH)

    def contains(self, number):
        return self.ask(number, "WHERE document LIKE %s", f"%{self.questions['words'][number]}%")

    def write(self, number, record):
        values = [record, self.vectors[number], "new", record % 10, self.questions["texts"][number]]
        self.connection.execute(self.INSERT, values, prepare=True, binary=True)


SIDES = {"chroma": Chroma, "milvus": Milvus, "pgvector": Pgvector}


def run(client, part, place, arguments, counted, times, count):
    """One client's closed loop; it begins at its own question."""
    number, record = place * 37 % count, arguments.records + 1_000_000 * (place + 1)
    ask = getattr(client, part)
    while (began := time.monotonic()) < counted + arguments.seconds:
        number, record = (number + 1) % count, record + 1
        ask(number, record) if part == "write" else ask(number)
        if began >= counted:
            times.append(round((time.monotonic() - began) * 1e6))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("address")
    parser.add_argument("questions")
    parser.add_argument("part", choices=["query", "filtered", "contains", "write"])
    parser.add_argument("--once", type=int, default=0, help="ask so many questions once")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--offset", type=int, default=0, help="number of the first client")
    parser.add_argument("--records", type=int, default=0, help="how many there are")
    parser.add_argument("--ef", type=int, default=100)
    arguments = parser.parse_args()
    with open(arguments.questions, encoding="utf-8") as file:
        questions = json.load(file)

    def connect():
        return SIDES[arguments.side](arguments.address, questions, arguments.ef)

    count = len(questions["vectors"])
    if arguments.once:
        ask = getattr(connect(), arguments.part)
        print(json.dumps([ask(number) for number in range(arguments.once)]))
        return
    clients = [connect() for _ in range(arguments.clients)]
    print("ready", flush=True)
    counted = float(sys.stdin.readline()) + WARM_UP
    times = []
    threads = [
        threading.Thread(target=run, args=(client, arguments.part, arguments.offset + place, arguments, counted, times, count))
        for place, client in enumerate(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(times))


if __name__ == "__main__":
    main()
