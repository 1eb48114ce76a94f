/* What must hold: the last answer to a question of an identity is found until it is forgotten, and
 * the store is bounded; what was noted longest ago goes first. */
#include <stdlib.h>
#include <string.h>

#include "proxy/construct_store.h"
#include "support/check_main.h"

static const unsigned char secret[SIPHASH_KEY_SIZE] = "secret";

static struct memory_account_budget budget;
static struct memory_account       *account;
static struct construct_store      *store;

static void ignore(void *ctx)
{
    (void)ctx;
}

static void begin(void)
{
    struct memory_account_options options[MEMORY_ACCOUNT_COUNT] = {{0}};

    for (size_t i = 0; i < MEMORY_ACCOUNT_COUNT; i++)
        options[i].max = UINT64_MAX;
    memory_account_budget_init(&budget, 64 << 20, options, ignore, NULL);
    account = &budget.accounts[MEMORY_ACCOUNT_MIRROR];
    store = construct_store_new(secret, account);
    ck_assert_ptr_nonnull(store);
}

static void end(void)
{
    construct_store_free(store);
    ck_assert_uint_eq(account->used, 0);
}

static struct query_cache_key key_of(unsigned question, unsigned who, unsigned collection)
{
    struct query_cache_key key;

    memset(&key, 0, sizeof key);
    memcpy(key.digest, &question, sizeof question);
    memcpy(key.identity, &who, sizeof who);
    memcpy(key.collection, &collection, sizeof collection);
    return key;
}

static void put(struct query_cache_key key, enum cache_kind kind, const char *text, size_t size)
{
    construct_store_put(store, &(struct construct_answer){
                                   .key = key, .kind = kind, .body = {.data = text, .size = size}});
}

static void expect(struct query_cache_key key, const char *text)
{
    const struct construct_answer *answer = construct_store_find(store, &key);

    ck_assert_int_eq(answer != NULL, text != NULL);
    if (text != NULL)
        ck_assert(bytes_equal(answer->body, bytes_of(text)));
}

START_TEST(the_last_answer_counts)
{
    put(key_of(1, 1, 0), CACHE_KIND_FIXED, "first", 5);
    put(key_of(1, 1, 0), CACHE_KIND_FIXED, "second", 6);
    put(key_of(1, 2, 0), CACHE_KIND_FIXED, "", 0);
    expect(key_of(1, 1, 0), "second");
    expect(key_of(1, 2, 0), "");
    expect(key_of(2, 1, 0), NULL);
    expect(key_of(1, 1, 7), "second"); /* the collection says only when it goes */
    ck_assert_uint_eq(construct_store_count(store), 2);
}
END_TEST

START_TEST(what_may_change_is_forgotten)
{
    uint8_t uuid[16] = {7};

    put(key_of(1, 1, 0), CACHE_KIND_FIXED, "fixed", 5);
    put(key_of(2, 1, 7), CACHE_KIND_DESCRIPTION, "of 7", 4);
    put(key_of(2, 2, 7), CACHE_KIND_DESCRIPTION, "of 7", 4);
    put(key_of(3, 1, 8), CACHE_KIND_DESCRIPTION, "of 8", 4);
    construct_store_forget_described(store, uuid);
    expect(key_of(1, 1, 0), "fixed");
    expect(key_of(2, 1, 0), NULL);
    expect(key_of(2, 2, 0), NULL);
    expect(key_of(3, 1, 0), "of 8");
    construct_store_forget_fixed(store);
    expect(key_of(1, 1, 0), NULL);
    expect(key_of(3, 1, 0), "of 8");
    construct_store_forget_described(store, NULL);
    expect(key_of(3, 1, 0), NULL);
    ck_assert_uint_eq(account->used, 0);
}
END_TEST

static void put_under(uint64_t reached, uint64_t distrusts, struct query_cache_key key)
{
    construct_store_put(store, &(struct construct_answer){.key = key,
                                                          .kind = CACHE_KIND_DESCRIPTION,
                                                          .noted_us = 5,
                                                          .reached = reached,
                                                          .distrusts = distrusts,
                                                          .body = BYTES_LITERAL("old")});
}

START_TEST(what_is_void_is_renewed_for_who_was_told)
{
    uint8_t                        uuid[16] = {7};
    struct query_cache_key         key = key_of(2, 2, 7);
    const struct construct_answer *answer;

    put(key_of(1, 1, 7), CACHE_KIND_FIXED, "fixed", 5);
    put_under(1, 1, key_of(2, 1, 7));
    put_under(1, 1, key);
    put_under(2, 1, key_of(3, 1, 7)); /* by another Chroma */
    put_under(1, 2, key_of(4, 1, 7)); /* before somebody said that it was changed */
    put_under(1, 1, key_of(6, 1, 8));
    construct_store_void(store, uuid);
    expect(key_of(1, 1, 0), "fixed");
    expect(key_of(2, 1, 0), NULL);
    expect(key_of(6, 1, 0), "old");
    put_under(1, 1, key_of(5, 1, 7));
    construct_store_renew(store, uuid, 1, 1, BYTES_LITERAL("new"));
    expect(key_of(2, 1, 0), "new");
    expect(key_of(2, 2, 0), "new");
    expect(key_of(3, 1, 0), NULL);
    expect(key_of(4, 1, 0), NULL);
    expect(key_of(5, 1, 0), "old");
    answer = construct_store_find(store, &key);
    ck_assert_uint_eq(answer->noted_us, 5); /* he was told then */
    ck_assert(!construct_store_next_void(store, 1, 1, uuid));
}
END_TEST

START_TEST(what_was_taken_back_is_found_again)
{
    struct query_cache_key key = {.collection = {1}};

    put_under(1, 1, key);
    construct_store_take_back(store, key.collection); /* of what was void before it came */
    construct_store_void(store, key.collection);
    construct_store_void(store, key.collection);
    construct_store_take_back(store, (const uint8_t[16]){2});
    construct_store_take_back(store, key.collection);
    ck_assert_ptr_null(construct_store_find(store, &key));
    construct_store_take_back(store, key.collection);
    ck_assert_ptr_nonnull(construct_store_find(store, &key));
}
END_TEST

START_TEST(what_is_void_has_its_turns)
{
    uint8_t uuid[16] = {9};

    for (uint8_t i = 1; i <= 3; i++)
        put_under(1, 1, key_of(i, 1, i));
    put_under(2, 1, key_of(4, 1, 1));
    ck_assert(!construct_store_next_void(store, 1, 1, uuid));
    for (uint8_t i = 1; i <= 3; i++)
        construct_store_void(store, (const uint8_t[16]){i});
    for (unsigned i = 0; i < 7; i++) {
        ck_assert(construct_store_next_void(store, 1, 1, uuid));
        ck_assert_uint_eq(uuid[0], i % 3 + 1);
    }
    ck_assert(construct_store_next_void(store, 2, 1, uuid));
    ck_assert(!construct_store_next_void(store, 1, 2, uuid));
    construct_store_forget_void(store, (const uint8_t[16]){2});
    put_under(1, 1, key_of(1, 1, 1)); /* told again */
    ck_assert(construct_store_next_void(store, 1, 1, uuid));
    ck_assert_uint_eq(uuid[0], 3);
    ck_assert_uint_eq(construct_store_count(store), 3);
}
END_TEST

START_TEST(it_is_bounded)
{
    char *large = calloc(1, CONSTRUCT_STORE_BODY_MAX + 1);

    ck_assert_ptr_nonnull(large);
    for (unsigned i = 0; i < 2 * CONSTRUCT_STORE_ENTRIES_MAX; i++)
        put(key_of(i, 1, 0), CACHE_KIND_FIXED, "x", 1);
    ck_assert_uint_eq(construct_store_count(store), CONSTRUCT_STORE_ENTRIES_MAX);
    expect(key_of(CONSTRUCT_STORE_ENTRIES_MAX - 1, 1, 0), NULL);
    expect(key_of(CONSTRUCT_STORE_ENTRIES_MAX, 1, 0), "x");
    for (unsigned i = 0; i < 100; i++)
        put(key_of(i, 2, 0), CACHE_KIND_FIXED, large, CONSTRUCT_STORE_BODY_MAX);
    ck_assert_uint_le(account->used, CONSTRUCT_STORE_BYTES_MAX);
    ck_assert_uint_ge(account->used, CONSTRUCT_STORE_BYTES_MAX - 2 * CONSTRUCT_STORE_BODY_MAX);
    put(key_of(99, 2, 0), CACHE_KIND_FIXED, large, CONSTRUCT_STORE_BODY_MAX + 1);
    expect(key_of(99, 2, 0), NULL); /* nor what it was before */
    free(large);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("construct_store");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, the_last_answer_counts);
    tcase_add_test(tcase, what_may_change_is_forgotten);
    tcase_add_test(tcase, what_is_void_is_renewed_for_who_was_told);
    tcase_add_test(tcase, what_was_taken_back_is_found_again);
    tcase_add_test(tcase, what_is_void_has_its_turns);
    tcase_add_test(tcase, it_is_bounded);
    return check_main("construct_store", tcase);
}
