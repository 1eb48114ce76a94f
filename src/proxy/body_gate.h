/* body_gate - how many bytes of request bodies are held at once
 *
 * Room is reserved before bytes are read, a step at a time: who announces much and sends little
 * holds little. What does not fit waits unread in its socket: first the bodies that have begun,
 * then those that have not, each in order of arrival. So that half-read bodies never wait for each
 * other, one of them at a time may grow beyond the bound to its end: what is held is at most `max`
 * and the rest of one body.
 *
 * Thread: event loop only.
 */
#ifndef PROXY_BODY_GATE_H
#define PROXY_BODY_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/list.h"
#include "base/memory_budget.h"
#include "io/loop.h"

/* A body's reservation, embedded in its owner and set up with body_gate_init_ticket(). */
struct body_ticket {
    struct list_node node;                           /* while it waits */
    size_t           size;                           /* held */
    size_t           wanted;                         /* to be held in all */
    void (*on_admitted)(struct body_ticket *ticket); /* from the loop */
};

struct body_gate {
    struct loop          *loop;
    struct memory_budget *budget; /* all buffers, charged too; NULL: by another gate */
    uint64_t              held, max;
    struct list           begun;   /* tickets that wait for more, the oldest first */
    struct list           tickets; /* that wait and hold nothing, the oldest first */
    struct body_ticket   *beyond;  /* the one that may grow beyond `max`, or NULL */
    struct loop_task      task;
    struct loop_timer    *timer; /* looks again: a budget may free without a word */
};

/* `loop` and `budget` (may be NULL) are borrowed. False: out of memory. */
MUST_CHECK bool body_gate_init(struct body_gate *gate, struct loop *loop,
                               struct memory_budget *budget, uint64_t max);

/* No ticket may be held or wait. */
void body_gate_done(struct body_gate *gate);

void body_gate_init_ticket(struct body_ticket *ticket,
                           void (*on_admitted)(struct body_ticket *ticket));

/* Reserve `size` bytes in all, more than now. True: they are held now. False: what was held stays
 * held, the ticket waits, and on_admitted is called when it holds all of them; `size` may grow
 * further meanwhile. */
bool body_gate_reserve(struct body_gate *gate, struct body_ticket *ticket, size_t size);

/* `max` bytes from now on. Those who wait are looked at again. */
void body_gate_set_max(struct body_gate *gate, uint64_t max);

/* May this body grow to its end, whatever is held? */
bool body_gate_is_beyond(const struct body_gate *gate, const struct body_ticket *ticket);

/* Hold `size` bytes more, without waiting: what is there already is not refused. */
void body_gate_add(struct body_gate *gate, struct body_ticket *ticket, size_t size);

/* What is held is enough. No-op when it does not wait. */
void body_gate_stop_waiting(struct body_ticket *ticket);

/* Give the reservation back, or stop waiting. No-op when there is none. */
void body_gate_leave(struct body_gate *gate, struct body_ticket *ticket);

#endif
