/* front_error - an error answer of our own, in Chroma's shape
 *
 * {"error":"<Name>","message":"<what, which limit, what to do>"}, which Chroma's clients turn into
 * typed exceptions.
 */
#ifndef FRONT_FRONT_ERROR_H
#define FRONT_FRONT_ERROR_H

#include <stdbool.h>

#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/status.h"

/* Was the request executed? Said in X-Chromabouncer-Executed. */
enum front_executed { FRONT_EXECUTED_UNSAID, FRONT_EXECUTED_NO, FRONT_EXECUTED_MAYBE };

struct front_error {
    enum status         status;  /* gives the code and the error's name */
    const char         *message; /* borrowed; NULL: the status' own text */
    enum front_executed executed;
    unsigned            retry_after_s; /* 0: not said */
    bool                close;         /* say Connection: close */
    bool                is_head;       /* answers HEAD: no body */
    bool                is_plain;      /* no fields of our own (`headers: off`) */
    struct bytes        cors;          /* front_connection_cors(), or empty */
    const char         *fields;        /* further field lines, each with its end; NULL: none */
};

/* `cors` may be as long as this, and `fields`. */
enum { FRONT_ERROR_CORS_BYTES_MAX = 512, FRONT_ERROR_FIELDS_BYTES_MAX = 512 };

/* Append the complete answer to `out`.
 * STATUS_NO_MEMORY  `out` is as before. */
MUST_CHECK enum status front_error_write(struct byte_buffer *out, const struct front_error *error,
                                         struct bytes date);

#endif
