/* What must hold: only canonical base64 of whole, finite floats is taken, at any length and with
 * any instruction set. */
#include "json/base64.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "support/check_main.h"
#include "json/json_simd.h"

static const char *const tables[] = {"scalar", "avx2", "avx512"};
static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Given: free(). */
static struct bytes encode(const float *floats, size_t count)
{
    const uint8_t *bytes = (const uint8_t *)floats;
    size_t         size = count * sizeof *floats;
    char          *text = malloc((size + 2) / 3 * 4 + 1); /* one more: never nothing */
    size_t         at = 0;

    for (size_t i = 0; i < size; i += 3) {
        uint32_t bits = (uint32_t)bytes[i] << 16;

        bits |= i + 1 < size ? (uint32_t)bytes[i + 1] << 8 : 0;
        bits |= i + 2 < size ? bytes[i + 2] : 0;
        text[at++] = alphabet[bits >> 18];
        text[at++] = alphabet[bits >> 12 & 63];
        text[at++] = i + 1 < size ? alphabet[bits >> 6 & 63] : '=';
        text[at++] = i + 2 < size ? alphabet[bits & 63] : '=';
    }
    return (struct bytes){.data = text, .size = at};
}

START_TEST(only_the_canonical_form_is_taken)
{
    static const char *const good[] = {"", "AACAPw==", "AACAPwAAAEA=", "AACAPwAAAEAAAEBA"};
    static const char *const bad[] = {"=",
                                      "====",
                                      "AACAPw",
                                      "AACAPw=",
                                      "AACAPw===",
                                      "AACAPw== ",
                                      " AACAPw==",
                                      "AACA Pw==",
                                      "AACAPx==",
                                      "AACAPw=A",
                                      "AACAP===",
                                      "AAAA",
                                      "AAAAAA==A",
                                      "AAAAAAA=",
                                      "_-AAAA==",
                                      "AACAPwAAAEB=",
                                      "AACAPwAAAEAA",
                                      "AACAPwAAAE==",
                                      "AACAPw==AACAPw==",
                                      "AACAPwAAAEAAAEB=",
                                      "AACAPwAAAEAAAE==",
                                      ("\xc3\xa9"
                                       "AAAA=="),
                                      "AACAPw=\n"};
    size_t                   count;

    for (size_t i = 0; i < COUNT_OF(good); i++) {
        ck_assert_msg(base64_is_finite_floats(bytes_of(good[i]), &count), "%s", good[i]);
        ck_assert_uint_eq(count, i);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        ck_assert_msg(!base64_is_finite_floats(bytes_of(bad[i]), &count), "%s", bad[i]);
}
END_TEST

START_TEST(every_length_is_counted_and_every_wrong_character_seen)
{
    float  floats[100];
    size_t found;

    for (size_t i = 0; i < COUNT_OF(floats); i++)
        floats[i] = (float)rand() / 1e4f - 1e4f;
    for (size_t t = 0; t < COUNT_OF(tables); t++) {
        if (!json_simd_use(tables[t]))
            continue;
        for (size_t count = 0; count <= COUNT_OF(floats); count++) {
            struct bytes text = encode(floats, count);
            char        *writable = (char *)(uintptr_t)text.data;

            ck_assert(base64_is_finite_floats(text, &found));
            ck_assert_uint_eq(found, count);
            for (size_t i = 0; i < text.size; i++) {
                char right = text.data[i];

                writable[i] = "!-_ \x80\xe1="[i % 7];
                if (right != '=' || writable[i] != '=')
                    ck_assert_msg(!base64_is_finite_floats(text, &found), "%s, %zu of %zu",
                                  tables[t], i, count);
                writable[i] = right;
            }
            free(writable);
        }
    }
}
END_TEST

START_TEST(every_character_has_its_verdict_at_every_place)
{
    char   text[128];
    size_t count;

    for (size_t t = 0; t < COUNT_OF(tables); t++) {
        if (!json_simd_use(tables[t]))
            continue;
        memset(text, 'A', sizeof text);
        for (size_t at = 0; at < sizeof text; at++)
            for (int c = 0; c < 256; c++) {
                text[at] = (char)c;
                ck_assert_int_eq(base64_is_finite_floats((struct bytes){text, sizeof text}, &count),
                                 c != 0 && strchr(alphabet, c) != NULL);
                text[at] = 'A';
            }
    }
}
END_TEST

START_TEST(a_float_that_is_not_finite_is_seen_anywhere)
{
    static const uint32_t bits[] = {0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001, 0xffffffff};
    static const uint32_t finite[] = {0x7f7fffff, 0xff7fffff, 0x80000000, 0x00000001, 0x7f000000};
    float                 floats[67] = {0};
    size_t                found;

    for (size_t t = 0; t < COUNT_OF(tables); t++) {
        if (!json_simd_use(tables[t]))
            continue;
        for (size_t at = 0; at < COUNT_OF(floats); at++) {
            for (size_t i = 0; i < COUNT_OF(bits); i++) {
                struct bytes text;

                memcpy(&floats[at], &bits[i], sizeof bits[i]);
                text = encode(floats, COUNT_OF(floats));
                ck_assert_msg(!base64_is_finite_floats(text, &found), "%s, float %zu", tables[t],
                              at);
                free((void *)(uintptr_t)text.data);
                memcpy(&floats[at], &finite[i], sizeof finite[i]);
                text = encode(floats, COUNT_OF(floats));
                ck_assert(base64_is_finite_floats(text, &found));
                free((void *)(uintptr_t)text.data);
            }
            floats[at] = 0;
        }
    }
}
END_TEST

START_TEST(what_was_taken_is_decoded_to_the_bit)
{
    float  floats[50], decoded[50];
    size_t found;

    for (size_t i = 0; i < COUNT_OF(floats); i++)
        floats[i] = (float)rand() / 1e4f - 1e4f;
    for (size_t count = 0; count <= COUNT_OF(floats); count++) {
        struct bytes text = encode(floats, count);

        ck_assert(base64_is_finite_floats(text, &found));
        memset(decoded, 0xff, sizeof decoded);
        base64_floats(text, decoded);
        ck_assert_int_eq(memcmp(decoded, floats, count * sizeof *floats), 0);
        free((void *)(uintptr_t)text.data);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("base64");

    tcase_add_test(tcase, only_the_canonical_form_is_taken);
    tcase_add_test(tcase, every_length_is_counted_and_every_wrong_character_seen);
    tcase_add_test(tcase, every_character_has_its_verdict_at_every_place);
    tcase_add_test(tcase, a_float_that_is_not_finite_is_seen_anywhere);
    tcase_add_test(tcase, what_was_taken_is_decoded_to_the_bit);
    return check_main("base64", tcase);
}
