/* What must hold: whoever asks is counted as itself, or with the others; a number is given to
 * another collection only when nothing is kept under it. */
#include "reads/cache_usage.h"

#include "base/compiler.h"
#include "support/check_main.h"
#include "support/plain_budget.h"

static const unsigned char          secret[SIPHASH_KEY_SIZE] = {1, 2, 3};
static const struct query_validity  now = {.stamp = 7, .epoch = 2, .incarnation = 3};
static struct memory_account_budget budget;
static struct query_cache          *cache;
static struct cache_usage          *usage;
static struct cache_usage_row       rows[QUERY_CACHE_OWNERS_MAX];

static void set_up(void)
{
    plain_budget_init(&budget, 1 << 30);
    cache = query_cache_new(
        &(struct query_cache_options){.bytes_max = 1 << 20, .object_bytes_max = 10000},
        &budget.accounts[MEMORY_ACCOUNT_CACHE]);
    usage = cache_usage_new(secret);
    ck_assert(cache != NULL && usage != NULL);
}

static void tear_down(void)
{
    cache_usage_free(usage);
    query_cache_free(cache);
}

static const uint8_t *uuid_of(unsigned collection)
{
    static uint8_t uuid[16];

    memcpy(uuid, &collection, sizeof collection);
    return uuid;
}

/* Collection 0 is none in particular. */
static uint8_t ask(unsigned collection, uint8_t service, const char *name, uint64_t saved_us)
{
    struct query_cache_hit hit = {.cost_us = saved_us};
    uint8_t                number = cache_usage_collection(usage, cache, uuid_of(collection));

    cache_usage_note(usage, number, service, name, saved_us > 0 ? &hit : NULL);
    return number;
}

static void keep(unsigned collection, uint8_t number)
{
    struct query_cache_key    key = {.digest = {1}};
    struct query_cache_answer answer = {.collection = number};

    memcpy(key.collection, uuid_of(collection), sizeof key.collection);
    ck_assert_int_eq(query_cache_put(cache, &key, &now, &answer, 1), STATUS_OK);
}

static size_t list(enum query_cache_owner kind)
{
    return cache_usage_list(usage, cache, kind, rows);
}

START_TEST(collections_and_services_are_counted_apart_the_best_first)
{
    ask(1, 0, "default", 0);
    ask(1, 0, "default", 100);
    ask(2, 0, "default", 0);
    ask(2, 3, "chat", 500);
    ask(0, 3, "chat", 0);
    keep(2, ask(2, 3, "chat", 0));
    ck_assert_uint_eq(list(QUERY_CACHE_COLLECTION), 3);
    ck_assert_mem_eq(rows[0].collection, uuid_of(2), 16);
    ck_assert_uint_eq(rows[0].counts.lookups, 3);
    ck_assert_uint_eq(rows[0].counts.hits, 1);
    ck_assert_uint_eq(rows[0].counts.saved_us, 500);
    ck_assert_uint_eq(rows[0].holding.entries, 1);
    ck_assert_mem_eq(rows[1].collection, uuid_of(1), 16);
    ck_assert_uint_eq(rows[1].counts.saved_us, 100);
    ck_assert_uint_eq(rows[1].holding.entries, 0);
    ck_assert_ptr_null(rows[2].collection);
    ck_assert_uint_eq(rows[2].counts.lookups, 1);
    ck_assert_uint_eq(list(QUERY_CACHE_SERVICE), 2);
    ck_assert_str_eq(rows[0].service, "chat");
    ck_assert_uint_eq(rows[0].counts.lookups, 3);
    ck_assert_str_eq(rows[1].service, "default");
    ck_assert_uint_eq(rows[1].counts.hits, 1);
}
END_TEST

START_TEST(a_service_of_another_name_begins_anew)
{
    ask(1, 3, "chat", 100);
    ask(1, 3, "batch", 0);
    ck_assert_uint_eq(list(QUERY_CACHE_SERVICE), 1);
    ck_assert_str_eq(rows[0].service, "batch");
    ck_assert_uint_eq(rows[0].counts.lookups, 1);
    ck_assert_uint_eq(rows[0].counts.hits, 0);
}
END_TEST

START_TEST(the_quietest_without_answers_makes_room)
{
    uint8_t first = ask(1, 0, "default", 100), third;

    ask(2, 0, "default", 50);
    third = ask(3, 0, "default", 200);
    keep(1, first);
    for (unsigned i = 4; i < QUERY_CACHE_OWNERS_MAX; i++)
        ck_assert_uint_ne(ask(i, 0, "default", 0), CACHE_USAGE_OTHERS);
    ask(2, 0, "default", 0);
    ck_assert_uint_eq(ask(1000, 0, "default", 0), third);
    ck_assert_uint_eq(ask(1, 0, "default", 0), first);
    ck_assert_uint_eq(list(QUERY_CACHE_COLLECTION), QUERY_CACHE_OWNERS_MAX - 1);
    for (size_t i = 0; i < QUERY_CACHE_OWNERS_MAX - 1; i++) {
        ck_assert_int_ne(memcmp(rows[i].collection, uuid_of(3), 16), 0);
        ck_assert_uint_le(rows[i].counts.saved_us, 100);
    }
}
END_TEST

START_TEST(when_answers_are_kept_for_all_the_rest_is_counted_together)
{
    for (unsigned i = 1; i < QUERY_CACHE_OWNERS_MAX; i++)
        keep(i, ask(i, 0, "default", 0));
    ck_assert_uint_eq(ask(1000, 0, "default", 100), CACHE_USAGE_OTHERS);
    ck_assert_uint_eq(ask(1001, 0, "default", 100), CACHE_USAGE_OTHERS);
    ck_assert_uint_eq(list(QUERY_CACHE_COLLECTION), QUERY_CACHE_OWNERS_MAX);
    ck_assert_ptr_null(rows[0].collection);
    ck_assert_uint_eq(rows[0].counts.hits, 2);
    query_cache_clear(cache);
    ck_assert_uint_ne(ask(1000, 0, "default", 100), CACHE_USAGE_OTHERS);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("cache_usage");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, collections_and_services_are_counted_apart_the_best_first);
    tcase_add_test(tcase, a_service_of_another_name_begins_anew);
    tcase_add_test(tcase, the_quietest_without_answers_makes_room);
    tcase_add_test(tcase, when_answers_are_kept_for_all_the_rest_is_counted_together);
    return check_main("cache_usage", tcase);
}
