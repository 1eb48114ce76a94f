/* auth_state - what is told of keys, to whoever lists them
 *
 * Plain data, borrowed for the call.
 */
#ifndef AUTH_AUTH_STATE_H
#define AUTH_AUTH_STATE_H

#include <stdbool.h>
#include <stdint.h>

enum auth_refusal {
    AUTH_REFUSAL_NO_KEY,
    AUTH_REFUSAL_UNKNOWN_KEY,
    AUTH_REFUSAL_TWO_KEYS,
    AUTH_REFUSAL_SCOPE,
    AUTH_REFUSAL_NOT_FOUND, /* no such collection, or none that the key may see */
    AUTH_REFUSAL_INVALID,
    AUTH_REFUSAL_COUNT
};

struct key_ring;

struct auth_state {
    const struct key_ring *keys; /* NULL: there are none */
    bool                   is_required;
    struct {
        const char *reason;
        uint64_t    count;
    } refused[AUTH_REFUSAL_COUNT];
};

#endif
