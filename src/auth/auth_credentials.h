/* auth_credentials - what a caller shows: `Authorization: Bearer`, `X-Chroma-Token`, Basic's
 * password
 *
 * Thread: any. Memory: none; a decoded password is in the struct.
 */
#ifndef AUTH_AUTH_CREDENTIALS_H
#define AUTH_AUTH_CREDENTIALS_H

#include <stdbool.h>

#include "base/bytes.h"
#include "http/http_head.h"

struct auth_credentials {
    struct bytes text;    /* the first that was shown; empty: none */
    bool         are_two; /* others, which are not the same */
    struct bytes other;   /* the first of them */
    char         room[2][192];
};

void auth_credentials_read(const struct http_head *head, struct auth_credentials *ret);

/* Is it a field that credentials are shown in? */
bool auth_credentials_is_field(const struct http_field *field);

#endif
