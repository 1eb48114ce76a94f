/* guard_rules - what may only be deleted by who says its name, and what is open for a while
 *
 * Patterns, separated by commas, say what is guarded: NAME or TENANT/DATABASE/NAME, where `*`
 * stands for any run of characters. Of what is not known it is assumed that it fits.
 *
 * A deletion is confirmed by a text that names its target; an opening is such a text that holds
 * for every request until it ends:
 *
 *   a collection   NAME, TENANT/DATABASE/NAME or its UUID
 *   a database     TENANT/DATABASE; in a request, which says which one it is about, DATABASE too
 *   everything     reset
 *   nobody knows   unknown
 *
 * so an opening named `reset` or `unknown` opens no collection that is called so.
 *
 * Thread: one at a time. Memory: the patterns and GUARD_RULES_OPENINGS_MAX names.
 */
#ifndef LIMITS_GUARD_RULES_H
#define LIMITS_GUARD_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/error.h"

enum {
    GUARD_RULES_OPENINGS_MAX = 16,
    GUARD_RULES_NAME_SIZE = 640, /* of an opening, with its NUL */
};

/* An opening lasts so long at most. */
#define GUARD_RULES_OPEN_MAX_US UINT64_C(3600000000)

enum guard_target_kind {
    GUARD_TARGET_COLLECTION,
    GUARD_TARGET_DATABASE,
    GUARD_TARGET_EVERYTHING,
    GUARD_TARGET_UNKNOWN /* of a request that nobody understands */
};

/* What a request would delete, or take something from. A part whose `data` is NULL is not known, or
 * may be any: those of everything are. */
struct guard_target {
    enum guard_target_kind kind;
    struct bytes           tenant, database, collection;
    struct bytes           uuid; /* of a collection, as Chroma writes it */
};

struct guard_rules; /* opaque */

/* One of the patterns; a part whose `data` is NULL may be any. Borrowed from their text. */
struct guard_pattern {
    struct bytes text, tenant, database, collection;
};

/* Cut off the first of `rest`. False: there is none, or it is none; `text` of *ret is empty then,
 * or says which. */
MUST_CHECK bool guard_rules_next_pattern(struct bytes *rest, struct guard_pattern *ret);

/* STATUS_INVALID  these are no patterns; `error` says what is wrong. */
MUST_CHECK enum status guard_rules_check(struct bytes patterns, struct error *error);

/* Without patterns. NULL: no memory. */
struct guard_rules *guard_rules_new(void);

/* NULL is a no-op. */
void guard_rules_free(struct guard_rules *rules);

/* Guard what fits one of `patterns` (copied), which guard_rules_check() takes; nothing if it is
 * empty. Openings stay. STATUS_NO_MEMORY  nothing changed. */
MUST_CHECK enum status guard_rules_set(struct guard_rules *rules, struct bytes patterns);

/* As it was set. Borrowed. */
const char *guard_rules_patterns(const struct guard_rules *rules);

/* Is anything guarded? */
bool guard_rules_are_on(const struct guard_rules *rules);

/* May it be guarded, or hold something that is? */
bool guard_rules_hold(const struct guard_rules *rules, const struct guard_target *target);

/* Does a request with this text name its own target? */
bool guard_rules_is_confirmed(const struct guard_target *target, struct bytes text);

/* Is there an opening for it? */
bool guard_rules_is_open(const struct guard_rules *rules, const struct guard_target *target,
                         uint64_t now_us);

/* Open it for a while; once more: until then instead.
 * STATUS_INVALID        it is no name, or too long a time.
 * STATUS_LIMIT_REACHED  there are as many as there may be. `error` says so. */
MUST_CHECK enum status guard_rules_open(struct guard_rules *rules, struct bytes name,
                                        uint64_t duration_us, uint64_t now_us, struct error *error);

/* False: it is not open. */
bool guard_rules_close(struct guard_rules *rules, struct bytes name);

/* An opening, by its number below GUARD_RULES_OPENINGS_MAX; those that have ended by now are among
 * them until they are closed. NULL: none. Borrowed. */
const char *guard_rules_opening(const struct guard_rules *rules, size_t index,
                                uint64_t *ret_until_us);

#endif
