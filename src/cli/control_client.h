/* control_client - ask the running proxy over its control socket and wait for the answer */
#ifndef CLI_CONTROL_CLIENT_H
#define CLI_CONTROL_CLIENT_H

#include <jansson.h>

#include "cli/options.h"

/* The socket that the settings name. Returns 0, or the exit status after a complaint: without one
 * nothing can be asked. `out` has SETTINGS_SOURCES_PATH_SIZE bytes. */
MUST_CHECK int control_client_path(const struct options *options, char *out);

/* Send `line`, which has no newline, and give the JSON object of the answer. Returns 0, or the exit
 * status, and `error` holds a sentence: 69 when nobody listens at `path` or gives a whole answer,
 * else what the proxy says for what it refuses. */
MUST_CHECK int control_client_ask(const char *path, const char *line, json_t **ret,
                                  struct error *error);

#endif
