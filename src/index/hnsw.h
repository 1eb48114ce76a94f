/* hnsw - the graph: hierarchical navigable small world over the codes of a code_table
 *
 * After Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using
 * hierarchical navigable small world graphs" (2016): every slot has up to 2 M links at level 0;
 * one slot in M also stands at level 1, one in M squared at level 2, and so on.
 *
 * What differs from the paper:
 *   - scores come from codes; the caller reranks;
 *   - a slot's last link from elsewhere is never pruned (in-degrees are counted);
 *   - one sorted array is both candidate queue and result list;
 *   - levels are a hash of seed and record, so a rebuild gives the same graph.
 *
 * Thread: searches need no lock, beside one writer or the threads of hnsw_build_many(). Links are
 * atomic words; a link is stored (release) only after the slot that it names is complete.
 */
#ifndef INDEX_HNSW_H
#define INDEX_HNSW_H

#include <stdatomic.h>

#include "index/code_table.h"
#include "index/slot_table.h"

enum {
    hnsw_m_min = 4,      /* with 2 or 3, slots stayed out of reach: all lists near them were full */
    hnsw_m_max = 32,     /* 2 M slots are scored in one batch */
    hnsw_level_max = 12, /* M = 4 and 16 million vectors */
    hnsw_locks = 1024,   /* stripes: two of a handful of threads seldom meet */
    hnsw_ef_max = 1 << 16,      /* widest search */
    hnsw_seen_room = 8192 - 64, /* that many can be listed, and one more list of links */
};

struct hnsw {
    uint32_t              m, m0, ef_construction;
    struct index_region   links0;     /* m0 links per slot, SLOT_NONE ends a shorter list */
    struct index_region   upper_rows; /* per slot: its first row in `upper` */
    struct index_region   upper;      /* rows of m links: levels 1, 2, .. of one slot in sequence */
    struct index_region   in_degrees; /* per slot, at level 0; sticks at 65535 */
    uint32_t              upper_used; /* rows handed out */
    uint32_t              upper_free[hnsw_level_max + 1]; /* by rows: chains through link 0 */
    _Atomic uint64_t      entry; /* (level + 1) << 32 | slot; 0: the graph is empty */
    _Atomic unsigned char locks[hnsw_locks];
};

/* What one search or one linking thread writes on. */
struct hnsw_scratch {
    uint64_t              *visited; /* one bit per slot */
    uint32_t               visited_slots;
    uint32_t               slots; /* those below it are walked: the rest came later */
    uint32_t              *seen;  /* whose bits to clear; `seen_max` at most */
    uint32_t               seen_count;
    uint64_t              *pool; /* sorted keys: score, slot, expanded bit */
    uint32_t               pool_size, pool_max;
    uint64_t               key_end;   /* from which on nothing enters the pool, see `reach` */
    uint32_t               key_depth; /* so much of the pool has said so */
    int8_t                *codes;     /* room for the codes of two queries */
    float                 *floats;    /* 2 * dim */
    uint32_t               dim, code_bytes;
    struct quantizer_query query;    /* the query of the search */
    struct quantizer_query neighbor; /* a stored code as query */
    uint32_t               scored;   /* scores computed since it was set to 0 */
};

/* How far a search goes: until the `ef` closest were expanded, or until nothing that was met and
 * not expanded is within `reach` times the distance of the `rank`-th closest that is not dead, and
 * what its code may be wrong by. Distances are those of scores: squares, or as good as that. */
struct hnsw_width {
    uint32_t ef;
    uint32_t rank;           /* 1 .. ef */
    float    reach;          /* at least 1; 0: only `ef` counts, and no rank is needed */
    bool (*stop)(void *ctx); /* asked now and then whether to give up; NULL: never */
    void *stop_ctx;
};

/* The parts of an index that the graph's functions work on; borrowed. */
struct hnsw_view {
    struct hnsw         *graph;
    struct slot_table   *slots;
    struct code_table   *codes;
    struct index_memory *memory;
};

static inline uint32_t hnsw_key_slot(uint64_t key)
{
    return (uint32_t)key >> 1;
}

/* A key orders as the score does, then by slot. Bit 0 is for "expanded". */
static inline uint64_t hnsw_key(float score, uint32_t slot)
{
    union {
        float    value;
        uint32_t bits;
    } as = {.value = score};

    as.bits ^= (as.bits >> 31) != 0 ? UINT32_MAX : UINT32_C(1) << 31;
    return (uint64_t)as.bits << 32 | (uint64_t)slot << 1;
}

static inline float hnsw_key_score(uint64_t key)
{
    union {
        uint32_t bits;
        float    value;
    } as = {.bits = (uint32_t)(key >> 32)};

    as.bits ^= (as.bits >> 31) != 0 ? UINT32_C(1) << 31 : UINT32_MAX;
    return as.value;
}

MUST_CHECK enum status hnsw_init(struct hnsw *graph, struct index_memory *memory, uint32_t m,
                                 uint32_t ef_construction, uint32_t slots_max);
void                   hnsw_done(struct hnsw *graph, struct index_memory *memory);

/* Give all memory of a graph without slots back; no reader may be in it. */
void hnsw_empty(struct hnsw *graph, struct index_memory *memory);

/* What a slot takes on average: its links, and its share of the levels above. */
static inline uint64_t hnsw_slot_bytes(uint32_t m)
{
    return (2 * m + 1) * sizeof(uint32_t) + sizeof(uint16_t) + m * sizeof(uint32_t) / (m - 1);
}

/* Commit the per-slot arrays for `slots` slots. Outcomes as index_memory_commit(). */
MUST_CHECK enum status hnsw_grow(struct hnsw *graph, struct index_memory *memory, uint32_t slots);

/* Upper rows `row` .. row + count - 1, which nobody owns, may be taken again; `count` is at most
 * hnsw_level_max. */
void hnsw_put_rows(struct hnsw *graph, uint32_t row, uint32_t count);

/* The level of a record: geometric with ratio 1 / M. */
uint8_t hnsw_level(uint64_t seed, uint32_t record, uint32_t m);

/* Make `scratch` (zeroed before its first use) fit for searches of width `ef` among the slots below
 * `slots`. For a reader, `slots` is what was used before it loaded its table of codes: links may
 * lead to slots that came later, which only a newer table has codes of.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED  it stays as it was. */
MUST_CHECK enum status hnsw_scratch_fit(struct hnsw_scratch *scratch, struct index_memory *memory,
                                        uint32_t slots, uint32_t ef, uint32_t dim);
void                   hnsw_scratch_done(struct hnsw_scratch *scratch, struct index_memory *memory);

/* Find the slots closest to scratch->query that the graph leads to, dead ones included, into
 * scratch->pool: `ef` of them, or fewer where `reach` says so. False is returned when `stop` said
 * so, with what was found by then in the pool. */
bool hnsw_search(const struct hnsw_view *view, struct hnsw_scratch *scratch,
                 const struct hnsw_width *width);

/* Walk greedily from `entry` (see struct hnsw) down to level_end + 1; returns the closest slot met:
 * where a search of `level_end` starts. */
uint32_t hnsw_descend(const struct hnsw_view *view, struct hnsw_scratch *scratch, uint64_t entry,
                      uint32_t level_end);

/* As hnsw_search(), within one level, from `start`. */
bool hnsw_search_level(const struct hnsw_view *view, struct hnsw_scratch *scratch, uint32_t start,
                       uint32_t level, const struct hnsw_width *width);

/* Mark `slot` as visited and list it in scratch->seen; false when it was, or has no bit. The
 * caller sees to it that seen_count stays below hnsw_seen_room. */
bool hnsw_see(struct hnsw_scratch *scratch, uint32_t slot);

/* Clear the visited bits of what scratch->seen lists. */
void hnsw_forget_visited(struct hnsw_scratch *scratch);

/* The links of `slot` at `level`, and how many the list can hold. */
_Atomic uint32_t *hnsw_links(const struct hnsw *graph, uint32_t slot, uint32_t level,
                             uint32_t *ret_width);

#endif
