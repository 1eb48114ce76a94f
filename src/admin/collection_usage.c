#include "admin/collection_usage.h"

#include <stdlib.h>
#include <string.h>

struct collection_usage {
    struct collection_usage_entry entries[COLLECTION_USAGE_MAX];
    size_t                        count;
};

static struct collection_usage_entry *entry_of(struct collection_usage               *usage,
                                               const struct collection_usage_request *request);
static int                            by_time_at_chroma(const void *left, const void *right);

struct collection_usage *collection_usage_new(void)
{
    return calloc(1, sizeof(struct collection_usage));
}

void collection_usage_free(struct collection_usage *usage)
{
    free(usage);
}

void collection_usage_note(struct collection_usage               *usage,
                           const struct collection_usage_request *request)
{
    struct collection_usage_entry *entry = entry_of(usage, request);

    if (request->ended_us > entry->last_us)
        entry->last_us = request->ended_us;
    if (request->is_write)
        entry->writes++;
    else
        entry->reads++;
    entry->errors += request->status >= 400;
    entry->records += request->records;
    entry->merged += request->call_writes > 1;
    entry->at_chroma_us += request->call_writes > 1 ? request->at_chroma_us / request->call_writes
                                                    : request->at_chroma_us;
}

/* Its entry, or a fresh one, in the place of the quietest when all are taken. */
static struct collection_usage_entry *entry_of(struct collection_usage               *usage,
                                               const struct collection_usage_request *request)
{
    struct collection_usage_entry *fresh = &usage->entries[0];

    for (size_t i = 0; i < usage->count; i++) {
        struct collection_usage_entry *entry = &usage->entries[i];

        if (memcmp(entry->uuid, request->uuid, sizeof entry->uuid) == 0)
            return entry;
        if (entry->last_us < fresh->last_us)
            fresh = entry;
    }
    if (usage->count < COLLECTION_USAGE_MAX)
        fresh = &usage->entries[usage->count++];
    *fresh = (struct collection_usage_entry){0};
    memcpy(fresh->uuid, request->uuid, sizeof fresh->uuid);
    return fresh;
}

size_t collection_usage_list(const struct collection_usage        *usage,
                             const struct collection_usage_entry **out)
{
    for (size_t i = 0; i < usage->count; i++)
        out[i] = &usage->entries[i];
    qsort(out, usage->count, sizeof *out, by_time_at_chroma);
    return usage->count;
}

static int by_time_at_chroma(const void *left, const void *right)
{
    const struct collection_usage_entry *a = *(const struct collection_usage_entry *const *)left;
    const struct collection_usage_entry *b = *(const struct collection_usage_entry *const *)right;
    int order = (a->at_chroma_us < b->at_chroma_us) - (a->at_chroma_us > b->at_chroma_us);

    return order != 0 ? order : memcmp(a->uuid, b->uuid, sizeof a->uuid);
}
