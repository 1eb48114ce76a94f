/* What must hold: answers from a copy are, byte by byte, those that Chroma 1.5.9 gave to the same
 * questions about the same records (the expected texts are its own); what it would refuse, and what
 * cannot be answered exactly, is left to it. */
#include "mirror/mirror_copy.h"
#include "mirror/mirror_lines.h"
#include "support/check_main.h"
#include "support/index_fixture.h"

#include <unistd.h>

static struct mirror_copy *copy;
static struct byte_buffer  body;
static const char         *reason;

static void setup(void)
{
    static const char list[] = "{\"ids\":[\"a\",\"b\",\"\xc3\xa9\\\"\\n\"]}";
    static const char page[] =
        "{\"ids\":[\"a\",\"b\",\"\xc3\xa9\\\"\\n\"],\"embeddings\":[[1.0,0.1],[2.0,1e-7],"
        "[100.0,3.25]],\"documents\":[\"d\",null,\"\xe6\x97\xa5\xe6\x9c\xac\\u0001\"],"
        "\"uris\":[null,null,null],\"metadatas\":[{\"k\":1,\"f\":1.0,\"l\":[1,2]},null,"
        "{\"x\":\"y\"}]}";
    struct mirror_records_options options = {.path = index_fixture_path,
                                             .space = COLLECTION_SPACE_L2};
    struct byte_buffer            request = {.data = NULL};
    struct mirror_moments         moments = {1, 2};

    index_fixture_setup();
    ck_assert_int_eq(mirror_copy_new(&options, &copy, NULL), STATUS_OK);
    ck_assert_int_eq(mirror_copy_list(copy, bytes_of(list), &moments, &reason), STATUS_OK);
    moments = (struct mirror_moments){3, 4};
    ck_assert_int_eq(mirror_copy_page_request(copy, 1 << 20, &request), STATUS_OK);
    ck_assert_int_eq(mirror_copy_page(copy, bytes_of(page), &moments, &reason), STATUS_OK);
    byte_buffer_done(&request);
}

static void teardown(void)
{
    byte_buffer_done(&body);
    mirror_copy_free(copy);
    ck_assert_int_eq(rmdir(index_fixture_dir), 0);
}

static enum status ask(const char *operation, const char *question, size_t size_max)
{
    char                   path[200];
    struct chroma_route    route;
    struct mirror_question asked = {
        .route = &route, .body = bytes_of(question), .dimension = 2, .size_max = size_max};
    unsigned    code = 0;
    enum status status;

    snprintf(path, sizeof path,
             "/api/v2/tenants/t/databases/d/collections/11111111-2222-3333-4444-555555555555/%s",
             operation);
    chroma_route_find(question[0] == '\0' ? BYTES_LITERAL("GET") : BYTES_LITERAL("POST"),
                      bytes_of(path), &route);
    byte_buffer_clear(&body);
    status = mirror_copy_answer(copy, &asked, &code, &body, &reason);
    ck_assert(status != STATUS_OK || code == 200);
    return status;
}

static const struct {
    const char *operation, *question, *answer;
} given[] = {
    {"count", "", "3"},
    {"get", "{}",
     "{\"ids\":[\"a\",\"b\",\"\xc3\xa9\\\"\\n\"],\"embeddings\":null,\"documents\":[\"d\",null,"
     "\"\xe6\x97\xa5\xe6\x9c\xac\\u0001\"],\"uris\":null,\"metadatas\":[{\"k\":1,\"f\":1.0,"
     "\"l\":[1,2]},null,{\"x\":\"y\"}],\"include\":[\"documents\",\"metadatas\"]}"},
    {"get", "{\"include\": []}",
     "{\"ids\":[\"a\",\"b\",\"\xc3\xa9\\\"\\n\"],\"embeddings\":null,\"documents\":null,\"uris\":"
     "null,\"metadatas\":null,\"include\":[]}"},
    {"get", "{\"include\": [\"uris\", \"embeddings\"]}",
     "{\"ids\":[\"a\",\"b\",\"\xc3\xa9\\\"\\n\"],\"embeddings\":[[1.0,0.1],[2.0,1e-7],[100.0,3.25]]"
     ",\"documents\":null,\"uris\":[null,null,null],\"metadatas\":null,\"include\":[\"uris\","
     "\"embeddings\"]}"},
    {"get", "{\"ids\": [\"b\", \"a\", \"zz\"], \"include\": [\"embeddings\", \"documents\"]}",
     "{\"ids\":[\"a\",\"b\"],\"embeddings\":[[1.0,0.1],[2.0,1e-7]],\"documents\":[\"d\",null],"
     "\"uris\":null,\"metadatas\":null,\"include\":[\"embeddings\",\"documents\"]}"},
    {"get", "{\"ids\": [\"\\u0062\", \"zz\"]}",
     "{\"ids\":[\"b\"],\"embeddings\":null,\"documents\":[null],\"uris\":null,\"metadatas\":[null],"
     "\"include\":[\"documents\",\"metadatas\"]}"},
    {"get", "{\"limit\": 1, \"offset\": 1}",
     "{\"ids\":[\"b\"],\"embeddings\":null,\"documents\":[null],\"uris\":null,\"metadatas\":[null],"
     "\"include\":[\"documents\",\"metadatas\"]}"},
    {"get", "{\"ids\": []}",
     "{\"ids\":[],\"embeddings\":null,\"documents\":[],\"uris\":null,\"metadatas\":[],\"include\":"
     "[\"documents\",\"metadatas\"]}"},
    {"get", "{\"where\": null, \"limit\": 0}",
     "{\"ids\":[],\"embeddings\":null,\"documents\":[],\"uris\":null,\"metadatas\":[],\"include\":"
     "[\"documents\",\"metadatas\"]}"},
    {"get", "{\"where\": {\"x\": \"y\"}, \"ids\": [\"a\"], \"include\": []}",
     "{\"ids\":[],\"embeddings\":null,\"documents\":null,\"uris\":null,\"metadatas\":null,"
     "\"include\":[]}"},
    {"query",
     "{\"query_embeddings\": [[1, 0], [3, 3]], \"n_results\": 2, \"include\": [\"documents\", "
     "\"distances\", \"embeddings\", \"uris\"]}",
     "{\"ids\":[[\"a\",\"b\"],[\"b\",\"a\"]],\"embeddings\":[[[1.0,0.1],[2.0,1e-7]],[[2.0,1e-7],"
     "[1.0,0.1]]],\"documents\":[[\"d\",null],[null,\"d\"]],\"uris\":[[null,null],[null,null]],"
     "\"metadatas\":null,\"distances\":[[0.010000001,1.0],[10.0,12.410001]],\"include\":["
     "\"documents\",\"distances\",\"embeddings\",\"uris\"]}"},
    {"query", "{\"query_embeddings\": [[1, 0]], \"where\": {\"k\": 7}}",
     "{\"ids\":[[]],\"embeddings\":null,\"documents\":[[]],\"uris\":null,\"metadatas\":[[]],"
     "\"distances\":[[]],\"include\":[\"documents\",\"metadatas\",\"distances\"]}"},
    {"query", "{\"query_embeddings\": [[1, 0]], \"n_results\": 0}",
     "{\"ids\":[[]],\"embeddings\":null,\"documents\":[[]],\"uris\":null,\"metadatas\":[[]],"
     "\"distances\":[[]],\"include\":[\"documents\",\"metadatas\",\"distances\"]}"},
    {"query", "{\"query_embeddings\": [[1, 0]], \"ids\": [\"b\"], \"include\": [\"distances\"]}",
     "{\"ids\":[[\"b\"]],\"embeddings\":null,\"documents\":null,\"uris\":null,\"metadatas\":null,"
     "\"distances\":[[1.0]],\"include\":[\"distances\"]}"},
};

START_TEST(answers_are_chromas)
{
    ck_assert_msg(ask(given[_i].operation, given[_i].question, 1 << 20) == STATUS_OK, "%s: %s",
                  given[_i].question, reason);
    ck_assert_msg(bytes_equal(byte_buffer_bytes(&body), bytes_of(given[_i].answer)),
                  "%s:\n%.*s\n%s", given[_i].question, (int)byte_buffer_size(&body),
                  byte_buffer_bytes(&body).data, given[_i].answer);
}
END_TEST

static const struct {
    const char *operation, *question;
} left[] = {
    {"get", "{\"where\": {}}"},
    {"get", "{\"where\": {\"$regex\": \"x\"}}"},
    {"get", "{\"limit\": -1}"},
    {"get", "{\"include\": [\"everything\"]}"},
    {"get", "{\"unknown\": 1}"},
    {"get", "not JSON"},
    {"query", "{\"query_embeddings\": []}"},
    {"query", "{\"query_embeddings\": [[1, 0, 2]]}"},
    {"query", "{\"query_embeddings\": [[1]]}"},
    {"query", "{\"query_embeddings\": [[1, 0]], \"ids\": [\"a\", \"zz\"]}"},
    {"query", "{\"query_embeddings\": [[1, 0]], \"ids\": []}"},
    {"query", "{\"query_embeddings\": [[1, 0]], \"n_results\": 100000}"},
    {"query", "{}"},
};

START_TEST(what_chroma_would_refuse_is_left_to_it)
{
    reason = NULL;
    ck_assert_msg(ask(left[_i].operation, left[_i].question, 1 << 20) == STATUS_NOT_IMPLEMENTED,
                  "%s", left[_i].question);
    ck_assert_ptr_nonnull(reason);
}
END_TEST

START_TEST(an_answer_that_is_too_large_is_none)
{
    ck_assert_int_eq(ask("get", "{}", 100), STATUS_TOO_LARGE);
    ck_assert_int_eq(ask("count", "", 100), STATUS_OK);
}
END_TEST

static enum status gather(void *ctx, struct bytes line)
{
    size_t *count = ctx;

    (*count)++;
    return byte_buffer_append(&body, line, 1 << 20);
}

START_TEST(lines_have_all_of_each_record)
{
    static const char lines[] =
        "{\"id\":\"a\",\"embedding\":[1.0,0.1],\"document\":\"d\",\"metadata\":{\"k\":1,\"f\":1.0,"
        "\"l\":[1,2]},\"uri\":null}\n"
        "{\"id\":\"b\",\"embedding\":[2.0,1e-7],\"document\":null,\"metadata\":null,\"uri\":null}\n"
        "{\"id\":\"\xc3\xa9\\\"\\n\",\"embedding\":[100.0,3.25],\"document\":"
        "\"\xe6\x97\xa5\xe6\x9c\xac\\u0001\",\"metadata\":{\"x\":\"y\"},\"uri\":null}\n";
    size_t   count = 0;
    uint64_t records;

    ck_assert_int_eq(mirror_lines_write(copy, gather, &count, &records), STATUS_OK);
    ck_assert_uint_eq(count, 3);
    ck_assert_uint_eq(records, 3);
    ck_assert_msg(bytes_equal(byte_buffer_bytes(&body), bytes_of(lines)), "%.*s",
                  (int)byte_buffer_size(&body), byte_buffer_bytes(&body).data);
}
END_TEST

START_TEST(a_copy_that_lacks_something_is_not_written_out)
{
    struct mirror_moments moments = {5, 6};
    size_t                count = 0;
    uint64_t              records;
    struct byte_buffer    request = {.data = NULL};

    /* A write while a page is under way leaves its record hollow. */
    ck_assert_int_eq(
        mirror_copy_list(copy, BYTES_LITERAL("{\"ids\":[\"a\",\"new\"]}"), &moments, &reason),
        STATUS_NOT_IMPLEMENTED);
    mirror_copy_free(copy);
    ck_assert_int_eq(mirror_copy_new(&(struct mirror_records_options){.path = index_fixture_path,
                                                                      .space = COLLECTION_SPACE_L2},
                                     &copy, NULL),
                     STATUS_OK);
    ck_assert_int_eq(mirror_lines_write(copy, gather, &count, &records), STATUS_NOT_IMPLEMENTED);
    ck_assert_int_eq(mirror_copy_list(copy, BYTES_LITERAL("{\"ids\":[\"a\"]}"), &moments, &reason),
                     STATUS_OK);
    ck_assert_int_eq(mirror_lines_write(copy, gather, &count, &records), STATUS_NOT_IMPLEMENTED);
    ck_assert_int_eq(ask("count", "", 100), STATUS_NOT_IMPLEMENTED);
    ck_assert_uint_eq(count, 0);
    byte_buffer_done(&request);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("mirror_answer");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, answers_are_chromas, 0, sizeof given / sizeof given[0]);
    tcase_add_loop_test(tcase, what_chroma_would_refuse_is_left_to_it, 0,
                        sizeof left / sizeof left[0]);
    tcase_add_test(tcase, an_answer_that_is_too_large_is_none);
    tcase_add_test(tcase, lines_have_all_of_each_record);
    tcase_add_test(tcase, a_copy_that_lacks_something_is_not_written_out);
    return check_main("mirror_answer", tcase);
}
