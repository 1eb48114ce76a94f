/* A request that a limited key may send is what it seems to be: a server that decodes the whole
 * path before it takes it apart, as some do, sees the same operation in the same place; and it is
 * one that the key's verb covers, in its tenant and database, on its collection.
 *
 * The first byte chooses the key and the method, the second whether names are known; then the
 * target, a NUL, and the body. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/auth_judge.h"
#include "auth/auth_query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const keys[] = {"read:t/d/docs*", "write:t/d/docs*", "create:t/d/docs*",
                                   "delete:t/d/docs*", "read,write,create,delete:t/d/docs*"};
static const char *const methods[] = {"GET",  "POST",    "PUT",   "PATCH", "DELETE",
                                      "HEAD", "OPTIONS", "TRACE", "get"};

static void judge(unsigned choice, unsigned flags, struct bytes target, struct bytes body);
static void check_place(const struct http_head *head, const struct chroma_route *route);
static bool is_in_scope(struct bytes segment, const char *name);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes target, body;
    const char  *end;
    char        *copy;

    if (size < 3)
        return 0;
    copy = malloc(size);
    if (copy == NULL)
        return 0;
    memcpy(copy, data, size);
    target = (struct bytes){copy + 2, size - 2};
    end = memchr(target.data, '\0', target.size);
    if (end != NULL)
        target.size = (size_t)(end - target.data);
    body = bytes_skip((struct bytes){copy + 2, size - 2}, target.size + (end != NULL));
    if (target.size > 0 && target.data[0] == '/')
        judge(data[0], data[1], target, body);
    free(copy);
    return 0;
}

static void judge(unsigned choice, unsigned flags, struct bytes target, struct bytes body)
{
    const char          *mark = memchr(target.data, '?', target.size);
    struct http_head     head = {.method = bytes_of(methods[choice / 5 % COUNT_OF(methods)])};
    struct auth_names    names = {true, BYTES_INIT("t"), BYTES_INIT("d"),
                                  bytes_of((flags & 2) != 0 ? "docs-1" : "other")};
    struct auth_question question = {.head = &head, .scope_count = 1};
    struct chroma_route  route;
    struct key_scope     scope;
    char                 why[AUTH_JUDGE_WHY_SIZE];
    enum auth_verdict    verdict;

    head.target = head.path = target;
    if (mark != NULL) {
        head.path.size = (size_t)(mark - target.data);
        head.query = bytes_skip(target, head.path.size + 1);
    }
    head.is_head = bytes_equal(head.method, BYTES_LITERAL("HEAD"));
    chroma_route_find(head.method, head.path, &route);
    if (key_scope_parse(bytes_of(keys[choice % COUNT_OF(keys)]), &scope, NULL) != STATUS_OK)
        abort();
    question.route = &route;
    question.scopes = &scope;
    question.names = (flags & 1) != 0 ? &names : NULL;
    question.body = (flags & 4) != 0 ? &body : NULL;
    verdict = auth_judge(&question, why);
    if (memchr(why, '\0', sizeof why) == NULL)
        abort();
    if (verdict != AUTH_ALLOWED && verdict != AUTH_FILTERED && verdict != AUTH_AS_GET)
        return;
    if (auth_judge_is_open(&head, &route))
        return;
    if (route.operation == CHROMA_OPERATION_UNKNOWN ||
        route.operation == CHROMA_OPERATION_UNKNOWN_WRITE ||
        route.operation == CHROMA_OPERATION_RESET)
        abort();
    if (route.has_uuid && (question.names == NULL || (flags & 2) == 0))
        abort();
    if (route.info->is_write && scope.verbs == KEY_VERB_READ && verdict != AUTH_AS_GET)
        abort();
    check_place(&head, &route);
}

/* By whoever decodes first. */
static void check_place(const struct http_head *head, const struct chroma_route *route)
{
    char                text[4096];
    struct bytes        decoded = {.data = text};
    struct chroma_route again;

    if (!auth_query_decode(head->path, false, text, sizeof text, &decoded.size))
        return;
    chroma_route_find(head->method, decoded, &again);
    if (again.operation != route->operation || again.has_uuid != route->has_uuid ||
        memcmp(again.uuid, route->uuid, sizeof again.uuid) != 0)
        abort();
    if (!route->is_v1 && ((again.tenant.size > 0 && !is_in_scope(again.tenant, "t")) ||
                          (again.database.size > 0 && !is_in_scope(again.database, "d"))))
        abort();
}

static bool is_in_scope(struct bytes segment, const char *name)
{
    return bytes_equal(segment, bytes_of(name));
}
