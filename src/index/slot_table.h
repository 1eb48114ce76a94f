/* slot_table - who lives in which slot: record numbers, rows of the originals, levels, states
 *
 * A slot is a position in every per-vector array of an index. A record number is the owner's name
 * for a vector; records are dense (the owner numbers from 0 and uses freed numbers again), so the
 * way from record to slot is an array.
 *
 *   FREE -> WAITING -> LIVE -> DEAD -> SEALED -> FREE
 *   WAITING   searchable by scan, not yet in the graph
 *   LIVE      in the graph
 *   DEAD      deleted or replaced: never returned, still a step on paths through the graph
 *   SEALED    being taken out by the running consolidation
 *
 * Readers see the table as it was at one version. Every change of the writer makes a new one; a
 * slot notes the versions at which it appeared and went. So a record that is replaced has exactly
 * one visible slot for each reader, whatever comes between its looks at the old and the new one.
 *
 * Thread: one writer. Readers load states with acquire: a slot that is not FREE has its codes.
 */
#ifndef INDEX_SLOT_TABLE_H
#define INDEX_SLOT_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "index/index_memory.h"

#define SLOT_NONE UINT32_MAX

enum slot_state { SLOT_FREE, SLOT_WAITING, SLOT_LIVE, SLOT_DEAD, SLOT_SEALED };

/* Versions: visible from `born` on, and before `died` once the slot is DEAD or SEALED. */
struct slot_life {
    _Atomic uint32_t born, died;
};

/* What slot_table_grow() commits for each slot that holds a record. */
enum { slot_table_slot_bytes = 3 * sizeof(uint32_t) + 2 + sizeof(struct slot_life) };

struct slot_table {
    uint32_t            slots_max, records_max;
    struct index_region records, rows, levels, states, lives, slot_of_record;
    _Atomic uint32_t    version;   /* what a reader that begins now sees; wraps around */
    _Atomic uint32_t    used;      /* slots 0 .. used-1 have been handed out at least once */
    _Atomic uint32_t    live;      /* WAITING and LIVE */
    _Atomic uint32_t    known;     /* records 0 .. known-1 have a place in slot_of_record */
    uint32_t            waiting;   /* WAITING only */
    _Atomic uint32_t    dead;      /* DEAD and SEALED; readers look at it, too */
    uint32_t            free_head; /* chain through records[]; SLOT_NONE ends it */
    uint32_t            free_count;
};

MUST_CHECK enum status slot_table_init(struct slot_table *table, struct index_memory *memory,
                                       uint32_t slots_max, uint32_t records_max);
void                   slot_table_done(struct slot_table *table, struct index_memory *memory);

/* Begin with slot 0 again, where all are free; readers may still look at what was there. */
void slot_table_forget(struct slot_table *table);

/* Give the memory of a table without slots back; no reader may be in it. */
void slot_table_empty(struct slot_table *table, struct index_memory *memory);

/* Commit the arrays for `slots` slots, and the way from `record` (SLOT_NONE: none).
 * STATUS_LIMIT_REACHED  more slots or records than were agreed on, or no budget.
 * STATUS_NO_MEMORY      the system has none. */
MUST_CHECK enum status slot_table_grow(struct slot_table *table, struct index_memory *memory,
                                       uint32_t slots, uint32_t record);

static inline uint32_t *slot_table_records(const struct slot_table *table)
{
    return (uint32_t *)(void *)table->records.base;
}

static inline _Atomic uint32_t *slot_table_rows(const struct slot_table *table)
{
    return (_Atomic uint32_t *)(void *)table->rows.base;
}

/* Bit 7 of a level says that the slot has lists in the graph; the rest is the level. */
enum { SLOT_LISTED = 0x80 };

static inline uint8_t *slot_table_levels(const struct slot_table *table)
{
    return (uint8_t *)table->levels.base;
}

static inline uint32_t slot_table_level(const struct slot_table *table, uint32_t slot)
{
    return slot_table_levels(table)[slot] & (SLOT_LISTED - 1);
}

static inline bool slot_table_is_listed(const struct slot_table *table, uint32_t slot)
{
    return (slot_table_levels(table)[slot] & SLOT_LISTED) != 0;
}

static inline enum slot_state slot_table_state(const struct slot_table *table, uint32_t slot)
{
    const _Atomic uint8_t *states = (const _Atomic uint8_t *)(const void *)table->states.base;

    return (enum slot_state)atomic_load_explicit(&states[slot], memory_order_acquire);
}

static inline bool slot_table_is_live(const struct slot_table *table, uint32_t slot)
{
    enum slot_state state = slot_table_state(table, slot);

    return state == SLOT_WAITING || state == SLOT_LIVE;
}

static inline struct slot_life *slot_table_lives(const struct slot_table *table)
{
    return (struct slot_life *)(void *)table->lives.base;
}

/* Whether a reader that began at `version` sees the slot. Versions are compared by their distance,
 * which slot_table_advance() keeps short. */
static inline bool slot_table_is_visible(const struct slot_table *table, uint32_t slot,
                                         uint32_t version)
{
    const struct slot_life *life = &slot_table_lives(table)[slot];
    enum slot_state         state = slot_table_state(table, slot);

    if (state == SLOT_FREE)
        return false;
    /* What died before this reader began may be taken again, and even die again, between these
     * looks at it. Whoever sees the later death sees the later birth: `born` comes last. */
    if (state != SLOT_WAITING && state != SLOT_LIVE &&
        (int32_t)(atomic_load_explicit(&life->died, memory_order_acquire) - version) <= 0)
        return false;
    return (int32_t)(atomic_load_explicit(&life->born, memory_order_relaxed) - version) <= 0;
}

static inline void slot_table_set_state(struct slot_table *table, uint32_t slot,
                                        enum slot_state state)
{
    _Atomic uint8_t *states = (_Atomic uint8_t *)(void *)table->states.base;

    atomic_store_explicit(&states[slot], (uint8_t)state, memory_order_release);
}

/* By record: its slot plus one; 0, what fresh memory holds: none. */
static inline _Atomic uint32_t *slot_table_slot_of(const struct slot_table *table)
{
    return (_Atomic uint32_t *)(void *)table->slot_of_record.base;
}

/* The slot that holds `record` now; SLOT_NONE when there is none. For readers, too: the slot was
 * live at the moment of looking, since it is published before, and buried after its record leads
 * elsewhere. */
static inline uint32_t slot_table_find(const struct slot_table *table, uint32_t record)
{
    if (record >= atomic_load_explicit(&table->known, memory_order_acquire))
        return SLOT_NONE;
    return atomic_load_explicit(&slot_table_slot_of(table)[record], memory_order_acquire) - 1;
}

/* The slot that the next slot_table_take() gives. */
uint32_t slot_table_next(const struct slot_table *table);

/* Take the slot for `record` (grown for before); its state stays FREE until published. */
uint32_t slot_table_take(struct slot_table *table, uint32_t record, uint32_t row, uint8_t level);

/* Make a taken slot the one that holds its record. If no other one did, it is visible from the
 * present version on, else from the next. */
void slot_table_publish(struct slot_table *table, uint32_t slot);

/* A live slot becomes DEAD, and invisible from the next version on. The record no longer leads to
 * it. */
void slot_table_bury(struct slot_table *table, uint32_t slot);

/* Begin the next version. */
void slot_table_advance(struct slot_table *table);

/* A WAITING slot entered the graph. */
void slot_table_enter(struct slot_table *table, uint32_t slot);

/* A slot that nothing refers to may be taken again. */
void slot_table_put_back(struct slot_table *table, uint32_t slot);

#endif
