/* What is answered without asking Chroma, whatever crosses it on the way. */
#include <stdio.h>
#include <string.h>

#include "flow/flow_world.h"
#include "support/check_main.h"

#define COLLECTION "/api/v2/tenants/t/databases/d/collections/11111111-2222-3333-4444-555555555555/"

static struct flow_world world;
static uint64_t          read_delay_us, write_delay_us;
static unsigned          read_status, write_status;
static const char       *read_fields;

static void plan(struct flow_backend *backend, unsigned id, struct flow_plan *ret_plan, void *ctx)
{
    bool is_write = strstr(flow_backend_last_head(backend), "/get ") == NULL;

    (void)id;
    (void)ctx;
    ret_plan->delay_us = is_write ? write_delay_us : read_delay_us;
    ret_plan->status = is_write ? write_status : read_status;
    ret_plan->fields = is_write ? NULL : read_fields;
    ret_plan->is_bare = !is_write;
}

static void begin(void)
{
    flow_world_begin(&world, 1);
    flow_world_keep_answers(&world);
    world.backend.on_plan = plan;
    read_delay_us = write_delay_us = 1000;
    read_status = write_status = 200;
    read_fields = "Content-Type: application/json\r\n";
}

static void end(void)
{
    flow_world_end(&world);
}

static void send_read(struct flow_client *client, const char *body, const char *fields)
{
    flow_client_printf(client,
                       "POST " COLLECTION "get HTTP/1.1\r\nHost: chroma\r\n%s"
                       "Content-Length: %zu\r\n\r\n%s",
                       fields, strlen(body), body);
}

/* Ask once more on the same connection; is it answered from the cache? */
static bool is_hit(struct flow_client *client, const char *body, const char *fields)
{
    size_t      answers = client->answer_count, requests = world.backend.request_count;
    const char *head;
    bool        hit;

    send_read(client, body, fields);
    ck_assert(flow_world_run_to_answers(&world, client, answers + 1));
    head = flow_client_head(client, answers);
    hit = strstr(head, "Cache-Status: chromabouncer; hit\r\n") != NULL;
    ck_assert_uint_eq(world.backend.request_count, requests + !hit);
    ck_assert(!hit || strstr(head, "\r\nAge: ") != NULL);
    ck_assert((strstr(head, "X-Chromabouncer-Source: cache\r\n") != NULL) == hit);
    ck_assert_uint_eq(client->answers[answers].status, read_status);
    return hit;
}

static bool says(struct flow_client *client, const char *status)
{
    char line[100];

    snprintf(line, sizeof line, "Cache-Status: chromabouncer; %s\r\n", status);
    return strstr(flow_client_head(client, client->answer_count - 1), line) != NULL;
}

static void write_record(struct flow_client *client, unsigned id)
{
    size_t answers = client->answer_count;

    flow_world_request_record(client, "upsert", id);
    ck_assert(flow_world_run_to_answers(&world, client, answers + 1));
}

START_TEST(the_second_time_chroma_is_not_asked)
{
    struct flow_client *first, *second;

    flow_world_start(&world);
    first = flow_world_client(&world);
    second = flow_world_client(&world);
    ck_assert(!is_hit(first, "{}", ""));
    ck_assert(says(first, "fwd=miss; stored"));
    ck_assert(is_hit(first, "{}", ""));
    ck_assert(is_hit(second, "{\"limit\":null}", ""));
    ck_assert(!is_hit(second, "{\"limit\":1}", ""));
    ck_assert(!is_hit(second, "{}", "X-Chroma-Token: a\r\n"));
    ck_assert(is_hit(second, "{}", "X-Chroma-Token: a\r\n"));
    ck_assert(!is_hit(second, "{}", "X-Chroma-Token: b\r\n"));
    ck_assert(!is_hit(second, "{}", "Cache-Control: no-cache\r\n"));
    ck_assert(says(second, "fwd=bypass"));
}
END_TEST

/* Whoever says how old an answer may be is given the one that all are given, if it is young enough.
 */
START_TEST(the_age_that_a_client_takes_is_heeded)
{
    struct flow_client *client;

    flow_world_start(&world);
    client = flow_world_client(&world);
    ck_assert(!is_hit(client, "{}", ""));
    ck_assert(is_hit(client, "{}", "Cache-Control: Max-Age=5\r\n"));
    flow_world_run_ms(&world, 3000);
    ck_assert(is_hit(client, "{}", "Cache-Control: max-age=5\r\n"));
    ck_assert(!is_hit(client, "{}", "Cache-Control: max-age=2\r\n"));
    ck_assert(says(client, "fwd=miss; stored"));
    flow_world_run_ms(&world, 1000);
    ck_assert(is_hit(client, "{}", ""));
    ck_assert(strstr(flow_client_head(client, client->answer_count - 1), "\r\nAge: 1\r\n") != NULL);
    ck_assert(!is_hit(client, "{}", "Cache-Control: max-age=0\r\n"));
    ck_assert(says(client, "fwd=bypass"));
    ck_assert(!is_hit(client, "{}", "Cache-Control: max-age=9, no-transform\r\n"));
    ck_assert(!is_hit(client, "{}", "Cache-Control: max-age=9\r\nPragma: no-cache\r\n"));
    ck_assert(!is_hit(client, "{}", "Cache-Control: max-age=9\r\nX-Chroma-Token: a\r\n"));
    ck_assert(is_hit(client, "{}", "X-Chroma-Token: a\r\n"));
    ck_assert(is_hit(client, "{}", "Cache-Control: max-age=9\r\n"));
}
END_TEST

/* With room for more, so that it is remembered what it means. */
static const char *long_body(const char *rest)
{
    static char body[2000];

    snprintf(body, sizeof body, "{\"ids\":[\"%01000d\"]%s}", 7, rest);
    return body;
}

START_TEST(long_bodies_mean_what_they_meant)
{
    struct flow_client *client;
    const char         *path = strstr(COLLECTION, "/collections/");

    flow_world_start(&world);
    client = flow_world_client(&world);
    ck_assert(!is_hit(client, long_body(",\"limit\":null"), ""));
    ck_assert(is_hit(client, long_body(",\"limit\":null"), ""));
    ck_assert(is_hit(client, long_body(""), ""));
    ck_assert(is_hit(client, long_body(""), ""));
    ck_assert(!is_hit(client, long_body(",\"limit\":1"), ""));
    ck_assert(!is_hit(client, long_body(""), "X-Chroma-Token: a\r\n"));
    ck_assert(!is_hit(client, long_body(",\"x\":1"), ""));
    ck_assert(says(client, "fwd=bypass"));
    ck_assert(!is_hit(client, long_body(",\"x\":1"), ""));
    ck_assert(says(client, "fwd=bypass"));
    flow_client_printf(client,
                       "POST /api/v2/tenants/t/databases/e%sget HTTP/1.1\r\nHost: chroma\r\n"
                       "Content-Length: %zu\r\n\r\n%s",
                       path, strlen(long_body("")), long_body(""));
    ck_assert(flow_world_run_to_answers(&world, client, client->answer_count + 1));
    ck_assert(says(client, "fwd=miss; stored"));
    /* Older servers tell null from nothing. */
    proxy_set_backend(world.proxy, &(struct proxy_backend){.family = CHROMA_FAMILY_PYTHON,
                                                           .batch_records_max = 41666,
                                                           .incarnation = 77});
    ck_assert(!is_hit(client, long_body(",\"limit\":null"), ""));
    ck_assert(!is_hit(client, long_body(""), ""));
    ck_assert(is_hit(client, long_body(""), ""));
}
END_TEST

START_TEST(pipelined_hits_are_answered_in_order)
{
    struct flow_client *client;

    flow_world_start(&world);
    client = flow_world_client(&world);
    ck_assert(!is_hit(client, "{}", ""));
    for (unsigned i = 0; i < 10; i++) {
        send_read(client, "{}", "");
        send_read(client, i % 2 ? "{\"limit\":1}" : "{\"limit\":2}", "");
    }
    ck_assert(flow_world_run_to_answers(&world, client, 21));
    ck_assert_uint_eq(world.backend.request_count, 3);
}
END_TEST

START_TEST(a_write_ends_what_was_kept_when_it_is_sent)
{
    struct flow_client *reader, *writer;

    write_delay_us = 100000;
    flow_world_start(&world);
    reader = flow_world_client(&world);
    writer = flow_world_client(&world);
    ck_assert(!is_hit(reader, "{}", ""));
    ck_assert(is_hit(reader, "{}", ""));
    flow_world_request_record(writer, "upsert", 1);
    flow_world_run_ms(&world, 5);
    ck_assert(!is_hit(reader, "{}", "")); /* while it is in flight nothing is kept, either */
    ck_assert(!says(reader, "fwd=miss; stored"));
    ck_assert(!is_hit(reader, "{}", ""));
    ck_assert(flow_world_run_to_answers(&world, writer, 1));
    ck_assert(!is_hit(reader, "{}", ""));
    ck_assert(is_hit(reader, "{}", ""));
}
END_TEST

/* Released servers look at the UUID alone. */
START_TEST(a_write_by_way_of_another_tenant_ends_it_too)
{
    struct flow_client *client;
    const char         *body = "{\"ids\":[\"w1\"],\"embeddings\":[[1]]}";

    flow_world_start(&world);
    client = flow_world_client(&world);
    ck_assert(!is_hit(client, "{}", ""));
    ck_assert(is_hit(client, "{}", ""));
    flow_client_printf(client,
                       "POST /api/v2/tenants/x/databases/y%supsert HTTP/1.1\r\nHost: chroma\r\n"
                       "Content-Length: %zu\r\n\r\n%s",
                       strstr(COLLECTION, "/collections/"), strlen(body), body);
    ck_assert(flow_world_run_to_answers(&world, client, 3));
    ck_assert(!is_hit(client, "{}", ""));
}
END_TEST

START_TEST(an_answer_that_a_write_crossed_is_not_kept)
{
    struct flow_client *reader, *writer;

    read_delay_us = 50000;
    flow_world_start(&world);
    reader = flow_world_client(&world);
    writer = flow_world_client(&world);
    send_read(reader, "{}", "");
    flow_world_run_ms(&world, 5);
    write_record(writer, 1); /* sent and answered while Chroma reads */
    ck_assert(flow_world_run_to_answers(&world, reader, 1));
    ck_assert(!is_hit(reader, "{}", ""));
    ck_assert(is_hit(reader, "{}", ""));
}
END_TEST

START_TEST(a_write_of_unknown_outcome_keeps_the_collection_out)
{
    struct flow_client *reader, *writer;

    world.write_options.is_coalescing = false;
    flow_world_start(&world);
    reader = flow_world_client(&world);
    writer = flow_world_client(&world);
    ck_assert(!is_hit(reader, "{}", ""));
    write_delay_us = UINT64_C(500) * 1000000; /* beyond deadline.write */
    flow_world_request_record(writer, "upsert", 1);
    ck_assert(flow_world_run_to_answers(&world, writer, 1) ||
              flow_world_run_to_answers(&world, writer, 1) ||
              flow_world_run_to_answers(&world, writer, 1));
    ck_assert_uint_eq(writer->answers[0].status, 504);
    write_delay_us = 1000;
    reader = flow_world_client(&world); /* the other one was idle for too long */
    ck_assert(!is_hit(reader, "{}", ""));
    ck_assert(!is_hit(reader, "{}", ""));
}
END_TEST

/* Who stands before Chroma answers so, and Chroma may work on; a 500 is its own last word. */
START_TEST(a_write_answered_for_chroma_keeps_the_collection_out)
{
    static const unsigned statuses[] = {500, 408, 429, 502, 503, 504};
    struct flow_client   *reader, *writer;

    world.write_options.is_coalescing = false;
    flow_world_start(&world);
    reader = flow_world_client(&world);
    writer = flow_world_client(&world);
    ck_assert(!is_hit(reader, "{}", ""));
    ck_assert(is_hit(reader, "{}", ""));
    write_status = statuses[_i];
    flow_world_request_record(writer, "upsert", 1);
    ck_assert(flow_world_run_to_answers(&world, writer, 1));
    ck_assert_uint_eq(writer->answers[0].status, statuses[_i]);
    ck_assert(!is_hit(reader, "{}", ""));
    ck_assert_int_eq(is_hit(reader, "{}", ""), _i == 0);
}
END_TEST

/* ---- Records that are asked for by id -------------------------------------------------------- */

static const char nine[] = "{\"ids\":[\"w9\"]}", one[] = "{\"ids\":[\"w1\",\"w1\"]}";

/* A single node of a family that leaves other records alone, past the first seconds, and nothing is
 * left that the next write would bring. */
static struct flow_client *begin_by_id(enum chroma_family family, uint64_t batch_records_max)
{
    struct flow_client *client;

    flow_world_start(&world);
    client = flow_world_client(&world);
    proxy_set_backend(world.proxy, &(struct proxy_backend){.family = family,
                                                           .batch_records_max = batch_records_max,
                                                           .incarnation = 7});
    flow_world_run_ms(&world, 11000);
    ck_assert(!is_hit(client, nine, ""));
    write_record(client, 1);
    ck_assert(!is_hit(client, nine, ""));
    ck_assert(is_hit(client, nine, ""));
    return client;
}

START_TEST(records_outlive_writes_of_other_ids)
{
    struct flow_client *client = begin_by_id(CHROMA_FAMILY_RUST, 5461);

    ck_assert(!is_hit(client, "{}", ""));
    ck_assert(!is_hit(client, "{\"ids\":[\"w9\"],\"where\":{\"n\":1}}", ""));
    for (unsigned i = 0; i < 3; i++) {
        ck_assert(!is_hit(client, one, ""));
        ck_assert(is_hit(client, one, ""));
        write_record(client, 1);
        ck_assert(is_hit(client, nine, ""));
    }
    ck_assert(!is_hit(client, "{}", ""));
    ck_assert(!is_hit(client, "{\"ids\":[\"w9\"],\"where\":{\"n\":1}}", ""));
    write_record(client, 9);
    ck_assert(!is_hit(client, nine, ""));
    ck_assert(!is_hit(client, one, ""));
    ck_assert(is_hit(client, nine, ""));
}
END_TEST

START_TEST(records_are_given_and_not_kept_while_other_ids_are_written)
{
    struct flow_client *client = begin_by_id(CHROMA_FAMILY_RUST, 5461);
    struct flow_client *writer = flow_world_client(&world);

    ck_assert(!is_hit(client, one, ""));
    write_delay_us = 100000;
    flow_world_request_record(writer, "upsert", 1);
    flow_world_run_ms(&world, 5);
    ck_assert(is_hit(client, nine, ""));
    ck_assert(!is_hit(client, one, ""));
    ck_assert(!is_hit(client, "{\"ids\":[\"w8\"]}", ""));
    ck_assert(!says(client, "fwd=miss; stored"));
    ck_assert(flow_world_run_to_answers(&world, writer, 1));
    ck_assert(is_hit(client, nine, ""));
    ck_assert(!is_hit(client, "{\"ids\":[\"w8\"]}", ""));
    ck_assert(!is_hit(client, one, ""));
}
END_TEST

/* A write that is crossed while it is read is one that an answer of other ids does not outlive. */
START_TEST(a_record_that_was_read_while_others_were_written_is_not_kept)
{
    struct flow_client *client = begin_by_id(CHROMA_FAMILY_RUST, 5461);
    struct flow_client *writer = flow_world_client(&world);
    size_t              answers = client->answer_count;

    read_delay_us = 50000;
    send_read(client, "{\"ids\":[\"w8\"]}", "");
    flow_world_run_ms(&world, 5);
    write_record(writer, 1);
    ck_assert(flow_world_run_to_answers(&world, client, answers + 1));
    ck_assert(!is_hit(client, "{\"ids\":[\"w8\"]}", ""));
    ck_assert(is_hit(client, "{\"ids\":[\"w8\"]}", ""));
}
END_TEST

/* Whatever is not certainly applied may be hidden, and may come with the next write. */
START_TEST(what_chroma_does_not_confirm_ends_all_twice)
{
    static const unsigned statuses[] = {500, 400};
    struct flow_client   *client = begin_by_id(CHROMA_FAMILY_RUST, 5461);

    write_status = statuses[_i];
    write_record(client, 1);
    write_status = 200;
    ck_assert(!is_hit(client, nine, ""));
    ck_assert(is_hit(client, nine, ""));
    write_record(client, 1);
    ck_assert(!is_hit(client, nine, ""));
    ck_assert(is_hit(client, nine, ""));
    write_record(client, 1);
    ck_assert(is_hit(client, nine, ""));
}
END_TEST

START_TEST(what_is_not_understood_ends_all)
{
    static const char *const writes[][2] = {
        {"delete", "{\"ids\":[\"w1\"]}"},
        {"update", "{\"ids\":[\"w1\"],\"unknown\":1}"},
        {"upsert", "{\"ids\":[\"w1\"]}"},
    };
    struct flow_client *client = begin_by_id(CHROMA_FAMILY_RUST, 5461);
    size_t              answers = client->answer_count;

    flow_client_printf(client,
                       "POST " COLLECTION "%s HTTP/1.1\r\nHost: chroma\r\n"
                       "Content-Length: %zu\r\n\r\n%s",
                       writes[_i][0], strlen(writes[_i][1]), writes[_i][1]);
    ck_assert(flow_world_run_to_answers(&world, client, answers + 1));
    ck_assert_uint_eq(client->answers[answers].status, 200);
    ck_assert(!is_hit(client, nine, ""));
}
END_TEST

START_TEST(each_write_of_a_call_is_looked_at)
{
    struct flow_client *client = begin_by_id(CHROMA_FAMILY_RUST, 5461), *writers[3];
    size_t              calls = world.backend.request_count;

    write_delay_us = 20000;
    for (unsigned i = 0; i < 3; i++) {
        static const unsigned ids[] = {1, 2, 9};

        writers[i] = flow_world_client(&world);
        flow_world_request_record(writers[i], "upsert", ids[i]);
        flow_world_run_ms(&world, 2);
    }
    for (unsigned i = 0; i < 3; i++)
        ck_assert(flow_world_run_to_answers(&world, writers[i], 1));
    ck_assert_uint_eq(world.backend.request_count, calls + 2);
    ck_assert(!is_hit(client, nine, ""));
}
END_TEST

START_TEST(others_that_may_change_more_are_not_trusted)
{
    struct flow_client *client =
        begin_by_id(_i == 0 ? CHROMA_FAMILY_PYTHON : CHROMA_FAMILY_RUST, _i == 0 ? 41666 : 1000);

    write_record(client, 1);
    ck_assert(!is_hit(client, nine, ""));
    ck_assert(is_hit(client, nine, ""));
}
END_TEST

/* A former process may have left something that the next write brings, and that it yet sends. */
START_TEST(in_the_first_seconds_no_write_shows_all)
{
    struct flow_client *client;

    world.proxy_options.settle_time_us = 10000000;
    flow_world_start(&world);
    client = flow_world_client(&world);
    proxy_set_backend(world.proxy, &(struct proxy_backend){.family = CHROMA_FAMILY_RUST,
                                                           .batch_records_max = 5461,
                                                           .incarnation = 7});
    ck_assert(!is_hit(client, nine, ""));
    for (unsigned i = 0; i < 3; i++) {
        write_record(client, 1);
        ck_assert(!is_hit(client, nine, ""));
    }
    flow_world_run_ms(&world, 11000);
    ck_assert(!is_hit(client, nine, ""));
    write_record(client, 1);
    ck_assert(!is_hit(client, nine, ""));
    write_record(client, 1);
    ck_assert(is_hit(client, nine, ""));
}
END_TEST

START_TEST(another_chroma_ends_what_was_kept)
{
    struct flow_client *client;

    flow_world_start(&world);
    client = flow_world_client(&world);
    ck_assert(!is_hit(client, "{}", ""));
    ck_assert(is_hit(client, "{}", ""));
    proxy_set_backend(world.proxy,
                      &(struct proxy_backend){.family = CHROMA_FAMILY_RUST, .incarnation = 2});
    ck_assert(!is_hit(client, "{}", ""));
    ck_assert(is_hit(client, "{}", ""));
    proxy_set_gateway(world.proxy, false);
    ck_assert(!is_hit(client, "{}", ""));
    ck_assert_ptr_null(strstr(flow_client_head(client, 4), "Cache-Status"));
    ck_assert(!is_hit(client, "{}", ""));
}
END_TEST

START_TEST(only_plain_answers_are_kept)
{
    static const char *const fields[] = {
        "Content-Type: text/plain\r\n",
        "",
        "Content-Type: application/json\r\nSet-Cookie: a=b\r\n",
        "Content-Type: application/json\r\nVary: *\r\n",
        "Content-Type: application/json\r\nVary: Origin, Accept-Language\r\n",
        "Content-Type: application/json\r\nVary: Origin\r\nAccess-Control-Allow-Origin: *\r\n",
        "Content-Type: application/json\r\nAge: 1\r\n",
        "Content-Type: application/json\r\nContent-Encoding: gzip\r\n"};
    struct flow_client *client;

    flow_world_start(&world);
    client = flow_world_client(&world);
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        read_fields = fields[i];
        ck_assert(!is_hit(client, "{}", ""));
        ck_assert(!is_hit(client, "{}", ""));
    }
    read_fields = "Content-Type: application/json\r\n";
    read_status = 404;
    ck_assert(!is_hit(client, "{}", ""));
    ck_assert(!is_hit(client, "{}", ""));
}
END_TEST

/* As Starlette says it each time, whether the request has an Origin or not. */
START_TEST(answers_that_vary_by_origin_are_kept_and_say_so)
{
    struct flow_client *client;

    read_fields = "Content-Type: application/json\r\nvary: Origin\r\n";
    flow_world_start(&world);
    client = flow_world_client(&world);
    ck_assert(!is_hit(client, "{}", ""));
    ck_assert(is_hit(client, "{}", ""));
    ck_assert_ptr_nonnull(strstr(flow_client_head(client, 1), "\r\nvary: Origin\r\n"));
    ck_assert(!is_hit(client, "{}", "Origin: http://a\r\n"));
    ck_assert(is_hit(client, "{}", "Origin: http://a\r\n"));
    ck_assert(!is_hit(client, "{}", "Origin: http://b\r\n"));
    read_fields = "Content-Type: application/json\r\n";
    ck_assert(!is_hit(client, "{\"limit\":1}", ""));
    ck_assert(is_hit(client, "{\"limit\":1}", ""));
    ck_assert_ptr_null(strstr(flow_client_head(client, 6), "vary"));
}
END_TEST

START_TEST(answers_to_credentials_are_trusted_for_a_while)
{
    struct flow_client *client;

    flow_world_start(&world);
    client = flow_world_client(&world);
    ck_assert(!is_hit(client, "{}", "Authorization: a\r\n"));
    flow_world_run_ms(&world, 4000);
    ck_assert(is_hit(client, "{}", "Authorization: a\r\n"));
    flow_world_run_ms(&world, 2000);
    ck_assert(!is_hit(client, "{}", "Authorization: a\r\n"));
}
END_TEST

/* What a former process had sent may be applied before one answer and after another. */
START_TEST(nothing_is_kept_in_the_first_seconds)
{
    bool                is_supervised = _i == 1;
    struct flow_client *client;

    world.proxy_options.settle_time_us = 10000000;
    world.write_options.is_supervised = is_supervised;
    flow_world_start(&world);
    client = flow_world_client(&world);
    ck_assert(!is_hit(client, "{}", ""));
    flow_world_run_ms(&world, 9000);
    ck_assert_int_eq(is_hit(client, "{}", ""), is_supervised);
    flow_world_run_ms(&world, 2000);
    ck_assert_int_eq(is_hit(client, "{}", ""), is_supervised);
    flow_world_run_ms(&world, 40000);
    ck_assert(is_hit(client, "{}", ""));
}
END_TEST

/* Between two checks it may be another Chroma, unless it is ours. */
START_TEST(where_nobody_notices_another_chroma_nothing_is_kept)
{
    bool                is_supervised = _i == 1;
    struct flow_client *client;

    world.proxy_options.is_unwatched = true;
    world.write_options.is_supervised = is_supervised;
    flow_world_start(&world);
    flow_world_run_ms(&world, 11000);
    client = flow_world_client(&world);
    ck_assert(!is_hit(client, "{}", ""));
    ck_assert_int_eq(is_hit(client, "{}", ""), is_supervised);
    world.proxy_options.is_unwatched = false;
    proxy_set_options(world.proxy, &world.proxy_options);
    ck_assert_int_eq(is_hit(client, "{}", ""), is_supervised);
    ck_assert(is_hit(client, "{}", ""));
}
END_TEST

START_TEST(a_sidecar_keeps_answers_only_for_as_long_as_it_may)
{
    struct flow_client  *client;
    struct proxy_options options;

    world.write_options.is_gateway = false;
    flow_world_start(&world);
    client = flow_world_client(&world);
    ck_assert(!is_hit(client, "{}", ""));
    ck_assert(!is_hit(client, "{}", ""));
    ck_assert_ptr_null(strstr(flow_client_head(client, 1), "Cache-Status"));
    options = world.proxy_options;
    options.cache.max_staleness_us = 1000000;
    proxy_set_options(world.proxy, &options);
    ck_assert(!is_hit(client, "{}", ""));
    flow_world_run_ms(&world, 900);
    ck_assert(is_hit(client, "{}", ""));
    flow_world_run_ms(&world, 200);
    ck_assert(!is_hit(client, "{}", ""));
}
END_TEST

static void lose_chroma(void)
{
    fake_net_set_mode(FAKE_NET_REFUSE);
    flow_backend_kill(&world.backend);
    proxy_set_backend(world.proxy,
                      &(struct proxy_backend){.family = CHROMA_FAMILY_RUST, .incarnation = 2});
}

/* What Cache-Status says to who asks, of the answer with this status. */
static const char *ask_for(struct flow_client *client, const char *fields, unsigned status)
{
    static char text[100];
    size_t      answers = client->answer_count;
    const char *at;

    send_read(client, "{}", fields);
    ck_assert(flow_world_run_to_answers(&world, client, answers + 1));
    ck_assert_uint_eq(client->answers[answers].status, status);
    at = strstr(flow_client_head(client, answers), "Cache-Status: chromabouncer; ");
    text[0] = '\0';
    if (at != NULL)
        ck_assert_int_eq(sscanf(at, "Cache-Status: chromabouncer; %99[^\r]", text), 1);
    return text;
}

static const char stale[] = "hit; detail=stale-if-error";

static struct flow_client *begin_sidecar(void)
{
    struct flow_client *client;

    world.write_options.is_gateway = false;
    world.proxy_options.cache.max_staleness_us = 1000000;
    world.proxy_options.cache.stale_if_error_us = 60000000;
    flow_world_start(&world);
    flow_world_run_ms(&world, 11000); /* the first seconds are over */
    client = flow_world_client(&world);
    ck_assert_str_eq(ask_for(client, "", 200), "fwd=miss; stored");
    ck_assert_str_eq(ask_for(client, "X-Chroma-Token: a\r\n", 200), "fwd=miss; stored");
    return client;
}

START_TEST(while_chroma_is_down_a_sidecar_may_answer_with_what_is_old)
{
    struct flow_client *client = begin_sidecar();

    flow_world_run_ms(&world, 1500);
    ck_assert_str_eq(ask_for(client, "", 200), "fwd=miss; stored"); /* it is not down */
    flow_world_run_ms(&world, 500);
    lose_chroma();
    ask_for(client, "", 503); /* finds out */
    ck_assert_str_eq(ask_for(client, "", 200), stale);
    flow_world_run_ms(&world, 20000);
    ck_assert_str_eq(ask_for(client, "", 200), stale);
    ck_assert_ptr_nonnull(
        strstr(flow_client_head(client, client->answer_count - 1), "\r\nAge: 20\r\n"));
    ask_for(client, "Cache-Control: max-age=5\r\n", 503);
    ask_for(client, "Cache-Control: no-cache\r\n", 503);
    ask_for(client, "X-Chroma-Token: a\r\n", 503); /* it was trusted for five seconds */
    flow_world_run_ms(&world, 41000);
    ask_for(client, "", 503);

    fake_net_set_mode(FAKE_NET_ACCEPT);
    proxy_set_backend(world.proxy,
                      &(struct proxy_backend){.family = CHROMA_FAMILY_RUST, .incarnation = 3});
    ck_assert_str_eq(ask_for(client, "", 200), "fwd=miss; stored");
}
END_TEST

START_TEST(a_chroma_that_hangs_is_down)
{
    struct flow_client *client = begin_sidecar(), *first = flow_world_client(&world);

    flow_world_run_ms(&world, 2000);
    read_delay_us = 40000000;
    send_read(first, "{}", "");
    flow_world_run_ms(&world, 9000);
    ck_assert_uint_eq(first->answer_count, 0);
    flow_world_run_ms(&world, 2000);
    ck_assert_str_eq(ask_for(client, "", 200), stale);
    ck_assert_str_eq(ask_for(client, "", 200), stale);
    ck_assert_uint_eq(first->answer_count, 0);
    read_delay_us = 1000;
    ck_assert(flow_world_run_to_answers(&world, first, 1));
    flow_world_expect(first, 200);
    flow_world_run_ms(&world, 2000);
    ck_assert_str_eq(ask_for(client, "", 200), "fwd=miss; stored");
}
END_TEST

START_TEST(in_role_gateway_nothing_old_is_given)
{
    struct flow_client *client = begin_sidecar();

    lose_chroma();
    ask_for(client, "", 503);
    ck_assert_str_eq(ask_for(client, "", 200), stale);
    proxy_set_gateway(world.proxy, true);
    ask_for(client, "", 503);
}
END_TEST

START_TEST(a_write_that_was_cut_off_ends_what_is_old)
{
    struct flow_client *client = begin_sidecar(), *writer = flow_world_client(&world);

    write_delay_us = 60000000;
    flow_world_request_record(writer, "upsert", 1);
    flow_world_run_ms(&world, 10);
    lose_chroma();
    ask_for(client, "", 503);
    ask_for(client, "", 503);
}
END_TEST

START_TEST(what_is_old_is_not_given_unless_it_is_wanted)
{
    struct flow_client *client = begin_sidecar();

    world.proxy_options.cache.stale_if_error_us = 0;
    proxy_set_options(world.proxy, &world.proxy_options);
    lose_chroma();
    ask_for(client, "", 503);
    ask_for(client, "", 503);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("flow_cache");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, the_second_time_chroma_is_not_asked);
    tcase_add_test(tcase, the_age_that_a_client_takes_is_heeded);
    tcase_add_test(tcase, long_bodies_mean_what_they_meant);
    tcase_add_test(tcase, pipelined_hits_are_answered_in_order);
    tcase_add_test(tcase, a_write_ends_what_was_kept_when_it_is_sent);
    tcase_add_test(tcase, a_write_by_way_of_another_tenant_ends_it_too);
    tcase_add_test(tcase, an_answer_that_a_write_crossed_is_not_kept);
    tcase_add_test(tcase, a_write_of_unknown_outcome_keeps_the_collection_out);
    tcase_add_loop_test(tcase, a_write_answered_for_chroma_keeps_the_collection_out, 0, 6);
    tcase_add_test(tcase, records_outlive_writes_of_other_ids);
    tcase_add_test(tcase, records_are_given_and_not_kept_while_other_ids_are_written);
    tcase_add_test(tcase, a_record_that_was_read_while_others_were_written_is_not_kept);
    tcase_add_loop_test(tcase, what_chroma_does_not_confirm_ends_all_twice, 0, 2);
    tcase_add_loop_test(tcase, what_is_not_understood_ends_all, 0, 3);
    tcase_add_test(tcase, each_write_of_a_call_is_looked_at);
    tcase_add_loop_test(tcase, others_that_may_change_more_are_not_trusted, 0, 2);
    tcase_add_test(tcase, in_the_first_seconds_no_write_shows_all);
    tcase_add_test(tcase, another_chroma_ends_what_was_kept);
    tcase_add_test(tcase, only_plain_answers_are_kept);
    tcase_add_test(tcase, answers_that_vary_by_origin_are_kept_and_say_so);
    tcase_add_test(tcase, answers_to_credentials_are_trusted_for_a_while);
    tcase_add_loop_test(tcase, nothing_is_kept_in_the_first_seconds, 0, 2);
    tcase_add_loop_test(tcase, where_nobody_notices_another_chroma_nothing_is_kept, 0, 2);
    tcase_add_test(tcase, a_sidecar_keeps_answers_only_for_as_long_as_it_may);
    tcase_add_test(tcase, while_chroma_is_down_a_sidecar_may_answer_with_what_is_old);
    tcase_add_test(tcase, a_chroma_that_hangs_is_down);
    tcase_add_test(tcase, in_role_gateway_nothing_old_is_given);
    tcase_add_test(tcase, a_write_that_was_cut_off_ends_what_is_old);
    tcase_add_test(tcase, what_is_old_is_not_given_unless_it_is_wanted);
    return check_main("flow_cache", tcase);
}
