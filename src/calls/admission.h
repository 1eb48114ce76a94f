/* admission - how many requests are held at once
 *
 * A request is admitted before room for its body is claimed, and holds its place until it is
 * answered. Who is not admitted waits in order, the rest of his request unread in its socket.
 *
 * Thread: event loop only. Memory: none; tickets are embedded in their owners.
 */
#ifndef CALLS_ADMISSION_H
#define CALLS_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "io/loop.h"

struct admission_ticket {
    struct list_node node; /* while it waits */
    bool             is_held;
    bool             was_paused;                          /* it waited for the end of a pause */
    void (*on_admitted)(struct admission_ticket *ticket); /* from the loop */
};

struct admission {
    struct loop     *loop;
    size_t           held, max;
    bool             is_paused; /* nobody is admitted */
    size_t           waiting_count;
    struct list      waiting; /* the oldest first */
    struct loop_task task;
};

/* `loop` is borrowed. */
void admission_init(struct admission *admission, struct loop *loop, size_t max);

/* No ticket may be held or wait. */
void admission_done(struct admission *admission);

void admission_init_ticket(struct admission_ticket *ticket,
                           void (*on_admitted)(struct admission_ticket *ticket));

/* True: it is held now. False: it waits, and on_admitted is called when it is. */
bool admission_ask(struct admission *admission, struct admission_ticket *ticket);

/* Give the place back, or stop waiting. No-op when there is neither. */
void admission_leave(struct admission *admission, struct admission_ticket *ticket);

/* Admit nobody, or again; who holds a place keeps it. */
void admission_pause(struct admission *admission, bool is_paused);

/* `max` from now on. */
void admission_set_max(struct admission *admission, size_t max);

#endif
