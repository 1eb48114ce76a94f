/* lane_room - how many bytes of writes to one collection may be held at once
 *
 * The body gate bounds what is held in all. This bounds what one collection takes of it, so that
 * one whose call hangs does not keep others from writing and reading: what does not fit waits
 * unread in its socket, in order of arrival. A write larger than the bound enters when its
 * collection holds nothing.
 *
 * Thread: event loop only. Memory: some 100 bytes for each collection of which anything is held.
 */
#ifndef PROXY_LANE_ROOM_H
#define PROXY_LANE_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "io/loop.h"

enum { LANE_ROOM_KEY_SIZE = 16 };

struct lane_room; /* opaque */
struct lane_room_lane;

/* A write's place, embedded in its owner and set up with lane_room_init_ticket(). */
struct lane_room_ticket {
    struct lane_room_lane *lane; /* NULL: in none */
    struct list_node       node; /* while it waits */
    uint64_t               size;
    bool                   is_counted;                    /* in what the lane holds */
    void (*on_admitted)(struct lane_room_ticket *ticket); /* from the loop */
};

/* `loop` is borrowed, `secret` keys the hash. NULL when out of memory. */
struct lane_room *lane_room_new(struct loop *loop, const unsigned char secret[16], uint64_t max);

/* No ticket may be in a lane. NULL is a no-op. */
void lane_room_free(struct lane_room *room);

/* `max` bytes for each lane from now on. */
void lane_room_set_max(struct lane_room *room, uint64_t max);

void lane_room_init_ticket(struct lane_room_ticket *ticket,
                           void (*on_admitted)(struct lane_room_ticket *ticket));

/* Enter lane `key` with `size` bytes, 0 if that is not known. True: they are held. False: the
 * ticket waits, and on_admitted is called when they are. Without memory for a lane, there is no
 * bound. */
bool lane_room_enter(struct lane_room *room, struct lane_room_ticket *ticket,
                     const unsigned char key[LANE_ROOM_KEY_SIZE], uint64_t size);

/* It has become more than was said; what is there is never refused. No-op out of a lane. */
void lane_room_grow(struct lane_room_ticket *ticket, uint64_t size);

/* Give the bytes back, or stop waiting. No-op out of a lane. */
void lane_room_leave(struct lane_room *room, struct lane_room_ticket *ticket);

#endif
