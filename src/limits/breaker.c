#include "limits/breaker.h"

static const uint64_t second_us = 1000000;
static const uint64_t open_first_us = 1000000, open_max_us = 30000000;

static void count(struct breaker *breaker, bool is_failure, uint64_t now_us);
static bool has_failed(const struct breaker *breaker);
static void break_open(struct breaker *breaker, uint64_t now_us, struct rng *rng);
static void change_state(struct breaker *breaker, enum breaker_state state, uint64_t now_us);

bool breaker_pass(struct breaker *breaker)
{
    switch (breaker->state) {
    case BREAKER_CLOSED:
        return true;
    case BREAKER_TRYING:
        if (breaker->tries < BREAKER_TRIES) {
            breaker->tries++;
            return true;
        }
        return false;
    case BREAKER_OPEN:
        break;
    }
    return false;
}

bool breaker_report(struct breaker *breaker, enum breaker_outcome outcome, uint64_t passed_us,
                    uint64_t now_us, struct rng *rng)
{
    bool is_failure = outcome == BREAKER_FAILURE || outcome == BREAKER_CONNECT_FAILURE;

    if (breaker->state == BREAKER_OPEN || passed_us < breaker->changed_us)
        return false; /* it says how things were */
    if (outcome == BREAKER_NOTHING) {
        breaker->tries -= breaker->state == BREAKER_TRYING;
        return false;
    }
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
    count(breaker, is_failure, now_us);
    breaker->connect_failures =
        outcome == BREAKER_CONNECT_FAILURE ? breaker->connect_failures + 1 : 0;
    if (breaker->connect_failures >= BREAKER_CONNECTS_MAX || (is_failure && has_failed(breaker)))
        break_open(breaker, now_us, rng);
    return false;
}

static void count(struct breaker *breaker, bool is_failure, uint64_t now_us)
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

static bool has_failed(const struct breaker *breaker)
{
    uint64_t calls = 0, failures = 0;

    for (unsigned i = 0; i < BREAKER_WINDOW_S; i++) {
        calls += breaker->calls[i];
        failures += breaker->failures[i];
    }
    return calls >= BREAKER_CALLS_MIN && failures * 2 >= calls;
}

static void break_open(struct breaker *breaker, uint64_t now_us, struct rng *rng)
{
    unsigned doublings = breaker->reopened < 5 ? breaker->reopened : 5;
    uint64_t wait_us = open_first_us << doublings;

    if (wait_us > open_max_us)
        wait_us = open_max_us;
    breaker->next_us = now_us + wait_us * 4 / 5 + rng_below(rng, wait_us * 2 / 5);
    breaker->opened++;
    change_state(breaker, BREAKER_OPEN, now_us);
}

static void change_state(struct breaker *breaker, enum breaker_state state, uint64_t now_us)
{
    breaker->state = state;
    breaker->changed_us = now_us;
    breaker->connect_failures = breaker->tries = breaker->successes = 0;
    for (unsigned i = 0; i < BREAKER_WINDOW_S; i++)
        breaker->calls[i] = breaker->failures[i] = 0;
}

bool breaker_wants_heartbeat(const struct breaker *breaker, uint64_t now_us)
{
    return breaker->state == BREAKER_OPEN && now_us >= breaker->next_us;
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
