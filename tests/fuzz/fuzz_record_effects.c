/* What is written is found in its order, an add that comes again changes nothing, and what a delete
 * has taken away it does not take again; what cannot be read changes nothing.
 *
 * The first byte chooses the request, the rest is its body. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/record_delete.h"
#include "mirror/record_effects.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RECORDS_MAX = 1000 };

static struct record_set *new_set(void)
{
    static const unsigned char secret[SIPHASH_KEY_SIZE] = "secret";
    const char                *reason;
    struct record_set         *set = record_set_new(secret, RECORDS_MAX);

    if (set == NULL ||
        record_effects_write(set, CHROMA_OPERATION_ADD,
                             BYTES_LITERAL("{\"ids\":[\"a\",\"b\",\"c\"],\"embeddings\":[[1],[2],"
                                           "[3]],\"metadatas\":[{\"k\":1},{\"k\":[\"x\"]},null],"
                                           "\"documents\":[\"one\",null,\"\"]}"),
                             &reason) != STATUS_OK)
        abort();
    return set;
}

/* How many there are, in both ways of counting. */
static size_t count_records(const struct record_set *set)
{
    size_t position = 0, count = 0;

    for (struct record *record; (record = record_set_next(set, &position)) != NULL; count++)
        if (record_set_get(set, record->id) != record)
            abort();
    if (count != record_set_count(set))
        abort();
    return count;
}

static void try_write(struct record_set *set, enum chroma_operation operation, struct bytes body)
{
    const char *reason = NULL;
    size_t      count;
    enum status status = record_effects_write(set, operation, body, &reason);

    count = count_records(set);
    if ((status != STATUS_OK && status != STATUS_LIMIT_REACHED && count != 3) ||
        (operation == CHROMA_OPERATION_UPDATE && count != 3))
        abort();
    if (status == STATUS_OK && (record_effects_write(set, operation, body, &reason) != STATUS_OK ||
                                count_records(set) != count))
        abort();
}

static void try_delete(struct record_set *set, struct bytes body)
{
    const char *reason = NULL;
    size_t      taken, again, count;

    if (record_delete_apply(set, body, &taken, &reason) != STATUS_OK) {
        if (reason == NULL || count_records(set) != 3)
            abort();
        return;
    }
    count = count_records(set);
    if (3 - count > taken || record_delete_apply(set, body, &again, &reason) != STATUS_OK ||
        (again != 0 && again != taken) || count_records(set) != count)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum chroma_operation operations[] = {
        CHROMA_OPERATION_ADD, CHROMA_OPERATION_UPSERT, CHROMA_OPERATION_UPDATE};
    struct record_set *set;
    struct bytes       body;

    if (size == 0)
        return 0;
    set = new_set();
    body = (struct bytes){.data = (const char *)data + 1, .size = size - 1};
    if (data[0] % 4 == 3)
        try_delete(set, body);
    else
        try_write(set, operations[data[0] % 4], body);
    record_set_free(set);
    return 0;
}
