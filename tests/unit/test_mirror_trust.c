/* What must hold: only who was served is trusted, for that collection, for that long; the table is
 * bounded, and what was noted longest ago goes first. */
#include <string.h>

#include "proxy/mirror_trust.h"
#include "support/check_main.h"

static const unsigned char secret[SIPHASH_KEY_SIZE] = "secret";

static struct mirror_trust *trust;

static void begin(void)
{
    trust = mirror_trust_new(secret);
    ck_assert_ptr_nonnull(trust);
}

static void end(void)
{
    mirror_trust_free(trust);
}

static void number(unsigned char out[16], unsigned value)
{
    memset(out, 0, 16);
    memcpy(out, &value, sizeof value);
}

static void note(unsigned collection, unsigned who, uint64_t now_us)
{
    unsigned char uuid[16], digest[16];

    number(uuid, collection);
    number(digest, who);
    mirror_trust_note(trust, uuid, digest, now_us);
}

static bool holds(unsigned collection, unsigned who, uint64_t now_us, uint64_t within_us)
{
    unsigned char uuid[16], digest[16];

    number(uuid, collection);
    number(digest, who);
    return mirror_trust_holds(trust, uuid, digest, now_us, within_us);
}

START_TEST(only_who_was_served_and_for_so_long)
{
    ck_assert(!holds(1, 1, 100, UINT64_MAX));
    note(1, 1, 100);
    ck_assert(holds(1, 1, 150, 50));
    ck_assert(!holds(1, 1, 151, 50));
    ck_assert(holds(1, 1, 1000000, UINT64_MAX));
    ck_assert(!holds(1, 2, 150, 50));
    ck_assert(!holds(2, 1, 150, 50));
    note(1, 1, 200);
    ck_assert(holds(1, 1, 250, 50));
    ck_assert_uint_eq(mirror_trust_count(trust), 1);
}
END_TEST

START_TEST(the_oldest_goes_when_there_are_too_many)
{
    for (unsigned i = 0; i < MIRROR_TRUST_ENTRIES_MAX; i++)
        note(1, i, i);
    note(1, 0, MIRROR_TRUST_ENTRIES_MAX); /* again: it is not the oldest any more */
    note(2, 0, MIRROR_TRUST_ENTRIES_MAX);
    ck_assert_uint_eq(mirror_trust_count(trust), MIRROR_TRUST_ENTRIES_MAX);
    ck_assert(holds(1, 0, MIRROR_TRUST_ENTRIES_MAX, UINT64_MAX));
    ck_assert(holds(2, 0, MIRROR_TRUST_ENTRIES_MAX, UINT64_MAX));
    ck_assert(!holds(1, 1, MIRROR_TRUST_ENTRIES_MAX, UINT64_MAX));
    ck_assert(holds(1, 2, MIRROR_TRUST_ENTRIES_MAX, UINT64_MAX));
}
END_TEST

START_TEST(nobody_is_left_when_it_is_cleared)
{
    note(1, 1, 1);
    mirror_trust_clear(trust);
    ck_assert(!holds(1, 1, 1, UINT64_MAX));
    ck_assert_uint_eq(mirror_trust_count(trust), 0);
    note(1, 1, 2);
    ck_assert(holds(1, 1, 2, UINT64_MAX));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("mirror_trust");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, only_who_was_served_and_for_so_long);
    tcase_add_test(tcase, the_oldest_goes_when_there_are_too_many);
    tcase_add_test(tcase, nobody_is_left_when_it_is_cleared);
    return check_main("mirror_trust", tcase);
}
