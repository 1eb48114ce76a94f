/* What must hold: content is kept through growing and compacting, the limit is exact, and an
 * emptied buffer starts over at its beginning. */
#include "base/byte_buffer.h"
#include "support/check_main.h"

START_TEST(content_survives_growth_and_compaction)
{
    struct byte_buffer buffer = {0};
    unsigned char      next_in = 0, next_out = 0;

    for (int round = 0; round < 2000; round++) {
        char   chunk[37];
        size_t take = (size_t)(round * 7 % 41);

        for (size_t i = 0; i < sizeof chunk; i++)
            chunk[i] = (char)next_in++;
        ck_assert_int_eq(byte_buffer_append(
                             &buffer, (struct bytes){.data = chunk, .size = sizeof chunk}, 1 << 20),
                         STATUS_OK);
        if (take > byte_buffer_size(&buffer))
            take = byte_buffer_size(&buffer);
        for (size_t i = 0; i < take; i++)
            ck_assert_uint_eq((unsigned char)byte_buffer_bytes(&buffer).data[i], next_out++);
        byte_buffer_consume(&buffer, take);
    }
    byte_buffer_done(&buffer);
}
END_TEST

START_TEST(limit_is_exact)
{
    struct byte_buffer buffer = {0};

    ck_assert_int_eq(byte_buffer_append(&buffer, BYTES_LITERAL("12345"), 5), STATUS_OK);
    ck_assert_int_eq(byte_buffer_append(&buffer, BYTES_LITERAL("6"), 5), STATUS_LIMIT_REACHED);
    ck_assert_int_eq(byte_buffer_reserve(&buffer, SIZE_MAX, SIZE_MAX - 1), STATUS_LIMIT_REACHED);
    byte_buffer_consume(&buffer, 1);
    ck_assert_int_eq(byte_buffer_append(&buffer, BYTES_LITERAL("6"), 5), STATUS_OK);
    ck_assert(bytes_equal(byte_buffer_bytes(&buffer), BYTES_LITERAL("23456")));
    byte_buffer_done(&buffer);
}
END_TEST

START_TEST(formatted_text_is_appended)
{
    struct byte_buffer buffer = {0};

    ck_assert_int_eq(byte_buffer_printf(&buffer, 100, "%s=%d", "a", 1), STATUS_OK);
    ck_assert_int_eq(byte_buffer_printf(&buffer, 100, "&%s=%d", "b", 22), STATUS_OK);
    ck_assert(bytes_equal(byte_buffer_bytes(&buffer), BYTES_LITERAL("a=1&b=22")));
    byte_buffer_consume(&buffer, byte_buffer_size(&buffer));
    ck_assert_uint_eq(buffer.start, 0);
    byte_buffer_done(&buffer);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("byte_buffer");

    tcase_add_test(tcase, content_survives_growth_and_compaction);
    tcase_add_test(tcase, limit_is_exact);
    tcase_add_test(tcase, formatted_text_is_appended);
    return check_main("byte_buffer", tcase);
}
