/* While Chroma is down, what a client asks when it is made is answered with what Chroma said last,
 * to the same identity, unless something was sent since that may have changed it. */
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "calls/proxy_state.h"
#include "flow/fake_mirror_copy.h"
#include "flow/flow_world.h"
#include "proxy/cache_report.h"
#include "support/check_main.h"

#define V2       "/api/v2"
#define TENANT   V2 "/tenants/t"
#define DATABASE TENANT "/databases/d"
#define UUID     "11111110-2222-3333-4444-555555555555"
#define RECORDS  DATABASE "/collections/" UUID "/"
#define BY_NAME  DATABASE "/collections/docs"
#define BY_ID    DATABASE "/collections/by-id/" UUID
#define CREATE   DATABASE "/collections"
#define TOKEN    "X-Chroma-Token: of-a\r\n"
#define SECOND   1000

static struct flow_world           world;
static struct flow_client         *client;
static struct proxy_mirror_options options;
static enum flow_fault             write_fault, creation_fault; /* of records; of collections */
static unsigned                    write_status, refusal; /* of records; of all else; 0: 200 */
static uint64_t                    answer_delay_us;
static const char *const           body_of_description =
    "{\"id\":\"" UUID "\",\"name\":\"docs\",\"tenant\":\"t\",\"database\":\"d\",\"dimension\":2,"
    "\"configuration_json\":{\"hnsw\":{\"space\":\"ip\"}},"
    "\"schema\":{\"keys\":{\"a\":{\"int\":{}}}},\"version\":0,\"log_position\":0}";

static const struct question {
    const char *method, *path, *body;
} questions[] = {{"GET", V2 "/auth/identity", ""},
                 {"GET", TENANT, ""},
                 {"GET", DATABASE, ""},
                 {"GET", V2 "/pre-flight-checks", ""},
                 {"GET", V2 "/version", ""},
                 {"GET", BY_NAME, ""},
                 {"GET", BY_ID, ""},
                 {"POST", CREATE, "{\"name\":\"docs\",\"get_or_create\":true}"}};
enum { fixed_count = 5, question_count = COUNT_OF(questions), by_name = 5, creation = 7 };

/* Of a collection Chroma says its description, and of all else something. */
static void plan(struct flow_backend *backend, unsigned id, struct flow_plan *ret_plan, void *ctx)
{
    const char *head = flow_backend_last_head(backend);
    bool        is_of_records = strstr(head, RECORDS) != NULL;
    bool        is_described = strstr(head, "/collections") != NULL && !is_of_records;

    (void)id;
    (void)ctx;
    *ret_plan = (struct flow_plan){.delay_us = answer_delay_us,
                                   .fields = "Content-Type: application/json\r\n",
                                   .is_bare = !is_of_records,
                                   .body = is_described ? body_of_description : "{}"};
    ret_plan->status = refusal;
    if (is_of_records) {
        ret_plan->fault = write_fault;
        ret_plan->status = write_status;
    }
    if (!is_of_records && strncmp(head, "POST", 4) == 0)
        ret_plan->fault = creation_fault;
}

static void set_backend(uint64_t incarnation)
{
    proxy_set_backend(world.proxy, &(struct proxy_backend){.family = CHROMA_FAMILY_RUST,
                                                           .batch_records_max = 5461,
                                                           .incarnation = incarnation});
}

static void set_mode(enum proxy_mirror_mode mode)
{
    options.mode = mode;
    ck_assert_int_eq(proxy_set_mirror(world.proxy, &options), STATUS_OK);
}

static void begin_in(bool is_gateway)
{
    static const char *const names[] = {"none"};

    flow_world_begin(&world, 1);
    world.write_options.is_gateway = is_gateway;
    world.proxy_options.settle_time_us = 0;
    world.write_options.is_coalescing = true; /* writes are looked into */
    world.backend.on_plan = plan;
    write_fault = creation_fault = FLOW_FAULT_NONE;
    write_status = refusal = 0;
    answer_delay_us = 1000;
    options = (struct proxy_mirror_options){.collections = names,
                                            .collection_count = 1,
                                            .memory_max = 1 << 20,
                                            .disk_max = 1 << 20,
                                            .directory = "/nowhere",
                                            .max_age_us = 30000000,
                                            .trust_us = 300000000};
    flow_world_start(&world);
    set_backend(1);
    set_mode(PROXY_MIRROR_FALLBACK);
    client = flow_world_client(&world);
}

static void begin(void)
{
    begin_in(true);
}

static void end(void)
{
    flow_world_end(&world);
}

static void send_to(const char *method, const char *path, const char *body, const char *fields)
{
    flow_client_printf(client, "%s %s HTTP/1.1\r\nHost: chroma\r\n%s", method, path, fields);
    if (body[0] != '\0')
        flow_client_printf(client, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                           strlen(body));
    flow_client_printf(client, "\r\n%s", body);
}

/* Its status; 0: it was not answered in a second. */
static unsigned do_request(const char *method, const char *path, const char *body,
                           const char *fields)
{
    client = flow_world_client(&world);
    send_to(method, path, body, fields);
    flow_world_run_ms(&world, SECOND);
    return client->answer_count == 0 ? 0 : client->answers[0].status;
}

static unsigned ask_with(int which, const char *fields)
{
    return do_request(questions[which].method, questions[which].path, questions[which].body,
                      fields);
}

/* Did the mirror give what Chroma says? */
static bool is_told_with(int which, const char *fields)
{
    if (ask_with(which, fields) != 200 ||
        strstr(flow_client_head(client, 0), "X-Chromabouncer-Source: mirror\r\n") == NULL)
        return false;
    ck_assert_str_eq(flow_client_body(client, 0), which < fixed_count ? "{}" : body_of_description);
    ck_assert_ptr_nonnull(
        strstr(flow_client_head(client, 0), "content-type: application/json\r\n"));
    return true;
}

static bool is_told(int which)
{
    return is_told_with(which, "");
}

static void do_records(const char *operation, const char *body)
{
    char path[200];

    snprintf(path, sizeof path, RECORDS "%s", operation);
    ck_assert_uint_eq(do_request("POST", path, body, ""), 200);
}

/* Chroma has answered all, of a collection that was there; nobody but it did. */
static void learn_with(const char *fields)
{
    ck_assert_uint_eq(ask_with(by_name, fields), 200);
    do_records("upsert", "{\"ids\":[\"w1\"],\"embeddings\":[[1,2]],\"metadatas\":[null]}");
    for (int i = 0; i < question_count; i++) {
        ck_assert_uint_eq(ask_with(i, fields), 200);
        ck_assert_ptr_nonnull(
            strstr(flow_client_head(client, 0), "X-Chromabouncer-Source: backend\r\n"));
    }
}

static void learn(void)
{
    learn_with("");
}

static void go_down(void)
{
    flow_backend_kill(&world.backend);
    fake_net_set_mode(FAKE_NET_REFUSE);
    flow_world_run_ms(&world, 10);
}

START_TEST(a_client_can_be_made_while_chroma_is_down)
{
    set_mode(PROXY_MIRROR_FALLBACK + _i);
    learn();
    go_down();
    for (int i = 0; i < question_count; i++) {
        ck_assert(is_told(i));
        ck_assert_ptr_nonnull(
            strstr(flow_client_head(client, 0), "X-Chromabouncer-Mirror: age=0; complete=yes\r\n"));
    }
    flow_world_lose(&world, 2);
    flow_world_run_ms(&world, 600 * SECOND);
    for (int i = 0; i < question_count; i++)
        ck_assert(is_told(i));
}
END_TEST

START_TEST(while_it_answers_it_is_asked)
{
    set_mode(PROXY_MIRROR_PREFER);
    learn();
    learn();
    go_down();
    ck_assert(is_told(0));
    fake_net_set_mode(FAKE_NET_ACCEPT);
    for (int i = 0; i < 4; i++)
        is_told(1);
    for (int i = 0; i < question_count; i++)
        ck_assert(!is_told(i) && client->answers[0].status == 200);
}
END_TEST

/* Nothing is answered any more, and a call has no answer for so long. */
static void hang(unsigned ms)
{
    answer_delay_us = UINT64_C(3600000000);
    ck_assert_uint_eq(do_request("GET", V2 "/heartbeat", "", ""), 0);
    flow_world_run_ms(&world, ms - SECOND);
}

START_TEST(a_client_can_be_made_while_chroma_hangs)
{
    size_t sent;

    learn();
    hang(9500);
    ck_assert_uint_eq(ask_with(creation, ""), 0); /* nobody knows it yet: it is sent, */
    sent = world.backend.request_count;
    for (int i = 0; i < 3; i++)
        ck_assert(is_told(creation)); /* and these are not */
    ck_assert_uint_eq(world.backend.request_count, sent);
    for (int i = 0; i < question_count; i++)
        ck_assert(is_told(i));
    ck_assert_ptr_nonnull(
        strstr(flow_client_head(client, 0), "X-Chromabouncer-Mirror: age=0; complete=yes\r\n"));
}
END_TEST

/* It may be carried out after what its client does when it believes that it was. */
START_TEST(a_creation_that_was_sent_is_not_answered)
{
    struct flow_client *creator;

    learn();
    hang(2000);
    ck_assert_uint_eq(ask_with(creation, ""), 0);
    creator = client;
    flow_world_run_ms(&world, 15 * SECOND);
    ck_assert(is_told(creation));
    ck_assert_uint_eq(creator->answer_count, 0);
    flow_world_run_ms(&world, 600 * SECOND);
    ck_assert_uint_eq(creator->answer_count, 1);
    ck_assert_uint_eq(creator->answers[0].status, 504);
    ck_assert_ptr_nonnull(strstr(flow_client_head(creator, 0), "Executed: maybe\r\n"));
}
END_TEST

START_TEST(what_would_create_is_sent_although_chroma_hangs)
{
    size_t sent;

    learn();
    hang(11000);
    sent = world.backend.request_count;
    ck_assert_uint_eq(do_request("POST", CREATE, "{\"name\":\"new\",\"get_or_create\":true}", ""),
                      0);
    ck_assert_uint_eq(do_request("DELETE", BY_NAME, "", ""), 0);
    ck_assert_uint_eq(ask_with(creation, ""), 0); /* what it names may be gone */
    ck_assert_uint_ge(world.backend.request_count, sent + 2);
    ck_assert_uint_eq(ask_with(creation, "Cache-Control: no-store\r\n"), 0);
}
END_TEST

START_TEST(who_answers_again_is_asked_again)
{
    learn();
    hang(11000);
    ck_assert(is_told(creation));
    answer_delay_us = 1000;
    flow_backend_kill(&world.backend); /* and what hung ends */
    flow_world_run_ms(&world, SECOND);
    for (int i = 0; i < 3; i++)
        is_told(1);
    ck_assert_uint_eq(ask_with(creation, ""), 200);
    ck_assert(!is_told(creation));
}
END_TEST

START_TEST(another_question_is_not_answered)
{
    learn();
    go_down();
    ck_assert_uint_ne(do_request("GET", V2 "/heartbeat", "", ""), 200);
    ck_assert_uint_ne(do_request("GET", V2 "/tenants/u", "", ""), 200);
    ck_assert_uint_ne(do_request("GET", TENANT "?x=1", "", ""), 200);
    ck_assert_uint_ne(do_request("HEAD", TENANT, "", ""), 200);
    ck_assert_uint_ne(do_request("POST", CREATE, "{\"name\":\"docs\"}", ""), 200);
    ck_assert_uint_ne(do_request("POST", CREATE,
                                 "{\"name\":\"docs\",\"get_or_create\":true,\"metadata\":{}}", ""),
                      200);
}
END_TEST

START_TEST(what_the_request_says_is_minded)
{
    static const struct {
        const char *fields;
        bool        is_told;
    } rows[] = {{"Cache-Control: no-store\r\n", false},
                {"Cache-Control: no-cache\r\n", false},
                {"Cache-Control: max-age=0\r\n", false},
                {"Cache-Control: max-age=1\r\n", true}, /* nobody can have changed it */
                {"Origin: http://elsewhere\r\n", false},
                {"Content-Encoding: gzip\r\n", false}};

    learn_with(rows[_i].fields);
    go_down();
    for (int i = 0; i < question_count; i++)
        ck_assert(is_told_with(i, rows[_i].fields) == rows[_i].is_told);
    ck_assert(!is_told(1)); /* who said something else */
}
END_TEST

START_TEST(credentials_are_trusted_for_a_while)
{
    learn();
    learn_with(TOKEN);
    go_down();
    for (int i = 0; i < question_count; i++)
        ck_assert(is_told_with(i, TOKEN));
    ck_assert(!is_told_with(1, "X-Chroma-Token: of-b\r\n"));
    flow_world_run_ms(&world, 300 * SECOND);
    for (int i = 0; i < question_count; i++)
        ck_assert(!is_told_with(i, TOKEN));
    ck_assert(is_told(1));
}
END_TEST

/* By whatever question; others go on, and so does who has a body beside his token, or none. */
START_TEST(who_is_refused_is_told_nothing)
{
    learn();
    learn_with(TOKEN);
    refusal = 401 + 2 * (unsigned)(_i % 2);
    ck_assert_uint_eq(ask_with(_i, TOKEN), refusal);
    refusal = 0;
    go_down();
    for (int i = 0; i < question_count; i++)
        ck_assert(is_told(i) && is_told_with(i, TOKEN) == ((i == creation) != (_i == creation)));
}
END_TEST

START_TEST(without_trust_credentials_get_nothing)
{
    options.trust_us = 0;
    set_mode(PROXY_MIRROR_FALLBACK);
    learn_with(TOKEN);
    go_down();
    ck_assert(!is_told_with(1, TOKEN));
}
END_TEST

START_TEST(another_chroma_may_say_otherwise)
{
    learn();
    go_down();
    flow_world_lose(&world, 2);
    ck_assert(is_told(1));
    set_backend(3);
    ck_assert(!is_told(1));
    ck_assert(!is_told(by_name));
}
END_TEST

static const struct {
    const char *method, *path, *body;
    bool        ends_fixed, ends_described;
} writes[] = {
    {"POST", V2 "/tenants", "{}", true, false},
    {"POST", TENANT "/databases", "{}", true, false},
    {"DELETE", DATABASE, "", true, true},
    {"POST", V2 "/reset", "{}", true, true},
    {"PUT", V2 "/unknown", "{}", true, true},
    {"PUT", DATABASE "/collections/" UUID, "{\"new_name\":\"other\"}", false, true},
    {"DELETE", BY_NAME, "", false, true},
    {"POST", CREATE, "{\"name\":\"new\"}", false, false},
    {"POST", RECORDS "upsert", "{\"ids\":[\"a\"],\"embeddings\":[[1,2]],\"metadatas\":[{\"a\":1}]}",
     false, false},
    {"POST", RECORDS "upsert", "{\"ids\":[\"a\"],\"embeddings\":[[1,2]],\"metadatas\":[{\"b\":1}]}",
     false, true},
    {"POST", RECORDS "update", "not JSON", false, true},
};

/* Of whatever outcome. */
START_TEST(what_a_write_may_change_is_forgotten)
{
    enum { applied, broken, lost, outcomes };
    int outcome = _i % outcomes, which = _i / outcomes;

    learn();
    if (outcome != applied) {
        write_fault = creation_fault = FLOW_FAULT_RESET_AFTER;
        answer_delay_us = 100000;
    }
    do_request(writes[which].method, writes[which].path, writes[which].body, "");
    go_down();
    if (outcome == lost)
        flow_world_lose(&world, 2);
    for (int i = 0; i < question_count; i++)
        ck_assert_msg(is_told(i) == !(i < fixed_count ? writes[which].ends_fixed
                                                      : writes[which].ends_described),
                      "%s after %s, %d", questions[i].path, writes[which].path, outcome);
}
END_TEST

/* Sent before the question and answered after it, or the other way round. */
START_TEST(what_a_write_crossed_is_not_kept)
{
    bool                is_inside = _i == 1;
    struct flow_client *reader = flow_world_client(&world), *writer = flow_world_client(&world);

    answer_delay_us = 200000;
    client = is_inside ? reader : writer;
    send_to(is_inside ? "GET" : "PATCH", TENANT, is_inside ? "" : "{}", "");
    flow_world_run_ms(&world, 10);
    answer_delay_us = 1000;
    client = is_inside ? writer : reader;
    send_to(is_inside ? "PATCH" : "GET", TENANT, is_inside ? "{}" : "", "");
    flow_world_run_ms(&world, SECOND);
    ck_assert_uint_eq(reader->answer_count + writer->answer_count, 2);
    go_down();
    ck_assert(!is_told(1));
}
END_TEST

START_TEST(what_a_write_may_be_changing_is_not_told)
{
    learn();
    answer_delay_us = 100000000;
    client = flow_world_client(&world);
    send_to("PATCH", TENANT, "{}", "");
    flow_world_run_ms(&world, 10);
    flow_world_lose(&world, 2);
    ck_assert(!is_told(1));
    ck_assert(is_told(by_name));
}
END_TEST

/* Chroma may yet apply what it took from a process before this one. */
START_TEST(what_is_not_settled_is_not_kept)
{
    for (unsigned i = 0; i < 3; i++)
        ck_assert_uint_eq(ask_with(by_name, ""), 200);
    go_down();
    ck_assert(!is_told(by_name));
}
END_TEST

/* Who only updates shows as well that nothing is left of a process before this one. */
START_TEST(an_update_leaves_what_it_cannot_change)
{
    static const char update[] = "{\"ids\":[\"w1\"],\"metadatas\":[{\"a\":1}]}";

    if (_i == 1) { /* whoever wrote to another Chroma */
        learn();
        set_backend(2);
    }
    ck_assert_uint_eq(ask_with(by_name, ""), 200);
    do_records("update", update);
    for (int i = 0; i < question_count; i++)
        ck_assert_uint_eq(ask_with(i, ""), 200);
    do_records("update", update);
    go_down();
    for (int i = 0; i < question_count; i++)
        ck_assert(is_told(i));
}
END_TEST

static const char new_key[] = "{\"ids\":[\"w1\"],\"metadatas\":[{\"b\":1}]}";

/* Its collection is read and wanted; `fields` have been told all of it. */
static void copy_for(const char *fields)
{
    options.collection_count = 0;
    set_mode(PROXY_MIRROR_FALLBACK);
    learn_with(fields);
    do_records("get", "{\"ids\":[\"w1\"]}");
}

/* By whatever question. */
START_TEST(what_a_write_has_ended_is_asked_for_anew)
{
    copy_for(TOKEN);
    do_records("update", new_key);
    go_down();
    for (int i = 0; i < question_count; i++)
        ck_assert(is_told_with(i, TOKEN));
    ck_assert(!is_told(by_name)); /* who was not told before */
    flow_world_run_ms(&world, 300 * SECOND);
    ck_assert(!is_told_with(by_name, TOKEN)); /* he was told so long ago */
}
END_TEST

/* Nor what is not wanted, as is known when its name is. */
START_TEST(what_is_not_copied_is_not_asked_for_anew)
{
    if (_i == 0) {
        copy_for("");
        options.collection_count = 1;
        set_mode(PROXY_MIRROR_FALLBACK);
    } else {
        do_records("get", "{\"ids\":[\"w1\"]}");
        flow_world_run_ms(&world, 12 * SECOND);
        learn();
    }
    do_records("update", new_key);
    flow_world_run_ms(&world, SECOND);
    go_down();
    ck_assert(!is_told(by_name));
}
END_TEST

START_TEST(what_changes_all_the_time_is_asked_for_now_and_then)
{
    size_t asked;

    copy_for("");
    asked = world.backend.request_count;
    for (unsigned i = 0; i < 8; i++) {
        client = flow_world_client(&world);
        send_to("POST", RECORDS "update", new_key, "");
        flow_world_run_ms(&world, 125);
    }
    flow_world_run_ms(&world, SECOND);
    ck_assert_uint_ge(world.backend.request_count, asked + 8 + 1);
    ck_assert_uint_le(world.backend.request_count, asked + 8 + 5);
    go_down();
    ck_assert(is_told(by_name));
}
END_TEST

START_TEST(what_is_asked_for_anew_is_not_what_a_write_crosses)
{
    copy_for("");
    answer_delay_us = 100000;
    client = flow_world_client(&world);
    send_to("POST", RECORDS "update", new_key, "");
    flow_world_run_ms(&world, 50);
    answer_delay_us = 500000; /* of the question */
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(client->answer_count, 1);
    answer_delay_us = 100000;
    client = flow_world_client(&world);
    send_to("POST", RECORDS "update", new_key, "");
    flow_world_run_ms(&world, 490);
    ck_assert_uint_eq(client->answer_count, 1);
    go_down();
    ck_assert(!is_told(by_name));
}
END_TEST

START_TEST(what_was_refused_is_asked_for_anew)
{
    size_t asked;

    copy_for("");
    write_status = 400;
    client = flow_world_client(&world);
    asked = world.backend.request_count;
    ck_assert_uint_eq(do_request("POST", RECORDS "update", new_key, ""), 400);
    flow_world_run_ms(&world, SECOND);
    ck_assert_uint_eq(world.backend.request_count, asked + 2);
    go_down();
    ck_assert(is_told(by_name));
}
END_TEST

/* Who writes while Chroma is down waits for it, and then for nothing. */
START_TEST(what_is_never_sent_changes_nothing)
{
    struct flow_client *writer = flow_world_client(&world);

    world.proxy_options.deadline_write_us = 5000000;
    proxy_set_options(world.proxy, &world.proxy_options);
    copy_for("");
    flow_world_run_ms(&world, SECOND);
    go_down();
    flow_world_lose(&world, 2);
    ck_assert(is_told(by_name));
    client = writer;
    send_to("POST", RECORDS "update", new_key, "");
    flow_world_run_ms(&world, 2 * SECOND);
    ck_assert_uint_eq(writer->answer_count, 0);
    ck_assert(is_told(by_name));
    flow_world_run_ms(&world, 10 * SECOND);
    ck_assert_uint_eq(writer->answer_count, 1);
    ck_assert_uint_eq(writer->answers[0].status, 504);
    ck_assert(is_told(by_name));
}
END_TEST

START_TEST(what_a_lost_write_may_change_yet_is_not_asked_for_anew)
{
    copy_for("");
    write_fault = FLOW_FAULT_RESET_AFTER;
    do_request("POST", RECORDS "update", new_key, "");
    write_fault = FLOW_FAULT_NONE;
    flow_world_run_ms(&world, SECOND);
    go_down();
    ck_assert(!is_told(by_name));
    ck_assert(is_told(1));
}
END_TEST

/* Another one may have the name. */
START_TEST(a_renaming_ends_it_for_good)
{
    copy_for("");
    ck_assert_uint_eq(
        do_request("PUT", DATABASE "/collections/" UUID, "{\"new_name\":\"other\"}", ""), 200);
    do_records("update", new_key);
    flow_world_run_ms(&world, SECOND);
    go_down();
    for (int i = fixed_count; i < question_count; i++)
        ck_assert(!is_told(i));
}
END_TEST

START_TEST(what_another_chroma_has_said_is_not_renewed)
{
    copy_for("");
    client = flow_world_client(&world);
    send_to("POST", RECORDS "update", new_key, "");
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(client->answer_count, 1);
    set_backend(2);
    flow_world_run_ms(&world, SECOND);
    go_down();
    ck_assert(!is_told(by_name));
}
END_TEST

START_TEST(what_was_created_by_the_answer_is_not_kept)
{
    ck_assert_uint_eq(ask_with(creation, ""), 200);
    go_down();
    ck_assert(!is_told(creation));
}
END_TEST

START_TEST(somebody_may_say_that_it_has_changed)
{
    learn();
    if (_i == 0)
        cache_report_flush(world.proxy);
    else
        cache_report_flush_collection(world.proxy, (const uint8_t[16]){1});
    go_down();
    for (int i = 0; i < question_count; i++)
        ck_assert(!is_told(i));
}
END_TEST

START_TEST(off_is_off)
{
    learn();
    set_mode(PROXY_MIRROR_OFF);
    go_down();
    ck_assert(!is_told(1));
    set_mode(PROXY_MIRROR_FALLBACK);
    ck_assert(!is_told(1)); /* nothing is left */
}
END_TEST

START_TEST(beside_a_sidecar_it_has_an_age)
{
    end();
    begin_in(false);
    learn();
    learn_with("Cache-Control: max-age=1\r\n");
    go_down();
    for (int i = 0; i < question_count; i++)
        ck_assert(is_told(i));
    ck_assert_ptr_nonnull(strstr(flow_client_head(client, 0), "complete=no\r\n"));
    ck_assert_ptr_null(strstr(flow_client_head(client, 0), "age=0;"));
    ck_assert(!is_told_with(1, "Cache-Control: max-age=1\r\n"));
    flow_world_run_ms(&world, 30 * SECOND);
    for (int i = 0; i < question_count; i++)
        ck_assert(!is_told(i));
}
END_TEST

START_TEST(another_role_begins_anew)
{
    learn();
    proxy_set_gateway(world.proxy, false);
    proxy_set_gateway(world.proxy, true);
    go_down();
    ck_assert(!is_told(1));
}
END_TEST

/* It was sent before anybody knew. */
START_TEST(who_is_under_way_when_it_dies_is_answered)
{
    learn();
    answer_delay_us = 100000000;
    client = flow_world_client(&world);
    send_to(questions[_i].method, questions[_i].path, questions[_i].body, "");
    flow_world_run_ms(&world, 10);
    ck_assert_uint_eq(client->answer_count, 0);
    go_down();
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    ck_assert_uint_eq(client->answers[0].status, 200);
    ck_assert_ptr_nonnull(strstr(flow_client_head(client, 0), "Source: mirror\r\n"));
    ck_assert(is_told(by_name)); /* a creation, of unknown outcome, changes nothing that is there */
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("flow_mirror_construct");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_loop_test(tcase, a_client_can_be_made_while_chroma_is_down, 0, 3);
    tcase_add_test(tcase, while_it_answers_it_is_asked);
    tcase_add_test(tcase, a_client_can_be_made_while_chroma_hangs);
    tcase_add_test(tcase, a_creation_that_was_sent_is_not_answered);
    tcase_add_test(tcase, what_would_create_is_sent_although_chroma_hangs);
    tcase_add_test(tcase, who_answers_again_is_asked_again);
    tcase_add_test(tcase, another_question_is_not_answered);
    tcase_add_loop_test(tcase, what_the_request_says_is_minded, 0, 6);
    tcase_add_test(tcase, credentials_are_trusted_for_a_while);
    tcase_add_loop_test(tcase, who_is_refused_is_told_nothing, 0, question_count);
    tcase_add_test(tcase, without_trust_credentials_get_nothing);
    tcase_add_test(tcase, another_chroma_may_say_otherwise);
    tcase_add_loop_test(tcase, what_a_write_may_change_is_forgotten, 0, 3 * COUNT_OF(writes));
    tcase_add_loop_test(tcase, what_a_write_crossed_is_not_kept, 0, 2);
    tcase_add_test(tcase, what_a_write_may_be_changing_is_not_told);
    tcase_add_test(tcase, what_is_not_settled_is_not_kept);
    tcase_add_loop_test(tcase, an_update_leaves_what_it_cannot_change, 0, 2);
    tcase_add_test(tcase, what_a_write_has_ended_is_asked_for_anew);
    tcase_add_loop_test(tcase, what_is_not_copied_is_not_asked_for_anew, 0, 2);
    tcase_add_test(tcase, what_changes_all_the_time_is_asked_for_now_and_then);
    tcase_add_test(tcase, what_is_asked_for_anew_is_not_what_a_write_crosses);
    tcase_add_test(tcase, what_was_refused_is_asked_for_anew);
    tcase_add_test(tcase, what_is_never_sent_changes_nothing);
    tcase_add_test(tcase, what_a_lost_write_may_change_yet_is_not_asked_for_anew);
    tcase_add_test(tcase, a_renaming_ends_it_for_good);
    tcase_add_test(tcase, what_another_chroma_has_said_is_not_renewed);
    tcase_add_test(tcase, what_was_created_by_the_answer_is_not_kept);
    tcase_add_loop_test(tcase, somebody_may_say_that_it_has_changed, 0, 2);
    tcase_add_test(tcase, off_is_off);
    tcase_add_test(tcase, beside_a_sidecar_it_has_an_age);
    tcase_add_test(tcase, another_role_begins_anew);
    tcase_add_loop_test(tcase, who_is_under_way_when_it_dies_is_answered, 0, question_count);
    return check_main("flow_mirror_construct", tcase);
}
