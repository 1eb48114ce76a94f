/* effects_tool - what mirror/ makes of writes and deletes, for tests in other languages
 *
 * Takes JSON, one object in each line, and answers each with a line:
 *
 *   {"add": BODY}, likewise "upsert" and "update"  "ok", or "unknown <why>": nothing changed
 *   {"delete": BODY}                               "deleted 3", or "unknown <why>"
 *   {"answer": .., "where": .., "where_document": .., "offset": .., "limit": ..}
 *         "same" if this is what a `get` that asks for everything must answer; "differs: <where>"
 *   {"forget": true}                               "ok"; there are no records any more
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/compiler.h"
#include "mirror/filter.h"
#include "mirror/metadata_merge.h"
#include "mirror/record_delete.h"
#include "mirror/record_effects.h"
#include "json/json_scan.h"

enum member {
    MEMBER_ADD,
    MEMBER_UPSERT,
    MEMBER_UPDATE,
    MEMBER_DELETE,
    MEMBER_ANSWER,
    MEMBER_WHERE,
    MEMBER_WHERE_DOCUMENT,
    MEMBER_OFFSET,
    MEMBER_LIMIT,
    MEMBER_FORGET,
    MEMBER_COUNT
};

static const char *const member_names[MEMBER_COUNT] = {
    "add",   "upsert",         "update", "delete", "answer",
    "where", "where_document", "offset", "limit",  "forget"};

enum column {
    COLUMN_IDS,
    COLUMN_EMBEDDINGS,
    COLUMN_METADATAS,
    COLUMN_DOCUMENTS,
    COLUMN_URIS,
    COLUMNS
};

static const char *const column_names[COLUMNS] = {"ids", "embeddings", "metadatas", "documents",
                                                  "uris"};

static char                   directory[] = "/tmp/effects_tool.XXXXXX", path[64];
static struct mirror_records *records;
static struct mirror_reader  *reader;

static void fail_with(const char *what)
{
    fprintf(stderr, "effects_tool: %s\n", what);
    exit(EXIT_FAILURE);
}

static void take_members(struct bytes object, const char *const *names, size_t count,
                         struct bytes *ret_values)
{
    struct json_scan   scan;
    struct json_string key;

    json_scan_init(&scan, object);
    json_scan_object(&scan);
    while (json_scan_member(&scan, &key)) {
        size_t i = 0;

        while (i < count && !json_scan_equals(key, bytes_of(names[i])))
            i++;
        json_scan_value(&scan, i < count && json_scan_kind(&scan) != JSON_KIND_NULL ? &ret_values[i]
                                                                                    : NULL);
    }
    if (!json_scan_end(&scan))
        fail_with("not a JSON object");
}

static void answer_write(enum chroma_operation operation, struct bytes body)
{
    static const struct mirror_moments moments = {1, 2};
    const char                        *reason = "no memory";
    struct record_effects             *effects;
    enum status status = record_effects_read(operation, body, &effects, &reason);

    if (status == STATUS_NOT_IMPLEMENTED) {
        printf("unknown %s\n", reason);
        return;
    }
    mirror_reader_end(reader);
    if (status == STATUS_OK)
        status = mirror_records_begin(records);
    if (status == STATUS_OK)
        status = record_effects_apply(effects, records, &moments, &reason);
    if (status == STATUS_OK)
        status = mirror_records_commit(records);
    if (status == STATUS_OK)
        status = mirror_reader_begin(reader);
    if (status != STATUS_OK)
        fail_with(status == STATUS_NOT_IMPLEMENTED ? reason : status_text(status));
    record_effects_free(effects);
    puts("ok");
}

static void answer_delete(struct bytes body)
{
    const char          *reason = "no memory";
    struct record_delete found;
    enum status          status = record_delete_find(records, reader, body, &found, &reason);

    if (status == STATUS_NOT_IMPLEMENTED) {
        printf("unknown %s\n", reason);
        return;
    }
    if (status == STATUS_OK) {
        mirror_reader_end(reader);
        status = mirror_records_begin(records);
    }
    if (status == STATUS_OK)
        status = record_delete_apply(records, &found);
    if (status == STATUS_OK)
        status = mirror_records_commit(records);
    if (status != STATUS_OK || mirror_reader_begin(reader) != STATUS_OK)
        fail_with(status_text(status));
    printf("deleted %zu\n", found.count);
    record_delete_done(&found);
}

static bool text_is(struct json_scan *scan, bool has_text, struct bytes text)
{
    struct json_string string;
    char              *decoded;
    bool               is_same;

    if (json_scan_kind(scan) != JSON_KIND_STRING) {
        json_scan_value(scan, NULL);
        return !has_text;
    }
    json_scan_string(scan, &string);
    decoded = malloc(string.raw.size + 1);
    if (decoded == NULL)
        fail_with("no memory");
    is_same = has_text &&
              bytes_equal(
                  (struct bytes){.data = decoded, .size = json_scan_decode(string, decoded)}, text);
    free(decoded);
    return is_same;
}

static struct mirror_metadata *read_metadata(struct bytes json)
{
    struct mirror_metadata *metadata = NULL;
    const char             *reason = "no memory";

    if (json.size > 0 &&
        mirror_metadata_read(json, MIRROR_SOURCE_ANSWER, &metadata, &reason) != STATUS_OK)
        fail_with(reason);
    return metadata;
}

static bool metadata_is(struct json_scan *scan, struct bytes kept_json)
{
    struct mirror_metadata *read, *kept = read_metadata(kept_json);
    struct bytes            json;
    bool                    is_same;

    json_scan_value(scan, &json);
    read = read_metadata(json);
    is_same = metadata_merge_equal(read, kept);
    mirror_metadata_free(read);
    mirror_metadata_free(kept);
    return is_same;
}

static bool vector_is(struct json_scan *scan, uint32_t row)
{
    static float       vector[1024];
    struct json_number number;
    int64_t            integer;
    double             real;
    size_t             count = 0, dimension = mirror_records_dimension(records);
    bool               is_same = mirror_reader_vector(reader, row, vector) == STATUS_OK;

    json_scan_array(scan);
    for (; json_scan_element(scan) && json_scan_number(scan, &number); count++) {
        json_number_read(number, &integer, &real);
        is_same = is_same && count < dimension && (float)real == vector[count];
    }
    return is_same && count == dimension;
}

/* The column in which the next of the answer is not the record; COLUMNS: it is. */
static enum column compare_record(struct json_scan scans[COLUMNS], uint32_t row,
                                  const struct mirror_value *value)
{
    for (size_t i = 0; i < COLUMNS; i++)
        if (!json_scan_element(&scans[i]))
            return COLUMN_IDS;
    if (!text_is(&scans[COLUMN_IDS], true, mirror_records_id(records, row)))
        return COLUMN_IDS;
    if (!vector_is(&scans[COLUMN_EMBEDDINGS], row))
        return COLUMN_EMBEDDINGS;
    if (!metadata_is(&scans[COLUMN_METADATAS], value->metadata))
        return COLUMN_METADATAS;
    if (!text_is(&scans[COLUMN_DOCUMENTS], value->has_document, value->document))
        return COLUMN_DOCUMENTS;
    return text_is(&scans[COLUMN_URIS], value->has_uri, value->uri) ? COLUMNS : COLUMN_URIS;
}

static size_t number_of(struct bytes text, size_t otherwise)
{
    return text.data == NULL ? otherwise : (size_t)strtoul(text.data, NULL, 10);
}

static void answer_comparison(const struct bytes members[MEMBER_COUNT])
{
    struct bytes     columns[COLUMNS] = {{.data = NULL}};
    struct json_scan scans[COLUMNS];
    size_t           position = 0, offset = number_of(members[MEMBER_OFFSET], 0);
    size_t           limit = number_of(members[MEMBER_LIMIT], SIZE_MAX);
    enum column      column = COLUMNS;
    const uint64_t  *bitmap;
    uint32_t         row, bits, count;
    struct filter   *filter;
    const char      *reason = "no memory";

    if (filter_new(members[MEMBER_WHERE], members[MEMBER_WHERE_DOCUMENT], &filter, &reason) !=
        STATUS_OK)
        fail_with(reason);
    take_members(members[MEMBER_ANSWER], column_names, COLUMNS, columns);
    for (size_t i = 0; i < COLUMNS; i++) {
        json_scan_init(&scans[i], columns[i]);
        json_scan_array(&scans[i]);
    }
    if (mirror_reader_filter(reader, filter, &bitmap, &bits, &count) != STATUS_OK)
        fail_with("a filter");
    while (column == COLUMNS && limit > 0 && mirror_records_next(records, &position, &row)) {
        struct mirror_value value;

        if (row >= bits || (bitmap[row / 64] >> row % 64 & 1) == 0)
            continue;
        if (offset > 0) {
            offset--;
            continue;
        }
        limit--;
        if (mirror_reader_value(reader, row, &value) != STATUS_OK)
            fail_with("a value");
        column = compare_record(scans, row, &value);
    }
    if (column == COLUMNS && json_scan_element(&scans[COLUMN_IDS]))
        column = COLUMN_IDS;
    if (column == COLUMNS)
        puts("same");
    else
        printf("differs: %s\n", column_names[column]);
    filter_free(filter);
}

static void close_records(void)
{
    if (reader != NULL)
        mirror_reader_end(reader);
    mirror_reader_free(reader);
    mirror_records_free(records);
}

static void forget_records(void)
{
    struct mirror_records_options options = {.path = path, .space = COLLECTION_SPACE_L2};
    struct error                  error = {.text = "no memory"};

    close_records();
    if (mirror_records_new(&options, &records, &error) != STATUS_OK ||
        mirror_reader_new(records, &reader) != STATUS_OK ||
        mirror_reader_begin(reader) != STATUS_OK)
        fail_with(error.text);
}

static void take_line(struct bytes line)
{
    struct bytes members[MEMBER_COUNT] = {{.data = NULL}};

    take_members(line, member_names, MEMBER_COUNT, members);
    if (members[MEMBER_ADD].data != NULL)
        answer_write(CHROMA_OPERATION_ADD, members[MEMBER_ADD]);
    else if (members[MEMBER_UPSERT].data != NULL)
        answer_write(CHROMA_OPERATION_UPSERT, members[MEMBER_UPSERT]);
    else if (members[MEMBER_UPDATE].data != NULL)
        answer_write(CHROMA_OPERATION_UPDATE, members[MEMBER_UPDATE]);
    else if (members[MEMBER_DELETE].data != NULL)
        answer_delete(members[MEMBER_DELETE]);
    else if (members[MEMBER_ANSWER].data != NULL)
        answer_comparison(members);
    else {
        forget_records();
        puts("ok");
    }
    fflush(stdout);
}

int main(void)
{
    char   *line = NULL;
    size_t  room = 0;
    ssize_t size;

    if (mkdtemp(directory) == NULL)
        fail_with("no directory");
    snprintf(path, sizeof path, "%s/copy", directory);
    forget_records();
    while ((size = getline(&line, &room, stdin)) > 0)
        take_line((struct bytes){.data = line, .size = (size_t)size});
    close_records();
    rmdir(directory);
    free(line);
    return EXIT_SUCCESS;
}
