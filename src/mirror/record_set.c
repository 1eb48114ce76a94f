#include "mirror/record_set.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash_map.h"

struct record_set {
    struct hash_map *by_id;
    struct record  **places; /* in their order; NULL: one was removed */
    size_t           place_count, place_room;
};

static const size_t first_places = 16;

static enum status make_place(struct record_set *set);
static void        close_gaps(struct record_set *set);
static void        free_record(struct record *record);

struct record_set *record_set_new(const unsigned char secret[SIPHASH_KEY_SIZE], size_t records_max)
{
    struct record_set *set = calloc(1, sizeof *set);

    if (set == NULL)
        return NULL;
    set->by_id = hash_map_new(secret, records_max);
    if (set->by_id == NULL) {
        free(set);
        return NULL;
    }
    return set;
}

void record_set_free(struct record_set *set)
{
    if (set == NULL)
        return;
    for (size_t i = 0; i < set->place_count; i++)
        free_record(set->places[i]);
    hash_map_free(set->by_id);
    free(set->places);
    free(set);
}

size_t record_set_count(const struct record_set *set)
{
    return hash_map_count(set->by_id);
}

struct record *record_set_get(const struct record_set *set, struct bytes id)
{
    return hash_map_get(set->by_id, id);
}

enum status record_set_put(struct record_set *set, struct bytes id, struct record **ret_record)
{
    struct record *record;
    enum status    status = make_place(set);

    if (status != STATUS_OK)
        return status;
    record = calloc(1, sizeof *record + id.size);
    if (record == NULL)
        return STATUS_NO_MEMORY;
    if (id.size > 0)
        memcpy(record + 1, id.data, id.size);
    record->id = (struct bytes){.data = (const char *)(record + 1), .size = id.size};
    status = hash_map_put(set->by_id, record->id, record);
    if (status != STATUS_OK) {
        free(record);
        return status;
    }
    record->place = set->place_count;
    set->places[set->place_count++] = record;
    *ret_record = record;
    return STATUS_OK;
}

/* Half of the places may be gaps before they are closed, so that each is moved once at most for one
 * that was removed. */
static enum status make_place(struct record_set *set)
{
    size_t          room = set->place_room == 0 ? first_places : 2 * set->place_room;
    struct record **places;

    if (set->place_count < set->place_room)
        return STATUS_OK;
    if (set->place_count > 0 && record_set_count(set) <= set->place_count / 2) {
        close_gaps(set);
        return STATUS_OK;
    }
    if (room > SIZE_MAX / sizeof *places)
        return STATUS_NO_MEMORY;
    places = realloc(set->places, room * sizeof *places);
    if (places == NULL)
        return STATUS_NO_MEMORY;
    set->places = places;
    set->place_room = room;
    return STATUS_OK;
}

static void close_gaps(struct record_set *set)
{
    size_t count = 0;

    for (size_t i = 0; i < set->place_count; i++) {
        if (set->places[i] == NULL)
            continue;
        set->places[count] = set->places[i];
        set->places[count]->place = count;
        count++;
    }
    set->place_count = count;
}

void record_set_remove(struct record_set *set, struct record *record)
{
    hash_map_remove(set->by_id, record->id);
    set->places[record->place] = NULL;
    free_record(record);
}

static void free_record(struct record *record)
{
    if (record == NULL)
        return;
    mirror_metadata_free(record->metadata);
    free(record->document);
    free(record->uri);
    free(record->vector);
    free(record);
}

struct record *record_set_next(const struct record_set *set, size_t *position)
{
    while (*position < set->place_count) {
        struct record *record = set->places[(*position)++];

        if (record != NULL)
            return record;
    }
    return NULL;
}

struct filter_subject record_set_subject(const struct record *record)
{
    return (struct filter_subject){
        .metadata = record->metadata,
        .document = {.data = record->document, .size = record->document_size},
        .has_document = record->document != NULL};
}
