#include "index/hnsw.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"

enum {
    seen_max = 8192,    /* more than that, and clearing the whole bitmap is as cheap */
    hops_per_stop = 16, /* how often `stop` is asked: about every 5 microseconds */
};

static enum status fit_visited(struct hnsw_scratch *scratch, struct index_memory *memory,
                               uint32_t slots);
static enum status fit_pool(struct hnsw_scratch *scratch, struct index_memory *memory, uint32_t ef);
static enum status fit_query(struct hnsw_scratch *scratch, struct index_memory *memory,
                             uint32_t dim);
static uint32_t    unseen_links(const _Atomic uint32_t *links, uint32_t width,
                                struct hnsw_scratch *scratch, uint32_t *slots);
static void        measure_reach(const struct hnsw_view *view, struct hnsw_scratch *scratch,
                                 const struct hnsw_width *width);
static uint32_t    hnsw_offer(struct hnsw_scratch *scratch, const struct hnsw *graph, uint32_t ef,
                              const uint32_t *slots, const float *scores, uint32_t count);

enum status hnsw_init(struct hnsw *graph, struct index_memory *memory, uint32_t m,
                      uint32_t ef_construction, uint32_t slots_max)
{
    enum status status;

    assert(m >= hnsw_m_min && m <= hnsw_m_max);
    *graph = (struct hnsw){.m = m, .m0 = 2 * m, .ef_construction = ef_construction};
    for (int level = 0; level <= hnsw_level_max; level++)
        graph->upper_free[level] = SLOT_NONE;
    status = index_memory_reserve(memory, &graph->links0,
                                  (size_t)slots_max * graph->m0 * sizeof(uint32_t));
    if (status == STATUS_OK)
        status =
            index_memory_reserve(memory, &graph->upper_rows, (size_t)slots_max * sizeof(uint32_t));
    if (status == STATUS_OK) /* one row for one slot in m - 1, and twice that for bad luck */
        status = index_memory_reserve(
            memory, &graph->upper, ((size_t)slots_max / (m - 1) * 2 + 1024) * m * sizeof(uint32_t));
    if (status == STATUS_OK)
        status =
            index_memory_reserve(memory, &graph->in_degrees, (size_t)slots_max * sizeof(uint16_t));
    if (status != STATUS_OK)
        hnsw_done(graph, memory);
    return status;
}

void hnsw_done(struct hnsw *graph, struct index_memory *memory)
{
    index_memory_release(memory, &graph->links0);
    index_memory_release(memory, &graph->upper_rows);
    index_memory_release(memory, &graph->upper);
    index_memory_release(memory, &graph->in_degrees);
}

void hnsw_empty(struct hnsw *graph, struct index_memory *memory)
{
    index_memory_decommit(memory, &graph->links0);
    index_memory_decommit(memory, &graph->upper_rows);
    index_memory_decommit(memory, &graph->upper);
    index_memory_decommit(memory, &graph->in_degrees);
    graph->upper_used = 0;
    for (int level = 0; level <= hnsw_level_max; level++)
        graph->upper_free[level] = SLOT_NONE;
}

enum status hnsw_grow(struct hnsw *graph, struct index_memory *memory, uint32_t slots)
{
    enum status status =
        index_memory_commit(memory, &graph->links0, (size_t)slots * graph->m0 * sizeof(uint32_t));

    if (status == STATUS_OK)
        status = index_memory_commit(memory, &graph->upper_rows, (size_t)slots * sizeof(uint32_t));
    if (status == STATUS_OK)
        status = index_memory_commit(memory, &graph->in_degrees, (size_t)slots * sizeof(uint16_t));
    return status;
}

void hnsw_put_rows(struct hnsw *graph, uint32_t row, uint32_t count)
{
    _Atomic uint32_t *upper = (_Atomic uint32_t *)(void *)graph->upper.base;

    upper[(size_t)row * graph->m] = graph->upper_free[count];
    graph->upper_free[count] = row;
}

uint8_t hnsw_level(uint64_t seed, uint32_t record, uint32_t m)
{
    /* 53 bits in (0, 1]: the logarithm is finite. */
    uint64_t bits = (rng_mix(seed + (uint64_t)record * UINT64_C(0x9e3779b97f4a7c15)) >> 11) + 1;
    double   level = -log((double)bits * 0x1.0p-53) / log((double)m);

    return level < hnsw_level_max ? (uint8_t)level : hnsw_level_max;
}

enum status hnsw_scratch_fit(struct hnsw_scratch *scratch, struct index_memory *memory,
                             uint32_t slots, uint32_t ef, uint32_t dim)
{
    enum status status = fit_visited(scratch, memory, slots);

    assert(ef >= 1 && ef <= hnsw_ef_max);
    if (status == STATUS_OK)
        status = fit_pool(scratch, memory, ef);
    if (status == STATUS_OK)
        status = fit_query(scratch, memory, dim);
    return status;
}

static enum status fit_visited(struct hnsw_scratch *scratch, struct index_memory *memory,
                               uint32_t slots)
{
    uint64_t   *visited;
    uint32_t   *seen;
    enum status status;

    if (scratch->seen == NULL) {
        status = index_memory_alloc(memory, seen_max * sizeof *seen, &seen);
        if (status != STATUS_OK)
            return status;
        scratch->seen = seen;
    }
    if (slots > scratch->visited_slots) {
        uint32_t room = (slots + slots / 16 + 511) / 512 * 512;

        status = index_memory_alloc(memory, room / 8, &visited);
        if (status != STATUS_OK)
            return status;
        index_memory_free(memory, scratch->visited, scratch->visited_slots / 8);
        scratch->visited = visited;
        scratch->visited_slots = room;
    }
    scratch->slots = slots;
    return STATUS_OK;
}

static enum status fit_pool(struct hnsw_scratch *scratch, struct index_memory *memory, uint32_t ef)
{
    uint64_t   *pool;
    enum status status;

    if (ef <= scratch->pool_max)
        return STATUS_OK;
    status = index_memory_alloc(memory, ((size_t)ef + 1) * sizeof *pool, &pool);
    if (status != STATUS_OK)
        return status;
    index_memory_free(memory, scratch->pool, ((size_t)scratch->pool_max + 1) * sizeof *pool);
    scratch->pool = pool;
    scratch->pool_max = ef;
    return STATUS_OK;
}

static enum status fit_query(struct hnsw_scratch *scratch, struct index_memory *memory,
                             uint32_t dim)
{
    uint32_t    code_bytes = (dim + 127) / 128 * 128;
    enum status status = STATUS_OK;

    if (scratch->codes == NULL) {
        int8_t *codes;

        status = index_memory_alloc(memory, (size_t)2 * code_bytes, &codes);
        if (status != STATUS_OK)
            return status;
        scratch->codes = codes;
        scratch->query.code = codes;
        scratch->neighbor.code = codes + code_bytes;
        scratch->code_bytes = code_bytes;
        scratch->dim = dim;
    }
    if (scratch->floats == NULL)
        status = index_memory_alloc(memory, (size_t)2 * dim * sizeof(float), &scratch->floats);
    return status;
}

void hnsw_scratch_done(struct hnsw_scratch *scratch, struct index_memory *memory)
{
    index_memory_free(memory, scratch->visited, scratch->visited_slots / 8);
    index_memory_free(memory, scratch->seen, seen_max * sizeof(uint32_t));
    index_memory_free(memory, scratch->pool, ((size_t)scratch->pool_max + 1) * sizeof(uint64_t));
    index_memory_free(memory, scratch->codes, (size_t)2 * scratch->code_bytes);
    index_memory_free(memory, scratch->floats, (size_t)2 * scratch->dim * sizeof(float));
    *scratch = (struct hnsw_scratch){0};
}

_Atomic uint32_t *hnsw_links(const struct hnsw *graph, uint32_t slot, uint32_t level,
                             uint32_t *ret_width)
{
    const uint32_t   *upper_rows = (const uint32_t *)(const void *)graph->upper_rows.base;
    _Atomic uint32_t *upper = (_Atomic uint32_t *)(void *)graph->upper.base;

    if (level == 0) {
        *ret_width = graph->m0;
        return (_Atomic uint32_t *)(void *)graph->links0.base + (size_t)slot * graph->m0;
    }
    *ret_width = graph->m;
    return upper + ((size_t)upper_rows[slot] + level - 1) * graph->m;
}

bool hnsw_search(const struct hnsw_view *view, struct hnsw_scratch *scratch,
                 const struct hnsw_width *width)
{
    uint64_t entry = atomic_load_explicit(&view->graph->entry, memory_order_acquire);
    uint32_t slot;

    scratch->pool_size = 0;
    if (entry == 0 || (uint32_t)entry >= scratch->slots)
        return true;
    slot = hnsw_descend(view, scratch, entry, 0);
    return hnsw_search_level(view, scratch, slot, 0, width);
}

uint32_t hnsw_descend(const struct hnsw_view *view, struct hnsw_scratch *scratch, uint64_t entry,
                      uint32_t level_end)
{
    uint32_t slot = (uint32_t)entry;
    float    best;

    code_table_score(view->codes, &scratch->query, &slot, 1, &best);
    for (uint32_t level = (uint32_t)(entry >> 32) - 1; level > level_end; level--) {
        bool closer = true;

        while (closer) {
            uint32_t          slots[code_table_batch], width, count = 0;
            float             scores[code_table_batch];
            _Atomic uint32_t *links = hnsw_links(view->graph, slot, level, &width);

            for (uint32_t i = 0; i < width; i++) {
                slots[count] = atomic_load_explicit(&links[i], memory_order_acquire);
                if (slots[count] == SLOT_NONE)
                    break;
                count += slots[count] < scratch->slots;
            }
            code_table_score(view->codes, &scratch->query, slots, count, scores);
            scratch->scored += count;
            closer = false;
            for (uint32_t i = 0; i < count; i++)
                if (scores[i] < best) {
                    best = scores[i];
                    slot = slots[i];
                    closer = true;
                }
        }
    }
    return slot;
}

bool hnsw_search_level(const struct hnsw_view *view, struct hnsw_scratch *scratch, uint32_t start,
                       uint32_t level, const struct hnsw_width *width)
{
    uint32_t  slots[code_table_batch], next = 0, hops = 0;
    float     scores[code_table_batch];
    uint64_t *pool = scratch->pool;
    bool      finished = true;

    assert(width->ef <= scratch->pool_max);
    scratch->pool_size = 0;
    scratch->key_end = UINT64_MAX;
    scratch->key_depth = width->reach > 0 ? UINT32_MAX : 0;
    scratch->seen_count = 0;
    slots[0] = start;
    scratch->visited[start / 64] |= UINT64_C(1) << (start % 64);
    scratch->seen[scratch->seen_count++] = start;
    code_table_score(view->codes, &scratch->query, slots, 1, scores);
    hnsw_offer(scratch, view->graph, width->ef, slots, scores, 1);
    while (next < scratch->pool_size && pool[next] < scratch->key_end) {
        uint32_t          room, count, best;
        _Atomic uint32_t *links = hnsw_links(view->graph, hnsw_key_slot(pool[next]), level, &room);

        pool[next] |= 1;
        count = unseen_links(links, room, scratch, slots);
        code_table_score(view->codes, &scratch->query, slots, count, scores);
        scratch->scored += count;
        best = hnsw_offer(scratch, view->graph, width->ef, slots, scores, count);
        if (best < scratch->key_depth)
            measure_reach(view, scratch, width);
        next = best < next ? best : next;
        while (next < scratch->pool_size && (pool[next] & 1) != 0)
            next++;
        if (width->stop != NULL && ++hops % hops_per_stop == 0 && width->stop(width->stop_ctx)) {
            finished = false;
            break;
        }
    }
    hnsw_forget_visited(scratch);
    return finished;
}

/* What is measured by may be farther than its code says. */
static void measure_reach(const struct hnsw_view *view, struct hnsw_scratch *scratch,
                          const struct hnsw_width *width)
{
    const struct quantizer_query *query = &scratch->query;
    const struct code_table      *codes = view->codes;
    uint32_t                      slot = 0, left = width->rank, depth = 0;
    float                         distance, wrong;

    for (; depth < scratch->pool_size && left > 0; depth++) {
        slot = hnsw_key_slot(scratch->pool[depth]);
        left -= slot_table_is_live(view->slots, slot);
    }
    if (left > 0)
        return;
    distance = hnsw_key_score(scratch->pool[depth - 1]) + query->constant;
    wrong = quantizer_bound(&codes->quantizer, query, &code_table_headers(codes)[slot],
                            code_table_errors(codes)[slot]);
    scratch->key_end = hnsw_key(width->reach * fmaxf(distance, 0) + wrong - query->constant, 0);
    scratch->key_depth = depth;
}

/* The links that were not seen before, marked as seen. */
static uint32_t unseen_links(const _Atomic uint32_t *links, uint32_t width,
                             struct hnsw_scratch *scratch, uint32_t *slots)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < width; i++) {
        uint32_t slot = atomic_load_explicit(&links[i], memory_order_acquire);
        uint64_t bit = UINT64_C(1) << (slot % 64), *word;

        /* What came after this search began is not looked at. */
        if (slot >= scratch->slots) {
            if (slot == SLOT_NONE)
                break;
            continue;
        }
        word = &scratch->visited[slot / 64];
        slots[count] = slot;
        count += (*word & bit) == 0; /* no branch: half of them were seen, at random */
        *word |= bit;
    }
    if (scratch->seen_count + count <= seen_max)
        memcpy(scratch->seen + scratch->seen_count, slots, count * sizeof *slots);
    scratch->seen_count += count;
    return count;
}

/* Put what is close enough into the pool; returns the first changed position. */
static uint32_t hnsw_offer(struct hnsw_scratch *scratch, const struct hnsw *graph, uint32_t ef,
                           const uint32_t *slots, const float *scores, uint32_t count)
{
    uint64_t *pool = scratch->pool;
    uint32_t  size = scratch->pool_size, best = UINT32_MAX;

    for (uint32_t i = 0; i < count; i++) {
        uint64_t key = hnsw_key(scores[i], slots[i]);
        uint32_t at;

        if (key >= scratch->key_end || (size == ef && key >= pool[size - 1]))
            continue;
        for (at = size < ef ? size++ : size - 1; at > 0 && pool[at - 1] > key; at--)
            pool[at] = pool[at - 1];
        pool[at] = key;
        best = at < best ? at : best;
        /* Most slots that enter the pool are expanded: have their links on the way. */
        __builtin_prefetch(graph->links0.base + (size_t)slots[i] * graph->m0 * sizeof(uint32_t));
        __builtin_prefetch(graph->links0.base + (size_t)slots[i] * graph->m0 * sizeof(uint32_t) +
                           64);
    }
    scratch->pool_size = size;
    return best;
}

bool hnsw_see(struct hnsw_scratch *scratch, uint32_t slot)
{
    uint64_t bit = UINT64_C(1) << (slot % 64), *word = &scratch->visited[slot / 64];

    if (slot >= scratch->slots || (*word & bit) != 0)
        return false;
    *word |= bit;
    scratch->seen[scratch->seen_count++] = slot;
    return true;
}

void hnsw_forget_visited(struct hnsw_scratch *scratch)
{
    if (scratch->seen_count > seen_max)
        memset(scratch->visited, 0, scratch->visited_slots / 8);
    else
        for (uint32_t i = 0; i < scratch->seen_count; i++)
            scratch->visited[scratch->seen[i] / 64] = 0;
    scratch->seen_count = 0;
}
