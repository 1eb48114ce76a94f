/* auth_look - whose UUID is it? From the collection table, else asked of Chroma, once for all who
 * ask
 *
 * In role gateway a name that Chroma once told holds until a write may have changed it; elsewhere
 * for 5 s. That there is no such collection is remembered for 5 s, by the UUID and the place in
 * which it was looked for: who asks in the wrong one spoils nothing for the others.
 *
 * Asked is in the place that the request names, with its fields, so that a Chroma that looks at
 * credentials sees those of the caller. Few look-ups are under way at a time; who waits for one
 * waits like a read, in his own deadline, and has taken nothing else meanwhile.
 *
 * Thread: event loop only. Memory: 16 KiB, and of each look-up under way what
 * Chroma answers, AUTH_LOOK_ANSWER_MAX at most.
 */
#ifndef AUTH_AUTH_LOOK_H
#define AUTH_AUTH_LOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/auth_judge.h"
#include "base/byte_buffer.h"
#include "base/compiler.h"
#include "base/list.h"
#include "base/status.h"
#include "calls/proxy_state.h"

enum { AUTH_LOOK_ANSWER_MAX = 16 << 20, AUTH_LOOKS_MAX = 8 };

struct auth_looks; /* opaque */

/* Who waits for an answer; embedded in him. */
struct auth_look_ticket {
    struct list_node           node;
    uint64_t                   place; /* the UUID and where it is looked for, as one number */
    unsigned                   tries;
    const struct http_head    *head;  /* borrowed while it waits */
    const struct chroma_route *route; /* likewise */

    /* OK: `names` are the collection's, borrowed for the call, or say that there is none. Else
     * Chroma could not be asked, and `names` is NULL. */
    void (*on_known)(struct auth_look_ticket *ticket, enum status status,
                     const struct auth_names *names);
};

/* NULL when out of memory. */
struct auth_looks *auth_look_new(struct proxy *proxy);

/* NULL is a no-op. Nobody may wait. */
void auth_look_free(struct auth_looks *looks);

/* What is known of the collection of the route, without asking. False: nothing. The names are
 * borrowed until the collection table changes. */
bool auth_look_find(struct auth_looks *looks, const struct chroma_route *route,
                    const struct http_head *head, struct auth_names *ret_names);

/* The same for who was judged at `judged_us`: less than 5 s ago, and what was known then is not too
 * old now. */
bool auth_look_recall(struct auth_looks *looks, const struct chroma_route *route,
                      const struct http_head *head, uint64_t judged_us,
                      struct auth_names *ret_names);

/* Does a judgement of `judged_us` still stand though nothing is known now? For 5 s, as long as a
 * renaming or a deletion is under way: nobody was told that it is done. */
bool auth_look_outlasts(struct auth_looks *looks, const struct chroma_route *route,
                        uint64_t judged_us);

/* Ask; `on_known` is called from the loop, later. The ticket's head, route and on_known are set. */
void auth_look_ask(struct auth_looks *looks, struct auth_look_ticket *ticket);

/* Do not wait any more. No-op if it does not wait. */
void auth_look_leave(struct auth_looks *looks, struct auth_look_ticket *ticket);

/* A pause has ended. */
void auth_look_resume(struct auth_looks *looks);

/* Append the metrics. Outcomes as metric_print(). */
MUST_CHECK enum status auth_look_print_metrics(const struct auth_looks *looks,
                                               struct byte_buffer      *out);

#endif
