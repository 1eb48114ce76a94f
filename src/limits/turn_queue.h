/* turn_queue - who goes next to Chroma
 *
 * A call asks for a turn before it takes a connection. It gets one at once or waits; whenever
 * something was given back, the owner of the queue takes the next ones with turn_queue_next() and
 * sends them. Nothing is called back.
 *
 * Two things are counted for each call: its turn, from the grant to the head of the answer (by
 * then Chroma has done the work), and its connection, from the grant to the end of the transfer. So
 * a client that takes its answer slowly holds a connection but no turn.
 *
 * The cap on connections is exact over all classes. Inside it CONTROL keeps one place, and READ and
 * WRITE each keep a quarter of all, that no other class takes; with fewer than
 * TURN_QUEUE_RESERVE_FROM connections nothing is kept, and CONTROL only goes first. A class can
 * have a bound of its own on turns.
 *
 * Order: CONTROL, then READ before WRITE, but a write goes once four times its cost in reads, or
 * four seconds of them, went before it. In each of the two the services take turns by cost
 * (fair_queue.h), and within a service it is first come, first served. Who has not the right to go
 * (a bound, a reserve, a gate) stops nobody else.
 *
 * With shed_us those that have waited for long are given back by turn_queue_shed(), to be refused;
 * under a standing queue of a service sooner, and its newest reads then go first. Not while the
 * queue is held, nor, of a service, while what was held waits, here or before it asked.
 *
 * An exempt read (a health check, a look-up that a write needs) has a connection as any read, but
 * no bound on turns or on its wait concerns it, and it goes before the others of its class.
 *
 * Thread: event loop only. Memory: 200 bytes for each service; turns are embedded in their owners.
 */
#ifndef LIMITS_TURN_QUEUE_H
#define LIMITS_TURN_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/list.h"
#include "base/metric.h"
#include "base/status.h"
#include "limits/fair_queue.h"

enum turn_class {
    TURN_CONTROL, /* the proxy's own calls, and look-ups that a waiting request needs */
    TURN_READ,
    TURN_WRITE,
    TURN_CLASSES
};

enum { TURN_QUEUE_RESERVE_FROM = 4 };

enum turn_state {
    TURN_IDLE,    /* no part of the queue */
    TURN_WAITING, /* asked */
    TURN_OPEN,    /* granted, no answer yet */
    TURN_ANSWERED /* holds its connection only */
};

/* Embedded in its owner, who sets the first part before turn_queue_ask() and only reads the
 * second. Zero-initialised means idle. */
struct turn {
    enum turn_class class;
    uint32_t          service;     /* below services; 0: none in particular */
    uint64_t          cost_us;     /* expected time at Chroma */
    uint64_t          deadline_us; /* of the wait, for the counters; 0: none */
    struct fair_gate *gate;      /* bounds the turns that share it, all of one class and service */
    bool              is_exempt; /* READ */
    bool              was_held;  /* before it asked: by a pause */

    enum turn_state  state;
    uint64_t         asked_us, granted_us;
    struct fair_item item; /* while it waits */
};

struct turn_queue_options {
    size_t connections_max;         /* >= 1 */
    size_t turns_max[TURN_CLASSES]; /* turns at a time; 0: none but connections_max */
    size_t waiting_max;             /* READ and WRITE that wait; 0: no bound */
    size_t services;                /* 0 stands for 1; fixed at creation */
    /* Longest wait; 0: none. Not for CONTROL. */
    uint64_t shed_us[TURN_CLASSES];
    uint64_t standing_us; /* in place of it under a standing queue */
};

struct turn_queue_service {
    unsigned weight;    /* 1..FAIR_QUEUE_WEIGHT_MAX */
    unsigned priority;  /* 0..FAIR_QUEUE_PRIORITY_LAST, 0 gets most */
    size_t   turns_max; /* of READ and WRITE at a time; 0: no bound */
};

struct turn_queue_stats {
    uint64_t                waiting[TURN_CLASSES];     /* now */
    uint64_t                turns[TURN_CLASSES];       /* now: granted, no answer yet */
    uint64_t                exempt_turns;              /* of those of READ */
    uint64_t                connections[TURN_CLASSES]; /* now: granted and not done */
    uint64_t                granted[TURN_CLASSES];
    uint64_t                late[TURN_CLASSES];    /* granted after their deadline */
    uint64_t                left[TURN_CLASSES];    /* gave up waiting */
    uint64_t                refused[TURN_CLASSES]; /* by waiting_max */
    uint64_t                shed[TURN_CLASSES];    /* by shed_us */
    uint64_t                cost_us[TURN_CLASSES]; /* as told to turn_queue_done() */
    struct metric_histogram waits[TURN_CLASSES];   /* from asked to granted */
};

extern const struct metric_desc turn_queue_metrics[];
extern const size_t             turn_queue_metric_count;

struct turn_queue; /* opaque */

/* `options` is copied. NULL when out of memory. */
struct turn_queue *turn_queue_new(const struct turn_queue_options *options);

/* No turn may wait or be granted. NULL is a no-op. */
void turn_queue_free(struct turn_queue *queue);

/* Change the bounds while running; then call turn_queue_next(). What is granted stays granted:
 * after a smaller cap, nothing is granted until enough is done. */
void turn_queue_set_options(struct turn_queue *queue, const struct turn_queue_options *options);

/* The place of one service: 1, 1 and no bound unless told. Then call turn_queue_next(). */
void turn_queue_set_service(struct turn_queue *queue, uint32_t service,
                            const struct turn_queue_service *options);

/* The bound of a gate of turns of `class`; then call turn_queue_next(). */
void turn_queue_set_gate(struct turn_queue *queue, enum turn_class class, struct fair_gate *gate,
                         size_t max);

/* Give the flows of `queue`, which has as many as there are services, the weights that they have
 * here in `class`. */
void turn_queue_weigh(const struct turn_queue *turns, enum turn_class class,
                      struct fair_queue       *queue);

/* As turn_queue_set_options(), for one bound. */
void turn_queue_set_turns_max(struct turn_queue *queue, enum turn_class class, size_t turns_max);

/* How many turns there can be at a time: by turns_max, or what connections allow if that is less.
 */
size_t turn_queue_turns_max(const struct turn_queue *queue, enum turn_class class);

/* While held only CONTROL gets turns: the backend is known not to run. Afterwards call
 * turn_queue_next(). */
void turn_queue_hold(struct turn_queue *queue, bool held);
bool turn_queue_is_held(const struct turn_queue *queue);

/* Ask for a turn; it must be idle.
 *
 * STATUS_OK          granted.
 * STATUS_AGAIN       it waits: turn_queue_next() returns it later, unless it leaves.
 * STATUS_OVERLOADED  waiting_max wait already. */
MUST_CHECK enum status turn_queue_ask(struct turn_queue *queue, struct turn *turn, uint64_t now_us);

/* The next turn that may go, granted now; NULL: none. To be called until it returns NULL after
 * every answered, done, leave and change of bounds, and at turn_queue_wake_us(). */
struct turn *turn_queue_next(struct turn_queue *queue, uint64_t now_us);

/* A waiting turn that has waited too long, idle now and to be refused; NULL: none. To be called
 * until it returns NULL at turn_queue_wake_us(), and before turn_queue_next(). */
struct turn *turn_queue_shed(struct turn_queue *queue, uint64_t now_us);

/* When turn_queue_shed() and turn_queue_next() are to be called although nothing was given back;
 * may be past; UINT64_MAX: never. */
uint64_t turn_queue_wake_us(const struct turn_queue *queue);

/* What holds a turn back that waits, or waited until now: the bound that leaves the fewest turns,
 * none as a rule. One may just have been given back, and gone to another. */
enum turn_bound {
    TURN_BOUND_GATE,
    TURN_BOUND_SERVICE,    /* turns_max of its service */
    TURN_BOUND_CLASS,      /* turns_max of its class */
    TURN_BOUND_CONNECTIONS /* connections_max */
};
enum turn_bound turn_queue_bound(const struct turn_queue *queue, const struct turn *turn);

/* The turns of a service now, of READ and WRITE, those that wait for one, and its bound on them; 0:
 * none. */
size_t turn_queue_service_turns(const struct turn_queue *queue, uint32_t service);
size_t turn_queue_service_waiting(const struct turn_queue *queue, uint32_t service);
size_t turn_queue_service_turns_max(const struct turn_queue *queue, uint32_t service);

/* A waiting turn leaves. No-op when it does not wait. turn_queue_wake_us() may be sooner then. */
void turn_queue_leave(struct turn_queue *queue, struct turn *turn, uint64_t now_us);

/* A granted turn becomes that of another owner: `to`, which is idle, takes its place. */
void turn_queue_move(struct turn *to, struct turn *from);

/* The answer's head is there: the turn ends. A call that will be repeated or sent in parts ends it
 * with the answer that counts. No-op when the turn has ended. */
void turn_queue_answered(struct turn_queue *queue, struct turn *turn);

/* The transfer is over, whatever came of it; ends the turn if it is open. `cost_us`: what it took
 * of Chroma's time, without other services' part; 0: as expected. */
void turn_queue_done(struct turn_queue *queue, struct turn *turn, uint64_t cost_us);

/* Borrowed; always up to date. */
const struct turn_queue_stats *turn_queue_stats(const struct turn_queue *queue);

#endif
