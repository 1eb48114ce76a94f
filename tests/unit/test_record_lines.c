/* What must hold: a line goes into the body as it stands, in order; what is no record is refused
 * with a reason and leaves nothing. */
#include "cli/record_lines.h"
#include "support/check_main.h"

static struct record_lines lines;
static struct byte_buffer  body;
static struct error        error;

static void tear_down(void)
{
    record_lines_done(&lines);
    byte_buffer_done(&body);
}

static void add(const char *line)
{
    ck_assert_int_eq(record_lines_add(&lines, bytes_of(line), &error), STATUS_OK);
}

static void refuse(const char *line, const char *reason)
{
    ck_assert_int_eq(record_lines_add(&lines, bytes_of(line), &error), STATUS_INVALID);
    ck_assert_str_eq(error.text, reason);
    ck_assert_uint_eq(lines.count, 0);
    ck_assert_uint_eq(record_lines_size(&lines), 0);
}

static void expect(const char *text)
{
    byte_buffer_clear(&body);
    ck_assert_int_eq(record_lines_body(&lines, &body), STATUS_OK);
    ck_assert_msg(bytes_equal(byte_buffer_bytes(&body), bytes_of(text)), "%.*s",
                  (int)byte_buffer_size(&body), byte_buffer_bytes(&body).data);
}

START_TEST(lines_become_columns_as_they_stand)
{
    add("{\"id\":\"a\",\"embedding\":[1,0.10,-2e3],\"document\":\"x\\u00e9\\n\","
        "\"metadata\":{\"k\": [1, 2.0]},\"uri\":null}");
    add(" {\"uri\" : \"u\", \"embedding\" : [ 1e-7 ], \"\\u0069d\":\"b\"} ");
    ck_assert_uint_eq(lines.count, 2);
    expect("{\"ids\":[\"a\",\"b\"],\"embeddings\":[[1,0.10,-2e3],[ 1e-7 ]],"
           "\"documents\":[\"x\\u00e9\\n\",null],\"metadatas\":[{\"k\": [1, 2.0]},null],"
           "\"uris\":[null,\"u\"]}");
    record_lines_clear(&lines);
    add("{\"id\":\"c\",\"embedding\":[0]}");
    expect("{\"ids\":[\"c\"],\"embeddings\":[[0]],\"documents\":[null],\"metadatas\":[null],"
           "\"uris\":[null]}");
}
END_TEST

START_TEST(what_is_no_record_is_refused_with_a_reason)
{
    refuse("", "it is not one JSON object");
    refuse("[]", "it is not one JSON object");
    refuse("{\"id\":\"a\",\"embedding\":[1]} {}", "it is not one JSON object");
    refuse("{\"id\":\"a\",\"embedding\":[1]", "it is not one JSON object");
    refuse("{\"embedding\":[1]}", "it has no \"id\"");
    refuse("{\"id\":\"a\"}", "it has no \"embedding\"");
    refuse("{\"id\":7,\"embedding\":[1]}", "\"id\" is not a string");
    refuse("{\"id\":null,\"embedding\":[1]}", "\"id\" is not a string");
    refuse("{\"id\":\"a\",\"embedding\":null}", "\"embedding\" is not a list of numbers");
    refuse("{\"id\":\"a\",\"embedding\":[]}", "\"embedding\" is not a list of numbers");
    refuse("{\"id\":\"a\",\"embedding\":[1,null]}", "\"embedding\" is not a list of numbers");
    refuse("{\"id\":\"a\",\"embedding\":[1],\"document\":1}",
           "\"document\" is not a string or null");
    refuse("{\"id\":\"a\",\"embedding\":[1],\"metadata\":[]}",
           "\"metadata\" is not an object or null");
    refuse("{\"id\":\"a\",\"id\":\"b\",\"embedding\":[1]}", "\"id\" stands there twice");
    refuse("{\"ids\":\"a\"}", "'ids' is not one of id, embedding, document, metadata, uri");
    refuse("{\"id\":\"a\",\"embedding\":[1],\"metadata\":{\"k\":}}", "it is not JSON");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("record_lines");

    tcase_add_checked_fixture(tcase, NULL, tear_down);
    tcase_add_test(tcase, lines_become_columns_as_they_stand);
    tcase_add_test(tcase, what_is_no_record_is_refused_with_a_reason);
    return check_main("record_lines", tcase);
}
