/* mirror_ask - one question to Chroma for the keeper of copies, and its answer, kept whole
 *
 * It goes without credentials, in the last place of the queue of turns. Private to the keeper
 * (mirror_state.h). Memory: the answer, up to a bound; charged to MEMORY_ACCOUNT_MIRROR.
 */
#ifndef COPIES_MIRROR_ASK_H
#define COPIES_MIRROR_ASK_H

#include "base/byte_buffer.h"
#include "base/compiler.h"
#include "calls/call.h"

struct mirror_ask;
struct mirror_entry;

/* It is over, from the loop, possibly from within another callback of a call: STATUS_OK, there is
 * an answer; else why there is none, for want of memory too, which may be there the next time. */
typedef void (*mirror_ask_fn)(struct mirror_ask *ask, enum status failure);

/* Of a question that a write waits for. */
struct mirror_ask_lane {
    uint64_t     within_us; /* no answer counts after so long; above 0 */
    uint32_t     flow;      /* that of the write, for its place in the queue; */
    struct turn *turn;      /* a turn that was granted, which it takes; NULL: it waits for one */
};

/* Embedded in its owner; to be read when it is over. */
struct mirror_ask {
    unsigned           status;   /* of the answer */
    bool               is_whole; /* else it was longer than the bound */
    struct byte_buffer answer;
    uint64_t           sent_us; /* when it had its turn */
    uint64_t           cost_us; /* as turn_queue_done() was told */

    /* Private. */
    struct proxy      *proxy;
    mirror_ask_fn      on_over;
    bool               is_busy, lacks_memory;
    struct call        call;
    struct answer_sink sink;
    struct loop_timer *deadline;
    struct byte_buffer head;
    struct bytes       body;
    size_t             charged, answer_max;
};

/* STATUS_NO_MEMORY */
MUST_CHECK enum status mirror_ask_init(struct mirror_ask *ask, struct proxy *proxy,
                                       mirror_ask_fn on_over);

/* What is under way is given up. */
void mirror_ask_done(struct mirror_ask *ask);

/* May Chroma be asked now what nobody waits for, if `size` bytes come of it? Not in a pause, nor
 * while it fails, nor where memory is short. */
bool mirror_ask_may(const struct proxy *proxy, size_t size);

/* Ask for the description of the collection, how many records it has, or what its `get` says to
 * `body` (borrowed until it is over), with `lane` for a write that waits for it (NULL: none does).
 * STATUS_NO_MEMORY. */
MUST_CHECK enum status mirror_ask_description(struct mirror_ask         *ask,
                                              const struct mirror_entry *entry, size_t answer_max);
MUST_CHECK enum status mirror_ask_count(struct mirror_ask *ask, const struct mirror_entry *entry,
                                        size_t answer_max);
MUST_CHECK enum status mirror_ask_get(struct mirror_ask *ask, const struct mirror_entry *entry,
                                      struct bytes body, size_t answer_max,
                                      const struct mirror_ask_lane *lane);

/* Ask for the description of the one of this name; the route is borrowed for the call. */
MUST_CHECK enum status mirror_ask_by_name(struct mirror_ask *ask, const struct chroma_route *route,
                                          size_t answer_max);

/* The same of its `query`. */
MUST_CHECK enum status mirror_ask_query(struct mirror_ask *ask, const struct mirror_entry *entry,
                                        struct bytes body, size_t answer_max);

/* Is one under way? */
static inline bool mirror_ask_is_busy(const struct mirror_ask *ask)
{
    return ask->is_busy;
}

/* Do not tell; what is under way is cut. No-op when nothing is. */
void mirror_ask_cancel(struct mirror_ask *ask);

/* Forget the answer, or give it: it is not charged any more. */
void               mirror_ask_clear(struct mirror_ask *ask);
struct byte_buffer mirror_ask_take(struct mirror_ask *ask);

#endif
