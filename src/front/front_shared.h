/* front_shared - what the connections of one front have in common; private to front/ */
#ifndef FRONT_FRONT_SHARED_H
#define FRONT_FRONT_SHARED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/list.h"
#include "base/memory_account.h"
#include "front/front_addresses.h"
#include "front/front_cors.h"
#include "front/front_options.h"
#include "http/http_date.h"
#include "http/http_reader.h"
#include "io/loop.h"
#include "io/timeout_queue.h"

struct front_handler; /* front_connection.h */

enum { FRONT_SHARED_SPARE_READERS_MAX = 64 };

struct front_shared {
    struct loop                  *loop;
    struct memory_account_budget *budget;
    struct front_options          options;
    struct http_reader_limits     limits;
    const struct front_handler   *handler, *last_hop_handler; /* see http_head's is_last_hop */
    void                         *handler_ctx;
    struct list                   connections;
    struct list                   idle; /* of them, those without a request, longest first */
    size_t                        linger_count; /* connections beyond a limit, being told so */
    size_t                        active_count; /* see front_active_requests() */
    uint64_t                      last_activity_us;
    bool                          draining;
    struct timeout_queue         *idle_timeouts, *head_timeouts, *body_timeouts, *send_timeouts,
        *linger_timeouts, *probe_timeouts; /* made by front_timeouts_init() */
    struct front_addresses *addresses;
    struct http_reader     *spare_readers[FRONT_SHARED_SPARE_READERS_MAX];
    size_t                  spare_reader_count;
    struct http_date        date;
    struct front_cors       cors;
    struct front_stats      stats;
};

/* `options` is copied; the rest is borrowed. The timeouts are still to be made. False: out of
 * memory; front_shared_done() is called all the same. */
MUST_CHECK bool front_shared_init(struct front_shared *shared, struct loop *loop,
                                  struct memory_account_budget *budget,
                                  const struct front_options   *options,
                                  const struct front_handler *handler, void *handler_ctx);

/* There are no connections any more. */
void front_shared_done(struct front_shared *shared);

void front_shared_set_options(struct front_shared *shared, const struct front_options *options);

/* A reader for a request; NULL when out of memory. */
struct http_reader *front_shared_take_reader(struct front_shared *shared);

/* It is not used any more. NULL is a no-op. */
void front_shared_put_reader(struct front_shared *shared, struct http_reader *reader);

#endif
