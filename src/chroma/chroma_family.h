/* chroma_family - what differs between the servers that speak Chroma's API
 *
 * Chroma was written in Python below 1.0 and in Rust since. What is assumed when writes are merged,
 * answers kept or refusals read was proved for some of them only; chroma_family.def says what for
 * which. Where the family is not known every property has its safe value: nothing is merged.
 *
 * Thread: any. Memory: none.
 */
#ifndef CHROMA_CHROMA_FAMILY_H
#define CHROMA_CHROMA_FAMILY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "chroma/chroma_records.h"
#include "chroma/chroma_route.h"

enum chroma_family {
#define FAMILY(id, ...) CHROMA_FAMILY_##id,
#include "chroma/chroma_family.def"
#undef FAMILY
    CHROMA_FAMILY_COUNT
};

/* A row of chroma_family.def, which explains the columns. */
struct chroma_family_info {
    const char *name; /* "rust", for logs, settings and pages */
    unsigned    first_version;
    bool        merges;
    bool        same_columns;
    bool        keeps_extreme_numbers;
    bool        takes_lists;
    bool        takes_base64;
    bool        takes_null_vectors;
    bool        takes_repeated_ids;
    bool        refuses_with_500;
    bool        fails_with_500;
    bool        create_may_read;
    bool        null_is_default;
    bool        writes_are_local;
    uint64_t    body_max;
    uint64_t    idle_close_us;
    bool        serves_v1, serves_v2;
};

/* Static storage. */
const struct chroma_family_info *chroma_family_info(enum chroma_family family);

/* "python". False, *ret_family unchanged: no family is called so. */
MUST_CHECK bool chroma_family_parse(struct bytes name, enum chroma_family *ret_family);

/* The body of a 2xx to GET /api/v2/version or /api/v1/version: `"0.6.3"`. *ret_version is the
 * number that it says, as `first_version` is one. UNKNOWN, and 0: it is none. */
enum chroma_family chroma_family_of_version(struct bytes body, unsigned *ret_version);

/* What a 2xx to an add, upsert or update shows, where nobody may ask for the version: Rust answers
 * `{}`. A bare value is a Python server's, but not of which age: PYTHON_OLD, which merges nothing.
 * UNKNOWN: it shows nothing. */
enum chroma_family chroma_family_of_answer(enum chroma_operation operation, struct bytes body);

/* May this write, which would pass alone (chroma_records_scan()), share a call with others?
 * False: *ret_reason says why not, static storage. True: with those of the same operation, path,
 * encoding and dimension, and where `same_columns` is set of the same `column_set`. */
bool chroma_family_may_merge(enum chroma_family family, const struct chroma_route *route,
                             const struct chroma_records *records, const char **ret_reason);

/* Was a write that got this answer refused before anything was applied? True for 4xx of every
 * family but 408 and 429, and for 501; for 500 only where the family refuses so and the body names
 * one of the errors that its validation raises. Body: all of the answer. What is not known is no
 * refusal. */
bool chroma_family_is_refusal(enum chroma_family family, unsigned status, struct bytes body);

#endif
