#include "base/binary_heap.h"

#include <assert.h>
#include <stdlib.h>

static void binary_heap_set(struct binary_heap *heap, size_t at, struct binary_heap_node *node);
static void binary_heap_up(struct binary_heap *heap, size_t at);
static void binary_heap_down(struct binary_heap *heap, size_t at);

void binary_heap_done(struct binary_heap *heap)
{
    free(heap->nodes);
    *heap = (struct binary_heap){0};
}

enum status binary_heap_reserve(struct binary_heap *heap, size_t count)
{
    size_t                    capacity = heap->capacity < 16 ? 16 : heap->capacity;
    struct binary_heap_node **nodes;

    if (count <= heap->capacity)
        return STATUS_OK;
    while (capacity < count)
        capacity *= 2;
    nodes = realloc(heap->nodes, capacity * sizeof *nodes);
    if (nodes == NULL)
        return STATUS_NO_MEMORY;
    heap->nodes = nodes;
    heap->capacity = capacity;
    return STATUS_OK;
}

void binary_heap_add(struct binary_heap *heap, struct binary_heap_node *node, uint64_t key)
{
    assert(node->place == 0 && heap->count < heap->capacity);
    node->key = key;
    binary_heap_set(heap, heap->count++, node);
    binary_heap_up(heap, heap->count - 1);
}

void binary_heap_remove(struct binary_heap *heap, struct binary_heap_node *node)
{
    size_t                   at = node->place - 1;
    struct binary_heap_node *last;

    if (node->place == 0)
        return;
    assert(at < heap->count && heap->nodes[at] == node);
    node->place = 0;
    last = heap->nodes[--heap->count];
    if (last == node)
        return;
    binary_heap_set(heap, at, last);
    binary_heap_up(heap, at);
    binary_heap_down(heap, last->place - 1);
}

static void binary_heap_set(struct binary_heap *heap, size_t at, struct binary_heap_node *node)
{
    heap->nodes[at] = node;
    node->place = at + 1;
}

static void binary_heap_up(struct binary_heap *heap, size_t at)
{
    struct binary_heap_node *node = heap->nodes[at];

    while (at > 0 && heap->nodes[(at - 1) / 2]->key > node->key) {
        binary_heap_set(heap, at, heap->nodes[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    binary_heap_set(heap, at, node);
}

static void binary_heap_down(struct binary_heap *heap, size_t at)
{
    struct binary_heap_node *node = heap->nodes[at];

    for (size_t child = 2 * at + 1; child < heap->count; child = 2 * at + 1) {
        if (child + 1 < heap->count && heap->nodes[child + 1]->key < heap->nodes[child]->key)
            child++;
        if (heap->nodes[child]->key >= node->key)
            break;
        binary_heap_set(heap, at, heap->nodes[child]);
        at = child;
    }
    binary_heap_set(heap, at, node);
}
