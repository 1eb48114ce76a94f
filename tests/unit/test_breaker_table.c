/* What must hold: reads, writes and collections are told apart, a collection costs nothing before
 * it fails and little afterwards, and one that fails stops nobody else. */
#include <string.h>

#include "base/rng.h"
#include "limits/breaker_table.h"
#include "support/check_main.h"
#include "support/sim_seeds.h"

#define SECOND UINT64_C(1000000)

static struct breaker_table *table;
static uint64_t              now_us;
static unsigned              changes;
static enum breaker_of       last_of;
static enum breaker_state    last_state;
static uint8_t               last_collection[16];

static void on_change(void *ctx, const struct breaker_view *view)
{
    ck_assert_ptr_eq(ctx, &changes);
    changes++;
    last_of = view->of;
    last_state = view->breaker->state;
    if (view->collection != NULL)
        memcpy(last_collection, view->collection, sizeof last_collection);
}

static void setup_with(const unsigned char secret[16])
{
    table = breaker_table_new(secret, on_change, &changes);
    now_us = 1000 * SECOND;
    changes = 0;
}

static void setup(void)
{
    static const unsigned char secret[16] = "secret";

    setup_with(secret);
}

static void teardown(void)
{
    breaker_table_free(table);
}

/* One of many collections; borrowed until the next but one. */
static const uint8_t *collection(uint32_t number)
{
    static uint8_t  room[2][16];
    static unsigned turn;
    uint8_t        *ret = room[turn++ % 2];

    memset(ret, 0, 16);
    memcpy(ret, &number, sizeof number);
    ret[15] = 1;
    return ret;
}

static void report_reads(int count, uint32_t number, enum breaker_outcome outcome)
{
    while (count-- > 0)
        breaker_table_report(table, false, number == 0 ? NULL : collection(number), outcome, now_us,
                             now_us);
}

static bool passes(uint32_t number)
{
    struct breaker_view by;
    bool is_passed = breaker_table_pass(table, number == 0 ? NULL : collection(number), &by);

    if (is_passed)
        return true;
    last_of = by.of;
    ck_assert(by.collection == NULL || memcmp(by.collection, collection(number), 16) == 0);
    return false;
}

START_TEST(reads_and_writes_are_told_apart)
{
    for (int i = 0; i < 5; i++)
        breaker_table_report(table, true, NULL, BREAKER_CONNECT_FAILURE, now_us, now_us);
    ck_assert_uint_eq(changes, 1);
    ck_assert_int_eq(last_of, BREAKER_OF_WRITES);
    ck_assert_int_eq(last_state, BREAKER_OPEN);
    ck_assert(passes(0));
    ck_assert(passes(1));
    ck_assert(breaker_table_is_calm(table));
    report_reads(5, 1, BREAKER_CONNECT_FAILURE);
    ck_assert(!breaker_table_is_calm(table));
    ck_assert(!passes(0));
    ck_assert(!passes(1));
    ck_assert_int_eq(last_of, BREAKER_OF_READS);
    ck_assert_uint_eq(breaker_table_stats(table)->opened[BREAKER_OF_READS], 1);
    ck_assert_uint_eq(breaker_table_stats(table)->opened[BREAKER_OF_WRITES], 1);
    ck_assert_uint_eq(breaker_table_stats(table)->open_collections, 0); /* says nothing of it */
}
END_TEST

/* Others succeed as often, so that all reads together are well. */
static void open_collection(uint32_t number)
{
    for (int i = 0; i < 20; i++) {
        report_reads(1, number, BREAKER_FAILURE);
        report_reads(2, 0, BREAKER_SUCCESS);
    }
}

START_TEST(a_collection_that_fails_stops_no_other)
{
    open_collection(1);
    ck_assert_int_eq(last_of, BREAKER_OF_COLLECTION);
    ck_assert_int_eq(last_state, BREAKER_OPEN);
    ck_assert_mem_eq(last_collection, collection(1), 16);
    ck_assert(!passes(1));
    ck_assert_int_eq(last_of, BREAKER_OF_COLLECTION);
    ck_assert(passes(2));
    ck_assert(passes(0));
    ck_assert_uint_eq(breaker_table_stats(table)->open_collections, 1);
}
END_TEST

/* The same evidence as for all reads: half of what was asked in ten seconds, not of what was asked
 * since the first failure. */
START_TEST(what_succeeded_before_the_first_failure_counts)
{
    report_reads(99, 2, BREAKER_SUCCESS); /* of another collection: they do not */
    report_reads(100, 1, BREAKER_SUCCESS);
    report_reads(99, 1, BREAKER_FAILURE);
    ck_assert(passes(1));
    report_reads(1, 1, BREAKER_FAILURE);
    ck_assert(!passes(1));
    ck_assert_int_eq(last_of, BREAKER_OF_COLLECTION);
}
END_TEST

START_TEST(what_is_older_than_ten_seconds_does_not_count)
{
    report_reads(100, 1, BREAKER_SUCCESS);
    now_us += 11 * SECOND;
    report_reads(40, 0, BREAKER_SUCCESS); /* all reads together are well */
    report_reads(19, 1, BREAKER_FAILURE);
    ck_assert(passes(1));
    report_reads(1, 1, BREAKER_FAILURE);
    ck_assert(!passes(1));
    ck_assert_int_eq(last_of, BREAKER_OF_COLLECTION);
}
END_TEST

/* Nor what another Chroma answered. */
START_TEST(what_another_chroma_answered_does_not_count)
{
    report_reads(100, 1, BREAKER_SUCCESS);
    breaker_table_new_incarnation(table, now_us);
    report_reads(40, 0, BREAKER_SUCCESS);
    report_reads(20, 1, BREAKER_FAILURE);
    ck_assert(!passes(1));
}
END_TEST

START_TEST(a_heartbeat_lets_one_try_and_three_close)
{
    open_collection(1);
    ck_assert_uint_ge(breaker_table_wake_us(table), now_us + SECOND * 4 / 5);
    ck_assert_uint_le(breaker_table_wake_us(table), now_us + SECOND * 6 / 5);
    breaker_table_heartbeat(table, true, now_us);
    ck_assert_int_eq(last_state, BREAKER_TRYING);
    ck_assert_uint_eq(breaker_table_wake_us(table), UINT64_MAX);
    for (int i = 0; i < 3; i++) {
        ck_assert(passes(1));
        ck_assert(!passes(1));
        report_reads(1, 1, i == 1 ? BREAKER_CONNECT_FAILURE : BREAKER_SUCCESS); /* nothing of it */
    }
    ck_assert(passes(1));
    report_reads(1, 1, BREAKER_SUCCESS);
    ck_assert_int_eq(last_state, BREAKER_CLOSED);
    ck_assert(passes(1));
    ck_assert(passes(1));
    ck_assert_uint_eq(breaker_table_stats(table)->open_collections, 0);
}
END_TEST

/* Else one that may not go would hold the only try of all reads for ever. */
START_TEST(who_is_held_by_one_takes_no_try_of_another)
{
    open_collection(1);
    report_reads(5, 2, BREAKER_CONNECT_FAILURE);
    now_us += SECOND;
    ck_assert(!breaker_table_is_calm(table));
    breaker_table_heartbeat(table, true, now_us);
    ck_assert(passes(1));
    ck_assert(!passes(2)); /* of reads one tries */
    report_reads(1, 1, BREAKER_FAILURE);
    ck_assert(!passes(1));
    breaker_table_heartbeat(table, true, now_us);
    ck_assert(passes(1));
    report_reads(1, 1, BREAKER_SUCCESS);
    ck_assert(passes(1));
    ck_assert(!passes(1));
    ck_assert(!passes(2));
    report_reads(1, 1, BREAKER_NOTHING);
    ck_assert(passes(2));
}
END_TEST

START_TEST(another_chroma_begins_with_closed_collections)
{
    open_collection(1);
    report_reads(5, 2, BREAKER_CONNECT_FAILURE);
    breaker_table_new_incarnation(table, now_us);
    ck_assert_uint_eq(breaker_table_stats(table)->open_collections, 0);
    ck_assert(!passes(1));
    ck_assert_int_eq(last_of, BREAKER_OF_READS); /* which waits for a heartbeat */
    now_us += SECOND;
    breaker_table_heartbeat(table, true, now_us);
    ck_assert(passes(1));
}
END_TEST

static void count_view(void *ctx, const struct breaker_view *view)
{
    (void)view;
    ++*(unsigned *)ctx;
}

START_TEST(its_memory_is_bounded_and_given_back)
{
    unsigned seen = 0;

    for (uint32_t i = 1; i <= 3 * BREAKER_TABLE_COLLECTIONS; i++)
        open_collection(i);
    ck_assert_uint_eq(breaker_table_stats(table)->open_collections, BREAKER_TABLE_COLLECTIONS);
    breaker_table_each(table, count_view, &seen);
    ck_assert_uint_eq(seen, 2 + BREAKER_TABLE_COLLECTIONS);
    ck_assert(passes(1)); /* it made room */
    ck_assert(!passes(3 * BREAKER_TABLE_COLLECTIONS));
    breaker_table_heartbeat(table, true, now_us);
    for (uint32_t i = 1; i <= 3 * BREAKER_TABLE_COLLECTIONS; i++)
        report_reads(3, i, BREAKER_SUCCESS);
    seen = 0;
    breaker_table_each(table, count_view, &seen);
    ck_assert_uint_eq(seen, 2);
    ck_assert_uint_eq(breaker_table_stats(table)->open_collections, 0);
}
END_TEST

static void fail_once(uint32_t number)
{
    report_reads(1, number, BREAKER_FAILURE);
    report_reads(2, 0, BREAKER_SUCCESS);
}

/* It takes no place from one that still fails. */
START_TEST(what_is_mended_is_forgotten)
{
    open_collection(1);
    for (uint32_t i = 2; i <= BREAKER_TABLE_COLLECTIONS; i++)
        fail_once(i);
    now_us += 11 * SECOND;
    for (uint32_t i = 2; i <= BREAKER_TABLE_COLLECTIONS; i++)
        report_reads(1, i, BREAKER_SUCCESS);
    for (uint32_t i = 2; i <= BREAKER_TABLE_COLLECTIONS; i++)
        fail_once(1000 + i);
    ck_assert(!passes(1));
    ck_assert_int_eq(last_of, BREAKER_OF_COLLECTION);
    fail_once(2000);
    ck_assert(passes(1)); /* it has made room */
}
END_TEST

/* One collection of ten is broken, then Chroma is away: the first is refused and the others are
 * not; while it is away few calls reach it, and soon after it comes back all is closed. */
static void simulate(uint64_t seed)
{
    unsigned char secret[16] = {0};
    struct rng    rng;
    uint64_t      refused_others = 0, reached_broken = 0, reached_away = 0, closed_us = 0;
    uint64_t      begin_us, away_us, back_us;

    memcpy(secret, &seed, sizeof seed);
    teardown();
    setup_with(secret);
    rng_init(&rng, seed);
    begin_us = now_us;
    away_us = begin_us + 60 * SECOND;
    back_us = away_us + rng_below(&rng, 60 * SECOND);
    for (; now_us < back_us + 120 * SECOND && closed_us == 0; now_us += SECOND / 100) {
        bool     is_away = now_us >= away_us && now_us < back_us;
        bool     is_mended = now_us >= back_us;
        uint32_t number = 1 + (uint32_t)rng_below(&rng, 10);
        bool     is_broken = number == 1 && !is_mended;

        if (breaker_table_wake_us(table) <= now_us)
            breaker_table_heartbeat(table, !is_away, now_us);
        if (!passes(number)) {
            refused_others += number != 1 && now_us < away_us;
        } else {
            reached_broken += is_broken && !is_away;
            reached_away += is_away;
            report_reads(1, number,
                         is_away     ? BREAKER_CONNECT_FAILURE
                         : is_broken ? BREAKER_FAILURE
                                     : BREAKER_SUCCESS);
        }
        if (is_mended && breaker_table_is_calm(table) &&
            breaker_table_stats(table)->open_collections == 0)
            closed_us = now_us;
    }
    SIM_CHECK(seed, refused_others == 0);
    SIM_CHECK(seed, reached_broken <= 20 + 60); /* of some 600 */
    SIM_CHECK(seed, reached_away <= 5);         /* of thousands */
    SIM_CHECK(seed, closed_us != 0 && closed_us - back_us <= 40 * SECOND);
}

START_TEST(one_broken_collection_and_a_chroma_that_is_away)
{
    struct sim_seeds seeds = sim_seeds_get(40);

    for (uint64_t seed = seeds.first; seed <= seeds.last; seed++)
        simulate(seed);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("breaker_table");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, reads_and_writes_are_told_apart);
    tcase_add_test(tcase, a_collection_that_fails_stops_no_other);
    tcase_add_test(tcase, what_succeeded_before_the_first_failure_counts);
    tcase_add_test(tcase, what_is_older_than_ten_seconds_does_not_count);
    tcase_add_test(tcase, what_another_chroma_answered_does_not_count);
    tcase_add_test(tcase, a_heartbeat_lets_one_try_and_three_close);
    tcase_add_test(tcase, who_is_held_by_one_takes_no_try_of_another);
    tcase_add_test(tcase, another_chroma_begins_with_closed_collections);
    tcase_add_test(tcase, its_memory_is_bounded_and_given_back);
    tcase_add_test(tcase, what_is_mended_is_forgotten);
    tcase_add_test(tcase, one_broken_collection_and_a_chroma_that_is_away);
    return check_main("breaker_table", tcase);
}
