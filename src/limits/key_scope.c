#include "limits/key_scope.h"

#include <stdio.h>

#include "limits/name_pattern.h"

static const struct verb {
    struct bytes name;
    unsigned     verbs;
} verb_names[] = {
    {BYTES_INIT("read"), KEY_VERB_READ},
    {BYTES_INIT("write"), KEY_VERB_WRITE},
    {BYTES_INIT("create"), KEY_VERB_CREATE},
    {BYTES_INIT("delete"), KEY_VERB_DELETE},
    {BYTES_INIT("admin"), KEY_VERB_ADMIN},
    {BYTES_INIT("*"), KEY_VERB_READ | KEY_VERB_WRITE | KEY_VERB_CREATE | KEY_VERB_DELETE},
};

static bool         scope_cut(struct bytes *rest, char separator, struct bytes *ret_part);
static unsigned     find_verb(struct bytes name);
static bool         reaches(const struct key_scope *scope, enum key_verb verb, struct bytes tenant,
                            struct bytes database);
static struct bytes tenant_of(const struct key_scope *scope);
static struct bytes database_of(const struct key_scope *scope);
static struct bytes collection_of(const struct key_scope *scope);
static bool         fits_pattern(struct bytes pattern, struct bytes part);

enum status key_scope_parse(struct bytes text, struct key_scope *ret, struct error *error)
{
    struct key_scope scope = {0};
    struct bytes     verbs, verb, tenant, database, rest = text;

    if (text.size > KEY_SCOPE_TEXT_MAX)
        return error_set(error, STATUS_INVALID, "a scope has %d characters at most",
                         KEY_SCOPE_TEXT_MAX);
    if (!scope_cut(&rest, ':', &verbs) || !scope_cut(&rest, '/', &tenant) ||
        !scope_cut(&rest, '/', &database) || tenant.size == 0 || database.size == 0 ||
        rest.size == 0 || memchr(rest.data, '/', rest.size) != NULL)
        return error_set(error, STATUS_INVALID,
                         "a scope is VERBS:TENANT/DATABASE/COLLECTION, not '%.*s'", (int)text.size,
                         text.data);
    scope.text = tenant.data;
    scope.tenant_size = (uint16_t)tenant.size;
    scope.database_size = (uint16_t)database.size;
    scope.collection_size = (uint16_t)rest.size;
    while (verbs.size > 0) {
        unsigned found;

        if (!scope_cut(&verbs, ',', &verb)) {
            verb = verbs;
            verbs.size = 0;
        } else if (verbs.size == 0) {
            verb.size = 0; /* a comma at the end */
        }
        found = find_verb(verb);
        if (found == 0)
            return error_set(error, STATUS_INVALID,
                             "'%.*s' is no verb: read, write, create, delete, admin or *",
                             (int)verb.size, verb.data);
        scope.verbs = (uint8_t)(scope.verbs | found);
    }
    if (scope.verbs == 0)
        return error_set(error, STATUS_INVALID, "a scope begins with its verbs: read,write:...");
    *ret = scope;
    return STATUS_OK;
}

/* Cut off what stands before the first separator; false: there is none. */
static bool scope_cut(struct bytes *rest, char separator, struct bytes *ret_part)
{
    const char *at = rest->size == 0 ? NULL : memchr(rest->data, separator, rest->size);

    if (at == NULL)
        return false;
    *ret_part = (struct bytes){.data = rest->data, .size = (size_t)(at - rest->data)};
    *rest = bytes_skip(*rest, ret_part->size + 1);
    return true;
}

static unsigned find_verb(struct bytes name)
{
    for (size_t i = 0; i < COUNT_OF(verb_names); i++)
        if (bytes_equal(name, verb_names[i].name))
            return verb_names[i].verbs;
    return 0;
}

bool key_scope_allows(const struct key_scope *scopes, size_t count, enum key_verb verb,
                      const struct key_target *target)
{
    for (size_t i = 0; i < count; i++)
        if (reaches(&scopes[i], verb, target->tenant, target->database) &&
            fits_pattern(collection_of(&scopes[i]), target->collection))
            return true;
    return false;
}

bool key_scope_reaches(const struct key_scope *scopes, size_t count, enum key_verb verb,
                       struct bytes tenant, struct bytes database)
{
    for (size_t i = 0; i < count; i++)
        if (reaches(&scopes[i], verb, tenant, database))
            return true;
    return false;
}

bool key_scope_enters(const struct key_scope *scopes, size_t count, struct bytes tenant,
                      const struct bytes *database)
{
    for (size_t i = 0; i < count; i++)
        if (fits_pattern(tenant_of(&scopes[i]), tenant) &&
            (database == NULL || fits_pattern(database_of(&scopes[i]), *database)))
            return true;
    return false;
}

const char *key_scope_print(const struct key_scope *scope, char *out, size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < COUNT_OF(verb_names) - 1 && used < size; i++)
        if ((scope->verbs & verb_names[i].verbs) != 0)
            used += (size_t)snprintf(out + used, size - used, "%s%s", used == 0 ? "" : ",",
                                     verb_names[i].name.data);
    if (used < size)
        snprintf(out + used, size - used, ":%.*s",
                 (int)(scope->tenant_size + scope->database_size + scope->collection_size + 2),
                 scope->text);
    return out;
}

static bool reaches(const struct key_scope *scope, enum key_verb verb, struct bytes tenant,
                    struct bytes database)
{
    return (scope->verbs & verb) != 0 && fits_pattern(tenant_of(scope), tenant) &&
           fits_pattern(database_of(scope), database);
}

static struct bytes tenant_of(const struct key_scope *scope)
{
    return (struct bytes){.data = scope->text, .size = scope->tenant_size};
}

static struct bytes database_of(const struct key_scope *scope)
{
    return (struct bytes){.data = scope->text + scope->tenant_size + 1,
                          .size = scope->database_size};
}

static struct bytes collection_of(const struct key_scope *scope)
{
    return (struct bytes){.data = scope->text + scope->tenant_size + scope->database_size + 2,
                          .size = scope->collection_size};
}

static bool fits_pattern(struct bytes pattern, struct bytes part)
{
    if (part.data == NULL)
        return bytes_equal(pattern, BYTES_LITERAL("*"));
    return name_pattern_fits(pattern, part);
}
