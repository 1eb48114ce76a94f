/* backend_breaker - what the proxy knows of a failing Chroma, and what becomes of reads then
 *
 * Each call's outcome is counted in the breakers of limits/breaker_table.h. An open one is logged,
 * shown, asks for a heartbeat soon, and stops repeats of reads (read_repeats.h). Only with
 * `breaker.reads: refuse` it holds reads back: they are refused at once, or, where Chroma is run by
 * us, wait within their deadlines. Writes and health checks always go
 * (doc/decisions/0020-an-open-breaker-watches.md).
 *
 * Thread: event loop only. Memory: what breaker_table.h says.
 */
#ifndef CALLS_BACKEND_BREAKER_H
#define CALLS_BACKEND_BREAKER_H

#include <stdbool.h>

#include "base/byte_buffer.h"
#include "base/compiler.h"
#include "base/list.h"
#include "base/status.h"
#include "calls/breaker_state.h"
#include "calls/limits_state.h"
#include "chroma/chroma_family.h"
#include "chroma/chroma_route.h"
#include "io/loop.h"
#include "limits/breaker.h"

struct backend_breaker; /* opaque */

/* Embedded in who asks, and set up with backend_breaker_init_ticket(). */
struct breaker_ticket {
    struct list_node node; /* among those that wait */
    void (*go_on)(struct breaker_ticket *ticket);
    const uint8_t *collection; /* NULL: of none */
    bool           is_let;     /* its call's outcome is to be reported */
};

/* `waits`: who is held back waits instead of being refused. NULL when out of memory. */
struct backend_breaker *backend_breaker_new(struct loop *loop, const unsigned char secret[16],
                                            bool waits);

/* Nobody may wait. NULL is a no-op. */
void backend_breaker_free(struct backend_breaker *breaker);

/* Are reads held back from now on? Who waited may be let go. */
void backend_breaker_set(struct backend_breaker *breaker, bool holds_reads);

/* `go_on`, from the loop: it has waited and is let. */
void backend_breaker_init_ticket(struct breaker_ticket *ticket,
                                 void (*go_on)(struct breaker_ticket *ticket));

/* May a read of the collection with `uuid` (zeros: of none; borrowed) be sent now?
 * STATUS_OK            yes. Its outcome is to be reported, or backend_breaker_leave() called.
 * STATUS_AGAIN         it waits for go_on.
 * STATUS_BREAKER_OPEN  no; `message` says why. */
enum { BACKEND_BREAKER_TEXT_SIZE = 400 };
MUST_CHECK enum status backend_breaker_ask(struct backend_breaker             *breaker,
                                           struct breaker_ticket              *ticket,
                                           const struct chroma_operation_info *info,
                                           const uint8_t                       uuid[16],
                                           char message[BACKEND_BREAKER_TEXT_SIZE]);

/* It is over, and waits no more. True: it was let. */
bool backend_breaker_leave(struct breaker_ticket *ticket);

/* Is it held back? */
bool backend_breaker_holds(const struct breaker_ticket *ticket);

/* A call that began at `began_us` has ended so. */
void backend_breaker_report(struct backend_breaker             *breaker,
                            const struct chroma_operation_info *info, const uint8_t uuid[16],
                            enum breaker_outcome outcome, uint64_t began_us);

/* What an answer says, and what a call without one. */
enum breaker_outcome backend_breaker_of_answer(unsigned status, enum chroma_family family);
enum breaker_outcome backend_breaker_of_failure(enum status why);

/* A heartbeat was answered, or not. */
void backend_breaker_heartbeat(struct backend_breaker *breaker, bool is_answered);

/* Have Chroma's heartbeat asked for soon by `fn`; NULL: nobody does. */
void backend_breaker_on_want(struct backend_breaker *breaker, void (*fn)(void *ctx), void *ctx);

/* Have `fn` told when that of reads closes: Chroma works again. NULL: nobody is. */
void backend_breaker_on_recovery(struct backend_breaker *breaker, void (*fn)(void *ctx), void *ctx);

void backend_breaker_new_incarnation(struct backend_breaker *breaker);

/* Are reads worth to be repeated? */
bool backend_breaker_is_calm(const struct backend_breaker *breaker);

/* Is Chroma not to be asked? Else the first questions say whether it works again. */
bool backend_breaker_is_open(const struct backend_breaker *breaker);

/* Fill what is told of breaker.reads; what it refused is added. */
void backend_breaker_limits(const struct backend_breaker *breaker, struct limits_state *ret);

/* Call `fn` for those of reads and writes, and those of collections that are not closed. */
void backend_breaker_each(const struct backend_breaker *breaker, breaker_state_fn *fn, void *ctx);

/* Append the metrics. Outcomes as metric_print(). */
MUST_CHECK enum status backend_breaker_print_metrics(const struct backend_breaker *breaker,
                                                     struct byte_buffer           *out);

#endif
