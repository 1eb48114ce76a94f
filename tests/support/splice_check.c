#include "support/splice_check.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "chroma/chroma_batch.h"
#include "json/json_simd.h"

enum { MEMBERS_MAX = 64, RECORDS_MAX = 4096 };

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);          \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static json_t *load(struct bytes text)
{
    return json_loadb(text.data, text.size, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
}

/* All tables must say the same. */
static bool scan_by_all(enum chroma_operation operation, struct bytes body,
                        struct chroma_records *ret_records)
{
    static const char *const names[] = {"avx512", "avx2", "scalar"};
    const char              *first_reason = NULL, *reason;
    int                      first = -1;

    for (size_t i = 0; i < 3; i++) {
        enum status status;

        if (!json_simd_use(names[i]))
            continue;
        if (first == STATUS_OK)
            chroma_records_done(ret_records);
        reason = NULL;
        status = chroma_records_scan(operation, body, RECORDS_MAX, ret_records, &reason);
        CHECK(first == -1 || ((int)status == first && reason == first_reason));
        first = (int)status;
        first_reason = reason;
    }
    return first == STATUS_OK;
}

static void check_vectors(const struct chroma_records *records, const json_t *column)
{
    bool    has_vector = false;
    size_t  index;
    json_t *vector;

    json_array_foreach(column, index, vector)
    {
        if (json_is_null(vector))
            continue;
        has_vector = true;
        if (records->encoding == CHROMA_ENCODING_ARRAYS)
            CHECK(json_array_size(vector) == records->dimension);
        else
            CHECK(json_string_length(vector) == (records->dimension * 4 + 2) / 3 * 4);
    }
    CHECK(has_vector == (records->dimension > 0));
    CHECK(has_vector == (records->encoding != CHROMA_ENCODING_NONE));
}

/* Numbers are reals here, all of them. */
static unsigned types_of(const json_t *value)
{
    const unsigned number = METADATA_TYPE_INT | METADATA_TYPE_FLOAT;

    if (json_is_array(value))
        value = json_array_get(value, 0);
    return json_is_boolean(value)  ? METADATA_TYPE_BOOL
           : json_is_string(value) ? METADATA_TYPE_STRING
           : json_is_number(value) ? number
                                   : 0;
}

/* Unless it says that it is partial, every key of every record is in the set, with its type. */
static void check_metadata_keys(const struct chroma_records *records, const json_t *column)
{
    const struct metadata_keys *keys = &records->metadata;
    const char                 *name;
    json_t                     *record, *value;
    size_t                      index;

    if (keys->is_partial)
        return;
    json_array_foreach(column, index, record)
    {
        json_object_foreach(record, name, value)
        {
            unsigned place = 0;

            while (place < keys->count &&
                   !bytes_equal(metadata_keys_text(keys, &keys->keys[place]), bytes_of(name)))
                place++;
            CHECK(types_of(value) == 0 ||
                  (place < keys->count && (keys->keys[place].types & types_of(value)) != 0));
        }
    }
}

static void check_member(const struct chroma_records *records, const json_t *body)
{
    json_t     *value, *ids = json_object_get(body, "ids");
    const char *key;
    size_t      index;

    CHECK(json_array_size(ids) == records->count && records->count > 0);
    json_array_foreach(ids, index, value)
    {
        CHECK(json_string_length(value) == records->ids[index].size);
        CHECK(memcmp(json_string_value(value), records->ids[index].data,
                     records->ids[index].size) == 0);
    }
    json_object_foreach((json_t *)(uintptr_t)body, key, value)
    {
        enum chroma_column column = 0;

        while (strcmp(key, chroma_records_column_name(column)) != 0)
            CHECK(++column < CHROMA_COLUMN_COUNT);
        CHECK((records->columns[column].data == NULL) == json_is_null(value));
        CHECK(json_is_null(value) || json_array_size(value) == records->count);
    }
    check_vectors(records, json_object_get(body, "embeddings"));
    check_metadata_keys(records, json_object_get(body, "metadatas"));
}

/* What the splice of the bodies should be. */
static json_t *concatenate(const struct chroma_batch_member *members, json_t **bodies, size_t count)
{
    json_t *all = json_object();

    for (enum chroma_column column = 0; column < CHROMA_COLUMN_COUNT; column++) {
        const char *name = chroma_records_column_name(column);
        json_t     *values = json_array();
        bool        is_present = false;

        for (size_t i = 0; i < count; i++) {
            json_t *part = json_object_get(bodies[i], name);

            is_present = is_present || json_is_array(part);
            if (json_is_array(part))
                json_array_extend(values, part);
            for (size_t k = 0; !json_is_array(part) && k < members[i].records->count; k++)
                json_array_append_new(values, json_null());
        }
        if (is_present)
            json_object_set_new(all, name, values);
        else
            json_decref(values);
    }
    return all;
}

static void check_batch(const struct chroma_batch_member *members, size_t count,
                        const json_t *expected)
{
    struct chroma_batch *batch = chroma_batch_new(members, count);
    char                *text;
    size_t               size = 0;
    json_t              *parsed;

    CHECK(batch != NULL);
    text = malloc(batch->size);
    CHECK(text != NULL);
    for (size_t i = 0; i < batch->part_count; i++) {
        CHECK(size + batch->parts[i].size <= batch->size);
        memcpy(text + size, batch->parts[i].data, batch->parts[i].size);
        size += batch->parts[i].size;
    }
    CHECK(size == batch->size);
    parsed = load((struct bytes){.data = text, .size = size});
    CHECK(parsed != NULL && json_equal(parsed, expected));
    json_decref(parsed);
    free(text);
    chroma_batch_free(batch);
}

static void check_all(const struct chroma_batch_member *members, json_t **bodies, size_t count)
{
    struct chroma_batch_member halves[2 * MEMBERS_MAX];
    size_t                     half_count = 0;
    json_t                    *expected = concatenate(members, bodies, count);

    check_batch(members, count, expected);
    for (size_t i = 0; i < count; i++) {
        size_t half = members[i].count / 2;

        if (half > 0)
            halves[half_count++] = (struct chroma_batch_member){members[i].records, 0, half};
        halves[half_count++] =
            (struct chroma_batch_member){members[i].records, half, members[i].count - half};
    }
    check_batch(halves, half_count, expected);
    json_decref(expected);
}

size_t splice_check(enum chroma_operation operation, const struct bytes *bodies, size_t count)
{
    struct chroma_records      records[MEMBERS_MAX];
    struct chroma_batch_member members[MEMBERS_MAX];
    json_t                    *parsed[MEMBERS_MAX];
    size_t                     used = 0;

    for (size_t i = 0; i < count && used < MEMBERS_MAX; i++) {
        if (!scan_by_all(operation, bodies[i], &records[used]))
            continue;
        parsed[used] = load(bodies[i]);
        /* jansson cannot hold all numbers that Chroma can. */
        if (parsed[used] == NULL ||
            (used > 0 && (records[used].encoding != records[0].encoding ||
                          records[used].dimension != records[0].dimension))) {
            json_decref(parsed[used]);
            chroma_records_done(&records[used]);
            continue;
        }
        check_member(&records[used], parsed[used]);
        members[used] = (struct chroma_batch_member){&records[used], 0, records[used].count};
        used++;
    }
    if (used > 0)
        check_all(members, parsed, used);
    for (size_t i = 0; i < used; i++) {
        json_decref(parsed[i]);
        chroma_records_done(&records[i]);
    }
    return used;
}
