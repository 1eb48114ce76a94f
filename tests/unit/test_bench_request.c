#include "bench/bench_request.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "http/http_reader.h"
#include "support/check_main.h"

static const char *const collections[] = {"/c/0", "/c/1"};

static struct bench_corpus        *corpus;
static struct bench_request_source source;
static struct bench_request        request;
static struct bench_request_mix    mix;

static void setup(void)
{
    struct bench_corpus_options options = {
        .dimension = 4,
        .has = {[BENCH_CORPUS_BASE64] = true, [BENCH_CORPUS_ARRAYS] = true},
        .document_bytes = 20,
        .metadata_keys = 2,
        .variants = 50,
        .seed = 1};

    corpus = bench_corpus_new(&options);
    source = (struct bench_request_source){.corpus = corpus,
                                           .has = {[BENCH_CORPUS_BASE64] = true},
                                           .has_documents = true,
                                           .has_metadatas = true,
                                           .host = "host:1",
                                           .headers = "X-A: b\r\n",
                                           .collections = collections,
                                           .collection_count = 2,
                                           .raw_path = "/raw",
                                           .query_tail = "],\"n_results\":3}",
                                           .id_prefix = 0xab,
                                           .rng = 1};
    request = (struct bench_request){0};
    mix = (struct bench_request_mix){.batch = 1};
}

static void teardown(void)
{
    bench_request_done(&request);
    bench_corpus_free(corpus);
}

/* Build one request; its body as JSON, given, or NULL when there is none. What precedes it must be
 * a head that announces exactly that body. */
static json_t *build(const char *mix_text, size_t collection)
{
    struct http_reader_limits limits = {8192, 8192, UINT64_MAX, NULL};
    struct http_reader       *reader = http_reader_new(HTTP_READER_REQUEST, &limits);
    struct byte_buffer        all = {0};
    struct bytes              input, body = {0}, piece;
    json_t                   *json = NULL;
    enum http_reader_event    event;

    ck_assert(bench_request_parse_mix(&mix, mix_text));
    ck_assert(bench_request_build(&request, &source, &mix, collection));
    for (size_t i = 0; i < request.part_count; i++) {
        piece = (struct bytes){request.parts[i].iov_base, request.parts[i].iov_len};
        ck_assert_int_eq(byte_buffer_append(&all, piece, SIZE_MAX), STATUS_OK);
    }
    input = byte_buffer_bytes(&all);
    while ((event = http_reader_feed(reader, &input, &piece)) != HTTP_READER_END) {
        ck_assert(event == HTTP_READER_HEAD || event == HTTP_READER_BODY);
        if (event == HTTP_READER_BODY)
            body = piece;
    }
    ck_assert_uint_eq(input.size, 0);
    if (body.size > 0) {
        json = json_loadb(body.data, body.size, 0, NULL);
        ck_assert_ptr_nonnull(json);
    }
    http_reader_free(reader);
    byte_buffer_done(&all);
    return json;
}

static bool starts_with(const char *text)
{
    return bytes_begin_with(byte_buffer_bytes(&request.text), bytes_of(text));
}

START_TEST(a_mix_is_names_with_weights)
{
    ck_assert(bench_request_parse_mix(&mix, "add:3+query+count:0"));
    ck_assert_uint_eq(mix.weights[BENCH_REQUEST_ADD], 3);
    ck_assert_uint_eq(mix.weights[BENCH_REQUEST_QUERY], 1);
    ck_assert_uint_eq(mix.total, 4);
}
END_TEST

START_TEST(what_is_no_mix_is_refused)
{
    static const char *const bad[] = {"", "nope", "add:", "add:x", "add query", "add:0", "raw"};

    for (size_t i = 0; i < COUNT_OF(bad); i++)
        ck_assert_msg(!bench_request_parse_mix(&mix, bad[i]), "%s", bad[i]);
}
END_TEST

START_TEST(a_write_has_all_columns_as_long_as_its_ids)
{
    static const char *const columns[] = {"ids", "embeddings", "documents", "metadatas"};
    json_t                  *body;

    mix.batch = 7;
    body = build("upsert", 1);
    ck_assert(starts_with("POST /c/1/upsert HTTP/1.1\r\nHost: host:1\r\nX-A: b\r\n"));
    ck_assert_uint_eq(json_object_size(body), COUNT_OF(columns));
    for (size_t i = 0; i < COUNT_OF(columns); i++)
        ck_assert_uint_eq(json_array_size(json_object_get(body, columns[i])), 7);
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(body, "ids"), 6)),
                     "000000ab-000000000006");
    json_decref(body);
}
END_TEST

START_TEST(new_ids_never_repeat)
{
    mix.batch = 3;
    for (uint64_t i = 0; i < 20; i++) {
        json_decref(build(i % 2 == 0 ? "add" : "upsert", 0));
        ck_assert_uint_eq(request.numbers[0], 3 * i);
    }
}
END_TEST

START_TEST(reused_ids_are_earlier_ones)
{
    source.next_number = 100;
    source.reuse = 1;
    mix.batch = 4;
    for (int i = 0; i < 200; i++) {
        json_decref(build("upsert+update+delete+get", 0));
        ck_assert_uint_le(request.numbers[3], 99);
    }
    ck_assert_uint_eq(source.next_number, 100);
}
END_TEST

START_TEST(both_encodings_take_turns)
{
    unsigned arrays = 0;

    source.has[BENCH_CORPUS_ARRAYS] = true;
    for (int i = 0; i < 100; i++) {
        json_t *body = build("add", 0);

        arrays += json_is_array(json_array_get(json_object_get(body, "embeddings"), 0));
        json_decref(body);
    }
    ck_assert_uint_gt(arrays, 20);
    ck_assert_uint_lt(arrays, 80);
}
END_TEST

START_TEST(queries_gets_and_counts_are_what_chroma_reads)
{
    json_t *body = build("query", 0);

    ck_assert_uint_eq(json_array_size(json_array_get(json_object_get(body, "query_embeddings"), 0)),
                      4);
    ck_assert_int_eq(json_integer_value(json_object_get(body, "n_results")), 3);
    json_decref(body);
    body = build("get", 0);
    ck_assert_uint_eq(json_array_size(json_object_get(body, "ids")), 1);
    json_decref(body);
    ck_assert_ptr_null(build("count", 2));
    ck_assert(starts_with("GET /c/0/count HTTP/1.1\r\n"));
}
END_TEST

START_TEST(a_large_batch_follows_a_small_one)
{
    json_decref(build("add", 0));
    mix.batch = 2000;
    json_decref(build("add", 0));
    ck_assert_uint_eq(request.records, 2000);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("bench_request");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_mix_is_names_with_weights);
    tcase_add_test(tcase, what_is_no_mix_is_refused);
    tcase_add_test(tcase, a_write_has_all_columns_as_long_as_its_ids);
    tcase_add_test(tcase, new_ids_never_repeat);
    tcase_add_test(tcase, reused_ids_are_earlier_ones);
    tcase_add_test(tcase, both_encodings_take_turns);
    tcase_add_test(tcase, queries_gets_and_counts_are_what_chroma_reads);
    tcase_add_test(tcase, a_large_batch_follows_a_small_one);
    return check_main("bench_request", tcase);
}
