/* What must hold: the scanner takes what serde_json takes and nothing else, whatever instruction
 * set it runs on and wherever in a text the matter stands; it finds what a plain parser finds. */
#include "json/json_scan.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "support/check_main.h"
#include "support/json_reference.h"
#include "json/json_simd.h"

static const char *const tables[] = {"scalar", "avx2", "avx512"};

/* In an array behind 0 to 70 other characters, and with 70 behind it. */
static void check_everywhere(struct bytes text, bool is_valid)
{
    char *padded = malloc(text.size + 400);

    for (size_t i = 0; i < COUNT_OF(tables); i++) {
        if (!json_simd_use(tables[i]))
            continue;
        for (size_t before = 0; before <= 70; before++) {
            size_t size = 0;

            padded[size++] = '[';
            for (size_t k = 0; k < before / 2; k++)
                size += (size_t)sprintf(padded + size, "%zu,", k % 10);
            memcpy(padded + size, text.data, text.size);
            size += text.size;
            size += (size_t)sprintf(padded + size, "%*s]", (int)before, "");
            ck_assert_msg(json_scan_is_valid((struct bytes){padded, size}) == is_valid,
                          "%s, %zu: %.*s", tables[i], before, (int)text.size, text.data);
            padded[size - 1] = ',';
            size += (size_t)sprintf(padded + size, "%s]",
                                    "1.5,2.5,3.5,4.5,5.5,6.5,7.5,8.5,9.5,1.5,2.5,3.5,4.5,5.5,6.5");
            ck_assert_msg(json_scan_is_valid((struct bytes){padded, size}) == is_valid,
                          "%s, %zu, more behind: %.*s", tables[i], before, (int)text.size,
                          text.data);
        }
    }
    free(padded);
}

START_TEST(well_formed_values_are_taken)
{
    static const char *const texts[] = {"null",
                                        "true",
                                        "false",
                                        "\"\"",
                                        "\"x\"",
                                        "[]",
                                        "{}",
                                        "[ ]",
                                        "{ }",
                                        "[[],{}]",
                                        "[1 , 2]",
                                        "{\"a\":1,\"a\":2}",
                                        " {\"a\" : [ null ] }\n",
                                        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
                                        "\"\\u0000\\u00e9\\uABcd\\uffff\"",
                                        "\"\\ud83d\\ude00\"",
                                        "\"\\uD800\\uDC00\"",
                                        "\"\x7f\"",
                                        "\"\xc2\x80\xdf\xbf\"",
                                        "\"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\"",
                                        "\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""};

    for (size_t i = 0; i < COUNT_OF(texts); i++)
        check_everywhere(bytes_of(texts[i]), true);
}
END_TEST

START_TEST(malformed_values_are_not)
{
    static const char *const texts[] = {"x",
                                        "nul",
                                        "True",
                                        "tru",
                                        "NaN",
                                        "Infinity",
                                        "'x'",
                                        "\"",
                                        "\"x",
                                        "\"\\\"",
                                        "\"\\x41\"",
                                        "\"\\u12\"",
                                        "\"\\u12g4\"",
                                        "\"\\ud83d\"",
                                        "\"\\ude00\"",
                                        "\"\\ud83d\\n\"",
                                        "\"\\ud83dx\"",
                                        "\"\\ud83d\\ud83d\"",
                                        "\"\\ud83d\\u0041\"",
                                        "\"\t\"",
                                        "\"\n\"",
                                        "\"\x1f\"",
                                        "[",
                                        "]",
                                        "{",
                                        "}",
                                        "[}",
                                        "{]",
                                        "[1,]",
                                        "[,1]",
                                        "[1 2]",
                                        "{\"a\"}",
                                        "{\"a\":}",
                                        "{\"a\" 1}",
                                        "{a:1}",
                                        "{1:1}",
                                        "{\"a\":1,}",
                                        "{,}",
                                        "{\"a\":1 \"b\":2}",
                                        "// x\n1",
                                        "/**/1",
                                        "\xef\xbb\xbf"
                                        "1",
                                        "\v1",
                                        "\xc2\xa0"
                                        "1",
                                        "\"\x80\"",
                                        "\"\xbf\"",
                                        "\"\xc3\"",
                                        "\"\xc3x\"",
                                        "\"\xc0\xaf\"",
                                        "\"\xc1\xbf\"",
                                        "\"\xe0\x80\x80\"",
                                        "\"\xe0\x9f\xbf\"",
                                        "\"\xed\xa0\x80\"",
                                        "\"\xed\xbf\xbf\"",
                                        "\"\xe2\x82\"",
                                        "\"\xf0\x80\x80\x80\"",
                                        "\"\xf0\x8f\xbf\xbf\"",
                                        "\"\xf4\x90\x80\x80\"",
                                        "\"\xf5\x80\x80\x80\"",
                                        "\"\xf0\x9f\x98\"",
                                        "\"\xff\"",
                                        "\"\xfe\""};

    for (size_t i = 0; i < COUNT_OF(texts); i++)
        check_everywhere(bytes_of(texts[i]), false);
    check_everywhere(BYTES_LITERAL("\"\0\""), false);
    check_everywhere(BYTES_LITERAL("1\0"), false);
}
END_TEST

START_TEST(numbers_are_those_of_the_grammar_and_in_range)
{
    static const char *const good[] = {
        "0",
        "-0",
        "-0.0",
        "1",
        "-1",
        "10",
        "1.5",
        "0.1",
        "-0.01",
        "1e5",
        "1E+5",
        "1e-05",
        "0e0",
        "0e999",
        "0.0e999",
        "1e308",
        "1e-999",
        "17976931348623157e292",
        "1.7976931348623157e308",
        "18446744073709551616",
        "-9223372036854775809",
        "1234567890123456789012345678901234567890",
        "0.000000000000000000000000000000000000000000000000000000000000000000000000000000000001"};
    static const char *const bad[] = {"-",
                                      "+1",
                                      "01",
                                      "-01",
                                      "00",
                                      "00.5",
                                      "1.",
                                      ".5",
                                      "-.5",
                                      "1.e5",
                                      "1e",
                                      "1e+",
                                      "1e-",
                                      "1e5.5",
                                      "1ee5",
                                      "0x10",
                                      "1_0",
                                      "1f",
                                      "--1",
                                      "1-2",
                                      "1.2.3",
                                      "1e5e5",
                                      "0.-1",
                                      "- 1",
                                      "1 .5",
                                      "1 2",
                                      "1e309",
                                      "-1e999",
                                      "17976931348623159e292",
                                      "0.1e310",
                                      "1e99999999999999999999",
                                      "123456789012345678901234567890e290"};
    char                     digits[401];

    for (size_t i = 0; i < COUNT_OF(good); i++)
        check_everywhere(bytes_of(good[i]), true);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        check_everywhere(bytes_of(bad[i]), false);
    memset(digits, '9', sizeof digits);
    ck_assert(json_scan_is_valid((struct bytes){digits, 308}));
    ck_assert(!json_scan_is_valid((struct bytes){digits, 309}));
    memcpy(digits + 309, "e-9", 3);
    ck_assert(json_scan_is_valid((struct bytes){digits, 312}));
}
END_TEST

START_TEST(the_128th_nesting_is_refused)
{
    char text[256];

    for (size_t depth = 100; depth <= 128; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        ck_assert_int_eq(json_scan_is_valid((struct bytes){text, 2 * depth}), depth <= 127);
    }
}
END_TEST

START_TEST(nothing_may_stand_behind_the_value)
{
    ck_assert(json_scan_is_valid(BYTES_LITERAL(" {} \r\n\t")));
    ck_assert(!json_scan_is_valid(BYTES_LITERAL("{}x")));
    ck_assert(!json_scan_is_valid(BYTES_LITERAL("{}{}")));
    ck_assert(!json_scan_is_valid(BYTES_LITERAL("{},")));
    ck_assert(!json_scan_is_valid(BYTES_LITERAL("{}\0")));
    ck_assert(!json_scan_is_valid((struct bytes){0}));
}
END_TEST

START_TEST(members_and_elements_are_found_where_they_stand)
{
    struct bytes       text = BYTES_LITERAL(" {\"a\" : [1, \"x\" ,[2]] , \"\\u0062\":{ }} ");
    struct bytes       span;
    struct json_scan   scan;
    struct json_string key;

    json_scan_init(&scan, text);
    ck_assert(json_scan_object(&scan));
    ck_assert(json_scan_member(&scan, &key) && json_scan_equals(key, BYTES_LITERAL("a")));
    ck_assert(json_scan_array(&scan));
    ck_assert(json_scan_element(&scan) && json_scan_value(&scan, &span));
    ck_assert(bytes_equal(span, BYTES_LITERAL("1")));
    ck_assert(json_scan_element(&scan) && json_scan_value(&scan, &span));
    ck_assert(bytes_equal(span, BYTES_LITERAL("\"x\"")));
    ck_assert(json_scan_element(&scan) && json_scan_value(&scan, &span));
    ck_assert(bytes_equal(span, BYTES_LITERAL("[2]")));
    ck_assert(!json_scan_element(&scan));
    ck_assert(json_scan_member(&scan, &key) && json_scan_equals(key, BYTES_LITERAL("b")));
    ck_assert(json_scan_value(&scan, &span) && bytes_equal(span, BYTES_LITERAL("{ }")));
    ck_assert(!json_scan_member(&scan, &key));
    ck_assert(json_scan_end(&scan));
}
END_TEST

START_TEST(an_error_stays)
{
    struct json_scan   scan;
    struct json_string key;

    json_scan_init(&scan, BYTES_LITERAL("[01, 2]"));
    ck_assert(json_scan_array(&scan) && json_scan_element(&scan));
    ck_assert(!json_scan_value(&scan, NULL));
    ck_assert_int_eq(json_scan_kind(&scan), JSON_KIND_NONE);
    ck_assert(!json_scan_element(&scan) && !json_scan_array(&scan) && !json_scan_object(&scan));
    ck_assert(!json_scan_member(&scan, &key) && !json_scan_end(&scan));
    json_scan_init(&scan, BYTES_LITERAL("[1"));
    ck_assert(json_scan_array(&scan) && json_scan_element(&scan) && json_scan_value(&scan, NULL));
    ck_assert(!json_scan_element(&scan) && !json_scan_end(&scan));
}
END_TEST

START_TEST(numbers_are_counted_and_unsafe_floats_told)
{
    static const struct {
        const char *text;
        size_t      count;
        bool        are_safe;
    } cases[] = {
        {"[1]", 1, true},
        {"[1,2 , 3]", 3, true},
        {"[-0.5,1e38]", 2, false}, /* 39 digits: not certain */
        {"[1,1e37,2]", 3, true},
        {"[1,2,3.5e38]", 3, false},
        {"[1e39,2]", 2, false},
        {"[12345678901234567890123456789012345678]", 1, true},
        {"[123456789012345678901234567890123456789]", 1, false},
        {"[1,2,\"x\"]", 2, true},
        {"[1,2,null,3]", 2, true},
        {"[0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9,0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9,0.1,0.2,\"\"]",
         20, true},
    };

    for (size_t t = 0; t < COUNT_OF(tables); t++) {
        if (!json_simd_use(tables[t]))
            continue;
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
            struct json_scan scan;
            size_t           count = 0;
            bool             are_safe = true;

            json_scan_init(&scan, bytes_of(cases[i].text));
            ck_assert(json_scan_array(&scan) && json_scan_element(&scan));
            ck_assert(json_scan_numbers(&scan, &count, &are_safe));
            ck_assert_msg(count == cases[i].count && are_safe == cases[i].are_safe, "%s",
                          cases[i].text);
            while (json_scan_element(&scan))
                ck_assert(json_scan_value(&scan, NULL));
            ck_assert(json_scan_end(&scan));
        }
    }
}
END_TEST

START_TEST(strings_are_compared_and_decoded_without_their_escapes)
{
    struct json_scan   scan;
    struct json_string string;
    char               decoded[64];
    size_t             size;

    json_scan_init(&scan, BYTES_LITERAL("\"\\u0069d\\u0073\""));
    ck_assert(json_scan_string(&scan, &string) && string.has_escapes);
    ck_assert(json_scan_equals(string, BYTES_LITERAL("ids")));
    ck_assert(!json_scan_equals(string, BYTES_LITERAL("id")));
    json_scan_init(&scan, BYTES_LITERAL("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\u00E9\\uffff"
                                        "\\ud83d\\ude00x\""));
    ck_assert(json_scan_string(&scan, &string));
    size = json_scan_decode(string, decoded);
    ck_assert(bytes_equal((struct bytes){decoded, size},
                          BYTES_LITERAL("\"\\/\b\f\n\r\t\0\xc3\xa9\xef\xbf\xbf\xf0\x9f\x98\x80x")));
}
END_TEST

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

static size_t random_text(uint32_t *state, char *text, size_t size_max)
{
    static const char *const pieces[] = {
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "\"",
        "0.0123456789,",
        "-1.5",
        "1e-7,",
        "null",
        "true",
        "\\u0061",
        "\\ud83d\\ude00",
        "\xc3\xa9",
        " ",
        "\"a\":",
        "\"id\",",
        "[1,2]",
        "{\"a\":0}",
        "\\",
        "-",
        "0",
        ".",
        "12345678901234567890,",
        "[0.25,-0.5,0.125,3,-4,0.0625,7.5,-0.25,1.25,9,0.5,0.75,-1,2.5]"};
    size_t size = 0, count = next_random(state) % 24;

    for (size_t i = 0; i < count; i++) {
        const char *piece = pieces[next_random(state) % COUNT_OF(pieces)];

        if (size + strlen(piece) > size_max)
            break;
        memcpy(text + size, piece, strlen(piece));
        size += strlen(piece);
    }
    return size;
}

/* Half the texts are well-formed but for a byte or two. */
START_TEST(a_plain_parser_agrees)
{
    static const char seed[] =
        "{\"ids\":[\"a\\u0062\",\"\xe4\xb8\xad\xe6\x96\x87\"],\"embeddings\":[[0.0123456789,-0.25,"
        "1e-7,"
        "0.1,0.2,0.3,-0.4,0.5,0.60000001,-0.7,0.8,0.9,1.0,2.0],[1,2,3]],\"m\":[{\"k\":null},true]}";
    static const char  replacements[] = "0123456789-.,eE[]{}\":\\ nu\x80\xc3\x1f";
    struct byte_buffer expected = {0}, found = {0};
    uint32_t           state = 1;
    size_t             valid = 0;

    for (int round = 0; round < 60000; round++) {
        char                        buffer[1024];
        char                       *text;
        size_t                      size;
        enum json_reference_verdict verdict;

        if (round % 2 == 0) {
            size = sizeof seed - 1;
            memcpy(buffer, seed, size);
            for (uint32_t i = next_random(&state) % 3; i > 0; i--)
                buffer[next_random(&state) % size] =
                    replacements[next_random(&state) % (sizeof replacements - 1)];
        } else {
            size = random_text(&state, buffer, sizeof buffer);
        }
        text = malloc(size); /* exactly: so that a sanitizer sees a byte too far */
        memcpy(text, buffer, size);
        byte_buffer_clear(&expected);
        verdict = json_reference_parse((struct bytes){text, size}, &expected);
        valid += verdict == JSON_REFERENCE_VALID;
        for (size_t i = 0; i < COUNT_OF(tables); i++) {
            if (!json_simd_use(tables[i]))
                continue;
            byte_buffer_clear(&found);
            ck_assert_msg(json_reference_scan((struct bytes){text, size}, &found) == verdict,
                          "%s: %.*s", tables[i], (int)size, text);
            ck_assert_int_eq(json_scan_is_valid((struct bytes){text, size}),
                             verdict == JSON_REFERENCE_VALID);
            if (verdict == JSON_REFERENCE_VALID)
                ck_assert(bytes_equal(byte_buffer_bytes(&expected), byte_buffer_bytes(&found)));
        }
        free(text);
    }
    ck_assert_uint_gt(valid, 5000);
    byte_buffer_done(&expected);
    byte_buffer_done(&found);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("json_scan");

    tcase_add_test(tcase, well_formed_values_are_taken);
    tcase_add_test(tcase, malformed_values_are_not);
    tcase_add_test(tcase, numbers_are_those_of_the_grammar_and_in_range);
    tcase_add_test(tcase, the_128th_nesting_is_refused);
    tcase_add_test(tcase, nothing_may_stand_behind_the_value);
    tcase_add_test(tcase, members_and_elements_are_found_where_they_stand);
    tcase_add_test(tcase, an_error_stays);
    tcase_add_test(tcase, numbers_are_counted_and_unsafe_floats_told);
    tcase_add_test(tcase, strings_are_compared_and_decoded_without_their_escapes);
    tcase_add_test(tcase, a_plain_parser_agrees);
    tcase_set_timeout(tcase, 60);
    return check_main("json_scan", tcase);
}
