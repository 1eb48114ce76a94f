/* mirror_terms - the different values of one key, each kept once and numbered
 *
 * A value is a scalar or a list. Numbers begin at 1 and stay as long as the value has references;
 * those of values that are gone are used again. -0.0 is 0.0, to which it is equal in all that is
 * asked of values; a list is its items in their order.
 *
 * Zero-initialised means empty. Who holds it gives the memory and the secret of its hash, the same
 * with each call.
 *
 * Thread: one writer, or any number of readers. Memory: 28 to 32 bytes for each value, half as much
 * again as it grows, and for texts and lists their bytes.
 */
#ifndef MIRROR_MIRROR_TERMS_H
#define MIRROR_MIRROR_TERMS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/siphash.h"
#include "base/status.h"
#include "mirror/mirror_metadata.h"

struct index_memory;

struct mirror_term {
    union {
        int64_t  integer; /* of a bool 0 or 1 */
        double   real;
        uint64_t offset; /* of a string or a list: in `text` */
    } value;
    uint32_t size;       /* of a string or a list: bytes there */
    uint32_t references; /* 0: there is no such value */
    uint32_t next;       /* with the same hash, or the next that is free; 0: none */
    uint8_t  type;       /* enum mirror_type; of the items, if it is a list */
    bool     is_list;
};

struct mirror_terms {
    struct mirror_term *terms;   /* by number; the first is none */
    uint32_t           *buckets; /* as many as the first power of two that is `capacity` or more */
    char               *text;
    uint32_t            capacity, end; /* of `terms`: numbers from `end` on were not used yet */
    uint32_t            count, free;   /* values; the first number that is free, or 0 */
    uint32_t            once;          /* values with one reference */
    uint64_t            text_capacity, text_end, text_live;
};

struct mirror_terms_owner {
    struct index_memory *memory;
    unsigned char        secret[SIPHASH_KEY_SIZE];
};

void mirror_terms_done(struct mirror_terms *terms, const struct mirror_terms_owner *owner);

/* The number of the value of `field`, which has one reference more; mirror_terms_release() it.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED: nothing changed. */
MUST_CHECK enum status mirror_terms_intern(struct mirror_terms             *terms,
                                           const struct mirror_terms_owner *owner,
                                           const struct mirror_field *field, uint32_t *ret_number);

void mirror_terms_release(struct mirror_terms *terms, const struct mirror_terms_owner *owner,
                          uint32_t number);

/* The number of a scalar; 0: it is not there. */
uint32_t mirror_terms_find(const struct mirror_terms *terms, const struct mirror_terms_owner *owner,
                           enum mirror_type type, const union mirror_scalar *value);

/* Walk the items of a list: begin with *position 0, until false. Texts are borrowed until the next
 * change. */
bool mirror_terms_next_item(const struct mirror_terms *terms, const struct mirror_term *list,
                            uint32_t *position, union mirror_scalar *ret_item);

/* All that is allocated, in bytes. */
uint64_t mirror_terms_memory(const struct mirror_terms *terms);

/* What that will be when there are `count` values, of the same length. */
uint64_t mirror_terms_estimate(const struct mirror_terms *terms, uint64_t count);

#endif
