/* too_large - the 413 that Chroma answers to a body beyond its limit
 *
 * Chroma's own, field by field: in front of whoever compares, nothing has changed.
 */
#ifndef CALLS_TOO_LARGE_H
#define CALLS_TOO_LARGE_H

#include <stdbool.h>

#include "base/bytes.h"
#include "http/http_head.h"

/* Head and body as routes have them whose bodies axum reads itself (`is_plain`), and as the others.
 * Static storage. */
const struct http_head *too_large_head(bool is_plain);
struct bytes            too_large_body(bool is_plain);

#endif
