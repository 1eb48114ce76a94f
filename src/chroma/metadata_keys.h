/* metadata_keys - which metadata keys, with values of which types, does a write use?
 *
 * A bounded set, collected while the write is scanned. Records of one write mostly have the same
 * keys in the same order, so the next key is looked for first where it was in the record before.
 * What does not fit (more keys, long ones, escapes, numbers whose type is in doubt) makes the set
 * partial, which says: it may use anything.
 *
 * Thread: any. Memory: none; the keys lie in the body.
 */
#ifndef CHROMA_METADATA_KEYS_H
#define CHROMA_METADATA_KEYS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "json/json_scan.h"

enum { METADATA_KEYS_MAX = 32 };

/* As Chroma tells them apart in the schema of a collection; a list has the type of its items. */
enum metadata_type {
    METADATA_TYPE_BOOL = 1,
    METADATA_TYPE_INT = 2,
    METADATA_TYPE_FLOAT = 4,
    METADATA_TYPE_STRING = 8
};

struct metadata_key {
    uint32_t offset; /* in the body */
    uint8_t  size;
    uint8_t  types; /* enum metadata_type, of all its values */
};

struct metadata_keys {
    const char         *body;
    struct metadata_key keys[METADATA_KEYS_MAX];
    uint8_t             count, next;
    bool                is_partial;
};

static inline struct bytes metadata_keys_text(const struct metadata_keys *keys,
                                              const struct metadata_key  *key)
{
    return (struct bytes){.data = keys->body + key->offset, .size = key->size};
}

/* The place of a key that was not where it was looked for first. */
static inline uint8_t metadata_keys_place(struct metadata_keys *keys, struct bytes text)
{
    uint8_t place = 0;

    while (place < keys->count && !bytes_equal(metadata_keys_text(keys, &keys->keys[place]), text))
        place++;
    if (place == keys->count && place < METADATA_KEYS_MAX)
        keys->keys[keys->count++] = (struct metadata_key){
            .offset = (uint32_t)(text.data - keys->body), .size = (uint8_t)text.size};
    return place;
}

/* Note that `key`, which lies in the body, has a value of `type`. */
static inline void metadata_keys_add(struct metadata_keys *keys, struct json_string key,
                                     enum metadata_type type)
{
    uint8_t place = keys->next;

    if (key.has_escapes || key.raw.size > UINT8_MAX) {
        keys->is_partial = true;
        return;
    }
    if (place >= keys->count || !bytes_equal(metadata_keys_text(keys, &keys->keys[place]), key.raw))
        place = metadata_keys_place(keys, key.raw);
    if (place == METADATA_KEYS_MAX) {
        keys->is_partial = true;
        return;
    }
    keys->keys[place].types |= (uint8_t)type;
    keys->next = place + 1 < keys->count ? (uint8_t)(place + 1) : 0;
}

#endif
