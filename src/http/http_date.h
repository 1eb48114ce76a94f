/* http_date - the time of day as HTTP writes it (RFC 9110 section 5.6.7), made once a second */
#ifndef HTTP_HTTP_DATE_H
#define HTTP_HTTP_DATE_H

#include <stdint.h>

#include "base/bytes.h"

/* Zero-initialised is ready for use. */
struct http_date {
    uint64_t second; /* for which `text` was made */
    char     text[32];
};

/* "Sun, 06 Nov 1994 08:49:37 GMT" for `wall_us` microseconds since 1970 (UTC). Borrowed until the
 * next call for the same cache. */
struct bytes http_date_text(struct http_date *cache, uint64_t wall_us);

#endif
