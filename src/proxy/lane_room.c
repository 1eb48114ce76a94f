#include "proxy/lane_room.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash_map.h"

struct lane_room {
    struct loop     *loop;
    struct hash_map *lanes; /* those with tickets, by key */
    uint64_t         max;
    struct list      roomier; /* lanes that were left by a ticket while others wait */
    struct loop_task task;
};

struct lane_room_lane {
    unsigned char    key[LANE_ROOM_KEY_SIZE];
    uint64_t         held;
    size_t           tickets;
    struct list      waiting; /* the oldest first */
    struct list_node node;    /* in `roomier` */
};

static struct lane_room_lane *get_lane(struct lane_room *room, const unsigned char *key);
static struct bytes           key_of(const unsigned char *key);
static bool has_room(const struct lane_room *room, const struct lane_room_lane *lane,
                     uint64_t size);
static void hold(struct lane_room_ticket *ticket);
static void admit_waiting(void *ctx);
static void admit_to(struct lane_room *room, struct lane_room_lane *lane);

struct lane_room *lane_room_new(struct loop *loop, const unsigned char secret[16], uint64_t max)
{
    struct lane_room *room = calloc(1, sizeof *room);

    if (room == NULL)
        return NULL;
    room->loop = loop;
    room->max = max;
    list_init(&room->roomier);
    loop_task_init(&room->task, admit_waiting, room);
    room->lanes = hash_map_new(secret, SIZE_MAX);
    if (room->lanes == NULL) {
        free(room);
        return NULL;
    }
    return room;
}

void lane_room_free(struct lane_room *room)
{
    if (room == NULL)
        return;
    assert(hash_map_count(room->lanes) == 0);
    loop_task_cancel(&room->task);
    hash_map_free(room->lanes);
    free(room);
}

void lane_room_set_max(struct lane_room *room, uint64_t max)
{
    size_t                 position = 0;
    struct lane_room_lane *lane;

    room->max = max;
    while ((lane = hash_map_next(room->lanes, &position)) != NULL) {
        if (!list_is_empty(&lane->waiting) && !list_node_is_linked(&lane->node))
            list_push_back(&room->roomier, &lane->node);
    }
    loop_later(room->loop, &room->task);
}

void lane_room_init_ticket(struct lane_room_ticket *ticket,
                           void (*on_admitted)(struct lane_room_ticket *ticket))
{
    *ticket = (struct lane_room_ticket){.on_admitted = on_admitted};
    list_node_init(&ticket->node);
}

bool lane_room_enter(struct lane_room *room, struct lane_room_ticket *ticket,
                     const unsigned char key[LANE_ROOM_KEY_SIZE], uint64_t size)
{
    struct lane_room_lane *lane = get_lane(room, key);

    assert(ticket->lane == NULL);
    if (lane == NULL)
        return true;
    lane->tickets++;
    ticket->lane = lane;
    ticket->size = size;
    if (list_is_empty(&lane->waiting) && has_room(room, lane, size)) {
        hold(ticket);
        return true;
    }
    list_push_back(&lane->waiting, &ticket->node);
    return false;
}

static struct lane_room_lane *get_lane(struct lane_room *room, const unsigned char *key)
{
    struct lane_room_lane *lane = hash_map_get(room->lanes, key_of(key));

    if (lane != NULL)
        return lane;
    lane = calloc(1, sizeof *lane);
    if (lane == NULL)
        return NULL;
    memcpy(lane->key, key, sizeof lane->key);
    list_init(&lane->waiting);
    list_node_init(&lane->node);
    if (hash_map_put(room->lanes, key_of(lane->key), lane) != STATUS_OK) {
        free(lane);
        return NULL;
    }
    return lane;
}

static struct bytes key_of(const unsigned char *key)
{
    return (struct bytes){.data = (const char *)key, .size = LANE_ROOM_KEY_SIZE};
}

/* What does not say its size is taken for little, but not into a lane that is full. */
static bool has_room(const struct lane_room *room, const struct lane_room_lane *lane, uint64_t size)
{
    return lane->held == 0 ||
           (lane->held < room->max && (size > 0 ? size : 1) <= room->max - lane->held);
}

static void hold(struct lane_room_ticket *ticket)
{
    ticket->is_counted = true;
    ticket->lane->held += ticket->size;
}

void lane_room_grow(struct lane_room_ticket *ticket, uint64_t size)
{
    if (!ticket->is_counted || size <= ticket->size)
        return;
    ticket->lane->held += size - ticket->size;
    ticket->size = size;
}

void lane_room_leave(struct lane_room *room, struct lane_room_ticket *ticket)
{
    struct lane_room_lane *lane = ticket->lane;

    if (lane == NULL)
        return;
    if (ticket->is_counted)
        lane->held -= ticket->size;
    list_remove(&ticket->node);
    ticket->lane = NULL;
    ticket->is_counted = false;
    if (--lane->tickets == 0) {
        list_remove(&lane->node);
        hash_map_remove(room->lanes, key_of(lane->key));
        free(lane);
    } else if (!list_is_empty(&lane->waiting)) {
        if (!list_node_is_linked(&lane->node))
            list_push_back(&room->roomier, &lane->node);
        loop_later(room->loop, &room->task);
    }
}

static void admit_waiting(void *ctx)
{
    struct lane_room *room = ctx;
    struct list_node *node;

    while ((node = list_first(&room->roomier)) != NULL) {
        list_remove(node);
        admit_to(room, LIST_ITEM(node, struct lane_room_lane, node));
    }
}

/* Who is admitted may leave at once, and with it the lane. */
static void admit_to(struct lane_room *room, struct lane_room_lane *lane)
{
    struct list_node        *node;
    struct lane_room_ticket *ticket;
    bool                     is_last = false;

    while (!is_last && (node = list_first(&lane->waiting)) != NULL) {
        ticket = LIST_ITEM(node, struct lane_room_ticket, node);
        if (!has_room(room, lane, ticket->size))
            return;
        list_remove(node);
        is_last = list_is_empty(&lane->waiting);
        hold(ticket);
        ticket->on_admitted(ticket);
    }
}
