/* key_ring - the keys that are known, by the SHA-256 of their text
 *
 * No key is kept, only digests, so a memory image or a stolen file opens nothing. Digests are made
 * by the caller (libcrypto, in io/): this module has no cryptography of its own but a comparison in
 * constant time. Where a digest is looked for depends on the digest of what the caller sent, which
 * says nothing about the keys.
 *
 * A ring is built once from the file of keys and then only read; after a change of the file
 * another one takes its place. Who still needs the scopes of a key holds its ring.
 *
 * Thread: event loop only. Memory: for each key 104 bytes, its name and its service's, for each
 * scope its text and 16 bytes, and 16 to 32 bytes of table.
 */
#ifndef LIMITS_KEY_RING_H
#define LIMITS_KEY_RING_H

#include <stdint.h>

#include "limits/key_scope.h"

enum { KEY_RING_DIGEST_SIZE = 32, KEY_RING_KEYS_MAX = 1000000, KEY_RING_SCOPES_MAX = 64 };

struct key_ring; /* opaque */

struct key_ring_key {
    unsigned char           digest[KEY_RING_DIGEST_SIZE];
    uint32_t                id; /* by which people name it; says nothing about the key */
    uint32_t                scope_count;
    const char             *name, *service; /* end in NUL; the service may be empty */
    uint64_t                used;           /* times found */
    const struct key_scope *scopes;
};

/* Held once. NULL when out of memory. */
struct key_ring *key_ring_new(void);

/* Held by one more, or one less; the last one frees it. key_ring_drop(NULL) is a no-op. */
struct key_ring *key_ring_hold(struct key_ring *ring);
void             key_ring_drop(struct key_ring *ring);

/* What is to be entered: all is copied, the scopes as key_scope_parse() reads them. */
struct key_ring_entry {
    unsigned char       digest[KEY_RING_DIGEST_SIZE];
    uint32_t            id;
    struct bytes        name, service;
    const struct bytes *scopes;
    size_t              scope_count;
};

/* Enter a key.
 *
 * STATUS_INVALID        a scope is wrong, the name is empty, or the digest is there already;
 *                       `error` (may be NULL) says which.
 * STATUS_LIMIT_REACHED  KEY_RING_KEYS_MAX keys, or KEY_RING_SCOPES_MAX scopes.
 * STATUS_NO_MEMORY      nothing changed. */
MUST_CHECK enum status key_ring_add(struct key_ring *ring, const struct key_ring_entry *entry,
                                    struct error *error);

/* The key with this digest, borrowed as long as the ring is held; NULL: there is none. */
const struct key_ring_key *key_ring_find(struct key_ring    *ring,
                                         const unsigned char digest[KEY_RING_DIGEST_SIZE]);

size_t key_ring_count(const struct key_ring *ring);

/* Walk all keys in no order: begin with *position 0, until NULL. */
const struct key_ring_key *key_ring_next(const struct key_ring *ring, size_t *position);

#endif
