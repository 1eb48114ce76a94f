#include "limits/breaker.h"

static const uint64_t second_us = 1000000;
static const uint64_t open_first_us = 1000000, open_max_us = 30000000;

static void breaker_count(struct breaker *breaker, bool is_failure, uint64_t now_us);
static void breaker_sum(const struct breaker *breaker, uint64_t *ret_calls, uint64_t *ret_failures);
static bool has_failed(const struct breaker *breaker);
static void break_open(struct breaker *breaker, uint64_t now_us, struct rng *rng);
static void change_state(struct breaker *breaker, enum breaker_state state, uint64_t now_us);
static void clear_counts(struct breaker *breaker);

bool breaker_may_pass(const struct breaker *breaker)
{
    return breaker->state == BREAKER_CLOSED ||
           (breaker->state == BREAKER_TRYING && !breaker->is_tried);
}

bool breaker_pass(struct breaker *breaker)
{
    if (!breaker_may_pass(breaker))
        return false;
    breaker->is_tried = breaker->state == BREAKER_TRYING;
    return true;
}

bool breaker_report(struct breaker *breaker, enum breaker_outcome outcome, uint64_t passed_us,
                    uint64_t now_us, struct rng *rng)
{
    bool is_failure = outcome == BREAKER_FAILURE || outcome == BREAKER_CONNECT_FAILURE;

    if (breaker->state == BREAKER_OPEN || passed_us < breaker->changed_us)
        return false; /* it says how things were */
    breaker->is_tried = false;
    if (outcome == BREAKER_NOTHING)
        return false;
    if (breaker->state == BREAKER_TRYING) {
        if (is_failure) {
            breaker->reopened++;
            break_open(breaker, now_us, rng);
        } else if (++breaker->successes == BREAKER_TRIES) {
            breaker->reopened = 0;
            change_state(breaker, BREAKER_CLOSED, now_us);
        }
        return breaker->state == BREAKER_CLOSED;
    }
    breaker_count(breaker, is_failure, now_us);
    breaker->connect_failures =
        outcome == BREAKER_CONNECT_FAILURE ? breaker->connect_failures + 1 : 0;
    if (breaker->connect_failures >= BREAKER_CONNECTS_MAX || (is_failure && has_failed(breaker)))
        break_open(breaker, now_us, rng);
    return false;
}

static void breaker_count(struct breaker *breaker, bool is_failure, uint64_t now_us)
{
    uint64_t second = now_us / second_us;

    if (breaker->second + BREAKER_WINDOW_S < second)
        breaker->second = second - BREAKER_WINDOW_S;
    while (breaker->second < second) {
        breaker->second++;
        breaker->calls[breaker->second % BREAKER_WINDOW_S] = 0;
        breaker->failures[breaker->second % BREAKER_WINDOW_S] = 0;
    }
    breaker->calls[second % BREAKER_WINDOW_S]++;
    breaker->failures[second % BREAKER_WINDOW_S] += is_failure;
}

static void breaker_sum(const struct breaker *breaker, uint64_t *ret_calls, uint64_t *ret_failures)
{
    *ret_calls = *ret_failures = 0;
    for (unsigned i = 0; i < BREAKER_WINDOW_S; i++) {
        *ret_calls += breaker->calls[i];
        *ret_failures += breaker->failures[i];
    }
}

static bool has_failed(const struct breaker *breaker)
{
    uint64_t calls, failures;

    breaker_sum(breaker, &calls, &failures);
    return calls >= BREAKER_CALLS_MIN && failures * 2 >= calls;
}

static void break_open(struct breaker *breaker, uint64_t now_us, struct rng *rng)
{
    unsigned doublings = breaker->reopened < 5 ? breaker->reopened : 5;
    uint64_t wait_us = open_first_us << doublings;

    if (wait_us > open_max_us)
        wait_us = open_max_us;
    if (breaker->state == BREAKER_CLOSED) {
        breaker_sum(breaker, &breaker->cause_calls, &breaker->cause_failures);
        if (breaker->connect_failures >= BREAKER_CONNECTS_MAX)
            breaker->cause_calls = 0;
    }
    breaker->next_us = now_us + wait_us * 4 / 5 + rng_below(rng, wait_us * 2 / 5);
    breaker->opened++;
    change_state(breaker, BREAKER_OPEN, now_us);
}

static void change_state(struct breaker *breaker, enum breaker_state state, uint64_t now_us)
{
    breaker->state = state;
    breaker->changed_us = now_us;
    breaker->successes = 0;
    breaker->is_tried = false;
    clear_counts(breaker);
}

static void clear_counts(struct breaker *breaker)
{
    breaker->connect_failures = 0;
    for (unsigned i = 0; i < BREAKER_WINDOW_S; i++)
        breaker->calls[i] = breaker->failures[i] = 0;
}

void breaker_heartbeat(struct breaker *breaker, bool is_answered, uint64_t now_us, struct rng *rng)
{
    if (breaker->state != BREAKER_OPEN)
        return;
    if (is_answered) {
        change_state(breaker, BREAKER_TRYING, now_us);
    } else if (now_us >= breaker->next_us) {
        breaker->reopened++;
        break_open(breaker, now_us, rng);
    }
}

bool breaker_has_failures(const struct breaker *breaker, uint64_t now_us)
{
    uint64_t calls, failures;

    breaker_sum(breaker, &calls, &failures);
    return failures > 0 && now_us / second_us < breaker->second + BREAKER_WINDOW_S;
}

void breaker_forget(struct breaker *breaker)
{
    if (breaker->state == BREAKER_CLOSED)
        clear_counts(breaker);
}
