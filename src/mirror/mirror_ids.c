#include "mirror/mirror_ids.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    text_unit = 8,      /* bytes; a text is named by the number of its first unit */
    exact_classes = 64, /* units; longer texts take the next power of two */
    class_count = exact_classes + 32,
    slots_first = 16
};

static const uint32_t no_row = UINT32_MAX; /* at the end of the free ones; in a gap of the order */

struct mirror_ids {
    struct index_memory *memory;
    unsigned char        secret[SIPHASH_KEY_SIZE];
    uint32_t             records_max, count;
    struct index_region  rows, order, texts;
    uint32_t             row_end, place_end, text_end; /* what follows was never used */
    uint32_t             free_row;
    uint32_t             free_texts[class_count]; /* each names the next one; 0: none */
    uint32_t            *slots;                   /* row + 1; 0: free */
    uint32_t             slot_mask;               /* their number, a power of two, less one */
};

static enum status make_id_place(struct mirror_ids *ids);
static void        close_order_gaps(struct mirror_ids *ids);
static enum status make_rows(struct mirror_ids *ids, uint32_t end);
static enum status make_free_row(struct mirror_ids *ids);
static enum status put_in_row(struct mirror_ids *ids, struct bytes id, uint32_t row);
static enum status grow_id_slots(struct mirror_ids *ids);
static uint32_t    find_id_slot(const struct mirror_ids *ids, struct bytes id, uint32_t hash);
static void        empty_id_slot(struct mirror_ids *ids, uint32_t hole);
static uint32_t    id_hash(const struct mirror_ids *ids, struct bytes id);
static enum status take_id_text(struct mirror_ids *ids, struct bytes id, uint32_t *ret_text);
static void        give_id_text_back(struct mirror_ids *ids, uint32_t text);
static uint64_t    id_text_units(size_t size, unsigned *ret_class);
static char       *id_text_at(const struct mirror_ids *ids, uint32_t text);

static struct mirror_row *rows_of(const struct mirror_ids *ids)
{
    return (struct mirror_row *)(void *)ids->rows.base;
}

static uint32_t *order_of(const struct mirror_ids *ids)
{
    return (uint32_t *)(void *)ids->order.base;
}

enum status mirror_ids_new(struct index_memory *memory, uint32_t records_max, uint64_t text_max,
                           const unsigned char secret[SIPHASH_KEY_SIZE],
                           struct mirror_ids **ret_ids)
{
    struct mirror_ids *ids;
    enum status        status = index_memory_alloc(memory, sizeof *ids, &ids);

    if (status != STATUS_OK)
        return status;
    *ids = (struct mirror_ids){
        .memory = memory, .records_max = records_max, .text_end = 1, .free_row = no_row};
    memcpy(ids->secret, secret, SIPHASH_KEY_SIZE);
    if (text_max > (uint64_t)UINT32_MAX * text_unit)
        text_max = (uint64_t)UINT32_MAX * text_unit;
    status = index_memory_reserve(memory, &ids->rows, records_max * sizeof(struct mirror_row));
    /* Twice the places: half of them may be gaps. */
    if (status == STATUS_OK)
        status = index_memory_reserve(memory, &ids->order, 2 * records_max * sizeof(uint32_t));
    if (status == STATUS_OK)
        status = index_memory_reserve(memory, &ids->texts, text_max);
    if (status != STATUS_OK) {
        mirror_ids_free(ids);
        return status;
    }
    *ret_ids = ids;
    return STATUS_OK;
}

void mirror_ids_free(struct mirror_ids *ids)
{
    if (ids == NULL)
        return;
    if (ids->slots != NULL)
        index_memory_free(ids->memory, ids->slots, (ids->slot_mask + 1UL) * sizeof *ids->slots);
    index_memory_release(ids->memory, &ids->rows);
    index_memory_release(ids->memory, &ids->order);
    index_memory_release(ids->memory, &ids->texts);
    index_memory_free(ids->memory, ids, sizeof *ids);
}

uint32_t mirror_ids_count(const struct mirror_ids *ids)
{
    return ids->count;
}

uint32_t mirror_ids_row_end(const struct mirror_ids *ids)
{
    return ids->row_end;
}

bool mirror_ids_has(const struct mirror_ids *ids, uint32_t row)
{
    return row < ids->row_end && rows_of(ids)[row].text != 0;
}

enum status mirror_ids_find(const struct mirror_ids *ids, struct bytes id, uint32_t *ret_row)
{
    uint32_t slot;

    if (ids->count == 0)
        return STATUS_NOT_FOUND;
    slot = find_id_slot(ids, id, id_hash(ids, id));
    if (ids->slots[slot] == 0)
        return STATUS_NOT_FOUND;
    *ret_row = ids->slots[slot] - 1;
    return STATUS_OK;
}

struct bytes mirror_ids_id(const struct mirror_ids *ids, uint32_t row)
{
    const char *text = id_text_at(ids, rows_of(ids)[row].text);
    uint32_t    size;

    memcpy(&size, text, sizeof size);
    return (struct bytes){.data = text + sizeof size, .size = size};
}

struct mirror_row *mirror_ids_row(const struct mirror_ids *ids, uint32_t row)
{
    assert(mirror_ids_has(ids, row));
    return &rows_of(ids)[row];
}

uint32_t mirror_ids_place(const struct mirror_ids *ids, uint32_t row)
{
    return mirror_ids_row(ids, row)->place;
}

bool mirror_ids_next(const struct mirror_ids *ids, size_t *position, uint32_t *ret_row)
{
    while (*position < ids->place_end) {
        uint32_t row = order_of(ids)[(*position)++];

        if (row != no_row) {
            *ret_row = row;
            return true;
        }
    }
    return false;
}

enum status mirror_ids_put(struct mirror_ids *ids, struct bytes id, uint32_t *ret_row)
{
    uint32_t    row, next;
    enum status status = make_id_place(ids);

    if (status == STATUS_OK)
        status = make_free_row(ids);
    if (status != STATUS_OK)
        return status;
    row = ids->free_row;
    next = rows_of(ids)[row].place;
    status = put_in_row(ids, id, row);
    if (status != STATUS_OK)
        return status;
    ids->free_row = next;
    *ret_row = row;
    return STATUS_OK;
}

/* Which is free, and there is a place. */
static enum status put_in_row(struct mirror_ids *ids, struct bytes id, uint32_t row)
{
    uint32_t    text, hash = id_hash(ids, id);
    enum status status = grow_id_slots(ids);

    if (status == STATUS_OK)
        status = take_id_text(ids, id, &text);
    if (status != STATUS_OK)
        return status;
    ids->slots[find_id_slot(ids, id, hash)] = row + 1;
    rows_of(ids)[row] = (struct mirror_row){.text = text, .hash = hash, .place = ids->place_end};
    order_of(ids)[ids->place_end++] = row;
    ids->count++;
    return STATUS_OK;
}

/* Half of the places may be gaps before they are closed, so that each is moved once at most for one
 * that was removed. */
static enum status make_id_place(struct mirror_ids *ids)
{
    if (ids->count >= ids->records_max)
        return STATUS_LIMIT_REACHED;
    if (ids->place_end >= slots_first && ids->count <= ids->place_end / 2)
        close_order_gaps(ids);
    return index_memory_commit(ids->memory, &ids->order, (ids->place_end + 1UL) * sizeof(uint32_t));
}

static void close_order_gaps(struct mirror_ids *ids)
{
    uint32_t *order = order_of(ids), end = 0;

    for (uint32_t place = 0; place < ids->place_end; place++) {
        if (order[place] == no_row)
            continue;
        order[end] = order[place];
        rows_of(ids)[order[end]].place = end;
        end++;
    }
    ids->place_end = end;
}

/* Then one is free. */
static enum status make_free_row(struct mirror_ids *ids)
{
    enum status status;

    if (ids->free_row != no_row)
        return STATUS_OK;
    status = make_rows(ids, ids->row_end + 1);
    if (status == STATUS_OK)
        ids->free_row = ids->row_end - 1;
    return status;
}

/* All below `end` are there then, the new ones free. */
static enum status make_rows(struct mirror_ids *ids, uint32_t end)
{
    enum status status =
        index_memory_commit(ids->memory, &ids->rows, end * sizeof(struct mirror_row));

    while (status == STATUS_OK && ids->row_end < end)
        rows_of(ids)[ids->row_end++] = (struct mirror_row){.place = no_row};
    return status;
}

/* Three quarters full at most: probes stay short. */
static enum status grow_id_slots(struct mirror_ids *ids)
{
    uint32_t    mask = ids->slots == NULL ? slots_first - 1 : 2 * ids->slot_mask + 1;
    uint32_t   *slots;
    enum status status;

    if (ids->slots != NULL && ids->count < (ids->slot_mask + 1) / 4 * 3)
        return STATUS_OK;
    status = index_memory_alloc(ids->memory, (mask + 1UL) * sizeof *slots, &slots);
    if (status != STATUS_OK)
        return status;
    for (uint32_t row = 0; row < ids->row_end; row++) {
        uint32_t slot = rows_of(ids)[row].hash & mask;

        if (rows_of(ids)[row].text == 0)
            continue;
        while (slots[slot] != 0)
            slot = (slot + 1) & mask;
        slots[slot] = row + 1;
    }
    if (ids->slots != NULL)
        index_memory_free(ids->memory, ids->slots, (ids->slot_mask + 1UL) * sizeof *slots);
    ids->slots = slots;
    ids->slot_mask = mask;
    return STATUS_OK;
}

/* The slot of `id`, else the free one where it belongs. */
static uint32_t find_id_slot(const struct mirror_ids *ids, struct bytes id, uint32_t hash)
{
    uint32_t slot = hash & ids->slot_mask;

    while (ids->slots[slot] != 0) {
        uint32_t row = ids->slots[slot] - 1;

        if (rows_of(ids)[row].hash == hash && bytes_equal(mirror_ids_id(ids, row), id))
            break;
        slot = (slot + 1) & ids->slot_mask;
    }
    return slot;
}

enum status mirror_ids_restore(struct mirror_ids *ids, struct bytes id, uint32_t row)
{
    uint32_t    other;
    enum status status;

    if (mirror_ids_has(ids, row) || mirror_ids_find(ids, id, &other) == STATUS_OK)
        return STATUS_CORRUPT;
    if (row >= ids->records_max)
        return STATUS_LIMIT_REACHED;
    status = make_id_place(ids);
    if (status == STATUS_OK && row >= ids->row_end)
        status = make_rows(ids, row + 1);
    return status == STATUS_OK ? put_in_row(ids, id, row) : status;
}

/* The lowest is taken first. */
void mirror_ids_restored(struct mirror_ids *ids)
{
    ids->free_row = no_row;
    for (uint32_t row = ids->row_end; row-- > 0;) {
        if (mirror_ids_has(ids, row))
            continue;
        rows_of(ids)[row].place = ids->free_row;
        ids->free_row = row;
    }
}

void mirror_ids_remove(struct mirror_ids *ids, uint32_t row)
{
    struct mirror_row *entry = mirror_ids_row(ids, row);

    empty_id_slot(ids, find_id_slot(ids, mirror_ids_id(ids, row), entry->hash));
    order_of(ids)[entry->place] = no_row;
    give_id_text_back(ids, entry->text);
    *entry = (struct mirror_row){.place = ids->free_row};
    ids->free_row = row;
    ids->count--;
}

/* Move back each entry of the run that the hole would cut off from its first slot. */
static void empty_id_slot(struct mirror_ids *ids, uint32_t hole)
{
    uint32_t mask = ids->slot_mask, at = (hole + 1) & mask;

    for (; ids->slots[at] != 0; at = (at + 1) & mask) {
        uint32_t probes = (at - rows_of(ids)[ids->slots[at] - 1].hash) & mask;

        if (probes >= ((at - hole) & mask)) {
            ids->slots[hole] = ids->slots[at];
            hole = at;
        }
    }
    ids->slots[hole] = 0;
}

static uint32_t id_hash(const struct mirror_ids *ids, struct bytes id)
{
    return (uint32_t)siphash_1_3(ids->secret, id);
}

/* A text is its size and its bytes. Those that were given back are taken by texts of the same
 * class. */
static enum status take_id_text(struct mirror_ids *ids, struct bytes id, uint32_t *ret_text)
{
    unsigned class;
    uint64_t    units;
    uint32_t    text, size = (uint32_t)id.size;
    enum status status;

    if (id.size > UINT32_MAX / 2)
        return STATUS_LIMIT_REACHED;
    units = id_text_units(id.size, &class);
    text = ids->free_texts[class];
    if (text != 0) {
        memcpy(&ids->free_texts[class], id_text_at(ids, text), sizeof text);
    } else {
        if (units > UINT32_MAX - ids->text_end)
            return STATUS_LIMIT_REACHED;
        status = index_memory_commit(ids->memory, &ids->texts, (ids->text_end + units) * text_unit);
        if (status != STATUS_OK)
            return status;
        text = ids->text_end;
        ids->text_end += (uint32_t)units;
    }
    memcpy(id_text_at(ids, text), &size, sizeof size);
    if (size > 0)
        memcpy(id_text_at(ids, text) + sizeof size, id.data, size);
    *ret_text = text;
    return STATUS_OK;
}

static void give_id_text_back(struct mirror_ids *ids, uint32_t text)
{
    uint32_t size;
    unsigned class;

    memcpy(&size, id_text_at(ids, text), sizeof size);
    id_text_units(size, &class);
    memcpy(id_text_at(ids, text), &ids->free_texts[class], sizeof text);
    ids->free_texts[class] = text;
}

static uint64_t id_text_units(size_t size, unsigned *ret_class)
{
    uint64_t units = (sizeof(uint32_t) + size + text_unit - 1) / text_unit;
    unsigned power = 0;

    if (units < exact_classes) {
        *ret_class = (unsigned)units;
        return units;
    }
    while ((1ULL << power) < units)
        power++;
    *ret_class = exact_classes + power;
    return 1ULL << power;
}

static char *id_text_at(const struct mirror_ids *ids, uint32_t text)
{
    return ids->texts.base + (size_t)text * text_unit;
}
