/* service_match - which service does a request belong to?
 *
 * A service is recognised by the name of a key, by the user of a unix socket's client, by a field
 * of the request, or by the client's address; which of these may be believed is the caller's to
 * know. Each look-up costs the same for few services and for many.
 *
 * Thread: event loop only. Memory: some 100 bytes for each rule.
 */
#ifndef LIMITS_SERVICE_MATCH_H
#define LIMITS_SERVICE_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/network.h"
#include "base/siphash.h"

#define SERVICE_MATCH_NONE UINT32_MAX

/* A field's name and value together. */
enum { SERVICE_MATCH_FIELD_MAX = 512, SERVICE_MATCH_NAME_SIZE = 64 };

/* What one service is recognised by. Where two say the same, the first one has it. */
struct service_match_rule {
    uint32_t     service;
    struct bytes name;                           /* of the service itself; may be empty */
    const char (*keys)[SERVICE_MATCH_NAME_SIZE]; /* names of keys, each with a NUL */
    size_t                key_count;
    struct bytes          field_name, field_value; /* empty: none */
    const struct network *networks;
    size_t                network_count;
    const uint32_t       *uids;
    size_t                uid_count;
};

struct service_match; /* opaque; cannot change */

/* `rules` and all they point to are copied. NULL when out of memory. */
struct service_match *service_match_new(const struct service_match_rule *rules, size_t count,
                                        const unsigned char secret[SIPHASH_KEY_SIZE]);

/* NULL is a no-op. */
void service_match_free(struct service_match *match);

/* Is some service recognised by fields of this name, in whatever case? */
bool service_match_is_field(const struct service_match *match, struct bytes name);

/* Is there any rule of this kind? */
bool service_match_has_fields(const struct service_match *match);
bool service_match_has_uids(const struct service_match *match);
bool service_match_has_networks(const struct service_match *match);

/* The service of a key, of this name, of a field, of a user, of an address; SERVICE_MATCH_NONE: of
 * none. Values are compared byte for byte. */
uint32_t service_match_by_key(const struct service_match *match, struct bytes name);
uint32_t service_match_by_name(const struct service_match *match, struct bytes name);
uint32_t service_match_by_field(const struct service_match *match, struct bytes name,
                                struct bytes value);
uint32_t service_match_by_uid(const struct service_match *match, uint32_t uid);

/* The smallest network counts. */
uint32_t service_match_by_address(const struct service_match   *match,
                                  const struct network_address *address);

#endif
