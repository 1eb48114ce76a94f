/* proxy - what all requests share: options, the backend's pool, deadlines, budgets, numbers
 *
 * proxy_handler() is what a front calls: each request becomes an exchange (exchange.h).
 *
 * Thread: event loop only.
 */
#ifndef PROXY_PROXY_H
#define PROXY_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/auth_options.h"
#include "auth/auth_state.h"
#include "base/byte_buffer.h"
#include "base/memory_account.h"
#include "calls/breaker_state.h"
#include "calls/finished_request.h"
#include "calls/limits_state.h"
#include "calls/proxy_options.h"
#include "calls/service_options.h"
#include "calls/service_state.h"
#include "chroma/chroma_family.h"
#include "front/front_connection.h"
#include "io/loop.h"
#include "io/worker_pool.h"
#include "upstream/upstream_pool.h"

struct proxy; /* opaque; proxy_state.h for the folder itself */

/* `options` and `writes` are copied; the rest is borrowed. NULL when out of memory. */
struct proxy *proxy_new(struct loop *loop, struct worker_pool *workers,
                        struct memory_account_budget *budget, struct upstream_pool *pool,
                        const struct proxy_options       *options,
                        const struct proxy_write_options *writes);

/* What is known of the backend. */
struct proxy_backend {
    enum chroma_family family; /* decides what may be merged; UNKNOWN at first: nothing */
    uint64_t           batch_records_max; /* how many records it takes at once; 0: not known */
    uint64_t           incarnation; /* moves when it may be another Chroma, or another state */
    bool               is_lost; /* and no other is reached yet: copies of its records still count */
};

/* It became known or changed. With another incarnation all that was learned is void. */
void proxy_set_backend(struct proxy *proxy, const struct proxy_backend *backend);

/* `on_answer` hears every answer to a write that went as it came, while the family is not known. */
void proxy_watch_write_answers(struct proxy *proxy,
                               void (*on_answer)(void *ctx, enum chroma_operation operation,
                                                 unsigned status, struct bytes body),
                               void *ctx);

/* Does every write to this Chroma come through here, as far as is known now? */
void proxy_set_gateway(struct proxy *proxy, bool is_gateway);

/* The Chroma that we run has certainly ended, and with it every write that it had. What is harmless
 * to repeat is sent again when the next one runs. Before that one is started. */
void proxy_backend_ended(struct proxy *proxy);

/* While held nothing is sent to Chroma, which is known not to run: calls wait for their turn,
 * within their deadlines. */
void proxy_hold(struct proxy *proxy, bool held);

/* No Chroma was ever ready, and none will be: answer all who wait 503, with the reason. Those that
 * come afterwards wait. */
void proxy_refuse_all(struct proxy *proxy, const char *reason);

/* Chroma's heartbeat was answered, or not; and let it be asked for soon, by `fn`, when a breaker
 * wants it (backend_breaker.h). */
void proxy_heartbeat(struct proxy *proxy, bool is_answered);
void proxy_on_want_heartbeat(struct proxy *proxy, void (*fn)(void *ctx), void *ctx);

/* Call `fn` for the breakers of reads and writes, and those of collections that are not closed. */
void proxy_each_breaker(const struct proxy *proxy, breaker_state_fn *fn, void *ctx);

/* Call `fn` for each request that is over, from the loop; NULL: nobody. */
void proxy_on_finished(struct proxy *proxy, finished_request_fn *fn, void *ctx);

/* Are answers to reads kept at present, so that some are given without asking Chroma? */
bool proxy_keeps_answers(const struct proxy *proxy);

/* Change the options while running. */
void proxy_set_options(struct proxy *proxy, const struct proxy_options *options);

/* Tell services apart from now on, and limit them so. Before, and after a `count` of 0, they are
 * not. STATUS_NO_MEMORY  nothing changed. */
MUST_CHECK enum status proxy_set_services(struct proxy                        *proxy,
                                          const struct proxy_services_options *options);

/* Copy collections from now on, and answer from the copies, as this says (copied). Before that none
 * is. Where nothing was ever copied `mode` OFF costs nothing.
 * STATUS_NO_MEMORY  nothing changed. */
MUST_CHECK enum status proxy_set_mirror(struct proxy                      *proxy,
                                        const struct proxy_mirror_options *options);

/* Requests that begin from now on need keys, or are known by them, as this says (copied, the ring
 * held). STATUS_NO_MEMORY  nothing changed. */
MUST_CHECK enum status proxy_set_auth(struct proxy                    *proxy,
                                      const struct proxy_auth_options *options);

/* What came of it. False: nobody ever needed a key. */
bool proxy_tell_auth(const struct proxy *proxy, struct auth_state *ret);

/* Call `fn` for each of them. */
void proxy_each_service(const struct proxy *proxy, service_state_fn *fn, void *ctx);

/* Every limit on what goes to Chroma, and how much of it is in use. */
struct limits_state proxy_limits(const struct proxy *proxy);

/* The front must be gone, and the pool too. NULL is a no-op. */
void proxy_free(struct proxy *proxy);

/* For front_new(); its context is the proxy. */
const struct front_handler *proxy_handler(void);

/* Append the proxy's metrics.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED  `out` holds a part. */
MUST_CHECK enum status proxy_print_metrics(struct proxy *proxy, struct byte_buffer *out);

/* Let no new request begin, or again: meanwhile it waits, unread in its socket, and its deadlines
 * begin anew when the pause ends. What is under way goes on. */
void proxy_pause(struct proxy *proxy, bool is_paused);
bool proxy_is_paused(const struct proxy *proxy);

/* proxy_unfinished(), but for the requests that have not begun, and with the questions of the
 * proxy's own that Chroma has not answered. */
size_t proxy_under_way(const struct proxy *proxy);

/* Requests whose client still waits, and writes that go on without one. */
size_t proxy_unfinished(const struct proxy *proxy);

/* Calls that wait for their turn. */
uint64_t proxy_waiting(const struct proxy *proxy);

/* Room was freed while somebody waits for it: for the budget's on_wake. */
void proxy_wake(void *proxy);

#endif
