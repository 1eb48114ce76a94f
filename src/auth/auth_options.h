/* auth_options - what an operator can say about keys; see auth.h
 *
 * The settings behind these values are explained in conf/chromabouncer.yaml.
 */
#ifndef AUTH_AUTH_OPTIONS_H
#define AUTH_AUTH_OPTIONS_H

#include <stdbool.h>

#include "base/bytes.h"

struct key_ring;

struct proxy_auth_options {
    struct key_ring *keys; /* held by who takes them; NULL: there are none */
    bool             is_required;
    bool             forwards;                          /* the caller's key goes on to Chroma */
    struct bytes     credential_name, credential_value; /* the field that Chroma gets; or empty */
};

#endif
