/* What must hold, beside what the simulation in tests/flow watches: nothing waits without need,
 * clients are gathered where they come back and nowhere else, offenders go alone for a while,
 * limits that were met are learned, large requests go in parts, long queues stay cheap. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "support/check_main.h"
#include "writes/coalescer.h"

static struct coalescer        *coalescer;
static struct coalescer_options options;
static uint64_t                 now_us, seen_answers, seen_refusals;
static enum coalescer_executed  seen_executed;

static const unsigned char lane_a[16] = "lane a", lane_b[16] = "lane b";

static void setup(void)
{
    options = (struct coalescer_options){
        .role = COALESCER_GATEWAY,
        .in_flight_max = 1,
        .batch_bytes_max = 8 << 20,
        .patience_us = 60000000,
        .members_max = 100000,
        .lanes_max = 1000,
    };
    now_us = 1000000;
    seen_answers = seen_refusals = 0;
    coalescer = coalescer_new(&options);
    coalescer_learn_dimension(coalescer, lane_a, 3);
    coalescer_learn_dimension(coalescer, lane_b, 3);
}

static void teardown(void)
{
    coalescer_free(coalescer);
}

static void renew(void)
{
    coalescer_free(coalescer);
    coalescer = coalescer_new(&options);
    coalescer_learn_dimension(coalescer, lane_a, 3);
    coalescer_learn_dimension(coalescer, lane_b, 3);
}

/* A one-record upsert of an id of its own; the caller changes what matters to him. */
static struct coalescer_write upsert(const unsigned char *lane, const struct bytes *id)
{
    struct coalescer_write write = {
        .kind = COALESCER_MERGEABLE,
        .op = COALESCER_UPSERT,
        .encoding = COALESCER_ARRAYS,
        .dimension = 3,
        .repeatable = true,
        .batch_key = BYTES_LITERAL("POST /upsert"),
        .identity = BYTES_LITERAL("somebody"),
        .ids = id,
        .record_count = 1,
        .size = 100,
        .deadline_us = now_us + 120000000,
        .ctx = &now_us,
    };

    memcpy(write.lane, lane, sizeof write.lane);
    return write;
}

static void add_of(const unsigned char *lane, uint32_t id, void *ctx)
{
    struct bytes           bytes = {.data = (const char *)&id, .size = sizeof id};
    struct coalescer_write write = upsert(lane, &bytes);

    write.ctx = ctx;
    ck_assert_int_eq(coalescer_add(coalescer, &write, now_us), STATUS_OK);
}

static void add(const unsigned char *lane, uint32_t id)
{
    add_of(lane, id, &now_us);
}

/* Take actions; the batch to be sent, NULL if none. */
static struct coalescer_batch *pump(void)
{
    struct coalescer_action action;

    do {
        coalescer_next(coalescer, now_us, &action);
        seen_answers += action.kind == COALESCER_ANSWER;
        seen_refusals += action.kind == COALESCER_REFUSE;
        if (action.kind == COALESCER_ANSWER || action.kind == COALESCER_REFUSE)
            seen_executed = action.executed;
    } while (action.kind != COALESCER_NONE && action.kind != COALESCER_SEND);
    return action.kind == COALESCER_SEND ? action.batch : NULL;
}

/* The batch that is sent now, or when its clients were waited for. */
static struct coalescer_batch *next_batch(void)
{
    struct coalescer_batch *batch = pump();

    while (batch == NULL) {
        ck_assert_uint_ne(coalescer_wake_us(coalescer), UINT64_MAX);
        now_us = coalescer_wake_us(coalescer);
        batch = pump();
    }
    return batch;
}

static void report(struct coalescer_batch *batch, int http_status)
{
    struct coalescer_outcome outcome = {.kind = COALESCER_ANSWERED, .http_status = http_status};

    coalescer_report(coalescer, batch, &outcome, now_us);
}

START_TEST(a_lone_writer_never_waits)
{
    for (uint32_t i = 0; i < 100; i++) {
        struct coalescer_batch *batch;

        add(lane_a, i);
        batch = pump();
        ck_assert_ptr_nonnull(batch);
        ck_assert_uint_eq(coalescer_batch_count(batch), 1);
        ck_assert_ptr_null(pump());
        now_us += 5000;
        report(batch, 200);
        ck_assert_ptr_null(pump());
        now_us += i % 3 * 100; /* comes back at once, or soon */
    }
    ck_assert_uint_eq(seen_answers, 100);
    ck_assert_uint_eq(coalescer_stats(coalescer)->gathers, 0);
}
END_TEST

START_TEST(what_waits_while_one_is_in_flight_goes_together)
{
    struct coalescer_batch *first, *second;

    add(lane_a, 0);
    first = pump();
    for (uint32_t i = 1; i <= 50; i++)
        add(lane_a, i);
    ck_assert_ptr_null(pump());
    report(first, 200);
    second = pump();
    ck_assert_uint_eq(coalescer_batch_count(second), 50);
    ck_assert_uint_eq(coalescer_stats(coalescer)->batch_requests[COALESCER_UPSERT][6], 1);
    report(second, 200);
    ck_assert_ptr_null(pump());
    ck_assert_uint_eq(seen_answers, 51);
    ck_assert(coalescer_is_idle(coalescer));
}
END_TEST

struct closed_loop {
    uint32_t clients;
    uint64_t back_us;    /* from an answer to the next write of the first of them, */
    uint64_t spacing_us; /* and from each to the next */
    double   fixed_us, record_us;
};

/* Closed-loop writers of one record. Records per second over the last half of 200 calls. */
static double closed_loop(const struct closed_loop *loop)
{
    enum { CALLS = 200 };
    uint64_t                comes_us[512], ends_us = UINT64_MAX, half_us = now_us, records = 0;
    struct coalescer_batch *batch = NULL, *sent;
    uint32_t                next_id = 0;

    for (uint32_t i = 0; i < loop->clients; i++)
        comes_us[i] = now_us + i;
    for (uint32_t call = 0; call < CALLS;) {
        uint64_t next_us = coalescer_wake_us(coalescer);

        next_us = ends_us < next_us ? ends_us : next_us;
        for (uint32_t i = 0; i < loop->clients; i++)
            next_us = comes_us[i] < next_us ? comes_us[i] : next_us;
        now_us = next_us > now_us ? next_us : now_us;
        if (now_us >= ends_us) {
            for (size_t i = 0; i < coalescer_batch_count(batch); i++)
                *(uint64_t *)coalescer_batch_member(batch, i) =
                    now_us + loop->back_us + loop->spacing_us * i;
            records += call >= CALLS / 2 ? coalescer_batch_count(batch) : 0;
            if (++call == CALLS / 2)
                half_us = now_us;
            report(batch, 200);
            ends_us = UINT64_MAX;
        }
        for (uint32_t i = 0; i < loop->clients; i++) {
            if (comes_us[i] <= now_us) {
                add_of(lane_a, next_id++, &comes_us[i]);
                comes_us[i] = UINT64_MAX;
            }
        }
        while ((sent = pump()) != NULL) {
            batch = sent;
            ends_us = now_us + (uint64_t)(loop->fixed_us +
                                          loop->record_us * (double)coalescer_batch_count(batch));
        }
    }
    return (double)records * 1e6 / (double)(now_us - half_us);
}

/* The aim is 85 % of what one client reaches with hand-made batches: of 64 for 64 clients, of the
 * best size for 256. The costs are those of a quiet 2-core machine. */
START_TEST(closed_loops_come_near_to_hand_made_batches)
{
    static const struct {
        struct closed_loop loop;
        double             hand_made; /* records in a batch */
    } rows[] = {
        {{2, 100, 30, 7000, 340}, 2},      {{16, 100, 30, 7000, 340}, 16},
        {{64, 100, 5, 7000, 340}, 64},     {{64, 100, 30, 7000, 340}, 64},
        {{64, 500, 20, 7000, 340}, 64},    {{256, 100, 5, 7000, 340}, 500},
        {{256, 100, 30, 7000, 340}, 500},  {{500, 100, 30, 7000, 340}, 500},
        {{64, 100, 30, 35000, 1300}, 64},  {{256, 100, 30, 35000, 1300}, 250},
        {{64, 100, 30, 170000, 1300}, 64},
    };
    const struct closed_loop *loop = &rows[_i].loop;
    double                    best =
        rows[_i].hand_made * 1e6 / (loop->fixed_us + loop->record_us * rows[_i].hand_made);

    ck_assert_double_ge(closed_loop(loop), 0.85 * best);
}
END_TEST

/* Not batches of one and all but one in turn, from the start. */
START_TEST(one_return_is_enough_to_gather_the_next)
{
    struct coalescer_batch *batch;

    add(lane_a, 0);
    batch = pump();
    for (uint32_t i = 1; i < 64; i++)
        add(lane_a, i);
    report(batch, 200);
    batch = pump();
    ck_assert_uint_eq(coalescer_batch_count(batch), 63);
    add(lane_a, 64); /* the first client is back */
    now_us += 30000;
    report(batch, 200);
    ck_assert_ptr_null(pump());
    for (uint32_t i = 65; i < 65 + 63; i++)
        add(lane_a, i);
    batch = pump();
    ck_assert_ptr_nonnull(batch);
    ck_assert_uint_eq(coalescer_batch_count(batch), 64);
}
END_TEST

START_TEST(clients_that_come_back_are_gathered)
{
    closed_loop(&(struct closed_loop){64, 300, 2, 10000, 300});
    ck_assert_uint_gt(coalescer_stats(coalescer)->gathers, 100);
}
END_TEST

START_TEST(clients_that_do_not_come_back_are_not_waited_for_again)
{
    closed_loop(&(struct closed_loop){8, 50000, 2, 10000, 300});
    ck_assert_uint_le(coalescer_stats(coalescer)->gathers, 1); /* of 200 calls */
}
END_TEST

START_TEST(who_was_refused_goes_alone_for_a_while)
{
    struct coalescer_batch *batch;

    add(lane_a, 0);
    report(next_batch(), 400);
    for (uint64_t penalty_us = 1000000; penalty_us <= 2000000; penalty_us *= 2) {
        add(lane_a, 1);
        batch = next_batch();
        add(lane_a, 2);
        add(lane_a, 3);
        now_us += penalty_us - 1;
        report(batch, 200);
        batch = next_batch();
        ck_assert_uint_eq(coalescer_batch_count(batch), 1);
        now_us += 1;
        add(lane_a, 4);
        report(batch, 200);
        batch = next_batch();
        ck_assert_uint_eq(coalescer_batch_count(batch), 2);
        report(batch, 400); /* splits; the second single is refused again */
        report(next_batch(), 200);
        report(next_batch(), 400);
        ck_assert_ptr_null(pump());
    }
    ck_assert_uint_eq(coalescer_stats(coalescer)->offences, 3);
    ck_assert_uint_eq(coalescer_stats(coalescer)->batch_splits, 2);
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

START_TEST(a_batch_too_large_teaches_its_limit)
{
    struct coalescer_batch *batch;

    add(lane_a, 0);
    batch = pump();
    for (uint32_t i = 1; i <= 100; i++)
        add(lane_a, i);
    report(batch, 200);
    report(pump(), 413);
    report(pump(), 200); /* the halves */
    batch = pump();
    for (uint32_t i = 200; i < 300; i++)
        add(lane_a, i);
    report(batch, 200);
    ck_assert_uint_eq(coalescer_batch_count(next_batch()), 50);
}
END_TEST

START_TEST(a_write_is_not_sent_when_its_answer_would_come_too_late)
{
    struct bytes            ids[3] = {BYTES_LITERAL("a"), BYTES_LITERAL("b"), BYTES_LITERAL("c")};
    struct coalescer_batch *batch;

    add(lane_a, 0);
    batch = pump();
    for (size_t i = 0; i < 3; i++) {
        struct coalescer_write write = upsert(lane_a, &ids[i]);

        write.deadline_us = now_us + (i < 2 ? 105000 : 500000);
        ck_assert_int_eq(coalescer_add(coalescer, &write, now_us), STATUS_OK);
    }
    now_us += 100000;
    report(batch, 200);
    batch = next_batch();
    ck_assert_uint_eq(coalescer_batch_count(batch), 1);
    ck_assert_ptr_null(pump());
    ck_assert_uint_eq(seen_refusals, 2);
    ck_assert_int_eq(seen_executed, COALESCER_EXECUTED_NO);
}
END_TEST

/* However long a call takes: a call costs 300 ms and 5 ms for each record, and 400 writes come just
 * before one returns. */
START_TEST(who_has_just_come_is_not_late)
{
    struct coalescer_batch *batch;

    for (uint32_t i = 0; i < 300; i++) { /* teach the cost */
        uint32_t left = i % 2 == 0 ? 100 : 1;

        for (uint32_t k = 0; k < left; k++)
            add(lane_a, 1000000 + i * 1000 + k);
        while (left > 0) {
            batch = next_batch();
            left -= (uint32_t)coalescer_batch_count(batch);
            now_us += 300000 + 5000 * coalescer_batch_count(batch);
            report(batch, 200);
        }
    }
    add(lane_a, 0);
    batch = next_batch();
    now_us += 304000;
    for (uint32_t i = 1; i <= 400; i++) {
        struct bytes           id = {.data = (const char *)&i, .size = sizeof i};
        struct coalescer_write write = upsert(lane_a, &id);

        write.deadline_us = now_us + 3000000;
        ck_assert_int_eq(coalescer_add(coalescer, &write, now_us), STATUS_OK);
    }
    now_us += 1000;
    report(batch, 200);
    ck_assert_uint_gt(coalescer_batch_count(next_batch()), 1);
    ck_assert_uint_eq(seen_refusals, 0);
}
END_TEST

START_TEST(the_last_that_waits_is_sent_however_late)
{
    struct bytes            id = BYTES_LITERAL("a");
    struct coalescer_write  write;
    struct coalescer_batch *batch;

    add(lane_a, 0);
    batch = pump();
    write = upsert(lane_a, &id);
    write.deadline_us = now_us + 105000;
    ck_assert_int_eq(coalescer_add(coalescer, &write, now_us), STATUS_OK);
    now_us += 100000;
    report(batch, 200);
    ck_assert_uint_eq(coalescer_batch_count(next_batch()), 1);
    ck_assert_uint_eq(seen_refusals, 0);
}
END_TEST

START_TEST(a_half_stays_apart_when_its_last_member_expires)
{
    struct coalescer_outcome refused = {.kind = COALESCER_NOT_SENT};
    struct coalescer_batch  *batch;

    add(lane_a, 0);
    batch = pump();
    for (uint32_t i = 1; i <= 4; i++) {
        struct bytes           id = {.data = (const char *)&i, .size = sizeof i};
        struct coalescer_write write = upsert(lane_a, &id);

        write.deadline_us = now_us + (i == 2 ? 1 : 1000000);
        ck_assert_int_eq(coalescer_add(coalescer, &write, now_us), STATUS_OK);
    }
    report(batch, 200);
    report(pump(), 400);
    batch = pump();
    ck_assert_uint_eq(coalescer_batch_count(batch), 2);
    coalescer_report(coalescer, batch, &refused, now_us);
    ck_assert_ptr_null(pump()); /* backs off */
    now_us += 1;
    ck_assert_ptr_null(pump());
    ck_assert_uint_eq(seen_refusals, 1);
    ck_assert_int_eq(seen_executed, COALESCER_EXECUTED_NO);
    now_us = coalescer_wake_us(coalescer);
    batch = pump();
    ck_assert_uint_eq(coalescer_batch_count(batch), 1);
    ck_assert_uint_eq(coalescer_batch_attempt(batch), 2);
}
END_TEST

/* A proxy behind that will say the same again and again. */
START_TEST(a_refusal_that_is_not_of_admission_is_passed_on)
{
    static const int         statuses[] = {431, 501, 505, 508};
    struct coalescer_outcome outcome = {
        .kind = COALESCER_ANSWERED, .http_status = statuses[_i], .admission_refusal = true};
    struct coalescer_batch *batch;

    add(lane_a, 0);
    batch = pump();
    coalescer_report(coalescer, batch, &outcome, now_us);
    ck_assert_ptr_null(pump());
    ck_assert_uint_eq(seen_answers, 1);
    ck_assert(coalescer_is_idle(coalescer));
}
END_TEST

/* Seven records where Chroma takes three. */
static void add_oversize(void)
{
    struct bytes           ids[7];
    struct coalescer_write write;

    options.backend_records_max = 3;
    options.split_oversize = true;
    renew();
    for (size_t i = 0; i < COUNT_OF(ids); i++)
        ids[i] = bytes_skip(BYTES_LITERAL("abcdefg"), i);
    write = upsert(lane_a, ids);
    write.record_count = COUNT_OF(ids);
    ck_assert_int_eq(coalescer_add(coalescer, &write, now_us), STATUS_OK);
}

START_TEST(parts_that_are_done_are_not_sent_again_under_a_new_limit)
{
    uint32_t first, count;

    add_oversize();
    report(pump(), 200);
    coalescer_set_backend(coalescer, 1, 5461);
    ck_assert(coalescer_batch_is_part(next_batch(), &first, &count));
    ck_assert(first == 3 && count == 4);
}
END_TEST

START_TEST(a_large_request_goes_in_parts)
{
    struct coalescer_batch *batch;
    uint32_t                first, count;

    add_oversize();
    for (uint32_t expected = 0; expected < 6; expected += 3) {
        batch = pump();
        ck_assert(coalescer_batch_is_part(batch, &first, &count));
        ck_assert_uint_eq(first, expected);
        ck_assert_uint_eq(count, 3);
        report(batch, 200);
    }
    batch = pump();
    ck_assert(coalescer_batch_is_part(batch, &first, &count));
    ck_assert_uint_eq(first, 6);
    ck_assert_uint_eq(count, 1);
    report(batch, 400); /* gets this answer; the other parts are applied */
    ck_assert_ptr_null(pump());
    ck_assert_uint_eq(seen_answers, 1);
    ck_assert_int_eq(seen_executed, COALESCER_EXECUTED_MAYBE);
}
END_TEST

START_TEST(a_hung_write_holds_its_lane_and_lends_its_slot)
{
    struct coalescer_batch       *hung, *other;
    const struct coalescer_stats *stats;

    add(lane_a, 0);
    hung = pump();
    add(lane_a, 1);
    add(lane_b, 2);
    ck_assert_ptr_null(pump());
    now_us += options.patience_us;
    ck_assert_uint_le(coalescer_wake_us(coalescer), now_us);
    other = pump();
    ck_assert_ptr_nonnull(other);
    stats = coalescer_stats(coalescer);
    ck_assert_uint_eq(stats->hung, 1);
    ck_assert_uint_eq(stats->held_lanes, 1);
    ck_assert_uint_eq(stats->in_flight, 2);
    report(other, 200);
    ck_assert_ptr_null(pump());
    now_us += 60000000; /* the deadline of all three */
    ck_assert_ptr_null(pump());
    ck_assert_uint_eq(seen_refusals, 2);
    report(hung, 200); /* the late answer frees the lane, nothing else */
    ck_assert_ptr_null(pump());
    ck_assert_uint_eq(seen_answers, 1);
    ck_assert(coalescer_is_idle(coalescer));
}
END_TEST

START_TEST(it_can_be_freed_at_any_moment)
{
    unsigned char lane[16] = {0};

    options.lanes_max = 2;
    options.in_flight_max = 2;
    options.patience_us = 1000;
    for (uint32_t steps = 0; steps < 40; steps++) {
        struct coalescer_batch *batches[40];
        size_t                  count = 0;

        coalescer_free(coalescer);
        coalescer = coalescer_new(&options);
        for (uint32_t i = 0; i < steps; i++) {
            uint32_t               id = i / 2;
            struct bytes           bytes = {.data = (const char *)&id, .size = sizeof id};
            struct coalescer_write write;

            lane[0] = (unsigned char)(i * 7 % 3);
            write = upsert(lane, &bytes);
            write.deadline_us = now_us + 300 * (1 + i % 9);
            if (coalescer_add(coalescer, &write, now_us) != STATUS_OK)
                now_us += 100;
            now_us += 50;
            if ((batches[count] = i % 3 == 0 ? pump() : NULL) != NULL)
                count++;
            else if (count > 0 && i % 4 == 0)
                report(batches[--count], i % 8 == 0 ? 200 : 500);
        }
    }
}
END_TEST

START_TEST(long_queues_are_cheap)
{
    enum { MEMBERS = 20000 };
    struct coalescer_batch *batch;
    struct timespec         begin, end;
    uint64_t                sent = 1;

    options.batch_records_max = 100;
    renew();
    clock_gettime(CLOCK_MONOTONIC, &begin);
    add(lane_a, UINT32_MAX);
    batch = pump();
    for (uint32_t i = 0; i < MEMBERS; i++) {
        struct bytes           id = {.data = (const char *)&i, .size = sizeof i};
        struct coalescer_write write = upsert(lane_a, &id);

        /* The worst: two operations take turns, and all are looked at for each batch. */
        write.op = i % 2 == 0 ? COALESCER_UPSERT : COALESCER_ADD;
        ck_assert_int_eq(coalescer_add(coalescer, &write, now_us), STATUS_OK);
    }
    for (; batch != NULL; batch = pump()) {
        now_us += 1000;
        report(batch, 200);
        sent++;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    ck_assert_uint_eq(seen_answers, MEMBERS + 1);
    ck_assert_uint_le(sent, 202 + 1);
    ck_assert_int_le(end.tv_sec - begin.tv_sec, 3);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("coalescer");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_lone_writer_never_waits);
    tcase_add_test(tcase, what_waits_while_one_is_in_flight_goes_together);
    tcase_add_loop_test(tcase, closed_loops_come_near_to_hand_made_batches, 0, 11);
    tcase_add_test(tcase, one_return_is_enough_to_gather_the_next);
    tcase_add_test(tcase, clients_that_come_back_are_gathered);
    tcase_add_test(tcase, clients_that_do_not_come_back_are_not_waited_for_again);
    tcase_add_test(tcase, who_was_refused_goes_alone_for_a_while);
    tcase_add_test(tcase, one_poison_in_64_costs_few_calls);
    tcase_add_test(tcase, a_batch_too_large_teaches_its_limit);
    tcase_add_test(tcase, a_write_is_not_sent_when_its_answer_would_come_too_late);
    tcase_add_test(tcase, who_has_just_come_is_not_late);
    tcase_add_test(tcase, the_last_that_waits_is_sent_however_late);
    tcase_add_test(tcase, a_half_stays_apart_when_its_last_member_expires);
    tcase_add_loop_test(tcase, a_refusal_that_is_not_of_admission_is_passed_on, 0, 4);
    tcase_add_test(tcase, parts_that_are_done_are_not_sent_again_under_a_new_limit);
    tcase_add_test(tcase, a_large_request_goes_in_parts);
    tcase_add_test(tcase, a_hung_write_holds_its_lane_and_lends_its_slot);
    tcase_add_test(tcase, it_can_be_freed_at_any_moment);
    tcase_add_test(tcase, long_queues_are_cheap);
    return check_main("coalescer", tcase);
}
