/* What must hold: a dimension is learned only where the answer states one, and of the limits only
 * the number changes. */
#include "chroma/chroma_answer.h"
#include "support/check_main.h"

static const char collection[] =
    "{\"id\":\"2f7b0c4e-5a51-4b0e-9b59-0a8d8a3d1f00\",\"name\":\"docs\",\"dimension\":384,"
    "\"tenant\":\"default_tenant\"}";

START_TEST(dimension_of_a_collection_is_learned)
{
    uint8_t  uuid[16];
    uint32_t dimension = 0;

    ck_assert(chroma_answer_collection(bytes_of(collection), uuid, &dimension));
    ck_assert_uint_eq(dimension, 384);
    ck_assert_uint_eq(uuid[0], 0x2f);
    ck_assert_uint_eq(uuid[15], 0x00);
}
END_TEST

static const char *const teaches_nothing[] = {
    "{\"id\":\"2f7b0c4e-5a51-4b0e-9b59-0a8d8a3d1f00\",\"dimension\":null}",
    "{\"id\":\"2f7b0c4e-5a51-4b0e-9b59-0a8d8a3d1f00\"}",
    "{\"id\":\"2f7b0c4e-5a51-4b0e-9b59-0a8d8a3d1f00\",\"dimension\":0}",
    "{\"id\":\"2f7b0c4e-5a51-4b0e-9b59-0a8d8a3d1f00\",\"dimension\":-1}",
    "{\"id\":\"2f7b0c4e-5a51-4b0e-9b59-0a8d8a3d1f00\",\"dimension\":4294967296}",
    "{\"id\":\"2f7b0c4e-5a51-4b0e-9b59-0a8d8a3d1f00\",\"dimension\":\"384\"}",
    "{\"id\":\"docs\",\"dimension\":384}",
    "{\"dimension\":384}",
    "[384]",
    "{\"id\":",
    "",
};

START_TEST(other_answers_teach_nothing)
{
    uint8_t  uuid[16];
    uint32_t dimension = 7;

    ck_assert(!chroma_answer_collection(bytes_of(teaches_nothing[_i]), uuid, &dimension));
    ck_assert_uint_eq(dimension, 7);
}
END_TEST

static const struct {
    const char *from, *to; /* NULL: left alone */
} limits[] = {
    {"{\"max_batch_size\":5461,\"supports_base64_encoding\":true}",
     "{\"max_batch_size\":41666,\"supports_base64_encoding\":true}"},
    {"{ \"a\":{\"max_batch_size\":1}, \"max_batch_size\" : 1000 }",
     "{ \"a\":{\"max_batch_size\":1}, \"max_batch_size\" : 41666 }"},
    {"{\"max_batch_size\":41666}", NULL},
    {"{\"max_batch_size\":99999}", NULL},
    {"{\"max_batch_size\":\"5461\"}", NULL},
    {"{\"max_batch_size\":5e3}", NULL},
    {"{\"max_batch_size\":null}", NULL},
    {"{\"max_batch_size\":123456789012345678901234567890}", NULL},
    {"{}", NULL},
    {"{\"max_batch_size\":5461", NULL},
    {"", NULL},
};

START_TEST(only_the_number_of_the_limit_changes)
{
    struct byte_buffer out = {0};
    bool raised = chroma_answer_raise_batch_limit(bytes_of(limits[_i].from), 41666, &out);

    ck_assert_int_eq(raised, limits[_i].to != NULL);
    ck_assert(
        bytes_equal(byte_buffer_bytes(&out), bytes_of(limits[_i].to == NULL ? "" : limits[_i].to)));
    byte_buffer_done(&out);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("chroma_answer");

    tcase_add_test(tcase, dimension_of_a_collection_is_learned);
    tcase_add_loop_test(tcase, other_answers_teach_nothing, 0, COUNT_OF(teaches_nothing));
    tcase_add_loop_test(tcase, only_the_number_of_the_limit_changes, 0, COUNT_OF(limits));
    return check_main("chroma_answer", tcase);
}
