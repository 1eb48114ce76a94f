/* What must hold: chains are whole and nobody else's, what is charged is what is held, and all of
 * it comes back. */
#include "reads/chunk_pool.h"

#include <string.h>

#include "base/rng.h"
#include "support/check_main.h"
#include "support/plain_budget.h"

enum { BLOCKS = 3, BYTES_MAX = BLOCKS * CHUNK_POOL_BLOCK_SIZE + 5000, CHAINS = 40 };

static struct memory_account_budget budget;
static struct memory_account       *account = &budget.accounts[MEMORY_ACCOUNT_CACHE];
static struct chunk_pool            pool;

static void set_up(void)
{
    plain_budget_init(&budget, 1 << 30);
    chunk_pool_init(&pool, BYTES_MAX, account);
}

static size_t length(const struct chunk *chain)
{
    size_t count = 0;

    for (; chain != NULL; chain = chain->next)
        count++;
    return count;
}

START_TEST(a_chain_is_as_long_as_wanted_and_its_memory_is_its_own)
{
    struct chunk *chains[CHAINS] = {NULL};
    size_t        lengths[CHAINS] = {0}, used = 0;
    struct rng    rng;

    rng_init(&rng, 3);
    for (int i = 0; i < 20000; i++) {
        size_t at = rng_below(&rng, CHAINS);

        if (chains[at] == NULL) {
            size_t want = 1 + rng_below(&rng, 60);

            chains[at] = chunk_pool_take(&pool, want);
            if (chains[at] == NULL) {
                ck_assert_uint_gt(used + want, chunk_pool_capacity(&pool));
                continue;
            }
            lengths[at] = want;
            used += want;
            for (struct chunk *chunk = chains[at]; chunk != NULL; chunk = chunk->next)
                memset(chunk->data, (int)at, sizeof chunk->data);
        } else {
            ck_assert_uint_eq(length(chains[at]), lengths[at]);
            for (struct chunk *chunk = chains[at]; chunk != NULL; chunk = chunk->next)
                ck_assert(chunk->data[0] == (char)at &&
                          chunk->data[CHUNK_DATA_SIZE - 1] == (char)at);
            chunk_pool_give(&pool, chains[at]);
            chains[at] = NULL;
            used -= lengths[at];
        }
        ck_assert_uint_eq(pool.used_count, used);
        ck_assert_uint_eq(account->used, pool.bytes);
        ck_assert_uint_le(pool.bytes, BYTES_MAX);
    }
    for (size_t i = 0; i < CHAINS; i++)
        chunk_pool_give(&pool, chains[i]);
    ck_assert_uint_eq(account->used, 0);
    chunk_pool_done(&pool);
}
END_TEST

START_TEST(what_is_not_there_is_not_taken)
{
    size_t        capacity = chunk_pool_capacity(&pool);
    struct chunk *chain = chunk_pool_take(&pool, capacity);

    ck_assert_uint_eq(capacity, BLOCKS * (CHUNK_POOL_BLOCK_SIZE / CHUNK_SIZE - 1));
    ck_assert_ptr_nonnull(chain);
    ck_assert_ptr_null(chunk_pool_take(&pool, 1));
    chunk_pool_give(&pool, chain);
    ck_assert_ptr_null(chunk_pool_take(&pool, capacity + 1));
    chunk_pool_done(&pool);
    ck_assert_uint_eq(account->used, 0);
}
END_TEST

START_TEST(an_account_without_room_gives_none)
{
    struct chunk *chain;

    plain_budget_init(&budget, CHUNK_POOL_BLOCK_SIZE + 100);
    chain = chunk_pool_take(&pool, 10);
    ck_assert_ptr_nonnull(chain);
    ck_assert_ptr_null(chunk_pool_take(&pool, CHUNK_POOL_BLOCK_SIZE / CHUNK_SIZE));
    chunk_pool_give(&pool, chain);
    chunk_pool_done(&pool);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("chunk_pool");

    tcase_add_checked_fixture(tcase, set_up, NULL);
    tcase_add_test(tcase, a_chain_is_as_long_as_wanted_and_its_memory_is_its_own);
    tcase_add_test(tcase, what_is_not_there_is_not_taken);
    tcase_add_test(tcase, an_account_without_room_gives_none);
    return check_main("chunk_pool", tcase);
}
