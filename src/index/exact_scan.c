#include "index/exact_scan.h"

#include <assert.h>
#include <math.h>

static void  heap_offer(uint64_t *heap, uint32_t *count, uint32_t limit, uint64_t key);
static void  heap_sift(uint64_t *heap, uint32_t count, uint32_t at);
static void  widen_bound(struct exact_scan *scan);
static void  set_score_max(struct exact_scan *scan);
static void  offer_one(struct exact_scan *scan, uint32_t slot, float score);
static bool  out_of_reach(const struct exact_scan *scan, uint64_t begin);
static void  compact(struct exact_scan *scan);
static void  rank_waiting(struct exact_scan *scan);
static float distance_of(const struct exact_scan *scan, uint32_t slot);
static void  heap_sort(uint64_t *heap, uint32_t count);
static void  ask_for_row(const struct exact_scan *scan, uint32_t slot);

enum status exact_scan_fit(struct exact_scan *scan, struct index_memory *memory, uint32_t k)
{
    uint64_t   *keys;
    enum status status;

    if (k <= scan->k_max)
        return STATUS_OK;
    status =
        index_memory_alloc(memory, ((size_t)2 * k + exact_scan_waiting_max) * sizeof *keys, &keys);
    if (status != STATUS_OK)
        return status;
    exact_scan_done(scan, memory);
    scan->waiting = keys;
    scan->found = keys + exact_scan_waiting_max;
    scan->ends = scan->found + k;
    scan->k_max = k;
    return STATUS_OK;
}

void exact_scan_done(struct exact_scan *scan, struct index_memory *memory)
{
    index_memory_free(memory, scan->waiting,
                      ((size_t)2 * scan->k_max + exact_scan_waiting_max) * sizeof(uint64_t));
    scan->waiting = NULL;
    scan->k_max = 0;
}

void exact_scan_begin(struct exact_scan *scan, uint32_t k)
{
    assert(k <= scan->k_max);
    scan->k = k;
    scan->found_count = scan->ends_count = scan->waiting_count = scan->ranked = 0;
    scan->norm2_max = scan->error_max = -1; /* not looked at yet */
    scan->score_max = INFINITY;
}

void exact_scan_offer(struct exact_scan *scan, const uint32_t *slots, uint32_t count)
{
    float    scores[code_table_batch];
    uint32_t near[code_table_batch], near_count = 0;

    if (scan->waiting_count + count > exact_scan_waiting_max) {
        compact(scan);
        if (scan->waiting_count > exact_scan_waiting_max / 2)
            rank_waiting(scan);
    }
    widen_bound(scan);
    code_table_score(scan->codes, scan->query, slots, count, scores);
    /* With the largest bound first, which most do not reach, and without a branch: which do is
     * not to be foreseen. */
    for (uint32_t i = 0; i < count; i++) {
        near[near_count] = i;
        near_count += scores[i] <= scan->score_max;
    }
    for (uint32_t i = 0; i < near_count; i++)
        __builtin_prefetch(&code_table_errors(scan->codes)[slots[near[i]]]);
    for (uint32_t i = 0; i < near_count; i++)
        if (scores[near[i]] <= scan->score_max)
            offer_one(scan, slots[near[i]], scores[near[i]] + scan->query->constant);
}

/* The largest bound of all that was coded so far: the writer goes on. */
static void widen_bound(struct exact_scan *scan)
{
    float norm2 = atomic_load_explicit(&scan->codes->norm2_max, memory_order_relaxed);
    float error = atomic_load_explicit(&scan->codes->error_max, memory_order_relaxed);
    const struct code_header widest = {.norm2 = norm2};

    if (norm2 == scan->norm2_max && error == scan->error_max)
        return;
    scan->norm2_max = norm2;
    scan->error_max = error;
    scan->bound_max = quantizer_bound(&scan->codes->quantizer, scan->query, &widest, error);
    set_score_max(scan);
}

static void set_score_max(struct exact_scan *scan)
{
    scan->score_max = INFINITY;
    if (scan->ends_count == scan->k)
        scan->score_max = hnsw_key_score(scan->ends[0]) + scan->bound_max - scan->query->constant;
}

static void offer_one(struct exact_scan *scan, uint32_t slot, float score)
{
    float    bound = quantizer_bound(&scan->codes->quantizer, scan->query,
                                     &code_table_headers(scan->codes)[slot],
                                     code_table_errors(scan->codes)[slot]);
    uint64_t begin = hnsw_key(score - bound, slot);

    if (out_of_reach(scan, begin))
        return;
    scan->waiting[scan->waiting_count++] = begin;
    heap_offer(scan->ends, &scan->ends_count, scan->k, hnsw_key(score + bound, slot));
    set_score_max(scan);
}

/* Whether k others are certainly closer. Ties must be looked at. */
static bool out_of_reach(const struct exact_scan *scan, uint64_t begin)
{
    if (scan->ends_count == scan->k && begin >> 32 > scan->ends[0] >> 32)
        return true;
    return scan->found_count == scan->k && begin >> 32 > scan->found[0] >> 32;
}

/* A heap of the `limit` smallest keys, its largest first. */
static void heap_offer(uint64_t *heap, uint32_t *count, uint32_t limit, uint64_t key)
{
    uint32_t at = *count;

    if (*count == limit) {
        if (key >= heap[0])
            return;
        heap[0] = key;
        heap_sift(heap, limit, 0);
        return;
    }
    for (; at > 0 && heap[(at - 1) / 2] < key; at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = key;
    (*count)++;
}

static void heap_sift(uint64_t *heap, uint32_t count, uint32_t at)
{
    uint64_t key = heap[at];

    for (uint32_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && heap[child + 1] > heap[child])
            child++;
        if (heap[child] <= key)
            break;
        heap[at] = heap[child];
    }
    heap[at] = key;
}

static void compact(struct exact_scan *scan)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < scan->waiting_count; i++)
        if (!out_of_reach(scan, scan->waiting[i]))
            scan->waiting[kept++] = scan->waiting[i];
    scan->waiting_count = kept;
}

/* In the order of beginnings, a handful at a time, so that their rows are on the way together. */
static void rank_waiting(struct exact_scan *scan)
{
    enum { handful = 8 };
    uint64_t *waiting = scan->waiting;
    uint32_t  count = scan->waiting_count;

    /* The smallest key is wanted first, from a heap that has its largest first: complements. */
    for (uint32_t i = 0; i < count; i++)
        waiting[i] = ~waiting[i];
    for (uint32_t i = count / 2; i-- > 0;)
        heap_sift(waiting, count, i);
    while (count > 0) {
        uint32_t slots[handful], taken = 0;

        while (count > 0 && taken < handful && !out_of_reach(scan, ~waiting[0])) {
            slots[taken] = hnsw_key_slot(~waiting[0]);
            ask_for_row(scan, slots[taken++]);
            waiting[0] = waiting[--count];
            heap_sift(waiting, count, 0);
        }
        if (taken == 0)
            break;
        for (uint32_t i = 0; i < taken; i++)
            heap_offer(scan->found, &scan->found_count, scan->k,
                       hnsw_key(distance_of(scan, slots[i]), slots[i]));
        scan->ranked += taken;
    }
    scan->waiting_count = 0;
}

/* A heap becomes an array in ascending order. */
static void heap_sort(uint64_t *heap, uint32_t count)
{
    while (count > 1) {
        uint64_t largest = heap[0];

        heap[0] = heap[--count];
        heap_sift(heap, count, 0);
        heap[count] = largest;
    }
}

static void ask_for_row(const struct exact_scan *scan, uint32_t slot)
{
    uint32_t row = atomic_load_explicit(&slot_table_rows(scan->slots)[slot], memory_order_acquire);
    const char *bytes = (const char *)vector_file_row(scan->file, row);

    for (size_t line = 0; line < scan->file->stride; line += 64)
        __builtin_prefetch(bytes + line);
}

static float distance_of(const struct exact_scan *scan, uint32_t slot)
{
    uint32_t row = atomic_load_explicit(&slot_table_rows(scan->slots)[slot], memory_order_acquire);

    return quantizer_distance(&scan->codes->quantizer, scan->codes->kernels, scan->vector,
                              scan->vector_norm2, vector_file_row(scan->file, row));
}

void exact_scan_end(struct exact_scan *scan)
{
    compact(scan);
    rank_waiting(scan);
    heap_sort(scan->found, scan->found_count);
}

void exact_scan_rank(struct exact_scan *scan, const uint64_t *keys, uint32_t count)
{
    enum { ahead = 4 };

    for (uint32_t i = 0; i < count && i < ahead; i++)
        ask_for_row(scan, hnsw_key_slot(keys[i]));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = hnsw_key_slot(keys[i]);

        if (i + ahead < count)
            ask_for_row(scan, hnsw_key_slot(keys[i + ahead]));
        heap_offer(scan->found, &scan->found_count, scan->k,
                   hnsw_key(distance_of(scan, slot), slot));
    }
    scan->ranked += count;
    heap_sort(scan->found, scan->found_count);
}
