/* lane_rooms - what the writes of one collection, or the reads of one service, may take of the room
 *
 * A collection may hold as many bytes as are still free: alone half of all, two of them a third
 * each, n of them one part of n + 1 (dynamic thresholds; Choudhury and Hahne, "Dynamic queue length
 * thresholds for shared-memory packet switches", 1998). So collections whose calls hang never take
 * the room of all others, however many they are, and one that is busy alone has much. A collection
 * that holds nothing may always ask for room for one write.
 *
 * Where services are told apart each has a part of its own in each collection to which it writes,
 * and one for all its reads; otherwise reads take theirs from the account alone.
 *
 * A request takes its part here before it claims room of the account. What a collection must wait
 * for is served in order.
 *
 * Thread: event loop only. Memory: some 100 bytes for each collection with a ticket.
 */
#ifndef CALLS_LANE_ROOMS_H
#define CALLS_LANE_ROOMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/memory_account.h"
#include "io/loop.h"

/* The UUID of a collection (zeroes: none), and the number of a service. */
enum { LANE_ROOM_KEY_SIZE = 16 + sizeof(uint32_t) };

struct lane_rooms; /* opaque */
struct lane_room;

/* Embedded in its owner; set up with lane_rooms_init_ticket(). */
struct lane_ticket {
    struct list_node  node;                      /* while it waits */
    struct lane_room *lane;                      /* NULL: none, it is not bounded here */
    size_t            size;                      /* held, or waited for */
    void (*on_room)(struct lane_ticket *ticket); /* from the loop */
};

/* `loop` and `account` are borrowed, `secret` keys the hash. NULL when out of memory. */
struct lane_rooms *lane_rooms_new(struct loop *loop, const unsigned char secret[16],
                                  const struct memory_account *account);

/* No ticket may hold or wait. NULL is a no-op. */
void lane_rooms_free(struct lane_rooms *rooms);

void lane_rooms_init_ticket(struct lane_ticket *ticket,
                            void (*on_room)(struct lane_ticket *ticket));

/* Take `size` bytes of the part of `key`. True: they are held, or there is no memory to
 * bound them. False: the ticket waits, and on_room is called when they are held. */
bool lane_rooms_take(struct lane_rooms *rooms, struct lane_ticket *ticket,
                     const unsigned char key[LANE_ROOM_KEY_SIZE], size_t size);

/* What `from` holds is held by `to`, which holds nothing; neither waits. */
void lane_rooms_move(struct lane_ticket *to, struct lane_ticket *from);

/* Hold `more` bytes more without waiting: they are there already. */
void lane_rooms_add(struct lane_ticket *ticket, size_t more);

/* Give all back, or stop waiting. No-op when there is nothing. */
void lane_rooms_leave(struct lane_rooms *rooms, struct lane_ticket *ticket);

#endif
