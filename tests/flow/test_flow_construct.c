/* What a client asks when it is made is answered without asking Chroma, until it may have changed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow/flow_world.h"
#include "io/clock.h"
#include "support/check_main.h"

#define V2       "/api/v2"
#define TENANT   V2 "/tenants/t"
#define DATABASE TENANT "/databases/d"
#define UUID     "11111111-2222-3333-4444-555555555555"
#define RECORDS  DATABASE "/collections/" UUID "/"
#define BY_NAME  DATABASE "/collections/docs"
#define BY_ID    DATABASE "/collections/by-id/" UUID
#define CREATE   DATABASE "/collections"

static struct flow_world   world;
static struct flow_client *client;
static char                answer[1000]; /* of Chroma, to whatever is not about records */
static const char         *answer_body;
static unsigned            answer_status;
static enum flow_fault     write_fault; /* of what is about records */
static uint64_t            answer_delay_us;
static uint32_t            verify_per_million;

static void plan(struct flow_backend *backend, unsigned id, struct flow_plan *ret_plan, void *ctx)
{
    bool is_of_records = strstr(flow_backend_last_head(backend), RECORDS) != NULL;

    (void)id;
    (void)ctx;
    *ret_plan = (struct flow_plan){.fault = is_of_records ? write_fault : FLOW_FAULT_NONE,
                                   .status = is_of_records ? 200 : answer_status,
                                   .delay_us = answer_delay_us,
                                   .fields = "Content-Type: application/json\r\n",
                                   .is_bare = !is_of_records,
                                   .body = is_of_records ? "{}" : answer_body};
}

static void set_backend(enum chroma_family family, uint64_t batch_records_max, uint64_t incarnation)
{
    proxy_set_backend(world.proxy, &(struct proxy_backend){.family = family,
                                                           .batch_records_max = batch_records_max,
                                                           .incarnation = incarnation});
}

static void begin_with(bool splits)
{
    flow_world_begin(&world, 1);
    flow_world_keep_answers(&world);
    world.write_options.is_coalescing = true; /* writes are looked into */
    world.write_options.split_oversize = splits;
    world.proxy_options.cache.verify_per_million = verify_per_million;
    world.backend.on_plan = plan;
    answer_body = answer;
    answer_status = 200;
    answer_delay_us = 1000;
    write_fault = FLOW_FAULT_NONE;
    snprintf(answer, sizeof answer, "{}");
    flow_world_start(&world);
    set_backend(CHROMA_FAMILY_RUST, 5461, 1);
    client = flow_world_client(&world);
}

static void begin(void)
{
    verify_per_million = 0;
    begin_with(false);
}

static void end(void)
{
    flow_world_end(&world);
}

static void send_with(const char *method, const char *path, const char *body, const char *fields)
{
    flow_client_printf(client, "%s %s HTTP/1.1\r\nHost: chroma\r\n%s", method, path, fields);
    if (body[0] != '\0')
        flow_client_printf(client, "Content-Length: %zu\r\n", strlen(body));
    flow_client_printf(client, "\r\n%s", body);
}

/* Ask; is it answered from the cache? */
static bool is_hit_with(const char *method, const char *path, const char *body, const char *fields)
{
    size_t answers = client->answer_count, requests = world.backend.request_count;
    bool   hit;

    send_with(method, path, body, fields);
    ck_assert(flow_world_run_to_answers(&world, client, answers + 1));
    hit = strstr(flow_client_head(client, answers), "Cache-Status: chromabouncer; hit\r\n") != NULL;
    if (verify_per_million == 0)
        ck_assert_uint_eq(world.backend.request_count, requests + !hit);
    ck_assert_uint_eq(client->answers[answers].status, answer_status);
    return hit;
}

static bool is_hit(const char *method, const char *path, const char *body)
{
    return is_hit_with(method, path, body, "");
}

static const char *last_body(void)
{
    return flow_client_body(client, client->answer_count - 1);
}

static const char *const fixed[] = {V2 "/auth/identity", TENANT, DATABASE, V2 "/pre-flight-checks",
                                    V2 "/version"};

START_TEST(what_never_changes_is_asked_once)
{
    const char *path = fixed[_i];

    ck_assert(!is_hit("GET", path, ""));
    ck_assert(is_hit("GET", path, ""));
    ck_assert_str_eq(last_body(), answer);
    ck_assert(!is_hit_with("GET", path, "", "Authorization: a\r\n"));
    ck_assert(is_hit_with("GET", path, "", "Authorization: a\r\n"));
    ck_assert(!is_hit_with("GET", path, "", "Cache-Control: no-cache\r\n"));
    flow_world_run_ms(&world, 6000);
    ck_assert(!is_hit_with("GET", path, "", "Authorization: a\r\n"));
    ck_assert(is_hit("GET", path, ""));
    ck_assert(!is_hit("GET", path, "{}"));
    ck_assert(!is_hit("GET", path, "{}"));
}
END_TEST

START_TEST(paths_are_apart)
{
    for (size_t i = 0; i < COUNT_OF(fixed); i++) {
        snprintf(answer, sizeof answer, "\"%s\"", fixed[i]);
        ck_assert(!is_hit("GET", fixed[i], ""));
    }
    for (size_t i = 0; i < COUNT_OF(fixed); i++) {
        ck_assert(is_hit("GET", fixed[i], ""));
        snprintf(answer, sizeof answer, "\"%s\"", fixed[i]);
        ck_assert_str_eq(last_body(), answer);
    }
    ck_assert(!is_hit("GET", V2 "/tenants/T", ""));
    ck_assert(!is_hit("GET", V2 "/tenants/t?x=1", ""));
    ck_assert(!is_hit("GET", V2 "/tenants/t?x=1", ""));
}
END_TEST

START_TEST(what_is_changed_on_its_way_is_kept_as_it_arrives)
{
    end();
    begin_with(true);
    snprintf(answer, sizeof answer, "{\"max_batch_size\":5461,\"supports_base64_encoding\":true}");
    for (unsigned i = 0; i < 2; i++) {
        ck_assert(is_hit("GET", V2 "/pre-flight-checks", "") == (i == 1));
        ck_assert_ptr_nonnull(strstr(last_body(), "41666"));
    }
}
END_TEST

START_TEST(a_heartbeat_is_always_asked_for)
{
    ck_assert(!is_hit("GET", V2 "/heartbeat", ""));
    ck_assert(!is_hit("GET", V2 "/heartbeat", ""));
    ck_assert(!is_hit("GET", V2, ""));
    ck_assert(!is_hit("GET", V2, ""));
}
END_TEST

static const struct {
    const char *method, *path;
} catalogue_writes[] = {{"POST", V2 "/tenants"},       {"PATCH", TENANT},
                        {"POST", TENANT "/databases"}, {"DELETE", DATABASE},
                        {"POST", V2 "/reset"},         {"PUT", V2 "/unknown"}};

START_TEST(a_write_to_tenants_or_databases_ends_them)
{
    for (size_t i = 0; i < COUNT_OF(fixed); i++) {
        ck_assert(!is_hit("GET", fixed[i], ""));
        ck_assert(is_hit("GET", fixed[i], ""));
    }
    ck_assert(!is_hit(catalogue_writes[_i].method, catalogue_writes[_i].path, "{}"));
    for (size_t i = 0; i < COUNT_OF(fixed); i++)
        ck_assert(!is_hit("GET", fixed[i], ""));
}
END_TEST

START_TEST(nothing_is_kept_while_tenants_change)
{
    struct flow_client *reader = client;

    answer_delay_us = 100000;
    client = flow_world_client(&world);
    send_with("PATCH", TENANT, "{}", "");
    flow_world_run_ms(&world, 5);
    answer_delay_us = 1000;
    client = reader;
    ck_assert(!is_hit("GET", TENANT, ""));
    ck_assert(!is_hit("GET", TENANT, ""));
    flow_world_run_ms(&world, 200);
    ck_assert(!is_hit("GET", TENANT, ""));
    ck_assert(is_hit("GET", TENANT, ""));
}
END_TEST

START_TEST(a_refusal_is_not_kept)
{
    answer_status = 404;
    ck_assert(!is_hit("GET", TENANT, ""));
    ck_assert(!is_hit("GET", TENANT, ""));
}
END_TEST

START_TEST(another_chroma_is_asked_again)
{
    ck_assert(!is_hit("GET", TENANT, ""));
    proxy_set_backend(world.proxy,
                      &(struct proxy_backend){.family = CHROMA_FAMILY_RUST, .incarnation = 2});
    ck_assert(!is_hit("GET", TENANT, ""));
    ck_assert(is_hit("GET", TENANT, ""));
}
END_TEST

START_TEST(a_sidecar_asks_always)
{
    struct proxy_options options = world.proxy_options;

    options.cache.max_staleness_us = 1000000;
    proxy_set_gateway(world.proxy, false);
    proxy_set_options(world.proxy, &options);
    for (size_t i = 0; i < COUNT_OF(fixed); i++) {
        ck_assert(!is_hit("GET", fixed[i], ""));
        ck_assert(!is_hit("GET", fixed[i], ""));
        ck_assert_ptr_null(strstr(flow_client_head(client, client->answer_count - 1), "Cache-"));
    }
}
END_TEST

#define NAMED(name) "{\"name\":\"" name "\",\"get_or_create\":true}"

static const struct {
    const char *method, *path, *body;
} descriptions[] = {{"GET", BY_NAME, ""}, {"GET", BY_ID, ""}, {"POST", CREATE, NAMED("docs")}};

static void describe(const char *uuid, const char *name, const char *dimension, const char *keys)
{
    snprintf(answer, sizeof answer,
             "{\"id\":\"%s\",\"name\":\"%s\",\"tenant\":\"t\",\"database\":\"d\",\"dimension\":%s,"
             "\"schema\":{\"keys\":{%s}},\"version\":0,\"log_position\":0}",
             uuid, name, dimension, keys);
}

/* Write or read records and be answered. */
static void do_records(const char *operation, const char *body)
{
    char   path[200];
    size_t answers = client->answer_count;

    snprintf(path, sizeof path, RECORDS "%s", operation);
    send_with("POST", path, body, "");
    ck_assert(flow_world_run_to_answers(&world, client, answers + 1));
}

#define WITH(metadata) "{\"ids\":[\"w1\"],\"embeddings\":[[1,2]],\"metadatas\":[" metadata "]}"

/* The collection is known, Chroma has all of it, and its description is kept. */
static void keep_description(int which)
{
    describe(UUID, "docs", "2", "\"a\":{\"int\":{}},\"b\":{\"string\":{},\"float\":{}}");
    ck_assert(!is_hit("GET", BY_NAME, ""));
    do_records("upsert", WITH("null"));
    ck_assert(
        !is_hit(descriptions[which].method, descriptions[which].path, descriptions[which].body));
    ck_assert(
        is_hit(descriptions[which].method, descriptions[which].path, descriptions[which].body));
    ck_assert_str_eq(last_body(), answer);
}

/* Is it still? */
static bool is_kept(int which)
{
    return is_hit(descriptions[which].method, descriptions[which].path, descriptions[which].body);
}

static uint64_t verified(const char *result)
{
    struct byte_buffer page = {0};
    char               name[80];
    const char        *found;
    uint64_t           value = 0;

    snprintf(name, sizeof name, "chromabouncer_cache_verified_total{result=\"%s\"} ", result);
    ck_assert_int_eq(proxy_print_metrics(world.proxy, &page), STATUS_OK);
    found = memmem(byte_buffer_bytes(&page).data, byte_buffer_size(&page), name, strlen(name));
    if (found != NULL)
        value = strtoull(found + strlen(name), NULL, 10);
    byte_buffer_done(&page);
    return value;
}

/* All but what creates if it has to. */
START_TEST(a_description_is_verified_and_one_that_differs_is_forgotten)
{
    bool creates = descriptions[_i].body[0] != '\0';

    end();
    verify_per_million = 1000000;
    begin_with(false);
    keep_description(_i);
    flow_world_run_ms(&world, 20);
    ck_assert_uint_eq(verified("same"), !creates);
    describe(UUID, "docs", "3", ""); /* somebody else wrote */
    ck_assert(is_kept(_i));
    flow_world_run_ms(&world, 20);
    ck_assert_uint_eq(verified("different"), !creates);
    ck_assert_int_eq(is_kept(_i), creates);
}
END_TEST

START_TEST(what_never_changes_is_verified_too)
{
    end();
    verify_per_million = 1000000;
    begin_with(false);
    ck_assert(!is_hit("GET", fixed[_i], ""));
    snprintf(answer, sizeof answer, "{\"changed\":1}");
    ck_assert(is_hit("GET", fixed[_i], ""));
    flow_world_run_ms(&world, 20);
    ck_assert_uint_eq(verified("different"), 1);
    ck_assert(!is_hit("GET", fixed[_i], ""));
}
END_TEST

START_TEST(a_description_is_kept_once_the_collection_is_known)
{
    describe(UUID, "docs", "2", "");
    ck_assert(!is_kept(_i));
    ck_assert(!is_kept(_i)); /* Chroma may have left something of the process before */
    do_records("query", "{\"query_embeddings\":[[1,2]]}");
    ck_assert(!is_kept(_i));
    ck_assert(is_kept(_i));
    do_records("upsert", WITH("null"));
    ck_assert(!is_kept(_i)); /* with which it may have applied that */
    ck_assert(is_kept(_i));
    do_records("upsert", WITH("null"));
    ck_assert(is_kept(_i));
    ck_assert(!is_hit_with(descriptions[_i].method, descriptions[_i].path, descriptions[_i].body,
                           "X-Chroma-Token: a\r\n"));
}
END_TEST

static const struct {
    const char *operation, *body;
    bool        leaves;
} record_writes[] = {
    {"upsert", WITH("{\"a\":1}"), true},
    {"add", WITH("{\"a\":2,\"b\":\"x\"}"), true},
    {"add", WITH("{\"b\":1.5}"), true},
    {"update", "{\"ids\":[\"w1\"],\"metadatas\":[{\"a\":null,\"z\":null}]}", true},
    {"upsert", "{\"ids\":[\"w1\"],\"embeddings\":[[1,2]],\"documents\":[\"d\"]}", true},
    {"delete", "{\"ids\":[\"w1\"]}", true},
    {"delete", "not JSON", true},
    {"upsert", WITH("{\"c\":1}"), false},
    {"add", WITH("{\"a\":1.5}"), false},
    {"update", "{\"ids\":[\"w1\"],\"metadatas\":[{\"a\":\"x\"}]}", false},
    {"upsert", WITH("{\"a\":-0}"), false},
    {"upsert", WITH("{\"\\u0061\":1}"), false},
    {"upsert", "not JSON", false},
    {"upsert", "{\"ids\":[\"w1\"],\"embeddings\":[[1,2]],\"unknown\":1}", false},
    {"conditional/commit", "{}", false},
    {"functions/attach", "{}", false},
    {"unknown", "{}", false},
};

START_TEST(a_write_ends_what_it_may_change)
{
    for (int which = 0; which < (int)COUNT_OF(descriptions); which++) {
        keep_description(which);
        do_records(record_writes[_i].operation, record_writes[_i].body);
        if (strcmp(record_writes[_i].operation, "functions/attach") == 0 && which > 0)
            return; /* its database is kept no more */
        ck_assert(is_kept(which) == record_writes[_i].leaves);
        end();
        begin();
    }
}
END_TEST

START_TEST(the_first_vectors_end_it)
{
    keep_description(0);
    do_records("upsert", WITH("{\"c\":1}"));
    describe(UUID, "docs", "null", "\"a\":{\"int\":{}}");
    ck_assert(!is_kept(0));
    ck_assert(is_kept(0));
    do_records("update", "{\"ids\":[\"w1\"],\"metadatas\":[{\"a\":1}]}");
    ck_assert(is_kept(0));
    do_records("upsert", WITH("{\"a\":1}"));
    ck_assert(!is_kept(0));
}
END_TEST

START_TEST(a_batch_ends_it_if_one_of_its_writes_does)
{
    struct flow_client *clients[4];
    char                body[200];

    keep_description(2);
    answer_delay_us = 50000;
    for (size_t i = 0; i < COUNT_OF(clients); i++) { /* the first one holds the others back */
        client = clients[i] = flow_world_client(&world);
        snprintf(body, sizeof body,
                 "{\"ids\":[\"w%zu\"],\"embeddings\":[[1,2]],\"metadatas\":[{\"%s\":1}]}", i + 1,
                 i == 2 ? "new" : "a");
        send_with("POST", RECORDS "upsert", body, "");
        flow_world_run_ms(&world, 2);
    }
    for (size_t i = 0; i < COUNT_OF(clients); i++)
        ck_assert(flow_world_run_to_answers(&world, clients[i], 1));
    ck_assert(strstr(flow_backend_last_head(&world.backend), "User-Agent: chromabouncer") != NULL);
    ck_assert(!is_kept(2));
}
END_TEST

static const struct {
    const char *method, *path, *body;
    bool        leaves;
} catalogue[] = {{"PUT", DATABASE "/collections/" UUID, "{}", false},
                 {"DELETE", BY_NAME, "", false},
                 {"DELETE", DATABASE, "", false},
                 {"POST", V2 "/reset", "", false},
                 {"POST", RECORDS "fork", "{}", true},
                 {"POST", TENANT "/databases", "{}", true},
                 {"POST", CREATE, NAMED("other"), true}};

START_TEST(a_write_to_the_catalogue_ends_what_it_may_change)
{
    char kept[sizeof answer];

    for (int which = 0; which < (int)COUNT_OF(descriptions); which++) {
        keep_description(which);
        memcpy(kept, answer, sizeof kept);
        describe("00000000-0000-0000-0000-000000000001", "other", "null", "");
        ck_assert(!is_hit(catalogue[_i].method, catalogue[_i].path, catalogue[_i].body));
        memcpy(answer, kept, sizeof kept);
        ck_assert(is_kept(which) == catalogue[_i].leaves);
        end();
        begin();
    }
}
END_TEST

START_TEST(a_write_that_was_lost_may_come_with_the_next)
{
    keep_description(_i);
    write_fault = FLOW_FAULT_RESET_AFTER;
    send_with("POST", RECORDS "upsert", WITH("{\"c\":1}"), "");
    flow_world_run_ms(&world, 30000);
    write_fault = FLOW_FAULT_NONE;
    flow_world_run_ms(&world, UINT64_C(1200) * 1000); /* none such takes longer */
    client = flow_world_client(&world);
    ck_assert(!is_kept(_i));
    ck_assert(!is_kept(_i));
    do_records("upsert", WITH("{\"a\":1}"));
    ck_assert(!is_kept(_i));
    ck_assert(is_kept(_i));
}
END_TEST

START_TEST(a_lost_write_that_changes_nothing_of_it_is_none)
{
    keep_description(0);
    write_fault = FLOW_FAULT_RESET_AFTER;
    send_with("POST", RECORDS "upsert", WITH("{\"a\":1}"), "");
    flow_world_run_ms(&world, 2000); /* within the first ten seconds */
    client = flow_world_client(&world);
    ck_assert(is_kept(0));
}
END_TEST

START_TEST(only_the_same_creation_of_what_is_there_is_answered)
{
    static const char *const others[] = {
        "{ \"name\":\"docs\",\"get_or_create\":true}",
        "{\"name\":\"docs\",\"get_or_create\":true,\"metadata\":{}}",
        "{\"name\":\"docs\",\"get_or_create\":true,\"configuration\":{\"hnsw\":{\"space\":\"x\"}}"
        "}"};
    static const char *const none[] = {
        "{\"name\":\"docs\"}",
        "{\"name\":\"docs\",\"get_or_create\":false}",
        "{\"name\":\"docs\",\"get_or_create\":1}",
        "{\"name\":\"docs\",\"get_or_create\":false,\"get_or_create\":true}",
        "{\"name\":\"docs\",\"get_or_create\":true,\"name\":\"other\"}",
        "{\"get_or_create\":true}",
        "{\"name\":7,\"get_or_create\":true}",
        NAMED("docs") "x"};

    keep_description(2);
    for (size_t i = 0; i < COUNT_OF(others); i++)
        ck_assert(!is_hit("POST", CREATE, others[i]));
    for (size_t i = 0; i < 2 * COUNT_OF(none); i++) {
        ck_assert(!is_hit("POST", CREATE, none[i / 2]));
        ck_assert_ptr_null(strstr(flow_client_head(client, client->answer_count - 1), "Cache-"));
    }
    ck_assert(is_hit("POST", CREATE, others[0]) && is_kept(2));
    ck_assert(!is_hit("POST", V2 "/tenants/t/databases/e/collections", NAMED("docs")));
    ck_assert(!is_hit_with("POST", CREATE, NAMED("docs"), "Cache-Control: no-cache\r\n"));
}
END_TEST

START_TEST(a_refused_creation_is_not_kept)
{
    keep_description(0);
    answer_status = 400;
    ck_assert(!is_kept(2));
    ck_assert(!is_kept(2));
}
END_TEST

START_TEST(what_created_something_is_not_kept)
{
    describe(UUID, "docs", "null", "");
    ck_assert(!is_kept(2)); /* creates it */
    do_records("query", "{\"query_embeddings\":[[1,2]]}");
    ck_assert(!is_kept(2)); /* finds it */
    ck_assert(is_kept(2));
}
END_TEST

START_TEST(what_is_described_under_another_uuid_is_not_kept)
{
    keep_description(0);
    describe("00000000-0000-0000-0000-000000000001", "docs", "2", "");
    do_records("upsert", WITH("{\"c\":1}"));
    ck_assert(!is_hit("POST", CREATE, NAMED("docs")));
    ck_assert(!is_hit("POST", CREATE, NAMED("docs")) || last_body()[7] == '0');
}
END_TEST

START_TEST(a_description_that_a_write_crossed_is_not_kept)
{
    struct flow_client *reader = client;

    keep_description(_i);
    do_records("upsert", WITH("{\"c\":1}"));
    answer_delay_us = 100000;
    send_with(descriptions[_i].method, descriptions[_i].path, descriptions[_i].body, "");
    flow_world_run_ms(&world, 5);
    answer_delay_us = 1000;
    client = flow_world_client(&world);
    do_records("upsert", WITH("{\"d\":1}"));
    client = reader;
    flow_world_run_ms(&world, 200);
    ck_assert(!is_kept(_i));
    ck_assert(is_kept(_i));
}
END_TEST

/* ---- Creations that wait for another --------------------------------------------------------- */

enum { CREATORS = 8 };

static struct flow_client *creators[CREATORS];
static size_t              calls_before;

/* Eight at once create what is there, and nobody has asked for that before; Chroma takes 100 ms. */
static void create_at_once(const char *body)
{
    answer_delay_us = 100000;
    calls_before = world.backend.request_count;
    for (size_t i = 0; i < CREATORS; i++) {
        client = creators[i] = flow_world_client(&world);
        send_with("POST", CREATE, body, "");
        flow_world_run_ms(&world, 1);
    }
    client = flow_world_client(&world);
}

/* Each is answered with this; so many of them by another's answer, for so many calls. */
static void expect_created(const char *body, size_t collapsed, size_t calls)
{
    size_t found = 0;

    for (size_t i = 0; i < CREATORS; i++) {
        if (creators[i] == NULL)
            continue;
        ck_assert(flow_world_run_to_answers(&world, creators[i], 1));
        ck_assert_uint_eq(creators[i]->answers[0].status, answer_status);
        ck_assert_str_eq(flow_client_body(creators[i], 0), body);
        found += strstr(flow_client_head(creators[i], 0), "fwd=miss; collapsed\r\n") != NULL;
    }
    ck_assert_uint_eq(found, collapsed);
    ck_assert_uint_eq(world.backend.request_count, calls_before + calls);
}

START_TEST(creations_at_once_of_what_is_there_are_one_call)
{
    keep_description(0);
    create_at_once(NAMED("docs"));
    ck_assert_uint_eq(world.backend.request_count, calls_before + 1);
    expect_created(answer, CREATORS - 1, 1);
    ck_assert(is_kept(2));
}
END_TEST

START_TEST(creations_of_what_may_not_be_there_are_sent_each)
{
    describe(UUID, "docs", "2", "");
    create_at_once(NAMED("docs"));
    expect_created(answer, 0, CREATORS);
}
END_TEST

START_TEST(a_creation_whose_answer_may_not_be_kept_is_sent_by_each)
{
    keep_description(0);
    answer_status = 400;
    create_at_once("{\"name\":\"docs\",\"get_or_create\":true,\"metadata\":{}}");
    ck_assert_uint_eq(world.backend.request_count, calls_before + 1);
    expect_created(answer, 0, CREATORS);
    create_at_once("{\"name\":\"docs\",\"get_or_create\":true,\"metadata\":{}}");
    ck_assert_uint_eq(world.backend.request_count, calls_before + CREATORS); /* for a while */
    expect_created(answer, 0, CREATORS);
}
END_TEST

/* Who comes after the write waits for none that was begun before it, and who waited is not given
 * what Chroma may have said before. */
START_TEST(a_write_parts_creations_that_wait)
{
    char former[sizeof answer];

    keep_description(0);
    memcpy(former, answer, sizeof former);
    answer_body = former;
    create_at_once(NAMED("docs"));
    answer_body = answer;
    answer_delay_us = 1000;
    do_records("upsert", WITH("{\"c\":1}"));
    describe(UUID, "docs", "2", "\"c\":{\"int\":{}}");
    ck_assert(!is_kept(2));
    ck_assert_str_eq(last_body(), answer);
    ck_assert_uint_eq(creators[0]->answer_count, 0);
    for (size_t i = 0; i < CREATORS; i++) {
        ck_assert(flow_world_run_to_answers(&world, creators[i], 1));
        ck_assert_str_eq(flow_client_body(creators[i], 0), i == 0 ? former : answer);
    }
}
END_TEST

START_TEST(if_who_creates_leaves_one_of_the_others_creates)
{
    struct proxy_options options = world.proxy_options;

    options.queue_wait_max_us = 50000; /* is one for turns of reads */
    proxy_set_options(world.proxy, &options);
    keep_description(0);
    create_at_once(NAMED("docs"));
    flow_client_reset(creators[0]);
    flow_client_reset(creators[3]);
    creators[0] = creators[3] = NULL;
    expect_created(answer, CREATORS - 3, 2);
}
END_TEST

START_TEST(who_waits_for_a_creation_has_its_own_deadline)
{
    struct proxy_options options = world.proxy_options;
    struct flow_client  *first, *second;
    uint64_t             began_us;

    options.deadline_write_us = 1000000;
    proxy_set_options(world.proxy, &options);
    keep_description(0);
    answer_delay_us = 100000000;
    began_us = clock_now_us();
    first = client = flow_world_client(&world);
    send_with("POST", CREATE, NAMED("docs"), "");
    flow_world_run_ms(&world, 500);
    second = client = flow_world_client(&world);
    send_with("POST", CREATE, NAMED("docs"), "");
    calls_before = world.backend.request_count;
    ck_assert(flow_world_run_to_answers(&world, first, 1));
    ck_assert_uint_eq(first->answers[0].status, 504);
    ck_assert_uint_lt(clock_now_us() - began_us, 1050000);
    ck_assert_uint_eq(second->answer_count, 0);
    ck_assert_uint_eq(world.backend.request_count, calls_before);
    ck_assert(flow_world_run_to_answers(&world, second, 1));
    ck_assert_uint_eq(second->answers[0].status, 504);
    ck_assert_uint_gt(clock_now_us() - began_us, 1450000);
    ck_assert_uint_lt(clock_now_us() - began_us, 1550000);
}
END_TEST

START_TEST(some_chromas_are_always_asked)
{
    static const struct {
        enum chroma_family family;
        uint64_t           batch_records_max;
        bool               keeps[3];
    } backends[] = {{CHROMA_FAMILY_RUST, 5461, {true, true, true}},
                    {CHROMA_FAMILY_PYTHON, 41666, {true, true, true}},
                    {CHROMA_FAMILY_PYTHON_OLD, 41666, {true, true, false}},
                    {CHROMA_FAMILY_UNKNOWN, 41666, {true, true, false}},
                    {CHROMA_FAMILY_RUST, 1000, {false, false, false}}, /* a distributed one */
                    {CHROMA_FAMILY_RUST, 0, {false, false, false}}};

    for (size_t i = 0; i < COUNT_OF(backends); i++) {
        set_backend(backends[i].family, backends[i].batch_records_max, 10 + i);
        describe(UUID, "docs", "2", "");
        ck_assert(!is_hit("GET", BY_NAME, ""));
        do_records("query", "{\"query_embeddings\":[[1,2]]}");
        for (int which = 0; which < (int)COUNT_OF(descriptions); which++) {
            ck_assert(!is_kept(which));
            ck_assert(is_kept(which) == backends[i].keeps[which]);
        }
    }
    proxy_set_gateway(world.proxy, false);
    for (int which = 0; which < 2 * (int)COUNT_OF(descriptions); which++)
        ck_assert(!is_kept(which / 2));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("flow_construct");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_loop_test(tcase, what_never_changes_is_asked_once, 0, COUNT_OF(fixed));
    tcase_add_test(tcase, paths_are_apart);
    tcase_add_test(tcase, what_is_changed_on_its_way_is_kept_as_it_arrives);
    tcase_add_test(tcase, a_heartbeat_is_always_asked_for);
    tcase_add_loop_test(tcase, a_write_to_tenants_or_databases_ends_them, 0,
                        COUNT_OF(catalogue_writes));
    tcase_add_test(tcase, nothing_is_kept_while_tenants_change);
    tcase_add_test(tcase, a_refusal_is_not_kept);
    tcase_add_test(tcase, another_chroma_is_asked_again);
    tcase_add_test(tcase, a_sidecar_asks_always);
    tcase_add_loop_test(tcase, a_description_is_kept_once_the_collection_is_known, 0,
                        COUNT_OF(descriptions));
    tcase_add_loop_test(tcase, a_description_is_verified_and_one_that_differs_is_forgotten, 0,
                        COUNT_OF(descriptions));
    tcase_add_loop_test(tcase, what_never_changes_is_verified_too, 0, COUNT_OF(fixed));
    tcase_add_loop_test(tcase, a_write_ends_what_it_may_change, 0, COUNT_OF(record_writes));
    tcase_add_test(tcase, the_first_vectors_end_it);
    tcase_add_test(tcase, a_batch_ends_it_if_one_of_its_writes_does);
    tcase_add_loop_test(tcase, a_write_to_the_catalogue_ends_what_it_may_change, 0,
                        COUNT_OF(catalogue));
    tcase_add_loop_test(tcase, a_write_that_was_lost_may_come_with_the_next, 0,
                        COUNT_OF(descriptions));
    tcase_add_test(tcase, a_lost_write_that_changes_nothing_of_it_is_none);
    tcase_add_test(tcase, only_the_same_creation_of_what_is_there_is_answered);
    tcase_add_test(tcase, a_refused_creation_is_not_kept);
    tcase_add_test(tcase, what_created_something_is_not_kept);
    tcase_add_test(tcase, what_is_described_under_another_uuid_is_not_kept);
    tcase_add_loop_test(tcase, a_description_that_a_write_crossed_is_not_kept, 0,
                        COUNT_OF(descriptions));
    tcase_add_test(tcase, creations_at_once_of_what_is_there_are_one_call);
    tcase_add_test(tcase, creations_of_what_may_not_be_there_are_sent_each);
    tcase_add_test(tcase, a_creation_whose_answer_may_not_be_kept_is_sent_by_each);
    tcase_add_test(tcase, a_write_parts_creations_that_wait);
    tcase_add_test(tcase, if_who_creates_leaves_one_of_the_others_creates);
    tcase_add_test(tcase, who_waits_for_a_creation_has_its_own_deadline);
    tcase_add_test(tcase, some_chromas_are_always_asked);
    return check_main("flow_construct", tcase);
}
