/* http_probe - one GET for a command that waits for its answer, by libcurl */
#ifndef CLI_HTTP_PROBE_H
#define CLI_HTTP_PROBE_H

#include <stdint.h>

#include "base/address.h"
#include "base/compiler.h"
#include "base/error.h"

enum { HTTP_PROBE_BODY_SIZE = 16 * 1024 };

struct http_probe_answer {
    long     code;     /* HTTP status */
    uint64_t total_us; /* from the start to the last byte */
    size_t   size;     /* of the body; what is above HTTP_PROBE_BODY_SIZE - 1 is cut */
    char     body[HTTP_PROBE_BODY_SIZE]; /* ends in NUL */
};

/* Ask `address` for `path` ("/readyz") and wait for at most `timeout_us`. Redirects are not
 * followed, proxies of the environment not used.
 * STATUS_OK            there was an answer, of whatever status.
 * STATUS_BACKEND_DOWN  there was none: `error` says why.
 * STATUS_NO_MEMORY     libcurl does not start. */
MUST_CHECK enum status http_probe(const struct address *address, const char *path,
                                  uint64_t timeout_us, struct http_probe_answer *ret,
                                  struct error *error);

#endif
