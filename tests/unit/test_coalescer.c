/* What must hold, beside what the simulation in tests/flow watches: nothing waits without need,
 * clients are gathered where they come back and nowhere else, each has its part of a call, long
 * queues stay cheap. */
#include <time.h>

#include "support/check_main.h"
#include "unit/coalescer_bed.h"

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
    ck_assert_uint_eq(coalescer_stats(coalescer)->unfinished, 0);
}
END_TEST

static void add_of_flow(uint32_t flow, uint32_t id, const char *key)
{
    struct bytes           bytes = {.data = (const char *)&id, .size = sizeof id};
    struct coalescer_write write = upsert(lane_a, &bytes);

    write.flow = flow;
    write.batch_key = bytes_of(key);
    write.ctx = (void *)(uintptr_t)id;
    ck_assert_int_eq(coalescer_add(coalescer, &write, now_us), STATUS_OK);
}

static uint32_t count_between(const struct coalescer_batch *batch, uint32_t from, uint32_t to)
{
    uint32_t count = 0;

    for (size_t i = 0; i < coalescer_batch_count(batch); i++) {
        uint32_t id = (uint32_t)(uintptr_t)coalescer_batch_member(batch, i);

        count += id >= from && id < to;
    }
    return count;
}

/* In one lane each flow has its part of a call, and what may not share one goes before what is in
 * front of it, but not before a write of its own id. */
START_TEST(what_one_flow_has_piled_up_stops_no_other)
{
    struct coalescer_batch *batch;
    bool                    wants[4] = {false};

    options.batch_records_max = 8;
    renew();
    for (uint32_t i = 100; i < 200; i++)
        add_of_flow(0, i, "POST /upsert");
    for (uint32_t i = 200; i < 206; i++)
        add_of_flow(1, i, "POST /upsert");
    add_of_flow(2, 300, "POST /upsert, as another");
    add_of_flow(3, 199, "POST /upsert, as another");
    batch = pump();
    ck_assert_uint_eq(count_between(batch, 100, 200), 4);
    ck_assert_uint_eq(count_between(batch, 200, 206), 4);
    report(batch, 200);
    ck_assert(coalescer_mark_flows(coalescer, now_us, wants));
    ck_assert(wants[0] && wants[1] && wants[2] && wants[3]);
    coalescer_set_flow(coalescer, 2);
    batch = pump();
    ck_assert_uint_eq(coalescer_batch_count(batch), 1);
    ck_assert_uint_eq(count_between(batch, 300, 301), 1);
    report(batch, 200);
    coalescer_set_flow(coalescer, 3); /* what it waits for goes */
    batch = pump();
    ck_assert_uint_eq(count_between(batch, 100, 199), 6);
    ck_assert_uint_eq(count_between(batch, 200, 206), 2);
    report(batch, 200);
}
END_TEST

/* A call has no more records than any who share it wants; who has more by himself goes alone. */
START_TEST(each_who_shares_a_call_may_bound_its_records)
{
    static const struct {
        uint32_t records, max;
    } writes[] = {{1, 0}, {1, 0}, {1, 3}, {1, 0}, {1, 2}, {1, 2}, {5, 4}, {1, 0}};
    static const size_t     expected[] = {3, 2, 1, 1, 1};
    struct coalescer_batch *batch;
    struct bytes            ids[8];
    uint32_t                texts[8], next = 100;

    add(lane_a, 0);
    batch = pump();
    for (size_t i = 0; i < COUNT_OF(writes); i++) {
        struct coalescer_write write = upsert(lane_a, ids);

        for (size_t j = 0; j < writes[i].records; j++) {
            texts[j] = next++;
            ids[j] = (struct bytes){.data = (const char *)&texts[j], .size = sizeof texts[j]};
        }
        write.record_count = writes[i].records;
        write.records_max = writes[i].max;
        ck_assert_int_eq(coalescer_add(coalescer, &write, now_us), STATUS_OK);
    }
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        report(batch, 200);
        batch = next_batch();
        ck_assert_uint_eq(coalescer_batch_count(batch), expected[i]);
    }
    report(batch, 200);
    ck_assert_ptr_null(pump());
    ck_assert_uint_eq(seen_answers, COUNT_OF(writes) + 1);
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
    ck_assert_uint_eq(coalescer_stats(coalescer)->unfinished, 0);
}
END_TEST

START_TEST(it_can_be_freed_at_any_moment)
{
    unsigned char lane[16] = {0};

    options.lanes_max = 2;
    options.backend.in_flight_max = 2;
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

    tcase_add_checked_fixture(tcase, coalescer_bed_setup, coalescer_bed_teardown);
    tcase_add_test(tcase, a_lone_writer_never_waits);
    tcase_add_test(tcase, what_one_flow_has_piled_up_stops_no_other);
    tcase_add_test(tcase, each_who_shares_a_call_may_bound_its_records);
    tcase_add_test(tcase, what_waits_while_one_is_in_flight_goes_together);
    tcase_add_loop_test(tcase, closed_loops_come_near_to_hand_made_batches, 0, 11);
    tcase_add_test(tcase, one_return_is_enough_to_gather_the_next);
    tcase_add_test(tcase, clients_that_come_back_are_gathered);
    tcase_add_test(tcase, clients_that_do_not_come_back_are_not_waited_for_again);
    tcase_add_test(tcase, a_hung_write_holds_its_lane_and_lends_its_slot);
    tcase_add_test(tcase, it_can_be_freed_at_any_moment);
    tcase_add_test(tcase, long_queues_are_cheap);
    return check_main("coalescer", tcase);
}
