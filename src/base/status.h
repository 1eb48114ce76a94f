/* status - the outcome of a fallible function
 *
 * One table (status.def) gives each outcome its name, the HTTP status and the Chroma error name
 * told to a client, and a short text. Zero is success.
 */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

enum status {
#define STATUS(name, http_code, error_name, text) STATUS_##name,
#include "base/status.def"
#undef STATUS
    STATUS_COUNT
};

/* "TIMED_OUT", for logs. Static storage. */
const char *status_name(enum status status);

/* HTTP status code, 200..599; 0 where the outcome is never told to a client. */
int status_http_code(enum status status);

/* The `error` member of Chroma's error body, "" where it is never told. Static storage. */
const char *status_error_name(enum status status);

/* Short English sentence without a final stop. Static storage. */
const char *status_text(enum status status);

#endif
