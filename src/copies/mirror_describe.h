/* mirror_describe - what is this collection now? asked of Chroma, of one that is copied or to be
 *
 * For who keeps what clients ask when they are made (proxy/mirror_construct.h): one question at a
 * time, as the keeper's others without credentials, in the last place of the queue of turns, and
 * not of a Chroma that fails.
 *
 * Thread: event loop only. Memory: an answer, up to a bound.
 */
#ifndef COPIES_MIRROR_DESCRIBE_H
#define COPIES_MIRROR_DESCRIBE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/status.h"

struct mirror_describe;
struct proxy;

/* It is over, from the loop. `body` is Chroma's 200, borrowed; empty: there was none. */
typedef void mirror_describe_fn(void *ctx, struct bytes body);

/* NULL: no memory. */
struct mirror_describe *mirror_describe_new(struct proxy *proxy, mirror_describe_fn *on_over,
                                            void *ctx);

/* What is under way is given up. NULL is a no-op. */
void mirror_describe_free(struct mirror_describe *describe);

/* Is it copied, or to be? Then it may be asked for, in role gateway. */
bool mirror_describe_may(const struct mirror_describe *describe, const uint8_t uuid[16]);

/* STATUS_OK         it is asked for: on_over is called.
 * STATUS_AGAIN      not now.
 * STATUS_NOT_FOUND  it may not be asked for.
 * STATUS_NO_MEMORY */
MUST_CHECK enum status mirror_describe_ask(struct mirror_describe *describe,
                                           const uint8_t           uuid[16]);

/* Is one under way? */
bool mirror_describe_is_asking(const struct mirror_describe *describe);

#endif
