#include "chroma/chroma_batch.h"

#include <assert.h>
#include <stdlib.h>

#define NULLS_4   "null,null,null,null,"
#define NULLS_16  NULLS_4 NULLS_4 NULLS_4 NULLS_4
#define NULLS_64  NULLS_16 NULLS_16 NULLS_16 NULLS_16
#define NULLS_256 NULLS_64 NULLS_64 NULLS_64 NULLS_64

enum { NULLS_PER_PART = 256, NULL_SIZE = sizeof "null," - 1 };

static const char nulls[] = NULLS_256;

/* What opens each column; the first one opens the object too. */
static const char *const openings[CHROMA_COLUMN_COUNT] = {
    [CHROMA_COLUMN_IDS] = "{\"ids\":[",
    [CHROMA_COLUMN_EMBEDDINGS] = "],\"embeddings\":[",
    [CHROMA_COLUMN_METADATAS] = "],\"metadatas\":[",
    [CHROMA_COLUMN_DOCUMENTS] = "],\"documents\":[",
    [CHROMA_COLUMN_URIS] = "],\"uris\":[",
};

static size_t parts_max(const struct chroma_batch_member *members, size_t count);
static bool   has_column(const struct chroma_batch_member *members, size_t count,
                         enum chroma_column column);
static void   append_column(struct chroma_batch *batch, const struct chroma_batch_member *members,
                            size_t count, enum chroma_column column);
static void   append_nulls(struct chroma_batch *batch, size_t count);
static void   append(struct chroma_batch *batch, struct bytes part);

struct chroma_batch *chroma_batch_new(const struct chroma_batch_member *members, size_t count)
{
    size_t               capacity = parts_max(members, count);
    struct chroma_batch *batch = malloc(sizeof *batch + capacity * sizeof batch->parts[0]);

    assert(count > 0);
    if (batch == NULL)
        return NULL;
    batch->size = batch->part_count = 0;
    batch->fills_nulls = false;
    for (enum chroma_column column = 0; column < CHROMA_COLUMN_COUNT; column++)
        if (has_column(members, count, column))
            append_column(batch, members, count, column);
    append(batch, BYTES_LITERAL("]}"));
    assert(batch->part_count <= capacity);
    return batch;
}

static size_t parts_max(const struct chroma_batch_member *members, size_t count)
{
    size_t parts = 1; /* the end */

    for (size_t i = 0; i < count; i++)
        parts += CHROMA_COLUMN_COUNT * (2 + members[i].count / NULLS_PER_PART);
    return parts;
}

static bool has_column(const struct chroma_batch_member *members, size_t count,
                       enum chroma_column column)
{
    for (size_t i = 0; i < count; i++)
        if (members[i].records->columns[column].data != NULL)
            return true;
    return false;
}

static void append_column(struct chroma_batch *batch, const struct chroma_batch_member *members,
                          size_t count, enum chroma_column column)
{
    append(batch, bytes_of(openings[column]));
    for (size_t i = 0; i < count; i++) {
        const struct chroma_batch_member *member = &members[i];

        if (i > 0)
            append(batch, BYTES_LITERAL(","));
        if (member->records->columns[column].data == NULL) {
            append_nulls(batch, member->count);
            batch->fills_nulls = true;
        } else {
            append(batch,
                   chroma_records_slice(member->records, column, member->first, member->count));
        }
    }
}

/* Without a comma behind the last. */
static void append_nulls(struct chroma_batch *batch, size_t count)
{
    for (; count > NULLS_PER_PART; count -= NULLS_PER_PART)
        append(batch, (struct bytes){.data = nulls, .size = NULLS_PER_PART * NULL_SIZE});
    append(batch, (struct bytes){.data = nulls, .size = count * NULL_SIZE - 1});
}

static void append(struct chroma_batch *batch, struct bytes part)
{
    batch->parts[batch->part_count++] = part;
    batch->size += part.size;
}

void chroma_batch_free(struct chroma_batch *batch)
{
    free(batch);
}
