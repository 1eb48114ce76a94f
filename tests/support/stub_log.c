#include "support/stub_log.h"

#include <stdlib.h>

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t size);
static uint64_t hash_record(const struct stub_payload *payload, size_t i);
static uint64_t hash_string(uint64_t hash, const char *tag, const json_t *array, size_t i);

void stub_log_done(struct stub_log *log)
{
    byte_buffer_done(&log->text);
}

void stub_log_add(struct stub_log *log, enum stub_op op, const char *collection,
                  const char *request, const json_t *ids, const struct stub_payload *payload)
{
    json_t     *line = json_object();
    char       *text, sum[17];
    enum status status;

    log->operations++;
    log->records += json_array_size(ids);
    json_object_set_new(line, "seq", json_integer((json_int_t)log->operations));
    json_object_set_new(line, "op", json_string(stub_route_op_name(op)));
    json_object_set_new(line, "collection", json_string(collection));
    if (*request != '\0')
        json_object_set_new(line, "request", json_string(request));
    json_object_set_new(line, "ids", json_copy((json_t *)(uintptr_t)ids));
    if (payload != NULL)
        json_object_set_new(line, "sums", json_array());
    for (size_t i = 0; payload != NULL && i < payload->count; i++) {
        snprintf(sum, sizeof(sum), "%016llx", (unsigned long long)hash_record(payload, i));
        json_array_append_new(json_object_get(line, "sums"), json_string(sum));
    }
    text = json_dumps(line, JSON_COMPACT);
    json_decref(line);
    status = text == NULL ? STATUS_NO_MEMORY
                          : byte_buffer_printf(&log->text, log->bytes_max, "%s\n", text);
    if (status != STATUS_OK)
        log->dropped++;
    if (log->file != NULL && text != NULL)
        fprintf(log->file, "%s\n", text);
    free(text);
}

static uint64_t hash_record(const struct stub_payload *payload, size_t i)
{
    uint64_t hash = 0xcbf29ce484222325;
    json_t  *metadata = json_array_get(payload->metadatas, i);

    if (payload->vectors != NULL && payload->has_vector[i]) {
        hash = hash_bytes(hash, "v", 1);
        hash = hash_bytes(hash, payload->vectors + i * payload->dimension,
                          payload->dimension * sizeof(float));
    }
    hash = hash_string(hash, "d", payload->documents, i);
    hash = hash_string(hash, "u", payload->uris, i);
    if (json_is_object(metadata)) {
        char *text = json_dumps(metadata, JSON_COMPACT | JSON_SORT_KEYS);

        hash = hash_bytes(hash, "m", 1);
        hash = hash_bytes(hash, text, text == NULL ? 0 : strlen(text));
        free(text);
    }
    return hash;
}

static uint64_t hash_string(uint64_t hash, const char *tag, const json_t *array, size_t i)
{
    const json_t *item = json_array_get(array, i);

    if (!json_is_string(item))
        return hash;
    hash = hash_bytes(hash, tag, 1);
    return hash_bytes(hash, json_string_value(item), json_string_length(item));
}

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t size)
{
    const unsigned char *bytes = data;

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3;
    return hash;
}

struct bytes stub_log_read(const struct stub_log *log, size_t offset)
{
    static const size_t piece_max = (size_t)8 << 20;
    struct bytes        text = byte_buffer_bytes(&log->text);

    if (offset >= text.size)
        return BYTES_LITERAL("");
    text = bytes_skip(text, offset);
    if (text.size > piece_max) {
        const char *newline = memrchr(text.data, '\n', piece_max);

        text.size = newline == NULL ? piece_max : (size_t)(newline + 1 - text.data);
    }
    return text;
}
