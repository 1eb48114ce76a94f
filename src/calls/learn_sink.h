/* learn_sink - keeps a copy of an answer's body for who wants to learn from it
 *
 * The answer passes as it comes; what is learned is learned before its last byte goes on. A body
 * beyond the bound, or one for which there is no memory, passes and teaches nothing.
 */
#ifndef CALLS_LEARN_SINK_H
#define CALLS_LEARN_SINK_H

#include <stddef.h>

#include "base/memory_account.h"
#include "calls/answer_sink.h"

/* `body` is borrowed for the call. */
typedef void (*learn_sink_fn)(void *ctx, unsigned status, struct bytes body);

/* The copy is charged to `account`. NULL when out of memory. */
struct answer_sink *learn_sink_new(struct memory_account *account, size_t bytes_max,
                                   learn_sink_fn on_complete, void *ctx);

#endif
