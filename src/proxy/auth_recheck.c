#include "proxy/auth_recheck.h"

#include "auth/auth.h"
#include "proxy/exchange.h"

bool auth_recheck(struct exchange *exchange)
{
    const struct auth_ticket *ticket = &exchange->auth;
    struct proxy             *proxy = exchange->proxy;

    if (ticket->key == NULL || auth_knows(proxy->auth, ticket->rules, ticket->key))
        return true;
    (void)auth_count(proxy->auth, AUTH_REFUSAL_UNKNOWN_KEY, socket_address_host(exchange->peer),
                     loop_now_us(proxy->loop)); /* it is answered at once: it was known */
    reply_error(&exchange->reply, STATUS_UNAUTHENTICATED, FRONT_EXECUTED_NO,
                "the key was revoked while the request waited");
    return false;
}
