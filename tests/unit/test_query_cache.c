/* What must hold: an answer is found under its own key and validity only, byte for byte; the cap is
 * kept with all overhead; what is asked for again stays. */
#include "reads/query_cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/rng.h"
#include "support/check_main.h"
#include "support/plain_budget.h"

enum { BYTES_MAX = 2 << 20, OBJECT_MAX = 100 << 10, FOREVER = 1000000000, SERVICES = 4 };

static struct memory_account_budget budget;
static struct memory_account       *account = &budget.accounts[MEMORY_ACCOUNT_CACHE];
static struct query_cache          *cache;
static const struct query_validity  now = {.stamp = 7, .epoch = 2, .incarnation = 3};

static void make_cache(size_t bytes_max)
{
    cache = query_cache_new(&(struct query_cache_options){.bytes_max = bytes_max,
                                                          .object_bytes_max = OBJECT_MAX,
                                                          .services = SERVICES},
                            account);
    ck_assert_ptr_nonnull(cache);
}

static void set_up(void)
{
    plain_budget_init(&budget, 1 << 30);
    make_cache(BYTES_MAX);
}

static void tear_down(void)
{
    query_cache_free(cache);
    ck_assert_uint_eq(account->used, 0);
}

static struct query_cache_key key_of(unsigned collection, unsigned identity, unsigned question)
{
    struct query_cache_key key;

    memset(&key, 0, sizeof key);
    memcpy(key.collection, &collection, sizeof collection);
    memcpy(key.identity, &identity, sizeof identity);
    for (size_t i = 0; i < 2; i++) {
        uint64_t half = rng_mix(question * 2 + i + 1);

        memcpy(key.digest + 8 * i, &half, sizeof half);
    }
    return key;
}

/* The answer number `number`, of `size` bytes that depend on it. */
static struct bytes text_of(unsigned number, size_t size)
{
    static char text[OBJECT_MAX + 1];

    for (size_t i = 0; i < size; i++)
        text[i] = (char)(number * 31 + i * 7 + (i >> 10));
    return (struct bytes){.data = text, .size = size};
}

static enum status put_for(uint32_t service, struct query_cache_key key, unsigned number,
                           size_t size)
{
    struct query_cache_answer answer = {.body = text_of(number, size),
                                        .cost_us = 1000,
                                        .service = service,
                                        .head = (uint8_t)number,
                                        .collection = key.collection[0]};

    return query_cache_put(cache, &key, &now, &answer, 50);
}

static enum status put(struct query_cache_key key, unsigned number, size_t size)
{
    return put_for(0, key, number, size);
}

static enum query_cache_result find(struct query_cache_key key, struct query_validity validity,
                                    struct query_cache_hit *ret_hit)
{
    return query_cache_find(cache, &key, &validity, FOREVER, 60, ret_hit);
}

static void check_holdings(void)
{
    for (unsigned kind = 0; kind < QUERY_CACHE_OWNER_KINDS; kind++) {
        struct query_cache_holding sum = {0};

        for (unsigned owner = 0; owner < QUERY_CACHE_OWNERS_MAX; owner++) {
            struct query_cache_holding one = query_cache_get_holding(cache, kind, (uint8_t)owner);

            ck_assert((one.entries == 0) == (one.bytes == 0));
            sum.entries += one.entries;
            sum.bytes += one.bytes;
        }
        ck_assert_uint_eq(sum.entries, query_cache_get_stats(cache)->entries);
        ck_assert_uint_le(sum.bytes, query_cache_get_stats(cache)->bytes);
    }
}

static bool holds(struct query_cache_key key, unsigned number, size_t size)
{
    struct query_cache_hit hit;
    struct bytes           part, text = text_of(number, size);

    if (find(key, now, &hit) != QUERY_CACHE_HIT)
        return false;
    ck_assert_uint_eq(hit.size, size);
    ck_assert_uint_eq(hit.head, (uint8_t)number);
    while (query_cache_read(&hit, &part)) {
        ck_assert_uint_gt(part.size, 0);
        ck_assert_uint_le(part.size, text.size);
        ck_assert_mem_eq(part.data, text.data, part.size);
        text = bytes_skip(text, part.size);
    }
    ck_assert_uint_eq(text.size, 0);
    return true;
}

START_TEST(an_answer_comes_back_whole_at_any_size)
{
    for (size_t size = 0; size < 6000; size += size < 2200 ? 1 : 97) {
        ck_assert_int_eq(put(key_of(1, 1, 1), (unsigned)size, size), STATUS_OK);
        ck_assert(holds(key_of(1, 1, 1), (unsigned)size, size));
    }
    ck_assert_int_eq(put(key_of(1, 1, 1), 3, OBJECT_MAX), STATUS_OK);
    ck_assert(holds(key_of(1, 1, 1), 3, OBJECT_MAX));
    ck_assert_uint_eq(query_cache_get_stats(cache)->entries, 1);
}
END_TEST

START_TEST(only_the_same_question_of_the_same_asker_is_answered)
{
    struct query_cache_hit hit;

    ck_assert_int_eq(put(key_of(1, 1, 1), 1, 100), STATUS_OK);
    ck_assert(find(key_of(2, 1, 1), now, &hit) == QUERY_CACHE_MISS);
    ck_assert(find(key_of(1, 2, 1), now, &hit) == QUERY_CACHE_MISS);
    ck_assert(find(key_of(1, 1, 2), now, &hit) == QUERY_CACHE_MISS);
    ck_assert(holds(key_of(1, 1, 1), 1, 100));
    ck_assert_uint_eq(query_cache_get_stats(cache)->misses, 3);
    ck_assert_uint_eq(query_cache_get_stats(cache)->hits, 1);
    ck_assert_uint_eq(query_cache_get_stats(cache)->saved_us, 1000);
}
END_TEST

START_TEST(what_may_have_changed_is_not_answered_and_goes)
{
    static const struct query_validity others[] = {{8, 2, 3}, {7, 1, 3}, {7, 2, 4}, {0, 2, 3}};
    struct query_cache_hit             hit;

    for (size_t i = 0; i < COUNT_OF(others); i++) {
        ck_assert_int_eq(put(key_of(1, 1, 1), 1, 100), STATUS_OK);
        ck_assert(find(key_of(1, 1, 1), others[i], &hit) == QUERY_CACHE_STALE);
        ck_assert(find(key_of(1, 1, 1), now, &hit) == QUERY_CACHE_MISS);
    }
    ck_assert_uint_eq(query_cache_get_stats(cache)->entries, 0);
    ck_assert(!query_validity_holds(&(struct query_validity){0, 1, 1},
                                    &(struct query_validity){0, 1, 1}));
}
END_TEST

START_TEST(an_answer_older_than_wanted_is_not_given)
{
    struct query_cache_key key = key_of(1, 1, 1);
    struct query_cache_hit hit;

    ck_assert_int_eq(put(key, 1, 100), STATUS_OK); /* at 50 */
    ck_assert(query_cache_find(cache, &key, &now, 10, 61, &hit) == QUERY_CACHE_EXPIRED);
    ck_assert(query_cache_find(cache, &key, &now, 11, 61, &hit) == QUERY_CACHE_HIT);
    ck_assert_uint_eq(hit.age_us, 11);
    ck_assert_uint_eq(hit.cost_us, 1000);
}
END_TEST

START_TEST(what_is_there_is_known_without_a_look_up)
{
    struct query_cache_key key = key_of(1, 1, 1);

    ck_assert(!query_cache_holds(cache, &key, &now));
    ck_assert_int_eq(put(key, 1, 100), STATUS_OK);
    ck_assert(query_cache_holds(cache, &key, &now));
    ck_assert(!query_cache_holds(cache, &key, &(struct query_validity){8, 2, 3}));
    ck_assert_uint_eq(query_cache_get_stats(cache)->hits + query_cache_get_stats(cache)->stale, 0);
    ck_assert(query_cache_pass_over(cache) == QUERY_CACHE_EXPIRED);
    ck_assert(holds(key, 1, 100));
    query_cache_note_join(cache, QUERY_CACHE_EXPIRED);
    ck_assert_uint_eq(query_cache_get_stats(cache)->expired, 0);
    ck_assert_uint_eq(query_cache_get_stats(cache)->joined, 1);
}
END_TEST

START_TEST(what_is_too_large_takes_the_place_of_nothing)
{
    struct query_cache_hit hit;

    ck_assert_int_eq(put(key_of(1, 1, 1), 1, 100), STATUS_OK);
    ck_assert_int_eq(put(key_of(1, 1, 2), 1, 100), STATUS_OK);
    ck_assert_int_eq(put(key_of(1, 1, 1), 2, OBJECT_MAX + 1), STATUS_TOO_LARGE);
    ck_assert(find(key_of(1, 1, 1), now, &hit) == QUERY_CACHE_MISS);
    ck_assert(holds(key_of(1, 1, 2), 1, 100));
    ck_assert_uint_eq(query_cache_get_stats(cache)->too_large, 1);
}
END_TEST

/* Random traffic beside a model that remembers what was put last. */
START_TEST(whatever_comes_the_cap_is_kept_and_answers_are_right)
{
    enum { KEYS = 3000, ROUNDS = 60000 };
    static struct {
        unsigned number;
        size_t   size;
    } model[KEYS];
    struct rng rng;
    unsigned   hits = 0;

    rng_init(&rng, 5);
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned at = (unsigned)(rng_below(&rng, KEYS) * rng_below(&rng, KEYS) / KEYS);
        const struct query_cache_stats *stats = query_cache_get_stats(cache);

        if (rng_below(&rng, 3) > 0) {
            hits += holds(key_of(at % 40, at % 3, at), model[at].number, model[at].size);
        } else {
            model[at].number = i;
            model[at].size =
                rng_below(&rng, 50) == 0 ? rng_below(&rng, OBJECT_MAX) : rng_below(&rng, 5000);
            ck_assert_int_eq(put_for(i % SERVICES, key_of(at % 40, at % 3, at), i, model[at].size),
                             STATUS_OK);
        }
        ck_assert_uint_eq(account->used, stats->bytes);
        ck_assert_uint_le(stats->bytes, BYTES_MAX);
        if (i % 1000 == 0)
            check_holdings();
    }
    ck_assert_uint_gt(hits, ROUNDS / 10);
    ck_assert_uint_gt(query_cache_get_stats(cache)->evicted, 0);
}
END_TEST

START_TEST(what_is_asked_again_survives_a_scan)
{
    enum { HOT = 250, SCAN = 20000 };
    unsigned kept = 0;

    for (unsigned i = 0; i < HOT; i++)
        ck_assert_int_eq(put(key_of(1, 1, i), i, 100), STATUS_OK);
    for (unsigned i = 0; i < SCAN; i++) {
        ck_assert_int_eq(put(key_of(2, 1, HOT + i), i, 100), STATUS_OK);
        if (i % 3 == 0) /* each of the hot ones every 750 strangers */
            holds(key_of(1, 1, i / 3 % HOT), i / 3 % HOT, 100);
    }
    for (unsigned i = 0; i < HOT; i++)
        kept += holds(key_of(1, 1, i), i, 100);
    ck_assert_uint_eq(kept, HOT);
}
END_TEST

/* Entries of one chunk, of which 2 MiB hold some 1800. */
static unsigned count_kept(unsigned from, unsigned to)
{
    unsigned kept = 0;

    for (unsigned i = from; i < to; i++)
        kept += holds(key_of(1, 1, i), i, 100);
    return kept;
}

START_TEST(a_service_cannot_push_out_another_one_s_equal_part)
{
    enum { QUIET = 500, FLOOD = 10000, OTHER = 3000 };

    for (unsigned i = 0; i < FLOOD; i++)
        ck_assert_int_eq(put_for(1, key_of(1, 1, i), i, 100), STATUS_OK);
    ck_assert_uint_gt(count_kept(0, FLOOD), 1500); /* all of it, while nobody else wants some */
    for (unsigned i = FLOOD; i < FLOOD + QUIET; i++)
        ck_assert_int_eq(put_for(2, key_of(1, 1, i), i, 100), STATUS_OK);
    for (unsigned i = FLOOD + QUIET; i < 2 * FLOOD; i++) {
        ck_assert_int_eq(put_for(1, key_of(1, 1, i), i, 100), STATUS_OK);
        holds(key_of(1, 1, i), i, 100); /* asked for again at once: it is no scan */
    }
    ck_assert_uint_eq(count_kept(FLOOD, FLOOD + QUIET), QUIET);
    ck_assert_uint_gt(count_kept(FLOOD + QUIET, 2 * FLOOD), 1000); /* the rest */
    for (unsigned i = 2 * FLOOD; i < 2 * FLOOD + OTHER; i++)
        ck_assert_int_eq(put_for(3, key_of(1, 1, i), i, 100), STATUS_OK);
    ck_assert_uint_eq(count_kept(FLOOD, FLOOD + QUIET), QUIET);
    ck_assert_uint_gt(count_kept(FLOOD + QUIET, 2 * FLOOD), 500); /* two equal parts of the rest */
    ck_assert_uint_gt(count_kept(2 * FLOOD, 2 * FLOOD + OTHER), 500);
}
END_TEST

static size_t resident_bytes(void)
{
    FILE         *file = fopen("/proc/self/statm", "r");
    unsigned long pages = 0;

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%*u %lu", &pages), 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static double seconds_now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* CHURN_SECONDS=600 for longer, and then at a pace that leaves the machine to others. What the
 * process has in memory is what is charged: nothing is lost between answers of all sizes that come
 * and go. */
START_TEST(churn_stays_within_the_cap_and_5_percent)
{
    enum { CAP = 32 << 20, SIZES_MAX = 64 << 10 };
    const char  *wanted = getenv("CHURN_SECONDS");
    double       ends = seconds_now() + (wanted == NULL ? 0.2 : atof(wanted));
    struct bytes text = text_of(1, OBJECT_MAX);
    size_t       before = resident_bytes(), most = 0;
    unsigned     count = 0;
    struct rng   rng;

    query_cache_free(cache);
    make_cache(CAP);
    rng_init(&rng, 7);
    for (; count < 20000 || seconds_now() < ends; count++) {
        struct query_cache_key    key = key_of(count % 7, 1, count % 5000);
        struct query_cache_answer answer = {
            .body = {.data = text.data, .size = rng_below(&rng, 1 + rng_below(&rng, SIZES_MAX))},
            .service = (uint32_t)rng_below(&rng, SERVICES)};

        ck_assert_int_eq(query_cache_put(cache, &key, &now, &answer, 50), STATUS_OK);
        ck_assert_uint_le(account->used, CAP);
        if (count % 10000 == 0 && resident_bytes() > most)
            most = resident_bytes();
        if (wanted != NULL && count % 200 == 0)
            usleep(10000);
    }
    printf("# %u answers, %zu of %d KiB\n", count, (most - before) >> 10, CAP >> 10);
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
    ck_assert_uint_le(most - before, CAP + CAP / 20);
#endif
}
END_TEST

START_TEST(what_the_caller_holds_is_part_of_the_cap)
{
    uint64_t plain = query_cache_get_stats(cache)->bytes, used = account->used;

    query_cache_free(cache);
    cache = query_cache_new(&(struct query_cache_options){.bytes_max = BYTES_MAX,
                                                          .object_bytes_max = OBJECT_MAX,
                                                          .services = SERVICES,
                                                          .bytes_beside = BYTES_MAX / 2},
                            account);
    ck_assert_uint_eq(account->used, used);
    ck_assert_uint_eq(query_cache_get_stats(cache)->bytes, plain + BYTES_MAX / 2);
    for (unsigned i = 0; i < 1000; i++) {
        struct query_cache_key    key = key_of(1, 1, i);
        struct query_cache_answer answer = {.body = text_of(i, 5000)};

        ck_assert_int_eq(query_cache_put(cache, &key, &now, &answer, 50), STATUS_OK);
    }
    ck_assert_uint_le(account->used, BYTES_MAX / 2);
    ck_assert_uint_le(query_cache_get_stats(cache)->bytes, BYTES_MAX);
    ck_assert_uint_gt(query_cache_get_stats(cache)->bytes, BYTES_MAX - BYTES_MAX / 4);
}
END_TEST

START_TEST(what_is_kept_is_known_by_owner_and_can_be_dropped)
{
    for (unsigned i = 0; i < 30; i++)
        ck_assert_int_eq(put(key_of(1 + i % 3, 5, i), i, 3000), STATUS_OK);
    check_holdings();
    ck_assert_uint_eq(query_cache_get_holding(cache, QUERY_CACHE_COLLECTION, 2).entries, 10);
    ck_assert_uint_ge(query_cache_get_holding(cache, QUERY_CACHE_COLLECTION, 2).bytes, 30000);
    ck_assert_uint_eq(query_cache_get_holding(cache, QUERY_CACHE_SERVICE, 0).entries, 30);
    query_cache_drop_collection(cache, key_of(2, 0, 0).collection);
    check_holdings();
    for (unsigned i = 0; i < 30; i++)
        ck_assert_int_eq(holds(key_of(1 + i % 3, 5, i), i, 3000), i % 3 != 1);
    query_cache_clear(cache);
    check_holdings();
    ck_assert_uint_eq(query_cache_get_stats(cache)->entries, 0);
    ck_assert_int_eq(put(key_of(1, 5, 1), 1, 3000), STATUS_OK);
    ck_assert(holds(key_of(1, 5, 1), 1, 3000));
}
END_TEST

START_TEST(without_room_nothing_is_kept_and_nothing_fails)
{
    struct query_cache_hit hit;

    query_cache_free(cache);
    plain_budget_init(&budget, 100 << 10);
    make_cache(BYTES_MAX);
    ck_assert_int_eq(put(key_of(1, 1, 1), 1, 100), STATUS_NO_MEMORY);
    ck_assert(find(key_of(1, 1, 1), now, &hit) == QUERY_CACHE_MISS);
    ck_assert_uint_eq(query_cache_get_stats(cache)->no_room, 1);
    query_cache_free(cache);
    make_cache(1000); /* not even a block */
    ck_assert_int_eq(put(key_of(1, 1, 1), 1, 100), STATUS_NO_MEMORY);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("query_cache");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, an_answer_comes_back_whole_at_any_size);
    tcase_add_test(tcase, only_the_same_question_of_the_same_asker_is_answered);
    tcase_add_test(tcase, what_may_have_changed_is_not_answered_and_goes);
    tcase_add_test(tcase, an_answer_older_than_wanted_is_not_given);
    tcase_add_test(tcase, what_is_there_is_known_without_a_look_up);
    tcase_add_test(tcase, what_is_too_large_takes_the_place_of_nothing);
    tcase_add_test(tcase, whatever_comes_the_cap_is_kept_and_answers_are_right);
    tcase_add_test(tcase, what_is_asked_again_survives_a_scan);
    tcase_add_test(tcase, a_service_cannot_push_out_another_one_s_equal_part);
    tcase_add_test(tcase, churn_stays_within_the_cap_and_5_percent);
    tcase_add_test(tcase, what_the_caller_holds_is_part_of_the_cap);
    tcase_add_test(tcase, what_is_kept_is_known_by_owner_and_can_be_dropped);
    tcase_add_test(tcase, without_room_nothing_is_kept_and_nothing_fails);
    return check_main("query_cache", tcase);
}
