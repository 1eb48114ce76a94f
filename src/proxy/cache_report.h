/* cache_report - the cache for operators: what it keeps, what it has saved, and the end of it
 *
 * Thread: event loop only. Memory: none.
 */
#ifndef PROXY_CACHE_REPORT_H
#define PROXY_CACHE_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "chroma/collection_facts.h"
#include "reads/cache_usage.h"

struct proxy;

struct cache_report {
    bool                     is_on;
    uint64_t                 bytes_max; /* 0: it can never be on */
    struct query_cache_stats stats;     /* since it was last turned on */
    uint64_t                 lookups; /* of these, as they are counted by collection and service */
    uint64_t                 verified, different; /* cache_verify.h */
};

void cache_report_read(const struct proxy *proxy, struct cache_report *ret_report);

/* As cache_usage_list(). */
size_t cache_report_list(const struct proxy *proxy, enum query_cache_owner kind,
                         struct cache_usage_row out[QUERY_CACHE_OWNERS_MAX]);

/* The place and name that an operator means by TENANT/DATABASE/NAME, or NAME in Chroma's default
 * database; borrowed from `text`. False: it is neither. */
MUST_CHECK bool cache_report_split(struct bytes text, struct scope *ret_scope,
                                   struct bytes *ret_name);

/* Which collection an operator means: a UUID, TENANT/DATABASE/NAME, or the NAME of one in Chroma's
 * default database. False: no collection is known by this name at present. */
MUST_CHECK bool cache_report_find(const struct proxy *proxy, struct bytes text,
                                  uint8_t ret_uuid[16]);

/* Forget all answers, or those of one collection: it changed behind the proxy's back. What was
 * asked for before is not kept when it comes. Returns how many were kept. */
uint64_t cache_report_flush(struct proxy *proxy);
uint64_t cache_report_flush_collection(struct proxy *proxy, const uint8_t uuid[16]);

#endif
