/* What must hold: at every version exactly one slot of a record is visible, or none; slots and
 * numbers are used again; counts agree with states; versions may wrap around. */
#include "index/slot_table.h"

#include <check.h>

#include "base/rng.h"
#include "support/check_main.h"

enum { slots = 64, records = 20 };

static struct index_memory memory;
static struct slot_table   table;

static void setup(void)
{
    index_memory_init(&memory, 0);
    ck_assert_int_eq(slot_table_init(&table, &memory, slots, records), STATUS_OK);
}

static void teardown(void)
{
    slot_table_done(&table, &memory);
    ck_assert_uint_eq(memory.used, 0);
}

static uint32_t take(uint32_t record)
{
    ck_assert_int_eq(slot_table_grow(&table, &memory, slot_table_next(&table) + 1, record),
                     STATUS_OK);
    return slot_table_take(&table, record, 1000 + record, 3);
}

static uint32_t add(uint32_t record)
{
    uint32_t old = slot_table_find(&table, record), slot = take(record);

    slot_table_publish(&table, slot);
    if (old != SLOT_NONE)
        slot_table_bury(&table, old);
    slot_table_advance(&table);
    return slot;
}

static void remove_record(uint32_t record)
{
    slot_table_bury(&table, slot_table_find(&table, record));
    slot_table_advance(&table);
}

/* The slot of `record` that is visible at `version`; more than one is a failure. */
static uint32_t visible(uint32_t record, uint32_t version)
{
    uint32_t found = SLOT_NONE;

    for (uint32_t slot = 0; slot < table.used; slot++)
        if (slot_table_is_visible(&table, slot, version) &&
            slot_table_records(&table)[slot] == record) {
            ck_assert_uint_eq(found, SLOT_NONE);
            found = slot;
        }
    return found;
}

START_TEST(a_record_leads_to_its_slot)
{
    uint32_t slot;

    ck_assert_uint_eq(slot_table_find(&table, 7), SLOT_NONE);
    slot = add(7);
    ck_assert_uint_eq(slot_table_find(&table, 7), slot);
    ck_assert_uint_eq(slot_table_find(&table, 6), SLOT_NONE);
    ck_assert_uint_eq(slot_table_find(&table, records + 1), SLOT_NONE);
    ck_assert_uint_eq(slot_table_records(&table)[slot], 7);
    ck_assert_uint_eq(slot_table_rows(&table)[slot], 1007);
    ck_assert_uint_eq(slot_table_level(&table, slot), 3);
    ck_assert(!slot_table_is_listed(&table, slot));
    ck_assert_int_eq(slot_table_state(&table, slot), SLOT_WAITING);
    slot_table_enter(&table, slot);
    ck_assert_int_eq(slot_table_state(&table, slot), SLOT_LIVE);
    ck_assert(table.live == 1 && table.waiting == 0);
    remove_record(7);
    ck_assert_uint_eq(slot_table_find(&table, 7), SLOT_NONE);
    ck_assert(table.live == 0 && table.dead == 1);
}
END_TEST

START_TEST(a_reader_sees_the_version_that_it_began_with)
{
    uint32_t first = add(3), second, third, middle, late;

    middle = table.version;
    second = add(3);
    late = table.version;
    third = take(3);
    slot_table_publish(&table, third);
    /* The third is linked for a while: nobody sees it, old or new. */
    ck_assert_uint_eq(visible(3, late), second);
    slot_table_bury(&table, second);
    ck_assert_uint_eq(visible(3, late), second);
    slot_table_advance(&table);
    ck_assert_uint_eq(visible(3, table.version), third);
    ck_assert_uint_eq(visible(3, late), second);
    ck_assert_uint_eq(visible(3, middle), first);
    remove_record(3);
    ck_assert_uint_eq(visible(3, table.version), SLOT_NONE);
    ck_assert_uint_eq(visible(3, table.version - 1), third);
}
END_TEST

START_TEST(slots_are_used_again_and_the_last_freed_first)
{
    uint32_t first = add(0), second = add(1);

    remove_record(0);
    remove_record(1);
    slot_table_set_state(&table, first, SLOT_SEALED);
    slot_table_set_state(&table, second, SLOT_SEALED);
    slot_table_put_back(&table, first);
    slot_table_put_back(&table, second);
    ck_assert(table.dead == 0 && table.free_count == 2);
    ck_assert(!slot_table_is_visible(&table, first, table.version - 3));
    ck_assert_uint_eq(slot_table_next(&table), second);
    ck_assert_uint_eq(add(5), second);
    ck_assert_uint_eq(add(6), first);
    ck_assert_uint_eq(add(7), 2);
}
END_TEST

START_TEST(more_than_agreed_is_refused_and_so_is_more_than_there_is)
{
    ck_assert_int_eq(slot_table_grow(&table, &memory, slots + 1, SLOT_NONE), STATUS_LIMIT_REACHED);
    ck_assert_int_eq(slot_table_grow(&table, &memory, 1, records), STATUS_LIMIT_REACHED);
    for (int64_t calls = 0; calls < 6; calls++) {
        teardown();
        setup();
        memory.countdown = calls;
        ck_assert_int_eq(slot_table_grow(&table, &memory, 1, 0), STATUS_NO_MEMORY);
        ck_assert_uint_eq(slot_table_find(&table, 0), SLOT_NONE);
    }
    memory.countdown = -1;
    memory.limit = 1;
    ck_assert_int_eq(slot_table_grow(&table, &memory, slots, 0), STATUS_LIMIT_REACHED);
    memory.limit = 0;
    ck_assert_int_eq(slot_table_grow(&table, &memory, slots, records - 1), STATUS_OK);
}
END_TEST

/* Changes at random, while readers of some of the last versions look on. A slot is freed once no
 * reader is older than its death, as the grace period of an index sees to. */
static void random_life(uint32_t first_version)
{
    enum { kept = 16 };
    uint32_t   expected[kept][records], seen[kept], count = 0;
    struct rng rng;

    table.version = first_version;
    rng_init(&rng, first_version);
    for (int i = 0; i < 500; i++) {
        uint32_t record = (uint32_t)rng_below(&rng, records), at = count++ % kept;

        if (rng_below(&rng, 3) == 0 && slot_table_find(&table, record) != SLOT_NONE)
            remove_record(record);
        else
            (void)add(record);
        seen[at] = table.version;
        for (uint32_t r = 0; r < records; r++)
            expected[at][r] = slot_table_find(&table, r);
        for (uint32_t j = 0; j < count && j < kept; j++)
            for (uint32_t r = 0; r < records; r++)
                if (expected[j][r] != SLOT_NONE) /* a new record may be seen early */
                    ck_assert_uint_eq(visible(r, seen[j]), expected[j][r]);
                else
                    (void)visible(r, seen[j]);
        for (uint32_t slot = 0; slot < table.used; slot++)
            if (slot_table_state(&table, slot) == SLOT_DEAD &&
                table.version - slot_table_lives(&table)[slot].died > kept) {
                slot_table_set_state(&table, slot, SLOT_SEALED);
                slot_table_put_back(&table, slot);
            }
    }
}

START_TEST(each_version_stays_as_it_was)
{
    random_life(0);
}
END_TEST

START_TEST(versions_wrap_around)
{
    random_life(UINT32_MAX - 250);
}
END_TEST

START_TEST(what_is_old_stays_visible_for_ever)
{
    uint32_t live = add(1), dead = add(2);

    remove_record(2);
    for (uint32_t i = 0; i < 32; i++) {
        /* As after many changes: each 2^29th looks at the ages. */
        table.version = (table.version / (1u << 29) + 1) * (1u << 29) - 2;
        slot_table_advance(&table);
        slot_table_advance(&table);
        ck_assert(slot_table_is_visible(&table, live, table.version));
        ck_assert(!slot_table_is_visible(&table, dead, table.version));
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("slot_table");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_record_leads_to_its_slot);
    tcase_add_test(tcase, a_reader_sees_the_version_that_it_began_with);
    tcase_add_test(tcase, slots_are_used_again_and_the_last_freed_first);
    tcase_add_test(tcase, more_than_agreed_is_refused_and_so_is_more_than_there_is);
    tcase_add_test(tcase, each_version_stays_as_it_was);
    tcase_add_test(tcase, versions_wrap_around);
    tcase_add_test(tcase, what_is_old_stays_visible_for_ever);
    return check_main("slot_table", tcase);
}
