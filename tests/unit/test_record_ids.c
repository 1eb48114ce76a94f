/* Two sets that name one id meet, whoever names it and however it is spelled. */
#include "chroma/record_ids.h"

#include <stdio.h>

#include "support/check_main.h"

static const unsigned char secret[SIPHASH_KEY_SIZE] = {1};
static const unsigned char key[KEYED_DIGEST_KEY_SIZE] = {2};

static bool read_at(const char *operation, const char *body, struct record_ids *ret_ids)
{
    char                path[120];
    struct chroma_route route;
    struct chroma_query query;
    const char         *reason;

    snprintf(path, sizeof path,
             "/api/v2/tenants/t/databases/d/collections/00000000-0000-0000-0000-000000000001/%s",
             operation);
    chroma_route_find(BYTES_LITERAL("POST"), bytes_of(path), &route);
    ck_assert_msg(chroma_query_read(&route, true, bytes_of(body), key, &query, &reason) ==
                      STATUS_OK,
                  "%s", body);
    return record_ids_of_get(&query, secret, ret_ids);
}

static struct record_ids ids_of_get(const char *body)
{
    struct record_ids ids;

    ck_assert_msg(read_at("get", body, &ids), "%s", body);
    return ids;
}

static bool add_write(struct record_ids *ids, const char *body)
{
    struct chroma_records records;
    const char           *reason;
    bool                  is_added;

    ck_assert_msg(chroma_records_scan(CHROMA_OPERATION_UPDATE, bytes_of(body), 1000, &records,
                                      &reason) == STATUS_OK,
                  "%s", body);
    is_added = record_ids_add(ids, secret, &records);
    chroma_records_done(&records);
    return is_added;
}

static bool meets(const char *get, const char *write)
{
    struct record_ids asked = ids_of_get(get), written = {0};

    ck_assert(add_write(&written, write));
    ck_assert(record_ids_meet(&asked, &written) == record_ids_meet(&written, &asked));
    return record_ids_meet(&asked, &written);
}

START_TEST(an_id_is_an_id_however_it_is_spelled)
{
    ck_assert(meets("{\"ids\":[\"a\"]}", "{\"ids\":[\"a\"]}"));
    ck_assert(meets("{\"ids\":[\"b\",\"a\"]}", "{\"ids\":[\"c\",\"a\"]}"));
    ck_assert(meets("{\"ids\":[\"\\u0061\\n\"]}", "{\"ids\":[\"a\\u000a\"]}"));
    ck_assert(meets("{\"ids\":[\"\\u0061\"],\"where\":null,\"limit\":3}", "{\"ids\":[\"a\"]}"));
    ck_assert(!meets("{\"ids\":[\"a\"]}", "{\"ids\":[\"b\"]}"));
    ck_assert(!meets("{\"ids\":[\"a\",\"aa\"]}", "{\"ids\":[\"b\",\"A\"]}"));
    ck_assert(!meets("{\"ids\":[\"a\"]}", "{\"ids\":[\"a\\u0000\"]}"));
}
END_TEST

START_TEST(what_other_records_may_have_a_part_in_has_no_ids)
{
    static const char *const bodies[] = {
        "{}",
        "{\"ids\":null}",
        "{\"ids\":[]}",
        "{\"ids\":[\"a\"],\"where\":{}}",
        "{\"ids\":[\"a\"],\"where\":{\"n\":1}}",
        "{\"ids\":[\"a\"],\"where_document\":{\"$contains\":\"x\"}}",
    };
    struct record_ids ids;

    for (size_t i = 0; i < COUNT_OF(bodies); i++)
        ck_assert_msg(!read_at("get", bodies[i], &ids), "%s", bodies[i]);
    ck_assert(!read_at("query", "{\"ids\":[\"a\"],\"query_embeddings\":[[1]]}", &ids));
}
END_TEST

static void write_body(char *body, size_t first, size_t count)
{
    char *at = body + sprintf(body, "{\"ids\":[");

    for (size_t i = first; i < first + count; i++)
        at += sprintf(at, "%s\"r%zu\"", i > first ? "," : "", i);
    sprintf(at, "]}");
}

START_TEST(the_sets_have_a_bound)
{
    static char       body[10000];
    struct record_ids ids = {0};

    write_body(body, 0, RECORD_IDS_MAX);
    ids_of_get(body);
    write_body(body, 0, RECORD_IDS_MAX + 1);
    ck_assert(!read_at("get", body, &ids));
    memset(&ids, 0, sizeof ids);
    write_body(body, 0, RECORD_IDS_MAX - 1);
    ck_assert(add_write(&ids, body));
    ck_assert(!add_write(&ids, "{\"ids\":[\"a\",\"b\"]}"));
    ck_assert(add_write(&ids, "{\"ids\":[\"a\"]}"));
    ck_assert(!add_write(&ids, "{\"ids\":[\"b\"]}"));
    snprintf(body, sizeof body, "{\"ids\":[\"\\u0061%01100d\"]}", 0);
    ck_assert(!read_at("get", body, &ids));
}
END_TEST

START_TEST(places_are_gone_through_in_order)
{
    struct record_ids ids = {
        .places = {UINT64_C(1) << 63 | 1, 2, 0, 0, 0, 0, 0, UINT64_C(1) << 63}};
    const unsigned expected[] = {0, 63, 65, RECORD_IDS_PLACES - 1};
    unsigned       place = 0, taken;

    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        ck_assert(record_ids_next(&ids, &place, &taken));
        ck_assert_uint_eq(taken, expected[i]);
    }
    ck_assert(!record_ids_next(&ids, &place, &taken));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("record_ids");

    tcase_add_test(tcase, an_id_is_an_id_however_it_is_spelled);
    tcase_add_test(tcase, what_other_records_may_have_a_part_in_has_no_ids);
    tcase_add_test(tcase, the_sets_have_a_bound);
    tcase_add_test(tcase, places_are_gone_through_in_order);
    return check_main("record_ids", tcase);
}
