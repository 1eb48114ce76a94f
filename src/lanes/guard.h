/* guard - deletions of guarded collections are refused unless somebody says their name
 *
 * What is guarded, what was refused, and what is open for a while. guard_gate.h refuses what a
 * request alone shows, guard_look.h what takes a question to Chroma; both ask here. Without
 * patterns proxy->guard is NULL, or guards nothing, and neither does anything.
 *
 * Thread: event loop only.
 */
#ifndef LANES_GUARD_H
#define LANES_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "base/compiler.h"
#include "base/error.h"
#include "chroma/chroma_route.h"
#include "limits/guard_rules.h"

struct guard; /* opaque; one for each proxy that ever had one */
struct proxy;

/* ---- For operators -------------------------------------------------------------------------- */

struct guard_options {
    const char *collections; /* patterns of guard_rules.h; "": nothing is guarded. Copied */
    uint64_t    records_max; /* so many records of one may be deleted at once */
};

enum guard_reason {
#define REASON(id, name, before, behind, says_max) GUARD_REASON_##id,
#include "lanes/guard_reason.def"
#undef REASON
    GUARD_REASONS
};

/* Strings are borrowed until the guard is used again. */
struct guard_state {
    const char *collections;
    uint64_t    records_max;
    uint64_t    refused[GUARD_REASONS];
    uint64_t    confirmed, opened; /* requests that passed: by their own word, by an opening */
    size_t      opening_count;
    struct {
        const char *name;
        uint64_t    left_us;
    } openings[GUARD_RULES_OPENINGS_MAX];
};

/* STATUS_NO_MEMORY  nothing changed. */
MUST_CHECK enum status guard_set(struct proxy *proxy, const struct guard_options *options);

/* Open what `name` names, for a while; it is logged, and so is its end.
 * STATUS_INVALID, STATUS_LIMIT_REACHED, STATUS_NO_MEMORY  `error` says why not. */
MUST_CHECK enum status guard_open(struct proxy *proxy, struct bytes name, uint64_t duration_us,
                                  struct error *error);

/* STATUS_NOT_FOUND  it is not open. */
MUST_CHECK enum status guard_close(struct proxy *proxy, struct bytes name, struct error *error);

void guard_read(const struct proxy *proxy, struct guard_state *ret);

/* "records". Static storage. */
const char *guard_reason_name(enum guard_reason reason);

/* Is it guard.records_max that refuses for it? */
bool guard_reason_says_max(enum guard_reason reason);

/* Append the guard's metrics; nothing where it never guarded anything. Outcomes as metric_print().
 */
MUST_CHECK enum status guard_print_metrics(const struct proxy *proxy, struct byte_buffer *out);

/* ---- For requests -------------------------------------------------------------------------- */

/* Does it guard anything? */
bool guard_is_on(const struct proxy *proxy);

/* May so many records go? */
bool     guard_allows_records(const struct guard *guard, uint64_t count);
uint64_t guard_records_max(const struct guard *guard);

/* Is it guarded, or may it be? */
bool guard_holds(const struct guard *guard, const struct guard_target *target);

/* Has it been confirmed, by the text in the request (may be empty) or by an opening? Counts and
 * logs it. */
bool guard_lets(struct guard *guard, const struct guard_target *target, struct bytes confirm,
                const struct chroma_route *route);

/* Count and log a refusal, and write what the client is told to `message`, which is returned.
 * `more` is put behind the reason; "": nothing. */
enum { GUARD_MESSAGE_SIZE = 1000 };
const char *guard_refuse(struct guard *guard, enum guard_reason reason,
                         const struct guard_target *target, const struct chroma_route *route,
                         const char *more, char message[GUARD_MESSAGE_SIZE]);

/* NULL is a no-op. */
void guard_free(struct guard *guard);

#endif
