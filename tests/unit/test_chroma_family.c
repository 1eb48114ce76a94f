/* What must hold: what is not known has the safe value of every property, versions and answers name
 * the family that gives them, nothing is merged that the family would refuse or spoil, and a 500 is
 * a refusal only where it certainly is one. */
#include "chroma/chroma_family.h"

#include <stdio.h>

#include "support/check_main.h"

#define RUST   CHROMA_FAMILY_RUST
#define PYTHON CHROMA_FAMILY_PYTHON
#define OLD    CHROMA_FAMILY_PYTHON_OLD
#define NONE   CHROMA_FAMILY_UNKNOWN

START_TEST(unknown_is_safe_in_every_property)
{
    static const enum chroma_family unproved[] = {NONE, OLD};

    for (size_t i = 0; i < COUNT_OF(unproved); i++) {
        const struct chroma_family_info *info = chroma_family_info(unproved[i]);

        ck_assert(!info->merges && info->same_columns && !info->keeps_extreme_numbers);
        ck_assert(!info->takes_lists && !info->takes_base64 && !info->takes_null_vectors);
        ck_assert(!info->takes_repeated_ids);
        ck_assert(!info->refuses_with_500 && !info->fails_with_500 && !info->create_may_read &&
                  info->body_max == 0);
        ck_assert(info->idle_close_us > 0);
    }
    ck_assert_uint_eq(chroma_family_info(RUST)->body_max, 40 << 20);
    ck_assert(!chroma_family_info(RUST)->same_columns && chroma_family_info(PYTHON)->same_columns);
}
END_TEST

START_TEST(names_are_read_back)
{
    enum chroma_family found = NONE;

    for (enum chroma_family family = 0; family < CHROMA_FAMILY_COUNT; family++) {
        ck_assert(chroma_family_parse(bytes_of(chroma_family_info(family)->name), &found));
        ck_assert_int_eq(found, family);
    }
    found = RUST;
    ck_assert(!chroma_family_parse(BYTES_LITERAL("Rust"), &found) && found == RUST);
    ck_assert(!chroma_family_parse(BYTES_LITERAL(""), &found));
}
END_TEST

static const struct {
    const char        *body;
    enum chroma_family family;
    unsigned           version;
} versions[] = {
    {"\"1.0.0\"", RUST, 10000},
    {"\"1.5.9\"", RUST, 10509},
    {"\"2.0.0\"", RUST, 20000},
    {"\"1.0.0.dev3\"", RUST, 10000},
    {"\"0.6.3\"", PYTHON, 603},
    {"\"0.5.23\"", PYTHON, 523},
    {" \"0.9.99\" ", PYTHON, 999},
    {"\"0.5.22\"", OLD, 522},
    {"\"0.5.0\"", OLD, 500},
    {"\"0.4.24\"", OLD, 424},
    {"\"0.0.0\"", NONE, 0},
    {"1.0.0", NONE, 0},
    {"\"1.0\"", NONE, 0},
    {"\"1.0.x\"", NONE, 0},
    {"\"\"", NONE, 0},
    {"\"1.0.0", NONE, 0},
    {"\"1.0.0\" x", NONE, 0},
    {"\"0.5.231\"", NONE, 0},
    {"\"1.0.0rc\"", NONE, 0},
    {"\"-1.0.0\"", NONE, 0},
    {"{\"version\":\"1.0.0\"}", NONE, 0},
    {"\"1..0\"", NONE, 0},
    {"", NONE, 0},
    {"\"\\u0031.0.0\"", NONE, 0},
};

START_TEST(a_version_names_its_family)
{
    unsigned version = 1;

    ck_assert_int_eq(chroma_family_of_version(bytes_of(versions[_i].body), &version),
                     versions[_i].family);
    ck_assert_uint_eq(version, versions[_i].version);
}
END_TEST

START_TEST(an_answer_to_a_write_shows_the_family)
{
    struct bytes object = BYTES_LITERAL("{}"), yes = BYTES_LITERAL("true");

    ck_assert_int_eq(chroma_family_of_answer(CHROMA_OPERATION_ADD, object), RUST);
    ck_assert_int_eq(chroma_family_of_answer(CHROMA_OPERATION_UPSERT, BYTES_LITERAL("null")), OLD);
    ck_assert_int_eq(chroma_family_of_answer(CHROMA_OPERATION_UPDATE, yes), OLD);
    ck_assert_int_eq(chroma_family_of_answer(CHROMA_OPERATION_DELETE, object), NONE);
    ck_assert_int_eq(chroma_family_of_answer(CHROMA_OPERATION_TENANT_CREATE, object), NONE);
    ck_assert_int_eq(chroma_family_of_answer(CHROMA_OPERATION_ADD, BYTES_LITERAL("")), NONE);
}
END_TEST

#define V2_PATH "/api/v2/tenants/t/databases/d/collections/0ab1c2d3-e4f5-4677-8899-aabbccddeeff"
#define V1_PATH "/api/v1/collections/0ab1c2d3-e4f5-4677-8899-aabbccddeeff"

static const struct {
    const char *tail, *metadata, *vectors;
    bool        rust, python, python_v1; /* which of them merge it */
} writes[] = {
    {"/upsert", "{\"k\":1,\"f\":-2.5,\"t\":true,\"s\":\"x\"}", "[[1]]", 1, 1, 1},
    {"/add", "{\"k\":999999999999999999}", "[[1]]", 1, 1, 1},
    {"/add", "{\"k\":9223372036854775808}", "[[1]]", 1, 0, 0},
    {"/add", "{\"k\":-9223372036854775809}", "[[1]]", 1, 0, 0},
    {"/add", "{\"k\":9223372036854775808.0}", "[[1]]", 1, 1, 1},
    {"/add", "{\"k\":179769313486231590e291}", "[[1]]", 1, 0, 0},
    {"/add", "{\"k\":-1e38}", "[[1]]", 1, 0, 0}, /* near the end of f32: not looked at closer */
    {"/upsert", "{\"k\":[1,2]}", "[[1]]", 0, 0, 0},
    {"/upsert", "{}", "[\"AACAPw==\"]", 1, 0, 0},
    {"/update", "{}", "[null]", 1, 0, 0},
    {"/update", "{}", "null", 1, 1, 1},
};

START_TEST(what_a_family_would_refuse_or_spoil_is_not_merged)
{
    struct chroma_records     records;
    struct chroma_route       v2, v1;
    char                      body[256], path[128];
    const char               *reason = NULL;
    static const struct bytes post = BYTES_INIT("POST");

    snprintf(path, sizeof path, V2_PATH "%s", writes[_i].tail);
    chroma_route_find(post, bytes_of(path), &v2);
    snprintf(body, sizeof body, "{\"ids\":[\"a\"],\"embeddings\":%s,\"metadatas\":[%s]}",
             writes[_i].vectors, writes[_i].metadata);
    ck_assert_int_eq(chroma_records_scan(v2.operation, bytes_of(body), 10, &records, &reason),
                     STATUS_OK);
    ck_assert_int_eq(chroma_family_may_merge(RUST, &v2, &records, &reason), writes[_i].rust);
    ck_assert_int_eq(reason == NULL, writes[_i].rust);
    ck_assert_int_eq(chroma_family_may_merge(PYTHON, &v2, &records, &reason), writes[_i].python);
    ck_assert_int_eq(reason == NULL, writes[_i].python);
    ck_assert(!chroma_family_may_merge(NONE, &v2, &records, &reason) && reason != NULL);
    ck_assert(!chroma_family_may_merge(OLD, &v2, &records, &reason));
    snprintf(path, sizeof path, V1_PATH "%s", writes[_i].tail);
    chroma_route_find(post, bytes_of(path), &v1);
    ck_assert(!chroma_family_may_merge(RUST, &v1, &records, &reason));
    ck_assert_int_eq(chroma_family_may_merge(PYTHON, &v1, &records, &reason), writes[_i].python_v1);
    chroma_records_done(&records);
}
END_TEST

static const struct {
    const char *ids;
    bool        python;
} repeats[] = {
    {"[\"a\",\"b\",\"c\"]", 1},
    {"[\"a\",\"ab\",\"b\"]", 1},
    {"[\"a\",\"b\",\"a\"]", 0},
    {"[\"ab\",\"b\",\"\\u0061b\"]", 0},
};

/* Python servers give the records behind a repeated id the vector of the one before them: those
 * would be other clients' records. */
START_TEST(an_id_twice_is_not_merged_where_it_spoils_the_others)
{
    struct chroma_records records;
    struct chroma_route   route;
    char                  body[256];
    const char           *reason = NULL;

    chroma_route_find(BYTES_LITERAL("POST"), bytes_of(V2_PATH "/upsert"), &route);
    snprintf(body, sizeof body, "{\"ids\":%s,\"embeddings\":[[1],[2],[3]]}", repeats[_i].ids);
    ck_assert_int_eq(chroma_records_scan(route.operation, bytes_of(body), 10, &records, &reason),
                     STATUS_OK);
    ck_assert_int_eq(chroma_records_repeat_an_id(&records), !repeats[_i].python);
    ck_assert(chroma_family_may_merge(RUST, &route, &records, &reason));
    ck_assert_int_eq(chroma_family_may_merge(PYTHON, &route, &records, &reason),
                     repeats[_i].python);
    chroma_records_done(&records);
}
END_TEST

#define DIMENSION                                                                                  \
    "{\"detail\":\"Embedding dimension 1 does not match collection dimensionality 2\"}"
#define LENGTHS "{\"error\":\"IndexError('list index out of range')\"}"

static const struct {
    unsigned    status;
    const char *body;
    bool        rust, python;
} refusals[] = {
    {400, "", 1, 1},
    {404, "{}", 1, 1},
    {413, "", 1, 1},
    {422, "x", 1, 1},
    {501, "{\"error\":\"ChromaError\"}", 1, 1},
    {408, "", 0, 0},
    {429, "", 0, 0},
    {200, LENGTHS, 0, 0},
    {500, LENGTHS, 0, 1},
    {500, DIMENSION, 0, 1},
    {502, LENGTHS, 0, 0},
    {503, DIMENSION, 0, 0},
    {500, "", 0, 0},
    {500, "{}", 0, 0},
    {500, "Internal Server Error", 0, 0},
    {500, "{\"error\":\"OperationalError('database is locked')\"}", 0, 0},
    {500, "{\"error\":\"KeyError('CollectionQueryEvent')\"}", 0, 0},
    {500, "{\"detail\":\"IndexError('list index out of range')\"}", 0, 0},
    {500, "{\"error\":\"IndexError('list index out of range') \"}", 0, 0},
    {500, "{\"error\":\"IndexError('list index out of range')\",\"x\":1}", 0, 0},
    {500, LENGTHS "x", 0, 0},
    {500, "{\"detail\":\"Embedding dimension x does not match collection dimensionality 2\"}", 0,
     0},
    {500, "{\"detail\":\"Embedding dimension 1 does not match collection dimensionality \"}", 0, 0},
    {500, "{\"detail\":\"Embedding dimension 1\"}", 0, 0},
};

START_TEST(a_500_is_a_refusal_only_where_it_certainly_is)
{
    unsigned     status = refusals[_i].status;
    struct bytes body = bytes_of(refusals[_i].body);

    ck_assert_int_eq(chroma_family_is_refusal(RUST, status, body), refusals[_i].rust);
    ck_assert_int_eq(chroma_family_is_refusal(NONE, status, body), refusals[_i].rust);
    ck_assert_int_eq(chroma_family_is_refusal(OLD, status, body), refusals[_i].rust);
    ck_assert_int_eq(chroma_family_is_refusal(PYTHON, status, body), refusals[_i].python);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("chroma_family");

    tcase_add_test(tcase, unknown_is_safe_in_every_property);
    tcase_add_test(tcase, names_are_read_back);
    tcase_add_loop_test(tcase, a_version_names_its_family, 0, COUNT_OF(versions));
    tcase_add_test(tcase, an_answer_to_a_write_shows_the_family);
    tcase_add_loop_test(tcase, what_a_family_would_refuse_or_spoil_is_not_merged, 0,
                        COUNT_OF(writes));
    tcase_add_loop_test(tcase, an_id_twice_is_not_merged_where_it_spoils_the_others, 0,
                        COUNT_OF(repeats));
    tcase_add_loop_test(tcase, a_500_is_a_refusal_only_where_it_certainly_is, 0,
                        COUNT_OF(refusals));
    return check_main("chroma_family", tcase);
}
