/* http_retry_after - how long Retry-After asks to wait (RFC 9110 section 10.2.3) */
#ifndef HTTP_HTTP_RETRY_AFTER_H
#define HTTP_HTTP_RETRY_AFTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* `value` is a number of seconds, or a date in the form that senders must use; `wall_us` is now,
 * microseconds since 1970. A date that is past is no time at all.
 * False, nothing written: it is neither. */
bool http_retry_after_parse(struct bytes value, uint64_t wall_us, uint64_t *ret_wait_us);

#endif
