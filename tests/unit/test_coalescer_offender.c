/* What must hold: who costs others a split goes alone for a while, and nobody else does. */
#include <stdio.h>

#include "support/check_main.h"
#include "unit/coalescer_bed.h"

static void add_from(const char *sender, const char *address, uint32_t id, uint32_t dimension)
{
    struct bytes           bytes = {.data = (const char *)&id, .size = sizeof id};
    struct coalescer_write write = upsert(lane_a, &bytes);

    write.sender = bytes_of(sender);
    write.address = bytes_of(address);
    write.dimension = dimension;
    ck_assert_int_eq(coalescer_add(coalescer, &write, now_us), STATUS_OK);
}

/* `bad` and `good` write while a call is in flight; returns what they share, 1 or 2. */
static size_t shared_by(const char *bad, const char *good, const char *address)
{
    static uint32_t         id = 1000;
    struct coalescer_batch *batch;
    size_t                  count;

    add_from("a third one", "elsewhere", id++, 3);
    batch = next_batch();
    add_from(bad, address, id++, 3);
    add_from(good, address, id++, 3);
    report(batch, 200);
    batch = next_batch();
    count = coalescer_batch_count(batch);
    report(batch, 200);
    if (count == 1)
        report(next_batch(), 200);
    ck_assert_ptr_null(pump());
    return count;
}

/* `bad` costs `good` a split. */
static void offend(const char *bad, const char *good, const char *address)
{
    static uint32_t         id = 500000;
    struct coalescer_batch *batch;

    add_from("a third one", "elsewhere", id++, 3);
    batch = next_batch();
    add_from(good, address, id++, 3);
    add_from(bad, address, id++, 3);
    report(batch, 200);
    batch = next_batch();
    ck_assert_uint_eq(coalescer_batch_count(batch), 2);
    report(batch, 400);
    report(next_batch(), 200);
    report(next_batch(), 400);
    ck_assert_ptr_null(pump());
}

START_TEST(who_costs_others_a_split_goes_alone_for_a_while)
{
    for (uint64_t penalty_us = 1000000; penalty_us <= 4000000; penalty_us *= 2) {
        offend("bad", "good", "host");
        now_us += penalty_us - 1;
        ck_assert_uint_eq(shared_by("bad", "good", "host"), 1);
        now_us += 1;
        ck_assert_uint_eq(shared_by("bad", "good", "host"), 2);
    }
    ck_assert_uint_eq(coalescer_stats(coalescer)->offences, 3);
    ck_assert_uint_eq(coalescer_stats(coalescer)->batch_splits, 3);
}
END_TEST

START_TEST(others_of_an_offenders_address_go_on_together)
{
    offend("bad", "good", "host");
    ck_assert_uint_eq(shared_by("bad", "good", "host"), 1);
    ck_assert_uint_eq(shared_by("one", "other", "host"), 2);
}
END_TEST

START_TEST(an_address_counts_while_more_than_a_tenth_of_the_calls_are_split)
{
    char sender[16];

    /* Each on a new connection: of four calls one is split. */
    for (uint32_t i = 0; i < 100; i++) {
        snprintf(sender, sizeof sender, "bad %u", i);
        offend(sender, "good", i < 99 ? "" : "host");
    }
    ck_assert_uint_eq(shared_by("one", "other", "host"), 1);
    ck_assert_uint_eq(shared_by("one", "other", "another host"), 2);
}
END_TEST

START_TEST(who_is_refused_alone_has_offended_nobody)
{
    for (uint32_t i = 0; i < 5; i++) {
        add_from("bad", "host", i, i < 3 ? 3 : 4);
        report(next_batch(), 400);
        ck_assert_ptr_null(pump());
    }
    ck_assert_uint_eq(coalescer_stats(coalescer)->offences, 0);
    ck_assert_uint_eq(shared_by("bad", "good", "host"), 2);
}
END_TEST

START_TEST(a_batch_that_was_too_large_is_nobodys_offence)
{
    struct coalescer_batch *batch;

    add_from("a third one", "elsewhere", 0, 3);
    batch = next_batch();
    add_from("good", "host", 1, 3);
    add_from("bad", "host", 2, 3);
    report(batch, 200);
    report(next_batch(), 413);
    report(next_batch(), 200);
    report(next_batch(), 400);
    ck_assert_ptr_null(pump());
    ck_assert_uint_eq(coalescer_stats(coalescer)->offences, 0);
}
END_TEST

static void report_apart(struct coalescer_batch *batch)
{
    coalescer_report(coalescer, batch, &(struct coalescer_outcome){.kind = COALESCER_APART},
                     now_us);
}

/* Nothing was sent, so nothing was learned: not of its members, not of its size. */
START_TEST(a_batch_that_is_taken_apart_is_nobodys_offence_and_teaches_nothing)
{
    struct coalescer_batch *batch;

    add(lane_b, 0);
    batch = pump();
    for (uint32_t i = 0; i < 40; i++)
        add_from(i == 0 ? "bad" : "good", "host", i, 3);
    report(batch, 200);
    report_apart(next_batch());
    batch = next_batch(); /* the halves, */
    ck_assert_uint_eq(coalescer_batch_count(batch), 20);
    report_apart(batch);
    batch = next_batch();
    ck_assert_uint_eq(coalescer_batch_count(batch), 10);
    report(batch, 200);
    report(next_batch(), 200);
    report(next_batch(), 200);
    ck_assert_ptr_null(pump());
    ck_assert_uint_eq(seen_answers, 41);
    ck_assert_uint_eq(coalescer_stats(coalescer)->batch_splits, 0);
    add(lane_b, 0);
    batch = pump();
    for (uint32_t i = 100; i < 140; i++)
        add_from(i == 100 ? "bad" : "good", "host", i, 3);
    report(batch, 200);
    batch = next_batch();
    ck_assert_uint_eq(coalescer_batch_count(batch), 40); /* and as many as before */
    while (coalescer_batch_count(batch) > 1) {
        report_apart(batch);
        batch = next_batch();
    }
    report(batch, 400); /* alone, as it would have been by itself */
    ck_assert_ptr_nonnull(next_batch());
    ck_assert_uint_eq(coalescer_stats(coalescer)->offences, 0);
}
END_TEST

/* Old servers in Python say 500 where their validation refuses. */
START_TEST(a_refusal_is_one_whatever_its_status)
{
    const struct coalescer_outcome refusal = {
        .kind = COALESCER_ANSWERED, .http_status = 500, .is_refusal = true};
    struct coalescer_batch *batch;

    add(lane_b, 0);
    batch = pump();
    add_from("good", "host", 1, 3);
    add_from("bad", "host", 2, 3);
    report(batch, 200);
    coalescer_report(coalescer, next_batch(), &refusal, now_us);
    report(next_batch(), 200);
    coalescer_report(coalescer, next_batch(), &refusal, now_us);
    ck_assert_ptr_null(pump());
    ck_assert_uint_eq(seen_answers, 3);
    ck_assert_int_eq(seen_executed, COALESCER_EXECUTED_UNSAID);
    ck_assert_uint_eq(coalescer_stats(coalescer)->unknown, 0);
    ck_assert_uint_eq(coalescer_stats(coalescer)->offences, 1);
}
END_TEST

/* One writes once a second what Chroma refuses, beside 31 who write all the time. `is_seen`: its
 * dimension is wrong, which is seen beforehand. Records that the others write in 60 s. */
static uint64_t beside_an_offender(bool is_there, bool is_seen)
{
    enum { OTHERS = 31 };
    struct coalescer_batch *batch = NULL;
    uint64_t                records = 0, begin_us = now_us, bad_us = now_us, ends_us = 0;
    uint32_t                id = 0;
    char                    sender[16];

    for (uint32_t i = 0; i < OTHERS; i++)
        add_from("first", "host", id++, 3);
    while (now_us < begin_us + 60000000) {
        size_t count, bad = 0;

        if (is_there && now_us >= bad_us) {
            struct bytes           bytes = {.data = (const char *)&id, .size = sizeof id};
            struct coalescer_write write = upsert(lane_a, &bytes);

            id++;
            write.sender = BYTES_LITERAL("bad");
            write.address = BYTES_LITERAL("host");
            write.dimension = is_seen ? 4 : 3;
            write.ctx = &bad_us;
            ck_assert_int_eq(coalescer_add(coalescer, &write, now_us), STATUS_OK);
            bad_us = now_us + 1000000;
        }
        batch = next_batch();
        count = coalescer_batch_count(batch);
        ends_us = now_us + 7000 + 340 * count;
        for (size_t i = 0; i < count; i++)
            bad += coalescer_batch_member(batch, i) == &bad_us;
        now_us = ends_us;
        report(batch, bad > 0 ? 400 : 200);
        for (size_t i = 0; bad == 0 && i < count; i++) {
            snprintf(sender, sizeof sender, "good %u", id % OTHERS);
            add_from(sender, "host", id++, 3);
            records++;
        }
    }
    return records;
}

START_TEST(an_offender_costs_others_a_few_percent_of_their_calls)
{
    uint64_t alone = beside_an_offender(false, false), beside;

    renew();
    beside = beside_an_offender(true, _i == 1);
    ck_assert_uint_gt(beside * 100, alone * 95);
}
END_TEST

START_TEST(one_poison_in_64_costs_few_calls)
{
    struct coalescer_batch *batch;
    uint32_t                calls = 0;

    options.batch_records_max = 64;
    renew();
    add(lane_b, 0);
    batch = pump();
    for (uint32_t i = 0; i < 64; i++) {
        struct bytes           id = {.data = (const char *)&i, .size = sizeof i};
        struct coalescer_write write = upsert(lane_a, &id);

        write.ctx = i == 41 ? (void *)&calls : (void *)&now_us;
        ck_assert_int_eq(coalescer_add(coalescer, &write, now_us), STATUS_OK);
    }
    report(batch, 200);
    while ((batch = pump()) != NULL) {
        bool is_poisoned = false;

        calls++;
        for (size_t i = 0; i < coalescer_batch_count(batch); i++)
            is_poisoned = is_poisoned || coalescer_batch_member(batch, i) == &calls;
        report(batch, is_poisoned ? 400 : 200);
    }
    ck_assert_uint_eq(seen_answers, 65);
    ck_assert_uint_le(calls, 1 + 12);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("coalescer_offender");

    tcase_add_checked_fixture(tcase, coalescer_bed_setup, coalescer_bed_teardown);
    tcase_add_test(tcase, who_costs_others_a_split_goes_alone_for_a_while);
    tcase_add_test(tcase, others_of_an_offenders_address_go_on_together);
    tcase_add_test(tcase, an_address_counts_while_more_than_a_tenth_of_the_calls_are_split);
    tcase_add_test(tcase, who_is_refused_alone_has_offended_nobody);
    tcase_add_test(tcase, a_batch_that_was_too_large_is_nobodys_offence);
    tcase_add_test(tcase, a_batch_that_is_taken_apart_is_nobodys_offence_and_teaches_nothing);
    tcase_add_test(tcase, a_refusal_is_one_whatever_its_status);
    tcase_add_loop_test(tcase, an_offender_costs_others_a_few_percent_of_their_calls, 0, 2);
    tcase_add_test(tcase, one_poison_in_64_costs_few_calls);
    return check_main("coalescer_offender", tcase);
}
