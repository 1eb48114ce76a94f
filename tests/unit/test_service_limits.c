/* What must hold: a service gets what its row says, all of its limits or none are charged, what it
 * did not use it gets back, and gates live as long as they are used. Also what a call is expected
 * to cost. */
#include "limits/cost_predictor.h"
#include "limits/service_limits.h"
#include "support/check_main.h"

#define SECOND UINT64_C(1000000)

static const unsigned char           secret[SIPHASH_KEY_SIZE] = {1};
static struct service_limits_options rows[2];
static struct service_limits        *limits;
static struct service_limits_verdict verdict;
static uint64_t                      now_us;

static void set_up_with(struct service_limits_options row)
{
    rows[1] = row;
    service_limits_set(limits, 1, &rows[1], now_us);
}

static void setup(void)
{
    now_us = 1000 * SECOND;
    limits = service_limits_new(2, rows, secret);
    ck_assert_ptr_nonnull(limits);
}

static void teardown(void)
{
    service_limits_free(limits);
}

#define CK_ADMIT(service, bytes, cost_us, expected, limit_)                                        \
    do {                                                                                           \
        ck_assert_int_eq(service_limits_admit(limits, service, bytes, cost_us, now_us, &verdict),  \
                         expected);                                                                \
        ck_assert_int_eq(verdict.limit, limit_);                                                   \
    } while (0)

START_TEST(without_rows_nothing_is_limited)
{
    for (int i = 0; i < 1000; i++)
        CK_ADMIT(0, 1 << 30, SECOND, STATUS_OK, SERVICE_LIMIT_NONE);
    ck_assert_uint_eq(service_limits_records_max(limits, 0), SIZE_MAX);
    ck_assert_ptr_null(service_limits_gate(limits, 0, TURN_READ, bytes_of("c")));
    ck_assert_uint_eq(service_limits_stats(limits, 0)->admitted, 1000);
}
END_TEST

START_TEST(all_limits_or_none_are_charged)
{
    set_up_with((struct service_limits_options){.rate = {.rate = 10, .burst = 10},
                                                .bytes = {.rate = 1000, .burst = 1000}});
    CK_ADMIT(1, 1000, 0, STATUS_OK, SERVICE_LIMIT_NONE);
    for (int i = 0; i < 20; i++)
        CK_ADMIT(1, 500, 0, STATUS_LIMIT_REACHED, SERVICE_LIMIT_BYTES);
    ck_assert_uint_eq(verdict.wait_us, SECOND / 2);
    ck_assert_uint_eq(rate_limit_remaining(service_limits_rate(limits, 1), now_us), 9);
    for (int i = 0; i < 9; i++)
        CK_ADMIT(1, 0, 0, STATUS_OK, SERVICE_LIMIT_NONE);
    CK_ADMIT(1, 0, 0, STATUS_LIMIT_REACHED, SERVICE_LIMIT_RATE);
    ck_assert_uint_eq(verdict.wait_us, SECOND / 10);
    CK_ADMIT(0, 0, 0, STATUS_OK, SERVICE_LIMIT_NONE); /* another service */
    ck_assert_uint_eq(service_limits_stats(limits, 1)->refused[SERVICE_LIMIT_BYTES], 20);
    ck_assert_uint_eq(service_limits_stats(limits, 1)->refused[SERVICE_LIMIT_RATE], 1);
}
END_TEST

START_TEST(time_at_chroma_is_charged_as_expected_and_settled)
{
    set_up_with((struct service_limits_options){.rate = {.rate = 200000, .burst = 100000},
                                                .is_rate_in_time = true}); /* 200 ms/s */
    CK_ADMIT(1, 0, 60000, STATUS_OK, SERVICE_LIMIT_NONE);
    CK_ADMIT(1, 0, 60000, STATUS_LIMIT_REACHED, SERVICE_LIMIT_RATE);
    ck_assert_uint_eq(verdict.wait_us, SECOND / 10);
    verdict = (struct service_limits_verdict){.charged_units = 60000};
    service_limits_settle(limits, 1, &verdict, true, 20000, now_us);
    CK_ADMIT(1, 0, 80000, STATUS_OK, SERVICE_LIMIT_NONE);
    service_limits_settle(limits, 1, &verdict, false, 0, now_us);
    CK_ADMIT(1, 0, 80000, STATUS_OK, SERVICE_LIMIT_NONE);
}
END_TEST

START_TEST(what_was_not_sent_is_given_back)
{
    set_up_with((struct service_limits_options){.rate = {.rate = 10, .burst = 1},
                                                .bytes = {.rate = 1000, .burst = 1000}});
    CK_ADMIT(1, 1000, 0, STATUS_OK, SERVICE_LIMIT_NONE);
    service_limits_settle(limits, 1, &verdict, false, 0, now_us);
    CK_ADMIT(1, 1000, 0, STATUS_OK, SERVICE_LIMIT_NONE);
    service_limits_settle(limits, 1, &verdict, true, SECOND, now_us);
    CK_ADMIT(1, 0, 0, STATUS_LIMIT_REACHED, SERVICE_LIMIT_RATE);
}
END_TEST

/* However long the answer was, which nobody knew before. */
START_TEST(bytes_of_answers_are_paid_off)
{
    set_up_with((struct service_limits_options){.bytes = {.rate = 1000, .burst = 1000}});
    CK_ADMIT(1, 0, 0, STATUS_OK, SERVICE_LIMIT_NONE);
    service_limits_settle_bytes(limits, 1, &verdict, 450000, now_us);
    CK_ADMIT(1, 0, 0, STATUS_LIMIT_REACHED, SERVICE_LIMIT_BYTES);
    ck_assert_uint_eq(verdict.wait_us, 449 * SECOND);
    now_us += 449 * SECOND;
    CK_ADMIT(1, 0, 0, STATUS_OK, SERVICE_LIMIT_NONE);
}
END_TEST

START_TEST(the_longest_delay_counts)
{
    struct rate_limit_options bytes = {
        .rate = 1000, .burst = 1000, .over = RATE_LIMIT_DELAY, .delay_max_us = SECOND};

    set_up_with((struct service_limits_options){
        .rate = {.rate = 10, .burst = 1, .over = RATE_LIMIT_DELAY, .delay_max_us = SECOND},
        .bytes = bytes});
    CK_ADMIT(1, 1000, 0, STATUS_OK, SERVICE_LIMIT_NONE);
    CK_ADMIT(1, 500, 0, STATUS_AGAIN, SERVICE_LIMIT_BYTES);
    ck_assert_uint_eq(verdict.wait_us, SECOND / 2);
    CK_ADMIT(1, 1000, 0, STATUS_LIMIT_REACHED, SERVICE_LIMIT_BYTES);
    ck_assert_uint_eq(service_limits_stats(limits, 1)->delayed, 1);
}
END_TEST

START_TEST(shadow_lets_pass_and_counts)
{
    set_up_with((struct service_limits_options){
        .rate = {.rate = 1, .burst = 1, .over = RATE_LIMIT_SHADOW}});
    for (int i = 0; i < 10; i++)
        CK_ADMIT(1, 0, 0, STATUS_OK, SERVICE_LIMIT_NONE);
    ck_assert_uint_eq(service_limits_stats(limits, 1)->shadowed[SERVICE_LIMIT_RATE], 9);
}
END_TEST

/* A client that asks every 100 ms for 20 s, whose answers have more bytes than it may have. Returns
 * how many are refused, or would be. */
static uint64_t count_over(enum rate_limit_over over, bool is_rate_in_time)
{
    struct service_limits_options      row = {.is_rate_in_time = is_rate_in_time};
    const struct service_limits_stats *stats;

    teardown();
    setup();
    if (is_rate_in_time)
        row.rate = (struct rate_limit_options){.rate = 200000, .burst = 200000, .over = over};
    else
        row.bytes = (struct rate_limit_options){.rate = 1000, .burst = 1000, .over = over};
    set_up_with(row);
    for (int i = 0; i < 200; i++, now_us += SECOND / 10) {
        if (service_limits_admit(limits, 1, 0, 5000, now_us, &verdict) == STATUS_LIMIT_REACHED)
            continue;
        service_limits_settle(limits, 1, &verdict, true, 50000, now_us);
        service_limits_settle_bytes(limits, 1, &verdict, 500, now_us);
    }
    stats = service_limits_stats(limits, 1);
    return stats->shadowed[SERVICE_LIMIT_RATE] + stats->shadowed[SERVICE_LIMIT_BYTES] +
           stats->refused[SERVICE_LIMIT_RATE] + stats->refused[SERVICE_LIMIT_BYTES];
}

START_TEST(a_shadow_counts_what_would_be_refused)
{
    for (int is_rate_in_time = 0; is_rate_in_time < 2; is_rate_in_time++) {
        uint64_t refused = count_over(RATE_LIMIT_REFUSE, is_rate_in_time);

        ck_assert_uint_gt(refused, 50);
        ck_assert_uint_lt(refused, 180);
        ck_assert_uint_eq(count_over(RATE_LIMIT_SHADOW, is_rate_in_time), refused);
    }
}
END_TEST

START_TEST(a_gate_is_one_for_service_class_and_collection)
{
    struct fair_gate *gate, *same, *other[2];

    set_up_with((struct service_limits_options){
        .collection_max = {[TURN_READ] = 10, [TURN_WRITE] = 3}, .batch_records_max = 300});
    gate = service_limits_gate(limits, 1, TURN_WRITE, bytes_of("docs"));
    ck_assert_uint_eq(gate->max, 3);
    same = service_limits_gate(limits, 1, TURN_WRITE, bytes_of("docs"));
    other[0] = service_limits_gate(limits, 1, TURN_READ, bytes_of("docs"));
    other[1] = service_limits_gate(limits, 1, TURN_WRITE, bytes_of("doc"));
    ck_assert_ptr_eq(gate, same);
    ck_assert_ptr_ne(gate, other[0]);
    ck_assert_ptr_ne(gate, other[1]);
    ck_assert_uint_eq(service_limits_records_max(limits, 1), 300);
    service_limits_drop_gate(limits, gate);
    gate->open++; /* still there */
    gate->open--;
    service_limits_drop_gate(limits, same);
    service_limits_drop_gate(limits, other[0]);
    service_limits_drop_gate(limits, other[1]);
    service_limits_drop_gate(limits, NULL);
}
END_TEST

START_TEST(a_call_costs_by_what_it_asks_for)
{
    struct cost_predictor predictor;
    double                one = cost_predictor_units(COST_QUERY, 1, 10);

    cost_predictor_init(&predictor);
    ck_assert(cost_predictor_units(COST_QUERY, 3, 10) == 3 * one);
    ck_assert(cost_predictor_units(COST_WRITE, 270, 0) == 11);
    ck_assert(cost_predictor_units(COST_OTHER, 0, 0) == 1);
    ck_assert_uint_gt(cost_predictor_expect(&predictor, COST_GET, 100),
                      50 * cost_predictor_expect(&predictor, COST_GET, 1));
    ck_assert_uint_ge(cost_predictor_expect(&predictor, COST_GET, 0.001), 1000);
    ck_assert_uint_le(cost_predictor_expect(&predictor, COST_WRITE, 1e18), UINT64_C(600000000));
}
END_TEST

START_TEST(what_calls_take_is_learned)
{
    struct cost_predictor predictor;

    cost_predictor_init(&predictor);
    for (int i = 0; i < 200; i++)
        cost_predictor_learn(&predictor, COST_QUERY, 2, 60000);
    ck_assert_uint_ge(cost_predictor_expect(&predictor, COST_QUERY, 1), 29000);
    ck_assert_uint_le(cost_predictor_expect(&predictor, COST_QUERY, 1), 31000);
    cost_predictor_learn(&predictor, COST_QUERY, 1, 100 * SECOND); /* stood behind a lock */
    ck_assert_uint_le(cost_predictor_expect(&predictor, COST_QUERY, 1), 45000);
    for (int i = 0; i < 1000; i++)
        cost_predictor_learn(&predictor, COST_QUERY, 1, 0);
    cost_predictor_learn(&predictor, COST_QUERY, 1, 5000); /* and it can come back */
    ck_assert(predictor.unit_us[COST_QUERY] >= 1);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("service_limits");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, without_rows_nothing_is_limited);
    tcase_add_test(tcase, all_limits_or_none_are_charged);
    tcase_add_test(tcase, time_at_chroma_is_charged_as_expected_and_settled);
    tcase_add_test(tcase, what_was_not_sent_is_given_back);
    tcase_add_test(tcase, bytes_of_answers_are_paid_off);
    tcase_add_test(tcase, the_longest_delay_counts);
    tcase_add_test(tcase, shadow_lets_pass_and_counts);
    tcase_add_test(tcase, a_shadow_counts_what_would_be_refused);
    tcase_add_test(tcase, a_gate_is_one_for_service_class_and_collection);
    tcase_add_test(tcase, a_call_costs_by_what_it_asks_for);
    tcase_add_test(tcase, what_calls_take_is_learned);
    return check_main("service_limits", tcase);
}
