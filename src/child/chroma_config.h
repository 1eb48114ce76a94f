/* chroma_config - the configuration file of `chroma run` (YAML, Chroma 1.0 and later)
 *
 * Reads and writes files: before the loop runs, or where a moment does not matter.
 */
#ifndef CHILD_CHROMA_CONFIG_H
#define CHILD_CHROMA_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/error.h"

/* What a file says, with Chroma's defaults for what it does not say. */
struct chroma_config {
    char     host[256];
    uint16_t port;
    char     directory[4096];
};

/* Write the file at `from` to `to` with everything as it is, but listening on `port` of 127.0.0.1.
 * STATUS_OK       *ret says what stood there.
 * STATUS_INVALID  it is not understood; `error` says where.
 * STATUS_NOT_FOUND, STATUS_NOT_PERMITTED, STATUS_IO_FAILED, STATUS_NO_MEMORY */
MUST_CHECK enum status chroma_config_rewrite(const char *from, const char *to, uint16_t port,
                                             struct chroma_config *ret, struct error *error);

/* Write a file for a server that takes what an embedded client took: bodies up to
 * `body_bytes_max`, and reset() if `allows_reset`. Outcomes as above. */
MUST_CHECK enum status chroma_config_write(const char *to, const char *directory, uint16_t port,
                                           uint64_t body_bytes_max, bool allows_reset,
                                           struct error *error);

#endif
