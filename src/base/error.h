/* error - a status and one sentence for a human, kept by the caller
 *
 * Only where a bare status would not tell a person what to fix: settings, files, requests. Never
 * allocates, so it works when memory is gone.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "base/compiler.h"
#include "base/status.h"

struct error {
    enum status status;
    char        text[256]; /* NUL-terminated; cut if too long */
};

/* Fill `error` (may be NULL) and return `status`, so a failing function can end with
 * `return error_set(error, STATUS_INVALID, "line %u: unknown key '%s'", line, key);` */
enum status error_set(struct error *error, enum status status, const char *format, ...)
    PRINTF_LIKE(3, 4);

#endif
