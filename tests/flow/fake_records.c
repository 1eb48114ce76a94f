#include "flow/fake_records.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t fake_records_read(struct bytes body, const char *key,
                         char ret[FAKE_RECORDS_MAX][FAKE_RECORDS_TEXT])
{
    char        pattern[40];
    const char *at, *end;
    size_t      count = 0, size = (size_t)snprintf(pattern, sizeof pattern, "\"%s\":[", key);

    at = body.size == 0 ? NULL : memmem(body.data, body.size, pattern, size);
    if (at == NULL)
        return 0;
    end = body.data + body.size;
    for (at += size; at < end && *at == '"'; at += at < end && *at == ',') {
        const char *close = memchr(at + 1, '"', (size_t)(end - at) - 1);

        assert(close != NULL && close - at - 1 < FAKE_RECORDS_TEXT && count < FAKE_RECORDS_MAX);
        memcpy(ret[count], at + 1, (size_t)(close - at) - 1);
        ret[count++][close - at - 1] = '\0';
        at = close + 1;
    }
    return count;
}

struct fake_record *fake_records_find(struct fake_records *records, const char *id)
{
    for (size_t i = 0; i < records->count; i++) {
        if (strcmp(records->list[i].id, id) == 0)
            return &records->list[i];
    }
    return NULL;
}

struct fake_record *fake_records_append(struct fake_records *records, const char *id,
                                        const char *document)
{
    struct fake_record *record = &records->list[records->count++];

    assert(records->count < FAKE_RECORDS_MAX);
    *record = (struct fake_record){0};
    strcpy(record->id, id);
    strcpy(record->document, document);
    return record;
}

void fake_records_remove(struct fake_records *records, struct fake_record *record)
{
    size_t at = (size_t)(record - records->list);

    memmove(record, record + 1, (--records->count - at) * sizeof *record);
}

bool fake_records_is_filtered(const struct fake_record *record)
{
    return record->id[0] == 'x';
}

static size_t remove_filtered(struct fake_records *records)
{
    size_t removed = 0;

    for (size_t i = records->count; i > 0; i--) {
        if (fake_records_is_filtered(&records->list[i - 1])) {
            fake_records_remove(records, &records->list[i - 1]);
            removed++;
        }
    }
    return removed;
}

size_t fake_records_write(struct fake_records *records, const char *operation, struct bytes body)
{
    static char ids[FAKE_RECORDS_MAX][FAKE_RECORDS_TEXT];
    static char documents[FAKE_RECORDS_MAX][FAKE_RECORDS_TEXT];
    size_t      count = fake_records_read(body, "ids", ids), removed = 0;

    if (strcmp(operation, "delete") == 0 && count == 0)
        return remove_filtered(records);
    fake_records_read(body, "documents", documents);
    for (size_t i = 0; i < count; i++) {
        struct fake_record *found = fake_records_find(records, ids[i]);

        if (strcmp(operation, "delete") == 0 && found != NULL) {
            fake_records_remove(records, found);
            removed++;
        } else if (found != NULL && strcmp(operation, "add") != 0) {
            strcpy(found->document, documents[i]);
        } else if (found == NULL &&
                   (strcmp(operation, "add") == 0 || strcmp(operation, "upsert") == 0)) {
            fake_records_append(records, ids[i], documents[i]);
        }
    }
    return removed;
}

static void put(struct byte_buffer *out, const char *text)
{
    if (byte_buffer_append(out, bytes_of(text), SIZE_MAX) != STATUS_OK)
        abort();
}

static void put_column(struct byte_buffer *out, struct fake_record **found, size_t count,
                       bool is_id)
{
    for (size_t i = 0; i < count; i++) {
        put(out, i == 0 ? "\"" : ",\"");
        put(out, is_id ? found[i]->id : found[i]->document);
        put(out, "\"");
    }
}

void fake_records_get(struct fake_records *records, struct bytes body, struct byte_buffer *out)
{
    static char         ids[FAKE_RECORDS_MAX][FAKE_RECORDS_TEXT];
    size_t              asked = fake_records_read(body, "ids", ids), count = 0;
    bool                is_filtered = memmem(body.data, body.size, "\"where", 6) != NULL;
    struct fake_record *found[FAKE_RECORDS_MAX];

    for (size_t i = 0; i < records->count; i++) {
        bool is_asked = asked == 0;

        for (size_t j = 0; j < asked; j++)
            is_asked |= strcmp(ids[j], records->list[i].id) == 0;
        if (is_asked && (!is_filtered || fake_records_is_filtered(&records->list[i])))
            found[count++] = &records->list[i];
    }
    put(out, "{\"ids\":[");
    put_column(out, found, count, true);
    put(out, "],\"documents\":[");
    put_column(out, found, count, false);
    put(out, "]}");
}
