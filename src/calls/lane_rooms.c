#include "calls/lane_rooms.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash_map.h"

struct lane_room {
    unsigned char    key[LANE_ROOM_KEY_SIZE];
    struct list_node node; /* in `waiting` of all, while tickets wait here */
    struct list      tickets;
    size_t           users; /* tickets that hold or wait */
    uint64_t         used;
};

struct lane_rooms {
    struct loop                 *loop;
    const struct memory_account *account;
    struct hash_map             *lanes;
    struct list                  waiting; /* lanes */
    struct loop_task             task;
};

static struct lane_room *lane_rooms_get(struct lane_rooms *rooms, const unsigned char *key);
static struct bytes      lane_rooms_key(const unsigned char *key);
static bool lane_rooms_fits(const struct lane_rooms *rooms, const struct lane_room *lane,
                            size_t size);
static void lane_rooms_serve(void *ctx);
static bool lane_rooms_serve_one(struct lane_rooms *rooms, struct lane_room *lane);

struct lane_rooms *lane_rooms_new(struct loop *loop, const unsigned char secret[16],
                                  const struct memory_account *account)
{
    struct lane_rooms *rooms = calloc(1, sizeof *rooms);

    if (rooms == NULL)
        return NULL;
    rooms->loop = loop;
    rooms->account = account;
    list_init(&rooms->waiting);
    loop_task_init(&rooms->task, lane_rooms_serve, rooms);
    rooms->lanes = hash_map_new(secret, SIZE_MAX);
    if (rooms->lanes == NULL) {
        free(rooms);
        return NULL;
    }
    return rooms;
}

void lane_rooms_free(struct lane_rooms *rooms)
{
    if (rooms == NULL)
        return;
    assert(hash_map_count(rooms->lanes) == 0);
    loop_task_cancel(&rooms->task);
    hash_map_free(rooms->lanes);
    free(rooms);
}

void lane_rooms_init_ticket(struct lane_ticket *ticket, void (*on_room)(struct lane_ticket *ticket))
{
    *ticket = (struct lane_ticket){.on_room = on_room};
    list_node_init(&ticket->node);
}

bool lane_rooms_take(struct lane_rooms *rooms, struct lane_ticket *ticket,
                     const unsigned char key[LANE_ROOM_KEY_SIZE], size_t size)
{
    struct lane_room *lane = lane_rooms_get(rooms, key);

    assert(ticket->lane == NULL);
    if (lane == NULL)
        return true;
    ticket->lane = lane;
    ticket->size = size;
    lane->users++;
    if (list_is_empty(&lane->tickets) && lane_rooms_fits(rooms, lane, size)) {
        lane->used += size;
        return true;
    }
    list_push_back(&lane->tickets, &ticket->node);
    if (!list_node_is_linked(&lane->node))
        list_push_back(&rooms->waiting, &lane->node);
    return false;
}

static struct lane_room *lane_rooms_get(struct lane_rooms *rooms, const unsigned char *key)
{
    struct lane_room *lane = hash_map_get(rooms->lanes, lane_rooms_key(key));

    if (lane != NULL)
        return lane;
    lane = calloc(1, sizeof *lane);
    if (lane == NULL)
        return NULL;
    memcpy(lane->key, key, sizeof lane->key);
    list_node_init(&lane->node);
    list_init(&lane->tickets);
    if (hash_map_put(rooms->lanes, lane_rooms_key(lane->key), lane) != STATUS_OK) {
        free(lane);
        return NULL;
    }
    return lane;
}

static struct bytes lane_rooms_key(const unsigned char *key)
{
    return (struct bytes){.data = (const char *)key, .size = LANE_ROOM_KEY_SIZE};
}

static bool lane_rooms_fits(const struct lane_rooms *rooms, const struct lane_room *lane,
                            size_t size)
{
    const struct memory_account *account = rooms->account;
    uint64_t free_bytes = account->max > account->used ? account->max - account->used : 0;

    return lane->used == 0 || lane->used + size <= free_bytes;
}

void lane_rooms_move(struct lane_ticket *to, struct lane_ticket *from)
{
    assert(to->lane == NULL && !list_node_is_linked(&from->node));
    to->lane = from->lane;
    to->size = from->size;
    from->lane = NULL;
    from->size = 0;
}

void lane_rooms_add(struct lane_ticket *ticket, size_t more)
{
    if (ticket->lane == NULL)
        return;
    assert(!list_node_is_linked(&ticket->node));
    ticket->size += more;
    ticket->lane->used += more;
}

void lane_rooms_leave(struct lane_rooms *rooms, struct lane_ticket *ticket)
{
    struct lane_room *lane = ticket->lane;

    if (!list_is_empty(&rooms->waiting))
        loop_later(rooms->loop, &rooms->task);
    if (lane == NULL)
        return;
    if (list_node_is_linked(&ticket->node))
        list_remove(&ticket->node);
    else
        lane->used -= ticket->size;
    ticket->lane = NULL;
    if (list_is_empty(&lane->tickets))
        list_remove(&lane->node);
    if (--lane->users == 0) {
        hash_map_remove(rooms->lanes, lane_rooms_key(lane->key));
        free(lane);
    }
}

/* One of each collection in turn, as long as anything fits. */
static void lane_rooms_serve(void *ctx)
{
    struct lane_rooms *rooms = ctx;
    bool               served = true;

    while (served) {
        size_t count = 0;

        served = false;
        LIST_FOR_EACH(node, &rooms->waiting)
        {
            count++;
        }
        while (count-- > 0 && !list_is_empty(&rooms->waiting)) {
            struct list_node *node = list_first(&rooms->waiting);

            list_remove(node);
            list_push_back(&rooms->waiting, node);
            served |= lane_rooms_serve_one(rooms, LIST_ITEM(node, struct lane_room, node));
        }
    }
}

static bool lane_rooms_serve_one(struct lane_rooms *rooms, struct lane_room *lane)
{
    struct lane_ticket *ticket = LIST_ITEM(list_first(&lane->tickets), struct lane_ticket, node);

    if (!lane_rooms_fits(rooms, lane, ticket->size))
        return false;
    list_remove(&ticket->node);
    if (list_is_empty(&lane->tickets))
        list_remove(&lane->node);
    lane->used += ticket->size;
    ticket->on_room(ticket);
    return true;
}
