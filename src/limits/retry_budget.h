/* retry_budget - repeats stay a small part of the calls
 *
 * When a backend fails, repeats are what keeps it down. Within RETRY_BUDGET_WINDOW_S seconds a
 * tenth of the first attempts may be repeated, and one call per second besides, so that a quiet
 * proxy can repeat too. Splits of a batch, and repeats of what is known not to have been applied,
 * are none.
 *
 * Thread: event loop only. Memory: the struct; zero-initialised means no calls yet.
 */
#ifndef LIMITS_RETRY_BUDGET_H
#define LIMITS_RETRY_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

enum { RETRY_BUDGET_WINDOW_S = 10, RETRY_BUDGET_PERCENT = 10, RETRY_BUDGET_PER_S = 1 };

struct retry_budget {
    uint64_t second;                         /* that the newest slot is for */
    uint32_t calls[RETRY_BUDGET_WINDOW_S];   /* by second, modulo the window */
    uint32_t retries[RETRY_BUDGET_WINDOW_S]; /* the same */
    uint64_t granted, refused;               /* ever */
};

/* A first attempt was sent. */
void retry_budget_count(struct retry_budget *budget, uint64_t now_us);

/* May one more call be repeated? If so it is counted. */
bool retry_budget_take(struct retry_budget *budget, uint64_t now_us);

#endif
