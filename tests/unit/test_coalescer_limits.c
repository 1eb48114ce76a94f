/* What must hold: no call is larger than its backend takes, be that known, learned or changed; nor
 * is what it does not know how to merge merged. Large requests go in parts. */
#include "support/check_main.h"
#include "unit/coalescer_bed.h"

/* Members a, b and c; c has documents, the others have not. */
static struct coalescer_batch *send_columns(void)
{
    struct coalescer_batch *batch;

    add(lane_a, 0);
    batch = next_batch();
    for (uint32_t i = 1; i <= 3; i++) {
        struct bytes           id = {.data = (const char *)&i, .size = sizeof i};
        struct coalescer_write write = upsert(lane_a, &id);

        write.columns |= i == 3 ? COALESCER_DOCUMENTS : 0u;
        ck_assert_int_eq(coalescer_add(coalescer, &write, now_us), STATUS_OK);
    }
    report(batch, 200);
    return next_batch();
}

START_TEST(nothing_is_merged_for_a_backend_of_which_nothing_is_known)
{
    options.backend = (struct coalescer_backend){.in_flight_max = 1};
    renew();
    ck_assert_uint_eq(coalescer_batch_count(send_columns()), 1);
}
END_TEST

START_TEST(columns_are_equal_in_a_batch_where_null_has_a_meaning)
{
    ck_assert_uint_eq(coalescer_batch_count(send_columns()), 3);
    options.backend.same_columns_only = true;
    renew();
    ck_assert_uint_eq(coalescer_batch_count(send_columns()), 2);
}
END_TEST

START_TEST(a_batch_that_is_sent_again_keeps_to_what_the_backend_is_by_then)
{
    struct coalescer_outcome not_sent = {.kind = COALESCER_NOT_SENT};
    struct coalescer_batch  *batch = send_columns();

    options.backend.same_columns_only = true;
    coalescer_set_backend(coalescer, &options.backend);
    coalescer_report(coalescer, batch, &not_sent, now_us);
    batch = next_batch();
    ck_assert_uint_eq(coalescer_batch_count(batch), 2);
    options.backend = (struct coalescer_backend){.in_flight_max = 1};
    coalescer_set_backend(coalescer, &options.backend);
    coalescer_report(coalescer, batch, &not_sent, now_us);
    for (uint32_t i = 0; i < 3; i++) {
        batch = next_batch();
        ck_assert_uint_eq(coalescer_batch_count(batch), 1);
        report(batch, 200);
    }
    ck_assert_ptr_null(pump());
    ck_assert_uint_eq(coalescer_stats(coalescer)->unfinished, 0);
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

/* Seven records where Chroma takes three. */
static void add_oversize(void)
{
    struct bytes           ids[7];
    struct coalescer_write write;

    options.backend.records_max = 3;
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
    options.backend.records_max = 5461;
    coalescer_set_backend(coalescer, &options.backend);
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

int main(void)
{
    TCase *tcase = tcase_create("coalescer_limits");

    tcase_add_checked_fixture(tcase, coalescer_bed_setup, coalescer_bed_teardown);
    tcase_add_test(tcase, nothing_is_merged_for_a_backend_of_which_nothing_is_known);
    tcase_add_test(tcase, columns_are_equal_in_a_batch_where_null_has_a_meaning);
    tcase_add_test(tcase, a_batch_that_is_sent_again_keeps_to_what_the_backend_is_by_then);
    tcase_add_test(tcase, a_batch_too_large_teaches_its_limit);
    tcase_add_test(tcase, parts_that_are_done_are_not_sent_again_under_a_new_limit);
    tcase_add_test(tcase, a_large_request_goes_in_parts);
    return check_main("coalescer_limits", tcase);
}
