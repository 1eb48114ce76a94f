/* upstream_state - the structs that pool, connection and transfer share; private to upstream/
 *
 *   pool       lists of connections by state
 *   connection socket, reader, the transfer that uses it
 *   transfer   the request, whom to tell
 */
#ifndef UPSTREAM_UPSTREAM_STATE_H
#define UPSTREAM_UPSTREAM_STATE_H

#include "base/list.h"
#include "base/memory_account.h"
#include "http/http_reader.h"
#include "io/loop.h"
#include "io/socket_stream.h"
#include "io/timeout_queue.h"
#include "upstream/upstream_pool_options.h"
#include "upstream/upstream_request.h"
#include "upstream/upstream_resolver.h"

struct upstream_pool {
    struct loop                  *loop;
    struct memory_account_budget *budget;
    struct upstream_pool_options  options;
    struct http_reader_limits     limits;
    struct upstream_resolver     *resolver;
    struct timeout_queue         *idle_timeouts, *connect_timeouts;
    struct list                   idle;       /* connections, the last used first */
    struct list                   busy;       /* connections with a transfer */
    struct list                   connecting; /* connections, also those that wait for an address */
    struct list                   failed;     /* transfers whose on_failure is yet to run */
    size_t                        idle_count, busy_count, connecting_count;
    size_t                        places_taken; /* by connections that are not the pool's */
    size_t                        good_address; /* index of the address that worked last */
    bool (*take_turn)(void *ctx);               /* NULL: nobody is asked */
    void (*give_turn)(void *ctx);
    void                      *turn_ctx;
    bool                       is_closing;
    struct loop_task           failed_task;
    struct upstream_pool_stats stats;
    char                       problem[224];
    uint64_t                   problem_us;  /* when it was met */
    uint64_t                   retry_at_us; /* Chroma asks to be asked again no sooner */
};

enum upstream_connection_state {
    UPSTREAM_RESOLVING,  /* waits for the first answer of the resolver */
    UPSTREAM_CONNECTING, /* one address is being tried */
    UPSTREAM_IDLE,
    UPSTREAM_BUSY,
    UPSTREAM_CLOSED /* freed at the end of the turn */
};

struct upstream_connection {
    struct upstream_pool          *pool;
    struct list_node               node; /* in the pool's list of its state */
    enum upstream_connection_state state;
    struct timeout                 timeout;    /* to connect, or idle */
    struct loop_watch             *watch;      /* while connecting */
    int                            connect_fd; /* -1 when there is none */
    size_t                         addresses_tried;
    struct socket_stream          *stream;
    struct http_reader            *reader;
    struct upstream_transfer      *transfer; /* NULL when idle */
    uint64_t                       idle_since_us;
    bool                           is_reused; /* has carried a request before */
    bool                           is_long;   /* its last answer came in more than one piece */
};

struct upstream_transfer {
    struct upstream_pool                  *pool;
    struct list_node                       node; /* in pool->failed */
    struct upstream_connection            *connection;
    struct upstream_request                request;
    const struct upstream_transfer_events *events;
    void                                  *ctx;
    size_t                                 next_part;   /* 0: the head; then the body's parts */
    size_t                                 part_offset; /* bytes of it already given */
    uint64_t                       sent_before; /* bytes of earlier requests on the connection */
    bool                           was_sent;    /* on an earlier connection */
    bool                           body_given;  /* all of the body was handed to the stream */
    bool                           is_retry, answer_begun, head_told, is_refused, is_paused;
    struct loop_task               writable_task; /* tells on_writable after connecting */
    enum status                    failure;       /* while in pool->failed */
    bool                           failure_sent;
    struct upstream_transfer_times times;
};

/* --- upstream_connection.c --- */

/* Open a connection for `transfer`; failures are told to it later. NULL when out of memory. */
struct upstream_connection *upstream_connection_open(struct upstream_pool     *pool,
                                                     struct upstream_transfer *transfer);

/* Use an idle connection for `transfer`. False if it turns out to be unfit: it is closed then. */
bool upstream_connection_use(struct upstream_connection *connection,
                             struct upstream_transfer   *transfer);

/* The resolver has an answer: go on connecting. */
void upstream_connection_on_resolved(struct upstream_connection *connection);

void upstream_connection_on_connect_timeout(struct timeout *timeout);
void upstream_connection_on_idle_timeout(struct timeout *timeout);

/* Close now; its transfer, if any, is not told. */
void upstream_connection_close(struct upstream_connection *connection);

/* --- upstream_pool.c --- */

/* Move `connection` to the list of `state`. */
void upstream_pool_move(struct upstream_connection    *connection,
                        enum upstream_connection_state state);

/* Are there more connections than allowed? (The cap was lowered.) */
bool upstream_pool_is_over(const struct upstream_pool *pool);

/* Give `transfer` a connection; there must be room. */
void upstream_pool_place(struct upstream_pool *pool, struct upstream_transfer *transfer);

/* Remember why connecting failed, for people. */
void upstream_pool_set_problem(struct upstream_pool *pool, const struct socket_address *address,
                               const char *what);

/* --- upstream_transfer.c --- */

/* Connected: send the request. */
void upstream_transfer_on_connected(struct upstream_transfer   *transfer,
                                    struct upstream_connection *connection);

/* Hand the stream what it takes of the body. */
void upstream_transfer_feed(struct upstream_transfer *transfer);

/* Events of the answer. After each, the transfer may be gone: then connection->transfer has
 * changed or the connection is closed. */
void upstream_transfer_on_answer_interim(struct upstream_transfer *transfer,
                                         const struct http_head   *head);
void upstream_transfer_on_answer_head(struct upstream_transfer *transfer,
                                      const struct http_head   *head);
void upstream_transfer_on_answer_body(struct upstream_transfer *transfer, struct bytes data);
void upstream_transfer_on_answer_flush(struct upstream_transfer *transfer);
/* `reusable`: the connection may carry another request. */
void upstream_transfer_on_answer_end(struct upstream_transfer *transfer, bool reusable);

/* The connection is gone or useless: send it again if that is safe, else tell. */
void upstream_transfer_on_broken(struct upstream_transfer *transfer, enum status why);

#endif
