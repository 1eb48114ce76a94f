/* What must hold: only what is certainly the same twice may be sent again. */
#include <string.h>

#include "base/compiler.h"
#include "chroma/chroma_repeat.h"
#include "support/check_main.h"

static const struct {
    enum chroma_operation operation;
    const char           *body;
    bool                  is_harmless;
} writes[] = {
    {CHROMA_OPERATION_ADD, "", true},
    {CHROMA_OPERATION_UPSERT, "{", true},
    {CHROMA_OPERATION_UPDATE, "{}", true},
    {CHROMA_OPERATION_COLLECTION_MODIFY, "{}", true},
    {CHROMA_OPERATION_COLLECTION_CREATE, "{\"name\":\"a\",\"get_or_create\":true}", true},
    {CHROMA_OPERATION_COLLECTION_CREATE, "{\"name\":\"a\",\"get_or_create\":false}", false},
    {CHROMA_OPERATION_COLLECTION_CREATE, "{\"name\":\"get_or_create\"}", false},
    {CHROMA_OPERATION_COLLECTION_CREATE, "{\"get_or_create\":true,\"get_or_create\":false}", false},
    {CHROMA_OPERATION_COLLECTION_CREATE, "", false},
    {CHROMA_OPERATION_COLLECTION_CREATE, "[true]", false},
    {CHROMA_OPERATION_COLLECTION_DELETE, "", false},
    {CHROMA_OPERATION_DELETE, "{\"ids\":[\"a\"]}", true},
    {CHROMA_OPERATION_DELETE, "{\"ids\":[\"a\"],\"where\":null,\"where_document\":null}", true},
    {CHROMA_OPERATION_DELETE, "{\"ids\":[\"a\"],\"where\":{\"k\":1}}", false},
    {CHROMA_OPERATION_DELETE, "{\"ids\":[\"a\"],\"where_document\":{\"$contains\":\"x\"}}", false},
    {CHROMA_OPERATION_DELETE, "{\"ids\":[\"a\"],\"limit\":1}", false},
    {CHROMA_OPERATION_DELETE, "{\"ids\":[]}", false},
    {CHROMA_OPERATION_DELETE, "{\"where\":{\"k\":1}}", false},
    {CHROMA_OPERATION_DELETE, "{\"ids\":[\"a\"]", false},
    {CHROMA_OPERATION_RESET, "", false},
    {CHROMA_OPERATION_UNKNOWN_WRITE, "{\"get_or_create\":true}", false},
};

START_TEST(what_is_the_same_twice_is_told_from_what_is_not)
{
    ck_assert_int_eq(chroma_repeat_is_harmless(writes[_i].operation, bytes_of(writes[_i].body)),
                     writes[_i].is_harmless);
}
END_TEST

START_TEST(a_large_body_is_not_looked_at)
{
    static char body[64 << 10] = "{\"ids\":[\"";

    memset(body + strlen(body), 'a', sizeof body - 1 - strlen(body));
    memcpy(body + sizeof body - 4, "\"]}", 4);
    ck_assert(!chroma_repeat_is_harmless(CHROMA_OPERATION_DELETE, bytes_of(body)));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("chroma_repeat");

    tcase_add_loop_test(tcase, what_is_the_same_twice_is_told_from_what_is_not, 0,
                        COUNT_OF(writes));
    tcase_add_test(tcase, a_large_body_is_not_looked_at);
    return check_main("chroma_repeat", tcase);
}
