/* What must hold: each account has its share whatever others do, claims are served whole and in
 * order, nobody waits for ever, callbacks run once and never inside a call, and no more is used
 * than the bounds allow. */
#include <signal.h>

#include "base/memory_account.h"
#include "base/rng.h"
#include "support/check_main.h"
#include "support/sim_seeds.h"

#define READS  MEMORY_ACCOUNT_READS
#define WRITES MEMORY_ACCOUNT_WRITES
#define CACHE  MEMORY_ACCOUNT_CACHE
#define CLAIMS 8

/* Of 1000 bytes 200 are the reads', 300 the writes', 100 the cache's, and 400 are shared. */
static const struct memory_account_options options[MEMORY_ACCOUNT_COUNT] = {
    [READS] = {.share_percent = 20, .max = UINT64_MAX},
    [WRITES] = {.share_percent = 30, .max = 600},
    [MEMORY_ACCOUNT_ANSWERS] = {.max = UINT64_MAX},
    [CACHE] = {.share_percent = 10, .max = UINT64_MAX},
    [MEMORY_ACCOUNT_MIRROR] = {.max = UINT64_MAX},
    [MEMORY_ACCOUNT_OTHER] = {.max = UINT64_MAX},
};

static struct memory_account_budget budget;
static struct memory_account       *reads, *writes, *cache;
static struct memory_claim          claims[CLAIMS];
static int                          wakes, order[CLAIMS], served;

static void on_wake(void *ctx)
{
    (*(int *)ctx)++;
}

static void on_room(struct memory_claim *claim)
{
    order[served++] = (int)(claim - claims);
}

static void setup(void)
{
    memory_account_budget_init(&budget, 1000, options, on_wake, &wakes);
    reads = &budget.accounts[READS];
    writes = &budget.accounts[WRITES];
    cache = &budget.accounts[CACHE];
    for (size_t i = 0; i < CLAIMS; i++)
        memory_account_claim_init(&claims[i], i < 4 ? reads : writes, on_room);
}

static void teardown(void)
{
    for (size_t i = 0; i < CLAIMS; i++)
        memory_account_claim_release(&claims[i]);
    ck_assert_uint_eq(reads->used + writes->used, 0);
    ck_assert_uint_eq(budget.waiting + reads->waiting + writes->waiting, 0);
    ck_assert_uint_eq(reads->stalled + writes->stalled, 0);
}

#define CK_CLAIM(index, size, expected)                                                            \
    ck_assert_int_eq(memory_account_claim(&claims[index], size), expected)
#define CK_GROW(index, size, expected)                                                             \
    ck_assert_int_eq(memory_account_claim_grow(&claims[index], size), expected)

START_TEST(a_share_is_there_whatever_others_hold)
{
    memory_account_charge(cache, 10000);
    CK_CLAIM(0, 200, STATUS_OK);
    CK_CLAIM(4, 300, STATUS_OK);
    CK_CLAIM(1, 1, STATUS_AGAIN);
    memory_account_release(cache, 10000);
}
END_TEST

START_TEST(what_is_in_no_share_goes_to_who_asks_first)
{
    CK_CLAIM(0, 600, STATUS_OK); /* 200 and all that is shared */
    CK_CLAIM(4, 301, STATUS_AGAIN);
    memory_account_claim_shrink(&claims[0], 599);
    ck_assert_int_eq(served, 0);
    ck_assert_int_eq(wakes, 1);
    memory_account_run_waiters(&budget);
    ck_assert_int_eq(served, 1);
    ck_assert_uint_eq(claims[4].size, 301);
}
END_TEST

START_TEST(the_accounts_own_bound_holds_too)
{
    CK_CLAIM(4, 500, STATUS_OK);
    CK_CLAIM(5, 101, STATUS_AGAIN);
    memory_account_claim_release(&claims[5]);
    CK_CLAIM(5, 100, STATUS_OK);
    ck_assert(!memory_account_has_room(writes, 1));
    ck_assert(!memory_account_is_exceeded(writes));
    memory_account_charge(writes, 1);
    ck_assert(memory_account_is_exceeded(writes));
    memory_account_release(writes, 1);
}
END_TEST

START_TEST(what_can_never_fit_is_told_at_once)
{
    ck_assert_uint_eq(memory_account_largest(reads), 600);
    CK_CLAIM(0, 601, STATUS_TOO_LARGE);
    CK_CLAIM(0, 600, STATUS_OK);
    CK_GROW(0, 601, STATUS_TOO_LARGE);
    ck_assert_uint_eq(claims[0].size, 600);
    CK_CLAIM(4, 601, STATUS_TOO_LARGE);
    ck_assert_uint_eq(reads->refusals, 2);
    ck_assert_uint_eq(writes->refusals, 1);
}
END_TEST

START_TEST(claims_of_one_account_keep_their_order)
{
    CK_CLAIM(0, 550, STATUS_OK);
    CK_CLAIM(1, 500, STATUS_AGAIN);
    CK_CLAIM(2, 10, STATUS_AGAIN); /* would fit: no overtaking */
    ck_assert(!memory_account_has_room(reads, 1));
    memory_account_claim_release(&claims[0]);
    memory_account_run_waiters(&budget);
    ck_assert_int_eq(served, 2);
    ck_assert_int_eq(order[0], 1);
    ck_assert_int_eq(order[1], 2);
    ck_assert_uint_eq(reads->waits, 2);
}
END_TEST

START_TEST(who_leaves_the_queue_lets_the_next_go)
{
    CK_CLAIM(0, 550, STATUS_OK);
    CK_CLAIM(1, 500, STATUS_AGAIN);
    CK_CLAIM(2, 10, STATUS_AGAIN);
    memory_account_claim_release(&claims[1]);
    ck_assert_int_eq(wakes, 1);
    memory_account_run_waiters(&budget);
    ck_assert_int_eq(served, 1);
    ck_assert_int_eq(order[0], 2);
}
END_TEST

START_TEST(who_waits_for_shared_bytes_is_not_overtaken_by_another_account)
{
    memory_account_charge(cache, 200); /* 300 shared are left */
    CK_CLAIM(0, 600, STATUS_AGAIN);    /* needs 400 of them */
    CK_CLAIM(4, 350, STATUS_AGAIN);    /* needs 50 */
    CK_CLAIM(5, 200, STATUS_AGAIN);    /* needs none, but its own account's order holds */
    memory_account_claim_release(&claims[4]);
    memory_account_run_waiters(&budget);
    ck_assert_int_eq(served, 1);
    ck_assert_int_eq(order[0], 5);
    ck_assert(!memory_account_has_room(writes, 101));
    ck_assert(memory_account_has_room(writes, 100));
    memory_account_release(cache, 200);
}
END_TEST

START_TEST(who_waits_for_his_own_bound_stops_no_other_account)
{
    CK_CLAIM(4, 500, STATUS_OK);
    CK_CLAIM(5, 200, STATUS_AGAIN); /* 600 is the writes' bound; 200 shared are left */
    CK_CLAIM(0, 400, STATUS_OK);
}
END_TEST

START_TEST(while_there_is_room_all_grow)
{
    CK_CLAIM(0, 50, STATUS_OK);
    CK_CLAIM(1, 50, STATUS_OK);
    CK_GROW(0, 200, STATUS_OK);
    CK_GROW(1, 300, STATUS_OK);
    CK_GROW(0, 300, STATUS_OK);
    ck_assert_ptr_null(reads->grower);
}
END_TEST

/* Nobody may go beyond the bounds: claim 3 is complete and will give its room back. */
START_TEST(without_room_one_claim_grows_and_the_others_wait_for_it)
{
    CK_CLAIM(0, 50, STATUS_OK);
    CK_CLAIM(1, 50, STATUS_OK);
    CK_CLAIM(2, 50, STATUS_OK);
    CK_CLAIM(3, 450, STATUS_OK);
    CK_GROW(0, 200, STATUS_AGAIN);
    CK_GROW(1, 450, STATUS_AGAIN);
    CK_GROW(2, 60, STATUS_AGAIN);
    memory_account_claim_shrink(&claims[3], 300);
    memory_account_run_waiters(&budget);
    ck_assert_int_eq(served, 1);
    ck_assert_int_eq(order[0], 0);
    CK_GROW(0, 250, STATUS_AGAIN); /* it goes before those who wait */
    memory_account_claim_shrink(&claims[3], 200);
    memory_account_run_waiters(&budget);
    ck_assert_int_eq(served, 2);
    ck_assert(!memory_account_has_room(reads, 10)); /* claim 1 was first */
    memory_account_claim_release(&claims[0]);
    memory_account_run_waiters(&budget); /* claim 1 has the right now, and waits for claim 3 */
    ck_assert_int_eq(served, 2);
    ck_assert_ptr_eq(reads->grower, &claims[1]);
    memory_account_claim_release(&claims[3]);
    memory_account_run_waiters(&budget);
    ck_assert_int_eq(served, 4);
    ck_assert_int_eq(order[2], 1);
    ck_assert_int_eq(order[3], 2);
}
END_TEST

/* Its client may take hours. */
START_TEST(who_has_the_right_to_grow_and_is_slow_stops_nobody_once_there_is_room)
{
    CK_CLAIM(0, 100, STATUS_OK);
    CK_CLAIM(1, 50, STATUS_OK);
    CK_CLAIM(2, 450, STATUS_OK);
    CK_GROW(0, 110, STATUS_AGAIN);
    CK_GROW(1, 60, STATUS_AGAIN);
    CK_CLAIM(3, 10, STATUS_AGAIN);
    memory_account_claim_shrink(&claims[2], 400);
    memory_account_run_waiters(&budget); /* in this order: the right, what has begun, the others */
    ck_assert_int_eq(served, 3);
    ck_assert_int_eq(order[0], 0);
    ck_assert_int_eq(order[1], 1);
    ck_assert_int_eq(order[2], 3);
    ck_assert_ptr_eq(reads->grower, &claims[0]);
    CK_GROW(1, 70, STATUS_OK);
}
END_TEST

START_TEST(the_growing_one_goes_before_those_who_hold_nothing)
{
    CK_CLAIM(0, 50, STATUS_OK);
    CK_CLAIM(1, 500, STATUS_OK);
    CK_CLAIM(2, 60, STATUS_AGAIN);
    CK_GROW(0, 150, STATUS_AGAIN); /* claim 1 will give room back */
    memory_account_claim_release(&claims[1]);
    memory_account_run_waiters(&budget);
    ck_assert_int_eq(order[0], 0);
    ck_assert_int_eq(order[1], 2);
}
END_TEST

START_TEST(half_read_bodies_that_fill_everything_still_finish)
{
    for (size_t i = 0; i < 4; i++)
        CK_CLAIM(i, 150, STATUS_OK); /* 600: all that reads can have */
    CK_GROW(0, 160, STATUS_AGAIN);   /* the other three may yet finish as they are */
    CK_GROW(1, 500, STATUS_AGAIN);
    CK_GROW(2, 500, STATUS_AGAIN);
    memory_account_run_waiters(&budget);
    ck_assert_int_eq(served, 0);
    CK_GROW(3, 500, STATUS_AGAIN); /* now nobody can */
    for (int i = 0; i < 4; i++) {
        memory_account_run_waiters(&budget);
        ck_assert_int_eq(served, i + 1);
        ck_assert_int_eq(order[i], i);
        memory_account_claim_release(&claims[i]);
    }
}
END_TEST

START_TEST(what_is_there_is_added_without_asking)
{
    CK_CLAIM(0, 600, STATUS_OK);
    memory_account_claim_add(&claims[0], 100);
    ck_assert_uint_eq(reads->used, 700);
    ck_assert_uint_eq(reads->peak, 700);
    ck_assert(memory_account_is_exceeded(reads));
    memory_account_claim_release(&claims[0]);
    ck_assert(!memory_account_is_exceeded(reads));
    ck_assert_uint_eq(budget.shared_used, 0);
    ck_assert_uint_eq(budget.peak, 700);
}
END_TEST

START_TEST(what_is_added_to_a_stalled_claim_is_stalled_too)
{
    CK_CLAIM(0, 550, STATUS_OK);
    CK_CLAIM(1, 50, STATUS_OK);
    CK_GROW(0, 560, STATUS_AGAIN);
    CK_GROW(1, 60, STATUS_AGAIN);
    memory_account_claim_add(&claims[1], 30);
    ck_assert_uint_eq(reads->stalled, 80);
    memory_account_claim_release(&claims[0]);
    memory_account_run_waiters(&budget);
    ck_assert_uint_eq(claims[1].size, 80);
}
END_TEST

START_TEST(other_bounds_hold_from_now_on)
{
    CK_CLAIM(0, 600, STATUS_OK);
    CK_CLAIM(1, 100, STATUS_AGAIN);
    memory_account_budget_set(&budget, 500, options); /* 100 and 200 */
    ck_assert(memory_account_is_exceeded(reads));
    memory_account_run_waiters(&budget);
    ck_assert_int_eq(served, 0);
    memory_account_budget_set(&budget, 2000, options); /* 400 and 800 */
    memory_account_run_waiters(&budget);
    ck_assert_int_eq(served, 1);
    ck_assert_uint_eq(budget.shared_used, 300);
}
END_TEST

static void on_room_claim_again(struct memory_claim *claim)
{
    on_room(claim);
    memory_account_claim_release(claim);
    CK_CLAIM(1, 600, STATUS_OK);
    CK_CLAIM(2, 10, STATUS_AGAIN);
    memory_account_claim_release(&claims[1]);
    ck_assert_int_eq(served, 1);
}

START_TEST(who_begins_to_wait_in_a_callback_is_served_by_the_next_run)
{
    memory_account_claim_init(&claims[0], reads, on_room_claim_again);
    CK_CLAIM(3, 600, STATUS_OK);
    CK_CLAIM(0, 500, STATUS_AGAIN);
    memory_account_claim_release(&claims[3]);
    memory_account_run_waiters(&budget);
    ck_assert_int_eq(served, 1);
    ck_assert_int_eq(wakes, 2);
    memory_account_run_waiters(&budget);
    ck_assert_int_eq(served, 2);
}
END_TEST

START_TEST(giving_back_more_than_was_charged_is_our_bug)
{
    memory_account_charge(reads, 10);
    memory_account_release(reads, 11);
}
END_TEST

START_TEST(shares_beyond_the_budget_are_our_bug)
{
    struct memory_account_options wrong[MEMORY_ACCOUNT_COUNT] = {
        [READS] = {.share_percent = 60}, [CACHE] = {.share_percent = 41}};

    memory_account_budget_set(&budget, 1000, wrong);
}
END_TEST

/* ---- Random owners ---------------------------------------------------------------------------
 *
 * As requests do it. A read claims its body whole. A write claims ahead of what has arrived, at
 * each piece of it anew, and some clients are slow. Complete, it gives back what it does not need;
 * another claim takes over, which adds what belongs to it, and holds that for a while.
 */

#define OWNERS   24
#define AHEAD    40
#define BODY_MAX 400
#define EXTRA    20 /* added to a complete body */

struct owner {
    struct memory_claim claim, taken_over;
    size_t              body, arrived;
    size_t              piece_max;
    uint64_t            done_at;
    bool                is_growing, is_called, is_waiting;
    unsigned            bodies;
};

static struct owner owners[OWNERS];
static struct rng   rng;
static uint64_t     sim_now, sim_seed;
static bool         is_in_run;

static void owner_on_room(struct memory_claim *claim)
{
    struct owner *owner = LIST_ITEM(claim, struct owner, claim);

    SIM_CHECK(sim_seed, is_in_run && owner->is_waiting && !owner->is_called);
    SIM_CHECK(sim_seed, claim->size == claim->wanted);
    owner->is_waiting = false;
    owner->is_called = true;
}

static size_t room_of(const struct owner *owner)
{
    size_t ahead = owner->arrived + AHEAD;

    return owner->is_growing && ahead < owner->body ? ahead : owner->body;
}

static void owner_note(struct owner *owner, enum status status)
{
    SIM_CHECK(sim_seed, status != STATUS_TOO_LARGE);
    owner->is_called = status == STATUS_OK;
    owner->is_waiting = !owner->is_called;
}

static void owner_begin(struct owner *owner)
{
    owner->body = 1 + rng_below(&rng, rng_below(&rng, 8) == 0 ? BODY_MAX : 60);
    owner->arrived = 0;
    owner->piece_max = rng_below(&rng, 6) == 0 ? 2 : AHEAD;
    owner->is_growing = owner->claim.account == writes;
    owner_note(owner, memory_account_claim(&owner->claim, room_of(owner)));
    owner->done_at = sim_now + 1 + rng_below(&rng, 20);
}

static void owner_take_piece(struct owner *owner)
{
    size_t left = owner->body - owner->arrived, piece = 1 + rng_below(&rng, owner->piece_max);

    owner->arrived += piece < left ? piece : left;
    SIM_CHECK(sim_seed, owner->arrived <= owner->claim.size);
    owner_note(owner, memory_account_claim_grow(&owner->claim, room_of(owner)));
}

static void owner_complete(struct owner *owner)
{
    owner->is_growing = false;
    memory_account_claim_shrink(&owner->claim, owner->body);
    memory_account_claim_move(&owner->taken_over, &owner->claim);
    memory_account_claim_add(&owner->taken_over, EXTRA);
    owner->done_at = sim_now + 1 + rng_below(&rng, 20);
}

static void owner_step(struct owner *owner)
{
    if (owner->is_waiting) {
        if (rng_below(&rng, 500) != 0)
            return;
        owner->is_waiting = owner->is_growing = false; /* its client leaves */
        memory_account_claim_release(&owner->claim);
    } else if (owner->claim.size + owner->taken_over.size == 0) {
        owner_begin(owner);
    } else if (owner->is_growing && owner->arrived < owner->body) {
        owner_take_piece(owner);
    } else if (owner->is_growing) {
        owner_complete(owner);
    } else if (sim_now >= owner->done_at) {
        owner->bodies++;
        memory_account_claim_release(&owner->claim);
        memory_account_claim_release(&owner->taken_over);
    }
}

static void check_sums(void)
{
    uint64_t used = 0, shared = 0, waiting = 0, held[MEMORY_ACCOUNT_COUNT] = {0};

    for (size_t i = 0; i < OWNERS; i++) {
        held[owners[i].claim.account - budget.accounts] +=
            owners[i].claim.size + owners[i].taken_over.size;
        SIM_CHECK(sim_seed,
                  owners[i].is_waiting == memory_account_claim_is_waiting(&owners[i].claim));
        waiting += owners[i].is_waiting;
    }
    for (size_t i = 0; i < MEMORY_ACCOUNT_COUNT; i++) {
        const struct memory_account *account = &budget.accounts[i];

        SIM_CHECK(sim_seed, account->used == held[i]);
        SIM_CHECK(sim_seed, account->used <= account->max ||
                                account->used - account->max <= BODY_MAX + OWNERS * EXTRA);
        used += held[i];
        shared += held[i] > account->share ? held[i] - account->share : 0;
    }
    SIM_CHECK(sim_seed, budget.used == used);
    SIM_CHECK(sim_seed, budget.shared_used == shared);
    SIM_CHECK(sim_seed, budget.waiting == waiting);
}

/* Who comes first among those that wait in `account`; NULL: nobody waits. */
static const struct owner *first_in_line(const struct memory_account *account)
{
    const struct owner *first = NULL;

    for (size_t i = 0; i < OWNERS; i++) {
        const struct owner *owner = &owners[i];
        bool                has_begun = owner->claim.size > 0;

        if (!owner->is_waiting || owner->claim.account != account)
            continue;
        if (account->grower == &owner->claim)
            return owner;
        if (first == NULL || (has_begun && first->claim.size == 0) ||
            (has_begun == (first->claim.size > 0) && owner->claim.number < first->claim.number))
            first = owner;
    }
    return first;
}

/* What it wants is there. */
static bool has_room(const struct owner *owner)
{
    const struct memory_account *account = owner->claim.account;
    uint64_t used = account->used + owner->claim.wanted - owner->claim.size, more;

    more = (used > account->share ? used - account->share : 0) -
           (account->used > account->share ? account->used - account->share : 0);
    return used <= account->max && (more == 0 || budget.shared_used + more <= budget.shared_max);
}

/* Of the accounts' first at most one has room and waits: for another account's, who came before. */
static void check_nobody_waits_in_vain(void)
{
    const struct owner *of_reads = first_in_line(reads), *of_writes = first_in_line(writes);
    bool                reads_fit = of_reads != NULL && has_room(of_reads);
    bool                writes_fit = of_writes != NULL && has_room(of_writes);

    if (budget.is_woken)
        return;
    SIM_CHECK(sim_seed, !(reads_fit && writes_fit));
    SIM_CHECK(sim_seed, !reads_fit || (of_writes != NULL &&
                                       of_writes->claim.number < of_reads->claim.number));
    SIM_CHECK(sim_seed, !writes_fit ||
                            (of_reads != NULL && of_reads->claim.number < of_writes->claim.number));
}

static void simulate(uint64_t seed)
{
    unsigned min = UINT32_MAX;

    sim_seed = seed;
    rng_init(&rng, seed);
    memory_account_budget_init(&budget, 1000, options, on_wake, &wakes);
    for (size_t i = 0; i < OWNERS; i++) {
        owners[i] = (struct owner){0};
        memory_account_claim_init(&owners[i].claim, i < OWNERS / 2 ? reads : writes, owner_on_room);
        memory_account_claim_init(&owners[i].taken_over, owners[i].claim.account, NULL);
    }
    for (sim_now = 0; sim_now < 1500; sim_now++) {
        for (size_t i = 0; i < OWNERS; i++)
            owner_step(&owners[rng_below(&rng, OWNERS)]);
        check_sums();
        if (budget.is_woken && rng_below(&rng, 3) != 0) {
            is_in_run = true;
            memory_account_run_waiters(&budget);
            is_in_run = false;
            check_sums();
        }
        check_nobody_waits_in_vain();
    }
    for (size_t i = 0; i < OWNERS; i++)
        min = owners[i].bodies < min ? owners[i].bodies : min;
    SIM_CHECK(sim_seed, min > 0); /* nobody starved */
    for (size_t i = 0; i < OWNERS; i++) {
        memory_account_claim_release(&owners[i].claim);
        memory_account_claim_release(&owners[i].taken_over);
    }
    SIM_CHECK(sim_seed, budget.used + budget.shared_used + budget.waiting == 0);
}

START_TEST(random_owners_all_get_their_turn)
{
    struct sim_seeds seeds = sim_seeds_get(200);

    for (uint64_t seed = seeds.first; seed <= seeds.last; seed++)
        simulate(seed);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("memory_account");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_share_is_there_whatever_others_hold);
    tcase_add_test(tcase, what_is_in_no_share_goes_to_who_asks_first);
    tcase_add_test(tcase, the_accounts_own_bound_holds_too);
    tcase_add_test(tcase, what_can_never_fit_is_told_at_once);
    tcase_add_test(tcase, claims_of_one_account_keep_their_order);
    tcase_add_test(tcase, who_leaves_the_queue_lets_the_next_go);
    tcase_add_test(tcase, who_waits_for_shared_bytes_is_not_overtaken_by_another_account);
    tcase_add_test(tcase, who_waits_for_his_own_bound_stops_no_other_account);
    tcase_add_test(tcase, while_there_is_room_all_grow);
    tcase_add_test(tcase, without_room_one_claim_grows_and_the_others_wait_for_it);
    tcase_add_test(tcase, who_has_the_right_to_grow_and_is_slow_stops_nobody_once_there_is_room);
    tcase_add_test(tcase, the_growing_one_goes_before_those_who_hold_nothing);
    tcase_add_test(tcase, half_read_bodies_that_fill_everything_still_finish);
    tcase_add_test(tcase, what_is_there_is_added_without_asking);
    tcase_add_test(tcase, what_is_added_to_a_stalled_claim_is_stalled_too);
    tcase_add_test(tcase, other_bounds_hold_from_now_on);
    tcase_add_test(tcase, who_begins_to_wait_in_a_callback_is_served_by_the_next_run);
    tcase_add_test(tcase, random_owners_all_get_their_turn);
    tcase_add_test_raise_signal(tcase, giving_back_more_than_was_charged_is_our_bug, SIGABRT);
    tcase_add_test_raise_signal(tcase, shares_beyond_the_budget_are_our_bug, SIGABRT);
    return check_main("memory_account", tcase);
}
