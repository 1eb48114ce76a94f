/* What must hold: answers and refusals from a copy are, byte by byte, those that Chroma 1.5.9 gave
 * to the same questions about the same records (the expected texts are its own); what cannot be
 * answered exactly is left to it. */
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

static uint32_t dimension = 2;
static unsigned code;

static enum status ask(const char *operation, const char *question, size_t size_max)
{
    char                   path[200];
    struct chroma_route    route;
    struct mirror_question asked = {
        .route = &route, .body = bytes_of(question), .dimension = dimension, .size_max = size_max};

    snprintf(path, sizeof path,
             "/api/v2/tenants/t/databases/d/collections/11111111-2222-3333-4444-555555555555/%s",
             operation);
    chroma_route_find(question[0] == '\0' ? BYTES_LITERAL("GET") : BYTES_LITERAL("POST"),
                      bytes_of(path), &route);
    byte_buffer_clear(&body);
    code = 0;
    reason = NULL;
    return mirror_copy_answer(copy, &asked, &code, &body, &reason);
}

static const struct {
    const char *operation, *question, *answer;
} given[] = {
    {"count", "", "3"},
    {"get", "{}",
     "{\"ids\":[\"a\",\"b\",\"\xc3\xa9\\\"\\n\"],\"embeddings\":null,\"documents\":[\"d\",null,"
     "\"\xe6\x97\xa5\xe6\x9c\xac\\u0001\"],\"uris\":null,\"metadatas\":[{\"k\":1,\"f\":1.0,"
     "\"l\":[1,2]},null,{\"x\":\"y\"}],\"include\":[\"documents\",\"metadatas\"]}"},
    {"get", "{\"ids\": [\"b\"], \"include\": [\"\\u0075ris\"]}",
     "{\"ids\":[\"b\"],\"embeddings\":null,\"documents\":null,\"uris\":[null],\"metadatas\":null,"
     "\"include\":[\"uris\"]}"},
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
    {"query", "{\"query_embeddings\": [[1, 0]], \"ids\": [\"b\"], \"include\": [\"distances\"]}",
     "{\"ids\":[[\"b\"]],\"embeddings\":null,\"documents\":null,\"uris\":null,\"metadatas\":null,"
     "\"distances\":[[1.0]],\"include\":[\"distances\"]}"},
    {"query",
     "{\"query_embeddings\": [[1.0594869255560476e-33, 1.00000005960464477539]], \"n_results\": 1, "
     "\"include\": [\"distances\"]}",
     "{\"ids\":[[\"a\"]],\"embeddings\":null,\"documents\":null,\"uris\":null,\"metadatas\":null,"
     "\"distances\":[[1.81]],\"include\":[\"distances\"]}"},
    {"query", "{\"query_embeddings\": [], \"include\": [\"distances\"]}",
     "{\"ids\":[],\"embeddings\":null,\"documents\":null,\"uris\":null,\"metadatas\":null,"
     "\"distances\":[],\"include\":[\"distances\"]}"},
    {"query", "{\"query_embeddings\": [[1, 0]], \"ids\": [], \"include\": [\"distances\"]}",
     "{\"ids\":[[]],\"embeddings\":null,\"documents\":null,\"uris\":null,\"metadatas\":null,"
     "\"distances\":[[]],\"include\":[\"distances\"]}"},
    {"query",
     "{\"query_embeddings\": [[1, 0]], \"ids\": [\"zz\"], \"where\": {\"k\": 7}, \"include\": "
     "[\"distances\"]}",
     "{\"ids\":[[]],\"embeddings\":null,\"documents\":null,\"uris\":null,\"metadatas\":null,"
     "\"distances\":[[]],\"include\":[\"distances\"]}"},
    {"query",
     "{\"query_embeddings\": [[1, 0]], \"ids\": [\"zz\"], \"where_document\": {\"$contains\": "
     "\"q\"}, \"include\": [\"distances\"]}",
     "{\"ids\":[[]],\"embeddings\":null,\"documents\":null,\"uris\":null,\"metadatas\":null,"
     "\"distances\":[[]],\"include\":[\"distances\"]}"},
    {"query", "{\"query_embeddings\": [[1, 0]], \"n_results\": 4294967295, \"include\": []}",
     "{\"ids\":[[\"a\",\"b\",\"\xc3\xa9\\\"\\n\"]],\"embeddings\":null,\"documents\":null,\"uris\":"
     "null,"
     "\"metadatas\":null,\"distances\":null,\"include\":[]}"},
};

START_TEST(answers_are_chromas)
{
    ck_assert_msg(ask(given[_i].operation, given[_i].question, 1 << 20) == STATUS_OK, "%s: %s",
                  given[_i].question, reason);
    ck_assert_uint_eq(code, 200);
    ck_assert_msg(bytes_equal(byte_buffer_bytes(&body), bytes_of(given[_i].answer)),
                  "%s:\n%.*s\n%s", given[_i].question, (int)byte_buffer_size(&body),
                  byte_buffer_bytes(&body).data, given[_i].answer);
}
END_TEST

static void write_records(enum chroma_operation operation, const char *text)
{
    static uint64_t       moment = 10;
    struct mirror_moments moments = {.sent = ++moment, .known = ++moment};

    ck_assert_int_eq(
        mirror_copy_write(copy, operation, bytes_of(text), BYTES_LITERAL("{}"), &moments, &reason),
        STATUS_OK);
}

/* Of many, the few that are asked for stand in the order of all; a row that was free is used again,
 * and its record stands last. */
START_TEST(few_of_many_stand_in_order)
{
    static const struct {
        const char *question, *ids;
    } asked[] = {
        {"{\"ids\":[\"n50\",\"b\",\"n3\",\"a\"],\"include\":[]}", "\"a\",\"n3\",\"n50\",\"b\""},
        {"{\"ids\":[\"n50\",\"b\",\"n3\",\"a\"],\"offset\":1,\"limit\":2,\"include\":[]}",
         "\"n3\",\"n50\""},
        {"{\"ids\":[\"b\",\"a\"],\"offset\":2,\"include\":[]}", ""},
        {"{\"where\":{\"k\":{\"$gte\":1}},\"offset\":1,\"include\":[]}", "\"n9\",\"b\""}};
    char text[200], expected[200];

    for (unsigned i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "{\"ids\":[\"n%u\"],\"embeddings\":[[1,2]],\"metadatas\":[%s]}",
                 i, i == 9 ? "{\"k\":1}" : "null");
        write_records(CHROMA_OPERATION_ADD, text);
    }
    write_records(CHROMA_OPERATION_DELETE, "{\"ids\":[\"b\"]}");
    write_records(CHROMA_OPERATION_ADD,
                  "{\"ids\":[\"b\"],\"embeddings\":[[1,2]],\"metadatas\":[{\"k\":2}]}");
    for (size_t i = 0; i < COUNT_OF(asked); i++) {
        ck_assert_int_eq(ask("get", asked[i].question, 1 << 20), STATUS_OK);
        snprintf(expected, sizeof expected,
                 "{\"ids\":[%s],\"embeddings\":null,\"documents\":null,\"uris\":null,"
                 "\"metadatas\":null,\"include\":[]}",
                 asked[i].ids);
        ck_assert_msg(bytes_equal(byte_buffer_bytes(&body), bytes_of(expected)), "%s: %.*s",
                      asked[i].question, (int)byte_buffer_size(&body),
                      byte_buffer_bytes(&body).data);
    }
}
END_TEST

#define WHERE          "Invalid where clause"
#define WHERE_DOCUMENT "Invalid where document clause"
#define GOT(number)    "Collection expecting embedding with dimension of 2, got " number
#define INCONSISTENT   "Inconsistent dimensions in provided embeddings"

/* What is wrong in two ways is refused for the first that Chroma looks at. */
static const struct {
    const char *operation, *question, *message;
} refused[] = {
    {"get", "{\"where\": {}}", WHERE},
    {"get", "{\"where\": \"a\", \"ids\": []}", WHERE},
    {"get", "{\"where\": {\"a\": 1, \"b\": 2}, \"limit\": 0}", WHERE},
    {"get", "{\"where\": {\"a\": {}}, \"where_document\": {}}", WHERE},
    {"get", "{\"where\": {\"k\": 1}, \"where_document\": {}}", WHERE_DOCUMENT},
    {"query", "{\"query_embeddings\": [[1, 0, 2]], \"where\": {}}", WHERE},
    {"query", "{\"query_embeddings\": [[1], [1, 2]], \"where\": {}}", WHERE},
    {"query", "{\"query_embeddings\": [], \"where_document\": {}}", WHERE_DOCUMENT},
    {"query", "{\"query_embeddings\": [[1, 0, 2]], \"ids\": [\"zz\"]}", GOT("3")},
    {"query", "{\"query_embeddings\": [[1]], \"n_results\": 0}", GOT("1")},
    {"query", "{\"query_embeddings\": [[]]}", GOT("0")},
    {"query", "{\"query_embeddings\": [[], []]}", GOT("0")},
    {"query", "{\"query_embeddings\": [[1, 0], [1, 0, 2]]}", INCONSISTENT},
    {"query", "{\"query_embeddings\": [[1, 0], []]}", INCONSISTENT},
    {"query", "{\"query_embeddings\": [[], [1]]}", INCONSISTENT},
};

START_TEST(refusals_are_chromas)
{
    char expected[200];

    snprintf(expected, sizeof expected, "{\"error\":\"InvalidArgumentError\",\"message\":\"%s\"}",
             refused[_i].message);
    ck_assert_msg(ask(refused[_i].operation, refused[_i].question, 1 << 20) == STATUS_OK, "%s: %s",
                  refused[_i].question, reason);
    ck_assert_uint_eq(code, 400);
    ck_assert_msg(bytes_equal(byte_buffer_bytes(&body), bytes_of(expected)), "%s:\n%.*s",
                  refused[_i].question, (int)byte_buffer_size(&body),
                  byte_buffer_bytes(&body).data);
}
END_TEST

static const char *const unknown_ids[] = {
    "{\"query_embeddings\": [[1, 0]], \"ids\": [\"zz\"]}",
    "{\"query_embeddings\": [[1, 0]], \"ids\": [\"a\", \"zz\"], \"where\": null, \"n_results\": 0}",
    "{\"query_embeddings\": [], \"ids\": [\"zz\"]}",
};

START_TEST(a_query_among_ids_that_are_not_there_fails_as_in_chroma)
{
    ck_assert_msg(ask("query", unknown_ids[_i], 1 << 20) == STATUS_OK, "%s", unknown_ids[_i]);
    ck_assert_uint_eq(code, 500);
    ck_assert(bytes_equal(
        byte_buffer_bytes(&body),
        BYTES_LITERAL("{\"error\":\"InternalError\",\"message\":\"Error executing plan: Internal "
                      "error: Error finding id\"}")));
}
END_TEST

static const struct {
    const char *operation, *question, *reason;
} left[] = {
    {"get", "{\"where_document\": {\"$regex\": \"x\"}}", "filter"},
    {"get", "{\"limit\": -1}", "body"},
    {"get", "{\"limit\": 4294967296}", "body"},
    {"get", "{\"offset\": 4294967296}", "body"},
    {"get", "{\"include\": [\"everything\"]}", "body"},
    {"get", "{\"unknown\": 1}", "body"},
    {"get", "not JSON", "body"},
    {"query", "{\"query_embeddings\": [[1, 0]], \"n_results\": 4294967296}", "body"},
    {"query", "{\"query_embeddings\": [[1e30, 0]]}", "vectors"},
    {"query", "{\"query_embeddings\": [[1, 9223372036854775808]]}", "vectors"},
    {"query", "{\"query_embeddings\": [[1, 0]], \"n_results\": 0}", "n_results"},
    {"query", "{}", "body"},
};

START_TEST(what_is_not_certain_is_left_to_chroma)
{
    ck_assert_msg(ask(left[_i].operation, left[_i].question, 1 << 20) == STATUS_NOT_IMPLEMENTED,
                  "%s", left[_i].question);
    ck_assert_str_eq(reason, left[_i].reason);
}
END_TEST

static void make_empty_copy(enum collection_space space)
{
    struct mirror_moments moments = {1, 2};

    mirror_copy_free(copy);
    ck_assert_int_eq(mirror_copy_new(&(struct mirror_records_options){.path = index_fixture_path,
                                                                      .space = space},
                                     &copy, NULL),
                     STATUS_OK);
    ck_assert_int_eq(mirror_copy_list(copy, BYTES_LITERAL("{\"ids\":[]}"), &moments, &reason),
                     STATUS_OK);
}

/* A dimension that nobody has fixed takes all vectors; one that is not known may refuse them. */
START_TEST(without_a_dimension_vectors_are_left_to_chroma)
{
    make_empty_copy(COLLECTION_SPACE_L2);
    dimension = 0;
    ck_assert_int_eq(ask("query", "{\"query_embeddings\": [[1, 0]]}", 1000),
                     STATUS_NOT_IMPLEMENTED);
    ck_assert_str_eq(reason, "dimension");
    ck_assert_int_eq(ask("query", "{\"query_embeddings\": [], \"ids\": [\"a\"]}", 1000),
                     STATUS_NOT_IMPLEMENTED);
    ck_assert_str_eq(reason, "dimension");
    ck_assert_int_eq(ask("query", "{\"query_embeddings\": [[1], []]}", 1000), STATUS_OK);
    ck_assert_uint_eq(code, 400);
    ck_assert_int_eq(ask("query", "{\"query_embeddings\": []}", 1000), STATUS_OK);
    ck_assert_int_eq(ask("get", "{\"ids\": [\"a\"]}", 1000), STATUS_OK);
    dimension = 2;
    ck_assert_int_eq(ask("query", "{\"query_embeddings\": [[1, 0]], \"include\": []}", 1000),
                     STATUS_OK);
    ck_assert_uint_eq(code, 200);
    ck_assert(bytes_begin_with(byte_buffer_bytes(&body), BYTES_LITERAL("{\"ids\":[[]],")));
    ck_assert_int_eq(ask("query", "{\"query_embeddings\": [[1]]}", 1000), STATUS_OK);
    ck_assert_uint_eq(code, 400);
    /* It has no index that could fail to find an id. */
    ck_assert_int_eq(ask("query", "{\"query_embeddings\": [[1, 0]], \"ids\": [\"a\"]}", 1000),
                     STATUS_NOT_IMPLEMENTED);
}
END_TEST

/* As many as Chroma would give, if the index can; of those that match a filter. */
START_TEST(very_many_results_are_left_to_chroma)
{
    enum { RECORDS = vector_search_k_max + 1 };
    struct mirror_moments moments = {3, 4};
    struct byte_buffer    ids = {.data = NULL}, vectors = {.data = NULL};
    const char           *comma = "";

    make_empty_copy(COLLECTION_SPACE_L2);
    for (int i = 0; i < RECORDS; i++, comma = ",") {
        ck_assert_int_eq(byte_buffer_printf(&ids, SIZE_MAX, "%s\"%d\"", comma, i), STATUS_OK);
        ck_assert_int_eq(byte_buffer_printf(&vectors, SIZE_MAX, "%s[%d]", comma, i), STATUS_OK);
    }
    ck_assert_int_eq(byte_buffer_printf(&ids, SIZE_MAX, "],\"embeddings\":["), STATUS_OK);
    ck_assert_int_eq(byte_buffer_append(&ids, byte_buffer_bytes(&vectors), SIZE_MAX), STATUS_OK);
    byte_buffer_clear(&vectors);
    ck_assert_int_eq(byte_buffer_printf(&vectors, SIZE_MAX, "{\"ids\":[%.*s]}",
                                        (int)byte_buffer_size(&ids), byte_buffer_bytes(&ids).data),
                     STATUS_OK);
    ck_assert_int_eq(mirror_copy_write(copy, CHROMA_OPERATION_ADD, byte_buffer_bytes(&vectors),
                                       BYTES_LITERAL("{}"), &moments, &reason),
                     STATUS_OK);
    dimension = 1;
    ck_assert_int_eq(ask("query", "{\"query_embeddings\":[[1]],\"n_results\":16384}", 1 << 24),
                     STATUS_OK);
    ck_assert_int_eq(ask("query", "{\"query_embeddings\":[[1]],\"n_results\":16385}", 1 << 24),
                     STATUS_NOT_IMPLEMENTED);
    ck_assert_str_eq(reason, "n_results");
    ck_assert_int_eq(ask("query",
                         "{\"query_embeddings\":[[1]],\"n_results\":16385,\"ids\":[\"7\",\"5\"],"
                         "\"include\":[\"distances\"]}",
                         1 << 24),
                     STATUS_OK);
    ck_assert(
        bytes_begin_with(byte_buffer_bytes(&body), BYTES_LITERAL("{\"ids\":[[\"5\",\"7\"]],")));
    byte_buffer_done(&ids);
    byte_buffer_done(&vectors);
    dimension = 2;
}
END_TEST

/* Chroma answers of them what has little to do with their direction. */
START_TEST(very_short_vectors_are_left_to_chroma_where_only_their_direction_counts)
{
    struct mirror_moments moments = {3, 4};

    ck_assert_int_eq(ask("query", "{\"query_embeddings\":[[1e-16,1e-25]]}", 1000), STATUS_OK);
    make_empty_copy(COLLECTION_SPACE_COSINE);
    ck_assert_int_eq(mirror_copy_write(copy, CHROMA_OPERATION_ADD,
                                       BYTES_LITERAL("{\"ids\":[\"a\"],\"embeddings\":[[1,2]]}"),
                                       BYTES_LITERAL("{}"), &moments, &reason),
                     STATUS_OK);
    ck_assert_int_eq(ask("query", "{\"query_embeddings\":[[1e-16,1e-25]]}", 1000),
                     STATUS_NOT_IMPLEMENTED);
    ck_assert_str_eq(reason, "vectors");
    ck_assert_int_eq(ask("query", "{\"query_embeddings\":[[1e-14,1e-25]]}", 1000), STATUS_OK);
    ck_assert_int_eq(ask("query", "{\"query_embeddings\":[[0,0]]}", 1000), STATUS_OK);
}
END_TEST

START_TEST(a_dimension_that_is_not_that_of_the_records_is_left_to_chroma)
{
    dimension = 3;
    ck_assert_int_eq(ask("query", "{\"query_embeddings\": [[1, 0, 2]]}", 1000),
                     STATUS_NOT_IMPLEMENTED);
    ck_assert_str_eq(reason, "dimension");
    dimension = 0; /* that of the records */
    ck_assert_int_eq(ask("query", "{\"query_embeddings\": [[1, 0]]}", 1000), STATUS_OK);
    dimension = 2;
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
    tcase_add_test(tcase, few_of_many_stand_in_order);
    tcase_add_loop_test(tcase, refusals_are_chromas, 0, COUNT_OF(refused));
    tcase_add_loop_test(tcase, a_query_among_ids_that_are_not_there_fails_as_in_chroma, 0,
                        COUNT_OF(unknown_ids));
    tcase_add_loop_test(tcase, what_is_not_certain_is_left_to_chroma, 0, COUNT_OF(left));
    tcase_add_test(tcase, without_a_dimension_vectors_are_left_to_chroma);
    tcase_add_test(tcase, very_short_vectors_are_left_to_chroma_where_only_their_direction_counts);
    tcase_add_test(tcase, very_many_results_are_left_to_chroma);
    tcase_add_test(tcase, a_dimension_that_is_not_that_of_the_records_is_left_to_chroma);
    tcase_add_test(tcase, an_answer_that_is_too_large_is_none);
    tcase_add_test(tcase, lines_have_all_of_each_record);
    tcase_add_test(tcase, a_copy_that_lacks_something_is_not_written_out);
    return check_main("mirror_answer", tcase);
}
