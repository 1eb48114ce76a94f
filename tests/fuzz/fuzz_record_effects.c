/* What is written is found in its order, an add that comes again changes nothing, and what a delete
 * has taken away it does not take again; what cannot be read changes nothing.
 *
 * The first byte chooses the request, the rest is its body. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mirror/record_delete.h"
#include "mirror/record_effects.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RECORDS_MAX = 1000 };

struct fuzz_set {
    char                   directory[32], path[48];
    struct mirror_records *records;
    struct mirror_reader  *reader;
};

static enum status write_body(struct fuzz_set *set, enum chroma_operation operation,
                              struct bytes body)
{
    static const struct mirror_moments moments = {1, 2};
    struct record_effects             *effects;
    const char                        *reason;
    enum status status = record_effects_read(operation, body, &effects, &reason);

    if (status != STATUS_OK)
        return status;
    status = mirror_records_begin(set->records);
    if (status == STATUS_OK)
        status = record_effects_apply(effects, set->records, &moments, &reason);
    if (status == STATUS_OK)
        status = mirror_records_commit(set->records);
    record_effects_free(effects);
    return status;
}

static enum status delete_body(struct fuzz_set *set, struct bytes body, size_t *ret_count)
{
    struct record_delete found = {.count = 0};
    const char          *reason = NULL;
    enum status          status = mirror_reader_begin(set->reader);

    if (status != STATUS_OK)
        abort();
    status = record_delete_find(set->records, set->reader, body, &found, &reason);
    mirror_reader_end(set->reader);
    if (status != STATUS_OK) {
        if (reason == NULL)
            abort();
        return status;
    }
    if (mirror_records_begin(set->records) != STATUS_OK ||
        record_delete_apply(set->records, &found) != STATUS_OK ||
        mirror_records_commit(set->records) != STATUS_OK)
        abort();
    *ret_count = found.count;
    record_delete_done(&found);
    return STATUS_OK;
}

static void open_set(struct fuzz_set *set)
{
    struct mirror_records_options options = {
        .path = set->path, .space = COLLECTION_SPACE_L2, .records_max = RECORDS_MAX};

    strcpy(set->directory,
           access("/dev/shm", W_OK) == 0 ? "/dev/shm/fuzz.XXXXXX" : "/tmp/fuzz.XXXXXX");
    if (mkdtemp(set->directory) == NULL)
        abort();
    snprintf(set->path, sizeof set->path, "%s/copy", set->directory);
    if (mirror_records_new(&options, &set->records, NULL) != STATUS_OK ||
        mirror_reader_new(set->records, &set->reader) != STATUS_OK ||
        write_body(set, CHROMA_OPERATION_ADD,
                   BYTES_LITERAL("{\"ids\":[\"a\",\"b\",\"c\"],\"embeddings\":[[1],[2],"
                                 "[3]],\"metadatas\":[{\"k\":1},{\"k\":[\"x\"]},null],"
                                 "\"documents\":[\"one\",null,\"\"]}")) != STATUS_OK)
        abort();
}

static void close_set(struct fuzz_set *set)
{
    mirror_reader_free(set->reader);
    mirror_records_free(set->records);
    if (rmdir(set->directory) != 0)
        abort();
}

/* How many there are, in both ways of counting. */
static size_t count_records(const struct fuzz_set *set)
{
    size_t   position = 0, count = 0;
    uint32_t row, found;

    for (; mirror_records_next(set->records, &position, &row); count++)
        if (mirror_records_find(set->records, mirror_records_id(set->records, row), &found) !=
                STATUS_OK ||
            found != row || mirror_records_is_hollow(set->records, row))
            abort();
    if (count != mirror_records_count(set->records))
        abort();
    return count;
}

/* After a failure that is not one of reading the records are good for nothing. */
static void try_write(struct fuzz_set *set, enum chroma_operation operation, struct bytes body)
{
    struct record_effects *effects;
    const char            *reason = NULL;
    size_t                 count;

    if (record_effects_read(operation, body, &effects, &reason) != STATUS_OK) {
        if (reason == NULL || count_records(set) != 3)
            abort();
        return;
    }
    record_effects_free(effects);
    if (write_body(set, operation, body) != STATUS_OK)
        return;
    count = count_records(set);
    if (operation == CHROMA_OPERATION_UPDATE && count != 3)
        abort();
    if (write_body(set, operation, body) != STATUS_OK || count_records(set) != count)
        abort();
}

static void try_delete(struct fuzz_set *set, struct bytes body)
{
    size_t taken, again, count;

    if (delete_body(set, body, &taken) != STATUS_OK) {
        if (count_records(set) != 3)
            abort();
        return;
    }
    count = count_records(set);
    if (3 - count > taken || delete_body(set, body, &again) != STATUS_OK ||
        (again != 0 && again != taken) || count_records(set) != count)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum chroma_operation operations[] = {
        CHROMA_OPERATION_ADD, CHROMA_OPERATION_UPSERT, CHROMA_OPERATION_UPDATE};
    struct fuzz_set set;
    struct bytes    body;

    if (size == 0)
        return 0;
    open_set(&set);
    body = (struct bytes){.data = (const char *)data + 1, .size = size - 1};
    if (data[0] % 4 == 3)
        try_delete(&set, body);
    else
        try_write(&set, operations[data[0] % 4], body);
    close_set(&set);
    return 0;
}
