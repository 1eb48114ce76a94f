/* Reads are answered from a copy when they should be, and only then, over a fake copy. */
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "calls/proxy_state.h"
#include "copies/mirror_job.h"
#include "copies/mirror_keeper.h"
#include "flow/fake_mirror_copy.h"
#include "flow/flow_world.h"
#include "io/clock.h"
#include "io/sha256.h"
#include "limits/key_ring.h"
#include "limits/key_text.h"
#include "proxy/mirror_compare.h"
#include "proxy/mirror_delay.h"
#include "support/check_main.h"

#define UUID  "11111110-2222-3333-4444-555555555555"
#define PATH  "/api/v2/tenants/t/databases/d/collections/" UUID
#define JSON  "Content-Type: application/json\r\n"
#define TOKEN "X-Chroma-Token: of-a\r\n"

/* The Chroma of these tests has one collection. */
static struct fake_records chroma;
static bool                exists;
static unsigned            reads; /* of clients: those of the keeper say what they want */
static uint64_t            read_delay_us, write_delay_us;
static enum flow_fault     read_fault, write_fault;
static unsigned            read_status;
static size_t              read_padding; /* spaces behind the answer */

static struct flow_world           world;
static struct proxy_mirror_options options;

static void append(struct byte_buffer *out, const char *text)
{
    ck_assert_int_eq(byte_buffer_append(out, bytes_of(text), SIZE_MAX), STATUS_OK);
}

static bool is_client_s(struct bytes body)
{
    return body.size > 0 && memmem(body.data, body.size, "client", 6) != NULL;
}

static void answer_get(struct bytes body, struct byte_buffer *answer)
{
    fake_records_get(&chroma, body, answer);
    for (size_t i = 0; i < read_padding && is_client_s(body); i++)
        append(answer, " ");
}

static unsigned other_status; /* to what is of no collection */

static void on_request(struct flow_backend *backend, const char *target, struct bytes body,
                       bool is_due, struct flow_plan *plan, struct byte_buffer *answer, void *ctx)
{
    const char *operation = strrchr(target, '/') + 1;
    bool        is_read = strcmp(operation, "get") == 0;

    (void)backend;
    (void)ctx;
    plan->is_bare = true;
    plan->fields = "Content-Type: application/json\r\n";
    if (!is_due && is_client_s(body)) {
        plan->delay_us = is_read ? read_delay_us : write_delay_us;
        plan->fault = is_read ? read_fault : write_fault;
        plan->status = is_read ? read_status : 0;
        reads += is_read;
    }
    if (strstr(target, UUID) == NULL || !exists)
        plan->status = exists ? other_status : 404;
    else if (is_read && !is_due)
        answer_get(body, answer);
    else if (strstr(target, "/by-id/") != NULL && !is_due)
        append(answer, "{\"id\":\"" UUID "\",\"name\":\"docs\",\"configuration_json\":{\"hnsw\":{"
                       "\"space\":\"cosine\"}},\"schema\":null,\"metadata\":null,\"dimension\":2,"
                       "\"tenant\":\"t\",\"database\":\"d\",\"log_position\":0,\"version\":0}");
    else if (!is_read && is_due && strstr(target, "/by-id/") == NULL) {
        fake_records_write(&chroma, operation, body);
        append(answer, "{}");
    }
}

static void set_mode(enum proxy_mirror_mode mode)
{
    options.mode = mode;
    ck_assert_int_eq(proxy_set_mirror(world.proxy, &options), STATUS_OK);
}

static void prepare(void)
{
    static const char *const names[] = {"docs"};

    flow_world_begin(&world, 1);
    world.write_options.is_gateway = true;
    world.write_options.is_supervised = false;
    world.backend.on_request = on_request;
    memset(&chroma, 0, sizeof chroma);
    memset(&fake_mirror_copies, 0, sizeof fake_mirror_copies);
    fake_mirror_copies.page_records = 100;
    for (size_t i = 0; i < 3; i++) {
        char id[FAKE_RECORDS_TEXT];

        snprintf(id, sizeof id, "k%zu", i);
        fake_records_append(&chroma, id, "first");
    }
    exists = true;
    other_status = 404;
    read_delay_us = write_delay_us = 1000;
    read_fault = write_fault = FLOW_FAULT_NONE;
    reads = read_status = 0;
    read_padding = 0;
    options = (struct proxy_mirror_options){.collections = names,
                                            .collection_count = 1,
                                            .memory_max = 1 << 20,
                                            .disk_max = 1 << 20,
                                            .directory = "/nowhere",
                                            .max_age_us = 30000000,
                                            .trust_us = 300000000};
}

static bool is_complete(void *ctx)
{
    struct mirror_keeper_usage usage = mirror_keeper_usage(world.proxy->mirror);

    (void)ctx;
    return usage.complete == 1;
}

static void run_to_complete(void)
{
    ck_assert(fake_loop_run_until(world.loop, is_complete, NULL,
                                  clock_now_us() + 60 * UINT64_C(1000000)));
}

static void set_backend(uint64_t incarnation)
{
    proxy_set_backend(world.proxy, &(struct proxy_backend){.family = world.family,
                                                           .batch_records_max = 5461,
                                                           .incarnation = incarnation});
}

static void send_get(struct flow_client *client, const char *fields)
{
    static const char body[] = "{\"client\":1}";

    flow_client_printf(client,
                       "POST " PATH "/get HTTP/1.1\r\nHost: chroma\r\n%sContent-Length: %zu\r\n\r\n"
                       "%s",
                       fields, sizeof body - 1, body);
}

/* Its answer, from a client of its own. */
static struct flow_client *ask(const char *fields)
{
    struct flow_client *client = flow_world_client(&world);

    send_get(client, fields);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    return client;
}

static bool is_mirrored(struct flow_client *client)
{
    return client->answer_count == 1 &&
           strstr(flow_client_head(client, 0), "X-Chromabouncer-Source: mirror\r\n") != NULL;
}

/* It is what Chroma has. */
static void expect_body(struct flow_client *client)
{
    struct byte_buffer expected = {0};

    flow_world_expect(client, 200);
    fake_records_get(&chroma, BYTES_LITERAL("{\"client\":1}"), &expected);
    ck_assert(
        bytes_equal(byte_buffer_bytes(&client->answers[0].body), byte_buffer_bytes(&expected)));
    byte_buffer_done(&expected);
}

static void expect_mirror(struct flow_client *client)
{
    const char *head = flow_client_head(client, 0);

    ck_assert(is_mirrored(client));
    ck_assert_ptr_nonnull(strstr(head, "X-Chromabouncer-Mirror: age=0; complete=yes\r\n"));
    ck_assert_ptr_nonnull(strstr(head, "content-type: application/json\r\n"));
    ck_assert_ptr_null(strstr(head, "Cache-Status"));
    expect_body(client);
}

static void expect_chroma(struct flow_client *client)
{
    flow_world_expect(client, 200);
    ck_assert_ptr_nonnull(
        strstr(flow_client_head(client, 0), "X-Chromabouncer-Source: backend\r\n"));
}

/* A world whose copy is complete, in this mode; one plain read was answered by Chroma. */
static void start_in(enum proxy_mirror_mode mode)
{
    flow_world_start(&world);
    set_backend(1);
    set_mode(mode);
    flow_world_run_ms(&world, 10001);
    expect_chroma(ask(JSON));
    run_to_complete();
    reads = 0;
}

static void end(void)
{
    flow_world_end(&world);
    ck_assert_uint_eq(fake_mirror_copies.alive, 0);
}

/* A metric's value; 0: it is not there. */
static unsigned metric(const char *name)
{
    struct byte_buffer page = {0};
    const char        *at;
    unsigned           value = 0;

    ck_assert_int_eq(proxy_print_metrics(world.proxy, &page), STATUS_OK);
    ck_assert_int_eq(byte_buffer_append(&page, (struct bytes){.data = "", .size = 1}, SIZE_MAX),
                     STATUS_OK);
    at = strstr(byte_buffer_bytes(&page).data, name);
    if (at != NULL)
        sscanf(at + strlen(name), " %u", &value);
    byte_buffer_done(&page);
    return value;
}

static unsigned refusals(const char *reason)
{
    char name[100];

    snprintf(name, sizeof name, "\nchromabouncer_mirror_refusals_total{reason=\"%s\"}", reason);
    return metric(name);
}

static unsigned answers(const char *mode)
{
    char name[100];

    snprintf(name, sizeof name, "\nchromabouncer_mirror_answers_total{mode=\"%s\"}", mode);
    return metric(name);
}

/* ---- Prefer --------------------------------------------------------------------------------- */

START_TEST(prefer_answers_without_chroma)
{
    start_in(PROXY_MIRROR_PREFER);
    for (unsigned i = 0; i < 10; i++)
        expect_mirror(ask(JSON));
    ck_assert_uint_eq(reads, 0);
    ck_assert_uint_eq(answers("prefer"), 10);
    ck_assert_uint_eq(
        metric("chromabouncer_requests_total{op=\"get\",code=\"200\",source=\"mirror\"}"), 10);
}
END_TEST

START_TEST(other_modes_leave_it_to_a_chroma_that_answers)
{
    start_in(PROXY_MIRROR_FALLBACK);
    expect_chroma(ask(JSON));
    set_mode(PROXY_MIRROR_HEDGE);
    expect_chroma(ask(JSON));
    set_mode(PROXY_MIRROR_OFF);
    expect_chroma(ask(JSON));
    ck_assert_uint_eq(fake_mirror_copies.answers, 0);
}
END_TEST

START_TEST(headers_are_left_out_as_elsewhere)
{
    struct flow_client *client;

    world.proxy_options.adds_headers = false;
    flow_world_start(&world);
    set_backend(1);
    set_mode(PROXY_MIRROR_PREFER);
    flow_world_run_ms(&world, 10001);
    ask(JSON);
    run_to_complete();
    client = ask(JSON);
    flow_world_expect(client, 200);
    ck_assert_uint_eq(fake_mirror_copies.answers, 1);
    ck_assert_ptr_null(strstr(flow_client_head(client, 0), "Chromabouncer"));
}
END_TEST

START_TEST(an_error_of_the_copy_is_an_answer)
{
    static const char   error_field[] = "chroma-trace-id: 00000000000000000000000000000000\r\n";
    struct flow_client *client;

    start_in(PROXY_MIRROR_PREFER);
    fake_mirror_copies.answer_status = 400;
    client = ask(JSON);
    flow_world_expect(client, 400);
    ck_assert(is_mirrored(client));
    ck_assert_ptr_nonnull(strstr(flow_client_head(client, 0), error_field));
    fake_mirror_copies.answer_status = 0;
    ck_assert_ptr_null(strstr(flow_client_head(ask(JSON), 0), error_field));
}
END_TEST

START_TEST(what_the_copy_cannot_answer_is_asked_of_chroma)
{
    static const struct {
        enum status status;
        const char *reason;
    } failures[] = {{STATUS_NOT_IMPLEMENTED, "regex"},
                    {STATUS_TIMED_OUT, "timed_out"},
                    {STATUS_TOO_LARGE, "too_large"},
                    {STATUS_IO_FAILED, "io_failed"}};

    start_in(PROXY_MIRROR_PREFER);
    for (size_t i = 0; i < COUNT_OF(failures); i++) {
        fake_mirror_copies.answer_fails = failures[i].status;
        expect_chroma(ask(JSON));
        ck_assert_uint_eq(refusals(i == 0 ? "regex" : status_name(failures[i].status)), 1);
    }
    ck_assert_uint_eq(reads, COUNT_OF(failures));
}
END_TEST

/* What is damaged may be more than what was found to be. */
static void expect_given_up_for(enum status failure, unsigned times)
{
    fake_mirror_copies.answer_fails = failure;
    expect_chroma(ask(JSON));
    fake_mirror_copies.answer_fails = STATUS_OK;
    ck_assert_uint_eq(metric("\nchromabouncer_mirror_given_up_total{reason=\"store\"}"), times);
    ck_assert(!is_complete(NULL));
    expect_chroma(ask(JSON));
}

START_TEST(a_damaged_copy_is_made_anew_after_a_growing_pause)
{
    static const enum status failures[] = {STATUS_CORRUPT, STATUS_IO_FAILED, STATUS_CORRUPT};

    start_in(PROXY_MIRROR_PREFER);
    for (unsigned i = 0; i < COUNT_OF(failures); i++) {
        expect_given_up_for(failures[i], i + 1);
        flow_world_run_ms(&world, (UINT64_C(1000) << i) - 100);
        ck_assert_uint_eq(fake_mirror_copies.made, i + 1);
        run_to_complete();
        ck_assert_uint_eq(fake_mirror_copies.made, i + 2);
        expect_mirror(ask(JSON));
    }
}
END_TEST

START_TEST(a_damaged_copy_is_not_kept_for_bad_times)
{
    options.allows_incomplete = true;
    start_in(PROXY_MIRROR_PREFER);
    expect_given_up_for(STATUS_CORRUPT, 1);
    flow_backend_kill(&world.backend);
    fake_net_set_mode(FAKE_NET_REFUSE);
    flow_world_expect(ask(JSON), 503);
}
END_TEST

START_TEST(a_damaged_copy_that_was_left_is_given_up_once)
{
    start_in(PROXY_MIRROR_PREFER);
    fake_mirror_copies.answer_fails = STATUS_CORRUPT;
    for (size_t i = 0; i < 5; i++)
        send_get(flow_world_client(&world), JSON);
    flow_world_run_ms(&world, 500);
    ck_assert_uint_ge(refusals(status_name(STATUS_CORRUPT)), 2);
    ck_assert_uint_eq(metric("\nchromabouncer_mirror_given_up_total{reason=\"store\"}"), 1);
}
END_TEST

START_TEST(what_cannot_be_answered_is_no_damage)
{
    static const enum status failures[] = {STATUS_NOT_IMPLEMENTED, STATUS_TIMED_OUT,
                                           STATUS_TOO_LARGE, STATUS_NO_MEMORY,
                                           STATUS_LIMIT_REACHED};

    start_in(PROXY_MIRROR_PREFER);
    for (size_t i = 0; i < COUNT_OF(failures); i++) {
        fake_mirror_copies.answer_fails = failures[i];
        expect_chroma(ask(JSON));
    }
    fake_mirror_copies.answer_fails = STATUS_OK;
    expect_mirror(ask(JSON));
}
END_TEST

START_TEST(the_cache_answers_first)
{
    flow_world_keep_answers(&world);
    start_in(PROXY_MIRROR_PREFER);
    flow_world_run_ms(&world, 1000);
    for (unsigned i = 0; i < 3; i++)
        ck_assert(strstr(flow_client_head(ask(JSON), 0), "Source: cache") != NULL ||
                  fake_mirror_copies.answers > 0);
}
END_TEST

START_TEST(what_a_copy_answers_is_not_kept)
{
    flow_world_keep_answers(&world);
    start_in(PROXY_MIRROR_PREFER);
    for (unsigned i = 0; i < 3; i++)
        expect_mirror(ask(JSON));
}
END_TEST

START_TEST(a_client_can_forbid_it)
{
    start_in(PROXY_MIRROR_PREFER);
    expect_chroma(ask(JSON "Cache-Control: no-store\r\n"));
    expect_chroma(ask(JSON "Cache-Control: no-cache\r\n"));
    expect_chroma(ask(JSON "Pragma: no-cache\r\n"));
    ck_assert_uint_eq(refusals("forbidden"), 3);
    expect_mirror(ask(JSON "Cache-Control: max-age=60\r\n"));
}
END_TEST

START_TEST(what_chroma_reads_by_other_fields_is_chroma_s)
{
    start_in(PROXY_MIRROR_PREFER);
    ask("Content-Type: text/plain\r\n");
    ask("");
    ask(JSON "Origin: http://elsewhere\r\n");
    ask(JSON "Content-Encoding: gzip\r\n");
    ck_assert_uint_eq(reads, 4);
    ck_assert_uint_eq(refusals("fields"), 4);
    ck_assert_uint_eq(fake_mirror_copies.answers, 0);
}
END_TEST

/* ---- Trust ---------------------------------------------------------------------------------- */

START_TEST(credentials_must_have_been_served_by_chroma_lately)
{
    start_in(PROXY_MIRROR_PREFER);
    expect_chroma(ask(JSON TOKEN));
    expect_mirror(ask(JSON TOKEN));
    expect_chroma(ask(JSON "X-Chroma-Token: of-b\r\n"));
    flow_world_run_ms(&world, 299000);
    expect_mirror(ask(JSON TOKEN));
    flow_world_run_ms(&world, 2000);
    expect_chroma(ask(JSON TOKEN));
    expect_mirror(ask(JSON TOKEN));
    expect_mirror(ask(JSON));                    /* to who shows nothing Chroma said yes once */
    ck_assert_uint_eq(refusals("trust"), 1 + 3); /* the first read of all */
}
END_TEST

START_TEST(who_was_refused_gets_nothing)
{
    start_in(PROXY_MIRROR_PREFER);
    read_status = 401;
    flow_world_expect(ask(JSON TOKEN), 401);
    flow_world_expect(ask(JSON TOKEN), 401);
    ck_assert_uint_eq(fake_mirror_copies.answers, 0);
}
END_TEST

/* By a read that no copy may answer. */
START_TEST(who_is_refused_is_trusted_no_more)
{
    start_in(PROXY_MIRROR_PREFER);
    expect_chroma(ask(JSON TOKEN));
    expect_mirror(ask(JSON TOKEN));
    read_status = _i == 0 ? 401 : 403;
    fake_mirror_copies.answer_fails = STATUS_NOT_IMPLEMENTED;
    flow_world_expect(ask(JSON TOKEN), read_status);
    fake_mirror_copies.answer_fails = STATUS_OK;
    flow_world_expect(ask(JSON TOKEN), read_status);
    expect_mirror(ask(JSON)); /* another one */
    read_status = 200;
    expect_chroma(ask(JSON TOKEN));
    expect_mirror(ask(JSON TOKEN));
}
END_TEST

START_TEST(if_nobody_is_served_any_more_the_copy_goes)
{
    start_in(PROXY_MIRROR_PREFER);
    expect_mirror(ask(JSON));
    read_status = 403;
    fake_mirror_copies.answer_fails = STATUS_NOT_IMPLEMENTED;
    flow_world_expect(ask(JSON), 403);
    fake_mirror_copies.answer_fails = STATUS_OK;
    flow_world_expect(ask(JSON), 403);
    ck_assert_uint_eq(metric("\nchromabouncer_mirror_given_up_total{reason=\"answer\"}"), 1);
}
END_TEST

START_TEST(without_trust_credentials_always_ask_chroma)
{
    options.trust_us = 0;
    start_in(PROXY_MIRROR_PREFER);
    expect_chroma(ask(JSON TOKEN));
    flow_world_run_ms(&world, 1);
    expect_chroma(ask(JSON TOKEN));
    expect_mirror(ask(JSON));
}
END_TEST

START_TEST(another_path_is_another_question_of_trust)
{
    struct flow_client *client;

    start_in(PROXY_MIRROR_PREFER);
    client = flow_world_client(&world);
    flow_client_printf(client, "POST /api/v2/tenants/other/databases/d/collections/" UUID
                               "/get HTTP/1.1\r\nHost: chroma\r\n" JSON
                               "Content-Length: 12\r\n\r\n{\"client\":1}");
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    ck_assert(!is_mirrored(client));
    ck_assert_uint_eq(refusals("trust"), 1 + 1);
}
END_TEST

/* ---- Order ---------------------------------------------------------------------------------- */

static void send_upsert(struct flow_client *client, const char *document)
{
    char body[200];

    snprintf(body, sizeof body,
             "{\"ids\":[\"k1\"],\"embeddings\":[[1,2]],\"documents\":[\"%s\"],\"client\":1}",
             document);
    flow_client_printf(client,
                       "POST " PATH "/upsert HTTP/1.1\r\nHost: chroma\r\n" JSON
                       "Content-Length: %zu\r\n\r\n%s",
                       strlen(body), body);
}

START_TEST(a_read_after_a_write_sees_it)
{
    unsigned mirrored = 0;

    start_in(PROXY_MIRROR_PREFER);
    for (unsigned i = 0; i < 40; i++) {
        struct flow_client *writer = flow_world_client(&world), *reader;
        char                document[FAKE_RECORDS_TEXT];

        snprintf(document, sizeof document, "told-%u", i);
        send_upsert(writer, document);
        ck_assert(flow_world_run_to_answers(&world, writer, 1));
        flow_world_expect(writer, 200);
        reader = ask(JSON);
        flow_world_expect(reader, 200);
        ck_assert_ptr_nonnull(strstr(flow_client_body(reader, 0), document));
        mirrored += is_mirrored(reader);
    }
    ck_assert_uint_ge(mirrored, 10);
}
END_TEST

/* Chroma has shown what a write that is under way does: the copy, which lacks it, must not answer.
 */
START_TEST(no_reader_sees_the_new_and_then_the_old)
{
    struct flow_client *writer, *reader;

    start_in(PROXY_MIRROR_PREFER);
    writer = flow_world_client(&world);
    write_delay_us = 200000;
    send_upsert(writer, "new");
    flow_world_run_ms(&world, 50);
    expect_mirror(ask(JSON)); /* nobody has seen more */
    strcpy(chroma.list[1].document, "new");
    reader = ask(JSON "Cache-Control: no-store\r\n");
    expect_chroma(reader);
    ck_assert_ptr_nonnull(strstr(flow_client_body(reader, 0), "\"new\""));
    reader = ask(JSON);
    expect_chroma(reader);
    ck_assert_ptr_nonnull(strstr(flow_client_body(reader, 0), "\"new\""));
    ck_assert_uint_eq(refusals("waited"), 1);
    flow_world_run_ms(&world, 300);
    expect_mirror(ask(JSON));
}
END_TEST

/* ---- Fallback ------------------------------------------------------------------------------- */

START_TEST(a_chroma_that_dies_is_not_noticed)
{
    uint64_t began_us, took_us;

    start_in(PROXY_MIRROR_FALLBACK);
    flow_backend_kill(&world.backend);
    fake_net_set_mode(FAKE_NET_REFUSE);
    for (unsigned i = 0; i < 100; i++) {
        began_us = clock_now_us();
        expect_mirror(ask(JSON));
        took_us = clock_now_us() - began_us;
        ck_assert_uint_le(took_us, 50000);
        flow_world_run_ms(&world, 50);
    }
    ck_assert_uint_eq(answers("fallback"), 100);
    fake_net_set_mode(FAKE_NET_ACCEPT);
    began_us = clock_now_us();
    while (is_mirrored(ask(JSON)))
        flow_world_run_ms(&world, 50);
    ck_assert_uint_le(clock_now_us() - began_us, 2000000);
}
END_TEST

static void lose(uint64_t incarnation)
{
    proxy_set_backend(world.proxy, &(struct proxy_backend){.family = CHROMA_FAMILY_UNKNOWN,
                                                           .incarnation = incarnation,
                                                           .is_lost = true});
}

/* What it held counts, and whom it has served, until another one is reached. */
START_TEST(a_chroma_that_is_lost_is_stood_in_for_until_another_is_reached)
{
    start_in(PROXY_MIRROR_FALLBACK);
    expect_chroma(ask(JSON TOKEN));
    flow_backend_kill(&world.backend);
    fake_net_set_mode(FAKE_NET_REFUSE);
    lose(2);
    flow_world_run_ms(&world, 5000);
    expect_mirror(ask(JSON));
    expect_mirror(ask(JSON TOKEN));
    proxy_set_backend(world.proxy,
                      &(struct proxy_backend){.family = CHROMA_FAMILY_UNKNOWN, .incarnation = 3});
    flow_world_expect(ask(JSON), 503);
    flow_world_expect(ask(JSON TOKEN), 503);
    fake_net_set_mode(FAKE_NET_ACCEPT);
    set_backend(4);
    set_mode(PROXY_MIRROR_PREFER);
    run_to_complete();
    expect_mirror(ask(JSON));       /* as the new one was read, without credentials */
    expect_chroma(ask(JSON TOKEN)); /* whom it may refuse */
    expect_mirror(ask(JSON TOKEN));
}
END_TEST

START_TEST(who_would_wait_for_a_chroma_that_is_started_need_not)
{
    uint64_t began_us;

    start_in(PROXY_MIRROR_FALLBACK);
    proxy_hold(world.proxy, true);
    began_us = clock_now_us();
    for (unsigned i = 0; i < 20; i++)
        expect_mirror(ask(JSON));
    ck_assert_uint_le(clock_now_us() - began_us, 500000);
    proxy_hold(world.proxy, false);
    expect_chroma(ask(JSON));
}
END_TEST

/* A read has reached the new one before it was told. */
START_TEST(who_answers_while_it_is_lost_is_another_one)
{
    struct flow_client *client;

    start_in(PROXY_MIRROR_FALLBACK);
    lose(2);
    read_delay_us = 100000; /* the first one looks whether it is back */
    expect_mirror(ask(JSON));
    expect_mirror(ask(JSON));
    read_delay_us = 1000;
    set_mode(PROXY_MIRROR_PREFER);
    strcpy(chroma.list[1].document, "other");
    expect_chroma(ask(JSON "Cache-Control: no-store\r\n"));
    client = ask(JSON);
    expect_chroma(client);
    ck_assert_ptr_nonnull(strstr(flow_client_body(client, 0), "other"));
}
END_TEST

/* So has whatever a client asks that is made, of no collection. */
START_TEST(who_answers_anything_while_it_is_lost_is_another_one)
{
    static const char *const targets[] = {"/api/v2/auth/identity", "/api/v2/heartbeat",
                                          "/api/v2/tenants/t/databases/d/collections"};
    struct flow_client      *client;

    start_in(PROXY_MIRROR_PREFER);
    lose(2);
    read_delay_us = 100000; /* the first one looks whether it is back */
    expect_mirror(ask(JSON));
    read_delay_us = 1000;
    strcpy(chroma.list[1].document, "other");
    other_status = 200;
    client = flow_world_client(&world);
    flow_client_printf(client, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", targets[_i]);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    flow_world_expect(client, 200);
    client = ask(JSON);
    expect_chroma(client);
    ck_assert_ptr_nonnull(strstr(flow_client_body(client, 0), "other"));
}
END_TEST

/* Or a write has. */
START_TEST(who_takes_a_write_while_it_is_lost_is_another_one)
{
    struct flow_client *client;

    start_in(PROXY_MIRROR_PREFER);
    lose(2);
    read_delay_us = 100000; /* the first one looks whether it is back */
    expect_mirror(ask(JSON));
    read_delay_us = 1000;
    strcpy(chroma.list[0].document, "other");
    client = flow_world_client(&world);
    send_upsert(client, "new");
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    flow_world_expect(client, 200);
    client = ask(JSON);
    expect_chroma(client);
    ck_assert_ptr_nonnull(strstr(flow_client_body(client, 0), "other"));
}
END_TEST

/* A Chroma that is told to end breaks what is idle, and answers what it has. */
START_TEST(who_answers_what_was_sent_before_it_was_lost_is_no_other)
{
    static const char   again[] = JSON "Cache-Control: no-store\r\n";
    struct flow_client *reader, *writer;

    start_in(PROXY_MIRROR_FALLBACK);
    reader = flow_world_client(&world);
    writer = flow_world_client(&world);
    read_delay_us = write_delay_us = 50000;
    send_get(reader, again);
    send_upsert(writer, "last");
    flow_world_run_ms(&world, 10);
    lose(2);
    ck_assert(flow_world_run_to_answers(&world, reader, 1));
    ck_assert(flow_world_run_to_answers(&world, writer, 1));
    flow_world_expect(writer, 200);
    expect_chroma(reader);
    flow_backend_kill(&world.backend);
    fake_net_set_mode(FAKE_NET_REFUSE);
    expect_mirror(ask(JSON));
}
END_TEST

START_TEST(a_connection_that_breaks_before_the_answer_is_no_error)
{
    static const enum flow_fault faults[] = {FLOW_FAULT_RESET_BEFORE, FLOW_FAULT_RESET_AFTER,
                                             FLOW_FAULT_CLOSE_AFTER, FLOW_FAULT_HALF_HEAD,
                                             FLOW_FAULT_GARBAGE};

    start_in(PROXY_MIRROR_FALLBACK);
    for (size_t i = 0; i < COUNT_OF(faults); i++) {
        read_fault = faults[i];
        expect_mirror(ask(JSON));
    }
}
END_TEST

START_TEST(a_half_answer_is_not_mended)
{
    struct flow_client *client;

    start_in(PROXY_MIRROR_FALLBACK);
    read_fault = FLOW_FAULT_HALF_ANSWER;
    client = flow_world_client(&world);
    send_get(client, JSON);
    ck_assert(flow_world_run_to_end(&world, client));
    ck_assert_uint_eq(client->answer_count, 0);
    ck_assert_uint_eq(fake_mirror_copies.answers, 0);
}
END_TEST

START_TEST(a_deadline_is_met)
{
    world.proxy_options.deadline_read_us = 1000000;
    world.proxy_options.queue_wait_max_us = 500000;
    start_in(PROXY_MIRROR_FALLBACK);
    read_delay_us = 3000000;
    expect_mirror(ask(JSON));
    ck_assert_uint_eq(reads, 1);
}
END_TEST

/* Reads wait for their deadline until it is known that Chroma hangs; then a copy has a probe's
 * time. */
START_TEST(a_chroma_that_hangs_is_stood_in_for_at_once)
{
    struct flow_client *first;

    start_in(PROXY_MIRROR_FALLBACK);
    read_delay_us = UINT64_C(3600000000);
    first = flow_world_client(&world);
    send_get(first, JSON);
    flow_world_run_ms(&world, 9000);
    ck_assert_uint_eq(first->answer_count, 0);
    flow_world_run_ms(&world, 2000);
    for (int i = 0; i < 20; i++) {
        uint64_t began_us = clock_now_us();

        expect_mirror(ask(JSON));
        ck_assert_uint_le(clock_now_us() - began_us, 50000);
    }
    ck_assert_uint_le(reads, 5);                            /* some look whether it is back */
    ck_assert(flow_world_run_to_answers(&world, first, 1)); /* at its deadline */
    expect_mirror(first);
    read_delay_us = 1000;
    flow_world_run_ms(&world, 60000); /* what hung has ended */
    expect_chroma(ask(JSON));
}
END_TEST

/* It is the client that is slow, not Chroma. */
START_TEST(a_read_that_is_sent_slowly_is_no_hang)
{
    enum { pieces = 75, piece = 4000 };
    struct flow_client *first;

    start_in(PROXY_MIRROR_FALLBACK);
    first = flow_world_client(&world);
    flow_client_printf(
        first, "POST " PATH "/get HTTP/1.1\r\nHost: chroma\r\n" JSON "Content-Length: %u\r\n\r\n",
        (unsigned)(pieces * piece));
    for (int i = 0; i < pieces; i++) {
        flow_client_printf(first,
                           i == 0           ? "{\"client\":1%*s"
                           : i < pieces - 1 ? "%*s"
                                            : "}%*s",
                           i == 0           ? piece - 11
                           : i < pieces - 1 ? piece
                                            : piece - 1,
                           "");
        flow_world_run_ms(&world, i < pieces - 2 ? 1 : 12000);
        for (int k = 0; i == pieces - 2 && k < 5; k++)
            expect_chroma(ask(JSON));
    }
    ck_assert(flow_world_run_to_answers(&world, first, 1));
    expect_chroma(first);
}
END_TEST

static struct key_ring *ring_of_one_key(char ret_text[KEY_TEXT_SIZE])
{
    static const unsigned char random[KEY_TEXT_RANDOM_BYTES] = {1};
    struct key_ring           *ring = key_ring_new();
    struct sha256             *sha256 = sha256_new();
    struct bytes               scope = BYTES_LITERAL("read:t/d/docs");
    struct key_ring_entry      entry = {
             .id = 1, .name = BYTES_LITERAL("reader"), .scopes = &scope, .scope_count = 1};

    key_text_format(random, ret_text);
    ck_assert(sha256_digest(sha256, bytes_of(ret_text), entry.digest));
    ck_assert_int_eq(key_ring_add(ring, &entry, NULL), STATUS_OK);
    sha256_free(sha256);
    return ring;
}

/* Else it is answered when Chroma has not, by its deadline. */
START_TEST(a_key_that_is_revoked_while_a_read_waits_gets_no_copy)
{
    char                      text[KEY_TEXT_SIZE], fields[200];
    struct key_ring          *ring = ring_of_one_key(text);
    struct proxy_auth_options keys = {.keys = ring, .is_required = true};
    struct flow_client       *client;

    world.proxy_options.deadline_read_us = 1000000;
    start_in(PROXY_MIRROR_FALLBACK);
    ck_assert_int_eq(proxy_set_auth(world.proxy, &keys), STATUS_OK);
    snprintf(fields, sizeof fields, JSON "Authorization: Bearer %s\r\n", text);
    read_delay_us = 3000000;
    client = flow_world_client(&world);
    send_get(client, fields);
    flow_world_run_ms(&world, 500);
    if (_i == 0) {
        keys.keys = key_ring_new();
        ck_assert_int_eq(proxy_set_auth(world.proxy, &keys), STATUS_OK);
    }
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    if (_i == 0) {
        flow_world_expect(client, 504);
        ck_assert_uint_eq(refusals("key"), 1);
        key_ring_drop(ring);
    } else
        expect_mirror(client);
    flow_world_run_ms(&world, 5000);
    key_ring_drop(keys.keys);
}
END_TEST

START_TEST(a_wait_for_a_turn_ends_in_an_answer)
{
    struct flow_client *first;

    world.pool_options.connections_max = 1;
    world.proxy_options.queue_wait_max_us = 500000;
    start_in(PROXY_MIRROR_FALLBACK);
    read_delay_us = 3000000;
    first = flow_world_client(&world);
    send_get(first, JSON);
    flow_world_run_ms(&world, 10);
    expect_mirror(ask(JSON));
    ck_assert_uint_eq(reads, 1);
    ck_assert(flow_world_run_to_answers(&world, first, 1));
    expect_chroma(first);
}
END_TEST

START_TEST(what_would_be_shed_is_answered)
{
    struct flow_client *first;

    world.pool_options.connections_max = 1;
    world.proxy_options.sheds = true;
    start_in(PROXY_MIRROR_FALLBACK);
    read_delay_us = 3000000;
    first = flow_world_client(&world);
    send_get(first, JSON);
    flow_world_run_ms(&world, 10);
    expect_mirror(ask(JSON));
    ck_assert_uint_eq(metric("chromabouncer_shed_total{reason=\"overloaded\"}"), 0);
    ck_assert(flow_world_run_to_answers(&world, first, 1));
}
END_TEST

START_TEST(a_deadline_of_the_client_is_met)
{
    world.proxy_options.takes_client_deadlines = true;
    start_in(PROXY_MIRROR_FALLBACK);
    read_delay_us = 3000000;
    expect_mirror(ask(JSON "X-Request-Timeout-Ms: 200\r\n"));
}
END_TEST

START_TEST(an_open_breaker_leads_to_the_copy)
{
    unsigned before;

    world.proxy_options.breaker_refuses_reads = true;
    start_in(PROXY_MIRROR_FALLBACK);
    read_status = 500;
    for (unsigned i = 0; i < 60; i++)
        ask(JSON);
    before = reads;
    for (unsigned i = 0; i < 10; i++)
        expect_mirror(ask(JSON));
    ck_assert_uint_le(reads, before + 1);
}
END_TEST

START_TEST(without_a_copy_the_refusal_is_what_it_would_have_been)
{
    static const enum status failures[] = {STATUS_NOT_IMPLEMENTED, STATUS_TIMED_OUT};

    start_in(PROXY_MIRROR_FALLBACK);
    flow_backend_kill(&world.backend);
    fake_net_set_mode(FAKE_NET_REFUSE);
    for (size_t i = 0; i < COUNT_OF(failures); i++) {
        struct flow_client *client;

        fake_mirror_copies.answer_fails = failures[i];
        client = ask(JSON);
        flow_world_expect(client, 503);
        ck_assert_ptr_nonnull(strstr(flow_client_head(client, 0), "Executed: no\r\n"));
    }
    fake_mirror_copies.answer_fails = STATUS_OK;
    flow_world_expect(ask(JSON TOKEN), 503); /* whom Chroma has not served */
    flow_world_expect(ask(JSON "Cache-Control: no-store\r\n"), 503);
    expect_mirror(ask(JSON));
}
END_TEST

START_TEST(a_deadline_that_is_missed_by_both_says_so)
{
    struct flow_client *client;

    world.proxy_options.deadline_read_us = 1000000;
    start_in(PROXY_MIRROR_FALLBACK);
    read_delay_us = 3000000;
    fake_mirror_copies.answer_fails = STATUS_NOT_IMPLEMENTED;
    client = ask(JSON);
    flow_world_expect(client, 504);
    ck_assert_ptr_nonnull(strstr(flow_client_head(client, 0), "Executed: maybe\r\n"));
    ck_assert_ptr_nonnull(strstr(flow_client_body(client, 0), "deadline.read"));
}
END_TEST

/* Others may have written since. */
START_TEST(beside_a_sidecar_the_copy_says_its_age)
{
    struct flow_client *client;

    world.write_options.is_gateway = false;
    start_in(PROXY_MIRROR_FALLBACK);
    flow_world_run_ms(&world, 3500);
    flow_backend_kill(&world.backend);
    fake_net_set_mode(FAKE_NET_REFUSE);
    client = ask(JSON);
    flow_world_expect(client, 200);
    ck_assert_ptr_nonnull(
        strstr(flow_client_head(client, 0), "X-Chromabouncer-Mirror: age=3; complete=no\r\n"));
    flow_world_expect(ask(JSON "Cache-Control: max-age=2\r\n"), 503);
    flow_world_run_ms(&world, 27000);
    flow_world_expect(ask(JSON), 503); /* older than mirror.max_age */
}
END_TEST

/* ---- Hedge ---------------------------------------------------------------------------------- */

static void learn_delay(void)
{
    for (unsigned i = 0; i < MIRROR_DELAY_COUNT_MIN + 20; i++)
        expect_chroma(ask(JSON));
    reads = 0;
}

START_TEST(who_is_late_is_overtaken)
{
    uint64_t began_us;

    start_in(PROXY_MIRROR_HEDGE);
    learn_delay();
    expect_chroma(ask(JSON));
    read_delay_us = 1000000;
    began_us = clock_now_us();
    expect_mirror(ask(JSON));
    ck_assert_uint_le(clock_now_us() - began_us, 20000);
    ck_assert_uint_eq(reads, 2);
    ck_assert_uint_eq(answers("hedge"), 1);
    read_delay_us = 1000;
    expect_chroma(ask(JSON));
}
END_TEST

START_TEST(who_is_late_is_overtaken_after_a_second_while_little_is_known)
{
    uint64_t began_us;

    start_in(PROXY_MIRROR_HEDGE);
    read_delay_us = 5000000;
    began_us = clock_now_us();
    expect_mirror(ask(JSON));
    ck_assert_uint_ge(clock_now_us() - began_us, 1000000);
    ck_assert_uint_le(clock_now_us() - began_us, 1020000);
}
END_TEST

START_TEST(a_copy_that_cannot_answer_overtakes_nobody)
{
    start_in(PROXY_MIRROR_HEDGE);
    learn_delay();
    read_delay_us = 1000000;
    fake_mirror_copies.answers = 0;
    fake_mirror_copies.answer_fails = STATUS_NOT_IMPLEMENTED;
    expect_chroma(ask(JSON));
    ck_assert_uint_eq(fake_mirror_copies.answers, 1);
}
END_TEST

static unsigned same_before; /* while the delay was learnt */

static unsigned compared(const char *result)
{
    char name[100];

    snprintf(name, sizeof name, "\nchromabouncer_mirror_compared_total{result=\"%s\"}", result);
    return metric(name) - (strcmp(result, "same") == 0 ? same_before : 0);
}

static unsigned compared_in_all(void)
{
    static const char *const results[] = {"same",    "margin",     "different",
                                          "changed", "unanswered", "too_large"};
    unsigned                 count = 0;

    for (size_t i = 0; i < COUNT_OF(results); i++)
        count += compared(results[i]);
    return count;
}

static size_t connections(void)
{
    return turn_queue_stats(world.proxy->turns)->connections[TURN_READ];
}

/* Of the answers' memory nothing is held. */
static void expect_nothing_is_held(void)
{
    ck_assert_uint_eq(connections(), 0);
    ck_assert_uint_eq(world.proxy->budget->accounts[MEMORY_ACCOUNT_ANSWERS].used, 0);
}

/* The copy overtakes Chroma, which takes so long. */
static void overtake(uint64_t delay_us)
{
    read_delay_us = delay_us;
    ck_assert(is_mirrored(ask(JSON)));
}

static void start_hedging(void)
{
    start_in(PROXY_MIRROR_HEDGE);
    learn_delay();
    flow_world_run_ms(&world, 200);
    same_before = 0;
    same_before = compared("same");
}

START_TEST(who_was_overtaken_is_compared)
{
    start_hedging();
    overtake(300000);
    ck_assert_uint_eq(compared_in_all(), 0);
    ck_assert_uint_eq(connections(), 1); /* the client has its answer, and Chroma goes on */
    flow_world_run_ms(&world, 1000);
    ck_assert_uint_eq(compared("same"), 1);
    ck_assert_uint_eq(compared_in_all(), 1);
    ck_assert_uint_eq(reads, 1);
    expect_nothing_is_held();
}
END_TEST

/* Either is first, and the other one is compared. */
START_TEST(who_is_second_by_a_hair_is_compared)
{
    unsigned mirrored = 0;

    start_hedging();
    for (unsigned i = 0; i < 100; i++) {
        read_delay_us = fake_loop_random(10000);
        mirrored += is_mirrored(ask(JSON));
        flow_world_run_ms(&world, 150);
    }
    ck_assert_uint_gt(mirrored, 0);
    ck_assert_uint_gt(compared("same"), mirrored);
    ck_assert_uint_eq(compared("same"), compared_in_all());
    expect_nothing_is_held();
}
END_TEST

/* Somebody has written past us. */
START_TEST(a_copy_that_differs_is_given_up)
{
    start_hedging();
    fake_records_append(&chroma, "past", "us");
    overtake(300000);
    flow_world_run_ms(&world, 500);
    ck_assert_uint_eq(compared("different"), 1);
    ck_assert_uint_eq(metric("\nchromabouncer_mirror_given_up_total{reason=\"differs\"}"), 1);
    ck_assert(!is_complete(NULL));
    expect_chroma(ask(JSON));
    run_to_complete();
    ck_assert_uint_eq(fake_mirror_copies.made, 2);
}
END_TEST

START_TEST(a_copy_that_differs_is_not_kept_for_bad_times)
{
    options.allows_incomplete = true;
    start_hedging();
    fake_records_append(&chroma, "past", "us");
    overtake(300000);
    flow_world_run_ms(&world, 500);
    ck_assert_uint_eq(compared("different"), 1);
    flow_backend_kill(&world.backend);
    fake_net_set_mode(FAKE_NET_REFUSE);
    flow_world_expect(ask(JSON), 503);
}
END_TEST

START_TEST(a_write_in_between_says_nothing)
{
    struct flow_client *writer;

    start_hedging();
    overtake(300000);
    writer = flow_world_client(&world);
    send_upsert(writer, "between");
    ck_assert(flow_world_run_to_answers(&world, writer, 1));
    flow_world_run_ms(&world, 500);
    ck_assert_uint_eq(compared("changed"), 1);
    ck_assert_uint_eq(compared_in_all(), 1);
    ck_assert(is_complete(NULL));
}
END_TEST

/* Chroma may show it already. */
START_TEST(a_write_all_the_time_says_nothing)
{
    struct flow_client *writer;

    start_hedging();
    writer = flow_world_client(&world);
    write_delay_us = 1000000;
    send_upsert(writer, "long");
    flow_world_run_ms(&world, 10);
    overtake(300000);
    ck_assert_uint_eq(connections(), 0);
    flow_world_run_ms(&world, 500);
    ck_assert_uint_eq(compared_in_all(), 0);
    ck_assert(flow_world_run_to_answers(&world, writer, 1));
    ck_assert(is_complete(NULL));
}
END_TEST

/* Chroma has read what was there before a write that the copy has. */
START_TEST(a_write_before_says_nothing)
{
    struct flow_client *writer, *reader;

    start_hedging();
    writer = flow_world_client(&world);
    reader = flow_world_client(&world);
    read_delay_us = 300000;
    write_delay_us = 100;
    flow_world_run_ms(&world, 10);
    send_get(reader, JSON);
    send_upsert(writer, "before");
    ck_assert(flow_world_run_to_answers(&world, writer, 1));
    ck_assert(flow_world_run_to_answers(&world, reader, 1));
    ck_assert(is_mirrored(reader));
    flow_world_run_ms(&world, 500);
    ck_assert_uint_eq(compared("same") + compared("different"), 0);
    ck_assert(is_complete(NULL));
}
END_TEST

START_TEST(what_does_not_come_is_not_compared)
{
    world.proxy_options.deadline_read_us = 1000000;
    start_hedging();
    overtake(5000000);
    flow_world_run_ms(&world, 900);
    ck_assert_uint_eq(compared_in_all(), 0);
    flow_world_run_ms(&world, 200);
    ck_assert_uint_eq(compared("unanswered"), 1);
    expect_nothing_is_held();
    read_status = 500;
    overtake(300000);
    flow_world_run_ms(&world, 500);
    read_status = 0;
    read_fault = FLOW_FAULT_RESET_AFTER;
    overtake(300000);
    flow_world_run_ms(&world, 500);
    ck_assert_uint_eq(compared("unanswered"), 3);
    ck_assert_uint_eq(compared_in_all(), 3);
    expect_nothing_is_held();
}
END_TEST

START_TEST(a_pause_waits_for_what_is_compared)
{
    start_hedging();
    overtake(300000);
    proxy_pause(world.proxy, true);
    ck_assert_uint_eq(proxy_under_way(world.proxy), 1);
    flow_world_run_ms(&world, 500);
    ck_assert_uint_eq(proxy_under_way(world.proxy), 0);
    ck_assert_uint_eq(compared("same"), 1);
    proxy_pause(world.proxy, false);
}
END_TEST

/* One at a time, and a few in a second. */
START_TEST(a_sample_is_compared)
{
    start_hedging();
    overtake(300000);
    flow_world_run_ms(&world, 150);
    overtake(300000);
    ck_assert_uint_eq(connections(), 1);
    flow_world_run_ms(&world, 500);
    ck_assert_uint_eq(compared_in_all(), 1);
    overtake(50000);
    flow_world_run_ms(&world, 80);
    overtake(50000);
    flow_world_run_ms(&world, 500);
    ck_assert_uint_eq(compared_in_all(), 2);
}
END_TEST

START_TEST(a_long_answer_is_not_compared)
{
    start_hedging();
    read_padding = MIRROR_COMPARE_ANSWER_MAX;
    overtake(300000);
    flow_world_run_ms(&world, 500);
    ck_assert_uint_eq(compared("too_large"), 1);
    ck_assert_uint_eq(compared_in_all(), 1);
    ck_assert(is_complete(NULL));
    expect_nothing_is_held();
}
END_TEST

/* The copy waits for a write that Chroma has shown, when both are lost: what it had will do. */
START_TEST(a_hedge_becomes_a_fallback)
{
    struct flow_client *writer, *reader;

    options.allows_incomplete = true;
    start_in(PROXY_MIRROR_HEDGE);
    learn_delay();
    writer = flow_world_client(&world);
    reader = flow_world_client(&world);
    write_delay_us = 5000000;
    send_upsert(writer, "lost");
    flow_world_run_ms(&world, 10);
    expect_chroma(ask(JSON "Cache-Control: no-store\r\n"));
    read_delay_us = 300000;
    read_fault = FLOW_FAULT_RESET_AFTER;
    send_get(reader, JSON);
    flow_world_run_ms(&world, 600); /* its connection broke, and the copy cannot answer yet */
    ck_assert_uint_eq(reader->answer_count, 0);
    flow_backend_kill(&world.backend);
    fake_net_set_mode(FAKE_NET_REFUSE);
    ck_assert(flow_world_run_to_answers(&world, reader, 1));
    flow_world_expect(reader, 200);
    ck_assert(is_mirrored(reader));
    ck_assert_ptr_nonnull(strstr(flow_client_head(reader, 0), "; complete=no\r\n"));
    ck_assert_uint_eq(answers("fallback"), 1);
}
END_TEST

/* The copy is asked at about the time when Chroma answers: each gets one answer. */
START_TEST(either_may_win_by_a_hair)
{
    unsigned mirrored = 0;

    start_in(PROXY_MIRROR_HEDGE);
    learn_delay();
    for (unsigned i = 0; i < 200; i++) {
        struct flow_client *client;

        read_delay_us = fake_loop_random(10000);
        read_fault = i % 2 == 0 ? FLOW_FAULT_IN_PIECES : FLOW_FAULT_NONE;
        client = ask(JSON);
        expect_body(client);
        mirrored += is_mirrored(client);
    }
    ck_assert_uint_gt(mirrored, 0);
    ck_assert_uint_lt(mirrored, 200);
}
END_TEST

/* ---- Bounds and ends ------------------------------------------------------------------------ */

START_TEST(a_flood_is_bounded_and_all_are_answered)
{
    enum { count = MIRROR_JOBS_MAX + 40 };
    static struct flow_client *clients[count];
    unsigned                   mirrored = 0;

    start_in(PROXY_MIRROR_PREFER);
    for (size_t i = 0; i < count; i++)
        clients[i] = flow_world_client(&world);
    flow_world_run_ms(&world, 10);
    for (size_t i = 0; i < count; i++)
        send_get(clients[i], JSON);
    for (size_t i = 0; i < count; i++) {
        ck_assert(flow_world_run_to_answers(&world, clients[i], 1));
        flow_world_expect(clients[i], 200);
        mirrored += is_mirrored(clients[i]);
    }
    ck_assert_uint_ge(mirrored, MIRROR_JOBS_MAX);
    ck_assert_uint_eq(refusals("busy"), count - mirrored);
    ck_assert_uint_ge(refusals("busy"), 1);
}
END_TEST

/* While its job runs, while it waits for the copy, while both are asked. */
START_TEST(a_client_may_leave_at_any_time)
{
    start_in(PROXY_MIRROR_HEDGE);
    learn_delay();
    for (unsigned i = 0; i < 300; i++) {
        struct flow_client *client = flow_world_client(&world), *writer = NULL;

        set_mode(i % 2 == 0 ? PROXY_MIRROR_PREFER : PROXY_MIRROR_HEDGE);
        read_delay_us = fake_loop_random(20000);
        if (i % 3 == 0) {
            writer = flow_world_client(&world);
            write_delay_us = fake_loop_random(2000);
            send_upsert(writer, "told");
        }
        send_get(client, JSON);
        fake_loop_run_for(world.loop, fake_loop_random(12000));
        flow_client_reset(client);
        if (writer != NULL)
            ck_assert(flow_world_run_to_answers(&world, writer, 1));
    }
    flow_world_run_ms(&world, 1000);
    ck_assert_uint_eq(metric("\nchromabouncer_mirror_jobs"), 0);
    read_delay_us = 1000;
    set_mode(PROXY_MIRROR_PREFER);
    flow_world_expect(ask(JSON), 200);
}
END_TEST

START_TEST(the_proxy_may_end_at_any_time)
{
    for (unsigned i = 0; i < 20; i++) {
        start_in(PROXY_MIRROR_PREFER);
        for (unsigned j = 0; j < 5; j++)
            send_get(flow_world_client(&world), JSON);
        fake_loop_run_for(world.loop, 200 + fake_loop_random(3000));
        end();
        prepare();
        world.seed = i;
    }
    start_in(PROXY_MIRROR_PREFER);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("mirror_path");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, prepare, end);
    tcase_add_test(tcase, prefer_answers_without_chroma);
    tcase_add_test(tcase, other_modes_leave_it_to_a_chroma_that_answers);
    tcase_add_test(tcase, headers_are_left_out_as_elsewhere);
    tcase_add_test(tcase, an_error_of_the_copy_is_an_answer);
    tcase_add_test(tcase, what_the_copy_cannot_answer_is_asked_of_chroma);
    tcase_add_test(tcase, a_damaged_copy_is_made_anew_after_a_growing_pause);
    tcase_add_test(tcase, a_damaged_copy_is_not_kept_for_bad_times);
    tcase_add_test(tcase, a_damaged_copy_that_was_left_is_given_up_once);
    tcase_add_test(tcase, what_cannot_be_answered_is_no_damage);
    tcase_add_test(tcase, the_cache_answers_first);
    tcase_add_test(tcase, what_a_copy_answers_is_not_kept);
    tcase_add_test(tcase, a_client_can_forbid_it);
    tcase_add_test(tcase, what_chroma_reads_by_other_fields_is_chroma_s);
    tcase_add_test(tcase, credentials_must_have_been_served_by_chroma_lately);
    tcase_add_test(tcase, who_was_refused_gets_nothing);
    tcase_add_loop_test(tcase, who_is_refused_is_trusted_no_more, 0, 2);
    tcase_add_test(tcase, if_nobody_is_served_any_more_the_copy_goes);
    tcase_add_test(tcase, without_trust_credentials_always_ask_chroma);
    tcase_add_test(tcase, another_path_is_another_question_of_trust);
    tcase_add_test(tcase, a_read_after_a_write_sees_it);
    tcase_add_test(tcase, no_reader_sees_the_new_and_then_the_old);
    tcase_add_test(tcase, a_chroma_that_dies_is_not_noticed);
    tcase_add_test(tcase, a_chroma_that_is_lost_is_stood_in_for_until_another_is_reached);
    tcase_add_test(tcase, who_would_wait_for_a_chroma_that_is_started_need_not);
    tcase_add_test(tcase, who_answers_while_it_is_lost_is_another_one);
    tcase_add_loop_test(tcase, who_answers_anything_while_it_is_lost_is_another_one, 0, 3);
    tcase_add_test(tcase, who_takes_a_write_while_it_is_lost_is_another_one);
    tcase_add_test(tcase, who_answers_what_was_sent_before_it_was_lost_is_no_other);
    tcase_add_test(tcase, a_connection_that_breaks_before_the_answer_is_no_error);
    tcase_add_test(tcase, a_half_answer_is_not_mended);
    tcase_add_test(tcase, a_deadline_is_met);
    tcase_add_test(tcase, a_chroma_that_hangs_is_stood_in_for_at_once);
    tcase_add_test(tcase, a_read_that_is_sent_slowly_is_no_hang);
    tcase_add_loop_test(tcase, a_key_that_is_revoked_while_a_read_waits_gets_no_copy, 0, 2);
    tcase_add_test(tcase, a_wait_for_a_turn_ends_in_an_answer);
    tcase_add_test(tcase, what_would_be_shed_is_answered);
    tcase_add_test(tcase, a_deadline_of_the_client_is_met);
    tcase_add_test(tcase, an_open_breaker_leads_to_the_copy);
    tcase_add_test(tcase, without_a_copy_the_refusal_is_what_it_would_have_been);
    tcase_add_test(tcase, a_deadline_that_is_missed_by_both_says_so);
    tcase_add_test(tcase, beside_a_sidecar_the_copy_says_its_age);
    tcase_add_test(tcase, who_is_late_is_overtaken);
    tcase_add_test(tcase, who_is_late_is_overtaken_after_a_second_while_little_is_known);
    tcase_add_test(tcase, a_copy_that_cannot_answer_overtakes_nobody);
    tcase_add_test(tcase, who_was_overtaken_is_compared);
    tcase_add_test(tcase, who_is_second_by_a_hair_is_compared);
    tcase_add_test(tcase, a_copy_that_differs_is_given_up);
    tcase_add_test(tcase, a_copy_that_differs_is_not_kept_for_bad_times);
    tcase_add_test(tcase, a_write_in_between_says_nothing);
    tcase_add_test(tcase, a_write_all_the_time_says_nothing);
    tcase_add_test(tcase, a_write_before_says_nothing);
    tcase_add_test(tcase, what_does_not_come_is_not_compared);
    tcase_add_test(tcase, a_pause_waits_for_what_is_compared);
    tcase_add_test(tcase, a_sample_is_compared);
    tcase_add_test(tcase, a_long_answer_is_not_compared);
    tcase_add_test(tcase, a_hedge_becomes_a_fallback);
    tcase_add_test(tcase, either_may_win_by_a_hair);
    tcase_add_test(tcase, a_flood_is_bounded_and_all_are_answered);
    tcase_add_test(tcase, a_client_may_leave_at_any_time);
    tcase_add_test(tcase, the_proxy_may_end_at_any_time);
    return check_main("flow_mirror_path", tcase);
}
