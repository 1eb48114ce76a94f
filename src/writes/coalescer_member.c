#include "writes/coalescer_member.h"

#include <assert.h>
#include <stdlib.h>

#include "writes/coalescer_offender.h"

static enum status member_key_get(struct coalescer *coalescer, const struct coalescer_write *write,
                                  struct coalescer_key **ret_key);
static void        member_key_drop(struct coalescer *coalescer, struct coalescer_key *key);

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
                            const struct coalescer_write *write)
{
    struct coalescer_lane *lane = member->lane;

    member->number = ++coalescer->members_numbered;
    member->size = write->size;
    member->record_count = write->record_count;
    member->records_max = write->records_max == 0 ? UINT32_MAX : write->records_max;
    member->flow = write->flow;
    lane->is_mixed = !list_is_empty(&lane->waiting) &&
                     (lane->is_mixed ||
                      LIST_ITEM(list_first(&lane->waiting), struct coalescer_member, queue)->flow !=
                          write->flow);
    member->dimension = member->key == NULL ? 0 : write->dimension;
    member->repeatable = write->repeatable;
    member->repeatable_after_end = write->repeatable || write->repeatable_after_end;
    member->columns = write->columns;
    member->sender = coalescer_offender_hash(coalescer, lane->key, write->sender);
    member->address = coalescer_offender_hash(coalescer, lane->key, write->address);
    list_node_init(&member->queue);
    list_push_back(&lane->waiting, &member->queue);
    list_push_back(&coalescer->unanswered, &member->all);
    member->is_clients = write->is_clients;
    member->slack_us = write->slack_us < write->deadline_us ? write->slack_us : 0;
    binary_heap_add(&coalescer->deadlines, &member->deadline,
                    write->deadline_us - member->slack_us);
    lane->waiting_members++;
    lane->waiting_records += member->record_count;
    coalescer->stats.waiting_members++;
    coalescer->stats.waiting_records += member->record_count;
    coalescer->stats.waiting_bytes += member->size;
    coalescer->stats.unfinished++;
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

struct coalescer_member *coalescer_member_head(const struct coalescer_lane *lane)
{
    struct list_node *node = list_first(&lane->redo);

    if (node == NULL)
        node = list_first(&lane->waiting);
    return node == NULL ? NULL : LIST_ITEM(node, struct coalescer_member, queue);
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
