/* What must hold: lists and pages fill a copy, writes keep it, and what is doubtful is read again;
 * what is no such answer is told. */
#include "mirror/mirror_copy.h"
#include "mirror/record_delete.h"

#include "base/compiler.h"
#include "index/vector_index_core.h"
#include "mirror/mirror_records_core.h"
#include "support/check_main.h"
#include "support/copy_world.h"
#include "support/index_fixture.h"
#include "support/sim_seeds.h"

static struct mirror_copy *copy;
static const char         *reason;
static uint64_t            now;

static void setup(void)
{
    struct mirror_records_options options = {.path = index_fixture_path,
                                             .space = COLLECTION_SPACE_L2};

    index_fixture_setup();
    ck_assert_int_eq(mirror_copy_new(&options, &copy, NULL), STATUS_OK);
    now = 0;
}

static void teardown(void)
{
    mirror_copy_free(copy);
    copy = NULL;
    ck_assert_int_eq(rmdir(index_fixture_dir), 0);
}

static enum status list(const char *answer, uint64_t sent, uint64_t known)
{
    return mirror_copy_list(copy, bytes_of(answer), &(struct mirror_moments){sent, known}, &reason);
}

static enum status page(const char *answer, uint64_t sent, uint64_t known)
{
    return mirror_copy_page(copy, bytes_of(answer), &(struct mirror_moments){sent, known}, &reason);
}

static enum status told(enum chroma_operation operation, const char *body, const char *answer,
                        uint64_t sent, uint64_t known)
{
    return mirror_copy_write(copy, operation, bytes_of(body), bytes_of(answer),
                             &(struct mirror_moments){sent, known}, &reason);
}

static uint32_t hollow(void)
{
    struct mirror_copy_state state;

    mirror_copy_state(copy, &state);
    return state.hollow;
}

/* What the next page asks for. */
static const char *request(size_t bytes_wanted)
{
    static char        text[100000];
    struct byte_buffer body = {.data = NULL};
    struct bytes       bytes;

    if (mirror_copy_page_request(copy, bytes_wanted, &body) == STATUS_NOT_FOUND)
        return NULL;
    bytes = byte_buffer_bytes(&body);
    ck_assert_uint_lt(bytes.size, sizeof text);
    memcpy(text, bytes.data, bytes.size);
    text[bytes.size] = '\0';
    byte_buffer_done(&body);
    return text;
}

/* NULL: it is not there. */
static const char *document(const char *id)
{
    static char            text[100];
    struct mirror_records *records = mirror_copy_records(copy);
    struct mirror_reader  *reader;
    struct mirror_value    value;
    uint32_t               row;

    if (mirror_records_find(records, bytes_of(id), &row) != STATUS_OK)
        return NULL;
    ck_assert_int_eq(mirror_reader_new(records, &reader), STATUS_OK);
    ck_assert_int_eq(mirror_reader_begin(reader), STATUS_OK);
    ck_assert_int_eq(mirror_reader_value(reader, row, &value), STATUS_OK);
    snprintf(text, sizeof text, "%.*s", (int)value.document.size, value.document.data);
    mirror_reader_end(reader);
    mirror_reader_free(reader);
    return text;
}

static const char *const one_page = "{\"ids\":[\"a\"],\"embeddings\":[[1,2]],\"metadatas\":[null],"
                                    "\"documents\":[\"page\"],\"uris\":[null]}";

START_TEST(a_page_fills_what_is_listed)
{
    ck_assert_int_eq(list("{\"ids\":[\"a\",\"\\\"b\"],\"include\":[]}", 1, 2), STATUS_OK);
    ck_assert_uint_eq(hollow(), 2);
    ck_assert_str_eq(request(1 << 20), "{\"ids\":[\"a\",\"\\\"b\"],\"include\":[\"documents\","
                                       "\"metadatas\",\"embeddings\",\"uris\"]}");
    ck_assert_int_eq(page(one_page, 3, 4), STATUS_OK);
    ck_assert_uint_eq(hollow(), 1);
    ck_assert_str_eq(document("a"), "page");
    ck_assert_str_eq(request(1 << 20), "{\"ids\":[\"\\\"b\"],\"include\":[\"documents\","
                                       "\"metadatas\",\"embeddings\",\"uris\"]}");
}
END_TEST

START_TEST(an_empty_collection_is_whole_at_once)
{
    ck_assert_int_eq(list("{\"ids\":[]}", 1, 2), STATUS_OK);
    ck_assert_ptr_null(request(1));
    ck_assert_uint_eq(hollow(), 0);
    ck_assert_int_eq(told(CHROMA_OPERATION_ADD,
                          "{\"ids\":[\"a\"],\"embeddings\":[[1,2]],\"documents\":[\"new\"]}", "{}",
                          3, 4),
                     STATUS_OK);
    ck_assert_str_eq(document("a"), "new");
}
END_TEST

static const char *const upsert_a = "{\"ids\":[\"a\"],\"embeddings\":[[3,4]],\"documents\":["
                                    "\"write\"]}";

START_TEST(what_a_write_touched_under_way_is_read_again)
{
    ck_assert_int_eq(list("{\"ids\":[\"a\"]}", 1, 2), STATUS_OK);
    ck_assert_ptr_nonnull(request(1));
    ck_assert_int_eq(told(CHROMA_OPERATION_UPSERT, upsert_a, "{}", 4, 5), STATUS_OK);
    ck_assert_int_eq(page(one_page, 3, 6), STATUS_OK);
    ck_assert_uint_eq(hollow(), 1);
    ck_assert_ptr_nonnull(request(1));
    ck_assert_int_eq(page(one_page, 7, 8), STATUS_OK);
    ck_assert_uint_eq(hollow(), 0);
}
END_TEST

START_TEST(a_write_that_is_known_after_the_page_empties_what_it_touched)
{
    ck_assert_int_eq(list("{\"ids\":[\"a\"]}", 1, 2), STATUS_OK);
    ck_assert_ptr_nonnull(request(1));
    ck_assert_int_eq(page(one_page, 3, 5), STATUS_OK);
    ck_assert_uint_eq(hollow(), 0);
    ck_assert_int_eq(told(CHROMA_OPERATION_UPSERT, upsert_a, "{}", 4, 6), STATUS_OK);
    ck_assert_uint_eq(hollow(), 1);
    ck_assert_ptr_nonnull(request(1));
    ck_assert_int_eq(page(one_page, 7, 8), STATUS_OK);
    ck_assert_int_eq(told(CHROMA_OPERATION_UPSERT, upsert_a, "{}", 9, 10), STATUS_OK);
    ck_assert_uint_eq(hollow(), 0);
    ck_assert_str_eq(document("a"), "write");
}
END_TEST

START_TEST(a_record_that_was_put_anew_is_not_what_the_page_says)
{
    ck_assert_int_eq(list("{\"ids\":[\"a\"]}", 1, 2), STATUS_OK);
    ck_assert_ptr_nonnull(request(1));
    ck_assert_int_eq(told(CHROMA_OPERATION_DELETE, "{\"ids\":[\"a\"]}", "{\"deleted\":1}", 4, 5),
                     STATUS_OK);
    ck_assert_int_eq(told(CHROMA_OPERATION_ADD, upsert_a, "{}", 6, 7), STATUS_OK);
    ck_assert_int_eq(page(one_page, 3, 8), STATUS_OK);
    ck_assert_str_eq(document("a"), "write");
}
END_TEST

START_TEST(what_is_in_the_list_is_not_told_twice)
{
    ck_assert_int_eq(list("{\"ids\":[]}", 5, 6), STATUS_OK);
    ck_assert_int_eq(told(CHROMA_OPERATION_ADD, upsert_a, "{}", 1, 4), STATUS_OK);
    ck_assert_ptr_null(document("a"));
    ck_assert_int_eq(told(CHROMA_OPERATION_ADD, upsert_a, "{}", 4, 7), STATUS_OK);
    ck_assert_str_eq(document("a"), "write");
}
END_TEST

START_TEST(a_delete_by_filter_needs_what_it_asks_for)
{
    const char *by_filter = "{\"where\":{\"k\":1}}";

    ck_assert_int_eq(list("{\"ids\":[\"a\"]}", 1, 2), STATUS_OK);
    ck_assert_int_eq(told(CHROMA_OPERATION_DELETE, "{\"ids\":[\"b\"],\"where\":{\"k\":1}}",
                          "{\"deleted\":0}", 3, 4),
                     STATUS_OK);
    ck_assert_int_eq(told(CHROMA_OPERATION_DELETE, "{\"ids\":[\"a\"],\"where\":{\"k\":1}}",
                          "{\"deleted\":1}", 3, 4),
                     STATUS_NOT_IMPLEMENTED);
    ck_assert_str_eq(reason, "a filter, while not all records are known");
    ck_assert_int_eq(told(CHROMA_OPERATION_DELETE, by_filter, "{\"deleted\":1}", 3, 4),
                     STATUS_NOT_IMPLEMENTED);
    ck_assert_int_eq(told(CHROMA_OPERATION_DELETE, by_filter, "{}", 3, 4), STATUS_NOT_IMPLEMENTED);
    ck_assert_int_eq(told(CHROMA_OPERATION_DELETE, by_filter, "{\"deleted\":0}", 3, 4), STATUS_OK);
    ck_assert_uint_eq(hollow(), 1);
    ck_assert_ptr_nonnull(request(1));
    ck_assert_int_eq(page("{\"ids\":[\"a\"],\"embeddings\":[[1,2]],\"metadatas\":[{\"k\":1}],"
                          "\"documents\":[\"page\"],\"uris\":[null]}",
                          5, 6),
                     STATUS_OK);
    ck_assert_int_eq(told(CHROMA_OPERATION_DELETE, by_filter, "{\"deleted\":2}", 7, 8),
                     STATUS_NOT_IMPLEMENTED);
    ck_assert_int_eq(told(CHROMA_OPERATION_DELETE, by_filter, "{}", 7, 8), STATUS_NOT_IMPLEMENTED);
    ck_assert_str_eq(document("a"), "page");
    ck_assert_int_eq(told(CHROMA_OPERATION_DELETE, by_filter, "{\"deleted\":1}", 7, 8), STATUS_OK);
    ck_assert_ptr_null(document("a"));
    ck_assert_int_eq(told(CHROMA_OPERATION_DELETE, "{\"ids\":[\"a\"]}", "{\"deleted\":0}", 9, 10),
                     STATUS_NOT_IMPLEMENTED);
    ck_assert_int_eq(told(CHROMA_OPERATION_DELETE, "{\"ids\":[\"a\"]}", "{}", 9, 10), STATUS_OK);
}
END_TEST

static enum status found(const char *ids, const char *answer, uint64_t sent, uint64_t known)
{
    return mirror_copy_delete_found(copy, bytes_of(ids), bytes_of(answer),
                                    &(struct mirror_moments){sent, known}, &reason);
}

START_TEST(a_delete_takes_what_was_found_before_it)
{
    ck_assert_int_eq(found("{\"ids\":[]}", "{\"deleted\":0}", 1, 2), STATUS_NOT_IMPLEMENTED);
    ck_assert_int_eq(list("{\"ids\":[\"a\",\"b\",\"c\"]}", 5, 6), STATUS_OK);
    ck_assert_int_eq(found("{\"ids\":[\"a\"]}", "{\"deleted\":1}", 3, 4), STATUS_OK);
    ck_assert_uint_eq(hollow(), 3); /* it was known before the list */
    ck_assert_int_eq(found("{\"ids\":[\"c\",\"a\"]}", "{\"deleted\":2}", 7, 8), STATUS_OK);
    ck_assert_uint_eq(hollow(), 1);
    ck_assert_int_eq(found("{\"ids\":[]}", "{\"deleted\":0}", 9, 10), STATUS_OK);
    ck_assert_int_eq(found("{\"ids\":[\"b\"]}", "{\"deleted\":2}", 9, 10), STATUS_NOT_IMPLEMENTED);
    ck_assert_int_eq(found("{\"ids\":[\"b\"]}", "{}", 9, 10), STATUS_NOT_IMPLEMENTED);
    ck_assert_int_eq(found("{\"ids\":[\"a\"]}", "{\"deleted\":1}", 9, 10), STATUS_NOT_IMPLEMENTED);
    ck_assert_str_eq(reason, "a delete of a record that is not here");
    ck_assert_int_eq(found("{\"message\":\"no\"}", "{\"deleted\":1}", 9, 10),
                     STATUS_NOT_IMPLEMENTED);
    ck_assert_uint_eq(hollow(), 1);
}
END_TEST

/* `of_whole`: of a copy that is whole. */
static void expect_question(const char *body, enum status expected, const char *question,
                            enum status of_whole)
{
    struct byte_buffer out = {0};

    ck_assert_int_eq(record_delete_print_question(bytes_of(body), false, &out), expected);
    if (expected == STATUS_OK)
        ck_assert(bytes_equal(byte_buffer_bytes(&out), bytes_of(question)));
    byte_buffer_done(&out);
    out = (struct byte_buffer){0};
    ck_assert_int_eq(record_delete_print_question(bytes_of(body), true, &out), of_whole);
    if (of_whole == STATUS_OK)
        ck_assert(bytes_equal(byte_buffer_bytes(&out), bytes_of(question)));
    else if (of_whole == STATUS_NOT_FOUND)
        ck_assert_uint_eq(out.capacity, 0); /* nothing was printed to be thrown away */
    byte_buffer_done(&out);
}

START_TEST(chroma_is_asked_what_a_filter_takes)
{
    expect_question("{\"ids\":[\"a\"]}", STATUS_NOT_FOUND, NULL, STATUS_NOT_FOUND);
    expect_question("{\"ids\":[\"a\"],\"where\":null}", STATUS_NOT_FOUND, NULL, STATUS_NOT_FOUND);
    expect_question("{\"ids\":null,\"where\":{\"k\":1},\"limit\":7}", STATUS_OK,
                    "{\"include\":[],\"where\":{\"k\":1},\"limit\":7}", STATUS_NOT_FOUND);
    expect_question("{\"where_document\":{\"$regex\":\"a\"},\"ids\":[\"a\"]}", STATUS_OK,
                    "{\"include\":[],\"ids\":[\"a\"],\"where_document\":{\"$regex\":\"a\"}}",
                    STATUS_OK);
    expect_question("{\"where\":{\"k\":1},\"ids\":[\"a\"],\"limit\":1}", STATUS_NOT_IMPLEMENTED,
                    NULL, STATUS_NOT_IMPLEMENTED);
    expect_question("{\"where\":{\"k\":1},\"where\":{}}", STATUS_NOT_IMPLEMENTED, NULL,
                    STATUS_NOT_IMPLEMENTED);
    expect_question("[]", STATUS_NOT_IMPLEMENTED, NULL, STATUS_NOT_IMPLEMENTED);
}
END_TEST

START_TEST(what_is_no_answer_says_so)
{
    ck_assert_int_eq(told(CHROMA_OPERATION_ADD, upsert_a, "{}", 1, 2), STATUS_NOT_IMPLEMENTED);
    ck_assert_int_eq(list("{\"ids\":[\"a\",\"b\",\"c\"]}", 1, 2), STATUS_OK);
    ck_assert_int_eq(list("{\"ids\":[]}", 3, 4), STATUS_NOT_IMPLEMENTED);
    ck_assert_int_eq(page(one_page, 3, 4), STATUS_NOT_IMPLEMENTED);
    ck_assert_int_eq(told(CHROMA_OPERATION_UPSERT, "{\"ids\":[1]}", "{}", 5, 6),
                     STATUS_NOT_IMPLEMENTED);
    ck_assert_int_eq(told(CHROMA_OPERATION_GET, "{}", "{}", 5, 6), STATUS_NOT_IMPLEMENTED);
    ck_assert_ptr_nonnull(request(1 << 20));
    ck_assert_int_eq(page(one_page, 3, 4), STATUS_OK);
    ck_assert_ptr_nonnull(request(1 << 20));
    /* Of another dimension, twice, and what was not asked for. */
    ck_assert_int_eq(page("{\"ids\":[\"b\",\"b\"],\"embeddings\":[[1,2],[1,2]],\"metadatas\":"
                          "[null,null],\"documents\":[null,null],\"uris\":[null,null]}",
                          5, 6),
                     STATUS_NOT_IMPLEMENTED);
    ck_assert_ptr_nonnull(request(1));
    ck_assert_int_eq(page("{\"ids\":[\"c\"],\"embeddings\":[[1,2]],\"metadatas\":[null],"
                          "\"documents\":[null],\"uris\":[null]}",
                          5, 6),
                     STATUS_NOT_IMPLEMENTED);
    ck_assert_ptr_nonnull(request(1));
    ck_assert_int_eq(page("{\"ids\":[\"c\"],\"embeddings\":[[1]],\"metadatas\":[null],"
                          "\"documents\":[null],\"uris\":[null]}",
                          5, 6),
                     STATUS_NOT_IMPLEMENTED);
    /* After that nothing is to be had. */
    ck_assert_int_eq(told(CHROMA_OPERATION_UPSERT, upsert_a, "{}", 7, 8), STATUS_NOT_IMPLEMENTED);
}
END_TEST

START_TEST(a_list_with_an_id_twice_is_none)
{
    ck_assert_int_eq(list("{\"ids\":[\"a\",\"a\"]}", 1, 2), STATUS_NOT_IMPLEMENTED);
    ck_assert_str_eq(reason, "a list with an id twice");
    ck_assert_int_eq(list("{\"ids\":[]}", 3, 4), STATUS_NOT_IMPLEMENTED);
}
END_TEST

START_TEST(what_is_listed_and_never_comes_ends)
{
    int pages = 0;

    ck_assert_int_eq(list("{\"ids\":[\"a\"]}", 1, 2), STATUS_OK);
    do
        ck_assert_ptr_nonnull(request(1));
    while (pages++ < 1000 && page("{\"ids\":[],\"embeddings\":[],\"metadatas\":[],\"documents\":[],"
                                  "\"uris\":[]}",
                                  3, 4) == STATUS_OK);
    ck_assert_int_gt(pages, 100);
    ck_assert_int_lt(pages, 1000);
}
END_TEST

static int count_asked(const char *body)
{
    int count = 0;

    for (; (body = strstr(body, "\"r")) != NULL; body++)
        count++;
    return count;
}

/* Records of some 1000 bytes. */
static void answer_page(int first, int count)
{
    static char answer[400000];
    size_t      size = (size_t)snprintf(answer, sizeof answer, "{\"ids\":[");
    const char *names[] = {"metadatas", "uris", "embeddings", "documents"};

    for (int i = 0; i < count; i++)
        size += (size_t)snprintf(answer + size, sizeof answer - size, "%s\"r%d\"",
                                 i == 0 ? "" : ",", first + i);
    for (int column = 0; column < 4; column++) {
        size += (size_t)snprintf(answer + size, sizeof answer - size, "],\"%s\":[", names[column]);
        for (int i = 0; i < count; i++)
            size += (size_t)snprintf(answer + size, sizeof answer - size,
                                     column == 3   ? "%s\"%0950d\""
                                     : column == 2 ? "%s[1.5,%d]"
                                                   : "%snull",
                                     i == 0 ? "" : ",", i);
    }
    snprintf(answer + size, sizeof answer - size, "]}");
    now += 2;
    ck_assert_int_eq(page(answer, now - 1, now), STATUS_OK);
}

START_TEST(pages_are_as_large_as_is_wanted)
{
    static char answer[20000];
    size_t      size = 0;
    int         first = 0, count = 0;

    for (int i = 0; i < 1000; i++)
        size += (size_t)snprintf(answer + size, sizeof answer - size, "%s\"r%d\"",
                                 i == 0 ? "{\"ids\":[" : ",", i);
    snprintf(answer + size, sizeof answer - size, "]}");
    ck_assert_int_eq(list(answer, 1, 2), STATUS_OK);
    now = 2;
    for (int i = 0; i < 4; i++, first += count) {
        count = count_asked(request(100000));
        answer_page(first, count);
    }
    ck_assert_int_gt(count, 90);
    ck_assert_int_lt(count, 110);
    count = count_asked(request(1));
    ck_assert_int_eq(count, 1);
    answer_page(first, 1);
    /* One that failed may have been too large. */
    count = count_asked(request(100000));
    mirror_copy_page_failed(copy);
    ck_assert_int_eq(count_asked(request(100000)), count / 2);
}
END_TEST

enum { MANY = vector_index_graph_min + 100 };

/* The answer with records `first` to `end`. */
static void answer_many(int first, int end)
{
    static char answer[2 << 20];
    const char *names[] = {"ids", "metadatas", "uris", "documents", "embeddings"};
    size_t      size = 0;

    for (int column = 0; column < 5; column++) {
        size += (size_t)snprintf(answer + size, sizeof answer - size, "%s\"%s\":[",
                                 column == 0 ? "{" : "],", names[column]);
        for (int i = first; i < end; i++)
            size += (size_t)snprintf(answer + size, sizeof answer - size,
                                     column == 0   ? "%s\"r%d\""
                                     : column == 4 ? "%s[1.5,%d]"
                                                   : "%snull",
                                     i == first ? "" : ",", i);
    }
    snprintf(answer + size, sizeof answer - size, "]}");
    now += 2;
    ck_assert_int_eq(page(answer, now - 1, now), STATUS_OK);
}

/* So many are listed that they have a graph, and all are filled but the last. */
static void fill_many_but_one(void)
{
    struct vector_index_memory memory;
    struct mirror_records     *records = mirror_copy_records(copy);
    static char                answer[1 << 18];
    size_t                     size = 0;

    for (int i = 0; i < MANY; i++)
        size += (size_t)snprintf(answer + size, sizeof answer - size, "%s\"r%d\"",
                                 i == 0 ? "{\"ids\":[" : ",", i);
    snprintf(answer + size, sizeof answer - size, "]}");
    ck_assert_int_eq(list(answer, 1, 2), STATUS_OK);
    now = 2;
    for (int first = 0, count; first < MANY - 1; first += count) {
        count = count_asked(request(1 << 20));
        answer_many(first, first + count < MANY ? first + count : MANY - 1);
    }
    ck_assert_uint_eq(hollow(), 1);
    vector_index_memory(records->index, &memory);
    ck_assert(!memory.is_graph && memory.waiting > vector_index_graph_min / 2);
}

/* A copy that may be asked has a graph in which all records are found. */
START_TEST(a_copy_is_linked_when_it_is_whole)
{
    struct mirror_records     *records = mirror_copy_records(copy);
    struct vector_index_memory memory;
    char                       body[100];

    fill_many_but_one();
    now += 2;
    if (_i == 0) {
        ck_assert_int_eq(count_asked(request(1 << 20)), 1);
        answer_many(MANY - 1, MANY);
    } else {
        snprintf(body, sizeof body, "{\"ids\":[\"r%d\"]}", MANY - 1);
        ck_assert_int_eq(told(CHROMA_OPERATION_DELETE, body, "{\"deleted\":1}", now - 1, now),
                         STATUS_OK);
    }
    ck_assert_uint_eq(hollow(), 0);
    vector_index_memory(records->index, &memory);
    ck_assert(memory.is_graph && memory.waiting == 0);
    ck_assert_uint_eq(records->index->linked_since_check, 0);
    /* What clients write from then on has it looked at now and then. */
    now += 2;
    ck_assert_int_eq(
        told(CHROMA_OPERATION_ADD, "{\"ids\":[\"s\"],\"embeddings\":[[3,4]]}", "{}", now - 1, now),
        STATUS_OK);
    ck_assert_uint_eq(records->index->linked_since_check, 1);
}
END_TEST

/* Of the real records; test_mirror_copy_orders.c has more seeds. */
START_TEST(a_copy_that_is_whole_is_what_chroma_has)
{
    enum { SEEDS = 500 };

    world_run_seeds(sim_seeds_get(SEEDS), index_fixture_path);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("mirror_copy");

    tcase_set_timeout(tcase, 600);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_page_fills_what_is_listed);
    tcase_add_test(tcase, an_empty_collection_is_whole_at_once);
    tcase_add_test(tcase, what_a_write_touched_under_way_is_read_again);
    tcase_add_test(tcase, a_write_that_is_known_after_the_page_empties_what_it_touched);
    tcase_add_test(tcase, a_record_that_was_put_anew_is_not_what_the_page_says);
    tcase_add_test(tcase, what_is_in_the_list_is_not_told_twice);
    tcase_add_test(tcase, a_delete_by_filter_needs_what_it_asks_for);
    tcase_add_test(tcase, a_delete_takes_what_was_found_before_it);
    tcase_add_test(tcase, chroma_is_asked_what_a_filter_takes);
    tcase_add_test(tcase, what_is_no_answer_says_so);
    tcase_add_test(tcase, a_list_with_an_id_twice_is_none);
    tcase_add_test(tcase, what_is_listed_and_never_comes_ends);
    tcase_add_test(tcase, pages_are_as_large_as_is_wanted);
    tcase_add_loop_test(tcase, a_copy_is_linked_when_it_is_whole, 0, 2);
    tcase_add_test(tcase, a_copy_that_is_whole_is_what_chroma_has);
    return check_main("mirror_copy", tcase);
}
