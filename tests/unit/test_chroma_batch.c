/* What must hold: a spliced body reads as the members' records one after another, whatever columns
 * each has, also where a member is cut. */
#include "chroma/chroma_batch.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "support/check_main.h"
#include "support/splice_check.h"

enum { MEMBERS_MAX = 8 };

static bool fills_nulls; /* of the last splice */

static const char *splice(const char *const *bodies, size_t count)
{
    static char                text[4096];
    struct chroma_records      records[MEMBERS_MAX];
    struct chroma_batch_member members[MEMBERS_MAX];
    struct chroma_batch       *batch;
    const char                *reason;
    size_t                     size = 0;

    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq(chroma_records_scan(CHROMA_OPERATION_UPDATE, bytes_of(bodies[i]), 10000,
                                             &records[i], &reason),
                         STATUS_OK);
        members[i] = (struct chroma_batch_member){&records[i], 0, records[i].count};
    }
    batch = chroma_batch_new(members, count);
    for (size_t i = 0; i < count; i++)
        chroma_records_done(&records[i]); /* the batch needs the bodies only */
    for (size_t i = 0; i < batch->part_count; i++) {
        memcpy(text + size, batch->parts[i].data, batch->parts[i].size);
        size += batch->parts[i].size;
    }
    ck_assert_uint_eq(size, batch->size);
    text[size] = '\0';
    fills_nulls = batch->fills_nulls;
    chroma_batch_free(batch);
    return text;
}

START_TEST(columns_are_joined_in_order)
{
    static const char *const bodies[] = {
        "{\"embeddings\":[[1,2]],\"ids\":[\"a\"],\"documents\":[\"x\"]}",
        "{\"ids\":[\"b\", \"c\"],\"documents\":[null,\"y\"],\"embeddings\":[[3,4],[5,6e-1]]}"};

    ck_assert_str_eq(splice(bodies, 2), "{\"ids\":[\"a\",\"b\", \"c\"],\"embeddings\":[[1,2],[3,4],"
                                        "[5,6e-1]],\"documents\":[\"x\",null,\"y\"]}");
    ck_assert(!fills_nulls);
}
END_TEST

START_TEST(a_column_that_some_lack_gets_nulls_and_one_that_all_lack_is_left_out)
{
    static const char *const bodies[] = {
        "{\"ids\":[\"a\",\"b\"]}", "{\"ids\":[\"c\"],\"metadatas\":[{\"k\":1}],\"uris\":null}",
        "{\"ids\":[\"d\"],\"metadatas\":null}"};

    ck_assert_str_eq(splice(bodies, 3),
                     "{\"ids\":[\"a\",\"b\",\"c\",\"d\"],\"metadatas\":[null,null,"
                     "{\"k\":1},null]}");
    ck_assert(fills_nulls);
    ck_assert_str_eq(splice(bodies, 1), "{\"ids\":[\"a\",\"b\"]}");
    ck_assert(!fills_nulls);
}
END_TEST

START_TEST(any_number_of_nulls_is_made)
{
    static const size_t counts[] = {1, 2, 255, 256, 257, 511, 512, 513, 1000};

    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        char         many[16000];
        struct bytes bodies[2] = {{.data = many},
                                  BYTES_LITERAL("{\"ids\":[\"x\"],\"documents\":[\"d\"]}")};

        bodies[0].size = (size_t)sprintf(many, "{\"ids\":[\"x\"");
        for (size_t k = 1; k < counts[i]; k++)
            bodies[0].size += (size_t)sprintf(many + bodies[0].size, ", \"%zu\"", k);
        bodies[0].size += (size_t)sprintf(many + bodies[0].size, "]}");
        ck_assert_uint_eq(splice_check(CHROMA_OPERATION_UPDATE, bodies, 2), 2);
    }
}
END_TEST

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

static size_t random_column(uint32_t *state, char *text, const char *name, size_t count,
                            const char *const *values, size_t value_count)
{
    size_t size = (size_t)sprintf(text, ",\"%s\":[", name);

    if (next_random(state) % 3 == 0)
        return next_random(state) % 2 == 0 ? 0 : (size_t)sprintf(text, ",\"%s\": null", name);
    for (size_t i = 0; i < count; i++)
        size += (size_t)sprintf(text + size, "%s%s%s", i == 0 ? "" : " ,",
                                next_random(state) % 2 == 0 ? "" : "\n ",
                                values[next_random(state) % value_count]);
    return size + (size_t)sprintf(text + size, "]");
}

START_TEST(random_writes_are_spliced_as_jansson_reads_them)
{
    static const char *const vectors[] = {"[1,2.5,-3e-2]", "[ 0.1 , 0 , 7 ]", "null"};
    static const char *const base64s[] = {"\"AACAPwAAAEAAAEBA\"", "null"};
    static const char *const texts[] = {"\"\"", "\"],[\"", "\"\\u0000\\\"\"", "null",
                                        "\"\xc3\xa9\""};
    static const char *const metadatas[] = {"{}", "{\"k\":[1,2]}", "{\"a\":null,\"b\":\"}\"}",
                                            "null"};
    uint32_t                 state = 7;
    size_t                   spliced = 0;

    for (int round = 0; round < 3000; round++) {
        static char  storage[4][4096];
        struct bytes bodies[4];
        bool         is_base64 = round % 2 == 0;

        for (size_t i = 0; i < 4; i++) {
            char  *text = storage[i];
            size_t count = 1 + next_random(&state) % 5;
            size_t size = (size_t)sprintf(text, "{\"ids\":[");

            for (size_t k = 0; k < count; k++)
                size += (size_t)sprintf(text + size, "%s\"%x\\u0061\"", k == 0 ? "" : ",",
                                        next_random(&state));
            size += (size_t)sprintf(text + size, "]");
            size += random_column(&state, text + size, "embeddings", count,
                                  is_base64 ? base64s : vectors, is_base64 ? 2 : 3);
            size += random_column(&state, text + size, "uris", count, texts, COUNT_OF(texts));
            size += random_column(&state, text + size, "metadatas", count, metadatas,
                                  COUNT_OF(metadatas));
            size += random_column(&state, text + size, "documents", count, texts, COUNT_OF(texts));
            size += (size_t)sprintf(text + size, "}");
            bodies[i] = (struct bytes){.data = text, .size = size};
        }
        spliced += splice_check(CHROMA_OPERATION_UPDATE, bodies, 4);
    }
    ck_assert_uint_gt(spliced, 5000);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("chroma_batch");

    tcase_add_test(tcase, columns_are_joined_in_order);
    tcase_add_test(tcase, a_column_that_some_lack_gets_nulls_and_one_that_all_lack_is_left_out);
    tcase_add_test(tcase, any_number_of_nulls_is_made);
    tcase_add_test(tcase, random_writes_are_spliced_as_jansson_reads_them);
    tcase_set_timeout(tcase, 60);
    return check_main("chroma_batch", tcase);
}
