#include <assert.h>
#include <stdlib.h>

#include "writes/coalescer_internal.h"

static enum status member_key_get(struct coalescer *coalescer, const struct coalescer_write *write,
                                  struct coalescer_key **ret_key);
static void        member_key_drop(struct coalescer *coalescer, struct coalescer_key *key);
static void        member_leave_redo(struct coalescer_member *member);

enum status coalescer_member_make(struct coalescer *coalescer, const struct coalescer_write *write,
                                  struct coalescer_lane *lane, struct coalescer_member **ret_member)
{
    bool                     merges = write->kind == COALESCER_MERGEABLE;
    size_t                   ids = merges ? write->record_count : 0;
    struct coalescer_member *member = malloc(sizeof *member + ids * sizeof member->id_hashes[0]);
    enum status              status;

    if (member == NULL)
        return STATUS_NO_MEMORY;
    *member = (struct coalescer_member){.lane = lane, .ctx = write->ctx, .op = write->op};
    status = binary_heap_reserve(&coalescer->deadlines, coalescer->deadlines.count + 1);
    if (status == STATUS_OK && merges)
        status = member_key_get(coalescer, write, &member->key);
    if (status != STATUS_OK) {
        free(member);
        return status;
    }
    for (size_t i = 0; i < ids; i++)
        member->id_hashes[i] = siphash_1_3(coalescer->options.secret, write->ids[i]);
    *ret_member = member;
    return STATUS_OK;
}

void coalescer_member_queue(struct coalescer *coalescer, struct coalescer_member *member,
                            const struct coalescer_write *write, uint64_t now_us)
{
    struct coalescer_lane *lane = member->lane;

    member->number = ++coalescer->members_numbered;
    member->size = write->size;
    member->record_count = write->record_count;
    member->dimension = member->key == NULL ? 0 : write->dimension;
    member->repeatable = write->repeatable;
    member->offender = coalescer_offender_hash(coalescer, lane->key, write->identity);
    list_node_init(&member->queue);
    list_push_back(&lane->waiting, &member->queue);
    list_push_back(&coalescer->unanswered, &member->all);
    binary_heap_add(&coalescer->deadlines, &member->deadline, write->deadline_us);
    lane->waiting_members++;
    lane->waiting_records += member->record_count;
    coalescer->stats.waiting_members++;
    coalescer->stats.waiting_records += member->record_count;
    coalescer->stats.waiting_bytes += member->size;
    coalescer->stats.unfinished++;
    coalescer_lane_arrived(lane, now_us);
    coalescer_lane_place(coalescer, lane);
}

void coalescer_member_answer(struct coalescer *coalescer, struct coalescer_member *member,
                             struct coalescer_batch *answer, enum status status,
                             enum coalescer_executed executed)
{
    assert(!member->is_answered && !list_node_is_linked(&member->queue));
    member->is_answered = true;
    member->answer = answer;
    member->status = status;
    member->executed = executed;
    list_remove(&member->all);
    binary_heap_remove(&coalescer->deadlines, &member->deadline);
    list_push_back(&coalescer->answers, &member->queue);
}

void coalescer_member_unqueue(struct coalescer *coalescer, struct coalescer_member *member)
{
    struct coalescer_lane *lane = member->lane;

    list_remove(&member->queue);
    lane->waiting_members--;
    lane->waiting_records -= member->record_count;
    coalescer->stats.waiting_members--;
    coalescer->stats.waiting_records -= member->record_count;
    coalescer->stats.waiting_bytes -= member->size;
}

void coalescer_member_expire(struct coalescer *coalescer, uint64_t now_us)
{
    while (binary_heap_first_key(&coalescer->deadlines) <= now_us) {
        struct coalescer_member *member = CONTAINER_OF(binary_heap_first(&coalescer->deadlines),
                                                       struct coalescer_member, deadline);
        bool                     is_sent = member->batch != NULL;

        if (is_sent) {
            member->batch->is_hung = true; /* its lane is held until it returns */
            member->is_tainted = true;
        } else if (member->attempts > 0) {
            member_leave_redo(member);
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
        if (is_sent)
            continue;
        coalescer_lane_place(coalescer, member->lane);
        if (member->lane->place == COALESCER_PLACE_GLOBAL)
            coalescer_lane_unblock(coalescer);
    }
}

void coalescer_member_refuse_late(struct coalescer *coalescer, struct coalescer_lane *lane,
                                  uint64_t answer_us)
{
    while (lane->waiting_members > 1) {
        struct list_node        *node = list_first(&lane->waiting);
        struct coalescer_member *head = LIST_ITEM(node, struct coalescer_member, queue);
        struct coalescer_member *next = LIST_ITEM(node->next, struct coalescer_member, queue);

        if (head->deadline.key >= answer_us || next->number > coalescer_lane_barrier(coalescer))
            return;
        coalescer_member_unqueue(coalescer, head);
        coalescer->stats.expired_unsent++;
        coalescer_member_answer(coalescer, head, NULL, STATUS_TIMED_OUT, COALESCER_EXECUTED_NO);
        coalescer_lane_place(coalescer, lane);
    }
}

void coalescer_member_free(struct coalescer *coalescer, struct coalescer_member *member)
{
    member_key_drop(coalescer, member->key);
    free(member);
    coalescer->stats.unfinished--;
}

static enum status member_key_get(struct coalescer *coalescer, const struct coalescer_write *write,
                                  struct coalescer_key **ret_key)
{
    const char            head[] = {(char)write->op,
                                    (char)write->encoding,
                                    (char)write->dimension,
                                    (char)(write->dimension >> 8),
                                    (char)(write->dimension >> 16),
                                    (char)(write->dimension >> 24)};
    size_t                size = sizeof head + write->batch_key.size;
    struct coalescer_key *key = malloc(sizeof *key + size), *known;
    struct bytes          text;
    enum status           status;

    if (key == NULL)
        return STATUS_NO_MEMORY;
    *key = (struct coalescer_key){.users = 1, .size = size};
    memcpy(key->text, head, sizeof head);
    if (write->batch_key.size > 0)
        memcpy(key->text + sizeof head, write->batch_key.data, write->batch_key.size);
    text = (struct bytes){.data = key->text, .size = size};
    known = hash_map_get(coalescer->keys, text);
    if (known != NULL) {
        free(key);
        known->users++;
        *ret_key = known;
        return STATUS_OK;
    }
    status = hash_map_put(coalescer->keys, text, key);
    if (status != STATUS_OK) {
        free(key);
        return status;
    }
    *ret_key = key;
    return STATUS_OK;
}

static void member_key_drop(struct coalescer *coalescer, struct coalescer_key *key)
{
    if (key == NULL || --key->users > 0)
        return;
    hash_map_remove(coalescer->keys, (struct bytes){.data = key->text, .size = key->size});
    free(key);
}

static void member_leave_redo(struct coalescer_member *member)
{
    struct list_node        *before = member->queue.prev;
    struct coalescer_member *previous = LIST_ITEM(before, struct coalescer_member, queue);

    /* Its segment ends with the one before it, if that is of the same. */
    if (member->ends_segment && before != &member->lane->redo.head)
        previous->ends_segment = true;
    list_remove(&member->queue);
}
