#include "auth/auth_judge.h"

#include <stdio.h>
#include <string.h>

#include "auth/auth_query.h"
#include "base/compiler.h"
#include "json/json_scan.h"

/* A larger body would hold the loop; Chroma's names have 512 characters. */
enum { body_bytes_max = 1 << 20, part_max = 1024 };

enum auth_kind {
    AUTH_KIND_EVERYTHING, /* zero: whatever is not in the table */
    AUTH_KIND_OPEN,
    AUTH_KIND_KEY,
    AUTH_KIND_TENANT,
    AUTH_KIND_DATABASE,
    AUTH_KIND_TENANT_SEEN,
    AUTH_KIND_DATABASE_SEEN,
    AUTH_KIND_LIST,
    AUTH_KIND_NAME,
    AUTH_KIND_CREATION,
    AUTH_KIND_COLLECTION,
    AUTH_KIND_RENAMING,
    AUTH_KIND_FORK
};

static const struct auth_rule {
    enum auth_kind kind;
    unsigned       verbs; /* 0 with EVERYTHING: admin */
} auth_rules[CHROMA_OPERATION_COUNT_OF] = {
#define AUTH_RULE(operation, kind, verbs)                                                          \
    [CHROMA_OPERATION_##operation] = {AUTH_KIND_##kind, verbs},
#include "auth/auth_rules.def"
#undef AUTH_RULE
};

/* What matters in the body of a creation, a renaming or a fork. */
struct auth_body {
    bool         has_name, gets_or_creates;
    struct bytes name;
    char         room[AUTH_JUDGE_NAME_MAX];
};

static enum auth_verdict judge_collection(const struct auth_question *question,
                                          const struct auth_place *place, unsigned verbs,
                                          char *why);
static enum auth_verdict judge_body(const struct auth_question *question,
                                    const struct key_target *of, enum auth_kind kind,
                                    unsigned verbs, char *why);
static enum auth_verdict judge_seen(const struct auth_question *question,
                                    const struct key_target *target, const struct bytes *database,
                                    char *why);
static enum auth_verdict judge_target(const struct auth_question *question, unsigned verbs,
                                      const struct key_target *target, char *why);
static bool              allows_all(const struct auth_question *question, unsigned verbs,
                                    const struct key_target *target);
static bool sees(const struct auth_question *question, const struct key_target *target);
static enum auth_verdict say_forbidden(unsigned verbs, const struct key_target *target, char *why);
static enum auth_verdict say_invalid(const char *what, char *why);
static bool take_v1_place(const struct http_head *head, const struct chroma_route *route,
                          const struct auth_query *query, char **room, struct auth_place *ret);
static bool take_part(struct bytes segment, char **room, struct bytes *ret);
static bool is_plain_name(struct bytes name);
static bool auth_read_body(struct bytes body, bool is_creation, struct auth_body *ret);

bool auth_judge_is_open(const struct http_head *head, const struct chroma_route *route)
{
    bool has_origin = false, has_method = false;

    if (auth_rules[route->operation].kind == AUTH_KIND_OPEN)
        return true;
    if (!bytes_equal(head->method, BYTES_LITERAL("OPTIONS")))
        return false;
    for (size_t i = 0; i < head->field_count; i++) {
        has_origin |= head->fields[i].id == HTTP_FIELD_ORIGIN;
        has_method |= bytes_equal_nocase(head->fields[i].name,
                                         BYTES_LITERAL("access-control-request-method"));
    }
    return has_origin && has_method;
}

enum auth_verdict auth_judge(const struct auth_question *question, char why[AUTH_JUDGE_WHY_SIZE])
{
    const struct auth_rule *rule = &auth_rules[question->route->operation];
    unsigned                verbs = rule->verbs == 0 ? KEY_VERB_ADMIN : rule->verbs;
    struct auth_place       place;
    struct key_target       target = {0};

    why[0] = '\0';
    if (rule->kind == AUTH_KIND_KEY || rule->kind == AUTH_KIND_OPEN)
        return AUTH_ALLOWED;
    if (rule->kind == AUTH_KIND_EVERYTHING)
        return judge_target(question, verbs, &target, why);
    if (!auth_judge_place(question->head, question->route, &place))
        return say_invalid("the path or the query names a tenant, database, collection or page in "
                           "a way that is not taken where keys are needed",
                           why);
    target.tenant = place.tenant;
    if (rule->kind == AUTH_KIND_TENANT)
        return judge_target(question, verbs, &target, why);
    if (rule->kind == AUTH_KIND_TENANT_SEEN)
        return judge_seen(question, &target, NULL, why);
    target.database = place.database;
    if (rule->kind == AUTH_KIND_DATABASE_SEEN)
        return judge_seen(question, &target, &place.database, why);
    if (rule->kind == AUTH_KIND_DATABASE)
        return judge_target(question, verbs, &target, why);
    if (rule->kind == AUTH_KIND_LIST) {
        if (allows_all(question, verbs, &target))
            return AUTH_ALLOWED;
        return key_scope_reaches(question->scopes, question->scope_count, KEY_VERB_READ,
                                 place.tenant, place.database) &&
                       !question->head->is_head
                   ? AUTH_FILTERED
                   : say_forbidden(verbs, &target, why);
    }
    if (rule->kind == AUTH_KIND_CREATION)
        return judge_body(question, &target, rule->kind, verbs, why);
    if (rule->kind == AUTH_KIND_NAME) {
        target.collection = place.collection;
        return place.database.size > 0 || question->route->is_v1
                   ? judge_target(question, verbs, &target, why)
                   : say_invalid("this path is not taken where keys are needed", why);
    }
    return judge_collection(question, &place, verbs, why);
}

/* Of a UUID. Released servers look at it alone, so that which the path says must be true. */
static enum auth_verdict judge_collection(const struct auth_question *question,
                                          const struct auth_place *place, unsigned verbs, char *why)
{
    const struct auth_names *names = question->names;
    enum auth_kind           kind = auth_rules[question->route->operation].kind;
    struct key_target        target;
    enum auth_verdict        verdict;

    if (!question->route->has_uuid)
        return say_invalid("Collection ID is not a valid UUIDv4", why);
    if (names == NULL)
        return AUTH_NEEDS_NAMES;
    if (!names->exists ||
        (!question->route->is_v1 && (!bytes_equal(names->tenant, place->tenant) ||
                                     !bytes_equal(names->database, place->database))))
        return AUTH_NOT_FOUND;
    target = (struct key_target){names->tenant, names->database, names->name};
    if (!sees(question, &target))
        return AUTH_NOT_FOUND;
    verdict = judge_target(question, verbs, &target, why);
    if (verdict != AUTH_ALLOWED || kind == AUTH_KIND_COLLECTION)
        return verdict;
    return judge_body(question, &target, kind, kind == AUTH_KIND_FORK ? KEY_VERB_CREATE : verbs,
                      why);
}

/* The name in the body, in the database of `of`. */
static enum auth_verdict judge_body(const struct auth_question *question,
                                    const struct key_target *of, enum auth_kind kind,
                                    unsigned verbs, char *why)
{
    struct key_target target = *of;
    struct auth_body  body;

    if (question->body == NULL)
        return AUTH_NEEDS_BODY;
    if (!auth_read_body(*question->body, kind == AUTH_KIND_CREATION, &body))
        return say_invalid("the body is no JSON object whose name and get_or_create can be told "
                           "for certain, or larger than 1 MiB",
                           why);
    if (!body.has_name)
        return kind == AUTH_KIND_RENAMING ? AUTH_ALLOWED
                                          : say_invalid("the body names no collection", why);
    target.collection = body.name;
    if (kind == AUTH_KIND_CREATION && body.gets_or_creates &&
        !allows_all(question, verbs, &target) && allows_all(question, KEY_VERB_READ, &target) &&
        is_plain_name(body.name))
        return AUTH_AS_GET;
    return judge_target(question, verbs, &target, why);
}

/* That it is there tells whoever may touch something in it. */
static enum auth_verdict judge_seen(const struct auth_question *question,
                                    const struct key_target *target, const struct bytes *database,
                                    char *why)
{
    return key_scope_enters(question->scopes, question->scope_count, target->tenant, database)
               ? AUTH_ALLOWED
               : say_forbidden(KEY_VERB_READ, target, why);
}

static enum auth_verdict judge_target(const struct auth_question *question, unsigned verbs,
                                      const struct key_target *target, char *why)
{
    return allows_all(question, verbs, target) ? AUTH_ALLOWED : say_forbidden(verbs, target, why);
}

static bool allows_all(const struct auth_question *question, unsigned verbs,
                       const struct key_target *target)
{
    for (unsigned verb = 1; verb <= KEY_VERB_ADMIN; verb *= 2)
        if ((verbs & verb) != 0 &&
            !key_scope_allows(question->scopes, question->scope_count, (enum key_verb)verb, target))
            return false;
    return true;
}

/* Does the key allow anything at all with it? */
static bool sees(const struct auth_question *question, const struct key_target *target)
{
    for (unsigned verb = 1; verb <= KEY_VERB_ADMIN; verb *= 2)
        if (key_scope_allows(question->scopes, question->scope_count, (enum key_verb)verb, target))
            return true;
    return false;
}

/* What `key add --allow` would take. */
static enum auth_verdict say_forbidden(unsigned verbs, const struct key_target *target, char *why)
{
    static const struct bytes all = BYTES_INIT("*");
    const struct bytes       *parts[] = {&target->tenant, &target->database, &target->collection};
    struct key_scope          scope = {.verbs = (uint8_t)verbs};
    char                      text[3 * part_max + 3];
    size_t                    used = 0, sizes[3];

    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        struct bytes part = parts[i]->data == NULL ? all : *parts[i];

        if (part.size > part_max)
            part.size = part_max;
        memcpy(text + used, part.data, part.size);
        sizes[i] = part.size;
        used += part.size;
        text[used++] = '/';
    }
    scope.text = text;
    scope.tenant_size = (uint16_t)sizes[0];
    scope.database_size = (uint16_t)sizes[1];
    scope.collection_size = (uint16_t)sizes[2];
    key_scope_print(&scope, why, AUTH_JUDGE_WHY_SIZE);
    return AUTH_FORBIDDEN;
}

static enum auth_verdict say_invalid(const char *what, char *why)
{
    snprintf(why, AUTH_JUDGE_WHY_SIZE, "%s", what);
    return AUTH_INVALID;
}

/* ---- Where ---------------------------------------------------------------------------------- */

bool auth_judge_place(const struct http_head *head, const struct chroma_route *route,
                      struct auth_place *ret)
{
    struct auth_query query;
    char             *room = ret->room;

    _Static_assert(sizeof ret->room >= (size_t)3 * part_max, "three parts");
    ret->tenant = ret->database = ret->collection = (struct bytes){0};
    query.has_tenant = query.has_database = false;
    if (head->query.size > 0 && !auth_query_read(head->query, &query))
        return false;
    if (!take_part(route->tenant, &room, &ret->tenant) ||
        !take_part(route->database, &room, &ret->database) ||
        (!route->has_uuid && !take_part(route->collection, &room, &ret->collection)))
        return false;
    return !route->is_v1 || take_v1_place(head, route, &query, &room, ret);
}

/* In the query, but for what is asked about itself. */
static bool take_v1_place(const struct http_head *head, const struct chroma_route *route,
                          const struct auth_query *query, char **room, struct auth_place *ret)
{
    const char  *slash = memrchr(head->path.data, '/', head->path.size);
    struct bytes last = bytes_skip(head->path, (size_t)(slash + 1 - head->path.data));

    ret->tenant = BYTES_LITERAL("default_tenant");
    ret->database = BYTES_LITERAL("default_database");
    if (route->operation == CHROMA_OPERATION_TENANT_GET)
        return take_part(last, room, &ret->tenant);
    if (query->has_tenant) {
        memcpy(*room, query->tenant, query->tenant_size);
        ret->tenant = (struct bytes){*room, query->tenant_size};
        *room += query->tenant_size;
    }
    if (route->operation == CHROMA_OPERATION_DATABASE_GET)
        return take_part(last, room, &ret->database);
    if (query->has_database) {
        memcpy(*room, query->database, query->database_size);
        ret->database = (struct bytes){*room, query->database_size};
    }
    return true;
}

enum status auth_judge_write_path(const struct auth_place *place, struct bytes name,
                                  struct byte_buffer *out)
{
    const struct {
        struct bytes text, part;
    } pieces[] = {{BYTES_INIT("/api/v2/tenants/"), place->tenant},
                  {BYTES_INIT("/databases/"), place->database},
                  {BYTES_INIT("/collections"), {0}},
                  {BYTES_INIT("/"), name}};
    enum status status = STATUS_OK;

    for (size_t i = 0; i < COUNT_OF(pieces) - (name.size == 0) && status == STATUS_OK; i++) {
        status = byte_buffer_append(out, pieces[i].text, SIZE_MAX);
        if (status == STATUS_OK)
            status = chroma_route_encode(pieces[i].part, out);
    }
    return status;
}

static bool take_part(struct bytes segment, char **room, struct bytes *ret)
{
    size_t size;

    if (segment.size == 0)
        return true;
    if (!auth_query_decode(segment, false, *room, part_max, &size))
        return false;
    *ret = (struct bytes){*room, size};
    *room += size;
    return is_plain_name(*ret);
}

/* Would it be one segment for whoever decodes a path before taking it apart, or twice? */
static bool is_plain_name(struct bytes name)
{
    for (size_t i = 0; i < name.size; i++)
        if ((unsigned char)name.data[i] < ' ' || name.data[i] == '/' || name.data[i] == '\\' ||
            name.data[i] == '%' || name.data[i] == 0x7f)
            return false;
    return !bytes_equal(name, BYTES_LITERAL(".")) && !bytes_equal(name, BYTES_LITERAL("..")) &&
           name.size > 0;
}

/* ---- The body ------------------------------------------------------------------------------- */

bool auth_judge_read_name(struct bytes body, char room[AUTH_JUDGE_NAME_MAX], struct bytes *ret_name)
{
    struct auth_body read;

    if (!auth_read_body(body, true, &read) || !read.has_name)
        return false;
    memcpy(room, read.room, read.name.size);
    *ret_name = (struct bytes){room, read.name.size};
    return true;
}

static bool auth_read_body(struct bytes body, bool is_creation, struct auth_body *ret)
{
    struct bytes       wanted = is_creation ? BYTES_LITERAL("name") : BYTES_LITERAL("new_name");
    struct json_scan   scan;
    struct json_string key, name;
    struct bytes       span;
    bool               has_flag = false, has_member = false;

    ret->has_name = ret->gets_or_creates = false;
    if (body.size > body_bytes_max)
        return false;
    json_scan_init(&scan, body);
    if (!json_scan_object(&scan))
        return false;
    while (json_scan_member(&scan, &key)) {
        if (json_scan_equals(key, wanted)) {
            if (has_member)
                return false;
            has_member = true;
            if (json_scan_kind(&scan) == JSON_KIND_NULL) {
                json_scan_value(&scan, NULL);
                continue;
            }
            if (!json_scan_string(&scan, &name) || name.raw.size > sizeof ret->room)
                return false;
            ret->has_name = true;
            ret->name = (struct bytes){ret->room, json_scan_decode(name, ret->room)};
        } else if (is_creation && json_scan_equals(key, BYTES_LITERAL("get_or_create"))) {
            if (has_flag || !json_scan_value(&scan, &span))
                return false;
            has_flag = true;
            ret->gets_or_creates = bytes_equal(span, BYTES_LITERAL("true"));
        } else {
            json_scan_value(&scan, NULL);
        }
    }
    return json_scan_end(&scan);
}
