/* sim_seeds - which seeds a simulation runs: few in `make check`, more when asked
 *
 * SIM_SEEDS=FIRST:LAST in the environment replaces the test's own range 1:COUNT.
 */
#ifndef SUPPORT_SIM_SEEDS_H
#define SUPPORT_SIM_SEEDS_H

#include <check.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* As ck_assert(), but free of cost where it holds, and with the seed that repeats the failure. */
#define SIM_CHECK(seed, condition)                                                                 \
    do {                                                                                           \
        if (!(condition))                                                                          \
            ck_abort_msg("seed %" PRIu64 ": %s", seed, #condition);                                \
    } while (0)

struct sim_seeds {
    uint64_t first, last;
};

static inline struct sim_seeds sim_seeds_get(uint64_t count)
{
    struct sim_seeds seeds = {1, count};
    const char      *text = getenv("SIM_SEEDS");

    if (text != NULL && sscanf(text, "%" SCNu64 ":%" SCNu64, &seeds.first, &seeds.last) != 2) {
        fprintf(stderr, "SIM_SEEDS is FIRST:LAST, not '%s'\n", text);
        exit(EXIT_FAILURE);
    }
    return seeds;
}

#endif
