/* flow_client - a client in a flow test: sends what it is told, collects answers */
#ifndef FLOW_FLOW_CLIENT_H
#define FLOW_FLOW_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "flow/fake_net.h"
#include "http/http_reader.h"

enum { FLOW_CLIENT_ANSWERS_MAX = 64 };

struct flow_answer {
    unsigned           status;
    struct byte_buffer head; /* as received, with interim heads in front of it */
    struct byte_buffer body;
    bool               is_complete, was_cut, keep_alive;
};

struct flow_client {
    struct flow_client  *next_of_world;
    struct fake_net_end *end;
    struct http_reader  *reader;
    struct byte_buffer   out;       /* to be sent */
    size_t               piece_max; /* sent at once; 0: no limit */
    uint64_t             piece_pause_us;
    uint64_t             read_per_second; /* 0: no limit */
    bool                 reads;           /* false: it stalls */
    bool                 keeps_bodies;    /* false: they are only counted */
    bool                 shuts_down;      /* when `out` is sent */
    bool                 has_ended;       /* the proxy closed, or reset, or we did */
    bool                 was_reset;
    bool                 is_garbled; /* an answer was not HTTP */
    bool                 send_planned, read_planned;
    bool                 expects_no_body[FLOW_CLIENT_ANSWERS_MAX]; /* it answers HEAD */
    size_t               answer_count;                             /* complete ones */
    size_t               interim_count;
    size_t               interims[FLOW_CLIENT_ANSWERS_MAX]; /* 1xx heads before each answer */
    uint64_t             body_bytes;                        /* of all answers */
    struct flow_answer   answers[FLOW_CLIENT_ANSWERS_MAX];
    void (*on_answer)(struct flow_client *client, void *ctx); /* or the end; may be NULL */
    void *ctx;
};

/* Connect. Lives as long as the world. */
struct flow_client *flow_client_new(uint16_t port);
void                flow_client_free(struct flow_client *client);

/* Send text, or formatted text, or bytes. */
void flow_client_send(struct flow_client *client, const char *text);
void flow_client_printf(struct flow_client *client, const char *format, ...) PRINTF_LIKE(2, 3);
void flow_client_send_bytes(struct flow_client *client, struct bytes data);

void flow_client_shutdown(struct flow_client *client);
void flow_client_close(struct flow_client *client);
void flow_client_reset(struct flow_client *client);

/* The next answer but `later` ones is to a HEAD request: it has no body. */
void flow_client_expect_no_body(struct flow_client *client, size_t later);

/* Read again after a stall. */
void flow_client_go_on(struct flow_client *client);

/* The answer's head or body as text, NUL-terminated. */
const char *flow_client_head(struct flow_client *client, size_t answer);
const char *flow_client_body(struct flow_client *client, size_t answer);

#endif
