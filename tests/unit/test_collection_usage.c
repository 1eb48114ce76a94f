/* What must hold: requests are counted by collection, a shared call is shared out, and the number
 * of collections is bounded. */
#include <string.h>

#include "admin/collection_usage.h"
#include "base/compiler.h"
#include "support/check_main.h"

static struct collection_usage             *usage;
static const struct collection_usage_entry *list[COLLECTION_USAGE_MAX];

static void setup(void)
{
    usage = collection_usage_new();
    ck_assert_ptr_nonnull(usage);
}

static void teardown(void)
{
    collection_usage_free(usage);
}

static void note(uint16_t collection, struct collection_usage_request request)
{
    memcpy(request.uuid, &collection, sizeof collection);
    collection_usage_note(usage, &request);
}

START_TEST(requests_are_counted_by_collection)
{
    note(1, (struct collection_usage_request){.status = 200, .at_chroma_us = 300});
    note(2, (struct collection_usage_request){
                .is_write = true, .status = 400, .at_chroma_us = 500, .call_writes = 1});
    note(1,
         (struct collection_usage_request){
             .is_write = true, .status = 200, .records = 7, .call_writes = 4, .at_chroma_us = 800});
    ck_assert_uint_eq(collection_usage_list(usage, list), 2);
    ck_assert_int_eq(list[0]->uuid[0], 1); /* both took 500: by name */
    ck_assert_uint_eq(list[0]->reads, 1);
    ck_assert_uint_eq(list[0]->writes, 1);
    ck_assert_uint_eq(list[0]->records, 7);
    ck_assert_uint_eq(list[0]->merged, 1);
    ck_assert_uint_eq(list[0]->errors, 0);
    ck_assert_uint_eq(list[0]->at_chroma_us, 500);
    ck_assert_uint_eq(list[1]->errors, 1);
    ck_assert_uint_eq(list[1]->merged, 0);
    note(2, (struct collection_usage_request){.status = 200, .at_chroma_us = 1});
    collection_usage_list(usage, list);
    ck_assert_int_eq(list[0]->uuid[0], 2); /* the longest first */
}
END_TEST

START_TEST(quietest_makes_room)
{
    for (uint16_t i = 0; i < 3 * COLLECTION_USAGE_MAX; i++) {
        note(0, (struct collection_usage_request){.status = 200, .ended_us = 10u * i + 1});
        note((uint16_t)(1000 + i),
             (struct collection_usage_request){.status = 200, .ended_us = 10u * i});
    }
    ck_assert_uint_eq(collection_usage_list(usage, list), COLLECTION_USAGE_MAX);
    ck_assert_uint_eq(list[0]->reads, 3 * COLLECTION_USAGE_MAX);
    for (size_t i = 1; i < COLLECTION_USAGE_MAX; i++) {
        ck_assert_uint_eq(list[i]->reads, 1);
        ck_assert_uint_gt(list[i]->last_us, 10u * 2 * COLLECTION_USAGE_MAX);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("collection_usage");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, requests_are_counted_by_collection);
    tcase_add_test(tcase, quietest_makes_room);
    return check_main("collection_usage", tcase);
}
