/* front_state - the structs that front and front_connection share; private to front/ */
#ifndef FRONT_FRONT_STATE_H
#define FRONT_FRONT_STATE_H

#include "base/list.h"
#include "front/front.h"
#include "front/front_connection.h"
#include "http/http_date.h"
#include "http/http_reader.h"
#include "io/socket_stream.h"
#include "io/timeout_queue.h"

enum { FRONT_LISTENERS_MAX = 8, FRONT_SPARE_READERS_MAX = 64 };

struct front_listener {
    struct front      *front;
    int                fd;
    struct loop_watch *watch;
};

struct front {
    struct loop                  *loop;
    struct memory_account_budget *budget;
    struct front_options          options;
    struct http_reader_limits     limits;
    const struct front_handler   *handler;
    void                         *handler_ctx;
    struct front_listener         listeners[FRONT_LISTENERS_MAX];
    size_t                        listener_count;
    struct loop_timer            *accept_timer; /* ends a pause in accepting */
    int                           reserve_fd; /* given up to close a connection when out of them */
    struct list                   connections;
    size_t                        linger_count; /* connections beyond the limit, being told so */
    size_t                        active_requests;
    uint64_t                      last_activity_us;
    bool                          draining;
    struct timeout_queue         *idle_timeouts, *head_timeouts, *body_timeouts, *send_timeouts,
        *linger_timeouts, *probe_timeouts;
    struct http_reader *spare_readers[FRONT_SPARE_READERS_MAX];
    size_t              spare_reader_count;
    struct http_date    date;
    struct front_stats  stats;
};

enum front_connection_state {
    FRONT_IDLE,    /* no byte of a request yet */
    FRONT_HEAD,    /* reading a head */
    FRONT_BODY,    /* the handler has the request, its body is being read */
    FRONT_WAITING, /* the request is complete, the answer is not */
    FRONT_CLOSING, /* nothing more is served; see lingering close */
    FRONT_CLOSED   /* freed at the end of the turn */
};

struct front_connection {
    struct front               *front;
    struct list_node            node;
    struct socket_stream       *stream;
    struct http_reader         *reader;  /* NULL while idle */
    void                       *request; /* the handler's, in BODY and WAITING */
    enum front_connection_state state;
    struct timeout              timeout;      /* of the state */
    struct timeout              send_timeout; /* while bytes of an answer are queued */
    uint64_t                    began_us;     /* the request's first byte */
    uint64_t                    body_bytes;   /* received when the body timeout was started */
    uint64_t                    received_bytes;
    uint64_t                    sent_bytes;   /* taken when the send timeout was started */
    uint64_t                    linger_bytes; /* thrown away since CLOSING */
    uint64_t                    linger_seen;  /* of them, when the linger timeout was started */
    unsigned                    linger_rounds;
    bool                  is_body_paused, close_after, answer_begun, is_beyond_limit, has_ended;
    bool                  is_until_close; /* see front_connection_set_until_close() */
    struct socket_address peer;
};

/* --- front_connection.c --- */

/* Serve `fd` (taken also on failure). `is_beyond_limit`: only to be told so. */
void front_connection_open(struct front *front, int fd, const struct socket_address *peer,
                           bool is_beyond_limit);

/* Close at once; the handler is told of a request with `why`. */
void front_connection_close(struct front_connection *connection, enum status why);

void front_connection_on_idle_timeout(struct timeout *timeout);
void front_connection_on_head_timeout(struct timeout *timeout);
void front_connection_on_body_timeout(struct timeout *timeout);
void front_connection_on_send_timeout(struct timeout *timeout);
void front_connection_on_linger_timeout(struct timeout *timeout);
void front_connection_on_probe_timeout(struct timeout *timeout);

/* --- front.c --- */

/* A reader for a request; NULL when out of memory. front_put_reader() takes it back. */
struct http_reader *front_take_reader(struct front *front);
void                front_put_reader(struct front *front, struct http_reader *reader);

#endif
