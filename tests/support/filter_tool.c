/* filter_tool - what mirror/ says of records and filters, for tests in other languages
 *
 * Takes JSON, one object in each line, and answers each but the first two kinds with a line:
 *
 *   {"metadata": {..}|null, "document": ".."|null}  one more record
 *   {"forget": true}                                there are no records any more
 *   {"where": .., "where_document": ..}             "match 0 5 7": the records, in their order;
 *                                                   "invalid Invalid where clause", "ask <why>"
 *   {"numbers": [..]}                               "integer 5", "double 1.5": what is stored of
 * each
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/filter.h"
#include "json/json_scan.h"

enum { RECORDS_MAX = 100000 };

struct tool_record {
    struct filter_subject   subject;
    struct mirror_metadata *metadata;
    char                   *document;
};

static struct tool_record records[RECORDS_MAX];
static size_t             record_count;

static void fail_with(const char *what)
{
    fprintf(stderr, "filter_tool: %s\n", what);
    exit(EXIT_FAILURE);
}

static void forget_records(void)
{
    for (size_t i = 0; i < record_count; i++) {
        mirror_metadata_free(records[i].metadata);
        free(records[i].document);
    }
    record_count = 0;
}

static void add_record(struct bytes metadata, struct bytes document)
{
    struct tool_record *record = &records[record_count];
    struct json_scan    scan;
    struct json_string  string;
    const char         *reason = "no memory";

    if (record_count == RECORDS_MAX)
        fail_with("too many records");
    *record = (struct tool_record){.document = NULL};
    if (mirror_metadata_read(metadata, MIRROR_SOURCE_WRITE, &record->metadata, &reason) !=
        STATUS_OK)
        fail_with(reason);
    record->subject.metadata = record->metadata;
    json_scan_init(&scan, document);
    if (json_scan_kind(&scan) == JSON_KIND_STRING && json_scan_string(&scan, &string)) {
        record->document = malloc(string.raw.size + 1);
        if (record->document == NULL)
            fail_with(reason);
        record->subject.document = (struct bytes){
            .data = record->document, .size = json_scan_decode(string, record->document)};
        record->subject.has_document = true;
    }
    record_count++;
}

static void answer_filter(struct bytes where, struct bytes where_document)
{
    struct filter *filter;
    const char    *reason = NULL;
    enum status    status = filter_new(where, where_document, &filter, &reason);

    if (status == STATUS_NO_MEMORY)
        fail_with("no memory");
    if (status != STATUS_OK) {
        printf("%s %s\n", status == STATUS_INVALID ? "invalid" : "ask", reason);
        return;
    }
    fputs("match", stdout);
    for (size_t i = 0; i < record_count; i++)
        if (filter_matches(filter, &records[i].subject))
            printf(" %zu", i);
    puts("");
    filter_free(filter);
}

static void answer_numbers(struct bytes list)
{
    struct json_scan   scan;
    struct json_number number;
    int64_t            integer;
    double             real;

    json_scan_init(&scan, list);
    json_scan_array(&scan);
    while (json_scan_element(&scan)) {
        if (!json_scan_number(&scan, &number))
            fail_with("not a number");
        if (json_number_read(number, &integer, &real) == JSON_NUMBER_INTEGER)
            printf("integer %" PRId64 "\n", integer);
        else
            printf("double %.17g\n", json_number_reread(real));
    }
}

static void take_line(struct bytes line)
{
    enum { METADATA, DOCUMENT, WHERE, WHERE_DOCUMENT, NUMBERS, FORGET, MEMBER_COUNT };
    static const char *const names[MEMBER_COUNT] = {"metadata",       "document", "where",
                                                    "where_document", "numbers",  "forget"};
    struct bytes             values[MEMBER_COUNT] = {{.data = NULL}};
    struct json_scan         scan;
    struct json_string       key;

    json_scan_init(&scan, line);
    json_scan_object(&scan);
    while (json_scan_member(&scan, &key)) {
        size_t i = 0;

        while (i < MEMBER_COUNT && !json_scan_equals(key, bytes_of(names[i])))
            i++;
        json_scan_value(&scan, i < MEMBER_COUNT ? &values[i] : NULL);
    }
    if (!json_scan_end(&scan))
        fail_with("not a JSON object");
    if (values[METADATA].data != NULL)
        add_record(values[METADATA], values[DOCUMENT]);
    else if (values[NUMBERS].data != NULL)
        answer_numbers(values[NUMBERS]);
    else if (values[FORGET].data != NULL)
        forget_records();
    else
        answer_filter(values[WHERE], values[WHERE_DOCUMENT]);
}

int main(void)
{
    char   *line = NULL;
    size_t  room = 0;
    ssize_t size;

    while ((size = getline(&line, &room, stdin)) > 0) {
        take_line((struct bytes){.data = line, .size = (size_t)size});
        fflush(stdout);
    }
    forget_records();
    free(line);
    return EXIT_SUCCESS;
}
