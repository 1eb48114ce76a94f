/* upstream_request - a request to Chroma, and what its sender is told; see upstream_transfer.h */
#ifndef UPSTREAM_UPSTREAM_REQUEST_H
#define UPSTREAM_UPSTREAM_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"
#include "http/http_head.h"

/* Everything is borrowed until the last callback, or upstream_transfer_cancel(). */
struct upstream_request {
    struct bytes        head; /* complete */
    const struct bytes *body; /* parts of the complete body, or of its beginning */
    size_t              body_parts;
    bool                streams_body; /* more follows: upstream_transfer_send_body() */
    bool                is_head;      /* the method is HEAD: the answer has no body */
    bool                is_write;     /* may change something */
    bool                body_is_odd;  /* on a method whose body Chroma does not read: it closes the
                                       * connection afterwards without having said so */
};

struct upstream_transfer_events {
    /* A 1xx head other than 100: one of any number before the answer's. Borrowed for the call. */
    void (*on_interim)(const struct http_head *head, void *ctx);

    /* The answer's head; borrowed until the last callback. */
    void (*on_head)(const struct http_head *head, void *ctx);

    /* Bytes of its body; borrowed for the call. */
    void (*on_body)(struct bytes data, void *ctx);

    /* All that has arrived so far was told, and the answer is not complete. */
    void (*on_flush)(void *ctx);

    /* The answer is complete. */
    void (*on_end)(void *ctx);

    /* There will be no answer, or no more of it.
     *   BACKEND_DOWN     no connection was to be had; nothing was sent
     *   BACKEND_RESET    the connection broke
     *   BACKEND_GARBLED  the answer is not valid HTTP
     *   NO_MEMORY
     * `sent`: bytes had been sent, so a write may have been executed. */
    void (*on_failure)(enum status why, bool sent, void *ctx);

    /* More of a streamed body may be given: the stream is no longer full. */
    void (*on_writable)(void *ctx);
};

/* When things happened, monotonic microseconds; 0: not yet. */
struct upstream_transfer_times {
    uint64_t started_us;    /* upstream_transfer_start() */
    uint64_t connected_us;  /* it got a connection */
    uint64_t first_byte_us; /* of the answer */
};

#endif
