/* binary_heap - the smallest key first; nodes are embedded and can leave from anywhere
 *
 * For timers and for "the oldest first". A node knows its place, so removing and changing its key
 * cost O(log n) like adding. Equal keys leave in no particular order.
 *
 * Thread: one at a time. Memory: one pointer for each node, kept for the most nodes there were.
 */
#ifndef BASE_BINARY_HEAP_H
#define BASE_BINARY_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"

struct binary_heap_node {
    uint64_t key;
    size_t   place; /* in the array, from 1; 0: in no heap */
};

/* Zero-initialised means empty. */
struct binary_heap {
    struct binary_heap_node **nodes;
    size_t                    count, capacity;
};

/* Free the array. The nodes are the caller's. */
void binary_heap_done(struct binary_heap *heap);

/* Make sure that `count` nodes fit, so that adding cannot fail up to there.
 * STATUS_NO_MEMORY  nothing changed. */
MUST_CHECK enum status binary_heap_reserve(struct binary_heap *heap, size_t count);

/* Add a node that is in no heap. There must be room: binary_heap_reserve(). */
void binary_heap_add(struct binary_heap *heap, struct binary_heap_node *node, uint64_t key);

/* No-op when `node` is in no heap. */
void binary_heap_remove(struct binary_heap *heap, struct binary_heap_node *node);

/* The node with the smallest key; NULL when empty. */
static inline struct binary_heap_node *binary_heap_first(const struct binary_heap *heap)
{
    return heap->count == 0 ? NULL : heap->nodes[0];
}

/* Its key; UINT64_MAX when empty. */
static inline uint64_t binary_heap_first_key(const struct binary_heap *heap)
{
    return heap->count == 0 ? UINT64_MAX : heap->nodes[0]->key;
}

#endif
