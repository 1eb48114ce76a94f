/* bench_client - one connection of the load generator and the request on it
 *
 * Edge-triggered epoll, registered once per connection: an answered request costs one sendmsg() and
 * one recv(). Connections are kept alive and opened anew when the server closed them. Nothing is
 * ever sent twice: a connection that breaks is a failure of its request.
 */
#ifndef BENCH_BENCH_CLIENT_H
#define BENCH_BENCH_CLIENT_H

#include "bench/bench_result.h"
#include "bench/bench_target.h"
#include "http/http_reader.h"

enum bench_client_outcome {
    BENCH_CLIENT_PENDING,  /* the request is under way, or there is none */
    BENCH_CLIENT_ANSWERED, /* `status` and what follows it are valid */
    BENCH_CLIENT_FAILED    /* `failure` is */
};

struct bench_client {
    const struct bench_target *target; /* borrowed */
    int                        epoll;  /* borrowed */
    int                        fd;     /* -1: not connected */
    bool                       is_busy;
    struct http_reader        *reader;

    struct bench_request request;
    size_t               part;   /* of the request, that is sent next */
    size_t               offset; /* in that part */

    unsigned                   status;
    bool                       keeps_alive;
    enum bench_result_executed executed;
    enum bench_result_failure  failure;
    char                       text[192]; /* how the body of an answer that is not 2xx begins */
    size_t                     text_size;

    /* The engine's. */
    size_t   number, group, collection;
    uint64_t intended_us; /* when the request should have been sent */
    uint64_t retry_us;    /* sleeps until then; 0: does not */
};

/* False: out of memory. */
MUST_CHECK bool bench_client_init(struct bench_client *client, const struct bench_target *target,
                                  int epoll);

void bench_client_done(struct bench_client *client);

/* Send `client->request`, connecting first if need be. *ret_opened is set when a connection was
 * opened. */
MUST_CHECK enum bench_client_outcome bench_client_start(struct bench_client *client,
                                                        bool                *ret_opened);

/* epoll reported `events`. */
MUST_CHECK enum bench_client_outcome bench_client_on_event(struct bench_client *client,
                                                           uint32_t             events);

/* Give up: close the connection; a request under way is forgotten. */
void bench_client_close(struct bench_client *client);

#endif
