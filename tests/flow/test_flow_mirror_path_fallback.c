/* A Chroma that is lost, fails, hangs or is late is stood in for by its copy, until another one may
 * hold something else; over a fake copy. */
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "flow/fake_mirror_copy.h"
#include "flow/mirror_path_world.h"
#include "io/clock.h"
#include "io/sha256.h"
#include "limits/key_ring.h"
#include "limits/key_text.h"
#include "support/check_main.h"

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

static void begin_lost(void)
{
    start_in(PROXY_MIRROR_PREFER);
    flow_world_lose(&world, 2);
    read_delay_us = 100000; /* the first one looks whether it is back */
    expect_mirror(ask(JSON));
    read_delay_us = 1000;
}

/* What it held counts, and whom it has served, until another one is reached. */
START_TEST(a_chroma_that_is_lost_is_stood_in_for_until_another_is_reached)
{
    start_in(PROXY_MIRROR_FALLBACK);
    expect_chroma(ask(JSON TOKEN));
    flow_backend_kill(&world.backend);
    fake_net_set_mode(FAKE_NET_REFUSE);
    flow_world_lose(&world, 2);
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
    flow_world_lose(&world, 2);
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

    begin_lost();
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

    begin_lost();
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
    flow_world_lose(&world, 2);
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

/* Where none is needed it says nothing of what else is shown, which a layer before Chroma may
 * judge. */
START_TEST(a_key_that_nobody_needs_opens_no_copy)
{
    char                      text[KEY_TEXT_SIZE], fields[2][200];
    struct key_ring          *ring = ring_of_one_key(text);
    struct proxy_auth_options keys = {.keys = ring};

    for (size_t i = 0; i < 2; i++)
        snprintf(fields[i], sizeof fields[i], JSON "Cookie: of=%zu\r\nAuthorization: Bearer %s\r\n",
                 i, text);
    start_in(PROXY_MIRROR_PREFER);
    ck_assert_int_eq(proxy_set_auth(world.proxy, &keys), STATUS_OK);
    expect_chroma(ask(fields[0]));
    expect_mirror(ask(fields[0]));
    keys.is_required = true;
    ck_assert_int_eq(proxy_set_auth(world.proxy, &keys), STATUS_OK);
    expect_mirror(ask(fields[1]));
    key_ring_drop(ring);
}
END_TEST

/* Nor the one that is being made for it. */
START_TEST(a_key_that_is_revoked_while_its_copy_answers_is_refused)
{
    char                      text[KEY_TEXT_SIZE], fields[200];
    struct key_ring          *ring = ring_of_one_key(text);
    struct proxy_auth_options keys = {.keys = ring, .is_required = true};
    struct flow_client       *clients[10];
    unsigned                  waited = 0;

    start_in(PROXY_MIRROR_PREFER);
    ck_assert_int_eq(proxy_set_auth(world.proxy, &keys), STATUS_OK);
    snprintf(fields, sizeof fields, JSON "Authorization: Bearer %s\r\n", text);
    expect_mirror(ask(fields)); /* its name is known now */
    for (size_t i = 0; i < COUNT_OF(clients); i++) {
        clients[i] = flow_world_client(&world);
        send_get(clients[i], fields);
    }
    flow_world_run_ms(&world, 2);
    keys.keys = key_ring_new();
    ck_assert_int_eq(proxy_set_auth(world.proxy, &keys), STATUS_OK);
    for (size_t i = 0; i < COUNT_OF(clients); i++) {
        bool was_answered = clients[i]->answer_count > 0;

        ck_assert(flow_world_run_to_answers(&world, clients[i], 1));
        if (!was_answered)
            flow_world_expect(clients[i], 401);
        waited += !was_answered;
    }
    ck_assert_uint_gt(waited, 0);
    key_ring_drop(ring);
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

/* It has no such collection. */
START_TEST(who_refuses_what_is_asked_while_it_is_lost_is_another_one)
{
    struct flow_client *client;

    begin_lost();
    exists = false;
    if (_i == 0) {
        client = ask(JSON "Cache-Control: no-store\r\n");
    } else {
        client = flow_world_client(&world);
        send_upsert(client, "new");
        ck_assert(flow_world_run_to_answers(&world, client, 1));
    }
    flow_world_expect(client, 404);
    flow_world_expect(ask(JSON), 404);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("mirror_path_fallback");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, prepare, end);
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
    tcase_add_test(tcase, a_key_that_nobody_needs_opens_no_copy);
    tcase_add_test(tcase, a_key_that_is_revoked_while_its_copy_answers_is_refused);
    tcase_add_test(tcase, a_wait_for_a_turn_ends_in_an_answer);
    tcase_add_test(tcase, what_would_be_shed_is_answered);
    tcase_add_test(tcase, a_deadline_of_the_client_is_met);
    tcase_add_test(tcase, an_open_breaker_leads_to_the_copy);
    tcase_add_test(tcase, without_a_copy_the_refusal_is_what_it_would_have_been);
    tcase_add_test(tcase, a_deadline_that_is_missed_by_both_says_so);
    tcase_add_test(tcase, beside_a_sidecar_the_copy_says_its_age);
    tcase_add_loop_test(tcase, who_refuses_what_is_asked_while_it_is_lost_is_another_one, 0, 2);
    return check_main("flow_mirror_path_fallback", tcase);
}
