#include "proxy/auth_recheck.h"

#include "auth/auth.h"
#include "proxy/auth_verdict.h"
#include "proxy/exchange.h"

static bool is_known(const struct exchange *exchange);
static void recheck_on_known(struct auth_look_ticket *look, enum status status,
                             const struct auth_names *names);
static bool recheck_judge(struct exchange *exchange, const struct auth_names *names);
static void recheck_refuse(struct exchange *exchange, enum auth_refusal refusal, enum status status,
                           const char *message);

bool auth_recheck(struct exchange *exchange, void (*go_on)(struct exchange *exchange))
{
    struct auth_ticket *ticket = &exchange->auth;
    struct proxy       *proxy = exchange->proxy;
    struct auth_names   names;

    if (!is_known(exchange)) {
        recheck_refuse(exchange, AUTH_REFUSAL_UNKNOWN_KEY, STATUS_UNAUTHENTICATED,
                       "the key was revoked while the request waited");
        return false;
    }
    if (exchange->route.info->is_write || !auth_recheck_is_due(exchange))
        return true;
    if (auth_look_recall(auth_looks(proxy->auth), &exchange->route, exchange->head,
                         ticket->judged_us, &names))
        return recheck_judge(exchange, &names);
    ticket->go_on = go_on;
    ticket->look.head = exchange->head;
    ticket->look.route = &exchange->route;
    ticket->look.on_known = recheck_on_known;
    if (!timeout_queue_is_running(&exchange->wait_limit))
        timeout_queue_start(proxy->wait_limits, &exchange->wait_limit);
    auth_look_ask(auth_looks(proxy->auth), &ticket->look);
    return false;
}

bool auth_recheck_holds(const struct exchange *exchange)
{
    uint64_t           judged_us = exchange->auth.judged_us;
    struct auth_looks *looks;
    struct auth_names  names;
    char               why[AUTH_JUDGE_WHY_SIZE];

    if (!is_known(exchange))
        return false;
    if (exchange->route.info->is_write || !auth_recheck_is_due(exchange))
        return true;
    looks = auth_looks(exchange->proxy->auth);
    if (!auth_look_recall(looks, &exchange->route, exchange->head, judged_us, &names))
        return auth_look_outlasts(looks, &exchange->route, judged_us);
    return auth_verdict_find(exchange, &names, NULL, why) == AUTH_ALLOWED;
}

/* Or it never needed a key. */
static bool is_known(const struct exchange *exchange)
{
    const struct auth_ticket *ticket = &exchange->auth;

    return ticket->key == NULL || auth_knows(exchange->proxy->auth, ticket->rules, ticket->key);
}

bool auth_recheck_is_due(const struct exchange *exchange)
{
    uint64_t judged_us = exchange->auth.judged_us;

    return judged_us != 0 && judged_us != loop_now_us(exchange->proxy->loop);
}

static void recheck_on_known(struct auth_look_ticket *look, enum status status,
                             const struct auth_names *names)
{
    struct exchange *exchange = CONTAINER_OF(look, struct exchange, auth.look);

    if (status != STATUS_OK)
        reply_error(&exchange->reply, status, FRONT_EXECUTED_NO,
                    "Chroma did not say which collection this is now, on which the scope of the "
                    "key rests");
    else if (recheck_judge(exchange, names))
        exchange->auth.go_on(exchange);
}

static bool recheck_judge(struct exchange *exchange, const struct auth_names *names)
{
    struct auth_verdict_told told;
    char                     why[AUTH_JUDGE_WHY_SIZE];
    enum auth_verdict        verdict = auth_verdict_find(exchange, names, NULL, why);

    if (verdict == AUTH_ALLOWED) {
        exchange->auth.judged_us = loop_now_us(exchange->proxy->loop);
        return true;
    }
    auth_verdict_explain(&exchange->route, exchange->auth.key, verdict, why, &told);
    recheck_refuse(exchange, told.refusal, told.status, told.message);
    return false;
}

/* At once: its key was known. */
static void recheck_refuse(struct exchange *exchange, enum auth_refusal refusal, enum status status,
                           const char *message)
{
    (void)auth_count(exchange->proxy->auth, refusal, socket_address_host(exchange->peer),
                     loop_now_us(exchange->proxy->loop));
    reply_error(&exchange->reply, status, FRONT_EXECUTED_NO, message);
}
