#include "support/stub_cost.h"

static uint64_t occupy(uint64_t *free_us, uint64_t now_us, uint64_t cost_us)
{
    if (*free_us < now_us)
        *free_us = now_us;
    *free_us += cost_us;
    return *free_us;
}

uint64_t stub_cost_write(struct stub_cost *cost, uint64_t now_us, size_t records)
{
    return occupy(&cost->write_free_us, now_us, cost->write_a_us + cost->write_b_us * records);
}

uint64_t stub_cost_read(struct stub_cost *cost, uint64_t now_us)
{
    uint64_t *first = &cost->core_free_us[0];

    for (size_t i = 1; i < cost->cores; i++) {
        if (cost->core_free_us[i] < *first)
            first = &cost->core_free_us[i];
    }
    return occupy(first, now_us, cost->read_c_us);
}
