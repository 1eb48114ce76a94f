/* auth_verdict - what the scopes of its key say to a request, and what its client is told then
 *
 * Private to proxy/. Thread: event loop only. Memory: that of auth_judge.h.
 */
#ifndef PROXY_AUTH_VERDICT_H
#define PROXY_AUTH_VERDICT_H

#include "auth/auth_judge.h"
#include "auth/auth_state.h"
#include "base/status.h"

struct exchange;
struct key_ring_key;

/* The exchange has a key. `names` NULL: as far as they are known without asking. `body` NULL: it
 * has not arrived. `why` as auth_judge(). */
enum auth_verdict auth_verdict_find(const struct exchange *exchange, const struct auth_names *names,
                                    const struct bytes *body, char why[AUTH_JUDGE_WHY_SIZE]);

/* What its client is told of a verdict that lets it go no further. */
struct auth_verdict_told {
    enum auth_refusal refusal;
    enum status       status;
    char              message[640];
};
void auth_verdict_explain(const struct chroma_route *route, const struct key_ring_key *key,
                          enum auth_verdict verdict, const char *why,
                          struct auth_verdict_told *ret);

#endif
