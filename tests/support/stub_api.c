#include "support/stub_api.h"

#include <stdlib.h>
#include <time.h>

#include "support/stub_read.h"

static const char *const collection_members[] = {"name",          "metadata", "get_or_create",
                                                 "configuration", "schema",   NULL};
static const char *const modify_members[] = {"new_name", "new_metadata", "new_configuration", NULL};
static const char *const delete_members[] = {"ids", "where", "where_document", "limit", NULL};

static const struct bytes empty_object = {.data = "{}", .size = 2};

static struct stub_collection *find(struct stub_api *api, const struct stub_route *route,
                                    struct stub_answer *answer);
static size_t begin_write(struct stub_api *api, const struct stub_route *route, struct bytes body,
                          struct stub_api_job *job, struct stub_answer *answer);
static bool   is_poisoned(const struct stub_api *api, const struct stub_payload *payload);
static size_t begin_delete(struct stub_api *api, const struct stub_route *route, struct bytes body,
                           struct stub_api_job *job, struct stub_answer *answer);
static void   begin_read(struct stub_api *api, const struct stub_route *route, struct bytes body,
                         struct stub_api_job *job, struct stub_answer *answer);
static void   finish_write(struct stub_api *api, const struct stub_route *route,
                           struct stub_api_job *job, struct stub_answer *answer);
static void   finish_delete(struct stub_api *api, const struct stub_route *route,
                            struct stub_api_job *job, struct stub_answer *answer);
static void   finish_read(struct stub_api *api, const struct stub_route *route,
                          struct stub_api_job *job, struct stub_answer *answer);
static void   finish_admin(struct stub_api *api, const struct stub_route *route,
                           struct stub_answer *answer);
static void   finish_collection(struct stub_api *api, const struct stub_route *route,
                                struct stub_api_job *job, struct stub_answer *answer);
static void create_collection(struct stub_api *api, const struct stub_route *route, json_t *request,
                              struct stub_answer *answer);
static void list_collections(struct stub_api *api, const struct stub_route *route,
                             struct stub_answer *answer);
static void modify_collection(struct stub_collection *collection, json_t *request,
                              struct stub_answer *answer);
static json_t *collection_json(const struct stub_collection *collection);
static void    answer_missing(struct stub_answer *answer, const char *name, const char *stop);
static void    answer_ok(struct stub_answer *answer, unsigned status);

void stub_api_job_done(struct stub_api_job *job)
{
    stub_payload_done(&job->payload);
    json_decref(job->request);
    job->request = NULL;
}

void stub_api_begin(struct stub_api *api, const struct stub_route *route, struct bytes body,
                    uint64_t now_us, struct stub_api_job *job, struct stub_answer *answer,
                    uint64_t *ret_done_us)
{
    size_t records = 0;

    if (route->call == STUB_CALL_WRITE)
        records = begin_write(api, route, body, job, answer);
    else if (route->call == STUB_CALL_DELETE)
        records = begin_delete(api, route, body, job, answer);
    else if (stub_route_is_read(route->op))
        begin_read(api, route, body, job, answer);
    else if (route->call == STUB_CALL_COLLECTION_CREATE)
        job->request = stub_payload_json(body, collection_members, answer);
    else if (route->call == STUB_CALL_COLLECTION_MODIFY)
        job->request = stub_payload_json(body, modify_members, answer);
    *ret_done_us = now_us;
    if (answer->status != 0)
        return;
    if (stub_route_is_write(route->op))
        *ret_done_us = stub_cost_write(&api->cost, now_us, records);
    else if (stub_route_is_read(route->op))
        *ret_done_us = stub_cost_read(&api->cost, now_us);
}

/* In Chroma's order of checks: JSON, collection, vectors, dimension, lengths. */
static size_t begin_write(struct stub_api *api, const struct stub_route *route, struct bytes body,
                          struct stub_api_job *job, struct stub_answer *answer)
{
    struct stub_payload    *payload = &job->payload;
    struct stub_collection *collection;

    if (!stub_payload_parse(payload, route->op, body, answer))
        return 0;
    collection = find(api, route, answer);
    if (collection == NULL || !stub_payload_decode(payload, answer))
        return 0;
    if (payload->dimension > 0 && collection->dimension > 0 &&
        payload->dimension != collection->dimension) {
        stub_answer_error(answer, 400, "InvalidArgumentError",
                          "Collection expecting embedding with dimension of %zu, got %zu",
                          collection->dimension, payload->dimension);
        return 0;
    }
    if (payload->dimension > 0)
        collection->dimension = payload->dimension;
    if (!stub_payload_check_lengths(payload, answer))
        return 0;
    if (is_poisoned(api, payload))
        stub_answer_error(answer, 400, "InvalidArgumentError", "stub: a poisoned id");
    return payload->count;
}

static bool is_poisoned(const struct stub_api *api, const struct stub_payload *payload)
{
    for (size_t i = 0; api->poison != NULL && i < payload->count; i++) {
        if (strstr(json_string_value(json_array_get(payload->ids, i)), api->poison) != NULL)
            return true;
    }
    return false;
}

static struct stub_collection *find(struct stub_api *api, const struct stub_route *route,
                                    struct stub_answer *answer)
{
    struct stub_collection *collection;

    if (!route->has_uuid) {
        stub_answer_error(answer, 400, "InvalidArgumentError",
                          "Collection ID is not a valid UUIDv4");
        return NULL;
    }
    collection = stub_store_find(&api->store, route->uuid);
    if (collection == NULL)
        answer_missing(answer, route->collection, ".");
    return collection;
}

static size_t begin_delete(struct stub_api *api, const struct stub_route *route, struct bytes body,
                           struct stub_api_job *job, struct stub_answer *answer)
{
    json_t *ids, *where;

    job->request = stub_payload_json(body, delete_members, answer);
    if (job->request == NULL || find(api, route, answer) == NULL)
        return 0;
    ids = json_object_get(job->request, "ids");
    where = json_object_get(job->request, "where");
    if (ids != NULL && !json_is_null(ids) && !json_is_array(ids))
        stub_answer_error(answer, 422, "ChromaError",
                          "Failed to deserialize the JSON body into the target type: ids");
    else if (json_is_array(ids) && json_array_size(ids) == 0 && !json_is_object(where))
        stub_answer_error(answer, 400, "InvalidArgumentError", "Expected ids or where");
    else if (json_is_object(where) && json_object_size(where) == 0)
        stub_answer_error(answer, 400, "InvalidArgumentError", "Invalid where clause");
    else if (!stub_read_understands(where))
        stub_answer_error(answer, 501, "ChromaError", "stub: this filter is not implemented");
    return json_array_size(ids);
}

static void begin_read(struct stub_api *api, const struct stub_route *route, struct bytes body,
                       struct stub_api_job *job, struct stub_answer *answer)
{
    const struct stub_collection *collection;
    json_t                       *embeddings;

    if (route->call != STUB_CALL_COUNT) {
        job->request = stub_read_parse(route->op, body, answer);
        if (job->request == NULL)
            return;
    }
    collection = find(api, route, answer);
    if (collection == NULL || route->call != STUB_CALL_QUERY || collection->dimension == 0)
        return;
    embeddings = json_object_get(job->request, "query_embeddings");
    for (size_t i = 0; i < json_array_size(embeddings); i++) {
        size_t size = json_array_size(json_array_get(embeddings, i));

        if (size != collection->dimension) {
            stub_answer_error(answer, 400, "InvalidArgumentError",
                              "Collection expecting embedding with dimension of %zu, got %zu",
                              collection->dimension, size);
            return;
        }
    }
}

void stub_api_finish(struct stub_api *api, const struct stub_route *route, struct stub_api_job *job,
                     struct stub_answer *answer)
{
    if (route->call == STUB_CALL_WRITE)
        finish_write(api, route, job, answer);
    else if (route->call == STUB_CALL_DELETE)
        finish_delete(api, route, job, answer);
    else if (stub_route_is_read(route->op))
        finish_read(api, route, job, answer);
    else if (route->op == STUB_OP_COLLECTION)
        finish_collection(api, route, job, answer);
    else
        finish_admin(api, route, answer);
}

static void finish_write(struct stub_api *api, const struct stub_route *route,
                         struct stub_api_job *job, struct stub_answer *answer)
{
    struct stub_collection *collection = find(api, route, answer);

    if (collection == NULL)
        return;
    if (!stub_store_write(&api->store, collection, route->op, &job->payload)) {
        stub_answer_error(answer, 500, "InternalError", "stub: no room for more records");
        return;
    }
    stub_log_add(&api->log, route->op, collection->uuid_text, job->request_id, job->payload.ids,
                 &job->payload);
    answer_ok(answer, route->op == STUB_OP_ADD ? 201 : 200);
}

static void finish_delete(struct stub_api *api, const struct stub_route *route,
                          struct stub_api_job *job, struct stub_answer *answer)
{
    struct stub_collection *collection = find(api, route, answer);
    json_t                 *ids = json_object_get(job->request, "ids"), *deleted = json_array();
    json_t                 *where = json_object_get(job->request, "where");

    if (collection != NULL && json_is_object(where)) {
        LIST_FOR_EACH(node, &collection->records)
        {
            struct stub_record *record = LIST_ITEM(node, struct stub_record, node);
            bool                is_wanted = !json_is_array(ids);

            for (size_t i = 0; i < json_array_size(ids) && !is_wanted; i++)
                is_wanted = json_equal(json_array_get(ids, i), record->id);
            if (is_wanted && stub_read_matches(record, where))
                json_array_append(deleted, record->id);
        }
    } else if (collection != NULL && json_is_array(ids)) {
        json_array_extend(deleted, ids);
    }
    for (size_t i = 0; i < json_array_size(deleted); i++) {
        struct stub_record *record = stub_store_record(collection, json_array_get(deleted, i));

        if (record != NULL)
            stub_store_remove(&api->store, collection, record);
    }
    if (collection != NULL) {
        stub_log_add(&api->log, STUB_OP_DELETE, collection->uuid_text, job->request_id, deleted,
                     NULL);
        stub_answer_json(answer, 200,
                         json_pack("{s:I}", "deleted", (json_int_t)json_array_size(deleted)));
    }
    json_decref(deleted);
}

static void finish_read(struct stub_api *api, const struct stub_route *route,
                        struct stub_api_job *job, struct stub_answer *answer)
{
    struct stub_collection *collection = find(api, route, answer);

    if (collection == NULL)
        return;
    if (route->call == STUB_CALL_GET)
        stub_read_get(collection, job->request, answer);
    else if (route->call == STUB_CALL_QUERY)
        stub_read_query(collection, job->request, answer);
    else
        stub_answer_json(answer, 200, json_integer((json_int_t)collection->record_count));
}

static void finish_admin(struct stub_api *api, const struct stub_route *route,
                         struct stub_answer *answer)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    switch ((int)route->call) {
    case STUB_CALL_HEARTBEAT:
        stub_answer_json(answer, 200,
                         json_pack("{s:I}", "nanosecond heartbeat",
                                   (json_int_t)now.tv_sec * 1000000000 + now.tv_nsec));
        break;
    case STUB_CALL_HEALTHCHECK:
        stub_answer_json(answer, 200,
                         json_pack("{s:b, s:b}", "is_executor_ready", 1, "is_log_client_ready", 1));
        break;
    case STUB_CALL_VERSION:
        stub_answer_json(answer, 200, json_string("1.0.0"));
        break;
    case STUB_CALL_PREFLIGHT:
        stub_answer_json(answer, 200,
                         json_pack("{s:I, s:b}", "max_batch_size", (json_int_t)api->batch_max,
                                   "supports_base64_encoding", 1));
        break;
    case STUB_CALL_IDENTITY:
        stub_answer_json(answer, 200,
                         json_pack("{s:s, s:s, s:[s]}", "user_id", "", "tenant", "default_tenant",
                                   "databases", "default_database"));
        break;
    case STUB_CALL_RESET:
        stub_store_done(&api->store);
        stub_answer_json(answer, 200, json_true());
        break;
    case STUB_CALL_TENANT_GET:
        stub_answer_json(answer, 200,
                         json_pack("{s:s, s:n}", "name", route->tenant, "resource_name"));
        break;
    case STUB_CALL_DATABASE_LIST:
        stub_answer_json(answer, 200,
                         json_pack("[{s:s, s:s, s:s}]", "id",
                                   "00000000-0000-4000-8000-000000000000", "name",
                                   "default_database", "tenant", route->tenant));
        break;
    case STUB_CALL_DATABASE_GET:
        stub_answer_json(answer, 200,
                         json_pack("{s:s, s:s, s:s}", "id", "00000000-0000-4000-8000-000000000000",
                                   "name", route->database, "tenant", route->tenant));
        break;
    case STUB_CALL_CREATED:
        answer_ok(answer, 200);
        break;
    case STUB_CALL_V1:
        stub_answer_error(answer, 410, "Unimplemented",
                          "The v1 API is deprecated. Please use /v2 apis");
        break;
    case STUB_CALL_WRONG_METHOD:
        stub_answer_static(answer, 405, NULL, BYTES_LITERAL(""));
        answer->allow = "GET,HEAD,POST";
        break;
    default:
        stub_answer_static(answer, 404, NULL, BYTES_LITERAL(""));
    }
}

static void finish_collection(struct stub_api *api, const struct stub_route *route,
                              struct stub_api_job *job, struct stub_answer *answer)
{
    struct stub_collection *collection = NULL;

    if (route->call == STUB_CALL_COLLECTION_CREATE) {
        create_collection(api, route, job->request, answer);
        return;
    }
    if (route->call == STUB_CALL_COLLECTION_LIST || route->call == STUB_CALL_COLLECTION_COUNT) {
        list_collections(api, route, answer);
        return;
    }
    if (route->call == STUB_CALL_COLLECTION_GET || route->call == STUB_CALL_COLLECTION_DELETE) {
        collection = stub_store_find_name(&api->store, route, route->collection);
        if (collection == NULL)
            answer_missing(answer, route->collection, "");
    } else {
        collection = find(api, route, answer);
    }
    if (collection == NULL)
        return;
    if (route->call == STUB_CALL_COLLECTION_MODIFY) {
        modify_collection(collection, job->request, answer);
    } else if (route->call == STUB_CALL_COLLECTION_DELETE) {
        stub_store_delete(&api->store, collection);
        answer_ok(answer, 200);
    } else {
        stub_answer_json(answer, 200, collection_json(collection));
    }
}

static void create_collection(struct stub_api *api, const struct stub_route *route, json_t *request,
                              struct stub_answer *answer)
{
    const char *name = json_string_value(json_object_get(request, "name")), *space = NULL;
    json_t     *hnsw = json_object_get(json_object_get(request, "configuration"), "hnsw");
    struct stub_collection *collection;

    if (name == NULL || strlen(name) < 3) {
        stub_answer_error(answer, name == NULL ? 422 : 400,
                          name == NULL ? "ChromaError" : "InvalidArgumentError",
                          "Expected a name of at least 3 characters");
        return;
    }
    collection = stub_store_find_name(&api->store, route, name);
    if (collection != NULL && !json_is_true(json_object_get(request, "get_or_create"))) {
        stub_answer_error(answer, 409, "ChromaError", "Collection [%s] already exists", name);
        return;
    }
    if (collection == NULL) {
        space = json_string_value(json_object_get(hnsw, "space"));
        collection =
            stub_store_create(&api->store, route, name, json_object_get(request, "metadata"),
                              space != NULL && strcmp(space, "cosine") == 0 ? STUB_SPACE_COSINE
                              : space != NULL && strcmp(space, "ip") == 0   ? STUB_SPACE_IP
                                                                            : STUB_SPACE_L2);
    }
    if (collection == NULL)
        stub_answer_error(answer, 500, "InternalError", "stub: out of memory");
    else
        stub_answer_json(answer, 200, collection_json(collection));
}

/* List or count the collections of a database. */
static void list_collections(struct stub_api *api, const struct stub_route *route,
                             struct stub_answer *answer)
{
    json_t *list = json_array();

    LIST_FOR_EACH(node, &api->store.collections)
    {
        struct stub_collection *collection = LIST_ITEM(node, struct stub_collection, node);

        if (strcmp(collection->tenant, route->tenant) == 0 &&
            strcmp(collection->database, route->database) == 0)
            json_array_append_new(list, collection_json(collection));
    }
    if (route->call == STUB_CALL_COLLECTION_LIST) {
        stub_answer_json(answer, 200, list);
        return;
    }
    stub_answer_json(answer, 200, json_integer((json_int_t)json_array_size(list)));
    json_decref(list);
}

static void modify_collection(struct stub_collection *collection, json_t *request,
                              struct stub_answer *answer)
{
    const char *name = json_string_value(json_object_get(request, "new_name"));
    json_t     *metadata = json_object_get(request, "new_metadata");
    char       *copy = name == NULL ? NULL : strdup(name);

    if (copy != NULL) {
        free(collection->name);
        collection->name = copy;
    }
    if (json_is_object(metadata)) {
        json_decref(collection->metadata);
        collection->metadata = json_incref(metadata);
    }
    answer_ok(answer, 200);
}

static json_t *collection_json(const struct stub_collection *collection)
{
    static const char *const spaces[] = {"l2", "cosine", "ip"};

    return json_pack(
        "{s:s, s:s, s:{s:{s:s, s:i, s:i, s:i, s:f, s:i}, s:n, s:n}, s:n, s:O?, s:o, s:s, s:s, "
        "s:i, s:i}",
        "id", collection->uuid_text, "name", collection->name, "configuration_json", "hnsw",
        "space", spaces[collection->space], "ef_construction", 100, "ef_search", 100,
        "max_neighbors", 16, "resize_factor", 1.2, "sync_threshold", 1000, "spann",
        "embedding_function", "schema", "metadata", collection->metadata, "dimension",
        collection->dimension == 0 ? json_null() : json_integer((json_int_t)collection->dimension),
        "tenant", collection->tenant, "database", collection->database, "log_position", 0,
        "version", 0);
}

static void answer_missing(struct stub_answer *answer, const char *name, const char *stop)
{
    stub_answer_error(answer, 404, "NotFoundError", "Collection [%s] does not exist%s", name, stop);
}

static void answer_ok(struct stub_answer *answer, unsigned status)
{
    stub_answer_static(answer, status, "application/json", empty_object);
}
