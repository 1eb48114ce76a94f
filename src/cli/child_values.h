/* child_values - what follows for the settings when Chroma is a child of this program
 *
 * What nobody has set is set as if it stood on the command line, so that a reload sees the same:
 * the backend is Chroma's private port, the role is gateway, as there is no other way to it, and
 * most of the memory is Chroma's.
 */
#ifndef CLI_CHILD_VALUES_H
#define CLI_CHILD_VALUES_H

#include "app/settings_sources.h"

/* Texts that the sources borrow. */
struct child_values {
    struct address listen;   /* where clients look for Chroma; of the caller */
    bool           is_quiet; /* stands beside somebody else's output; of the caller */
    char           backend[48], address[ADDRESS_TEXT_SIZE], memory[32], body[32];
};

/* Chroma listens on `port`.
 * STATUS_INVALID and others  as settings_sources_load(), or backend.url is set: `error` says so. */
MUST_CHECK enum status child_values_set(struct child_values     *values,
                                        struct settings_sources *sources,
                                        const struct machine *machine, uint16_t port,
                                        struct error *error);

#endif
