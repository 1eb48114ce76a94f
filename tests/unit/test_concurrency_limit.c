/* What must hold: the limit follows what Chroma can take, does not drift while it is not used, is
 * not fooled by mixed requests or by writes, and finds its way back. (How it does under load:
 * tests/flow/test_flow_overload.c.) */
#include "limits/concurrency_limit.h"
#include "support/check_main.h"

#define MS     UINT64_C(1000)
#define SECOND UINT64_C(1000000)

static struct concurrency_limit *limit;
static uint64_t                  now_us;
static unsigned                  group; /* of the collection that is asked */

static void setup(void)
{
    struct concurrency_limit_options options = {.start = 4, .min = 1, .max = 64};

    limit = concurrency_limit_new(&options);
    ck_assert_ptr_nonnull(limit);
    now_us = 100 * SECOND;
    group = 0;
}

static void teardown(void)
{
    concurrency_limit_free(limit);
}

static void end_read(enum concurrency_class class, enum concurrency_outcome outcome,
                     uint64_t took_us, bool is_beside_write)
{
    struct concurrency_read read = {.class = class,
                                    .group = group,
                                    .outcome = outcome,
                                    .took_us = took_us,
                                    .is_beside_write = is_beside_write};

    concurrency_limit_ended(limit, &read, now_us);
}

/* `count` answers over `span_us`, each of them taking `took_us`, so many in flight as may be. */
static void answers_of(enum concurrency_class class, int count, uint64_t took_us, uint64_t span_us,
                       size_t in_flight)
{
    for (size_t i = 0; i < in_flight; i++)
        concurrency_limit_sent(limit);
    for (int i = 0; i < count; i++) {
        now_us += span_us / (uint64_t)count;
        end_read(class, CONCURRENCY_ANSWERED, took_us, false);
        concurrency_limit_sent(limit);
    }
    for (size_t i = 0; i < in_flight; i++)
        end_read(class, CONCURRENCY_NOTHING, 0, false);
}

static void answers(int count, uint64_t took_us, uint64_t span_us)
{
    answers_of(CONCURRENCY_QUERY, count, took_us, span_us, concurrency_limit_value(limit));
}

/* Answers after 5 ms, for so many windows, and always as many in flight as may be. */
static void use_all_of_it(int windows)
{
    for (int i = 0; i < windows; i++)
        answers(10, 5 * MS, 100 * MS);
}

/* Queries take 5 ms at ease; it has been too large once, and is 7 now. */
static void begin_at_ease(void)
{
    answers_of(CONCURRENCY_QUERY, 30, 5 * MS, 300 * MS, 1);
    now_us += 100 * MS;
    concurrency_limit_sent(limit);
    end_read(CONCURRENCY_QUERY, CONCURRENCY_DROPPED, 5 * MS, false);
    use_all_of_it(9);
    ck_assert_uint_eq(concurrency_limit_value(limit), 7);
}

START_TEST(it_begins_as_told_and_grows_while_all_is_used_and_well)
{
    ck_assert_uint_eq(concurrency_limit_value(limit), 4);
    answers(100, 5 * MS, SECOND);
    ck_assert_uint_eq(concurrency_limit_ease_us(limit, CONCURRENCY_QUERY), 5 * MS);
    ck_assert_uint_ge(concurrency_limit_value(limit), 7);
    for (int i = 0; i < 300; i++)
        answers(100, 5 * MS, SECOND);
    ck_assert_uint_eq(concurrency_limit_value(limit), 64);
}
END_TEST

START_TEST(it_grows_fast_until_it_has_been_too_large)
{
    size_t after;

    use_all_of_it(6);
    ck_assert_uint_ge(concurrency_limit_value(limit), 16);
    answers(20, 10 * MS, 200 * MS);
    use_all_of_it(2); /* of which the first may begin with those of 10 ms */
    after = concurrency_limit_value(limit);
    use_all_of_it(5);
    ck_assert_uint_ge(concurrency_limit_value(limit), after + 1);
    ck_assert_uint_le(concurrency_limit_value(limit), after + 9);
}
END_TEST

/* No read was at ease for five seconds: is what is taken for ease still true? */
START_TEST(under_a_load_that_does_not_end_ease_is_looked_for)
{
    size_t before = 64, probes = 0, windows_in_probe = 0;

    begin_at_ease();
    use_all_of_it(150);
    ck_assert_uint_ge(concurrency_limit_value(limit), 32);
    for (int i = 0; i < 100; i++) { /* never at ease, as somebody sends more than he may */
        answers_of(CONCURRENCY_QUERY, 10, 5 * MS, 100 * MS, 64);
        probes += concurrency_limit_value(limit) <= before / 2;
        windows_in_probe += concurrency_limit_value(limit) <= 32;
        before = concurrency_limit_value(limit);
    }
    ck_assert_uint_eq(probes, 2);
    ck_assert_uint_ge(windows_in_probe, 16);
    ck_assert_uint_le(windows_in_probe, 24);
}
END_TEST

START_TEST(it_does_not_grow_while_it_is_not_used)
{
    for (int i = 0; i < 60; i++)
        answers_of(CONCURRENCY_QUERY, 100, 5 * MS, SECOND, 2);
    ck_assert_uint_eq(concurrency_limit_value(limit), 4);
}
END_TEST

START_TEST(it_shrinks_when_answers_take_longer_than_at_ease)
{
    begin_at_ease();
    answers(15, 12 * MS, 150 * MS);
    ck_assert_uint_le(concurrency_limit_value(limit), 6);
    answers(60, 12 * MS, 600 * MS);
    ck_assert_uint_le(concurrency_limit_value(limit), 2);
}
END_TEST

START_TEST(a_little_longer_is_tolerated)
{
    answers(100, 10 * MS, SECOND);
    answers(100, 15 * MS, SECOND);
    ck_assert_uint_ge(concurrency_limit_value(limit), 8);
}
END_TEST

START_TEST(a_drop_shrinks_it_once_in_a_window)
{
    begin_at_ease();
    now_us += 100 * MS;
    for (int i = 0; i < 5; i++)
        concurrency_limit_sent(limit);
    for (int i = 0; i < 5; i++)
        end_read(CONCURRENCY_QUERY, CONCURRENCY_DROPPED, SECOND, false);
    ck_assert_uint_ge(concurrency_limit_value(limit), 4);
    ck_assert_uint_le(concurrency_limit_value(limit), 6);
}
END_TEST

START_TEST(classes_are_judged_by_their_own_ease)
{
    begin_at_ease();
    answers_of(CONCURRENCY_LARGE, 30, 200 * MS, SECOND, 4);
    ck_assert_uint_ge(concurrency_limit_value(limit), 7);
    ck_assert_uint_eq(concurrency_limit_ease_us(limit, CONCURRENCY_LARGE), 200 * MS);
}
END_TEST

/* Applications ask small and large collections by turns. */
START_TEST(collections_are_judged_by_their_own_ease)
{
    begin_at_ease();
    group = 1;
    answers(30, 200 * MS, SECOND);
    ck_assert_uint_ge(concurrency_limit_value(limit), 7);
    group = 0;
    answers(30, 5 * MS, SECOND);
    group = 1;
    answers(30, 200 * MS, SECOND);
    ck_assert_uint_ge(concurrency_limit_value(limit), 7);
    ck_assert_uint_eq(concurrency_limit_ease_us(limit, CONCURRENCY_QUERY), 5 * MS);
}
END_TEST

START_TEST(one_cheap_request_does_not_make_all_others_slow)
{
    for (int i = 0; i < 60; i++) { /* a tenth takes 1 ms */
        answers(9, 10 * MS, 90 * MS);
        answers(1, 1 * MS, 10 * MS);
    }
    ck_assert_uint_eq(concurrency_limit_ease_us(limit, CONCURRENCY_QUERY), 10 * MS);
    ck_assert_uint_ge(concurrency_limit_value(limit), 8);
}
END_TEST

START_TEST(what_a_write_slows_down_is_not_ease)
{
    for (int i = 0; i < 40; i++) {
        concurrency_limit_sent(limit);
        now_us += 10 * MS;
        end_read(CONCURRENCY_GET, CONCURRENCY_ANSWERED, 50 * MS, true);
    }
    ck_assert_uint_eq(concurrency_limit_ease_us(limit, CONCURRENCY_GET), 0);
}
END_TEST

/* While Chroma commits, a read takes ten times as long: that is not the load of reads. */
START_TEST(reads_beside_writes_are_judged_by_what_they_take_there)
{
    begin_at_ease();
    for (int i = 0; i < 100; i++) {
        for (size_t j = 0; j < concurrency_limit_value(limit); j++)
            concurrency_limit_sent(limit);
        now_us += 50 * MS;
        for (size_t j = concurrency_limit_value(limit); j > 0; j--)
            end_read(CONCURRENCY_QUERY, CONCURRENCY_ANSWERED, 50 * MS, true);
    }
    ck_assert_uint_ge(concurrency_limit_value(limit), 8);
    ck_assert_uint_eq(concurrency_limit_ease_us(limit, CONCURRENCY_QUERY), 5 * MS);
}
END_TEST

/* With reads.limit: none, say: the value is computed all the same. */
START_TEST(while_it_is_not_in_force_an_overload_is_no_ease_and_no_slower_chroma)
{
    begin_at_ease();
    for (int i = 0; i < 60; i++)
        answers_of(CONCURRENCY_QUERY, 100, 60 * MS, SECOND, 48);
    ck_assert_uint_eq(concurrency_limit_value(limit), 1);
    ck_assert_uint_eq(concurrency_limit_ease_us(limit, CONCURRENCY_QUERY), 5 * MS);
}
END_TEST

/* Nobody waits for an answer any more: without this the limit would never be found too large. */
START_TEST(reads_that_were_given_up_after_long_count_and_others_do_not)
{
    begin_at_ease();
    for (int i = 0; i < 30; i++) {
        concurrency_limit_sent(limit);
        now_us += 10 * MS;
        end_read(CONCURRENCY_QUERY, CONCURRENCY_LEFT, 6 * MS, false);
    }
    ck_assert_uint_ge(concurrency_limit_value(limit), 7);
    for (int i = 0; i < 60; i++) {
        concurrency_limit_sent(limit);
        now_us += 10 * MS;
        end_read(CONCURRENCY_QUERY, CONCURRENCY_LEFT, SECOND, false);
    }
    ck_assert_uint_le(concurrency_limit_value(limit), 2);
    ck_assert_uint_eq(concurrency_limit_ease_us(limit, CONCURRENCY_QUERY), 5 * MS);
}
END_TEST

START_TEST(a_backend_that_became_slower_is_learned_anew)
{
    for (int i = 0; i < 12; i++)
        answers(100, 5 * MS, SECOND);
    for (int i = 0; i < 4; i++)
        answers(40, 25 * MS, SECOND);
    ck_assert_uint_eq(concurrency_limit_ease_us(limit, CONCURRENCY_QUERY), 25 * MS);
    for (int i = 0; i < 4; i++)
        answers(40, 25 * MS, SECOND);
    ck_assert_uint_ge(concurrency_limit_value(limit), 3);
}
END_TEST

START_TEST(and_when_it_is_fast_again_that_is_learned_too)
{
    answers(100, 25 * MS, SECOND);
    for (int i = 0; i < 6; i++)
        answers(100, 5 * MS, SECOND);
    ck_assert_uint_eq(concurrency_limit_ease_us(limit, CONCURRENCY_QUERY), 5 * MS);
}
END_TEST

START_TEST(few_answers_are_not_judged)
{
    begin_at_ease();
    for (int i = 0; i < 60; i++)
        answers_of(CONCURRENCY_QUERY, 2, 50 * MS, SECOND, 1);
    ck_assert_uint_ge(concurrency_limit_value(limit), 7);
}
END_TEST

START_TEST(it_begins_anew_after_a_restart)
{
    begin_at_ease();
    concurrency_limit_restart(limit);
    ck_assert_uint_eq(concurrency_limit_value(limit), 1);
    answers(100, 5 * MS, SECOND);
    ck_assert_uint_ge(concurrency_limit_value(limit), 3);
}
END_TEST

START_TEST(after_a_long_silence_what_is_known_stays_known)
{
    begin_at_ease();
    now_us += 3600 * SECOND;
    answers(1, 5 * MS, SECOND);
    ck_assert_uint_eq(concurrency_limit_ease_us(limit, CONCURRENCY_QUERY), 5 * MS);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("concurrency_limit");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, it_begins_as_told_and_grows_while_all_is_used_and_well);
    tcase_add_test(tcase, it_grows_fast_until_it_has_been_too_large);
    tcase_add_test(tcase, under_a_load_that_does_not_end_ease_is_looked_for);
    tcase_add_test(tcase, it_does_not_grow_while_it_is_not_used);
    tcase_add_test(tcase, it_shrinks_when_answers_take_longer_than_at_ease);
    tcase_add_test(tcase, a_little_longer_is_tolerated);
    tcase_add_test(tcase, a_drop_shrinks_it_once_in_a_window);
    tcase_add_test(tcase, classes_are_judged_by_their_own_ease);
    tcase_add_test(tcase, collections_are_judged_by_their_own_ease);
    tcase_add_test(tcase, one_cheap_request_does_not_make_all_others_slow);
    tcase_add_test(tcase, what_a_write_slows_down_is_not_ease);
    tcase_add_test(tcase, reads_beside_writes_are_judged_by_what_they_take_there);
    tcase_add_test(tcase, while_it_is_not_in_force_an_overload_is_no_ease_and_no_slower_chroma);
    tcase_add_test(tcase, reads_that_were_given_up_after_long_count_and_others_do_not);
    tcase_add_test(tcase, a_backend_that_became_slower_is_learned_anew);
    tcase_add_test(tcase, and_when_it_is_fast_again_that_is_learned_too);
    tcase_add_test(tcase, few_answers_are_not_judged);
    tcase_add_test(tcase, it_begins_anew_after_a_restart);
    tcase_add_test(tcase, after_a_long_silence_what_is_known_stays_known);
    return check_main("concurrency_limit", tcase);
}
