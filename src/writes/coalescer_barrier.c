#include "writes/coalescer_barrier.h"

#include "writes/coalescer_member.h"

/* For how long a barrier waits, at first, without stopping anybody. */
static const uint64_t barrier_patience_us = 1000000;
/* For how many expected calls it may stop others. */
static const uint64_t barrier_calls = 2;

static uint64_t barrier_call_us(const struct coalescer *coalescer);

void coalescer_barrier_tick(struct coalescer *coalescer, uint64_t now_us)
{
    const struct coalescer_lane *all = &coalescer->all_lanes;
    struct coalescer_member     *head = coalescer_member_head(all);

    if (head != NULL && head->not_before_us <= now_us)
        head->not_before_us = 0;
    if (head == NULL || all->in_flight != NULL || head->not_before_us > 0) {
        coalescer->barrier_number = 0;
        coalescer->barrier_stops = false;
        coalescer->barrier_until_us = UINT64_MAX;
    } else if (head->number != coalescer->barrier_number) {
        coalescer->barrier_number = head->number;
        coalescer->barrier_stops = false;
        coalescer->barrier_open_us = barrier_patience_us;
        coalescer->barrier_until_us = now_us + barrier_patience_us;
    } else if (now_us >= coalescer->barrier_until_us) {
        coalescer->barrier_stops = !coalescer->barrier_stops;
        if (!coalescer->barrier_stops)
            coalescer->barrier_open_us *= 2;
        coalescer->barrier_until_us =
            now_us + (coalescer->barrier_stops ? barrier_calls * barrier_call_us(coalescer)
                                               : coalescer->barrier_open_us);
    }
}

/* The time that the longest of the calls in flight is expected to take. */
static uint64_t barrier_call_us(const struct coalescer *coalescer)
{
    uint32_t records = 1;

    LIST_FOR_EACH(node, &coalescer->in_flight)
    {
        const struct coalescer_batch *batch = LIST_ITEM(node, struct coalescer_batch, queue);

        if (batch->records > records)
            records = batch->records;
    }
    return batch_cost_expect_us(&coalescer->cost, records);
}

bool coalescer_barrier_is_next(const struct coalescer *coalescer)
{
    const struct coalescer_lane   *all = &coalescer->all_lanes;
    const struct coalescer_member *head = coalescer_member_head(all);

    if (head == NULL || all->in_flight != NULL || head->not_before_us > 0 ||
        coalescer->slots_used >= coalescer->options.backend.in_flight_max)
        return false;
    /* What is to be sent again counts as in flight, and so does what was just lost. */
    if (coalescer->lanes_redoing > 0 || !list_is_empty(&coalescer->undecided) ||
        binary_heap_first_key(&coalescer->ready) < COALESCER_TURN_WAITING + head->number)
        return false;
    LIST_FOR_EACH(node, &coalescer->in_flight)
    {
        if (!LIST_ITEM(node, struct coalescer_batch, queue)->is_hung)
            return false;
    }
    return true;
}

uint64_t coalescer_barrier_number(const struct coalescer *coalescer)
{
    const struct coalescer_batch *sent = coalescer->all_lanes.in_flight;

    if (sent != NULL && !sent->is_lent && !sent->is_hung)
        return 0;
    return coalescer->barrier_stops ? coalescer->barrier_number : UINT64_MAX;
}

uint64_t coalescer_barrier_turn(const struct coalescer *coalescer)
{
    uint64_t number = coalescer_barrier_number(coalescer);

    if (number == 0 || number == UINT64_MAX)
        return number;
    return COALESCER_TURN_WAITING + number;
}

uint64_t coalescer_barrier_wake_us(const struct coalescer *coalescer)
{
    const struct coalescer_member *head = coalescer_member_head(&coalescer->all_lanes);
    uint64_t                       again_us = head == NULL ? 0 : head->not_before_us;

    return again_us > 0 && again_us < coalescer->barrier_until_us ? again_us
                                                                  : coalescer->barrier_until_us;
}
