/* hold_sink - holds an answer until it is complete, for who decides then what becomes of it
 *
 * Nothing is handed on before: the answer can still be changed, or asked for again. Who is not
 * asked about an answer gets it whole.
 */
#ifndef CALLS_HOLD_SINK_H
#define CALLS_HOLD_SINK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/memory_account.h"
#include "calls/answer_sink.h"

/* The answer is complete. True: it was dealt with, nothing is handed on. False: `head` and *body,
 * which may have been changed, are handed on, the body with its new length. All is borrowed until
 * the next sinks have it. */
typedef bool (*hold_sink_fn)(void *ctx, const struct http_head *head, struct bytes *body);

/* Is the length of this answer known, and no more than `bytes_max`? */
bool hold_sink_fits(const struct http_head *head, size_t bytes_max);

/* What is held is charged to `account`. `on_complete` NULL: hand on as it is. NULL when out of
 * memory. */
struct answer_sink *hold_sink_new(struct memory_account *account, size_t bytes_max,
                                  hold_sink_fn on_complete, void *ctx);

#endif
