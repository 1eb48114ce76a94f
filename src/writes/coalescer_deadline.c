#include "writes/coalescer_deadline.h"

#include "writes/coalescer_barrier.h"
#include "writes/coalescer_lane.h"
#include "writes/coalescer_limits.h"
#include "writes/coalescer_member.h"

static void     deadline_extend(struct coalescer *coalescer, struct coalescer_member *member);
static void     deadline_leave_redo(struct coalescer_member *member);
static uint64_t deadline_answer_us(const struct coalescer      *coalescer,
                                   const struct coalescer_lane *lane, uint64_t now_us);

void coalescer_deadline_expire(struct coalescer *coalescer, uint64_t now_us)
{
    while (binary_heap_first_key(&coalescer->deadlines) <= now_us) {
        struct coalescer_member *member = CONTAINER_OF(binary_heap_first(&coalescer->deadlines),
                                                       struct coalescer_member, deadline);
        bool                     is_sent = member->batch != NULL;

        if (is_sent && member->slack_us > 0) {
            deadline_extend(coalescer, member);
            continue;
        }
        if (is_sent) {
            /* Its lane is held until it returns. */
            member->batch->is_hung = member->batch->is_hung || !member->is_clients;
            member->is_tainted = true;
        } else if (member->attempts > 0) {
            deadline_leave_redo(member);
        } else {
            coalescer_member_unqueue(coalescer, member);
        }
        if (member->is_tainted)
            coalescer->stats.expired_sent++;
        else
            coalescer->stats.expired_unsent++;
        coalescer_member_answer(coalescer, member, NULL, STATUS_TIMED_OUT,
                                member->is_tainted ? COALESCER_EXECUTED_MAYBE
                                                   : COALESCER_EXECUTED_NO);
        if (!is_sent)
            coalescer_lane_place(coalescer, member->lane);
    }
}

/* It was sent in time: now all of its time counts. */
static void deadline_extend(struct coalescer *coalescer, struct coalescer_member *member)
{
    uint64_t end_us = member->deadline.key + member->slack_us;

    binary_heap_remove(&coalescer->deadlines, &member->deadline);
    member->slack_us = 0;
    binary_heap_add(&coalescer->deadlines, &member->deadline, end_us);
}

void coalescer_deadline_refuse_late(struct coalescer *coalescer, struct coalescer_lane *lane,
                                    uint64_t now_us)
{
    uint64_t answer_us = deadline_answer_us(coalescer, lane, now_us);

    while (lane->waiting_members > 1) {
        struct list_node        *node = list_first(&lane->waiting);
        struct coalescer_member *head = LIST_ITEM(node, struct coalescer_member, queue);
        struct coalescer_member *next = LIST_ITEM(node->next, struct coalescer_member, queue);

        if (head->deadline.key >= answer_us || next->number >= coalescer_barrier_number(coalescer))
            return;
        coalescer_member_unqueue(coalescer, head);
        coalescer->stats.expired_unsent++;
        coalescer_member_answer(coalescer, head, NULL, STATUS_TIMED_OUT, COALESCER_EXECUTED_NO);
        coalescer_lane_place(coalescer, lane);
    }
}

/* When the next call of `lane` will be answered, with some room for calls that take longer. */
static uint64_t deadline_answer_us(const struct coalescer      *coalescer,
                                   const struct coalescer_lane *lane, uint64_t now_us)
{
    const struct coalescer_member *newest =
        LIST_ITEM(list_last(&lane->waiting), struct coalescer_member, queue);
    uint32_t most = coalescer_limits_records(coalescer, lane->waiting_records, now_us);
    uint64_t left_us = newest->deadline.key - now_us, cost_us; /* expired ones are gone */

    if (most > lane->waiting_records)
        most = (uint32_t)lane->waiting_records;
    cost_us = 2 * batch_cost_expect_us(&coalescer->cost, most);
    /* Who has half of the newest one's time left is not late. */
    return now_us + (cost_us < left_us / 2 ? cost_us : left_us / 2);
}

static void deadline_leave_redo(struct coalescer_member *member)
{
    struct list_node        *before = member->queue.prev;
    struct coalescer_member *previous = LIST_ITEM(before, struct coalescer_member, queue);

    /* Its segment ends with the one before it, if that is of the same. */
    if (member->ends_segment && before != &member->lane->redo.head)
        previous->ends_segment = true;
    list_remove(&member->queue);
}
