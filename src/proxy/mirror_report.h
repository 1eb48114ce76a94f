/* mirror_report - the copies of collections for operators: which there are, and their beginning and
 * end
 *
 * Thread: event loop only. Memory: none.
 */
#ifndef PROXY_MIRROR_REPORT_H
#define PROXY_MIRROR_REPORT_H

#include "copies/mirror_keeper.h"
#include "copies/mirror_verify.h"
#include "proxy/mirror_compare.h"
#include "proxy/proxy.h"

/* As mirror_keeper_usage(), mirror_keeper_each() and mirror_keeper_obstacle(). Nothing where copies
 * were never wanted. */
struct mirror_keeper_usage mirror_report_usage(const struct proxy *proxy);
void        mirror_report_each(const struct proxy *proxy, mirror_entry_fn *fn, void *ctx);
const char *mirror_report_obstacle(const struct proxy *proxy);

/* The collection that cache_report_find() understands by `name`.
 * STATUS_NOT_FOUND  no collection is known by it; `error` says what to do.
 * STATUS_INVALID    mirror.mode is off: there are no copies. */
MUST_CHECK enum status mirror_report_find(const struct proxy *proxy, struct bytes name,
                                          uint8_t ret_uuid[16], struct error *error);

/* As mirror_keeper_fill() and mirror_keeper_drop(), for the collection that cache_report_find()
 * understands by `name`. Which one is to be filled Chroma is asked if that is not known.
 * STATUS_AGAIN            it is being asked: call again soon.
 * STATUS_NOT_FOUND        no collection is known by it, to Chroma neither.
 * STATUS_NOT_IMPLEMENTED  also if Chroma does not say.
 * STATUS_INVALID          mirror.mode is off: there are no copies.
 * Others as mirror_keeper_fill(); `error` says what to do. */
MUST_CHECK enum status mirror_report_fill(struct proxy *proxy, struct bytes name,
                                          struct error *error);
MUST_CHECK enum status mirror_report_drop(struct proxy *proxy, struct bytes name,
                                          struct error *error);

/* As mirror_verify_begin(), likewise; and mirror_verify_tell(). */
MUST_CHECK enum status    mirror_report_verify(struct proxy *proxy, struct bytes name,
                                               struct error *error);
struct mirror_verify_info mirror_report_verified(const struct proxy *proxy);

/* As mirror_path_compared(). */
struct mirror_compare_stats mirror_report_compared(const struct proxy *proxy);

#endif
