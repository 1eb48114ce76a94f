/* http_session - requests to the running proxy's data port, one after another, by libcurl
 *
 * With the key in the environment's CHROMABOUNCER_KEY, if there is one.
 */
#ifndef CLI_HTTP_SESSION_H
#define CLI_HTTP_SESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/byte_buffer.h"
#include "base/compiler.h"
#include "base/error.h"
#include "cli/options.h"

struct http_session {
    void              *curl;
    void              *fields; /* of its requests */
    struct address     address;
    long               code;   /* of the last answer */
    struct byte_buffer answer; /* its body */
    char               message[200];
};

/* To the first of listen.address. Returns 0, or the exit status, and `error` says why. */
MUST_CHECK int http_session_begin(struct http_session *session, const struct options *options,
                                  struct error *error);

void http_session_end(struct http_session *session);

/* The paths of a database and of a collection by its name, for parts of TENANT/DATABASE/NAME.
 * False: they do not fit. */
MUST_CHECK bool http_session_print_path(const struct http_session *session,
                                        const struct bytes parts[3], char *ret_database,
                                        size_t database_size, char *ret_collection,
                                        size_t collection_size);

/* GET `path`, or POST `body` (JSON) to it, and wait.
 * STATUS_OK            there was an answer, of whatever status.
 * STATUS_BACKEND_DOWN  there was none: `error` says why. */
MUST_CHECK enum status http_session_ask(struct http_session *session, const char *path,
                                        const struct byte_buffer *body, struct error *error);

/* What the last answer says is wrong. Borrowed. */
const char *http_session_message(struct http_session *session);

#endif
