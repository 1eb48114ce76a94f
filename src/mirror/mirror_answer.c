#include "mirror/mirror_answer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/clock.h"
#include "mirror/mirror_answer_core.h"
#include "json/json_floats.h"

/* How wide the graph is searched at most. */
enum { ef_least = 64, ef_records = 200, reach_ef_records = 110 };

/* How far: what finds 99 of a hundred nearest of embeddings of sentences (384 numbers, 4 and 10
 * results). 12 000 of them need 0.065, 20 000 0.075, 50 000 0.1 and 100 000 0.13: for a graph of
 * more records the same way is longer. */
static const float reach_first = 0.0615f, reach_power = 0.338f, reach_records = 10000;

/* One in so many is few: putting a row in order costs about as much as passing over these. */
enum { few_of = 16 };

static enum status answer_count(struct mirror_asked *asked);
static enum status answer_records(struct mirror_asked *asked);
static enum status read_filter(struct mirror_asked *asked);
static enum status check_vectors(struct mirror_asked *asked);
static bool        are_of_one_dimension(struct bytes vectors);
static enum status find_listed(struct mirror_asked *asked);
static void        walk_listed(struct mirror_asked *asked, uint64_t left);
static enum status sort_listed(struct mirror_asked *asked, uint64_t left);
static int         compare_places(const void *left, const void *right);
static enum status find_nearest(struct mirror_asked *asked);
static enum status take_asked_vector(struct mirror_asked *asked, struct json_scan *scan);
static bool        loses_direction(const struct mirror_asked *asked);
static size_t      take_odd_float(struct json_scan *scan, float *ret_float);
static enum status search(struct mirror_asked *asked, uint32_t k);
static uint32_t search_width(const struct mirror_asked *asked, uint32_t k, uint32_t records_each);
static float    search_reach(const struct mirror_asked *asked);
static uint64_t search_now_us(void *ctx);
static enum status answer_make_room(struct mirror_asked *asked, size_t rows, size_t lists);
static enum status read_values(struct mirror_asked *asked);
static enum status keep_value(struct mirror_asked *asked, struct mirror_value *value);
static void        place_texts(struct mirror_asked *asked);

enum status mirror_answer(const struct mirror_records *records, struct mirror_reader *reader,
                          const struct mirror_question *question, unsigned *ret_status,
                          struct byte_buffer *ret_body, const char **ret_reason)
{
    static const unsigned char key[KEYED_DIGEST_KEY_SIZE]; /* the digest is not used */
    struct mirror_asked        asked = {.records = records,
                                        .reader = reader,
                                        .question = question,
                                        .code = 200,
                                        .dimension = mirror_records_dimension(records),
                                        .json = {.body = ret_body, .size_max = question->size_max}};
    struct chroma_query       *query = &asked.query;
    const char                *why; /* there are many of these */
    enum status                status;

    if (chroma_query_read(question->route, true, question->body, key, query, &why) != STATUS_OK ||
        query->n_results > UINT32_MAX || query->limit > UINT32_MAX || query->offset > UINT32_MAX)
        status = mirror_answer_core_leave(&asked, "body");
    else if (question->route->operation == CHROMA_OPERATION_COUNT)
        status = answer_count(&asked);
    else
        status = answer_records(&asked);
    *ret_status = asked.code;
    if (status == STATUS_NOT_IMPLEMENTED)
        *ret_reason = asked.reason;
    filter_free(asked.filter);
    free(asked.bitmap);
    free(asked.rows);
    free(asked.values);
    byte_buffer_done(&asked.texts);
    free(asked.hits);
    free(asked.vector);
    free(asked.ends);
    return status;
}

static enum status answer_count(struct mirror_asked *asked)
{
    enum status status = byte_buffer_printf(asked->json.body, SIZE_MAX, "%u",
                                            (unsigned)mirror_records_count(asked->records));

    return status == STATUS_OK ? status : STATUS_NO_MEMORY;
}

/* What may be refused is looked at in Chroma's order. */
static enum status answer_records(struct mirror_asked *asked)
{
    bool        is_query = asked->question->route->operation == CHROMA_OPERATION_QUERY;
    enum status status = read_filter(asked);

    if (mirror_answer_core_goes_on(asked, status) && is_query)
        status = check_vectors(asked);
    if (mirror_answer_core_goes_on(asked, status))
        status = mirror_answer_choose(asked);
    if (mirror_answer_core_goes_on(asked, status))
        status = is_query ? find_nearest(asked) : find_listed(asked);
    if (mirror_answer_core_goes_on(asked, status))
        status = read_values(asked);
    if (mirror_answer_core_goes_on(asked, status))
        mirror_answer_body_write(asked);
    return status == STATUS_OK ? asked->json.status : status;
}

/* ---- What Chroma refuses --------------------------------------------------------------------- */

static enum status read_filter(struct mirror_asked *asked)
{
    const struct bytes *spans = asked->query.spans;
    const char         *reason;
    enum status         status;

    if (!mirror_answer_core_has(asked, CHROMA_QUERY_WHERE) &&
        !mirror_answer_core_has(asked, CHROMA_QUERY_WHERE_DOCUMENT))
        return STATUS_OK;
    status = filter_new(spans[CHROMA_QUERY_WHERE], spans[CHROMA_QUERY_WHERE_DOCUMENT],
                        &asked->filter, &reason);
    if (status == STATUS_INVALID)
        return mirror_answer_body_refuse(asked, 400, "InvalidArgumentError", reason);
    return status == STATUS_NOT_IMPLEMENTED ? mirror_answer_core_leave(asked, "filter") : status;
}

/* A dimension that is not fixed takes all vectors, but that it is not cannot be told from that it
 * is not known: a write that was refused may have fixed it. */
static enum status check_vectors(struct mirror_asked *asked)
{
    const struct chroma_query *query = &asked->query;
    uint32_t said = asked->question->dimension, kept = mirror_records_dimension(asked->records);
    char     message[96];

    asked->dimension = said != 0 ? said : kept;
    if (kept != 0 && kept != asked->dimension)
        return mirror_answer_core_leave(asked, "dimension");
    if (query->vector_count == 0)
        return STATUS_OK;
    if (query->dimension == 0 && !are_of_one_dimension(query->spans[CHROMA_QUERY_EMBEDDINGS]))
        return mirror_answer_body_refuse(asked, 400, "InvalidArgumentError",
                                         "Inconsistent dimensions in provided embeddings");
    if (asked->dimension == 0)
        return mirror_answer_core_leave(asked, "dimension");
    if (query->dimension == asked->dimension)
        return STATUS_OK;
    snprintf(message, sizeof message,
             "Collection expecting embedding with dimension of %u, got %zu",
             (unsigned)asked->dimension, query->dimension);
    return mirror_answer_body_refuse(asked, 400, "InvalidArgumentError", message);
}

/* Of the reader's 0, which is also said of vectors without numbers. */
static bool are_of_one_dimension(struct bytes vectors)
{
    struct json_scan scan;
    bool             are_empty = true;

    json_scan_init(&scan, vectors);
    json_scan_array(&scan);
    while (json_scan_element(&scan)) {
        json_scan_array(&scan);
        for (; json_scan_element(&scan); are_empty = false)
            json_scan_value(&scan, NULL);
    }
    return are_empty;
}

/* In Chroma's order, behind `offset`, `limit` of them. */
static enum status find_listed(struct mirror_asked *asked)
{
    const struct chroma_query *query = &asked->query;
    uint32_t                   count = mirror_records_count(asked->records);
    uint64_t                   all = asked->bitmap == NULL ? count : asked->bit_count;
    uint64_t                   left = query->offset < all ? all - query->offset : 0;
    enum status                status;

    if (mirror_answer_core_has(asked, CHROMA_QUERY_LIMIT) && query->limit < left)
        left = query->limit;
    status = answer_make_room(asked, left, 1);
    if (status == STATUS_OK && asked->bitmap != NULL && asked->bit_count < count / few_of)
        status = sort_listed(asked, left);
    else if (status == STATUS_OK)
        walk_listed(asked, left);
    if (status == STATUS_OK)
        asked->ends[asked->list_count++] = asked->count;
    return status;
}

static void walk_listed(struct mirror_asked *asked, uint64_t left)
{
    uint64_t passed = 0;
    size_t   position = 0;
    uint32_t row;

    while (asked->count < left && mirror_records_next(asked->records, &position, &row)) {
        if (asked->bitmap != NULL &&
            (row >= asked->bits || (asked->bitmap[row / 64] >> row % 64 & 1) == 0))
            continue;
        if (passed++ >= asked->query.offset)
            asked->rows[asked->count++] = row;
    }
}

/* Few of many are put in order, rather than all looked at. */
static enum status sort_listed(struct mirror_asked *asked, uint64_t left)
{
    uint64_t *places = calloc(asked->bit_count + 1, sizeof *places);
    uint32_t  count = 0;

    if (places == NULL)
        return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < (asked->bits + 63) / 64; i++)
        for (uint64_t bits = asked->bitmap[i]; bits != 0; bits &= bits - 1) {
            uint32_t row = i * 64 + (uint32_t)__builtin_ctzll(bits);

            places[count++] = (uint64_t)mirror_records_place(asked->records, row) << 32 | row;
        }
    qsort(places, count, sizeof *places, compare_places);
    for (uint64_t i = asked->query.offset; asked->count < left; i++)
        asked->rows[asked->count++] = (uint32_t)places[i];
    free(places);
    return STATUS_OK;
}

static int compare_places(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

    return (a > b) - (a < b);
}

static enum status find_nearest(struct mirror_asked *asked)
{
    const struct chroma_query *query = &asked->query;
    struct json_scan           scan;
    uint64_t                   each = mirror_records_count(asked->records);
    enum status                status;

    if (asked->bitmap != NULL)
        each = asked->bit_count;
    if (query->n_results < each)
        each = query->n_results;
    /* Of no results Chroma panics if it has deleted many. */
    if (each > vector_search_k_max || (query->n_results == 0 && query->vector_count > 0))
        return mirror_answer_core_leave(asked, "n_results");
    status = answer_make_room(asked, each * query->vector_count, query->vector_count);
    json_scan_init(&scan, query->spans[CHROMA_QUERY_EMBEDDINGS]);
    json_scan_array(&scan);
    while (status == STATUS_OK && json_scan_element(&scan)) {
        status = take_asked_vector(asked, &scan);
        if (status == STATUS_OK && loses_direction(asked))
            status = mirror_answer_core_leave(asked, "vectors");
        if (status == STATUS_OK)
            status = search(asked, (uint32_t)each);
    }
    return status;
}

/* Its numbers were counted. */
static enum status take_asked_vector(struct mirror_asked *asked, struct json_scan *scan)
{
    uint32_t taken = 0;

    json_scan_array(scan);
    while (json_scan_element(scan)) {
        uint32_t room = asked->dimension - taken;
        size_t   more = room > 0 ? json_floats_take(scan, asked->vector + taken, room) : 0;

        if (more == 0 && room > 0)
            more = take_odd_float(scan, asked->vector + taken);
        if (more == 0)
            return mirror_answer_core_leave(asked, "vectors");
        taken += (uint32_t)more;
    }
    return STATUS_OK;
}

/* With space cosine Chroma divides a vector by its length, whose square it has in 32 bits: of one
 * that is very short too little is left of that. */
static bool loses_direction(const struct mirror_asked *asked)
{
    static const double square_min = 1e-30;
    double              square = 0;

    for (uint32_t i = 0; i < asked->dimension; i++)
        square += (double)asked->vector[i] * (double)asked->vector[i];
    return mirror_records_space(asked->records) == COLLECTION_SPACE_COSINE && square > 0 &&
           square < square_min;
}

/* Numbers that servers may read differently, and the very small: in one step from what serde_json
 * has made of them, as Chroma does. */
static size_t take_odd_float(struct json_scan *scan, float *ret_float)
{
    struct json_number number;
    int64_t            integer;
    double             real;

    if (!json_scan_number(scan, &number))
        return 0;
    switch (json_number_read(number, &integer, &real)) {
    case JSON_NUMBER_INTEGER:
        *ret_float = (float)integer;
        return 1;
    case JSON_NUMBER_DOUBLE:
        *ret_float = (float)real;
        return 1;
    case JSON_NUMBER_UNSIGNED:
        break;
    }
    return 0;
}

static enum status search(struct mirror_asked *asked, uint32_t k)
{
    struct vector_search_query query = {.vector = asked->vector,
                                        .k = k,
                                        .ef = search_width(asked, k, ef_records),
                                        .reach = search_reach(asked),
                                        .reach_ef = search_width(asked, k, reach_ef_records),
                                        .bitmap = asked->bitmap,
                                        .bitmap_bits = asked->bits,
                                        .bitmap_count = asked->bit_count,
                                        .now_us = asked->question->deadline_us == 0 ? NULL
                                                                                    : search_now_us,
                                        .deadline_us = asked->question->deadline_us};
    struct vector_search_hit  *hits = asked->hits + asked->count;
    uint32_t                   found = 0;
    enum status                status;

    status = mirror_reader_search(asked->reader, &query, hits, &found);
    if (status == STATUS_INVALID) /* what is no good vector to the index */
        return mirror_answer_core_leave(asked, "vectors");
    if (status != STATUS_OK)
        return status;
    for (uint32_t i = 0; i < found; i++)
        asked->rows[asked->count + i] = hits[i].record;
    asked->count += found;
    asked->ends[asked->list_count++] = asked->count;
    return STATUS_OK;
}

static uint32_t search_width(const struct mirror_asked *asked, uint32_t k, uint32_t records_each)
{
    uint32_t ef = ef_least + mirror_records_count(asked->records) / records_each;

    if (ef < k * 2)
        ef = k * 2;
    return ef < vector_search_ef_max ? ef : vector_search_ef_max;
}

static float search_reach(const struct mirror_asked *asked)
{
    float times = (float)mirror_records_count(asked->records) / reach_records;

    return reach_first * powf(times > 1 ? times : 1, reach_power);
}

static uint64_t search_now_us(void *ctx)
{
    (void)ctx;
    return clock_now_us();
}

/* More than the answer may have bytes cannot be in it. */
static enum status answer_make_room(struct mirror_asked *asked, size_t rows, size_t lists)
{
    if (rows > asked->question->size_max || rows > UINT32_MAX || lists > UINT32_MAX)
        return STATUS_TOO_LARGE;
    asked->room = (uint32_t)rows;
    asked->rows = calloc(rows + 1, sizeof *asked->rows);
    asked->values = calloc(rows + 1, sizeof *asked->values);
    asked->hits = calloc(rows + 1, sizeof *asked->hits);
    asked->vector = calloc(asked->dimension + 1, sizeof *asked->vector);
    asked->ends = calloc(lists + 1, sizeof *asked->ends);
    return asked->rows == NULL || asked->values == NULL || asked->hits == NULL ||
                   asked->vector == NULL || asked->ends == NULL
               ? STATUS_NO_MEMORY
               : STATUS_OK;
}

static enum status read_values(struct mirror_asked *asked)
{
    unsigned wanted =
        CHROMA_QUERY_INCLUDE_DOCUMENTS | CHROMA_QUERY_INCLUDE_METADATAS | CHROMA_QUERY_INCLUDE_URIS;

    if ((asked->query.include_set & wanted) == 0)
        return STATUS_OK;
    for (uint32_t i = 0; i < asked->count; i++) {
        enum status status = mirror_reader_value(asked->reader, asked->rows[i], &asked->values[i]);

        if (status == STATUS_OK)
            status = keep_value(asked, &asked->values[i]);
        if (status != STATUS_OK)
            return status == STATUS_NOT_FOUND ? STATUS_CORRUPT : status;
    }
    place_texts(asked);
    return STATUS_OK;
}

/* Copy what will be written of it. It is at most as long there, so this has the same bound. */
static enum status keep_value(struct mirror_asked *asked, struct mirror_value *value)
{
    unsigned    set = asked->query.include_set;
    enum status status = STATUS_OK;

    if ((set & CHROMA_QUERY_INCLUDE_METADATAS) == 0)
        value->metadata.size = 0;
    if ((set & CHROMA_QUERY_INCLUDE_DOCUMENTS) == 0)
        value->document.size = 0;
    if ((set & CHROMA_QUERY_INCLUDE_URIS) == 0)
        value->uri.size = 0;
    status = byte_buffer_append(&asked->texts, value->metadata, asked->question->size_max);
    if (status == STATUS_OK)
        status = byte_buffer_append(&asked->texts, value->document, asked->question->size_max);
    if (status == STATUS_OK)
        status = byte_buffer_append(&asked->texts, value->uri, asked->question->size_max);
    return status == STATUS_LIMIT_REACHED ? STATUS_TOO_LARGE : status;
}

/* They move no more. */
static void place_texts(struct mirror_asked *asked)
{
    const char *at = asked->texts.data;

    for (uint32_t i = 0; at != NULL && i < asked->count; i++) {
        struct mirror_value *value = &asked->values[i];

        value->metadata.data = at;
        value->document.data = value->metadata.data + value->metadata.size;
        value->uri.data = value->document.data + value->document.size;
        at = value->uri.data + value->uri.size;
    }
}
