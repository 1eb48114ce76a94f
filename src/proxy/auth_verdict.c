#include "proxy/auth_verdict.h"

#include <stdio.h>

#include "auth/auth.h"
#include "proxy/exchange.h"

enum auth_verdict auth_verdict_find(const struct exchange *exchange, const struct auth_names *names,
                                    const struct bytes *body, char why[AUTH_JUDGE_WHY_SIZE])
{
    const struct key_ring_key *key = exchange->auth.key;
    struct auth_names          known;
    struct auth_question       question = {.head = exchange->head,
                                           .route = &exchange->route,
                                           .scopes = key->scopes,
                                           .scope_count = key->scope_count,
                                           .names = names,
                                           .body = body};

    if (names == NULL && exchange->route.has_uuid &&
        auth_look_find(auth_looks(exchange->proxy->auth), &exchange->route, exchange->head, &known))
        question.names = &known;
    return auth_judge(&question, why);
}

/* Of a collection that it may not see in Chroma's own words, which do not tell whether there is
 * one. */
void auth_verdict_explain(const struct chroma_route *route, const struct key_ring_key *key,
                          enum auth_verdict verdict, const char *why, struct auth_verdict_told *ret)
{
    char uuid[CHROMA_ROUTE_UUID_SIZE];

    switch (verdict) {
    case AUTH_NOT_FOUND:
        ret->refusal = AUTH_REFUSAL_NOT_FOUND;
        ret->status = STATUS_NOT_FOUND;
        chroma_route_print_uuid(route->uuid, uuid);
        snprintf(ret->message, sizeof ret->message, "Collection [%s] does not exist.", uuid);
        break;
    case AUTH_INVALID:
        ret->refusal = AUTH_REFUSAL_INVALID;
        ret->status = STATUS_INVALID;
        snprintf(ret->message, sizeof ret->message, "%s", why);
        break;
    default:
        ret->refusal = AUTH_REFUSAL_SCOPE;
        ret->status = STATUS_FORBIDDEN;
        snprintf(ret->message, sizeof ret->message,
                 "the key %s does not allow %s; the operator gives it with `chromabouncer key add "
                 "NAME --allow '%s'`",
                 key->name, why, why);
    }
}
