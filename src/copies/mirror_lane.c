#include "copies/mirror_lane.h"

#include <stdlib.h>

#include "copies/mirror_ask.h"
#include "copies/mirror_fill.h"
#include "lanes/lane_stay.h"
#include "mirror/record_delete.h"

/* Longer bodies are not read on the loop; an answer has some hundred thousand ids. */
enum { lane_body_max = 128 << 10, lane_answer_max = 8 << 20 };

/* A question that a write waits for. */
struct mirror_lane {
    struct mirror_keeper *keeper;
    struct list_node      node; /* in keeper->lanes */
    struct lane_stay     *stay;
    struct mirror_ask     ask;
    struct byte_buffer    body;
};

static bool lane_find_deleted(struct mirror_keeper *keeper, struct mirror_entry *entry,
                              struct lane_stay *stay, struct turn *turn);
static bool lane_ask(struct mirror_lane *lane, struct mirror_entry *entry, struct turn *turn);
static void lane_on_over(struct mirror_ask *ask, enum status failure);
static void lane_free(void *object);

bool mirror_lane_on_write(void *ctx, struct lane_stay *stay, struct turn *turn)
{
    struct mirror_keeper *keeper = ctx;
    struct mirror_entry  *entry = mirror_entry_find(keeper, stay->route->uuid);

    if (entry == NULL || entry->live == NULL || entry->list_sent == 0)
        return false;
    if (stay->route->operation == CHROMA_OPERATION_DELETE)
        return lane_find_deleted(keeper, entry, stay, turn);
    return keeper->filling == entry && mirror_fill_ask_in_lane(keeper->fill, stay, turn);
}

static bool lane_find_deleted(struct mirror_keeper *keeper, struct mirror_entry *entry,
                              struct lane_stay *stay, struct turn *turn)
{
    const struct memory_account *account = &keeper->proxy->budget->accounts[MEMORY_ACCOUNT_MIRROR];
    struct byte_buffer           body = {0};
    struct mirror_lane          *lane = NULL;

    if (stay->body.size > lane_body_max || !memory_account_has_room(account, lane_answer_max))
        return false;
    /* A copy that is whole follows by itself, and Chroma's count tells whether it was right. */
    if (record_delete_print_question(stay->body, entry->state == MIRROR_ENTRY_COMPLETE, &body) ==
        STATUS_OK)
        lane = calloc(1, sizeof *lane);
    if (lane == NULL) {
        byte_buffer_done(&body);
        return false;
    }
    lane->keeper = keeper;
    lane->stay = stay;
    lane->body = body;
    list_push_back(&lane->keeper->lanes, &lane->node);
    if (mirror_ask_init(&lane->ask, lane->keeper->proxy, lane_on_over) == STATUS_OK &&
        lane_ask(lane, entry, turn))
        return true;
    lane_free(lane);
    return false;
}

static bool lane_ask(struct mirror_lane *lane, struct mirror_entry *entry, struct turn *turn)
{
    const struct mirror_ask_lane in_lane = {
        .within_us = LANE_STAY_MAX_US, .flow = lane->stay->flow, .turn = turn};

    return mirror_ask_get(&lane->ask, entry, byte_buffer_bytes(&lane->body), lane_answer_max,
                          &in_lane) == STATUS_OK;
}

static void lane_on_over(struct mirror_ask *ask, enum status failure)
{
    struct mirror_lane *lane = CONTAINER_OF(ask, struct mirror_lane, ask);

    if (failure == STATUS_OK && ask->status == 200 && ask->is_whole) {
        byte_buffer_done(&lane->stay->found);
        lane->stay->found = mirror_ask_take(ask);
    }
    list_remove(&lane->node);
    lane_stay_end(lane->stay);
    loop_free_later(lane->keeper->proxy->loop, lane, lane_free); /* its call returns through it */
}

void mirror_lane_free_all(struct mirror_keeper *keeper)
{
    struct list_node *node;

    while ((node = list_first(&keeper->lanes)) != NULL)
        lane_free(LIST_ITEM(node, struct mirror_lane, node));
}

static void lane_free(void *object)
{
    struct mirror_lane *lane = object;

    list_remove(&lane->node);
    mirror_ask_done(&lane->ask);
    byte_buffer_done(&lane->body);
    free(lane);
}
