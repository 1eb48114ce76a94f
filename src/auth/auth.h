/* auth - keys: who may send a request, what Chroma sees of who sent it, and what was refused
 *
 * The rules are exchanged as a whole; a request goes by those that were there when it began, and
 * holds them. Nothing here, and nobody who uses it, tells a key or a digest to anybody.
 *
 * Thread: event loop only. Memory: key_ring.h, key_slowdown.h, auth_look.h.
 */
#ifndef AUTH_AUTH_H
#define AUTH_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/auth_options.h"
#include "auth/auth_state.h"
#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "calls/proxy_state.h"
#include "limits/key_ring.h"

/* Read only. */
struct auth_rules {
    size_t           holders;
    struct key_ring *keys; /* NULL: there are none */
    bool             is_required, forwards;
    struct bytes credential_name, credential_value; /* of the field that Chroma gets; or empty */
    char         room[];
};

struct auth; /* opaque */
struct auth_looks;

/* Nobody needs a key yet. NULL when out of memory. */
struct auth *auth_new(struct proxy *proxy);

/* NULL is a no-op. No request may be there any more. */
void auth_free(struct auth *auth);

/* Requests that begin from now on go by these. STATUS_NO_MEMORY  nothing changed. */
MUST_CHECK enum status auth_set(struct auth *auth, const struct proxy_auth_options *options);

/* Those of now, or these, held once more; and one less. */
struct auth_rules *auth_hold_rules(struct auth *auth);
struct auth_rules *auth_hold_again(struct auth_rules *rules);
void               auth_drop_rules(struct auth_rules *rules);

/* The key with this text, borrowed from the rules; NULL: there is none. */
const struct key_ring_key *auth_find_key(struct auth *auth, const struct auth_rules *rules,
                                         struct bytes text);

/* Does a key of `rules` still let in: is it known now, too, or is none needed any more? */
bool auth_knows(const struct auth *auth, const struct auth_rules *rules,
                const struct key_ring_key *key);

/* Where names are asked for. */
struct auth_looks *auth_looks(struct auth *auth);

/* Count a refusal. Returns how long its answer is to wait, microseconds: only after many unknown
 * keys from this address. */
uint64_t auth_count(struct auth *auth, enum auth_refusal refusal, struct bytes address,
                    uint64_t now_us);

/* What the counters say. */
void auth_tell(const struct auth *auth, struct auth_state *ret);

/* Append the metrics. Outcomes as metric_print(). */
MUST_CHECK enum status auth_print_metrics(const struct auth *auth, struct byte_buffer *out);

#endif
