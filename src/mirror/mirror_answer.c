#include "mirror/mirror_answer.h"

#include <stdlib.h>
#include <string.h>

#include "chroma/chroma_query.h"
#include "io/clock.h"
#include "mirror/filter.h"
#include "mirror/mirror_answer_json.h"
#include "json/json_floats.h"

/* How wide the graph is searched at least: what finds 99 of a hundred nearest. */
enum { ef_least = 128 };

/* One question while it is answered. */
struct asked {
    const struct mirror_records  *records;
    struct mirror_reader         *reader;
    const struct mirror_question *question;
    struct chroma_query           query;
    struct mirror_answer_json     json;
    uint32_t                      dimension;

    uint64_t *bitmap; /* of the rows that may be answered; NULL: all */
    uint32_t  bits, bit_count;

    uint32_t                 *rows; /* to be answered, of all lists one behind the other */
    struct mirror_value      *values;
    struct vector_search_hit *hits; /* of a query */
    float                    *vector;
    uint32_t                  count, room;
    uint32_t                 *ends; /* of each list */
    size_t                    list_count;
};

enum column { IDS, EMBEDDINGS, DOCUMENTS, URIS, METADATAS, DISTANCES };

static enum status answer_count(struct asked *asked);
static enum status answer_records(struct asked *asked, const char **ret_reason);
static enum status answer_choose(struct asked *asked, const char **ret_reason);
static enum status answer_choose_filtered(struct asked *asked, const char **ret_reason);
static enum status answer_choose_ids(struct asked *asked, const char **ret_reason);
static enum status read_id(struct json_scan *scan, char **text, size_t *room, struct bytes *ret_id);
static enum status grow_bitmap(uint64_t **bitmap, uint32_t *bits, uint32_t row);
static enum status find_listed(struct asked *asked);
static enum status find_nearest(struct asked *asked, const char **ret_reason);
static enum status search(struct asked *asked, uint32_t list, const char **ret_reason);
static uint64_t    search_now_us(void *ctx);
static enum status answer_make_room(struct asked *asked, size_t rows, size_t lists);
static enum status read_values(struct asked *asked);
static void        write_answer(struct asked *asked);
static void write_column(struct asked *asked, enum column column, const char *name, bool is_asked);
static void write_element(struct asked *asked, enum column column, uint32_t i);
static void answer_write_metadata(struct asked *asked, const struct mirror_value *value);
static void write_include(struct asked *asked);

enum status mirror_answer(const struct mirror_records *records, struct mirror_reader *reader,
                          const struct mirror_question *question, unsigned *ret_status,
                          struct byte_buffer *ret_body, const char **ret_reason)
{
    static const unsigned char key[KEYED_DIGEST_KEY_SIZE]; /* the digest is not used */
    struct asked               asked = {.records = records,
                                        .reader = reader,
                                        .question = question,
                                        .dimension = mirror_records_dimension(records),
                                        .json = {.body = ret_body, .size_max = question->size_max}};
    enum status                status = STATUS_NOT_IMPLEMENTED;

    *ret_reason = "unknown";
    if (chroma_query_read(question->route, true, question->body, key, &asked.query, ret_reason) !=
        STATUS_OK)
        return status;
    *ret_status = 200;
    if (question->route->operation == CHROMA_OPERATION_COUNT)
        status = answer_count(&asked);
    else
        status = answer_records(&asked, ret_reason);
    free(asked.bitmap);
    free(asked.rows);
    free(asked.values);
    free(asked.hits);
    free(asked.vector);
    free(asked.ends);
    return status;
}

static enum status answer_count(struct asked *asked)
{
    enum status status = byte_buffer_printf(asked->json.body, SIZE_MAX, "%u",
                                            (unsigned)mirror_records_count(asked->records));

    return status == STATUS_OK ? status : STATUS_NO_MEMORY;
}

static enum status answer_records(struct asked *asked, const char **ret_reason)
{
    enum status status = answer_choose(asked, ret_reason);

    if (status == STATUS_OK)
        status = asked->question->route->operation == CHROMA_OPERATION_GET
                     ? find_listed(asked)
                     : find_nearest(asked, ret_reason);
    if (status == STATUS_OK)
        status = read_values(asked);
    if (status != STATUS_OK)
        return status;
    write_answer(asked);
    return asked->json.status;
}

/* ---- Which records ------------------------------------------------------------------------- */

static enum status answer_choose(struct asked *asked, const char **ret_reason)
{
    enum status status = STATUS_OK;

    if ((asked->query.field_set & (1u << CHROMA_QUERY_WHERE | 1u << CHROMA_QUERY_WHERE_DOCUMENT)) !=
        0)
        status = answer_choose_filtered(asked, ret_reason);
    if (status == STATUS_OK && (asked->query.field_set & 1u << CHROMA_QUERY_IDS) != 0)
        status = answer_choose_ids(asked, ret_reason);
    return status;
}

static enum status answer_choose_filtered(struct asked *asked, const char **ret_reason)
{
    const uint64_t *bitmap;
    struct filter  *filter;
    enum status     status =
        filter_new(asked->query.spans[CHROMA_QUERY_WHERE],
                   asked->query.spans[CHROMA_QUERY_WHERE_DOCUMENT], &filter, ret_reason);

    if (status == STATUS_INVALID) { /* Chroma says so, with all else that it may find */
        *ret_reason = "filter";
        return STATUS_NOT_IMPLEMENTED;
    }
    if (status != STATUS_OK)
        return status;
    status = mirror_reader_filter(asked->reader, filter, &bitmap, &asked->bits, &asked->bit_count);
    filter_free(filter);
    if (status != STATUS_OK)
        return status;
    asked->bitmap = calloc(asked->bits / 64 + 1, sizeof *asked->bitmap);
    if (asked->bitmap == NULL)
        return STATUS_NO_MEMORY;
    if (asked->bits > 0)
        memcpy(asked->bitmap, bitmap, (asked->bits + 63) / 64 * sizeof *asked->bitmap);
    return STATUS_OK;
}

/* Of those that match the filter these. An id that is not there is no record to `get`, and an error
 * to a query. */
static enum status answer_choose_ids(struct asked *asked, const char **ret_reason)
{
    bool             is_query = asked->question->route->operation == CHROMA_OPERATION_QUERY;
    uint64_t        *bitmap = NULL;
    uint32_t         bits = 0, count = 0;
    char            *text = NULL;
    size_t           room = 0;
    struct bytes     id;
    struct json_scan scan;
    enum status      status = grow_bitmap(&bitmap, &bits, 0);

    json_scan_init(&scan, asked->query.spans[CHROMA_QUERY_IDS]);
    json_scan_array(&scan);
    while (status == STATUS_OK && json_scan_element(&scan)) {
        uint32_t row;

        status = read_id(&scan, &text, &room, &id);
        if (status != STATUS_OK)
            break;
        if (mirror_records_find(asked->records, id, &row) != STATUS_OK) {
            *ret_reason = "ids";
            status = is_query ? STATUS_NOT_IMPLEMENTED : STATUS_OK;
            continue;
        }
        status = grow_bitmap(&bitmap, &bits, row);
        if (status == STATUS_OK && (bitmap[row / 64] >> row % 64 & 1) == 0 &&
            (asked->bitmap == NULL ||
             (row < asked->bits && (asked->bitmap[row / 64] >> row % 64 & 1) != 0))) {
            bitmap[row / 64] |= UINT64_C(1) << row % 64;
            count++;
        }
    }
    free(text);
    if (status == STATUS_OK && is_query && asked->query.id_count == 0) {
        *ret_reason = "ids";
        status = STATUS_NOT_IMPLEMENTED;
    }
    free(asked->bitmap);
    asked->bitmap = bitmap;
    asked->bits = bits;
    asked->bit_count = count;
    return status;
}

/* Borrowed until the next one; `text` is freed by the caller. */
static enum status read_id(struct json_scan *scan, char **text, size_t *room, struct bytes *ret_id)
{
    struct json_string string;

    if (!json_scan_string(scan, &string))
        return STATUS_NOT_IMPLEMENTED;
    *ret_id = string.raw;
    if (!string.has_escapes)
        return STATUS_OK;
    if (*room < string.raw.size) {
        char *more = realloc(*text, string.raw.size);

        if (more == NULL)
            return STATUS_NO_MEMORY;
        *text = more;
        *room = string.raw.size;
    }
    *ret_id = (struct bytes){*text, json_scan_decode(string, *text)};
    return STATUS_OK;
}

static enum status grow_bitmap(uint64_t **bitmap, uint32_t *bits, uint32_t row)
{
    uint32_t  before = *bits / 64, words = (row / 64 + 1) * 2;
    uint64_t *more;

    if (row < *bits)
        return STATUS_OK;
    more = realloc(*bitmap, words * sizeof *more);
    if (more == NULL)
        return STATUS_NO_MEMORY;
    memset(more + before, 0, (words - before) * sizeof *more);
    *bitmap = more;
    *bits = words * 64;
    return STATUS_OK;
}

/* In Chroma's order, behind `offset`, `limit` of them. */
static enum status find_listed(struct asked *asked)
{
    const struct chroma_query *query = &asked->query;
    bool                       is_limited = (query->field_set & 1u << CHROMA_QUERY_LIMIT) != 0;
    uint64_t all = asked->bitmap == NULL ? mirror_records_count(asked->records) : asked->bit_count;
    uint64_t left = query->offset < all ? all - query->offset : 0, passed = 0;
    size_t   position = 0;
    uint32_t row;
    enum status status;

    if (is_limited && query->limit < left)
        left = query->limit;
    status = answer_make_room(asked, left, 1);
    while (status == STATUS_OK && asked->count < left &&
           mirror_records_next(asked->records, &position, &row)) {
        if (asked->bitmap != NULL &&
            (row >= asked->bits || (asked->bitmap[row / 64] >> row % 64 & 1) == 0))
            continue;
        if (passed++ >= query->offset)
            asked->rows[asked->count++] = row;
    }
    if (status == STATUS_OK)
        asked->ends[asked->list_count++] = asked->count;
    return status;
}

static enum status find_nearest(struct asked *asked, const char **ret_reason)
{
    const struct chroma_query *query = &asked->query;
    struct json_scan           scan;
    uint64_t                   each = mirror_records_count(asked->records);
    enum status                status;

    *ret_reason = "vectors";
    if (query->dimension == 0 || query->dimension != asked->dimension ||
        (asked->question->dimension != 0 && asked->question->dimension != asked->dimension))
        return STATUS_NOT_IMPLEMENTED;
    *ret_reason = "n_results";
    if (query->n_results > vector_search_k_max)
        return STATUS_NOT_IMPLEMENTED;
    each = query->n_results < each ? query->n_results : each;
    status = answer_make_room(asked, each * query->vector_count, query->vector_count);
    json_scan_init(&scan, query->spans[CHROMA_QUERY_EMBEDDINGS]);
    json_scan_array(&scan);
    while (status == STATUS_OK && json_scan_element(&scan)) {
        uint32_t taken = 0;

        json_scan_array(&scan);
        while (taken < asked->dimension && json_scan_element(&scan)) {
            size_t more = json_floats_take(&scan, asked->vector + taken, asked->dimension - taken);

            *ret_reason = "vectors";
            if (more == 0)
                return STATUS_NOT_IMPLEMENTED;
            taken += (uint32_t)more;
        }
        if (json_scan_element(&scan) || taken < asked->dimension)
            return STATUS_NOT_IMPLEMENTED;
        status = search(asked, (uint32_t)each, ret_reason);
    }
    return status;
}

static enum status search(struct asked *asked, uint32_t k, const char **ret_reason)
{
    struct vector_search_query query = {.vector = asked->vector,
                                        .k = k,
                                        .ef = k * 2 > ef_least ? k * 2 : ef_least,
                                        .bitmap = asked->bitmap,
                                        .bitmap_bits = asked->bits,
                                        .bitmap_count = asked->bit_count,
                                        .now_us = asked->question->deadline_us == 0 ? NULL
                                                                                    : search_now_us,
                                        .deadline_us = asked->question->deadline_us};
    struct vector_search_hit  *hits = asked->hits + asked->count;
    uint32_t                   found = 0;
    enum status                status;

    if (query.ef > vector_search_ef_max)
        query.ef = vector_search_ef_max;
    status = mirror_reader_search(asked->reader, &query, hits, &found);
    if (status == STATUS_INVALID) { /* what is no good vector to the index */
        *ret_reason = "vectors";
        return STATUS_NOT_IMPLEMENTED;
    }
    if (status != STATUS_OK)
        return status;
    for (uint32_t i = 0; i < found; i++)
        asked->rows[asked->count + i] = hits[i].record;
    asked->count += found;
    asked->ends[asked->list_count++] = asked->count;
    return STATUS_OK;
}

static uint64_t search_now_us(void *ctx)
{
    (void)ctx;
    return clock_now_us();
}

/* More than the answer may have bytes cannot be in it. */
static enum status answer_make_room(struct asked *asked, size_t rows, size_t lists)
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

static enum status read_values(struct asked *asked)
{
    unsigned wanted =
        CHROMA_QUERY_INCLUDE_DOCUMENTS | CHROMA_QUERY_INCLUDE_METADATAS | CHROMA_QUERY_INCLUDE_URIS;

    if ((asked->query.include_set & wanted) == 0)
        return STATUS_OK;
    for (uint32_t i = 0; i < asked->count; i++) {
        enum status status = mirror_reader_value(asked->reader, asked->rows[i], &asked->values[i]);

        if (status != STATUS_OK)
            return status == STATUS_NOT_FOUND ? STATUS_CORRUPT : status;
    }
    return STATUS_OK;
}

/* ---- The body ------------------------------------------------------------------------------- */

static void write_answer(struct asked *asked)
{
    unsigned set = asked->query.include_set;

    mirror_answer_json_text(&asked->json, "{");
    write_column(asked, IDS, "ids", true);
    write_column(asked, EMBEDDINGS, "embeddings", (set & CHROMA_QUERY_INCLUDE_EMBEDDINGS) != 0);
    write_column(asked, DOCUMENTS, "documents", (set & CHROMA_QUERY_INCLUDE_DOCUMENTS) != 0);
    write_column(asked, URIS, "uris", (set & CHROMA_QUERY_INCLUDE_URIS) != 0);
    write_column(asked, METADATAS, "metadatas", (set & CHROMA_QUERY_INCLUDE_METADATAS) != 0);
    if (asked->question->route->operation == CHROMA_OPERATION_QUERY)
        write_column(asked, DISTANCES, "distances", (set & CHROMA_QUERY_INCLUDE_DISTANCES) != 0);
    write_include(asked);
    mirror_answer_json_text(&asked->json, "}");
}

/* A list for each vector of a query. */
static void write_column(struct asked *asked, enum column column, const char *name, bool is_asked)
{
    bool     is_query = asked->question->route->operation == CHROMA_OPERATION_QUERY;
    uint32_t i = 0;

    mirror_answer_json_text(&asked->json, column == IDS ? "\"" : ",\"");
    mirror_answer_json_text(&asked->json, name);
    mirror_answer_json_text(&asked->json, !is_asked ? "\":null" : is_query ? "\":[" : "\":");
    for (size_t list = 0; is_asked && list < asked->list_count; list++) {
        mirror_answer_json_text(&asked->json, list == 0 ? "[" : ",[");
        for (uint32_t first = i; i < asked->ends[list] && asked->json.status == STATUS_OK; i++) {
            if (i > first)
                mirror_answer_json_text(&asked->json, ",");
            write_element(asked, column, i);
        }
        mirror_answer_json_text(&asked->json, "]");
    }
    if (is_asked && is_query)
        mirror_answer_json_text(&asked->json, "]");
}

static void write_element(struct asked *asked, enum column column, uint32_t i)
{
    const struct mirror_value *value = &asked->values[i];

    switch (column) {
    case IDS:
        mirror_answer_json_string(&asked->json, true,
                                  mirror_records_id(asked->records, asked->rows[i]));
        break;
    case EMBEDDINGS:
        if (mirror_reader_vector(asked->reader, asked->rows[i], asked->vector) == STATUS_OK)
            mirror_answer_json_vector(&asked->json, asked->vector, asked->dimension);
        else if (asked->json.status == STATUS_OK)
            asked->json.status = STATUS_CORRUPT;
        break;
    case DOCUMENTS:
        mirror_answer_json_string(&asked->json, value->has_document, value->document);
        break;
    case URIS:
        mirror_answer_json_string(&asked->json, value->has_uri, value->uri);
        break;
    case METADATAS:
        answer_write_metadata(asked, value);
        break;
    case DISTANCES:
        mirror_answer_json_float(&asked->json, asked->hits[i].distance);
        break;
    }
}

/* As it was asked. */
/* Chroma keeps a uri among the metadata: a record with a uri and nothing else has an empty object.
 */
static void answer_write_metadata(struct asked *asked, const struct mirror_value *value)
{
    if (value->metadata.size > 0)
        mirror_answer_json_bytes(&asked->json, value->metadata);
    else
        mirror_answer_json_text(&asked->json, value->has_uri ? "{}" : "null");
}

static void write_include(struct asked *asked)
{
    struct json_scan   scan;
    struct json_string name;
    bool               is_first = true;

    mirror_answer_json_text(&asked->json, ",\"include\":[");
    if ((asked->query.field_set & 1u << CHROMA_QUERY_INCLUDE) == 0) {
        mirror_answer_json_text(&asked->json, "\"documents\",\"metadatas\"");
        if (asked->question->route->operation == CHROMA_OPERATION_QUERY)
            mirror_answer_json_text(&asked->json, ",\"distances\"");
    } else {
        json_scan_init(&scan, asked->query.spans[CHROMA_QUERY_INCLUDE]);
        json_scan_array(&scan);
        while (json_scan_element(&scan) && json_scan_string(&scan, &name)) {
            mirror_answer_json_text(&asked->json, is_first ? "\"" : ",\"");
            mirror_answer_json_bytes(&asked->json, name.raw);
            mirror_answer_json_text(&asked->json, "\"");
            is_first = false;
        }
    }
    mirror_answer_json_text(&asked->json, "]");
}
