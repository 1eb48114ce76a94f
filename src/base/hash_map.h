/* hash_map - from byte strings to pointers, bounded
 *
 * Open addressing with linear probing; removing moves later entries back, so there are no
 * tombstones and the table does not age. It doubles as it fills, up to `entries_max`. The hash is
 * keyed, so clients who choose the keys cannot make them collide.
 *
 * Keys and values are borrowed as long as they are in the map: a key usually lies in its value.
 *
 * Thread: one at a time. Memory: 32 bytes for each entry, at most twice that and a third.
 */
#ifndef BASE_HASH_MAP_H
#define BASE_HASH_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/siphash.h"
#include "base/status.h"

struct hash_map;

/* `secret` is borrowed and copied. NULL: no memory. */
struct hash_map *hash_map_new(const unsigned char secret[SIPHASH_KEY_SIZE], size_t entries_max);

/* The values stay the caller's. */
void hash_map_free(struct hash_map *map);

size_t hash_map_count(const struct hash_map *map);

/* The value of `key`; NULL: there is none. */
void *hash_map_get(const struct hash_map *map, struct bytes key);

/* Enter `value`, not NULL, under a key that is not in the map yet.
 *
 * STATUS_LIMIT_REACHED  `entries_max` are in it.
 * STATUS_NO_MEMORY      nothing changed. */
MUST_CHECK enum status hash_map_put(struct hash_map *map, struct bytes key, void *value);

/* Take out and return the value of `key`; NULL: there was none. */
void *hash_map_remove(struct hash_map *map, struct bytes key);

/* Walk all entries in no order: begin with *position 0, until NULL. Not while changing the map. A
 * map that is NULL has none. */
void *hash_map_next(const struct hash_map *map, size_t *position);

#endif
