#include "mirror/mirror_page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json/json_floats.h"
#include "json/json_scan.h"

enum page_column {
    PAGE_IDS,
    PAGE_DOCUMENTS,
    PAGE_METADATAS,
    PAGE_EMBEDDINGS,
    PAGE_URIS,
    PAGE_COLUMN_COUNT
};

static const char *const column_names[PAGE_COLUMN_COUNT] = {"ids", "documents", "metadatas",
                                                            "embeddings", "uris"};

struct page_read {
    struct mirror_page *page;
    struct bytes        columns[PAGE_COLUMN_COUNT]; /* no data: not there, or null */
    char               *text;                       /* where the next decoded one goes */
    const char         *reason;
    enum status         status;
};

static bool split_answer(struct page_read *read, struct bytes answer);
static bool allocate_page(struct page_read *read, bool has_records);
static bool count_page_ids(struct page_read *read);
static bool open_column(struct page_read *read, enum page_column column, struct json_scan *scan);
static bool read_page_ids(struct page_read *read);
static bool read_page_texts(struct page_read *read, enum page_column column);
static bool take_page_text(struct page_read *read, struct json_scan *scan, bool *ret_has,
                           struct bytes *ret_text);
static struct bytes decode_page_text(struct page_read *read, struct json_string string);
static bool         read_page_metadata(struct page_read *read);
static bool         take_page_metadata(struct page_read *read, struct json_scan *scan,
                                       struct mirror_page_record *record);
static bool         read_page_vectors(struct page_read *read);
static bool         find_dimension(struct page_read *read, struct json_scan scan);
static bool   take_page_vector(struct page_read *read, struct json_scan *scan, float *ret_vector);
static bool   has_zero(const float *vector, size_t dimension);
static size_t take_exact_float(struct json_scan *scan, float *ret_float);
static bool   refuse_page(struct page_read *read, const char *reason);

enum status mirror_page_read(struct bytes answer, bool has_records, struct mirror_page *ret_page,
                             const char **ret_reason)
{
    struct mirror_page page = {.count = 0};
    struct page_read   read = {.page = &page, .status = STATUS_OK};

    if (split_answer(&read, answer) && count_page_ids(&read) && allocate_page(&read, has_records) &&
        read_page_ids(&read) && has_records && page.count > 0 &&
        read_page_texts(&read, PAGE_DOCUMENTS) && read_page_texts(&read, PAGE_URIS) &&
        read_page_metadata(&read))
        read_page_vectors(&read);
    if (read.status == STATUS_OK) {
        *ret_page = page;
        return STATUS_OK;
    }
    *ret_reason = read.reason;
    mirror_page_done(&page);
    return read.status;
}

void mirror_page_done(struct mirror_page *page)
{
    for (uint32_t i = 0; page->records != NULL && i < page->count; i++)
        mirror_metadata_free(page->records[i].metadata);
    free(page->ids);
    free(page->records);
    free(page->vectors);
    free(page->texts);
    *page = (struct mirror_page){.count = 0};
}

/* From here on every column is known to be JSON. Other members are of later versions. */
static bool split_answer(struct page_read *read, struct bytes answer)
{
    struct json_scan   scan;
    struct json_string key;
    bool               seen[PAGE_COLUMN_COUNT] = {false};

    json_scan_init(&scan, answer);
    json_scan_object(&scan);
    while (json_scan_member(&scan, &key)) {
        enum page_column column = 0;

        while (column < PAGE_COLUMN_COUNT && !json_scan_equals(key, bytes_of(column_names[column])))
            column++;
        if (column == PAGE_COLUMN_COUNT || json_scan_kind(&scan) == JSON_KIND_NULL) {
            json_scan_value(&scan, NULL);
            continue;
        }
        if (seen[column])
            return refuse_page(read, "an answer with a column twice");
        seen[column] = true;
        json_scan_value(&scan, &read->columns[column]);
    }
    return json_scan_end(&scan) || refuse_page(read, "an answer that is not valid JSON");
}

static bool count_page_ids(struct page_read *read)
{
    struct json_scan scan;
    uint32_t         count = 0;

    if (!open_column(read, PAGE_IDS, &scan))
        return false;
    for (; json_scan_element(&scan); count++) {
        if (json_scan_kind(&scan) != JSON_KIND_STRING || count == UINT32_MAX)
            return refuse_page(read, "an answer with an id that is none");
        json_scan_value(&scan, NULL);
    }
    read->page->count = count;
    return true;
}

/* Decoded texts are never longer than they stand there. */
static bool allocate_page(struct page_read *read, bool has_records)
{
    struct mirror_page *page = read->page;
    size_t              size = read->columns[PAGE_IDS].size;

    if (has_records)
        size += read->columns[PAGE_DOCUMENTS].size + read->columns[PAGE_URIS].size;
    page->texts = read->text = malloc(size + 1);
    page->ids = calloc((size_t)page->count + 1, sizeof *page->ids);
    if (has_records)
        page->records = calloc((size_t)page->count + 1, sizeof *page->records);
    if (page->texts != NULL && page->ids != NULL && (!has_records || page->records != NULL))
        return true;
    read->status = STATUS_NO_MEMORY;
    return false;
}

static bool open_column(struct page_read *read, enum page_column column, struct json_scan *scan)
{
    json_scan_init(scan, read->columns[column]);
    return json_scan_array(scan) || refuse_page(read, "an answer that lacks a column");
}

static bool read_page_ids(struct page_read *read)
{
    struct json_scan   scan;
    struct json_string id;

    if (!open_column(read, PAGE_IDS, &scan))
        return false;
    for (uint32_t i = 0; i < read->page->count; i++) {
        json_scan_element(&scan);
        json_scan_string(&scan, &id);
        if (id.raw.size == 0)
            return refuse_page(read, "an answer with an id that is none");
        read->page->ids[i] = decode_page_text(read, id);
    }
    return true;
}

static bool read_page_texts(struct page_read *read, enum page_column column)
{
    struct json_scan scan;

    if (!open_column(read, column, &scan))
        return false;
    for (uint32_t i = 0; i < read->page->count; i++) {
        struct mirror_value *value = &read->page->records[i].value;
        bool                 is_document = column == PAGE_DOCUMENTS;

        if (!take_page_text(read, &scan, is_document ? &value->has_document : &value->has_uri,
                            is_document ? &value->document : &value->uri))
            return false;
    }
    return !json_scan_element(&scan) || refuse_page(read, "columns of different lengths");
}

static bool take_page_text(struct page_read *read, struct json_scan *scan, bool *ret_has,
                           struct bytes *ret_text)
{
    struct json_string string;

    if (!json_scan_element(scan))
        return refuse_page(read, "columns of different lengths");
    if (json_scan_kind(scan) == JSON_KIND_NULL) {
        json_scan_value(scan, NULL);
        return true;
    }
    if (!json_scan_string(scan, &string))
        return refuse_page(read, "an answer with a text that is none");
    *ret_has = true;
    *ret_text = decode_page_text(read, string);
    return true;
}

static struct bytes decode_page_text(struct page_read *read, struct json_string string)
{
    struct bytes text = string.raw;

    if (!string.has_escapes)
        return text;
    text = (struct bytes){.data = read->text, .size = json_scan_decode(string, read->text)};
    read->text += text.size;
    return text;
}

static bool read_page_metadata(struct page_read *read)
{
    struct json_scan scan;

    if (!open_column(read, PAGE_METADATAS, &scan))
        return false;
    for (uint32_t i = 0; i < read->page->count; i++)
        if (!take_page_metadata(read, &scan, &read->page->records[i]))
            return false;
    return !json_scan_element(&scan) || refuse_page(read, "columns of different lengths");
}

static bool take_page_metadata(struct page_read *read, struct json_scan *scan,
                               struct mirror_page_record *record)
{
    struct mirror_metadata *metadata;
    struct bytes            json;

    if (!json_scan_element(scan))
        return refuse_page(read, "columns of different lengths");
    json_scan_value(scan, &json);
    read->status = mirror_metadata_read(json, MIRROR_SOURCE_ANSWER, &metadata, &read->reason);
    if (read->status != STATUS_OK)
        return false;
    record->metadata = metadata;
    if (metadata->count > 0)
        record->value.metadata = json;
    for (size_t i = 0; i < metadata->count; i++)
        if (metadata->fields[i].type == MIRROR_TYPE_NULL)
            return refuse_page(read, "an answer with metadata that is null");
    return true;
}

static bool read_page_vectors(struct page_read *read)
{
    struct mirror_page *page = read->page;
    struct json_scan    scan;

    if (!open_column(read, PAGE_EMBEDDINGS, &scan) || !find_dimension(read, scan))
        return false;
    page->vectors = malloc((size_t)page->count * page->dimension * sizeof *page->vectors);
    if (page->vectors == NULL) {
        read->status = STATUS_NO_MEMORY;
        return false;
    }
    for (uint32_t i = 0; i < page->count; i++)
        if (!take_page_vector(read, &scan, page->vectors + (size_t)i * page->dimension))
            return false;
    return !json_scan_element(&scan) || refuse_page(read, "columns of different lengths");
}

/* That of the first vector. Each number takes two bytes, so what is allocated for all of them is at
 * most twice the size of the column. */
static bool find_dimension(struct page_read *read, struct json_scan scan)
{
    struct mirror_page *page = read->page;
    size_t              count = 0, room = read->columns[PAGE_EMBEDDINGS].size / 2;
    bool                are_safe = true;

    if (!json_scan_element(&scan) || !json_scan_array(&scan))
        return refuse_page(read, "an answer with a vector that is none");
    while (json_scan_element(&scan))
        if (!json_scan_numbers(&scan, &count, &are_safe))
            return refuse_page(read, "an answer with a vector that is none");
    if (count == 0 || count > room / page->count)
        return refuse_page(read, "an answer with vectors of different dimensions");
    page->dimension = (uint32_t)count;
    return true;
}

/* What is taken fast gives 0 for -0: then the vector is taken again, number by number. */
static bool take_page_vector(struct page_read *read, struct json_scan *scan, float *ret_vector)
{
    size_t           dimension = read->page->dimension;
    struct json_scan start;
    bool             is_fast = true;

    if (!json_scan_element(scan) || !json_scan_array(scan))
        return refuse_page(read, "an answer with a vector that is none");
    start = *scan;
    for (;;) {
        size_t count = 0;

        while (json_scan_element(scan)) {
            size_t taken = 0;

            if (count < dimension && is_fast)
                taken = json_floats_take(scan, ret_vector + count, dimension - count);
            if (count < dimension && taken == 0)
                taken = take_exact_float(scan, ret_vector + count);
            if (taken == 0)
                return refuse_page(read, "an answer with a vector that is none, or another "
                                         "dimension");
            count += taken;
        }
        if (count != dimension)
            return refuse_page(read, "an answer with vectors of different dimensions");
        if (!is_fast || !has_zero(ret_vector, dimension))
            return true;
        is_fast = false;
        *scan = start;
    }
}

static bool has_zero(const float *vector, size_t dimension)
{
    bool found = false;

    for (size_t i = 0; i < dimension; i++)
        found |= vector[i] == 0;
    return found;
}

/* The nearest float to what stands there, which Chroma has written with the fewest digits that mean
 * no other. */
static size_t take_exact_float(struct json_scan *scan, float *ret_float)
{
    struct json_number number;
    char               buffer[64];

    if (json_scan_kind(scan) != JSON_KIND_NUMBER || !json_scan_number(scan, &number) ||
        number.raw.size >= sizeof buffer)
        return 0;
    memcpy(buffer, number.raw.data, number.raw.size);
    buffer[number.raw.size] = '\0';
    *ret_float = strtof(buffer, NULL);
    return isfinite(*ret_float) ? 1 : 0;
}

static bool refuse_page(struct page_read *read, const char *reason)
{
    read->status = STATUS_NOT_IMPLEMENTED;
    read->reason = reason;
    return false;
}
