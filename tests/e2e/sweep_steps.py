"""sweep_steps - one conversation that visits every route of Chroma's API v2 and every status that
a single node can give, wrong input included.

A step is sent as it stands; `status` is what a Chroma of the pinned version answers, so that a
sweep which only ever sees 404 cannot pass. In a target, `~` is the default database and `{name}`
a UUID that an earlier step saved.
"""

import dataclasses
import json

from bed import DATABASE
NO_UUID = "00000000-0000-4000-8000-000000000000"


@dataclasses.dataclass
class Step:
    method: str
    target: str
    status: int
    body: object = None  # bytes as they are, None for no body, else JSON
    fields: tuple = (("content-type", "application/json"),)
    save: str = ""  # keep the answer's "id" under this name

    def encoded_body(self):
        if self.body is None or isinstance(self.body, bytes):
            return self.body
        return json.dumps(self.body, ensure_ascii=False, separators=(",", ":")).encode()

    def full_target(self, saved):
        target = self.target.replace("~", DATABASE)
        for name, uuid in saved.items():
            target = target.replace("{" + name + "}", f"{DATABASE}/collections/{uuid}")
        return target


def get(target, status=200, **more):
    return Step("GET", target, status, **more)


def post(target, body, status=200, **more):
    return Step("POST", target, status, body, **more)


RECORDS = {
    "ids": ["a", "b", "c", "中文", "emoji-😀"],
    "embeddings": [[1, 0, 0], [0, 1, 0.25], [0, 0, 1e-3], [0.1, 0.2, 0.3], [-1, -2, 16777217]],
    "documents": ["alpha", "beta gamma", None, "向量数据库很快", "smile 😀 \u0000 \\u00e9"],
    "metadatas": [
        {"n": 1, "f": 0.5, "s": "x", "b": True},
        {"n": 2, "list": ["p", "q"]},
        None,
        {"语言": "中文", "emoji": "🙂"},
        {"n": -9007199254740993, "f": 1e300},
    ],
    "uris": ["file:///a", None, None, None, None],
}
EMBEDDINGS_BASE64 = ["AACAPwAAAAAAAAAA", "AAAAAAAAgD8AAAAA"]

SERVER = [
    get("/api/v2"),
    get("/api/v2/heartbeat"),
    get("/api/v2/healthcheck"),
    get("/api/v2/version"),
    get("/api/v2/pre-flight-checks"),
    get("/api/v2/auth/identity"),
    get("/api/v2/auth/identity", fields=(("authorization", "Bearer token"), ("cookie", "a=b"))),
    get("/openapi.json"),
    get("/docs/"),
    post("/api/v2/reset", None, 403),
    Step("HEAD", "/api/v2/heartbeat", 200),
    Step("HEAD", "/api/v2/nowhere", 404),
    Step("OPTIONS", "/api/v2/heartbeat", 405),
    Step("PURGE", "/api/v2/heartbeat", 405),
    Step("DELETE", "/api/v2/heartbeat", 405),
    get("/", 404),
    get("/api/v2/nowhere", 404),
    get("/api/v2/heartbeat/", 404),
    get("/api/v2//heartbeat", 404),
    get("/api/v2/./heartbeat", 404),
    get("/api/v2/heartbeat?unknown=1&x=%F0%9F%98%80"),
    get("/api/v2/he%61rtbeat", 404),
    *(Step(m, "/api/v1/collections", 410) for m in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS")),
    Step("HEAD", "/api/v1/collections", 410),
    post("/api/v1/collections", {"name": "old"}, 405),
]

TENANTS = [
    post("/api/v2/tenants", {"name": "tenant-one"}),
    post("/api/v2/tenants", {"name": "tenant-one"}, 409),
    post("/api/v2/tenants", {"name": "t"}, 400),
    post("/api/v2/tenants", {}, 422),
    get("/api/v2/tenants/tenant-one"),
    get("/api/v2/tenants/tenant%2Done"),
    get("/api/v2/tenants/missing", 404),
    Step("PATCH", "/api/v2/tenants/tenant-one", 200, {"resource_name": "resource"}),
    Step("PATCH", "/api/v2/tenants/tenant-one", 422, {"resource_name": 1}),
    post("/api/v2/tenants/tenant-one/databases", {"name": "database-one"}),
    post("/api/v2/tenants/tenant-one/databases", {"name": "database-one"}, 409),
    post("/api/v2/tenants/tenant-one/databases", {"name": "d"}, 400),
    get("/api/v2/tenants/tenant-one/databases"),
    get("/api/v2/tenants/tenant-one/databases?limit=1&offset=1"),
    get("/api/v2/tenants/tenant-one/databases?limit=many", 400),
    get("/api/v2/tenants/tenant-one/databases/database-one"),
    get("/api/v2/tenants/tenant-one/databases/missing", 404),
    Step("DELETE", "/api/v2/tenants/tenant-one/databases/database-one", 200),
    Step("DELETE", "/api/v2/tenants/tenant-one/databases/database-one", 404),
    Step("PUT", "/api/v2/tenants", 405, {"name": "tenant-one"}),
]

COLLECTIONS = [
    get("~/collections"),
    get("~/collections_count"),
    post("~/collections", {"name": "first", "metadata": {"k": "v"}}, save="first"),
    # Lists are only compared with one collection in them: their order is that of random UUIDs.
    get("~/collections?limit=10"),
    get("~/collections?limit=1&offset=1"),
    post("~/collections", {"name": "first"}, 409),
    post("~/collections", {"name": "first", "get_or_create": True}),
    post("~/collections", {"name": "x"}, 400),
    post("~/collections", {"name": "中文"}, 400),
    post("~/collections", {}, 422),
    post(
        "~/collections",
        {"name": "cosine", "configuration": {"hnsw": {"space": "cosine"}}},
        save="cosine",
    ),
    get("~/collections/first"),
    get("~/collections/f%69rst"),
    get("~/collections/missing", 404),
    get("{first}", 404),
    get("~/collections_count"),
    Step("PUT", "{first}", 200, {"new_metadata": {"k": "w", "n": 1}}),
    Step("PUT", "{first}", 200, {"new_configuration": {"hnsw": {"ef_search": 50}}}),
    Step("PUT", "{first}", 200, {}),
    Step("PUT", "~/collections/not-a-uuid", 400, {}),
    Step("PUT", f"~/collections/{NO_UUID}", 404, {"new_name": "other"}),
    post("{first}/fork", {"new_name": "forked"}, 501),
    get("{first}/fork_count", 501),
    get("{first}/indexing_status", 500),
    post("{first}/functions/attach", {"name": "f", "function_id": "f", "output_collection": "o"}, 501),
    get("{first}/functions/f", 404),
    post("{first}/attached_functions/f/detach", {"delete_output": False}, 501),
]

WRITES = [
    post("{first}/add", {"ids": [], "embeddings": []}, 201),
    post("{first}/add", RECORDS, 201),
    post("{first}/add", RECORDS, 201),
    post("{first}/add", json.dumps(RECORDS, indent=2).encode(), 201),
    post("{first}/add", {"ids": ["d", "e"], "embeddings": EMBEDDINGS_BASE64}, 201),
    post("{first}/add", {"ids": ["dup", "dup"], "embeddings": [[1, 1, 1], [2, 2, 2]]}, 201),
    post("{first}/upsert", {"ids": ["a"], "embeddings": [[2, 0, 0]], "documents": ["new"]}),
    post("{first}/upsert", {"ids": ["a"], "embeddings": [[2, 0, 0]], "metadatas": [{"n": None}]}),
    post("{first}/upsert", {"ids": ["f"], "embeddings": [[5, 5, 5]], "unknown": {"x": [1]}}),
    post("{first}/update", {"ids": ["b"], "documents": ["βeta"]}),
    post("{first}/update", {"ids": ["missing"], "embeddings": [[9, 9, 9]]}),
    post("{first}/delete", {"ids": ["f", "missing"]}),
    post("{first}/delete", {"where": {"n": {"$gt": 1}}, "limit": 1}),
    post("{first}/delete", {}),
    # Without a content type it is JSON too.
    post("{cosine}/add", {"ids": ["a"], "embeddings": [[3, 4]]}, 201, fields=()),
    post(
        "{cosine}/add",
        {"ids": ["b"], "embeddings": [[1, 0]]},
        201,
        fields=(("content-type", "application/json; charset=utf-8"),),
    ),
]

WRONG_WRITES = [
    post("{first}/add", {"ids": ["g"], "embeddings": [[1, 2]]}, 400),
    post("{first}/add", {"ids": ["g", "h"], "embeddings": [[1, 2, 3], [1, 2]]}, 400),
    post("{first}/add", {"ids": ["g", "h"], "embeddings": [[1, 2, 3]]}, 400),
    post("{first}/add", {"ids": [""], "embeddings": [[1, 2, 3]]}, 400),
    post("{first}/add", {"ids": ["g"], "embeddings": [[]]}, 400),
    post("{first}/add", {"ids": ["g"], "embeddings": ["AAAA"]}, 400),
    post("{first}/add", {"ids": ["g"], "embeddings": ["not base64"]}, 400),
    post("{first}/add", {"ids": ["g"], "embeddings": [[1, 2, 3]], "metadatas": [{"#x": 1}]}, 400),
    post("{first}/add", {"ids": ["g"], "embeddings": [[1, 2, 3]], "metadatas": [{"x": None}]}, 422),
    post("{first}/add", {"ids": ["g"]}, 422),
    post("{first}/add", {"embeddings": [[1, 2, 3]]}, 422),
    post("{first}/add", {"ids": "g", "embeddings": [[1, 2, 3]]}, 422),
    post("{first}/add", {"ids": ["g"], "embeddings": [None]}, 422),
    post("{first}/add", {"ids": ["g"], "embeddings": [["1", "2", "3"]]}, 422),
    post("{first}/add", b'{"ids":["g"],"ids":["h"],"embeddings":[[1,2,3]]}', 422),
    post("{first}/add", b'{"ids":["g"],"embeddings":[[1,2,3]]', 400),
    post("{first}/add", b'{"ids":["g"],"embeddings":[[1,2,3]]}}', 400),
    post("{first}/add", b'{"ids":["g"],"embeddings":[[1,2,NaN]]}', 400),
    post("{first}/add", b'{"ids":["g"],"embeddings":[[1,2,1e999]]}', 400),
    post("{first}/add", b'{"ids":["g"],"embeddings":[[1,2,1e39]]}', 400),
    post("{first}/add", b'{"ids":["\\ud800"],"embeddings":[[1,2,3]]}', 400),
    post("{first}/add", b'{"ids":["\xff"],"embeddings":[[1,2,3]]}', 400),
    post("{first}/add", b'\xef\xbb\xbf{"ids":["g"],"embeddings":[[1,2,3]]}', 400),
    post("{first}/add", b"[" * 200 + b"]" * 200, 422),
    post("{first}/add", b"", 400),
    post("{first}/add", None, 400),
    post("{first}/add", b"null", 422),
    post("{first}/add", RECORDS, 415, fields=(("content-type", "text/plain"),)),
    post("{first}/add", RECORDS, 415, fields=(("content-type", "a/b"),)),
    post(
        "{first}/add",
        b"\x1f\x8b\x08\x00",
        400,
        fields=(("content-type", "application/json"), ("content-encoding", "gzip")),
    ),
    post("{first}/upsert", {"ids": ["g"]}, 422),
    post("{first}/update", {"ids": ["a"], "embeddings": [[1, 2]]}, 400),
    post("{first}/delete", {"ids": []}, 400),
    post("{first}/delete", {"where": {}}, 400),
    post("{first}/delete", {"ids": ["a"], "limit": 1}, 400),
    post("~/collections/not-a-uuid/add", RECORDS, 400),
    post(f"~/collections/{NO_UUID}/add", RECORDS, 404),
    post(f"~/collections/{NO_UUID}/upsert", RECORDS, 404),
    post(f"~/collections/{NO_UUID}/delete", {"ids": ["a"]}, 404),
    get("{first}/add", 405),
    Step("PUT", "{first}/upsert", 405, {}),
]

EVERYTHING = ["documents", "metadatas", "embeddings", "uris"]
READS = [
    get("{first}/count"),
    get("{first}/count?read_level=index_only"),
    get("{first}/count?read_level=sometimes", 400),
    Step("HEAD", "{first}/count", 200),
    post("{first}/get", {}),
    post("{first}/get", {"include": EVERYTHING}),
    post("{first}/get", {"include": ["uris", "documents"], "limit": 2, "offset": 1}),
    post("{first}/get", {"ids": ["c", "a", "a", "missing"]}),
    post("{first}/get", {"ids": ["中文", "emoji-😀"], "include": EVERYTHING}),
    post("{first}/get", {"where": {"n": 1}}),
    post("{first}/get", {"where": {"$or": [{"语言": "中文"}, {"n": {"$lt": 0}}]}}),
    post("{first}/get", {"where": {"list": {"$contains": "p"}}}),
    post("{first}/get", {"where_document": {"$contains": "向量"}}),
    post("{first}/get", {"where_document": {"$regex": "^(new|alpha)$"}}),
    post("{first}/get", {"limit": 0}),
    post("{first}/get", {"where": {}}, 400),
    post("{first}/get", {"where": {"n": {"$not": 1}}}, 400),
    post("{first}/get", {"where_document": {"$regex": "("}}, 400),
    post("{first}/get", {"include": None}, 422),
    post("{first}/get", {"include": ["everything"]}, 422),
    post("{first}/query", {"query_embeddings": [[1, 0, 0]]}),
    post("{first}/query", {"query_embeddings": [[1, 0, 0], [0, 1, 0]], "n_results": 2}),
    post("{first}/query", {"query_embeddings": [[1, 0, 0]], "include": [*EVERYTHING, "distances"]}),
    post("{first}/query", {"query_embeddings": [[1, 0, 0]], "where": {"n": {"$lte": 5}}}),
    post("{first}/query", {"query_embeddings": [[1, 0, 0]], "ids": ["a", "c"], "n_results": 5}),
    post("{first}/query", {"query_embeddings": []}),
    post("{first}/query", b'{"query_embeddings":[[1e39,0,0]]}'),
    post("{first}/query", {"query_embeddings": [[1, 0]]}, 400),
    post("{first}/query", {"query_embeddings": EMBEDDINGS_BASE64}, 422),
    post("{first}/query", {}, 422),
    post("{first}/query", {"query_embeddings": [[1, 0, 0]], "n_results": -1}, 422),
    post("{first}/query", {"query_embeddings": [[1, 0, 0]], "ids": ["missing"]}, 500),
    post("{cosine}/query", {"query_embeddings": [[1, 1]], "include": ["distances"]}),
    post("{first}/search", {"searches": [{"limit": {"limit": 2}}]}, 501),
    post(f"~/collections/{NO_UUID}/get", {}, 404),
    post(f"~/collections/{NO_UUID}/query", {"query_embeddings": [[1]]}, 404),
    get(f"~/collections/{NO_UUID}/count", 404),
    get("~/collections/not-a-uuid/count", 400),
    post("{first}/conditional/get", {}, 404),
]

FAREWELL = [
    Step("PUT", "{first}", 200, {"new_name": "renamed"}),
    get("~/collections/renamed"),
    get("~/collections/first", 404),
    Step("DELETE", "{first}", 404),
    Step("DELETE", "~/collections/renamed", 200),
    Step("DELETE", "~/collections/renamed", 404),
    post("{first}/add", RECORDS, 404),
    post("{first}/get", {}, 404),
    get("~/collections"),
]

STEPS = SERVER + TENANTS + COLLECTIONS + WRITES + WRONG_WRITES + READS + FAREWELL
