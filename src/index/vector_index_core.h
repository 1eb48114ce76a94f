/* vector_index_core - the fields of a vector_index, for the modules that work on it */
#ifndef INDEX_VECTOR_INDEX_CORE_H
#define INDEX_VECTOR_INDEX_CORE_H

#include "index/hnsw.h"
#include "index/hnsw_repair.h"
#include "index/index_readers.h"
#include "index/vector_file.h"
#include "index/vector_index.h"

struct vector_index {
    struct vector_index_options  options;             /* with defaults filled in; path is `path` */
    char                        *path, *vectors_path; /* given by strdup, not counted */
    struct index_memory          memory;
    struct slot_table            slots;
    struct hnsw                  graph;
    _Atomic(struct code_table *) codes;
    struct code_table           *old_codes; /* until the readers of `retired` are gone */
    uint64_t                     retired;
    struct vector_file           file;
    struct index_readers         readers;
    struct hnsw_scratch          scratch; /* the writer's */
    struct hnsw_repair           repair;
    uint32_t                     link_cursor;    /* no slot below it is WAITING */
    _Atomic bool                 graph_ready;    /* all live slots are linked or being linked */
    _Atomic uint32_t             cost_per_ef[2]; /* scores per unit of ef in late searches, * 16;
                                                  * the second of those that have a reach */
    uint32_t linked_since_check;
    uint32_t moved_segment, moved_rows; /* emptied, not yet released */
    uint64_t moved_epoch;
    uint64_t reset_epoch; /* > 0: arrays are given back once passed */
};

static inline struct code_table *vector_index_core_codes(const struct vector_index *index)
{
    return atomic_load_explicit(&index->codes, memory_order_acquire);
}

static inline struct hnsw_view vector_index_core_view(struct vector_index *index)
{
    return (struct hnsw_view){.graph = &index->graph,
                              .slots = &index->slots,
                              .codes = vector_index_core_codes(index),
                              .memory = &index->memory};
}

/* Check the options and make an index without a vectors file. Outcomes as vector_index_new(). */
MUST_CHECK enum status vector_index_core_new(const struct vector_index_options *options,
                                             struct vector_index **ret_index, struct error *error);

/* Make an empty table of codes with room for `slots`, given: vector_index_core_free_codes(). */
MUST_CHECK enum status vector_index_core_new_codes(struct vector_index *index,
                                                   enum quantizer_kind kind, uint32_t slots,
                                                   struct code_table **ret_codes);
void vector_index_core_free_codes(struct vector_index *index, struct code_table *codes);

/* Commit every per-slot array for `slots` slots and the map for `record`.
 * STATUS_LIMIT_REACHED, STATUS_NO_MEMORY  some arrays may have grown. */
MUST_CHECK enum status vector_index_core_grow(struct vector_index *index, uint32_t slots,
                                              uint32_t record);

/* Whether so many live vectors want a graph. */
bool vector_index_core_is_graph_size(const struct vector_index *index);

/* Link up to `count` WAITING slots; what finds no room goes on waiting. */
void vector_index_core_link(struct vector_index *index, uint32_t count);

/* See that every slot of the graph can be reached from the entry, if at least one was linked since
 * that was seen; unless `is_thorough`: if more than a 16th of the slots were.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED  nothing was checked; the next call makes up for it. */
enum status vector_index_core_check(struct vector_index *index, bool is_thorough);

/* Derive graph_ready anew: after slots were linked, and where the last one left the graph. */
void vector_index_core_note_ready(struct vector_index *index);

/* Code all vectors as q4 if the options or the memory limit ask for it now. Where there is no room
 * to do so, nothing changes, and what asked for room will be refused it. Readers go over to the
 * new codes with their next search. */
void vector_index_core_follow_quant(struct vector_index *index);

/* Free the codes of before, if no reader holds them. */
void vector_index_core_drop_codes(struct vector_index *index);

#endif
