/* What must hold: the first node has the smallest key, whatever was added and removed. */
#include "base/binary_heap.h"
#include "support/check_main.h"

#define NODES 200

static uint32_t random_state;

static uint32_t random_below(uint32_t limit)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % limit;
}

START_TEST(the_smallest_is_first)
{
    static struct binary_heap_node nodes[NODES];
    struct binary_heap             heap = {0};

    random_state = (uint32_t)_i;
    memset(nodes, 0, sizeof nodes);
    ck_assert_int_eq(binary_heap_reserve(&heap, NODES), STATUS_OK);
    for (int step = 0; step < 5000; step++) {
        struct binary_heap_node *node = &nodes[random_below(NODES)];
        uint64_t                 smallest = UINT64_MAX;

        if (node->place == 0)
            binary_heap_add(&heap, node, random_below(1000));
        else
            binary_heap_remove(&heap, node);
        for (size_t i = 0; i < NODES; i++) {
            if (nodes[i].place != 0 && nodes[i].key < smallest)
                smallest = nodes[i].key;
        }
        ck_assert_uint_eq(binary_heap_first_key(&heap), smallest);
    }
    while (binary_heap_first(&heap) != NULL)
        binary_heap_remove(&heap, binary_heap_first(&heap));
    for (size_t i = 0; i < NODES; i++)
        ck_assert_uint_eq(nodes[i].place, 0);
    binary_heap_remove(&heap, &nodes[0]);
    binary_heap_done(&heap);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("binary_heap");

    tcase_add_loop_test(tcase, the_smallest_is_first, 0, 20);
    return check_main("binary_heap", tcase);
}
