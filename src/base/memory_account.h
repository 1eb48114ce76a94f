/* memory_account - one budget of bytes, cut into accounts that cannot starve each other
 *
 * Each account has a share of the budget that nobody else can take, and all accounts share what is
 * in no share. So reads find room while held writes fill everything else.
 *
 * Room for something that has yet to arrive is claimed: whole, or the claim waits and holds
 * nothing, so that no two waiting claims block each other. Claims of one account are served in
 * order. Between accounts, who needs shared bytes waits for those who have waited for them longer;
 * who fits into his own share waits for nobody else's account. Bytes that are there already are
 * charged and never refused.
 *
 * A body claims room for its beginning and grows from there. While there is room, all grow. Where
 * there is none, one claim of an account has the right to grow, until it has all that it wants: it
 * goes before all others, and beyond the bounds if all that its account holds is its own or waits
 * to grow as well. So half-read bodies never wait for each other, and what is used is at most the
 * budget, what was charged, and the rest of one body for each account. The others that want to grow
 * keep what they hold. They wait in order for room, before those who wait for their first byte, or
 * for the right.
 *
 * on_room never runs inside a call that registers, shrinks or releases: when somebody could be
 * served, on_wake is called once (it schedules a task of the loop), and that task calls
 * memory_account_run_waiters().
 *
 * Thread: event loop only. Memory: none of its own; claims are embedded in their owners.
 */
#ifndef BASE_MEMORY_ACCOUNT_H
#define BASE_MEMORY_ACCOUNT_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/list.h"
#include "base/metric.h"
#include "base/status.h"

enum memory_account_id {
    MEMORY_ACCOUNT_READS,   /* bodies of reads */
    MEMORY_ACCOUNT_WRITES,  /* bodies of writes, and what is held with them until they are sent */
    MEMORY_ACCOUNT_ANSWERS, /* what Chroma has said and no client has taken yet */
    MEMORY_ACCOUNT_CACHE,
    MEMORY_ACCOUNT_MIRROR,
    MEMORY_ACCOUNT_OTHER, /* heads, buffers of idle connections */
    MEMORY_ACCOUNT_COUNT
};

struct memory_account_budget;
struct memory_claim;

struct memory_account {
    struct memory_account_budget *budget;
    uint64_t                      share; /* bytes that are nobody else's */
    uint64_t                      max;   /* never more by claims; UINT64_MAX: the budget bounds */
    uint64_t                      used, peak;
    uint64_t                      waiting;  /* claims that wait now, to be taken or to grow */
    uint64_t                      waits;    /* claims that had to wait, ever */
    uint64_t                      refusals; /* claims that could never be served, ever */
    uint64_t                      stalled;  /* bytes held by `growers` */
    struct list                   claims;   /* that wait for room, in the order of service */
    struct list                   growers;  /* that wait for room or until `grower` is done */
    struct memory_claim          *grower;   /* who has the right to grow, or NULL */
};

struct memory_account_budget {
    uint64_t              max;
    uint64_t              used, peak;  /* of all accounts */
    uint64_t              shared_max;  /* what is in no share */
    uint64_t              shared_used; /* what accounts use beyond their shares */
    uint64_t              waiting;     /* claims in all accounts */
    uint64_t              next_number; /* of a claim that begins to wait */
    uint64_t              runs;        /* of memory_account_run_waiters() */
    bool                  is_woken;    /* on_wake was called and no run has begun since */
    struct memory_account accounts[MEMORY_ACCOUNT_COUNT];
    void (*on_wake)(void *ctx);
    void *ctx;
};

/* Embedded in its owner. Ready after memory_account_claim_init(). */
struct memory_claim {
    struct list_node       node; /* while it waits */
    struct memory_account *account;
    size_t                 size;   /* held */
    size_t                 wanted; /* to be held in all, while it waits */
    uint64_t               number; /* while it waits: the smaller goes first; 0: has the right */
    uint64_t               run;    /* that it began to wait in or after */
    bool                   is_stalled;
    void (*on_room)(struct memory_claim *claim);
};

struct memory_account_options {
    unsigned share_percent; /* of the budget; 100 over all accounts at most */
    uint64_t max;           /* bytes; UINT64_MAX: none but the budget's */
};

/* used, peak, waiting, waits and refusals of each account. */
extern const struct metric_desc memory_account_metrics[];
extern const size_t             memory_account_metric_count;

/* `options` holds one row for each account and is copied. `on_wake` is called from calls that free
 * room while claims wait, and must not call back into this module. */
void memory_account_budget_init(struct memory_account_budget *budget, uint64_t max,
                                const struct memory_account_options options[MEMORY_ACCOUNT_COUNT],
                                void (*on_wake)(void *ctx), void *ctx);

/* Other bounds from now on. What is held stays held. */
void memory_account_budget_set(struct memory_account_budget *budget, uint64_t max,
                               const struct memory_account_options options[MEMORY_ACCOUNT_COUNT]);

/* Serve the claims that wait and fit now. Claims that begin to wait in one of the callbacks are
 * left for the next call, of which on_wake tells. */
void memory_account_run_waiters(struct memory_account_budget *budget);

/* The most that one claim of this account can ever hold. */
uint64_t memory_account_largest(const struct memory_account *account);

/* Would `size` bytes more fit, without going before somebody who waits? For what streams and asks
 * before it reads on. */
bool memory_account_has_room(const struct memory_account *account, size_t size);

/* ---- Claims --------------------------------------------------------------------------------- */

/* `on_room` may be NULL for a claim that never waits. */
void memory_account_claim_init(struct memory_claim *claim, struct memory_account *account,
                               void (*on_room)(struct memory_claim *claim));

/* Hold `size` bytes; the claim holds none and does not wait.
 *
 * STATUS_OK         they are held.
 * STATUS_AGAIN      the claim waits; on_room is called once, when they are held.
 * STATUS_TOO_LARGE  more than memory_account_largest(). */
MUST_CHECK enum status memory_account_claim(struct memory_claim *claim, size_t size);

/* Hold `size` bytes in all, no fewer than now; the claim does not wait. Where there is no room it
 * may get the right to grow, and keeps it until it is shrunk or released.
 *
 * STATUS_OK         they are held.
 * STATUS_AGAIN      what was held stays held; on_room is called once, when all are held.
 * STATUS_TOO_LARGE  more than memory_account_largest(); what was held stays held. */
MUST_CHECK enum status memory_account_claim_grow(struct memory_claim *claim, size_t size);

/* Hold `more` bytes more without asking: they are there already. */
void memory_account_claim_add(struct memory_claim *claim, size_t more);

/* `size` bytes, no more than are held, are enough: it wants no more. Stops waiting. */
void memory_account_claim_shrink(struct memory_claim *claim, size_t size);

/* Give all back and stop waiting: on_room is not called any more. Harmless when nothing is held. */
void memory_account_claim_release(struct memory_claim *claim);

/* What `from` holds is held by `to`, which is initialised here for the same account; `from` neither
 * waits nor grows. */
void memory_account_claim_move(struct memory_claim *to, struct memory_claim *from);

/* Does it wait for on_room? */
static inline bool memory_account_claim_is_waiting(const struct memory_claim *claim)
{
    return list_node_is_linked(&claim->node);
}

/* ---- Plain charges: a few instructions ------------------------------------------------------ */

/* For what frees room outside of a claim; memory_account_release() calls it. */
void memory_account_wake(struct memory_account_budget *budget);

/* What `used` bytes of `account` take from what is shared. */
static inline uint64_t memory_account_shared_part(const struct memory_account *account,
                                                  uint64_t                     used)
{
    return used > account->share ? used - account->share : 0;
}

/* Count `size` bytes that are there already. */
static inline void memory_account_charge(struct memory_account *account, size_t size)
{
    struct memory_account_budget *budget = account->budget;
    uint64_t                      used = account->used + size;

    budget->shared_used += memory_account_shared_part(account, used) -
                           memory_account_shared_part(account, account->used);
    budget->used += size;
    account->used = used;
    if (used > account->peak)
        account->peak = used;
    if (budget->used > budget->peak)
        budget->peak = budget->used;
}

/* Take back what was charged. */
static inline void memory_account_release(struct memory_account *account, size_t size)
{
    struct memory_account_budget *budget = account->budget;

    assert(size <= account->used);
    budget->shared_used -= memory_account_shared_part(account, account->used) -
                           memory_account_shared_part(account, account->used - size);
    budget->used -= size;
    account->used -= size;
    if (UNLIKELY(budget->waiting > 0))
        memory_account_wake(budget);
}

/* Is more used than there is room for? Then no more should be read. */
static inline bool memory_account_is_exceeded(const struct memory_account *account)
{
    return account->used > account->share &&
           (account->used > account->max ||
            account->budget->shared_used > account->budget->shared_max);
}

#endif
