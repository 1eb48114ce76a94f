#include "base/memory_account.h"

/* The rows of one metric, which stand together. */
#define ROW(kind, id, field, name, account, help)                                                  \
    METRIC_LABELED(kind, memory_account_budget, accounts[MEMORY_ACCOUNT_##id].field, name,         \
                   "account=\"" account "\"", help)
#define ROWS(kind, field, name, help)                                                              \
    ROW(kind, READS, field, name, "reads", help), ROW(kind, WRITES, field, name, "writes", ""),    \
        ROW(kind, ANSWERS, field, name, "answers", ""),                                            \
        ROW(kind, CACHE, field, name, "cache", ""), ROW(kind, MIRROR, field, name, "mirror", ""),  \
        ROW(kind, OTHER, field, name, "other", "")

const struct metric_desc memory_account_metrics[] = {
    ROWS(GAUGE, used, "chromabouncer_memory_bytes", "Buffered bytes by what they are for."),
    ROWS(GAUGE, peak, "chromabouncer_memory_peak_bytes", "The most that were ever buffered."),
    ROWS(GAUGE, waiting, "chromabouncer_memory_waiting_requests",
         "Requests that wait unread for room: above 0 all the time, queue.bytes_max or memory_max "
         "is small for the load."),
    ROWS(COUNTER, waits, "chromabouncer_memory_waits_total", "Requests that had to wait for room."),
    ROWS(COUNTER, refusals, "chromabouncer_memory_refusals_total",
         "Requests that are larger than all the room there can be."),
};
const size_t memory_account_metric_count = COUNT_OF(memory_account_metrics);

static bool can_hold(const struct memory_account *account, size_t more, uint64_t number);
static bool is_within_max(const struct memory_account *account, size_t more);
static bool is_within_shared(const struct memory_account *account, size_t more);
static bool is_shared_due_to_others(const struct memory_account_budget *budget, uint64_t number);
static struct memory_claim *first_waiter(const struct memory_account *account);
static void                 memory_account_hold(struct memory_claim *claim, size_t size);
static bool                 may_go_beyond(const struct memory_claim *claim);
static void wait_for_room(struct memory_claim *claim, struct list *list, size_t size);
static void stall(struct memory_claim *claim, size_t size);
static void pass_growth_on(struct memory_claim *claim);
static void stop_waiting(struct memory_claim *claim);
static struct memory_claim *next_to_serve(const struct memory_account_budget *budget, uint64_t run);

void memory_account_budget_init(struct memory_account_budget *budget, uint64_t max,
                                const struct memory_account_options options[MEMORY_ACCOUNT_COUNT],
                                void (*on_wake)(void *ctx), void *ctx)
{
    *budget = (struct memory_account_budget){.next_number = 1, .on_wake = on_wake, .ctx = ctx};
    for (size_t i = 0; i < MEMORY_ACCOUNT_COUNT; i++) {
        struct memory_account *account = &budget->accounts[i];

        account->budget = budget;
        list_init(&account->claims);
        list_init(&account->growers);
    }
    memory_account_budget_set(budget, max, options);
}

void memory_account_budget_set(struct memory_account_budget *budget, uint64_t max,
                               const struct memory_account_options options[MEMORY_ACCOUNT_COUNT])
{
    uint64_t shares = 0;

    budget->max = max;
    budget->shared_used = 0;
    for (size_t i = 0; i < MEMORY_ACCOUNT_COUNT; i++) {
        struct memory_account *account = &budget->accounts[i];

        account->share = max / 100 * options[i].share_percent;
        account->max = options[i].max;
        shares += account->share;
        budget->shared_used += memory_account_shared_part(account, account->used);
    }
    assert(shares <= max);
    budget->shared_max = max - shares;
    if (budget->waiting > 0)
        memory_account_wake(budget);
}

uint64_t memory_account_largest(const struct memory_account *account)
{
    uint64_t most = account->share + account->budget->shared_max;

    return most < account->max ? most : account->max;
}

bool memory_account_has_room(const struct memory_account *account, size_t size)
{
    return account->waiting == 0 && can_hold(account, size, account->budget->next_number);
}

/* Is there room for `more` bytes for who began to wait as `number`? */
static bool can_hold(const struct memory_account *account, size_t more, uint64_t number)
{
    const struct memory_account_budget *budget = account->budget;

    if (!is_within_max(account, more) || !is_within_shared(account, more))
        return false;
    return budget->waiting == 0 || account->used + more <= account->share ||
           !is_shared_due_to_others(budget, number);
}

static bool is_within_max(const struct memory_account *account, size_t more)
{
    return more == 0 || (account->used <= account->max && more <= account->max - account->used);
}

static bool is_within_shared(const struct memory_account *account, size_t more)
{
    uint64_t needed = memory_account_shared_part(account, account->used + more) -
                      memory_account_shared_part(account, account->used);

    return needed == 0 || account->budget->shared_used + needed <= account->budget->shared_max;
}

/* Does somebody wait for shared bytes who began before `number`? Who waits for his own account's
 * bound could not use them. */
static bool is_shared_due_to_others(const struct memory_account_budget *budget, uint64_t number)
{
    for (size_t i = 0; i < MEMORY_ACCOUNT_COUNT; i++) {
        const struct memory_account *account = &budget->accounts[i];
        const struct memory_claim   *claim = first_waiter(account);

        if (claim != NULL && claim->number < number &&
            is_within_max(account, claim->wanted - claim->size) &&
            !is_within_shared(account, claim->wanted - claim->size))
            return true;
    }
    return false;
}

/* Who is served next in this account: the one with the right to grow, which stands first; who grew
 * before without it, so that what has begun ends; who begins. NULL: nobody waits. */
static struct memory_claim *first_waiter(const struct memory_account *account)
{
    struct list_node *first = list_first(&account->claims), *grows = list_first(&account->growers);
    bool              has_right =
        first != NULL && LIST_ITEM(first, struct memory_claim, node) == account->grower;
    struct list_node *node = grows == NULL || has_right ? first : grows;

    return node == NULL ? NULL : LIST_ITEM(node, struct memory_claim, node);
}

void memory_account_claim_init(struct memory_claim *claim, struct memory_account *account,
                               void (*on_room)(struct memory_claim *claim))
{
    *claim = (struct memory_claim){.account = account, .on_room = on_room};
    list_node_init(&claim->node);
}

enum status memory_account_claim(struct memory_claim *claim, size_t size)
{
    struct memory_account *account = claim->account;

    assert(claim->size == 0 && !memory_account_claim_is_waiting(claim));
    if (size > memory_account_largest(account)) {
        account->refusals++;
        return STATUS_TOO_LARGE;
    }
    if (size == 0 || memory_account_has_room(account, size)) {
        memory_account_hold(claim, size);
        return STATUS_OK;
    }
    claim->number = account->budget->next_number++;
    wait_for_room(claim, &account->claims, size);
    return STATUS_AGAIN;
}

static void memory_account_hold(struct memory_claim *claim, size_t size)
{
    memory_account_charge(claim->account, size - claim->size);
    claim->size = size;
}

enum status memory_account_claim_grow(struct memory_claim *claim, size_t size)
{
    struct memory_account *account = claim->account;
    size_t                 more = size - claim->size;

    assert(size >= claim->size && !memory_account_claim_is_waiting(claim));
    if (size > memory_account_largest(account)) {
        account->refusals++;
        return STATUS_TOO_LARGE;
    }
    if (more > 0 && !memory_account_has_room(account, more)) {
        if (account->grower == NULL)
            account->grower = claim;
        if (account->grower != claim) {
            stall(claim, size);
            return STATUS_AGAIN;
        }
        claim->number = 0;
        if (!can_hold(account, more, claim->number) && !may_go_beyond(claim)) {
            wait_for_room(claim, &account->claims, size);
            return STATUS_AGAIN;
        }
    }
    memory_account_hold(claim, size);
    return STATUS_OK;
}

/* It has the right, and nobody else in its account could give room back without growing first. */
static bool may_go_beyond(const struct memory_claim *claim)
{
    const struct memory_account *account = claim->account;

    return account->grower == claim && account->used == account->stalled + claim->size;
}

/* The one with the right to grow first, the others in order. */
static void wait_for_room(struct memory_claim *claim, struct list *list, size_t size)
{
    struct memory_account *account = claim->account;

    assert(claim->on_room != NULL);
    claim->wanted = size;
    claim->run = account->budget->runs;
    if (account->grower == claim)
        list_push_front(list, &claim->node);
    else
        list_push_back(list, &claim->node);
    account->waiting++;
    account->waits++;
    account->budget->waiting++;
}

/* Wait for room or for the right to grow. That one more waits may be what lets who has the right go
 * beyond the bounds. */
static void stall(struct memory_claim *claim, size_t size)
{
    struct memory_account *account = claim->account;

    claim->number = account->budget->next_number++;
    wait_for_room(claim, &account->growers, size);
    claim->is_stalled = true;
    account->stalled += claim->size;
    memory_account_wake(account->budget);
}

void memory_account_claim_add(struct memory_claim *claim, size_t more)
{
    if (claim->is_stalled)
        claim->account->stalled += more;
    if (memory_account_claim_is_waiting(claim) && claim->wanted < claim->size + more)
        claim->wanted = claim->size + more;
    memory_account_hold(claim, claim->size + more);
}

void memory_account_claim_shrink(struct memory_claim *claim, size_t size)
{
    size_t less = claim->size - size;

    assert(size <= claim->size);
    stop_waiting(claim);
    claim->size = size;
    memory_account_release(claim->account, less);
    if (claim->account->grower == claim)
        pass_growth_on(claim);
}

static void pass_growth_on(struct memory_claim *claim)
{
    struct memory_account *account = claim->account;
    struct list_node      *node = list_first(&account->growers);

    account->grower = NULL;
    if (node == NULL)
        return;
    account->grower = LIST_ITEM(node, struct memory_claim, node);
    account->grower->is_stalled = false;
    account->grower->number = 0;
    account->stalled -= account->grower->size;
    list_remove(node);
    list_push_front(&account->claims, node);
    memory_account_wake(account->budget);
}

void memory_account_claim_release(struct memory_claim *claim)
{
    memory_account_claim_shrink(claim, 0);
}

static void stop_waiting(struct memory_claim *claim)
{
    struct memory_account *account = claim->account;

    if (!memory_account_claim_is_waiting(claim))
        return;
    list_remove(&claim->node);
    account->waiting--;
    account->budget->waiting--;
    if (claim->is_stalled)
        account->stalled -= claim->size;
    claim->is_stalled = false;
}

void memory_account_wake(struct memory_account_budget *budget)
{
    if (budget->is_woken)
        return;
    budget->is_woken = true;
    budget->on_wake(budget->ctx);
}

void memory_account_run_waiters(struct memory_account_budget *budget)
{
    uint64_t             run = ++budget->runs;
    struct memory_claim *claim;

    budget->is_woken = false;
    while ((claim = next_to_serve(budget, run)) != NULL) {
        stop_waiting(claim);
        memory_account_hold(claim, claim->wanted);
        claim->on_room(claim);
    }
    if (next_to_serve(budget, UINT64_MAX) != NULL)
        memory_account_wake(budget);
}

/* The first of the accounts' first that fits and began to wait before `run`; NULL: none. */
static struct memory_claim *next_to_serve(const struct memory_account_budget *budget, uint64_t run)
{
    struct memory_claim *first = NULL;

    if (budget->waiting == 0)
        return NULL;
    for (size_t i = 0; i < MEMORY_ACCOUNT_COUNT; i++) {
        struct memory_claim *claim = first_waiter(&budget->accounts[i]);

        if (claim == NULL || claim->run >= run || (first != NULL && first->number < claim->number))
            continue;
        if (can_hold(claim->account, claim->wanted - claim->size, claim->number) ||
            may_go_beyond(claim))
            first = claim;
    }
    return first;
}

void memory_account_claim_move(struct memory_claim *to, struct memory_claim *from)
{
    assert(!memory_account_claim_is_waiting(from) && from->account->grower != from);
    memory_account_claim_init(to, from->account, NULL);
    to->size = from->size;
    from->size = 0;
}
