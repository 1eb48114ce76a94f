/* What must hold: what may be alive is not overtaken, be it a barrier, a write that hangs or one
 * whose connection died; and what is held is let go in time. */
#include "support/check_main.h"
#include "unit/coalescer_bed.h"

static void add_barrier(const unsigned char *lane, void *ctx)
{
    struct coalescer_write write = upsert(lane_a, NULL);

    write.kind = lane == NULL ? COALESCER_BARRIER_ALL : COALESCER_BARRIER;
    write.op = COALESCER_OTHER;
    write.repeatable = false;
    write.record_count = 0;
    write.ctx = ctx;
    if (lane != NULL)
        memcpy(write.lane, lane, sizeof write.lane);
    ck_assert_int_eq(coalescer_add(coalescer, &write, now_us), STATUS_OK);
}

static bool is_of(const struct coalescer_batch *batch, const void *ctx)
{
    return batch != NULL && coalescer_batch_member(batch, 0) == ctx;
}

START_TEST(a_barrier_for_all_lanes_passes_a_hung_write)
{
    struct coalescer_batch *hung, *barrier;
    int                     deletion, later;

    add(lane_a, 0);
    hung = pump();
    add(lane_a, 1); /* older, but it waits for the hung one */
    now_us += options.patience_us;
    ck_assert_ptr_null(pump());
    add_barrier(NULL, &deletion);
    add_of(lane_b, 2, &later);
    barrier = pump();
    ck_assert(is_of(barrier, &deletion));
    ck_assert_ptr_null(pump()); /* nothing beside it */
    report(barrier, 200);
    ck_assert(is_of(pump(), &later));
    report(hung, 200);
}
END_TEST

/* A batch that hung is refused at last, and must be taken apart: what was sent meanwhile comes
 * first. */
START_TEST(what_is_refused_late_waits_for_a_barrier_for_all_lanes)
{
    struct coalescer_batch *hung, *barrier;
    int                     deletion;

    options.backend.in_flight_max = 4;
    renew();
    add(lane_a, 0);
    add(lane_a, 1);
    hung = next_batch();
    ck_assert_uint_eq(coalescer_batch_count(hung), 2);
    now_us += options.patience_us;
    ck_assert_ptr_null(pump());
    add_barrier(NULL, &deletion);
    barrier = pump();
    ck_assert(is_of(barrier, &deletion));
    report(hung, 400);
    ck_assert_ptr_null(pump());
    report(barrier, 200);
    ck_assert_ptr_nonnull(pump());
}
END_TEST

START_TEST(a_hung_barrier_for_all_lanes_stops_nobody_after_the_patience)
{
    int deletion, later;

    add_barrier(NULL, &deletion);
    ck_assert(is_of(pump(), &deletion));
    add_of(lane_b, 2, &later);
    ck_assert_ptr_null(pump());
    now_us += options.patience_us;
    ck_assert(is_of(pump(), &later));
}
END_TEST

/* Two lanes whose calls overlap for ever. */
START_TEST(a_barrier_for_all_lanes_stops_them_only_when_calls_overlap_for_a_second)
{
    struct coalescer_batch *left, *right, *barrier = NULL;
    uint64_t                begin_us, stopped_us = 0;
    uint32_t                id = 0;
    int                     deletion;

    options.backend.in_flight_max = 2;
    renew();
    add(lane_a, id++);
    left = pump();
    now_us += 5000;
    add(lane_b, id++);
    right = pump();
    add_barrier(NULL, &deletion);
    begin_us = now_us;
    while (barrier == NULL && now_us < begin_us + 5000000) {
        struct coalescer_batch **lane = left != NULL ? &left : &right, *sent;

        now_us += 5000;
        report(*lane, 200);
        *lane = right;
        right = NULL;
        left = *lane;
        add((id & 1) == 0 ? lane_a : lane_b, id);
        id++;
        sent = pump();
        if (is_of(sent, &deletion))
            barrier = sent;
        else if (sent != NULL)
            right = sent;
        else
            stopped_us = stopped_us == 0 ? now_us : stopped_us;
    }
    ck_assert_ptr_nonnull(barrier);
    ck_assert_uint_ge(stopped_us, begin_us + 1000000);
    ck_assert_uint_le(now_us, begin_us + 1100000);
}
END_TEST

START_TEST(a_deletion_that_names_its_collection_is_a_barrier_in_one_lane)
{
    int deletion, other;

    options.backend.in_flight_max = 2;
    renew();
    add(lane_a, 0);
    (void)pump();
    add_barrier(lane_a, &deletion);
    add(lane_a, 1);
    add_of(lane_b, 2, &other);
    ck_assert(is_of(pump(), &other));
    ck_assert_ptr_null(pump());
}
END_TEST

static const struct coalescer_outcome reset = {.kind = COALESCER_RESET};

/* Both roles: what may be alive is not overtaken. */
START_TEST(a_lane_stays_held_for_a_while_after_its_connection_died)
{
    struct coalescer_batch *batch;
    int                     later, other;

    options.role = _i == 0 ? COALESCER_SIDECAR : COALESCER_GATEWAY;
    renew();
    add(lane_a, 0);
    batch = pump();
    add_of(lane_a, 0, &later);
    coalescer_report(coalescer, batch, &reset, now_us);
    add_of(lane_b, 1, &other);
    batch = pump();
    ck_assert(is_of(batch, &other));
    report(batch, 200);
    if (_i == 1) { /* the same once more is none that overtakes */
        batch = next_batch();
        ck_assert(!is_of(batch, &later));
        report(batch, 200);
    }
    ck_assert_ptr_null(pump());
    ck_assert_uint_eq(coalescer_stats(coalescer)->held_lanes, 1);
    now_us += 900000;
    ck_assert_ptr_null(pump());
    now_us += 100000;
    ck_assert(is_of(pump(), &later));
    ck_assert_uint_eq(coalescer_stats(coalescer)->held_lanes, 0);
}
END_TEST

START_TEST(a_held_lane_is_not_forgotten_for_another_collection)
{
    unsigned char lane[16] = "lane c";

    options.role = COALESCER_SIDECAR;
    options.lanes_max = 2;
    renew();
    add(lane_a, 0);
    coalescer_report(coalescer, pump(), &reset, now_us);
    add(lane_b, 0);
    report(pump(), 200);
    ck_assert_ptr_null(pump());
    add(lane, 1); /* lane_b, idle for less long, makes room */
    report(pump(), 200);
    add(lane_a, 0);
    ck_assert_ptr_null(pump());
}
END_TEST

static void supervise(void)
{
    options.role = COALESCER_GATEWAY;
    options.is_supervised = true;
    renew();
}

/* Until its exit is seen, or after it: the order of the two does not matter. */
static void lose(struct coalescer_batch *batch, bool is_reported_first)
{
    if (is_reported_first)
        coalescer_report(coalescer, batch, &reset, now_us);
    ck_assert_ptr_null(pump());
    coalescer_backend_ended(coalescer, now_us);
    if (!is_reported_first)
        coalescer_report(coalescer, batch, &reset, now_us);
}

START_TEST(what_was_in_flight_when_the_backend_ended_is_sent_again)
{
    struct coalescer_batch *batch;

    supervise();
    add(lane_b, 0);
    batch = pump();
    add(lane_a, 1);
    add(lane_a, 2);
    report(batch, 200);
    batch = next_batch();
    lose(batch, _i == 0);
    batch = next_batch();
    ck_assert_uint_eq(coalescer_batch_count(batch), 2);
    lose(batch, _i == 0);
    batch = next_batch(); /* the second end: each alone */
    ck_assert_uint_eq(coalescer_batch_count(batch), 1);
    lose(batch, _i == 0);
    batch = next_batch(); /* the third: the next, the first is given up */
    ck_assert_uint_eq(seen_refusals, 1);
    ck_assert_int_eq(seen_executed, COALESCER_EXECUTED_MAYBE);
    report(batch, 200);
    ck_assert_ptr_null(pump());
    ck_assert_uint_eq(seen_answers, 2);
    ck_assert_uint_eq(coalescer_stats(coalescer)->unfinished, 0);
}
END_TEST

START_TEST(what_cannot_be_repeated_is_refused_when_the_backend_ended)
{
    supervise();
    add_barrier(lane_a, &now_us);
    lose(pump(), _i == 0);
    ck_assert_ptr_null(pump());
    ck_assert_uint_eq(seen_refusals, 1);
    ck_assert_int_eq(seen_executed, COALESCER_EXECUTED_MAYBE);
    ck_assert_uint_eq(coalescer_stats(coalescer)->unfinished, 0);
}
END_TEST

START_TEST(a_lost_write_waits_a_second_for_the_end_of_a_supervised_backend)
{
    struct coalescer_batch *batch;

    supervise();
    add_barrier(lane_a, &now_us);
    batch = pump();
    coalescer_report(coalescer, batch, &reset, now_us);
    now_us += 999999;
    ck_assert_ptr_null(pump());
    ck_assert_uint_eq(seen_refusals, 0);
    ck_assert_uint_eq(coalescer_wake_us(coalescer), now_us + 1);
    now_us += 1;
    ck_assert_ptr_null(pump());
    ck_assert_uint_eq(seen_refusals, 1);
}
END_TEST

START_TEST(held_lanes_are_let_go_when_the_backend_ended)
{
    struct coalescer_batch *batch;
    int                     later;

    supervise();
    add_barrier(lane_a, &now_us);
    coalescer_report(coalescer, pump(), &reset, now_us);
    now_us += 1000000;
    add_of(lane_a, 1, &later);
    ck_assert_ptr_null(pump());
    coalescer_backend_ended(coalescer, now_us);
    batch = pump();
    ck_assert(is_of(batch, &later));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("coalescer_barrier");

    tcase_add_checked_fixture(tcase, coalescer_bed_setup, coalescer_bed_teardown);
    tcase_add_test(tcase, a_barrier_for_all_lanes_passes_a_hung_write);
    tcase_add_test(tcase, what_is_refused_late_waits_for_a_barrier_for_all_lanes);
    tcase_add_test(tcase, a_hung_barrier_for_all_lanes_stops_nobody_after_the_patience);
    tcase_add_test(tcase, a_barrier_for_all_lanes_stops_them_only_when_calls_overlap_for_a_second);
    tcase_add_test(tcase, a_deletion_that_names_its_collection_is_a_barrier_in_one_lane);
    tcase_add_loop_test(tcase, a_lane_stays_held_for_a_while_after_its_connection_died, 0, 2);
    tcase_add_test(tcase, a_held_lane_is_not_forgotten_for_another_collection);
    tcase_add_loop_test(tcase, what_was_in_flight_when_the_backend_ended_is_sent_again, 0, 2);
    tcase_add_loop_test(tcase, what_cannot_be_repeated_is_refused_when_the_backend_ended, 0, 2);
    tcase_add_test(tcase, a_lost_write_waits_a_second_for_the_end_of_a_supervised_backend);
    tcase_add_test(tcase, held_lanes_are_let_go_when_the_backend_ended);
    return check_main("coalescer_barrier", tcase);
}
