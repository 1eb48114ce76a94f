/* What must hold: what is found is what was put there for that text, and memory is what was said.
 */
#include "reads/meaning_memo.h"

#include <stdint.h>
#include <string.h>

#include "base/rng.h"
#include "support/check_main.h"
#include "support/plain_budget.h"

enum { TEXTS = 1000, BYTES_MAX = 100000 };

static struct memory_account_budget budget;
static struct memory_account       *account = &budget.accounts[MEMORY_ACCOUNT_CACHE];
static struct meaning_memo         *memo;

static void begin(void)
{
    plain_budget_init(&budget, 1 << 30);
    memo = meaning_memo_new(BYTES_MAX, account);
    ck_assert_ptr_nonnull(memo);
}

static void end(void)
{
    meaning_memo_free(memo);
    ck_assert_uint_eq(account->used, 0);
}

/* Of any number its digest; those of one `set` and different numbers meet. */
static const unsigned char *digest_of(uint64_t set, uint64_t number)
{
    static unsigned char digests[2][KEYED_DIGEST_SIZE];
    static unsigned      next;
    uint64_t             halves[] = {set, rng_mix(number)};

    next ^= 1;
    memcpy(digests[next], halves, sizeof halves);
    return digests[next];
}

static bool means(uint64_t set, uint64_t text, uint64_t meaning)
{
    unsigned char found[KEYED_DIGEST_SIZE];

    return meaning_memo_find(memo, digest_of(set, text), found) &&
           memcmp(found, digest_of(9, meaning), sizeof found) == 0;
}

START_TEST(what_is_found_was_put_there)
{
    unsigned found = 0;

    for (uint64_t text = 1; text <= TEXTS; text++) {
        unsigned char meaning[KEYED_DIGEST_SIZE];

        ck_assert(!meaning_memo_find(memo, digest_of(rng_mix(text), text), meaning));
        meaning_memo_put(memo, digest_of(rng_mix(text), text), digest_of(9, text));
        ck_assert(means(rng_mix(text), text, text));
    }
    for (uint64_t text = 1; text <= TEXTS; text++) {
        unsigned char meaning[KEYED_DIGEST_SIZE];

        found += means(rng_mix(text), text, text);
        ck_assert(!meaning_memo_find(memo, digest_of(rng_mix(text), text + TEXTS), meaning));
        ck_assert(means(rng_mix(text), text, text) ||
                  !meaning_memo_find(memo, digest_of(rng_mix(text), text), meaning));
    }
    ck_assert_uint_gt(found, TEXTS * 3 / 4); /* of 1024 sets of two */
}
END_TEST

START_TEST(of_three_that_meet_the_oldest_goes)
{
    for (uint64_t text = 1; text <= 3; text++)
        meaning_memo_put(memo, digest_of(5, text), digest_of(9, 10 * text));
    ck_assert(!means(5, 1, 10) && means(5, 2, 20) && means(5, 3, 30));
    meaning_memo_put(memo, digest_of(5, 1), digest_of(9, 11));
    ck_assert(means(5, 1, 11) && !means(5, 2, 20) && means(5, 3, 30));
}
END_TEST

START_TEST(memory_is_bounded_and_charged)
{
    ck_assert_uint_le(account->used, BYTES_MAX);
    ck_assert_uint_gt(account->used, BYTES_MAX / 2);
    ck_assert_uint_eq(account->used, meaning_memo_bytes(memo));
    ck_assert_ptr_null(meaning_memo_new(10, account));
    meaning_memo_put(NULL, digest_of(1, 1), digest_of(9, 1));
    ck_assert(!meaning_memo_find(NULL, digest_of(1, 1), (unsigned char[KEYED_DIGEST_SIZE]){0}));
    ck_assert_uint_eq(meaning_memo_bytes(NULL), 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("meaning_memo");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, what_is_found_was_put_there);
    tcase_add_test(tcase, of_three_that_meet_the_oldest_goes);
    tcase_add_test(tcase, memory_is_bounded_and_charged);
    return check_main("meaning_memo", tcase);
}
