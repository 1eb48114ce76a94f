/* key_scope - what a key allows: VERBS:TENANT/DATABASE/COLLECTION
 *
 *   read,write:default_tenant/default_database/docs-*
 *
 * Verbs are read, write, create, delete and admin, separated by commas, or `*` for all but admin.
 * Each of the three parts may hold `*`, which stands for any run of characters, also none; all
 * other characters stand for themselves. What concerns a whole database (listing is not such a
 * thing) needs `*` as the collection, and so on upwards.
 *
 * Thread: any. Memory: none; a scope borrows the text that it was read from.
 */
#ifndef LIMITS_KEY_SCOPE_H
#define LIMITS_KEY_SCOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/error.h"

enum key_verb {
    KEY_VERB_READ = 1,
    KEY_VERB_WRITE = 2,
    KEY_VERB_CREATE = 4,
    KEY_VERB_DELETE = 8,
    KEY_VERB_ADMIN = 16 /* reset, tenants, and routes that are not known */
};

enum { KEY_SCOPE_TEXT_MAX = 1024 };

/* 16 bytes, since there may be many. Tenant, database and collection stand in the text one after
 * the other, with a `/` between them. */
struct key_scope {
    const char *text; /* from the tenant on */
    uint16_t    tenant_size, database_size, collection_size;
    uint8_t     verbs; /* of enum key_verb */
};

/* What a request wants to touch, by name. A part whose `data` is NULL stands for all there are. */
struct key_target {
    struct bytes tenant, database, collection;
};

/* STATUS_INVALID  `error` (may be NULL) says what is wrong. */
MUST_CHECK enum status key_scope_parse(struct bytes text, struct key_scope *ret,
                                       struct error *error);

/* Does one of the scopes allow this verb on this target? */
bool key_scope_allows(const struct key_scope *scopes, size_t count, enum key_verb verb,
                      const struct key_target *target);

/* Could there be a collection in this database on which one of them allows the verb? Then its list
 * may be asked for, and is to be filtered with key_scope_allows(). */
bool key_scope_reaches(const struct key_scope *scopes, size_t count, enum key_verb verb,
                       struct bytes tenant, struct bytes database);

/* Does one of them, with whatever verb, concern something in this tenant, and if `database` is not
 * NULL, in this database? Then the holder may know that these are there. */
bool key_scope_enters(const struct key_scope *scopes, size_t count, struct bytes tenant,
                      const struct bytes *database);

/* As key_scope_parse() reads it; what is longer than `size` is cut. Returns `out`. */
const char *key_scope_print(const struct key_scope *scope, char *out, size_t size);

#endif
