/* lane_stay - a write that is about to be sent stays for a moment, while somebody asks Chroma
 *
 * Its lane is held: what came before it is answered, and nothing else passes to its collection
 * through this program. So what Chroma says now is what the write will meet. One module may want
 * that (proxy->on_lane): it is asked before each write to records that is sent from a lane.
 *
 * The write is sent whatever came of the question. What was found out goes with its notice
 * (write_observer.h). Nobody is asked where the deadline of the write is near.
 *
 * Thread: event loop only. Memory: what was found, up to who asks.
 */
#ifndef LANES_LANE_STAY_H
#define LANES_LANE_STAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "chroma/chroma_route.h"

/* So long may it take. */
#define LANE_STAY_MAX_US UINT64_C(1000000)

struct lane_stay;
struct proxy;
struct turn;

/* `has_ended`: a Chroma that this program runs has, meanwhile. */
typedef void lane_stay_fn(struct lane_stay *stay, bool has_ended, void *ctx);

/* Embedded in the write. */
struct lane_stay {
    /* Filled by who sends, borrowed until it is over. */
    const struct chroma_route *route;
    struct bytes               body; /* empty: of several writes */
    uint32_t                   flow; /* for a place in the queue of turns */
    uint64_t                   deadline_us;

    struct byte_buffer found; /* filled by who is asked; freed by who sends */

    /* Private. */
    struct proxy *proxy;
    lane_stay_fn *fn; /* NULL: it does not stay */
    void         *ctx;
    uint64_t      ends; /* proxy->ends when it began */
};

/* The write is about to be sent. True: it stays, and `fn` is called once, from the loop. False:
 * nobody wants anything. The granted `turn` may be taken either way; NULL: there is none. */
bool lane_stay_begin(struct lane_stay *stay, struct proxy *proxy, struct turn *turn,
                     lane_stay_fn *fn, void *ctx);

/* Who was asked has his answer, or will have none. */
void lane_stay_end(struct lane_stay *stay);

#endif
