/* bench_cache_policy - what does SIEVE lose against the optimum, and does a scan hurt it?
 *
 * The cache itself, with answers of one chunk, beside LRU and Belady's optimum (what is asked for
 * last goes first) of the same number of answers. Traces: questions by Zipf's law; and the same
 * with scans, in which every third question of a stretch is one that is asked once. Usage:
 * bench_cache_policy */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/binary_heap.h"
#include "base/list.h"
#include "base/rng.h"
#include "reads/query_cache.h"
#include "support/plain_budget.h"

enum { QUESTIONS = 40000, STEPS = 800000, NEVER = STEPS };

static unsigned trace[STEPS];
static unsigned next_use[STEPS]; /* of the same question */
static unsigned question_count;  /* scans have questions of their own */
static double   chances[QUESTIONS];

static void make_trace(double exponent, bool has_scans)
{
    static unsigned last[QUESTIONS + STEPS];
    struct rng      rng;
    double          sum = 0;

    rng_init(&rng, 1);
    for (unsigned i = 0; i < QUESTIONS; i++)
        chances[i] = sum += 1 / pow(i + 1, exponent);
    question_count = QUESTIONS;
    for (unsigned step = 0; step < STEPS; step++) {
        double   drawn = rng_double(&rng) * sum;
        unsigned low = 0, high = QUESTIONS - 1;

        while (low < high) {
            unsigned middle = (low + high) / 2;

            if (chances[middle] < drawn)
                low = middle + 1;
            else
                high = middle;
        }
        trace[step] = has_scans && step / 20000 % 2 == 1 && step % 3 == 0 ? question_count++ : low;
    }
    for (unsigned i = 0; i < question_count; i++)
        last[i] = NEVER;
    for (unsigned step = STEPS; step-- > 0;) {
        next_use[step] = last[trace[step]];
        last[trace[step]] = step;
    }
}

/* The share of hits; *ret_capacity: how many answers fit. */
static double run_cache(size_t bytes_max, size_t *ret_capacity)
{
    static struct memory_account_budget budget;
    const struct query_validity         validity = {.stamp = 1};
    const struct query_cache_answer     answer = {.cost_us = 1};
    struct query_cache                 *cache;
    double                              hits;

    plain_budget_init(&budget, 1 << 30);
    cache = query_cache_new(
        &(struct query_cache_options){.bytes_max = bytes_max, .object_bytes_max = 1000},
        &budget.accounts[MEMORY_ACCOUNT_CACHE]);
    *ret_capacity = 0;
    for (unsigned step = 0; step < STEPS; step++) {
        uint64_t               digest[2] = {rng_mix(trace[step]), trace[step]};
        struct query_cache_key key = {.collection = {1}};
        struct query_cache_hit hit;

        memcpy(key.digest, digest, sizeof key.digest);
        if (query_cache_find(cache, &key, &validity, UINT64_MAX, step, &hit) != QUERY_CACHE_HIT)
            (void)!query_cache_put(cache, &key, &validity, &answer, step);
        if (query_cache_get_stats(cache)->entries > *ret_capacity)
            *ret_capacity = query_cache_get_stats(cache)->entries;
    }
    hits = (double)query_cache_get_stats(cache)->hits;
    query_cache_free(cache);
    return hits / STEPS;
}

static double run_lru(size_t capacity)
{
    struct item {
        struct list_node node;
        bool             is_kept;
    } *items = calloc(question_count, sizeof *items);
    struct list order;
    size_t      kept = 0, hits = 0;

    list_init(&order);
    for (unsigned step = 0; step < STEPS; step++) {
        struct item *item = &items[trace[step]];

        if (item->is_kept) {
            hits++;
            list_remove(&item->node);
        } else if (kept == capacity) {
            struct item *oldest = LIST_ITEM(list_first(&order), struct item, node);

            list_remove(&oldest->node);
            oldest->is_kept = false;
        } else {
            kept++;
        }
        item->is_kept = true;
        list_push_back(&order, &item->node);
    }
    free(items);
    return (double)hits / STEPS;
}

/* Whatever comes is kept, as in the others. */
static double run_optimum(size_t capacity)
{
    struct binary_heap_node *items = calloc(question_count, sizeof *items);
    struct binary_heap       heap = {0};
    size_t                   hits = 0;

    if (items == NULL || binary_heap_reserve(&heap, capacity + 1) != STATUS_OK)
        exit(1);
    for (unsigned step = 0; step < STEPS; step++) {
        struct binary_heap_node *item = &items[trace[step]];

        hits += item->place != 0;
        if (item->place == 0 && heap.count == capacity)
            binary_heap_remove(&heap, binary_heap_first(&heap));
        binary_heap_remove(&heap, item);
        binary_heap_add(&heap, item, STEPS - next_use[step]);
    }
    binary_heap_done(&heap);
    free(items);
    return (double)hits / STEPS;
}

int main(void)
{
    static const size_t blocks[] = {2, 8, 32};

    printf("%-22s %10s %8s %8s %8s %8s\n", "trace", "answers", "of all", "SIEVE", "LRU", "optimum");
    for (unsigned i = 0; i < 4; i++) {
        double exponent = i < 2 ? 0.8 : 1.0;
        bool   has_scans = i % 2 == 1;

        make_trace(exponent, has_scans);
        for (size_t j = 0; j < 3; j++) {
            size_t capacity;
            double sieve =
                run_cache((blocks[j] << 18) + (100 << 10) + (blocks[j] << 12), &capacity);

            printf("Zipf %.1f%-14s %10zu %7.1f%% %7.1f%% %7.1f%% %7.1f%%\n", exponent,
                   has_scans ? ", scans" : "", capacity, 100.0 * (double)capacity / QUESTIONS,
                   100 * sieve, 100 * run_lru(capacity), 100 * run_optimum(capacity));
        }
    }
    return 0;
}
