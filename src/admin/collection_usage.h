/* collection_usage - what each collection is asked for, and how long Chroma works for it
 *
 * Told of each finished request. Pure: time is an argument. Bound: COLLECTION_USAGE_MAX
 * collections, of which the one that was quiet for longest makes room; 40 KiB.
 */
#ifndef ADMIN_COLLECTION_USAGE_H
#define ADMIN_COLLECTION_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct collection_usage; /* opaque */

enum { COLLECTION_USAGE_MAX = 256 };

/* One finished request to a collection; what is not known is 0. */
struct collection_usage_request {
    uint8_t  uuid[16];
    bool     is_write;
    unsigned status;       /* of the answer */
    uint64_t records;      /* written */
    uint64_t call_writes;  /* that shared its call, itself among them */
    uint64_t at_chroma_us; /* from the sending of its call to the answer's first byte */
    uint64_t ended_us;
};

/* Since the collection was first asked for. */
struct collection_usage_entry {
    uint8_t  uuid[16];
    uint64_t last_us; /* when a request ended */
    uint64_t reads, writes, errors;
    uint64_t records;      /* written, as far as they were counted */
    uint64_t merged;       /* writes that shared a call with others */
    uint64_t at_chroma_us; /* of a shared call its part */
};

/* NULL when out of memory. */
struct collection_usage *collection_usage_new(void);
void                     collection_usage_free(struct collection_usage *usage);

void collection_usage_note(struct collection_usage               *usage,
                           const struct collection_usage_request *request);

/* The collections, the one that took most time at Chroma first. `out` (borrowed) has room for
 * COLLECTION_USAGE_MAX. Returns how many there are. */
size_t collection_usage_list(const struct collection_usage        *usage,
                             const struct collection_usage_entry **out);

#endif
