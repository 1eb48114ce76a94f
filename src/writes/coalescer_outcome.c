/* What follows from the backend's word, for everybody in the batch:
 *
 *   APPLIED      2xx                             everybody gets it
 *   SAME         401 403 404                     everybody gets it: one identity, one collection
 *   REFUSED      other 3xx 4xx, 501, what is     nothing was applied: halves, down to singles,
 *                known to be a refusal           of which each gets what it got alone
 *   APART        may not share a call            halves, though nobody refused anything
 *   NOT_APPLIED  known refusal of admission,     the same batch again, later
 *                no byte was sent               (who cannot wait for as long as the backend asks
 *                                               gets the refusal)
 *   UNKNOWN      other 429 and 5xx, 408, reset   gateway: the same batch once more, then singles,
 *                                                unless a long answer passes already;
 *                                                sidecar: nobody can tell
 *   ENDED        reset as the backend ended      the same batch again, then singles: nothing of it
 *                                                is alive, so what is repeatable may be repeated
 */
#include "writes/coalescer_outcome.h"

#include <assert.h>

#include "writes/coalescer_lane.h"
#include "writes/coalescer_limits.h"
#include "writes/coalescer_member.h"
#include "writes/coalescer_offender.h"

enum verdict {
    VERDICT_APPLIED,
    VERDICT_SAME,
    VERDICT_REFUSED,
    VERDICT_APART,
    VERDICT_NOT_APPLIED,
    VERDICT_UNKNOWN,
    VERDICT_ENDED
};

static const uint64_t back_off_min_us = 20000, back_off_max_us = 1000000;
/* A write whose connection died may yet be applied: its lane stays held for the time of so many
 * calls, a second at least, and no longer than the patience. */
static const uint64_t held_calls = 4, held_min_us = 1000000;
/* A supervised backend's connections die before its exit is seen: so long it is waited for. */
static const uint64_t decide_us = 1000000;
/* In flight at so many ends of the backend: alone from now on, not again. */
static const uint32_t ends_alone = 2, ends_max = 3;

static void         outcome_put_off(struct coalescer *coalescer, struct coalescer_batch *batch,
                                    uint64_t now_us);
static void         outcome_judge(struct coalescer *coalescer, struct coalescer_batch *batch,
                                  const struct coalescer_outcome *outcome, uint64_t now_us);
static enum verdict outcome_verdict(const struct coalescer_batch   *batch,
                                    const struct coalescer_outcome *outcome);
static void         outcome_land(struct coalescer *coalescer, struct coalescer_batch *batch);
static void         outcome_learn(struct coalescer *coalescer, const struct coalescer_batch *batch,
                                  uint64_t now_us);
static void         outcome_applied(struct coalescer *coalescer, struct coalescer_batch *batch);
static void         outcome_answer(struct coalescer *coalescer, struct coalescer_batch *batch,
                                   bool is_unknown);
static void         outcome_refused(struct coalescer *coalescer, struct coalescer_batch *batch,
                                    const struct coalescer_outcome *outcome, uint64_t now_us);
static void         outcome_halve(struct coalescer_batch *batch);
static void         outcome_not_applied(struct coalescer *coalescer, struct coalescer_batch *batch,
                                        const struct coalescer_outcome *outcome, uint64_t now_us);
static void     outcome_answer_in_time(struct coalescer *coalescer, struct coalescer_batch *batch,
                                       const struct coalescer_outcome *outcome);
static void     outcome_unknown(struct coalescer *coalescer, struct coalescer_batch *batch,
                                const struct coalescer_outcome *outcome, uint64_t now_us);
static void     outcome_hold(const struct coalescer *coalescer, struct coalescer_batch *batch,
                             const struct coalescer_outcome *outcome, uint64_t now_us);
static void     outcome_ended(struct coalescer *coalescer, struct coalescer_batch *batch,
                              uint64_t now_us);
static void     outcome_give_up(struct coalescer *coalescer, struct coalescer_member *member);
static void     outcome_redo(struct coalescer_batch *batch, size_t segment_size,
                             uint64_t not_before_us);
static uint64_t outcome_again_us(const struct coalescer *coalescer, struct coalescer_batch *batch,
                                 const struct coalescer_outcome *outcome, uint64_t now_us);
static uint64_t outcome_back_off_us(const struct coalescer *coalescer,
                                    struct coalescer_batch *batch);

void coalescer_outcome_apply(struct coalescer *coalescer, struct coalescer_batch *batch,
                             const struct coalescer_outcome *outcome, uint64_t now_us)
{
    bool is_lost = outcome->kind == COALESCER_RESET;

    if (is_lost && coalescer->options.is_supervised && !batch->has_ended)
        outcome_put_off(coalescer, batch, now_us);
    else
        outcome_judge(coalescer, batch, outcome, now_us);
}

/* The lane stays as it is until it is known whether the backend ended. */
static void outcome_put_off(struct coalescer *coalescer, struct coalescer_batch *batch,
                            uint64_t now_us)
{
    list_remove(&batch->queue);
    list_push_back(&coalescer->undecided, &batch->queue);
    if (!batch->is_lent)
        coalescer->slots_used--;
    batch->is_lent = true;
    batch->decide_us = now_us + decide_us;
}

void coalescer_outcome_decide(struct coalescer *coalescer, uint64_t now_us)
{
    static const struct coalescer_outcome lost = {.kind = COALESCER_RESET};

    LIST_FOR_EACH(node, &coalescer->undecided)
    {
        struct coalescer_batch *batch = LIST_ITEM(node, struct coalescer_batch, queue);

        if (now_us >= batch->decide_us || batch->has_ended)
            outcome_judge(coalescer, batch, &lost, now_us);
    }
}

void coalescer_outcome_backend_ended(struct coalescer *coalescer, uint64_t now_us)
{
    struct list *lists[] = {&coalescer->in_flight, &coalescer->lent, &coalescer->undecided};

    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        LIST_FOR_EACH(node, lists[i])
        {
            LIST_ITEM(node, struct coalescer_batch, queue)->has_ended = true;
        }
    }
    coalescer_outcome_decide(coalescer, now_us);
    coalescer_lane_release_all(coalescer);
}

static void outcome_judge(struct coalescer *coalescer, struct coalescer_batch *batch,
                          const struct coalescer_outcome *outcome, uint64_t now_us)
{
    enum verdict verdict = outcome_verdict(batch, outcome);

    outcome_land(coalescer, batch);
    coalescer_offender_count(coalescer, verdict == VERDICT_REFUSED && batch->count > 1);
    switch (verdict) {
    case VERDICT_APPLIED:
        outcome_learn(coalescer, batch, now_us);
        outcome_applied(coalescer, batch);
        break;
    case VERDICT_SAME:
        outcome_answer(coalescer, batch, false);
        break;
    case VERDICT_REFUSED:
        outcome_refused(coalescer, batch, outcome, now_us);
        break;
    case VERDICT_APART:
        assert(batch->count > 1);
        outcome_halve(batch);
        break;
    case VERDICT_NOT_APPLIED:
        outcome_not_applied(coalescer, batch, outcome, now_us);
        break;
    case VERDICT_UNKNOWN:
        outcome_hold(coalescer, batch, outcome, now_us);
        outcome_unknown(coalescer, batch, outcome, now_us);
        break;
    case VERDICT_ENDED:
        outcome_ended(coalescer, batch, now_us);
        break;
    }
    coalescer_lane_place(coalescer, batch->lane);
    list_push_back(&coalescer->ended, &batch->queue);
}

static enum verdict outcome_verdict(const struct coalescer_batch   *batch,
                                    const struct coalescer_outcome *outcome)
{
    int status = outcome->http_status;

    if (outcome->kind == COALESCER_NOT_SENT)
        return VERDICT_NOT_APPLIED;
    if (outcome->kind == COALESCER_APART)
        return VERDICT_APART;
    if (outcome->kind == COALESCER_RESET)
        return batch->has_ended ? VERDICT_ENDED : VERDICT_UNKNOWN;
    if (status >= 200 && status <= 299)
        return VERDICT_APPLIED;
    if (status == 401 || status == 403 || status == 404)
        return VERDICT_SAME;
    if (outcome->admission_refusal) /* 431, 505, 508 would be said again and again */
        return status == 429 || (status >= 502 && status <= 504) ? VERDICT_NOT_APPLIED
                                                                 : VERDICT_REFUSED;
    if (outcome->is_refusal || status == 501 ||
        (status >= 300 && status <= 499 && status != 408 && status != 429))
        return VERDICT_REFUSED;
    return VERDICT_UNKNOWN;
}

/* The batch is back: its slot and lane are free, and its members are without a batch. */
static void outcome_land(struct coalescer *coalescer, struct coalescer_batch *batch)
{
    assert(batch->lane->in_flight == batch);
    batch->lane->in_flight = NULL;
    list_remove(&batch->queue);
    if (!batch->is_lent)
        coalescer->slots_used--;
    for (size_t i = 0; i < batch->count; i++) {
        struct coalescer_member *member = batch->members[i];

        member->batch = NULL;
        /* Its bytes were kept for the transfer; unless its refusal is still to be taken. */
        if (member->is_answered && !list_node_is_linked(&member->queue))
            list_push_back(&coalescer->releases, &member->queue);
    }
}

static void outcome_learn(struct coalescer *coalescer, const struct coalescer_batch *batch,
                          uint64_t now_us)
{
    const struct coalescer_member *first = batch->members[0];

    if (batch->records > 0 && first->op != COALESCER_OTHER)
        batch_cost_add(&coalescer->cost, batch->records, now_us - batch->sent_us);
    coalescer_lane_returned(coalescer, batch->lane, batch, now_us);
}

static void outcome_applied(struct coalescer *coalescer, struct coalescer_batch *batch)
{
    struct coalescer_member *first = batch->members[0];

    if (batch->count == 1 && batch->part_first + batch->records < first->record_count) {
        first->records_done = batch->part_first + batch->records;
        first->is_tainted = true;
        first->unknowns = first->refusals = 0;
        outcome_redo(batch, 1, 0);
        return;
    }
    for (size_t i = 0; i < batch->count; i++) {
        if (!batch->members[i]->is_answered)
            coalescer_member_answer(coalescer, batch->members[i], batch, STATUS_OK,
                                    COALESCER_EXECUTED_UNSAID);
    }
}

/* Everybody gets the answer of the batch, which is not a success. */
static void outcome_answer(struct coalescer *coalescer, struct coalescer_batch *batch,
                           bool is_unknown)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct coalescer_member *member = batch->members[i];

        if (!member->is_answered)
            coalescer_member_answer(coalescer, member, batch, STATUS_OK,
                                    is_unknown || member->is_tainted ? COALESCER_EXECUTED_MAYBE
                                                                     : COALESCER_EXECUTED_UNSAID);
    }
}

static void outcome_refused(struct coalescer *coalescer, struct coalescer_batch *batch,
                            const struct coalescer_outcome *outcome, uint64_t now_us)
{
    bool is_size = outcome->http_status == 413 || outcome->quota_refusal;

    if (batch->count == 1) {
        if (batch->members[0]->was_split)
            coalescer_offender_add(coalescer, batch->members[0], now_us);
        outcome_answer(coalescer, batch, false);
        return;
    }
    if (is_size) /* nobody's fault */
        coalescer_limits_learn(coalescer, batch, outcome->quota_refusal, now_us);
    for (size_t i = 0; i < batch->count; i++)
        batch->members[i]->was_split = !is_size;
    coalescer->stats.batch_splits++;
    outcome_halve(batch);
}

static void outcome_halve(struct coalescer_batch *batch)
{
    outcome_redo(batch, (batch->count + 1) / 2, 0);
}

static void outcome_not_applied(struct coalescer *coalescer, struct coalescer_batch *batch,
                                const struct coalescer_outcome *outcome, uint64_t now_us)
{
    uint64_t again_us = outcome_again_us(coalescer, batch, outcome, now_us);
    bool     is_redone = false;

    outcome_answer_in_time(coalescer, batch, outcome);
    for (size_t i = 0; i < batch->count; i++)
        is_redone = is_redone || !batch->members[i]->is_answered;
    coalescer->stats.retries += is_redone;
    outcome_redo(batch, batch->count, again_us);
}

/* Who cannot wait for as long as the backend asks gets what it said. */
static void outcome_answer_in_time(struct coalescer *coalescer, struct coalescer_batch *batch,
                                   const struct coalescer_outcome *outcome)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct coalescer_member *member = batch->members[i];

        if (!member->is_answered && outcome->kind == COALESCER_ANSWERED &&
            outcome->retry_at_us >= member->deadline.key)
            coalescer_member_answer(coalescer, member, batch, STATUS_OK,
                                    member->is_tainted ? COALESCER_EXECUTED_MAYBE
                                                       : COALESCER_EXECUTED_UNSAID);
    }
}

static void outcome_unknown(struct coalescer *coalescer, struct coalescer_batch *batch,
                            const struct coalescer_outcome *outcome, uint64_t now_us)
{
    bool     is_answered = outcome->kind == COALESCER_ANSWERED;
    bool     may_resend = coalescer->options.role == COALESCER_GATEWAY && !outcome->is_passing;
    uint32_t unknowns = batch->members[0]->unknowns;

    coalescer->stats.unknown++;
    for (size_t i = 0; i < batch->count; i++) {
        batch->members[i]->is_tainted = true;
        batch->members[i]->unknowns = unknowns + 1;
        may_resend = may_resend && batch->members[i]->repeatable;
    }
    if (may_resend && unknowns == 0) {
        uint64_t again_us = outcome_again_us(coalescer, batch, outcome, now_us);

        outcome_answer_in_time(coalescer, batch, outcome);
        coalescer->stats.resends++;
        outcome_redo(batch, batch->count, again_us);
    } else if (may_resend && batch->count > 1) {
        coalescer->stats.batch_splits++;
        outcome_redo(batch, 1, 0);
    } else if (is_answered) {
        outcome_answer(coalescer, batch, true);
    } else {
        for (size_t i = 0; i < batch->count; i++) {
            outcome_give_up(coalescer, batch->members[i]);
        }
    }
}

/* Nobody answered for the write, or somebody who stands before Chroma did: it may be alive. */
static void outcome_hold(const struct coalescer *coalescer, struct coalescer_batch *batch,
                         const struct coalescer_outcome *outcome, uint64_t now_us)
{
    uint64_t for_us = held_calls * batch_cost_expect_us(&coalescer->cost, batch->records);
    int      status = outcome->http_status;

    if (outcome->kind == COALESCER_ANSWERED && status != 408 && (status < 502 || status > 504))
        return;
    if (for_us < held_min_us)
        for_us = held_min_us;
    if (for_us > coalescer->options.patience_us)
        for_us = coalescer->options.patience_us;
    batch->lane->held_until_us = now_us + for_us;
}

/* What killed the backend time and again is not sent again. */
static void outcome_ended(struct coalescer *coalescer, struct coalescer_batch *batch,
                          uint64_t now_us)
{
    uint32_t ends = 0;
    bool     is_redone = false;

    for (size_t i = 0; i < batch->count; i++) {
        struct coalescer_member *member = batch->members[i];

        member->is_tainted = true;
        if (++member->ends > ends)
            ends = member->ends;
        if (!member->repeatable_after_end || (batch->count == 1 && ends >= ends_max))
            outcome_give_up(coalescer, member);
        is_redone = is_redone || !member->is_answered;
    }
    if (is_redone)
        coalescer->stats.resends++;
    else
        coalescer->stats.unknown++;
    outcome_redo(batch, ends >= ends_alone ? 1 : batch->count,
                 now_us + outcome_back_off_us(coalescer, batch));
}

static void outcome_give_up(struct coalescer *coalescer, struct coalescer_member *member)
{
    if (!member->is_answered)
        coalescer_member_answer(coalescer, member, NULL, STATUS_BACKEND_RESET,
                                COALESCER_EXECUTED_MAYBE);
}

/* Put the members that still want an answer back before all that waits, in their order, to be
 * sent in segments of `segment_size`. */
static void outcome_redo(struct coalescer_batch *batch, size_t segment_size, uint64_t not_before_us)
{
    struct list_node        *position = &batch->lane->redo.head;
    struct coalescer_member *member = NULL;
    size_t                   in_segment = 0;

    for (size_t i = 0; i < batch->count; i++) {
        if (batch->members[i]->is_answered)
            continue;
        member = batch->members[i];
        list_insert_after(position, &member->queue);
        position = &member->queue;
        member->not_before_us = not_before_us;
        member->ends_segment = ++in_segment % segment_size == 0;
    }
    if (member != NULL)
        member->ends_segment = true;
}

/* No sooner than the backend asks for. */
static uint64_t outcome_again_us(const struct coalescer *coalescer, struct coalescer_batch *batch,
                                 const struct coalescer_outcome *outcome, uint64_t now_us)
{
    uint64_t again_us = now_us + outcome_back_off_us(coalescer, batch);

    return outcome->retry_at_us > again_us ? outcome->retry_at_us : again_us;
}

/* 20 ms, doubling to 1 s, half of it at random so that lanes do not come in step. */
static uint64_t outcome_back_off_us(const struct coalescer *coalescer,
                                    struct coalescer_batch *batch)
{
    uint64_t base_us = back_off_min_us, draw;
    uint32_t tries = 0;

    for (size_t i = 0; i < batch->count; i++)
        tries = ++batch->members[i]->refusals;
    while (--tries > 0 && base_us < back_off_max_us)
        base_us *= 2;
    if (base_us > back_off_max_us)
        base_us = back_off_max_us;
    draw = siphash_1_3(coalescer->options.secret,
                       (struct bytes){.data = (const char *)&batch->id, .size = sizeof batch->id});
    return base_us / 2 + draw % (base_us / 2);
}
