/* flow_world - the data path of the proxy between fake clients and a fake backend
 *
 * Begin one with flow_world_begin(), change the options before or after flow_world_start(), act,
 * and let time pass. flow_world_end() stops the proxy as the daemon does and fails the test when
 * anything is left: bytes, descriptors, waiting requests.
 */
#ifndef FLOW_FLOW_WORLD_H
#define FLOW_FLOW_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory_account.h"
#include "flow/fake_loop.h"
#include "flow/fake_net.h"
#include "flow/flow_backend.h"
#include "flow/flow_client.h"
#include "front/front.h"
#include "proxy/proxy.h"
#include "upstream/upstream_pool.h"

enum { FLOW_WORLD_PORT = 8001, FLOW_WORLD_BACKEND_PORT = 8000 };

struct flow_world {
    uint64_t                     seed; /* said when a check fails */
    struct fake_net_options      net_options;
    struct front_options         front_options;
    struct upstream_pool_options pool_options;
    struct proxy_options         proxy_options;
    struct proxy_write_options   write_options; /* writes go by themselves unless set */
    enum chroma_family           family;
    struct loop                 *loop;
    struct worker_pool          *workers;
    struct memory_account_budget budget;
    uint64_t                     memory_max, queue_bytes_max;
    struct upstream_pool        *pool;
    struct proxy                *proxy;
    struct front                *front;
    struct flow_backend          backend;
    struct flow_client          *clients; /* all of the world */
};

/* A new world with the settings' defaults, a quick network and a backend that answers at once. */
void flow_world_begin(struct flow_world *world, uint64_t seed);
void flow_world_start(struct flow_world *world);

/* Before it starts: be a gateway that keeps answers, those to credentials for 5 s. */
void flow_world_keep_answers(struct flow_world *world);

/* Stop and check. */
void flow_world_end(struct flow_world *world);

/* A new client, connected. */
struct flow_client *flow_world_client(struct flow_world *world);

/* Let time pass; let it pass until `client` has `count` answers or has ended, for a minute at
 * most: false if neither happened. */
void flow_world_run_ms(struct flow_world *world, uint64_t ms);

/* Chroma is known to be lost, and no other one reached yet. */
void flow_world_lose(struct flow_world *world, uint64_t incarnation);
bool flow_world_run_to_answers(struct flow_world *world, struct flow_client *client, size_t count);
bool flow_world_run_to_end(struct flow_world *world, struct flow_client *client);
bool flow_world_run_to_requests(struct flow_world *world, size_t count);

/* Send request `id`, whose body of `n` bytes (0: none) and answer of `m` bytes are made of the
 * pattern. `operation` is "add", "query", "count" and so on; `fields` are further field lines. */
void flow_world_request(struct flow_client *client, const char *operation, unsigned id, size_t n,
                        size_t m, const char *fields);

/* The same from a new client, with no more fields; and run until it has its answer. */
struct flow_client *flow_world_send(struct flow_world *world, const char *operation, unsigned id,
                                    size_t n, size_t m);
struct flow_client *flow_world_ask(struct flow_world *world, const char *operation, unsigned id,
                                   size_t n, size_t m);

/* Only its head; and bytes `from` to `to` of its body. */
void flow_world_request_head(struct flow_client *client, const char *operation, unsigned id,
                             size_t n, size_t m, const char *fields);
void flow_world_request_body(struct flow_client *client, unsigned id, size_t from, size_t to);

/* The same with a chunked body, in chunks of random sizes. */
void flow_world_request_chunked(struct flow_client *client, const char *operation, unsigned id,
                                size_t n, size_t m, const char *fields);

/* A write of one record that may share a call with others; its answer is of `m` == 0 bytes. */
void flow_world_request_record(struct flow_client *client, const char *operation, unsigned id);

/* It has one answer, of this status. */
void flow_world_expect(const struct flow_client *client, unsigned status);

/* Is the answer's body the pattern of `id`, `m` bytes long? */
bool flow_world_is_answer_of(const struct flow_answer *answer, unsigned id, size_t m);

#endif
