/* Deletions of what is guarded: refused unless confirmed, counted in their place, and what cannot
 * be counted does not go. The backend has one collection, "docs" or another name. */
#include <stdio.h>
#include <string.h>

#include "flow/flow_world.h"
#include "lanes/guard.h"
#include "support/check_main.h"

#define UUID "11111111-2222-3333-4444-555555555555"
#define V2   "/api/v2/tenants/t/databases/d"
#define DOCS V2 "/collections/" UUID

#define DESCRIPTION(uuid, name)                                                                    \
    "{\"id\":\"" uuid "\",\"name\":\"" name                                                        \
    "\",\"tenant\":\"t\",\"database\":\"d\",\"metadata\":null,\"dimension\":null}"

enum { second_us = 1000000, asked_max = 64 };

static struct flow_world world;

/* The backend. */
static struct {
    const char *description;                /* NULL: it has no such collection */
    const char *list;                       /* of collections; NULL: that one */
    bool        has_more;                   /* records that a filter finds than may go */
    unsigned    by_id_status, count_status; /* 0: 200 */
    const char *count_body;                 /* NULL: as has_more says */
    unsigned    faults;                     /* so many questions are reset */
    uint64_t    question_us, deletion_us;   /* that they take */
    char        asked[asked_max][160];      /* request lines */
    unsigned    count;
    char        count_question[400]; /* its body */
    char        heads[2000];         /* of the last request */
} chroma;

static const char *asked(unsigned index)
{
    ck_assert_uint_lt(index, chroma.count);
    return chroma.asked[index];
}

static void plan(struct flow_backend *backend, unsigned id, struct flow_plan *ret_plan, void *ctx)
{
    const char *head = flow_backend_last_head(backend);
    bool is_by_id = strstr(head, "/by-id/") != NULL, is_list = strstr(head, "?limit=") != NULL;
    bool is_count = strstr(head, "/get HTTP") != NULL;

    (void)id;
    (void)ctx;
    ck_assert_uint_lt(chroma.count, asked_max);
    snprintf(chroma.asked[chroma.count++], sizeof chroma.asked[0], "%.*s", (int)strcspn(head, "\r"),
             head);
    snprintf(chroma.heads, sizeof chroma.heads, "%s", head);
    ret_plan->body = "{}";
    ret_plan->delay_us = chroma.deletion_us;
    if (!is_by_id && !is_list && !is_count)
        return;
    ret_plan->delay_us = chroma.question_us;
    if (chroma.faults > 0) {
        chroma.faults--;
        ret_plan->fault = FLOW_FAULT_RESET_BEFORE;
    }
    if (is_by_id) {
        ret_plan->status = chroma.description == NULL ? 404 : chroma.by_id_status;
        ret_plan->body = chroma.description == NULL ? "{}" : chroma.description;
    } else if (is_list) {
        ret_plan->body = chroma.list != NULL ? chroma.list : "[]";
    } else {
        ret_plan->status = chroma.count_status;
        ret_plan->body = chroma.count_body != NULL ? chroma.count_body
                         : chroma.has_more         ? "{\"ids\":[\"x\"],\"include\":[]}"
                                                   : "{\"ids\":[],\"include\":[]}";
    }
}

static void begin(void)
{
    flow_world_begin(&world, 1);
    memset(&chroma, 0, sizeof chroma);
    chroma.description = DESCRIPTION(UUID, "docs");
    world.backend.on_plan = plan;
}

static void end(void)
{
    flow_world_end(&world);
}

static void start(const char *collections, uint64_t records_max)
{
    const struct guard_options options = {.collections = collections, .records_max = records_max};

    flow_world_start(&world);
    ck_assert_int_eq(guard_set(world.proxy, &options), STATUS_OK);
}

static struct flow_client *send_to(const char *line, const char *fields, const char *body)
{
    struct flow_client *client = flow_world_client(&world);

    client->keeps_bodies = true;
    flow_client_printf(client,
                       "%s HTTP/1.1\r\nHost: chroma\r\nAuthorization: Bearer x\r\n%s"
                       "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                       line, fields, strlen(body), body);
    return client;
}

static struct flow_client *ask(const char *line, const char *fields, const char *body)
{
    struct flow_client *client = send_to(line, fields, body);

    ck_assert(flow_world_run_to_answers(&world, client, 1));
    return client;
}

static uint64_t refused(enum guard_reason reason)
{
    struct guard_state state;
    uint64_t           sum = 0;

    guard_read(world.proxy, &state);
    for (size_t i = 0; i < GUARD_REASONS; i++)
        sum += state.refused[i];
    ck_assert_uint_eq(sum, state.refused[reason]);
    return sum;
}

/* 403 in Chroma's shape, which says what to do, and that nothing was done. */
static void expect_refused(struct flow_client *client, const char *name, enum guard_reason reason)
{
    char confirm[200], opening[200];

    flow_world_expect(client, 403);
    snprintf(confirm, sizeof confirm, "'X-Chromabouncer-Confirm: %s'", name);
    snprintf(opening, sizeof opening, "ctl guard open %s%s 60s",
             reason == GUARD_REASON_COLLECTION && strcmp(name, "reset") == 0 ? "t/d/" : "", name);
    ck_assert_ptr_eq(strstr(flow_client_body(client, 0), "{\"error\":\"AuthError\",\"message\":\""),
                     flow_client_body(client, 0));
    ck_assert_msg(strstr(flow_client_body(client, 0), confirm) != NULL, "%s",
                  flow_client_body(client, 0));
    ck_assert_ptr_nonnull(strstr(flow_client_body(client, 0), opening));
    ck_assert_ptr_nonnull(strstr(flow_client_head(client, 0), "X-Chromabouncer-Executed: no\r\n"));
    ck_assert_uint_eq(refused(reason), 1);
}

/* ---- What a request says by itself ---------------------------------------------------------- */

static const struct {
    const char       *line, *body, *name;
    enum guard_reason reason;
} plain[] = {
    {"POST /api/v2/reset", "", "reset", GUARD_REASON_RESET},
    {"POST /api/v1/reset", "", "reset", GUARD_REASON_RESET},
    {"DELETE " V2, "", "t/d", GUARD_REASON_DATABASE},
    {"DELETE " V2 "/collections/docs", "", "docs", GUARD_REASON_COLLECTION},
    {"DELETE " V2 "/collections/d%6Fcs?x=1", "", "docs", GUARD_REASON_COLLECTION},
    {"DELETE " V2 "/collections/reset", "", "reset", GUARD_REASON_COLLECTION},
    {"DELETE " V2 "/collections/docs%2F", "", "unknown", GUARD_REASON_UNKNOWN_ROUTE},
    {"DELETE /api/v1/collections/docs?tenant=t", "", "docs", GUARD_REASON_COLLECTION},
    {"DELETE /api/v2/tenants/t", "", "unknown", GUARD_REASON_UNKNOWN_ROUTE},
    {"POST /api/v2/%72eset", "", "unknown", GUARD_REASON_UNKNOWN_ROUTE},
    {"POST /api/v2//reset", "", "unknown", GUARD_REASON_UNKNOWN_ROUTE},
    {"POST " V2 "/collections/no-uuid/delete", "{\"where\":{}}", "unknown",
     GUARD_REASON_UNKNOWN_ROUTE},
    {"POST " DOCS "/attached_functions/f/detach", "{\"delete_output\":true}", "t/d",
     GUARD_REASON_FUNCTION},
};
enum { plain_count = sizeof plain / sizeof plain[0] };

START_TEST(what_a_request_says_by_itself_is_refused)
{
    start("docs,reset", 10);
    expect_refused(ask(plain[_i].line, "", plain[_i].body), plain[_i].name, plain[_i].reason);
    ck_assert_uint_eq(chroma.count, 0);
}
END_TEST

/* In whatever tenant and database the guarded one is. */
START_TEST(what_may_delete_everything_deletes_what_is_elsewhere_too)
{
    start("x/y/docs", 10);
    expect_refused(
        _i == 0 ? ask("POST /api/v2/reset", "", "") : ask("PATCH " V2 "/anything", "", "{}"),
        _i == 0 ? "reset" : "unknown", _i == 0 ? GUARD_REASON_RESET : GUARD_REASON_UNKNOWN_ROUTE);
    flow_world_expect(ask("DELETE " V2, "", ""), 200);
}
END_TEST

START_TEST(a_confirmed_one_passes_and_Chroma_is_not_told)
{
    char fields[100];

    world.write_options.is_coalescing = _i < plain_count;
    start("docs,reset", 10);
    snprintf(fields, sizeof fields, "x-CHROMABOUNCER-confirm: %s\r\n",
             plain[_i % plain_count].name);
    flow_world_expect(ask(plain[_i % plain_count].line, fields, plain[_i % plain_count].body), 200);
    ck_assert_uint_eq(chroma.count, 1);
    ck_assert_ptr_null(strcasestr(chroma.heads, "chromabouncer-confirm"));
    ck_assert_uint_eq(refused(GUARD_REASON_RESET), 0);
}
END_TEST

START_TEST(another_name_or_two_confirm_nothing)
{
    static const char *const fields[] = {
        "X-Chromabouncer-Confirm: other\r\n", "X-Chromabouncer-Confirm:\r\n",
        "X-Chromabouncer-Confirm: docs\r\nX-Chromabouncer-Confirm: docs\r\n"};

    start("docs,reset", 10);
    expect_refused(ask("DELETE " V2 "/collections/docs", fields[_i], ""), "docs",
                   GUARD_REASON_COLLECTION);
}
END_TEST

START_TEST(what_is_not_guarded_passes)
{
    start("docs,t/x/*", 0);
    flow_world_expect(ask("DELETE " V2 "/collections/other", "", ""), 200);
    flow_world_expect(ask("POST " DOCS "/attached_functions/f/detach", "", "{}"), 200);
    flow_world_expect(ask("POST " DOCS "/fork", "", "{\"new_name\":\"x\"}"), 200);
    flow_world_expect(ask("POST " V2 "/collections", "", "{\"name\":\"docs\"}"), 200);
    flow_world_expect(ask("POST " DOCS "/upsert", "", "{\"ids\":[\"a\"],\"embeddings\":[[1]]}"),
                      200);
    ck_assert_uint_eq(chroma.count, 5);
}
END_TEST

/* Off is off: all passes, the field among it, for the next proxy. */
START_TEST(without_patterns_nothing_is_refused)
{
    static const char confirm[] = "X-Chromabouncer-Confirm: docs\r\n";

    if (_i == 0)
        flow_world_start(&world);
    else
        start(_i == 1 ? "" : "docs", 0);
    if (_i == 2)
        ck_assert_int_eq(guard_set(world.proxy, &(struct guard_options){.collections = ""}),
                         STATUS_OK);
    for (size_t i = 0; i < plain_count; i++)
        flow_world_expect(ask(plain[i].line, confirm, plain[i].body), 200);
    flow_world_expect(ask("POST " DOCS "/delete", confirm, "{\"where\":{\"k\":1}}"), 200);
    ck_assert_uint_eq(chroma.count, plain_count + 1);
    ck_assert_ptr_nonnull(strstr(chroma.heads, confirm));
}
END_TEST

/* A read's too, though it says nothing there. */
START_TEST(the_field_of_a_read_goes_no_further)
{
    start("docs", 0);
    flow_world_expect(ask("POST " DOCS "/query", "X-Chromabouncer-Confirm: docs\r\n", "{\"x\":1}"),
                      200);
    ck_assert_ptr_null(strcasestr(chroma.heads, "confirm"));
}
END_TEST

START_TEST(an_opening_lets_pass_until_it_ends)
{
    struct guard_state  state;
    struct flow_client *client;
    struct error        error;

    start("docs", 0);
    ck_assert_int_eq(guard_open(world.proxy, bytes_of("docs"), 2 * second_us, &error), STATUS_OK);
    guard_read(world.proxy, &state);
    ck_assert_uint_eq(state.opening_count, 1);
    flow_world_expect(ask("DELETE " V2 "/collections/docs", "", ""), 200);
    flow_world_expect(ask("POST " DOCS "/delete", "", "{\"ids\":[\"a\"]}"), 200);
    guard_read(world.proxy, &state);
    ck_assert_uint_eq(state.opened, 2);
    if (_i == 0)
        flow_world_run_ms(&world, 2100);
    else
        ck_assert_int_eq(guard_close(world.proxy, bytes_of("docs"), &error), STATUS_OK);
    client = ask("DELETE " V2 "/collections/docs", "", "");
    expect_refused(client, "docs", GUARD_REASON_COLLECTION);
    guard_read(world.proxy, &state);
    ck_assert_uint_eq(state.opening_count, 0);
    ck_assert_int_eq(guard_close(world.proxy, bytes_of("docs"), &error), STATUS_NOT_FOUND);
}
END_TEST

START_TEST(what_guards_nothing_is_not_opened)
{
    struct error error;

    start("", 0);
    ck_assert_int_eq(guard_open(world.proxy, bytes_of("docs"), second_us, &error), STATUS_INVALID);
}
END_TEST

/* ---- Records -------------------------------------------------------------------------------- */

static const char few[] = "{\"ids\":[\"a\",\"b\",\"a\",\"b\",\"a\"],\"where\":null}";
static const char many[] = "{\"ids\":[\"a\",\"b\",\"c\"]}";
static const char filter[] = "{\"where\":{\"k\":1},\"where_document\":{\"$contains\":\"x\"}}";

/* In lanes, and each by itself. */
static void start_records(int index)
{
    world.write_options.is_coalescing = index == 0;
    start("docs", 2);
}

START_TEST(few_ids_pass_and_nobody_is_asked)
{
    start_records(_i);
    flow_world_expect(ask("POST " DOCS "/delete", "", few), 200);
    ck_assert_uint_eq(chroma.count, 1);
    ck_assert_str_eq(asked(0), "POST " DOCS "/delete HTTP/1.1");
}
END_TEST

START_TEST(many_ids_are_refused_once_the_name_is_known)
{
    start_records(_i);
    expect_refused(ask("POST " DOCS "/delete?x=1", "", many), "docs", GUARD_REASON_RECORDS);
    ck_assert_uint_eq(chroma.count, 1);
    ck_assert_str_eq(asked(0), "GET " V2 "/collections/by-id/" UUID " HTTP/1.1");
    ck_assert_ptr_nonnull(strstr(chroma.heads, "Authorization: Bearer x\r\n"));
    ck_assert_ptr_null(strstr(chroma.heads, "Content-"));
}
END_TEST

START_TEST(many_ids_of_another_collection_pass)
{
    chroma.description = DESCRIPTION(UUID, "other");
    start_records(_i % 2);
    flow_world_expect(ask("POST " DOCS "/delete", "", _i < 2 ? many : filter), 200);
    ck_assert_uint_eq(chroma.count, 2);
}
END_TEST

START_TEST(a_filter_is_counted_by_Chroma)
{
    chroma.has_more = _i >= 2;
    start_records(_i % 2);
    if (chroma.has_more)
        expect_refused(ask("POST " DOCS "/delete", "", filter), "docs", GUARD_REASON_RECORDS);
    else
        flow_world_expect(ask("POST " DOCS "/delete", "", filter), 200);
    ck_assert_uint_eq(chroma.count, chroma.has_more ? 2 : 3);
    ck_assert_str_eq(asked(1), "POST " DOCS "/get HTTP/1.1");
}
END_TEST

/* What Chroma is asked has the filter and the client's credentials; and what is sent then is what
 * the client said. */
START_TEST(a_question_has_the_filter)
{
    start_records(0);
    chroma.has_more = true;
    ask("POST " DOCS "/delete", "", "{\"ids\":[\"a\",\"b\",\"c\"],\"where\":{\"k\":1}}");
    ck_assert(bytes_equal(byte_buffer_bytes(&world.backend.last_body),
                          bytes_of("{\"limit\":1,\"offset\":2,\"include\":[],\"ids\":[\"a\",\"b\","
                                   "\"c\"],\"where\":{\"k\":1}}")));
    ck_assert_ptr_nonnull(strstr(chroma.heads, "Authorization: Bearer x\r\n"));
    ck_assert_ptr_nonnull(strstr(chroma.heads, "Content-Type: application/json\r\n"));
    chroma.has_more = false;
    flow_world_expect(ask("POST " DOCS "/delete", "", filter), 200);
    ck_assert(bytes_equal(byte_buffer_bytes(&world.backend.last_body), bytes_of(filter)));
}
END_TEST

START_TEST(a_limit_counts_for_nothing)
{
    struct flow_client *client;

    chroma.has_more = true;
    start_records(0);
    client = ask("POST " DOCS "/delete", "", "{\"where\":{\"k\":1},\"limit\":1}");
    expect_refused(client, "docs", GUARD_REASON_RECORDS);
    ck_assert_ptr_nonnull(strstr(flow_client_body(client, 0), "its limit counts for nothing"));
}
END_TEST

START_TEST(a_confirmed_deletion_is_not_counted)
{
    chroma.has_more = true;
    start_records(_i % 2);
    flow_world_expect(
        ask("POST " DOCS "/delete", "X-Chromabouncer-Confirm: docs\r\n", _i < 2 ? filter : many),
        200);
    ck_assert_uint_eq(chroma.count, 2);
    ck_assert_ptr_null(strcasestr(chroma.heads, "confirm"));
}
END_TEST

START_TEST(a_body_that_is_not_understood_is_refused)
{
    static const char *const bodies[] = {"", "{\"ids\":[\"a\"],\"ids\":null}", "{\"ids\":[1]}"};

    start_records(_i % 2);
    expect_refused(ask("POST " DOCS "/delete", "", bodies[_i / 2]), "docs", GUARD_REASON_UNCOUNTED);
}
END_TEST

static const struct {
    unsigned    status;
    const char *body;
} odd_answers[] = {{500, "{}"},      {200, "{}"},        {200, "{\"ids\":null}"},
                   {200, "no JSON"}, {200, "[\"ids\"]"}, {301, "{\"ids\":[]}"},
                   {408, "{}"}};

START_TEST(an_answer_that_is_not_understood_counts_as_too_many)
{
    chroma.count_status = odd_answers[_i / 2].status;
    chroma.count_body = odd_answers[_i / 2].body;
    start_records(_i % 2);
    expect_refused(ask("POST " DOCS "/delete", "", filter), "docs", GUARD_REASON_UNCOUNTED);
    ck_assert_uint_eq(chroma.count, 2);
}
END_TEST

/* An invalid filter, a collection that is gone: Chroma says it in its own words. */
START_TEST(what_Chroma_says_to_the_question_is_the_answer)
{
    struct flow_client *client;

    chroma.count_status = _i < 2 ? 404 : 400;
    chroma.count_body = "{\"error\":\"NotFoundError\",\"message\":\"gone\"}";
    start_records(_i % 2);
    client = ask("POST " DOCS "/delete", "", filter);
    flow_world_expect(client, chroma.count_status);
    ck_assert_str_eq(flow_client_body(client, 0), chroma.count_body);
    ck_assert_uint_eq(chroma.count, 2);
    ck_assert_uint_eq(refused(GUARD_REASON_RESET), 0);
}
END_TEST

/* ---- In its place --------------------------------------------------------------------------- */

START_TEST(a_filter_is_counted_after_what_came_before_and_nothing_overtakes)
{
    struct flow_client *before, *client, *after;

    chroma.deletion_us = 50000;
    chroma.question_us = 50000;
    start_records(0);
    before = flow_world_client(&world);
    flow_world_request_record(before, "upsert", 1);
    flow_world_run_ms(&world, 10);
    client = send_to("POST " DOCS "/delete", "", filter);
    flow_world_run_ms(&world, 10);
    after = flow_world_client(&world);
    flow_world_request_record(after, "upsert", 2);
    flow_world_run_ms(&world, 20);
    ck_assert_uint_eq(chroma.count, 1); /* the question waits for the upsert's answer */
    ck_assert(flow_world_run_to_answers(&world, after, 1));
    flow_world_expect(before, 200);
    flow_world_expect(client, 200);
    ck_assert_uint_eq(chroma.count, 5);
    ck_assert_ptr_nonnull(strstr(asked(0), "/upsert "));
    ck_assert_ptr_nonnull(strstr(asked(1), "/by-id/"));
    ck_assert_ptr_nonnull(strstr(asked(2), "/get "));
    ck_assert_ptr_nonnull(strstr(asked(3), "/delete "));
    ck_assert_ptr_nonnull(strstr(asked(4), "/upsert "));
}
END_TEST

/* A refused one lets the next go. */
START_TEST(a_refusal_ends_the_wait_of_those_behind)
{
    struct flow_client *client, *after;

    start_records(0);
    chroma.question_us = 10000;
    chroma.has_more = true;
    client = send_to("POST " DOCS "/delete", "", _i == 0 ? filter : many);
    flow_world_run_ms(&world, 1);
    after = flow_world_client(&world);
    flow_world_request_record(after, "upsert", 2);
    ck_assert(flow_world_run_to_answers(&world, after, 1));
    flow_world_expect(after, 200);
    expect_refused(client, "docs", GUARD_REASON_RECORDS);
}
END_TEST

START_TEST(a_question_that_breaks_is_asked_again)
{
    chroma.faults = 3;
    start_records(_i);
    flow_world_expect(ask("POST " DOCS "/delete", "", filter), 200);
    ck_assert_uint_eq(chroma.faults, 0);
    ck_assert_ptr_nonnull(strstr(asked(chroma.count - 2), "/get "));
    ck_assert_ptr_nonnull(strstr(asked(chroma.count - 1), "/delete "));
}
END_TEST

START_TEST(a_question_that_Chroma_has_no_time_for_is_asked_again)
{
    struct flow_client *client;

    chroma.count_status = _i < 2 ? 429 : 503;
    start_records(_i % 2);
    client = send_to("POST " DOCS "/delete", "", filter);
    flow_world_run_ms(&world, 2000);
    ck_assert_uint_eq(client->answer_count, 0);
    chroma.count_status = 0;
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    flow_world_expect(client, 200);
}
END_TEST

/* Then nothing was deleted, and nothing is afterwards. */
START_TEST(a_question_without_an_answer_ends_with_the_deadline)
{
    struct flow_client *client;

    world.proxy_options.deadline_write_us = 2 * second_us;
    chroma.question_us = 60 * (uint64_t)second_us;
    start_records(_i);
    client = ask("POST " DOCS "/delete", "", filter);
    flow_world_expect(client, 504);
    flow_world_run_ms(&world, 70000);
    ck_assert_uint_eq(chroma.count, 1);
    client = flow_world_client(&world);
    flow_world_request_record(client, "upsert", 2);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    flow_world_expect(client, 200);
}
END_TEST

/* The question may outlive a Chroma that we ran, in the queue: the deletion must not be taken for
 * one that the dead one had. */
START_TEST(a_Chroma_that_ends_meanwhile_is_asked_anew)
{
    struct flow_client *client;

    chroma.question_us = 50000;
    world.write_options.is_supervised = true;
    start_records(_i);
    client = send_to("POST " DOCS "/delete", "", filter);
    flow_world_run_ms(&world, 75);
    ck_assert_uint_eq(chroma.count, 2);
    proxy_backend_ended(world.proxy);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    flow_world_expect(client, 200);
    ck_assert_uint_eq(chroma.count, 5);
}
END_TEST

/* A complete write is sent. */
START_TEST(the_client_may_leave_while_it_is_asked)
{
    chroma.question_us = 50000;
    chroma.has_more = _i >= 2;
    start_records(_i % 2);
    flow_client_close(send_to("POST " DOCS "/delete", "", filter));
    flow_world_run_ms(&world, 500);
    ck_assert_uint_eq(chroma.count, chroma.has_more ? 2 : 3);
}
END_TEST

START_TEST(a_proxy_may_end_while_it_asks)
{
    chroma.question_us = second_us;
    start_records(_i % 2);
    send_to("POST " DOCS "/delete", "", filter);
    flow_world_run_ms(&world, _i < 2 ? 100 : 1100);
    ck_assert_uint_eq(chroma.count, _i < 2 ? 1 : 2);
}
END_TEST

/* ---- The name ------------------------------------------------------------------------------- */

START_TEST(a_gateway_knows_the_name_and_a_sidecar_asks_each_time)
{
    world.write_options.is_gateway = _i == 0;
    start_records(0);
    ask("GET " V2 "/collections/by-id/" UUID, "", "");
    chroma.has_more = true;
    expect_refused(ask("POST " DOCS "/delete", "", filter), "docs", GUARD_REASON_RECORDS);
    ck_assert_uint_eq(chroma.count, _i == 0 ? 2 : 3);
}
END_TEST

/* What the guard itself was told is known from then on; a change of the name is not missed. */
START_TEST(a_gateway_asks_for_the_name_once)
{
    world.write_options.is_gateway = true;
    chroma.description = DESCRIPTION(UUID, "other");
    start_records(0);
    flow_world_expect(ask("POST " DOCS "/delete", "", filter), 200);
    flow_world_expect(ask("POST " DOCS "/delete", "", filter), 200);
    ck_assert_uint_eq(chroma.count, 3);
    flow_world_expect(ask("PUT " DOCS, "", "{\"new_name\":\"docs\"}"), 200);
    chroma.description = DESCRIPTION(UUID, "docs");
    chroma.has_more = true;
    expect_refused(ask("POST " DOCS "/delete", "", filter), "docs", GUARD_REASON_RECORDS);
    ck_assert_uint_eq(chroma.count, 6);
}
END_TEST

enum lost_name { NOT_FOUND, OF_ANOTHER, NO_JSON, NO_NAME, LIST_OF_OTHERS, ODD_LIST, LOST_NAMES };

/* Then it counts as guarded, and its UUID confirms it. */
START_TEST(a_name_that_is_not_found_out_counts_as_guarded)
{
    static const char   other[] = DESCRIPTION("11111111-2222-3333-4444-666666666666", "other");
    struct flow_client *client;

    chroma.description = _i == OF_ANOTHER ? other
                         : _i == NO_JSON  ? "?"
                         : _i == NO_NAME  ? "{}"
                                          : NULL;
    chroma.list = _i == ODD_LIST ? "[{}]"
                  : _i == LIST_OF_OTHERS
                      ? "[" DESCRIPTION("11111111-2222-3333-4444-666666666666", "other") "]"
                      : NULL;
    chroma.has_more = true;
    start_records(0);
    client = ask("POST " DOCS "/delete", "", filter);
    expect_refused(client, UUID, GUARD_REASON_RECORDS);
    ck_assert_ptr_nonnull(strstr(flow_client_body(client, 0), "could not be found out"));
    client = ask("POST " DOCS "/delete", "X-Chromabouncer-Confirm: " UUID "\r\n", filter);
    flow_world_expect(client, 200);
}
END_TEST

/* Where there is no route by the UUID, the list of the database is read, page by page. */
START_TEST(an_old_server_is_asked_for_its_list)
{
    static char page[64 * 200];
    size_t      used = 0;

    world.family = _i == 0 ? CHROMA_FAMILY_PYTHON : CHROMA_FAMILY_RUST;
    chroma.by_id_status = 405;
    for (int i = 0; i < 64; i++)
        used += (size_t)snprintf(page + used, sizeof page - used,
                                 "%s{\"id\":\"11111111-2222-3333-4444-6666666666%02d\","
                                 "\"name\":\"o\"}",
                                 i == 0 ? "[" : ",", i);
    snprintf(page + used, sizeof page - used, "]");
    chroma.list = page;
    chroma.question_us = 10000;
    start_records(0);
    send_to("POST " DOCS "/delete", "", many);
    ck_assert(flow_world_run_to_requests(&world, _i == 0 ? 2 : 3));
    ck_assert_str_eq(asked(chroma.count - 2), "GET " V2 "/collections?limit=64&offset=0 HTTP/1.1");
    ck_assert_str_eq(asked(chroma.count - 1), "GET " V2 "/collections?limit=64&offset=64 HTTP/1.1");
    flow_world_run_ms(&world, 5);
    chroma.list = "[" DESCRIPTION(UUID, "other") "]";
    flow_world_run_ms(&world, 100);
    ck_assert_ptr_nonnull(strstr(asked(chroma.count - 1), "/delete "));
}
END_TEST

/* What broke within the list is asked from its beginning. */
START_TEST(a_list_that_breaks_is_read_anew)
{
    static char page[64 * 200];
    size_t      used = 0;

    world.family = CHROMA_FAMILY_PYTHON;
    for (int i = 0; i < 64; i++)
        used += (size_t)snprintf(page + used, sizeof page - used,
                                 "%s{\"id\":\"11111111-2222-3333-4444-6666666666%02d\","
                                 "\"name\":\"o\"}",
                                 i == 0 ? "[" : ",", i);
    snprintf(page + used, sizeof page - used, "]");
    chroma.list = page;
    chroma.question_us = 10000;
    start_records(0);
    send_to("POST " DOCS "/delete", "", many);
    ck_assert(flow_world_run_to_requests(&world, 1));
    chroma.faults = 3;
    ck_assert(flow_world_run_to_requests(&world, 2));
    chroma.list = "[" DESCRIPTION(UUID, "other") "]";
    flow_world_run_ms(&world, 5000);
    ck_assert_ptr_nonnull(strstr(asked(chroma.count - 1), "/delete "));
    ck_assert_str_eq(asked(chroma.count - 2), "GET " V2 "/collections?limit=64&offset=0 HTTP/1.1");
}
END_TEST

/* ---- Names that change, and routes that are not known --------------------------------------- */

START_TEST(a_new_name_must_be_guarded_too)
{
    static const struct {
        const char *body;
        unsigned    asked;
        bool        passes;
    } changes[] = {{"{\"new_name\":\"other\"}", 1, false},
                   {"{\"new_name\":\"docs2\"}", 2, true},
                   {"{\"new_name\":\"docs\"}", 2, true},
                   {"{\"new_metadata\":{\"a\":1}}", 1, true},
                   {"{\"new_name\":null}", 1, true},
                   {"{\"new_name\":\"docs2\",\"new_name\":\"x\"}", 1, false},
                   {"", 1, false}};

    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        if (i > 0) {
            end();
            begin();
        }
        world.write_options.is_coalescing = _i == 0;
        start("docs*", 2);
        if (changes[i].passes)
            flow_world_expect(ask("PUT " DOCS, "", changes[i].body), 200);
        else
            expect_refused(ask("PUT " DOCS, "", changes[i].body), "docs", GUARD_REASON_RENAME);
        ck_assert_uint_eq(chroma.count, changes[i].asked);
    }
}
END_TEST

/* Whatever it would be called. */
START_TEST(what_has_no_known_name_is_not_renamed)
{
    chroma.description = NULL;
    start("docs*", 2);
    expect_refused(ask("PUT " DOCS, "", "{\"new_name\":\"docs2\"}"), UUID, GUARD_REASON_RENAME);
}
END_TEST

START_TEST(an_unknown_route_of_a_guarded_collection_is_refused)
{
    chroma.description = _i < 2 ? DESCRIPTION(UUID, "docs") : DESCRIPTION(UUID, "other");
    start_records(_i % 2);
    if (_i < 2)
        expect_refused(ask("POST " DOCS "/truncate", "", "{}"), "docs", GUARD_REASON_UNKNOWN_ROUTE);
    else
        flow_world_expect(ask("POST " DOCS "/truncate", "", "{}"), 200);
}
END_TEST

START_TEST(a_commit_is_counted_too)
{
    static const char *const bodies[] = {
        "{\"operations\":[{\"operation\":\"delete\",\"payload\":{\"ids\":[\"a\",\"b\"]}}]}",
        "{\"operations\":[{\"operation\":\"delete\",\"payload\":{\"ids\":[\"a\",\"b\"]}},"
        "{\"operation\":\"delete\",\"payload\":{\"ids\":[\"c\"]}}]}",
        "{\"operations\":[{\"operation\":\"delete\",\"payload\":{\"where\":{\"k\":1}}}]}"};
    struct flow_client *client;

    start_records(0);
    client = ask("POST " DOCS "/conditional/commit", "", bodies[_i]);
    if (_i == 0)
        flow_world_expect(client, 200);
    else
        expect_refused(client, "docs", _i == 1 ? GUARD_REASON_RECORDS : GUARD_REASON_UNCOUNTED);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("flow_guard");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_loop_test(tcase, what_a_request_says_by_itself_is_refused, 0, plain_count);
    tcase_add_loop_test(tcase, what_may_delete_everything_deletes_what_is_elsewhere_too, 0, 2);
    tcase_add_loop_test(tcase, a_confirmed_one_passes_and_Chroma_is_not_told, 0, 2 * plain_count);
    tcase_add_loop_test(tcase, another_name_or_two_confirm_nothing, 0, 3);
    tcase_add_test(tcase, what_is_not_guarded_passes);
    tcase_add_loop_test(tcase, without_patterns_nothing_is_refused, 0, 3);
    tcase_add_test(tcase, the_field_of_a_read_goes_no_further);
    tcase_add_loop_test(tcase, an_opening_lets_pass_until_it_ends, 0, 2);
    tcase_add_test(tcase, what_guards_nothing_is_not_opened);
    tcase_add_loop_test(tcase, few_ids_pass_and_nobody_is_asked, 0, 2);
    tcase_add_loop_test(tcase, many_ids_are_refused_once_the_name_is_known, 0, 2);
    tcase_add_loop_test(tcase, many_ids_of_another_collection_pass, 0, 4);
    tcase_add_loop_test(tcase, a_filter_is_counted_by_Chroma, 0, 4);
    tcase_add_test(tcase, a_question_has_the_filter);
    tcase_add_test(tcase, a_limit_counts_for_nothing);
    tcase_add_loop_test(tcase, a_confirmed_deletion_is_not_counted, 0, 4);
    tcase_add_loop_test(tcase, a_body_that_is_not_understood_is_refused, 0, 6);
    tcase_add_loop_test(tcase, an_answer_that_is_not_understood_counts_as_too_many, 0, 14);
    tcase_add_loop_test(tcase, what_Chroma_says_to_the_question_is_the_answer, 0, 4);
    tcase_add_test(tcase, a_filter_is_counted_after_what_came_before_and_nothing_overtakes);
    tcase_add_loop_test(tcase, a_refusal_ends_the_wait_of_those_behind, 0, 2);
    tcase_add_loop_test(tcase, a_question_that_breaks_is_asked_again, 0, 2);
    tcase_add_loop_test(tcase, a_question_that_Chroma_has_no_time_for_is_asked_again, 0, 4);
    tcase_add_loop_test(tcase, a_question_without_an_answer_ends_with_the_deadline, 0, 2);
    tcase_add_loop_test(tcase, a_Chroma_that_ends_meanwhile_is_asked_anew, 0, 2);
    tcase_add_loop_test(tcase, the_client_may_leave_while_it_is_asked, 0, 4);
    tcase_add_loop_test(tcase, a_proxy_may_end_while_it_asks, 0, 4);
    tcase_add_loop_test(tcase, a_gateway_knows_the_name_and_a_sidecar_asks_each_time, 0, 2);
    tcase_add_test(tcase, a_gateway_asks_for_the_name_once);
    tcase_add_loop_test(tcase, a_name_that_is_not_found_out_counts_as_guarded, 0, LOST_NAMES);
    tcase_add_loop_test(tcase, an_old_server_is_asked_for_its_list, 0, 2);
    tcase_add_test(tcase, a_list_that_breaks_is_read_anew);
    tcase_add_loop_test(tcase, a_new_name_must_be_guarded_too, 0, 2);
    tcase_add_test(tcase, what_has_no_known_name_is_not_renamed);
    tcase_add_loop_test(tcase, an_unknown_route_of_a_guarded_collection_is_refused, 0, 4);
    tcase_add_loop_test(tcase, a_commit_is_counted_too, 0, 3);
    return check_main("flow_guard", tcase);
}
