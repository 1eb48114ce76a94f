/* What must hold: whoever keeps the least rate is never cut, in whatever pieces his bytes are told
 * of up to the advance; whoever stands still is, after the advance is used up. */
#include "base/rng.h"
#include "front/front_options.h"
#include "front/front_pace.h"
#include "support/check_main.h"

static const uint64_t span_us = 30000000;
static const uint64_t share = 30u * FRONT_BYTES_PER_SECOND_MIN;

START_TEST(without_an_advance_each_span_must_bring_its_share)
{
    struct front_pace pace;

    front_pace_start(&pace, 1000, span_us, 0);
    ck_assert(front_pace_is_kept(&pace, 1000 + share, span_us, 0));
    ck_assert(front_pace_is_kept(&pace, 1000 + 10 * share, span_us, 0));
    ck_assert(!front_pace_is_kept(&pace, 1000 + 11 * share - 1, span_us, 0));
}
END_TEST

START_TEST(who_stands_still_is_cut_after_the_advance)
{
    struct front_pace pace;

    front_pace_start(&pace, 0, span_us, 2);
    ck_assert(front_pace_is_kept(&pace, 100 * share, span_us, 2)); /* it counts no more than two */
    ck_assert(front_pace_is_kept(&pace, 100 * share, span_us, 2));
    ck_assert(front_pace_is_kept(&pace, 100 * share, span_us, 2));
    ck_assert(!front_pace_is_kept(&pace, 100 * share, span_us, 2));
}
END_TEST

START_TEST(bytes_that_are_told_of_late_are_none_that_were_lost)
{
    struct front_pace pace;

    front_pace_start(&pace, share, span_us, 0);
    ck_assert(!front_pace_is_kept(&pace, 0, span_us, 0));
    front_pace_start(&pace, share, span_us, 1);
    ck_assert(front_pace_is_kept(&pace, 0, span_us, 1));
    ck_assert(front_pace_is_kept(&pace, 2 * share, span_us, 1));
}
END_TEST

/* A steady reader whose system tells of pieces: at any rate, any piece and any phase. */
START_TEST(a_steady_client_is_never_cut)
{
    struct rng rng;

    rng_init(&rng, 7);
    for (unsigned i = 0; i < 2000; i++) {
        struct front_pace pace;
        uint64_t          rate = FRONT_BYTES_PER_SECOND_MIN + rng_below(&rng, 40000);
        uint64_t          piece = 1 + rng_below(&rng, 2 * share), ahead = rng_below(&rng, piece);

        front_pace_start(&pace, ahead / piece * piece, span_us, 2);
        for (uint64_t second = 30; second < 3000; second += 30)
            ck_assert_msg(
                front_pace_is_kept(&pace, (ahead + rate * second) / piece * piece, span_us, 2),
                "%llu bytes/s in pieces of %llu", (unsigned long long)rate,
                (unsigned long long)piece);
    }
}
END_TEST

START_TEST(a_client_at_half_the_rate_is_cut)
{
    struct front_pace pace;
    uint64_t          spans = 0;

    front_pace_start(&pace, 0, span_us, 2);
    do
        spans++;
    while (front_pace_is_kept(&pace, spans * share / 2, span_us, 2));
    ck_assert_uint_eq(spans, 5);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("front_pace");

    tcase_add_test(tcase, without_an_advance_each_span_must_bring_its_share);
    tcase_add_test(tcase, who_stands_still_is_cut_after_the_advance);
    tcase_add_test(tcase, bytes_that_are_told_of_late_are_none_that_were_lost);
    tcase_add_test(tcase, a_steady_client_is_never_cut);
    tcase_add_test(tcase, a_client_at_half_the_rate_is_cut);
    return check_main("front_pace", tcase);
}
