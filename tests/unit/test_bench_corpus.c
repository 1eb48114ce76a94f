#include "bench/bench_corpus.h"

#include <jansson.h>
#include <stdlib.h>

#include "support/check_main.h"

static const struct bench_corpus_options options = {
    .dimension = 5,
    .has = {[BENCH_CORPUS_BASE64] = true, [BENCH_CORPUS_ARRAYS] = true},
    .document_bytes = 40,
    .metadata_keys = 3,
    .variants = 300,
    .seed = 7};

static struct bench_corpus *corpus;

static void setup(void)
{
    corpus = bench_corpus_new(&options);
    ck_assert_ptr_nonnull(corpus);
}

static void teardown(void)
{
    bench_corpus_free(corpus);
}

/* A piece without its comma, as JSON. */
static json_t *parse(struct bytes piece)
{
    json_t *value;

    ck_assert_uint_gt(piece.size, 1);
    ck_assert_int_eq(piece.data[0], ',');
    value = json_loadb(piece.data + 1, piece.size - 1, JSON_DECODE_ANY, NULL);
    ck_assert_ptr_nonnull(value);
    return value;
}

START_TEST(every_piece_is_a_comma_and_a_json_value)
{
    for (size_t v = 0; v < options.variants; v++) {
        json_t *vector = parse(bench_corpus_vector(corpus, v, BENCH_CORPUS_ARRAYS));
        json_t *text = parse(bench_corpus_vector(corpus, v, BENCH_CORPUS_BASE64));
        json_t *document = parse(bench_corpus_document(corpus, v));
        json_t *metadata = parse(bench_corpus_metadata(corpus, v));

        ck_assert_uint_eq(json_array_size(vector), options.dimension);
        ck_assert_uint_eq(json_string_length(text), 28); /* 20 bytes */
        ck_assert_uint_eq(json_string_length(document), options.document_bytes);
        ck_assert_uint_eq(json_object_size(metadata), options.metadata_keys);
        json_decref(vector);
        json_decref(text);
        json_decref(document);
        json_decref(metadata);
    }
}
END_TEST

START_TEST(embeddings_have_unit_length)
{
    json_t *vector = parse(bench_corpus_vector(corpus, 3, BENCH_CORPUS_ARRAYS));
    double  squares = 0;

    for (size_t i = 0; i < options.dimension; i++) {
        double value = json_real_value(json_array_get(vector, i));

        squares += value * value;
    }
    ck_assert_double_eq_tol(squares, 1, 1e-6);
    json_decref(vector);
}
END_TEST

START_TEST(variants_differ)
{
    ck_assert_uint_ne(bench_corpus_sum(corpus, 0), bench_corpus_sum(corpus, 256));
    ck_assert(!bytes_equal(bench_corpus_vector(corpus, 0, BENCH_CORPUS_BASE64),
                           bench_corpus_vector(corpus, 256, BENCH_CORPUS_BASE64)));
}
END_TEST

START_TEST(the_same_options_give_the_same_texts)
{
    struct bench_corpus *again = bench_corpus_new(&options);

    for (size_t v = 0; v < options.variants; v++)
        ck_assert_uint_eq(bench_corpus_sum(corpus, v), bench_corpus_sum(again, v));
    bench_corpus_free(again);
}
END_TEST

START_TEST(what_is_not_asked_for_is_left_out)
{
    struct bench_corpus_options bare = options;
    struct bench_corpus        *small;

    bare.document_bytes = bare.metadata_keys = 0;
    bare.has[BENCH_CORPUS_ARRAYS] = false;
    bare.variants = 0;
    small = bench_corpus_new(&bare);
    ck_assert_uint_eq(bench_corpus_variants(small), 16384);
    ck_assert_uint_eq(bench_corpus_document(small, 0).size, 3); /* ,"" */
    ck_assert_uint_eq(bench_corpus_metadata(small, 0).size, 3); /* ,{} */
    bench_corpus_free(small);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("bench_corpus");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, every_piece_is_a_comma_and_a_json_value);
    tcase_add_test(tcase, embeddings_have_unit_length);
    tcase_add_test(tcase, variants_differ);
    tcase_add_test(tcase, the_same_options_give_the_same_texts);
    tcase_add_test(tcase, what_is_not_asked_for_is_left_out);
    return check_main("bench_corpus", tcase);
}
