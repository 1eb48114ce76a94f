/* body_gate - how many bytes of request bodies are held at once
 *
 * A body is reserved in full before it is read, so that two half-read bodies never wait for each
 * other. What does not fit waits, in order of arrival, unread in its socket. A body larger than
 * the gate enters when nothing else is held.
 *
 * Thread: event loop only.
 */
#ifndef PROXY_BODY_GATE_H
#define PROXY_BODY_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/memory_budget.h"
#include "io/loop.h"

/* A body's reservation, embedded in its owner and set up with body_gate_init_ticket(). */
struct body_ticket {
    struct list_node node; /* while it waits */
    size_t           size; /* held, or asked for */
    bool             is_held;
    void (*on_admitted)(struct body_ticket *ticket); /* from the loop */
};

struct body_gate {
    struct loop          *loop;
    struct memory_budget *budget; /* all buffers; charged too */
    uint64_t              held, max;
    uint64_t              waiting; /* tickets */
    struct list           tickets; /* that wait, the oldest first */
    struct loop_task      task;
};

/* `loop` and `budget` are borrowed. */
void body_gate_init(struct body_gate *gate, struct loop *loop, struct memory_budget *budget,
                    uint64_t max);

void body_gate_init_ticket(struct body_ticket *ticket,
                           void (*on_admitted)(struct body_ticket *ticket));

/* Reserve `size` bytes. True: held now. False: it waits, and on_admitted is called when it is. */
bool body_gate_enter(struct body_gate *gate, struct body_ticket *ticket, size_t size);

/* Hold `size` bytes in all instead (more than now: a body of unknown length grows). False: there is
 * no room; what was held stays held. */
bool body_gate_grow(struct body_gate *gate, struct body_ticket *ticket, size_t size);

/* Give the reservation back, or stop waiting. No-op when there is none. */
void body_gate_leave(struct body_gate *gate, struct body_ticket *ticket);

#endif
