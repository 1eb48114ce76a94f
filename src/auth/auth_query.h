/* auth_query - the parameters of a query string that say what a request is about
 *
 * Read as Python's servers read them (`+` is a space); Rust's do not look at those of a scope. Who
 * names one of them twice leaves open which one counts, and is not answered.
 *
 * Thread: any. Memory: none.
 */
#ifndef AUTH_AUTH_QUERY_H
#define AUTH_AUTH_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"

/* Longer names are none of Chroma's. */
enum { AUTH_QUERY_TEXT_MAX = 1024 };

struct auth_query {
    bool     has_tenant, has_database, has_limit, has_offset;
    size_t   tenant_size, database_size;
    char     tenant[AUTH_QUERY_TEXT_MAX], database[AUTH_QUERY_TEXT_MAX];
    uint64_t limit, offset;
};

/* False: a parameter of these stands twice, is too long, or is no number where it must be one. */
MUST_CHECK bool auth_query_read(struct bytes query, struct auth_query *ret);

/* Decode percent-encoding, and `+` if `is_query`. False: it is longer than `capacity`, or an escape
 * is none. */
MUST_CHECK bool auth_query_decode(struct bytes text, bool is_query, char *ret_text, size_t capacity,
                                  size_t *ret_size);

#endif
