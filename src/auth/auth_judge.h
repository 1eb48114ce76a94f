/* auth_judge - may the holder of a key send this request?
 *
 * A function of the request, the scopes of the key and, where the path has the UUID of a
 * collection, whose UUID that is. What each operation needs is in auth_rules.def. Names are
 * compared as Chroma reads them; a spelling that two servers could read differently (an encoded
 * slash, a dot segment, a member or parameter that stands twice) is not let through.
 *
 * Thread: any. Memory: some kilobytes of stack.
 */
#ifndef AUTH_AUTH_JUDGE_H
#define AUTH_AUTH_JUDGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/byte_buffer.h"
#include "base/compiler.h"
#include "chroma/chroma_route.h"
#include "http/http_head.h"
#include "limits/key_scope.h"

enum auth_verdict {
    AUTH_ALLOWED,
    AUTH_FILTERED,    /* a list, or its length: only what key_scope_allows() to read */
    AUTH_AS_GET,      /* a get_or_create: if the collection is there, get it */
    AUTH_NEEDS_NAMES, /* ask again with the collection's names */
    AUTH_NEEDS_BODY,  /* ask again with the body */
    AUTH_NOT_FOUND,   /* as if there were no such collection */
    AUTH_FORBIDDEN,
    AUTH_INVALID
};

/* Where a collection is; borrowed. */
struct auth_names {
    bool         exists;
    struct bytes tenant, database, name;
};

struct auth_question {
    const struct http_head    *head;
    const struct chroma_route *route;
    const struct key_scope    *scopes;
    size_t                     scope_count;
    const struct auth_names   *names; /* NULL: not known */
    const struct bytes        *body;  /* NULL: it has not arrived */
};

/* What was wrong, for FORBIDDEN and INVALID: the scope that would be needed, or what is wrong. */
enum { AUTH_JUDGE_WHY_SIZE = 400 };

/* Needs this request no key? Health checks, and browsers that ask whether they may ask. */
bool auth_judge_is_open(const struct http_head *head, const struct chroma_route *route);

enum auth_verdict auth_judge(const struct auth_question *question, char why[AUTH_JUDGE_WHY_SIZE]);

/* The name in the body of a creation that was allowed, in `room`. False: it has none. */
enum { AUTH_JUDGE_NAME_MAX = 1024 };
bool auth_judge_read_name(struct bytes body, char room[AUTH_JUDGE_NAME_MAX],
                          struct bytes *ret_name);

/* The tenant and the database of the request, decoded; the one of v1 has defaults. False: the path
 * or the query are not to be let through. */
struct auth_place {
    struct bytes tenant, database, collection; /* the last a name, if the path has one */
    char         room[3 * 1024];
};
bool auth_judge_place(const struct http_head *head, const struct chroma_route *route,
                      struct auth_place *ret);

/* Append the path of the collections there, in v2, which every server has that is spoken to; and
 * behind a slash this name, if it is not empty. Outcomes as byte_buffer_append(). */
MUST_CHECK enum status auth_judge_write_path(const struct auth_place *place, struct bytes name,
                                             struct byte_buffer *out);

#endif
