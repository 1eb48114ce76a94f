/* coalescer - which waiting write goes to Chroma next, and together with whom?
 *
 *   coalescer_add() --> lane of its collection --> SEND batch --> coalescer_report()
 *                                                                       |
 *          member: ANSWER or REFUSE, then RELEASE;  batch: END <--------'
 *
 * A member is one client's write, complete and scanned. The members of one collection form a
 * lane; the head of the oldest lane is sent, alone or merged with later members that give every
 * client the same answer, and leave the same state, as if each had gone alone. Nothing is decided
 * about bytes here: the caller keeps bodies and answers, splices, sends and replies.
 *
 * It is a state machine of (event, now_us) and calls nobody back: after each coalescer_add() and
 * coalescer_report(), and when the time coalescer_wake_us() comes, the caller takes actions with
 * coalescer_next() until COALESCER_NONE, from the event loop and not from within the code that
 * added a member. `now_us` is monotonic and never goes back.
 *
 * A write that was sent is never cancelled. When its deadline passes, its client is refused with
 * COALESCER_EXECUTED_MAYBE and its lane stays held until the batch is reported, so the transport
 * must have no limit of its own on the time that Chroma takes for a write. When a connection died
 * under a write, the lane stays held for a while, as Chroma may yet apply it. When a client leaves,
 * nothing is to be done: its member lives on, and its answer is dropped by the caller.
 *
 * Thread: event loop only. Memory: for each write that is not finished some 300 bytes and 8 for
 * each of its records; how many records and bytes wait is the caller's to bound.
 */
#ifndef WRITES_COALESCER_H
#define WRITES_COALESCER_H

#include "base/compiler.h"
#include "writes/coalescer_batch.h"
#include "writes/coalescer_types.h"

struct coalescer; /* all writes of one backend; opaque */

/* `options` is borrowed. NULL: no memory. */
struct coalescer *coalescer_new(const struct coalescer_options *options);

/* Forget everything at once; no actions follow. */
void coalescer_free(struct coalescer *coalescer);

/* Something about the backend became known or changed. Batches that are formed from now on keep to
 * it, also those that are sent again. */
void coalescer_set_backend(struct coalescer *coalescer, const struct coalescer_backend *backend);

/* The backend, which the caller supervises, has certainly ended: no write is alive in it, so held
 * lanes are let go. What was in flight is sent again if it is repeatable, within its deadline and
 * without counting as a repeat: the same batch, single writes after the second end, and after the
 * third nothing. What is not sent again is refused: BACKEND_RESET and EXECUTED_MAYBE. Batches that
 * are not reported yet stay to be reported. */
void coalescer_backend_ended(struct coalescer *coalescer, uint64_t now_us);

/* Others turned out to write to this Chroma, or not to: what becomes of unknown outcomes from now
 * on. */
void coalescer_set_role(struct coalescer *coalescer, enum coalescer_role role);

/* May batches be sent now? While not, coalescer_next() takes all actions but SEND. True at first.
 */
void coalescer_set_may_send(struct coalescer *coalescer, bool may_send);

/* A batch is sent for the sake of this flow: the lane with the oldest head in which it has a write,
 * and there for its first, if that is independent of what it passes. COALESCER_ANY_FLOW, as at
 * first: the oldest lane, and its head. */
void coalescer_set_flow(struct coalescer *coalescer, uint32_t flow);

/* Set ret_flows[flow], of which there are enough, for each flow that has a lane which could send if
 * it might. False: as many calls are in flight as there may be, so nobody could. */
bool coalescer_mark_flows(struct coalescer *coalescer, uint64_t now_us, bool ret_flows[]);

/* Would coalescer_next() send a batch if it might? Then the ctx of its first member, else NULL. */
void *coalescer_wants_to_send(struct coalescer *coalescer, uint64_t now_us);

/* A write arrived. Its place in its lane is taken now.
 *
 * STATUS_OK          its ctx gets ANSWER or REFUSE once, then RELEASE once, from coalescer_next().
 *                    Until RELEASE the caller keeps what it needs to send and to answer it.
 * STATUS_OVERLOADED  there is no room for so many writes or collections, nothing was taken.
 * STATUS_NO_MEMORY   nothing was taken. */
MUST_CHECK enum status coalescer_add(struct coalescer             *coalescer,
                                     const struct coalescer_write *write, uint64_t now_us);

/* The outcome of a batch that was sent: exactly once for each SEND, however late. */
void coalescer_report(struct coalescer *coalescer, struct coalescer_batch *batch,
                      const struct coalescer_outcome *outcome, uint64_t now_us);

/* The next thing to do at `now_us`. */
void coalescer_next(struct coalescer *coalescer, uint64_t now_us,
                    struct coalescer_action *ret_action);

/* When coalescer_next() must be called although nothing happened; UINT64_MAX: never. */
uint64_t coalescer_wake_us(const struct coalescer *coalescer);

/* Brought up to date and borrowed until the next call. */
const struct coalescer_stats *coalescer_stats(struct coalescer *coalescer);

#endif
