/* id_set - have any of these ids been seen in this batch?
 *
 * A set of keyed 64-bit hashes of ids, cleared in no time. Two ids of one hash pass for the same
 * id, which at worst cuts a batch short; the same id never passes for two.
 *
 * Thread: event loop only. Memory: 16 bytes for each id, at most four times that, kept.
 */
#ifndef WRITES_ID_SET_H
#define WRITES_ID_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"

struct id_set_slot {
    uint64_t hash, round;
};

/* Zero-initialised means empty. */
struct id_set {
    struct id_set_slot *slots;
    size_t              mask, count;
    uint64_t            round; /* slots of other rounds are free */
};

void id_set_done(struct id_set *set);

/* Forget all ids. */
void id_set_clear(struct id_set *set);

/* Is none of them in the set? */
bool id_set_is_disjoint(const struct id_set *set, const uint64_t *hashes, size_t count);

/* STATUS_NO_MEMORY  nothing changed. */
MUST_CHECK enum status id_set_add(struct id_set *set, const uint64_t *hashes, size_t count);

#endif
