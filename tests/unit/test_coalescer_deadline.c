/* What must hold: what would be answered too late is not sent, what can be answered in time is; and
 * nothing is sent again before its backend wants it. */
#include "support/check_main.h"
#include "unit/coalescer_bed.h"

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
    ck_assert_uint_eq(coalescer_stats(coalescer)->unfinished, 0);
}
END_TEST

/* Also a repeat after an unknown outcome, in role gateway. */
START_TEST(nothing_is_repeated_before_the_backend_asks_for_it)
{
    struct coalescer_outcome outcome = {.kind = COALESCER_ANSWERED,
                                        .http_status = 503,
                                        .admission_refusal = _i == 0,
                                        .retry_at_us = now_us + 7000000};
    struct coalescer_batch  *batch;

    add(lane_a, 0);
    batch = pump();
    coalescer_report(coalescer, batch, &outcome, now_us);
    ck_assert_ptr_null(pump());
    now_us = outcome.retry_at_us - 1;
    ck_assert_ptr_null(pump());
    ck_assert_uint_eq(seen_answers, 0);
    now_us++;
    batch = pump();
    ck_assert_ptr_nonnull(batch);
    ck_assert_uint_eq(coalescer_batch_attempt(batch), 1);
    report(batch, 200);
    ck_assert_ptr_null(pump());
}
END_TEST

/* It could not be sent again in time: what the backend said is of more use than a 504 later. */
START_TEST(who_cannot_wait_for_so_long_gets_the_refusal)
{
    struct coalescer_outcome outcome = {
        .kind = COALESCER_ANSWERED, .http_status = 429, .admission_refusal = true};
    struct coalescer_batch *batch;

    add(lane_a, 0);
    batch = pump();
    outcome.retry_at_us = UINT64_MAX;
    coalescer_report(coalescer, batch, &outcome, now_us);
    ck_assert_ptr_null(pump());
    ck_assert_uint_eq(seen_answers, 1);
    ck_assert_uint_eq(coalescer_stats(coalescer)->unfinished, 0);
    ck_assert_uint_eq(coalescer_stats(coalescer)->retries, 0);
}
END_TEST

/* Unsent it is refused when no call could be answered in time any more; sent it has all of it. */
START_TEST(a_deadline_with_slack_ends_earlier_for_who_is_not_sent)
{
    struct bytes            ids[2] = {BYTES_LITERAL("a"), BYTES_LITERAL("b")};
    struct coalescer_write  write = upsert(lane_a, &ids[0]);
    struct coalescer_batch *batch;
    uint64_t                began_us = now_us;

    write.is_clients = true;
    write.deadline_us = now_us + 1000000;
    write.slack_us = 300000;
    ck_assert_int_eq(coalescer_add(coalescer, &write, now_us), STATUS_OK);
    batch = pump();
    ck_assert_ptr_nonnull(batch);
    write.ids = &ids[1];
    ck_assert_int_eq(coalescer_add(coalescer, &write, now_us), STATUS_OK);
    now_us = began_us + 699999;
    ck_assert_ptr_null(pump());
    ck_assert_uint_eq(seen_refusals, 0);
    now_us++;
    ck_assert_ptr_null(pump());
    ck_assert_uint_eq(seen_refusals, 1);
    ck_assert_int_eq(seen_executed, COALESCER_EXECUTED_NO);
    now_us = began_us + 999999;
    ck_assert_ptr_null(pump());
    ck_assert_uint_eq(seen_refusals, 1);
    now_us++;
    ck_assert_ptr_null(pump());
    ck_assert_uint_eq(seen_refusals, 2);
    ck_assert_int_eq(seen_executed, COALESCER_EXECUTED_MAYBE);
    report(batch, 200);
    ck_assert_ptr_null(pump());
    ck_assert_uint_eq(coalescer_stats(coalescer)->unfinished, 0);
}
END_TEST

/* Else an impatient client would let what must wait for its write go before it. */
START_TEST(a_deadline_that_a_client_chose_makes_no_call_hang)
{
    struct bytes            id = BYTES_LITERAL("a");
    struct coalescer_write  write = upsert(lane_a, &id);
    struct coalescer_batch *batch;

    options.backend.in_flight_max = 4;
    renew();
    write.is_clients = _i == 1;
    write.deadline_us = now_us + 1000;
    ck_assert_int_eq(coalescer_add(coalescer, &write, now_us), STATUS_OK);
    batch = pump();
    write = upsert(lane_b, &id);
    write.kind = COALESCER_BARRIER_ALL;
    write.op = COALESCER_OTHER;
    write.is_clients = false;
    ck_assert_int_eq(coalescer_add(coalescer, &write, now_us), STATUS_OK);
    ck_assert_ptr_null(pump());
    now_us += 2000000;
    coalescer_set_may_send(coalescer, true);
    (void)!pump();
    ck_assert_uint_eq(seen_refusals, 1);
    ck_assert_uint_eq(coalescer_stats(coalescer)->hung, _i == 0);
    report(batch, 200);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("coalescer_deadline");

    tcase_add_checked_fixture(tcase, coalescer_bed_setup, coalescer_bed_teardown);
    tcase_add_test(tcase, a_write_is_not_sent_when_its_answer_would_come_too_late);
    tcase_add_test(tcase, who_has_just_come_is_not_late);
    tcase_add_test(tcase, the_last_that_waits_is_sent_however_late);
    tcase_add_test(tcase, a_half_stays_apart_when_its_last_member_expires);
    tcase_add_loop_test(tcase, a_refusal_that_is_not_of_admission_is_passed_on, 0, 4);
    tcase_add_loop_test(tcase, nothing_is_repeated_before_the_backend_asks_for_it, 0, 2);
    tcase_add_test(tcase, who_cannot_wait_for_so_long_gets_the_refusal);
    tcase_add_test(tcase, a_deadline_with_slack_ends_earlier_for_who_is_not_sent);
    tcase_add_loop_test(tcase, a_deadline_that_a_client_chose_makes_no_call_hang, 0, 2);
    return check_main("coalescer_deadline", tcase);
}
