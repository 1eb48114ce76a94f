/* What must hold: the life of a request follows its table; any other move is our bug. */
#include <signal.h>

#include "proxy/exchange.h"
#include "support/check_main.h"

static const enum exchange_state usual[] = {EXCHANGE_RECEIVING, EXCHANGE_WAITING,
                                            EXCHANGE_ANSWERING, EXCHANGE_DONE};

START_TEST(a_request_is_received_waits_is_answered_and_done)
{
    static struct exchange exchange;

    ck_assert_int_eq(exchange.state, EXCHANGE_RECEIVING); /* zero-initialised */
    for (size_t i = 1; i < COUNT_OF(usual); i++) {
        exchange_move(&exchange, usual[i]);
        ck_assert_int_eq(exchange.state, usual[i]);
    }
}
END_TEST

static const struct {
    enum exchange_state from, to;
} wrong[] = {{EXCHANGE_RECEIVING, EXCHANGE_RECEIVING},
             {EXCHANGE_WAITING, EXCHANGE_RECEIVING},
             {EXCHANGE_ANSWERING, EXCHANGE_RECEIVING},
             {EXCHANGE_DONE, EXCHANGE_RECEIVING},
             {EXCHANGE_DONE, EXCHANGE_WAITING},
             {EXCHANGE_DONE, EXCHANGE_ANSWERING},
             {EXCHANGE_DONE, EXCHANGE_DONE}};

START_TEST(what_is_not_in_the_table_is_our_bug)
{
    static struct exchange exchange;

    exchange.state = wrong[_i].from;
    exchange_move(&exchange, wrong[_i].to);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("exchange");

    tcase_add_test(tcase, a_request_is_received_waits_is_answered_and_done);
    tcase_add_loop_test_raise_signal(tcase, what_is_not_in_the_table_is_our_bug, SIGABRT, 0,
                                     COUNT_OF(wrong));
    return check_main("exchange", tcase);
}
