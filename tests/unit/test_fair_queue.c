/* What must hold: services that wait get Chroma's time by their weight, whatever they ask for;
 * what one does not use the others get; order of arrival within a service; gates and closed flows
 * stop nobody else; and what has waited for too long is given back. */
#include <string.h>

#include "base/rng.h"
#include "limits/fair_queue.h"
#include "support/check_main.h"
#include "support/sim_seeds.h"

#define FLOWS 4
#define ITEMS 400
#define MS    1000

static struct fair_queue *queue;
static struct fair_item   items[ITEMS];
static size_t             used;
static uint64_t           now_us, served_us[FLOWS];

static void setup(void)
{
    queue = fair_queue_new(FLOWS);
    ck_assert_ptr_nonnull(queue);
    now_us = 5000000;
    used = 0;
    memset(served_us, 0, sizeof served_us);
}

static struct fair_item *take_first(void)
{
    struct fair_item *item = fair_queue_first(queue, now_us);

    if (item != NULL) {
        served_us[item->flow] += item->cost_us;
        fair_queue_take(queue, item, now_us);
    }
    return item;
}

static void teardown(void)
{
    for (size_t i = 0; i < used; i++)
        if (list_node_is_linked(&items[i].all_node))
            fair_queue_remove(queue, &items[i], now_us);
    fair_queue_free(queue);
}

static struct fair_item *add(uint32_t flow, uint64_t cost_us)
{
    struct fair_item *item = &items[used++];

    *item = (struct fair_item){.flow = flow, .cost_us = cost_us, .gate = item->gate};
    fair_queue_add(queue, item, now_us);
    ck_assert_uint_eq(item->cost_us, cost_us);
    return item;
}

static void add_many(size_t count, uint32_t flow, uint64_t cost_us)
{
    for (size_t i = 0; i < count; i++)
        add(flow, cost_us);
}

START_TEST(within_a_service_first_come_first_served)
{
    struct fair_item *first = add(0, 50 * MS), *second = add(0, MS), *third = add(0, 9 * MS);

    ck_assert_ptr_eq(fair_queue_first(queue, now_us), first);
    ck_assert_ptr_eq(take_first(), first);
    ck_assert_ptr_eq(take_first(), second);
    ck_assert_ptr_eq(take_first(), third);
    ck_assert_ptr_null(take_first());
}
END_TEST

START_TEST(time_is_shared_by_weight_and_priority)
{
    fair_queue_set_flow(queue, 0, 1, 1); /* 4 */
    fair_queue_set_flow(queue, 1, 3, 1); /* 12 */
    fair_queue_set_flow(queue, 2, 1, 0); /* 8 */
    fair_queue_set_flow(queue, 3, 1, 3); /* 1 */
    for (uint32_t flow = 0; flow < FLOWS; flow++)
        add_many(95, flow, (1 + flow) * MS); /* what each call costs does not matter */
    for (int i = 0; i < 125; i++)
        take_first();
    ck_assert_uint_lt(served_us[1] * 10 / served_us[0], 33);
    ck_assert_uint_gt(served_us[1] * 10 / served_us[0], 27);
    ck_assert_uint_lt(served_us[2] * 10 / served_us[0], 23);
    ck_assert_uint_gt(served_us[2] * 10 / served_us[0], 17);
    ck_assert_uint_lt(served_us[0] * 10 / served_us[3], 55);
    ck_assert_uint_gt(served_us[0] * 10 / served_us[3], 30);
}
END_TEST

START_TEST(a_backlog_of_one_service_does_not_stop_another)
{
    struct fair_item *other;

    add_many(300, 0, 40 * MS);
    for (int i = 0; i < 10; i++)
        take_first();
    other = add(1, 5 * MS);
    ck_assert(take_first() == other || take_first() == other);
}
END_TEST

START_TEST(what_a_call_really_cost_is_settled)
{
    add_many(60, 0, MS);
    add_many(60, 1, MS);
    for (int i = 0; i < 40; i++) {
        struct fair_item *item = take_first();

        if (item->flow == 0)
            fair_queue_settle(queue, 0, item->cost_us, 9 * MS);
    }
    ck_assert_uint_le(served_us[0], 8 * MS);
    ck_assert_uint_ge(served_us[0], 4 * MS);
}
END_TEST

START_TEST(a_debt_is_bounded_and_forgiven_when_nobody_waits)
{
    struct fair_item *first;

    add(0, MS);
    add(1, MS);
    take_first();
    fair_queue_settle(queue, 0, 0, UINT32_MAX);
    take_first();
    first = add(0, MS); /* nobody waited in between */
    add(1, MS);
    ck_assert_ptr_eq(take_first(), first);
    fair_queue_settle(queue, 0, 0, UINT32_MAX);
    add_many(1, 0, MS);
    add_many(20, 1, 1000 * MS);
    while (take_first()->flow == 1)
        continue;
    ck_assert_uint_ge(served_us[1], 9000 * MS);
    ck_assert_uint_le(served_us[1], 12000 * MS);
}
END_TEST

START_TEST(a_service_pays_off_its_debt_while_it_asks_for_nothing)
{
    struct fair_item *back;

    add(0, MS);
    add_many(200, 1, 10 * MS);
    add_many(100, 2, 10 * MS);
    while (take_first()->flow != 0)
        continue;
    fair_queue_settle(queue, 0, MS, 500 * MS);
    for (int i = 0; i < 160; i++) /* the others get 800 ms each */
        take_first();
    back = add(0, MS);
    ck_assert(take_first() == back || take_first() == back || take_first() == back);
}
END_TEST

START_TEST(a_closed_service_is_passed_over)
{
    struct fair_item *closed = add(0, MS), *other = add(1, 20 * MS);

    fair_queue_set_closed(queue, 0, true);
    ck_assert_ptr_eq(take_first(), other);
    ck_assert_ptr_null(take_first());
    fair_queue_set_closed(queue, 0, false);
    ck_assert_ptr_eq(take_first(), closed);
}
END_TEST

START_TEST(those_at_a_full_gate_step_aside_in_order)
{
    struct fair_gate  gate;
    struct fair_item *item[5];

    fair_gate_init(&gate, 1);
    for (int i = 0; i < 5; i++) {
        items[used].gate = i == 3 ? NULL : &gate;
        item[i] = add(0, MS);
    }
    ck_assert_ptr_eq(take_first(), item[0]);
    ck_assert_ptr_eq(take_first(), item[3]);
    ck_assert_ptr_null(take_first());
    ck_assert_uint_eq(fair_queue_flow_count(queue, 0), 3);
    fair_queue_remove(queue, item[1], now_us);
    fair_queue_end(queue, item[0]);
    ck_assert_ptr_eq(take_first(), item[2]);
    ck_assert_ptr_null(take_first());
    fair_queue_set_gate(queue, &gate, 0);
    ck_assert_ptr_eq(take_first(), item[4]);
}
END_TEST

static void shed_after(uint64_t timeout_us, uint64_t standing_us)
{
    struct fair_queue_options options = {
        .timeout_us = timeout_us, .standing_us = standing_us, .is_newest_first = true};

    fair_queue_set_options(queue, &options);
}

START_TEST(nothing_expires_unless_asked_for)
{
    add(0, MS);
    ck_assert_uint_eq(fair_queue_expiry_us(queue), UINT64_MAX);
    ck_assert_ptr_null(fair_queue_expired(queue, UINT64_MAX));
}
END_TEST

START_TEST(who_has_waited_for_the_timeout_expires)
{
    struct fair_item *first, *second;

    shed_after(100 * MS, 10 * MS);
    first = add(0, MS);
    now_us += 60 * MS;
    second = add(1, MS);
    ck_assert_uint_eq(fair_queue_expiry_us(queue), now_us + 40 * MS);
    ck_assert_ptr_null(fair_queue_expired(queue, now_us + 40 * MS - 1));
    ck_assert_ptr_eq(fair_queue_expired(queue, now_us + 40 * MS), first);
    fair_queue_remove(queue, first, now_us);
    ck_assert_ptr_null(fair_queue_expired(queue, now_us + 40 * MS));
    ck_assert_ptr_eq(fair_queue_expired(queue, now_us + 100 * MS), second);
}
END_TEST

/* Its time stands still while what was held waits, and begins when the last of it has gone. */
START_TEST(behind_what_was_held_nobody_expires)
{
    struct fair_item *held, *behind, *other;

    shed_after(100 * MS, 10 * MS);
    held = add(0, MS);
    fair_queue_end_hold(queue);
    now_us += 50 * MS;
    behind = add(0, MS);
    now_us += 60 * MS;
    ck_assert_ptr_null(fair_queue_expired(queue, now_us));
    ck_assert_uint_gt(fair_queue_expiry_us(queue), now_us); /* nobody wakes for nothing */
    other = add(1, MS);
    now_us += 100 * MS;
    ck_assert_ptr_eq(fair_queue_expired(queue, now_us), other); /* another service is another */
    fair_queue_remove(queue, other, now_us);
    ck_assert_ptr_eq(take_first(), held);
    now_us += 99 * MS;
    ck_assert_ptr_null(fair_queue_expired(queue, now_us));
    now_us += MS;
    ck_assert_uint_eq(fair_queue_expiry_us(queue), now_us);
    ck_assert_ptr_eq(fair_queue_expired(queue, now_us), behind);
}
END_TEST

/* What stood before it was held does not stand any more; who leaves counts no longer. */
START_TEST(a_hold_ends_a_standing_queue)
{
    struct fair_item *first, *second;

    shed_after(100 * MS, 10 * MS);
    first = add(0, MS);
    second = add(0, MS);
    now_us += 100 * MS;
    ck_assert_ptr_eq(fair_queue_expired(queue, now_us), first);
    fair_queue_end_hold(queue);
    now_us += 50 * MS;
    ck_assert_ptr_null(fair_queue_expired(queue, now_us));
    fair_queue_remove(queue, first, now_us);
    fair_queue_remove(queue, second, now_us);
    now_us += 50 * MS;
    second = add(0, MS);
    now_us += 99 * MS;
    ck_assert_ptr_null(fair_queue_expired(queue, now_us));
    now_us += MS;
    ck_assert_ptr_eq(fair_queue_expired(queue, now_us), second);
}
END_TEST

START_TEST(under_a_standing_queue_the_newest_go_and_the_others_expire_sooner)
{
    struct fair_item *first, *old, *new;

    shed_after(100 * MS, 10 * MS);
    first = add(0, MS);
    now_us += 92 * MS;
    old = add(0, MS);
    ck_assert_uint_eq(fair_queue_expiry_us(queue), now_us + 8 * MS);
    now_us += 8 * MS;
    new = add(0, MS);
    ck_assert_ptr_eq(fair_queue_expired(queue, now_us), first);
    fair_queue_remove(queue, first, now_us);
    ck_assert_uint_eq(fair_queue_expiry_us(queue), now_us + 2 * MS);
    ck_assert_ptr_null(fair_queue_expired(queue, now_us));
    ck_assert_ptr_eq(fair_queue_first(queue, now_us), new);
    ck_assert_ptr_eq(fair_queue_expired(queue, now_us + 2 * MS), old);
}
END_TEST

START_TEST(a_queue_that_is_short_again_stands_no_longer)
{
    struct fair_item *first, *second;

    shed_after(100 * MS, 10 * MS);
    first = add(0, MS);
    now_us += 100 * MS;
    second = add(0, MS);
    ck_assert_ptr_eq(fair_queue_expired(queue, now_us), first);
    fair_queue_remove(queue, first, now_us);
    now_us += 4 * MS;
    add(0, MS);
    ck_assert_ptr_eq(fair_queue_first(queue, now_us), second); /* the oldest, not the newest */
    ck_assert_uint_eq(fair_queue_expiry_us(queue), now_us + 96 * MS);
}
END_TEST

START_TEST(what_waits_for_a_gate_expires_too)
{
    static struct fair_gate gate;
    struct fair_item       *parked;

    shed_after(100 * MS, 10 * MS);
    fair_gate_init(&gate, 1);
    items[used].gate = &gate;
    add(0, MS);
    items[used].gate = &gate;
    parked = add(0, MS);
    take_first();
    ck_assert_ptr_null(take_first());
    ck_assert_ptr_eq(fair_queue_expired(queue, now_us + 100 * MS), parked);
}
END_TEST

/* ---- Random backlogs -------------------------------------------------------------------------
 *
 * While two flows both wait all the time, what they got differs, by weight, by no more than one
 * round and the largest call of each. And whoever may go does.
 */

static unsigned weights[FLOWS];
static uint64_t largest_us[FLOWS], sim_seed;

static void refill(struct rng *rng, uint32_t flow)
{
    struct fair_item *item = &items[flow * 8];

    for (int i = 0; i < 8; i++, item++)
        if (!list_node_is_linked(&item->all_node)) {
            *item = (struct fair_item){.flow = flow};
            item->cost_us = MS + rng_below(rng, largest_us[flow]);
            fair_queue_add(queue, item, now_us);
        }
}

static void check_shares(void)
{
    for (size_t i = 0; i < FLOWS; i++)
        for (size_t j = 0; j < FLOWS; j++) {
            /* per part of the weight; a round gives each part 4 ms */
            double part_i = (double)served_us[i] / weights[i];
            double part_j = (double)served_us[j] / weights[j];
            double slack = 4.0 * MS + (double)(largest_us[i] + MS) / weights[i] +
                           (double)(largest_us[j] + MS) / weights[j];

            SIM_CHECK(sim_seed, part_i - part_j <= slack);
        }
}

static void simulate(uint64_t seed)
{
    struct rng rng;

    sim_seed = seed;
    rng_init(&rng, seed);
    memset(served_us, 0, sizeof served_us);
    for (uint32_t flow = 0; flow < FLOWS; flow++) {
        weights[flow] = 1 + (unsigned)rng_below(&rng, 9);
        largest_us[flow] = 1 + rng_below(&rng, 200 * MS);
        fair_queue_set_flow(queue, flow, weights[flow], 1);
    }
    for (size_t i = 0; i < 8 * FLOWS; i++)
        list_node_init(&items[i].all_node);
    for (int i = 0; i < 400; i++) {
        struct fair_item *item;

        for (uint32_t flow = 0; flow < FLOWS; flow++)
            refill(&rng, flow);
        item = take_first();
        SIM_CHECK(sim_seed, item != NULL);
        check_shares();
    }
    while (take_first() != NULL)
        continue;
    SIM_CHECK(sim_seed, fair_queue_count(queue) == 0);
}

START_TEST(random_backlogs_are_served_by_weight)
{
    struct sim_seeds seeds = sim_seeds_get(200);

    for (uint64_t seed = seeds.first; seed <= seeds.last; seed++)
        simulate(seed);
}
END_TEST

/* Gates, closed flows, those who leave: a plain list is the model of who waits and may go. */
static void churn(uint64_t seed)
{
    struct rng              rng;
    static struct fair_gate gates[FLOWS];
    struct fair_item       *open[FLOWS] = {NULL};
    bool                    is_closed[FLOWS] = {false};

    sim_seed = seed;
    rng_init(&rng, seed);
    for (size_t i = 0; i < FLOWS; i++)
        fair_gate_init(&gates[i], 1);
    for (size_t i = 0; i < 40; i++)
        list_node_init(&items[i].all_node);
    for (int i = 0; i < 300; i++) {
        struct fair_item *item = &items[rng_below(&rng, 40)], *next;
        uint32_t          flow = (uint32_t)rng_below(&rng, FLOWS);
        size_t            may_go = 0;

        if (list_node_is_linked(&item->all_node))
            fair_queue_remove(queue, item, now_us);
        else if (item != open[0] && item != open[1] && item != open[2] && item != open[3]) {
            *item = (struct fair_item){.flow = flow, .cost_us = rng_below(&rng, 30 * MS)};
            item->gate = rng_below(&rng, 2) == 0 ? &gates[flow] : NULL;
            fair_queue_add(queue, item, now_us);
        }
        if (rng_below(&rng, 4) == 0) {
            is_closed[flow] = !is_closed[flow];
            fair_queue_set_closed(queue, flow, is_closed[flow]);
        }
        if (open[flow] != NULL && rng_below(&rng, 3) == 0) {
            fair_queue_end(queue, open[flow]);
            open[flow] = NULL;
        }
        for (size_t j = 0; j < 40; j++)
            may_go += list_node_is_linked(&items[j].all_node) && !is_closed[items[j].flow] &&
                      (items[j].gate == NULL || open[items[j].flow] == NULL);
        next = rng_below(&rng, 2) == 0 ? take_first() : fair_queue_first(queue, now_us);
        SIM_CHECK(sim_seed, (next != NULL) == (may_go > 0));
        if (next != NULL && !list_node_is_linked(&next->all_node) && next->gate != NULL)
            open[next->flow] = next;
    }
    for (size_t i = 0; i < FLOWS; i++)
        fair_queue_set_closed(queue, (uint32_t)i, false);
    for (size_t i = 0; i < 40; i++)
        if (list_node_is_linked(&items[i].all_node))
            fair_queue_remove(queue, &items[i], now_us);
}

START_TEST(whoever_may_go_does)
{
    struct sim_seeds seeds = sim_seeds_get(300);

    for (uint64_t seed = seeds.first; seed <= seeds.last; seed++)
        churn(seed);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("fair_queue");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, within_a_service_first_come_first_served);
    tcase_add_test(tcase, time_is_shared_by_weight_and_priority);
    tcase_add_test(tcase, a_backlog_of_one_service_does_not_stop_another);
    tcase_add_test(tcase, what_a_call_really_cost_is_settled);
    tcase_add_test(tcase, a_debt_is_bounded_and_forgiven_when_nobody_waits);
    tcase_add_test(tcase, a_service_pays_off_its_debt_while_it_asks_for_nothing);
    tcase_add_test(tcase, a_closed_service_is_passed_over);
    tcase_add_test(tcase, those_at_a_full_gate_step_aside_in_order);
    tcase_add_test(tcase, nothing_expires_unless_asked_for);
    tcase_add_test(tcase, who_has_waited_for_the_timeout_expires);
    tcase_add_test(tcase, behind_what_was_held_nobody_expires);
    tcase_add_test(tcase, a_hold_ends_a_standing_queue);
    tcase_add_test(tcase, under_a_standing_queue_the_newest_go_and_the_others_expire_sooner);
    tcase_add_test(tcase, a_queue_that_is_short_again_stands_no_longer);
    tcase_add_test(tcase, what_waits_for_a_gate_expires_too);
    tcase_add_test(tcase, random_backlogs_are_served_by_weight);
    tcase_add_test(tcase, whoever_may_go_does);
    return check_main("fair_queue", tcase);
}
