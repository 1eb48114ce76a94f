/* auth_ticket - what a request has of its key: the rules, the key, a wait; part of an exchange
 *
 * Thread: event loop only. Memory: the text of a refusal, the state of a list,
 * the head of a get_or_create that goes out as GET, each while it is needed.
 */
#ifndef AUTH_AUTH_TICKET_H
#define AUTH_AUTH_TICKET_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/auth_look.h"
#include "base/status.h"
#include "calls/answer_sink.h"
#include "io/loop.h"

struct auth;
struct auth_rules;
struct exchange;
struct exchange_path;
struct key_ring_key;

/* Zeroes: keys play no part. */
struct auth_ticket {
    struct auth_rules          *rules;      /* held; NULL: there are none */
    const struct key_ring_key  *key;        /* of these rules; NULL: no known one was shown */
    bool                        needs_body; /* it is judged again when its body is there */
    const struct auth_names    *names;      /* for that, if they were just looked up */
    const struct exchange_path *path;       /* which it takes after a wait */
    struct auth_look_ticket     look;       /* while it waits for names */
    uint64_t judged_us; /* a request to a collection, last; 0: none, or not judged */
    void (*go_on)(struct exchange *exchange); /* when it is judged again */
    void *state;                              /* of auth_list or auth_get */
    void (*free_state)(void *state);

    /* A refusal, while its body is read or its time has not come. */
    enum status        status;
    char              *message;
    struct loop_timer *timer; /* NULL: it need not wait; also of a list that is asked for again */
};

/* The exchange is over: it waits for nothing any more. */
void auth_ticket_leave(struct auth_ticket *ticket, struct auth *auth);

/* And nobody looks at it any more: free what it has. Zeroes are fine for both. */
void auth_ticket_end(struct auth_ticket *ticket);

#endif
