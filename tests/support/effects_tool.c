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

#include "base/compiler.h"
#include "mirror/metadata_merge.h"
#include "mirror/record_delete.h"
#include "mirror/record_effects.h"
#include "json/json_scan.h"

enum { RECORDS_MAX = 100000 };

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

static const unsigned char secret[SIPHASH_KEY_SIZE] = "secret";
static struct record_set  *set;

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
    const char *reason = "no memory";
    enum status status = record_effects_write(set, operation, body, &reason);

    if (status == STATUS_OK)
        puts("ok");
    else if (status == STATUS_NOT_IMPLEMENTED)
        printf("unknown %s\n", reason);
    else
        fail_with(reason);
}

static void answer_delete(struct bytes body)
{
    const char *reason = "no memory";
    size_t      count;
    enum status status = record_delete_apply(set, body, &count, &reason);

    if (status == STATUS_OK)
        printf("deleted %zu\n", count);
    else if (status == STATUS_NOT_IMPLEMENTED)
        printf("unknown %s\n", reason);
    else
        fail_with(reason);
}

static bool text_is(struct json_scan *scan, const char *text, size_t size)
{
    struct json_string string;
    char              *decoded;
    bool               is_same;

    if (json_scan_kind(scan) != JSON_KIND_STRING) {
        json_scan_value(scan, NULL);
        return text == NULL;
    }
    json_scan_string(scan, &string);
    decoded = malloc(string.raw.size + 1);
    if (decoded == NULL)
        fail_with("no memory");
    is_same = text != NULL && bytes_equal((struct bytes){.data = decoded,
                                                         .size = json_scan_decode(string, decoded)},
                                          (struct bytes){.data = text, .size = size});
    free(decoded);
    return is_same;
}

static bool metadata_is(struct json_scan *scan, const struct mirror_metadata *metadata)
{
    struct mirror_metadata *read;
    struct bytes            json;
    const char             *reason = "no memory";
    bool                    is_same;

    json_scan_value(scan, &json);
    if (mirror_metadata_read(json, MIRROR_SOURCE_ANSWER, &read, &reason) != STATUS_OK)
        fail_with(reason);
    is_same = metadata_merge_equal(read, metadata);
    mirror_metadata_free(read);
    return is_same;
}

static bool vector_is(struct json_scan *scan, const struct record *record)
{
    struct json_number number;
    int64_t            integer;
    double             real;
    size_t             count = 0;
    bool               is_same = true;

    json_scan_array(scan);
    for (; json_scan_element(scan) && json_scan_number(scan, &number); count++) {
        json_number_read(number, &integer, &real);
        is_same = is_same && count < record->dimension && (float)real == record->vector[count];
    }
    return is_same && count == record->dimension;
}

/* The column in which the next of the answer is not `record`; COLUMNS: it is. */
static enum column compare_record(struct json_scan scans[COLUMNS], const struct record *record)
{
    for (size_t i = 0; i < COLUMNS; i++)
        if (!json_scan_element(&scans[i]))
            return COLUMN_IDS;
    if (!text_is(&scans[COLUMN_IDS], record->id.data, record->id.size))
        return COLUMN_IDS;
    if (!vector_is(&scans[COLUMN_EMBEDDINGS], record))
        return COLUMN_EMBEDDINGS;
    if (!metadata_is(&scans[COLUMN_METADATAS], record->metadata))
        return COLUMN_METADATAS;
    if (!text_is(&scans[COLUMN_DOCUMENTS], record->document, record->document_size))
        return COLUMN_DOCUMENTS;
    return text_is(&scans[COLUMN_URIS], record->uri, record->uri_size) ? COLUMNS : COLUMN_URIS;
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
    struct filter   *filter;
    struct record   *record;
    const char      *reason = "no memory";

    if (filter_new(members[MEMBER_WHERE], members[MEMBER_WHERE_DOCUMENT], &filter, &reason) !=
        STATUS_OK)
        fail_with(reason);
    take_members(members[MEMBER_ANSWER], column_names, COLUMNS, columns);
    for (size_t i = 0; i < COLUMNS; i++) {
        json_scan_init(&scans[i], columns[i]);
        json_scan_array(&scans[i]);
    }
    while (column == COLUMNS && limit > 0 && (record = record_set_next(set, &position)) != NULL) {
        struct filter_subject subject = record_set_subject(record);

        if (!filter_matches(filter, &subject))
            continue;
        if (offset > 0) {
            offset--;
            continue;
        }
        limit--;
        column = compare_record(scans, record);
    }
    if (column == COLUMNS && json_scan_element(&scans[COLUMN_IDS]))
        column = COLUMN_IDS;
    if (column == COLUMNS)
        puts("same");
    else
        printf("differs: %s\n", column_names[column]);
    filter_free(filter);
}

static void forget_records(void)
{
    record_set_free(set);
    set = record_set_new(secret, RECORDS_MAX);
    if (set == NULL)
        fail_with("no memory");
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

    forget_records();
    while ((size = getline(&line, &room, stdin)) > 0)
        take_line((struct bytes){.data = line, .size = (size_t)size});
    record_set_free(set);
    free(line);
    return EXIT_SUCCESS;
}
