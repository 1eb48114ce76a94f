/* What must hold: the map agrees with a plain table under any sequence of puts and removes, at
 * every fill, and keeps to its bound. */
#include "base/hash_map.h"
#include "support/check_main.h"

#define KEYS 500

static const unsigned char secret[SIPHASH_KEY_SIZE] = "a secret for us";

static uint32_t random_state;

static uint32_t random_below(uint32_t limit)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % limit;
}

struct entry {
    char key[4];
    bool in_map;
};

static struct bytes key_of(const struct entry *entry)
{
    return (struct bytes){.data = entry->key, .size = sizeof entry->key};
}

static void check_agreement(const struct hash_map *map, struct entry *entries, size_t count)
{
    size_t position = 0, walked = 0;

    for (size_t i = 0; i < KEYS; i++) {
        void *found = hash_map_get(map, key_of(&entries[i]));

        ck_assert_ptr_eq(found, entries[i].in_map ? &entries[i] : NULL);
    }
    for (struct entry *entry; (entry = hash_map_next(map, &position)) != NULL; walked++)
        ck_assert(entry->in_map);
    ck_assert_uint_eq(walked, count);
    ck_assert_uint_eq(hash_map_count(map), count);
}

START_TEST(it_agrees_with_a_plain_table)
{
    static struct entry entries[KEYS];
    struct hash_map    *map = hash_map_new(secret, KEYS);
    size_t              count = 0;

    random_state = (uint32_t)_i;
    for (uint32_t i = 0; i < KEYS; i++) {
        memcpy(entries[i].key, &i, sizeof i);
        entries[i].in_map = false;
    }
    for (int step = 0; step < 20000; step++) {
        /* The share of puts drifts, so that the map fills and empties. */
        struct entry *entry = &entries[random_below(KEYS)];
        bool          put = (int)random_below(100) < (step / 2000 % 2 == 0 ? 70 : 30);

        if (put && !entry->in_map) {
            ck_assert_int_eq(hash_map_put(map, key_of(entry), entry), STATUS_OK);
            entry->in_map = true;
            count++;
        } else if (!put) {
            ck_assert_ptr_eq(hash_map_remove(map, key_of(entry)), entry->in_map ? entry : NULL);
            count -= entry->in_map;
            entry->in_map = false;
        }
        if (step % 500 == 0)
            check_agreement(map, entries, count);
    }
    check_agreement(map, entries, count);
    hash_map_free(map);
}
END_TEST

START_TEST(a_map_that_could_not_be_made_is_empty)
{
    size_t position = 0;

    ck_assert_ptr_null(hash_map_next(NULL, &position));
    hash_map_free(NULL);
}
END_TEST

START_TEST(the_bound_is_exact)
{
    struct hash_map *map = hash_map_new(secret, 3);
    int              value;

    ck_assert_ptr_null(hash_map_get(map, BYTES_LITERAL("")));
    ck_assert_ptr_null(hash_map_remove(map, BYTES_LITERAL("")));
    ck_assert_int_eq(hash_map_put(map, BYTES_LITERAL(""), &value), STATUS_OK);
    ck_assert_int_eq(hash_map_put(map, BYTES_LITERAL("a"), &value), STATUS_OK);
    ck_assert_int_eq(hash_map_put(map, BYTES_LITERAL("ab"), &value), STATUS_OK);
    ck_assert_int_eq(hash_map_put(map, BYTES_LITERAL("b"), &value), STATUS_LIMIT_REACHED);
    ck_assert_ptr_eq(hash_map_remove(map, BYTES_LITERAL("a")), &value);
    ck_assert_int_eq(hash_map_put(map, BYTES_LITERAL("b"), &value), STATUS_OK);
    hash_map_free(map);
    hash_map_free(NULL);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("hash_map");

    tcase_add_loop_test(tcase, it_agrees_with_a_plain_table, 0, 20);
    tcase_add_test(tcase, a_map_that_could_not_be_made_is_empty);
    tcase_add_test(tcase, the_bound_is_exact);
    return check_main("hash_map", tcase);
}
