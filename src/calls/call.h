/* call - one request to Chroma: its turn, its connection, and its answer
 *
 *   call_start() -> waits for its turn -> sent -> sink: on_head, on_body..., on_end
 *                                   `------------ on_failure, at any point before on_end
 *
 * Turns and connections belong to calls, never to those who wait for their answers. The turn ends
 * at the head of the answer (Chroma has done its work by then), so a client that reads slowly holds
 * a connection and no turn.
 *
 * What Chroma does with a read is told to read_limit.h. Where reads are refused early, one that
 * waits for too long ends with STATUS_OVERLOADED.
 *
 * A write that was sent is never cancelled: call_cancel() must not be called for it. Calls without
 * an answer for CALL_HUNG_US are counted and, once each, logged.
 *
 * Thread: event loop only.
 */
#ifndef CALLS_CALL_H
#define CALLS_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "calls/answer_sink.h"
#include "calls/proxy_state.h"
#include "calls/read_limit.h"
#include "chroma/chroma_route.h"
#include "limits/breaker.h"
#include "limits/concurrency_limit.h"
#include "limits/turn_queue.h"
#include "upstream/upstream_transfer.h"

/* Longer than any call of a healthy Chroma that was seen under load (a batch of 5000 records took
 * 4 s), and shorter than a client's patience. */
#define CALL_HUNG_US UINT64_C(10000000)

/* For whom it is, in the order of turns (see services.h), and what it costs; zeroes: for nobody in
 * particular, a plain get. */
struct call;

struct call_origin {
    uint32_t               service, flow;
    uint64_t               cost_us;        /* expected time at Chroma */
    bool                   has_collection; /* of which the service may have some calls at a time */
    uint8_t                collection[16];
    enum concurrency_class read_class;
    bool                   is_exempt; /* from limits on reads: a write needs its answer */
    bool                   was_held;  /* by a pause, or an open breaker */
    /* When its turn comes, if it waited for it. False: its sink is told that it failed with
     * STATUS_AGAIN, and nothing was sent. NULL: it goes. */
    bool (*may_go)(struct call *call);
};

/* Embedded in its owner; zeroes at first. Only call.c writes to it, but for `origin`, which its
 * owner may set before call_start(). */
struct call {
    struct call_origin                  origin;
    struct proxy                       *proxy;
    const struct chroma_operation_info *info;     /* of what is asked */
    struct upstream_transfer           *transfer; /* NULL while it waits, and after */
    struct upstream_request             request;
    struct answer_sink                 *sink;
    void (*on_writable)(struct call *call);
    struct turn      turn;
    enum turn_bound  held_by; /* if it had to wait for its turn: at first */
    struct list_node node;    /* in proxy->calls */
    bool             is_active, is_hung;
    bool             is_counted; /* as a read at Chroma */
    bool             is_ended;   /* its turn is over */
    unsigned         status;     /* of the answer; 0: none yet */
    /* Monotonic microseconds; 0: not yet. They stay when the call is over. */
    uint64_t asked_us, connected_us, first_byte_us;
};

/* Send `request` (copied; what it points to is borrowed until the call is over) when its turn
 * comes, and give the answer to `sink`. `on_writable`: a streamed body may go on; else NULL. The
 * call may have been used before.
 * STATUS_OK         it is active until on_end, on_failure or call_cancel().
 * STATUS_NO_MEMORY  it is not. */
MUST_CHECK enum status call_start(struct call *call, struct proxy *proxy,
                                  const struct chroma_operation_info *info,
                                  const struct upstream_request *request, struct answer_sink *sink,
                                  void (*on_writable)(struct call *call));

/* As call_start(), with the turn `granted`, which is taken whatever the outcome. */
MUST_CHECK enum status call_start_with_turn(struct call *call, struct proxy *proxy,
                                            const struct chroma_operation_info *info,
                                            const struct upstream_request      *request,
                                            struct answer_sink *sink, struct turn *granted);

/* It was answered with this status. Below 500 that is a sign of life, whatever it says: if Chroma
 * was lost before the call had its connection, another one is reached; over an older connection one
 * that ends goes on with what it has. */
void call_note_answer(const struct call *call, unsigned status);

/* Was it sent to a Chroma of our own of which we know that it has ended since? Then nothing of it
 * can be applied any more, even if its connection breaks only now. */
bool call_is_of_ended(const struct call *call);

/* Stop waiting, or cut the connection; the sink is told nothing. Not for a write that is sent.
 * No-op when it is not active. */
void call_cancel(struct call *call);

/* A read that has its turn, and no answer yet, becomes that of another owner: `to`, which is not
 * active, whose sink is told from now on, and whose `body` is that of its request (not streamed).
 * `from` is over, as after call_cancel(). */
void call_move(struct call *to, struct call *from, struct answer_sink *sink,
               const struct bytes *body);

/* Is it waiting or under way? */
static inline bool call_is_active(const struct call *call)
{
    return call->is_active;
}

/* Has any byte of it gone to a socket? */
bool call_is_sent(const struct call *call);

/* Tell the breakers what the call shows of Chroma. Answers and failures are told by themselves;
 * this is for its owner: of a read that was answered 500, which he has looked at, and before he
 * cancels one that has no answer yet. */
void call_report(const struct call *call, enum breaker_outcome outcome);

/* Stop and go on receiving the answer. */
void call_pause(struct call *call);
void call_resume(struct call *call);
bool call_is_paused(const struct call *call);

/* As upstream_transfer_send_body() and upstream_transfer_is_writable(). */
void call_send_body(struct call *call, const struct bytes *parts, size_t count, bool last);
bool call_is_writable(const struct call *call);

/* It waited for a turn and is refused: as read_limit_refuse(), and counted for its service. */
void call_explain_refusal(const struct call *call, bool is_early, char out[READ_LIMIT_TEXT_SIZE]);

/* The bounds of the turn queue have changed: refuse what has waited for too long, and grant what
 * can be granted. */
void call_run_turns(struct proxy *proxy);

/* For the proxy's shed_timer: the same. */
void call_on_shed_time(void *proxy);

/* Log those that began to hang; returns how many hang now. Costs a step for each of these. */
size_t call_count_hung(struct proxy *proxy);

/* Does a read of a client hang, at the same cost? One whose body the client is sending may just be
 * sent slowly. */
bool call_has_hung_read(const struct proxy *proxy);

#endif
