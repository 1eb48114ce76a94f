/* What must hold: each rule speaks when its habit is there and is silent when it is not; clients
 * are told apart and bounded in number; what they call themselves is only text. */
#include <stdio.h>

#include "admin/advice.h"
#include "support/check_main.h"

#define SECOND ((uint64_t)1000000)

static struct advice *advice;
static uint64_t       now_us;

static void setup(void)
{
    advice = advice_new();
    ck_assert_ptr_nonnull(advice);
    now_us = 1000 * SECOND;
}

static void teardown(void)
{
    advice_free(advice);
}

static struct advice_request request(enum advice_what what)
{
    return (struct advice_request){.address = BYTES_LITERAL("10.0.0.7"),
                                   .user_agent = BYTES_LITERAL("Chroma Python Client v1.5.9"),
                                   .what = what,
                                   .began_us = now_us - 1000,
                                   .ended_us = now_us,
                                   .status = 200};
}

/* `times` like `one`, a second apart. */
static void note(struct advice_request one, unsigned times)
{
    while (times-- > 0) {
        one.began_us = now_us - 1000;
        one.ended_us = now_us;
        advice_note(advice, &one);
        now_us += SECOND;
    }
}

static const struct advice_client *only_client(void)
{
    const struct advice_client *clients[ADVICE_CLIENTS_MAX];

    ck_assert_uint_eq(advice_clients(advice, clients), 1);
    return clients[0];
}

static bool finds(enum advice_rule_id rule, const char *evidence)
{
    char     said[128] = "";
    uint64_t count;
    bool     found = advice_finds(only_client(), rule, now_us, &count, said, sizeof said);

    if (found)
        ck_assert_str_eq(said, evidence);
    return found;
}

START_TEST(clients_constructed_again_and_again)
{
    note(request(ADVICE_CONSTRUCTION), 5);
    ck_assert(!finds(ADVICE_CONSTRUCTIONS, ""));
    now_us += 60 * SECOND;
    ck_assert(!finds(ADVICE_CONSTRUCTIONS, ""));
    now_us = 1140 * SECOND; /* the beginning of a minute */
    note(request(ADVICE_CONSTRUCTION), 6);
    ck_assert(finds(ADVICE_CONSTRUCTIONS, "6 in a minute, 11 in all"));
    now_us = 1200 * SECOND; /* the next one */
    ck_assert(finds(ADVICE_CONSTRUCTIONS, "6 in a minute, 11 in all"));
    note(request(ADVICE_CONSTRUCTION), 1);
    ck_assert(finds(ADVICE_CONSTRUCTIONS, "6 in a minute, 12 in all"));
    now_us = 1260 * SECOND;
    ck_assert(!finds(ADVICE_CONSTRUCTIONS, ""));
}
END_TEST

START_TEST(writes_of_one_record)
{
    struct advice_request one = request(ADVICE_WRITE), many = request(ADVICE_WRITE);

    one.records = 1;
    many.records = 50;
    note(one, 18);
    ck_assert(!finds(ADVICE_SINGLE_RECORDS, "")); /* too few to tell */
    note(many, 2);
    ck_assert(finds(ADVICE_SINGLE_RECORDS, "18 of 20 writes"));
    note(request(ADVICE_WRITE), 100); /* of which it is not known */
    ck_assert(finds(ADVICE_SINGLE_RECORDS, "18 of 20 writes"));
    note(many, 1);
    ck_assert(!finds(ADVICE_SINGLE_RECORDS, ""));
}
END_TEST

START_TEST(writes_at_once)
{
    struct advice_request write = request(ADVICE_WRITE);

    note(write, 40);
    ck_assert(!finds(ADVICE_CONCURRENT_WRITES, ""));
    for (unsigned i = 0; i < 10; i++) {
        write.began_us = now_us - 2 * SECOND; /* when the one before had not ended */
        write.ended_us = now_us;
        advice_note(advice, &write);
        now_us += SECOND;
    }
    ck_assert(finds(ADVICE_CONCURRENT_WRITES, "10 of 50 writes began before another ended"));
}
END_TEST

START_TEST(gets_of_much)
{
    struct advice_request get = request(ADVICE_GET);

    get.answer_bytes = 4 << 20;
    note(get, 3);
    ck_assert(!finds(ADVICE_LARGE_GETS, ""));
    get.answer_bytes = 9 << 20;
    note(get, 1);
    ck_assert(finds(ADVICE_LARGE_GETS, "1 of 4 gets, up to 9 MiB"));
}
END_TEST

START_TEST(gets_of_everything)
{
    struct advice_request get = request(ADVICE_GET), all = request(ADVICE_GET);

    all.is_unfiltered_get = true;
    all.answer_bytes = 3 << 10;
    get.answer_bytes = 9 << 10;
    note(get, 10);
    note(all, 2);
    ck_assert(!finds(ADVICE_UNFILTERED_GETS, "")); /* somebody looks */
    note(all, 1);
    ck_assert(finds(ADVICE_UNFILTERED_GETS, "3 of 13 gets, up to 3 KiB"));
}
END_TEST

START_TEST(queries_for_very_many_results)
{
    struct advice_request query = request(ADVICE_QUERY);

    note(query, 7); /* of which it is not known */
    query.question = 1;
    query.n_results = 300;
    note(query, 5);
    query.n_results = 5000;
    note(query, 2);
    ck_assert(!finds(ADVICE_WIDE_QUERIES, ""));
    query.n_results = 301;
    note(query, 1);
    ck_assert(finds(ADVICE_WIDE_QUERIES, "3 of 8 queries looked at, n_results up to 5000"));
}
END_TEST

START_TEST(reads_that_are_repeated)
{
    struct advice_request query = request(ADVICE_QUERY), get = request(ADVICE_GET);

    for (query.question = 1; query.question <= 16; query.question++)
        note(query, 1);
    query.question = get.question = 7;
    note(query, 2);
    query.is_from_cache = true;
    note(query, 1);
    ck_assert(!finds(ADVICE_REPEATED_READS, "")); /* too few to tell */
    note(get, 1);
    ck_assert(finds(ADVICE_REPEATED_READS,
                    "4 of 20 reads looked at, 4 of them asked by itself before; "
                    "the cache answered 1"));
    query.question = 100;
    note(query, 1);
    ck_assert(!finds(ADVICE_REPEATED_READS, "")); /* less than a fifth */
    query.question = 7;
    note(query, 1);
    ck_assert(finds(ADVICE_REPEATED_READS, "5 of 22 reads looked at, 5 of them asked by itself "
                                           "before; the cache answered 2"));
    now_us += 60 * SECOND;
    note(query, 1);
    ck_assert_uint_eq(only_client()->repeated_reads, 5); /* it was asked too long ago */
}
END_TEST

START_TEST(a_question_of_another_client_is_repeated_too)
{
    const struct advice_client *clients[ADVICE_CLIENTS_MAX];
    struct advice_request       one = request(ADVICE_QUERY), other = request(ADVICE_QUERY);

    one.question = other.question = 7;
    other.address = BYTES_LITERAL("10.0.0.8");
    note(one, 1);
    note(other, 1);
    note(one, 1);
    note(one, 1);
    ck_assert_uint_eq(advice_clients(advice, clients), 2);
    ck_assert_uint_eq(clients[0]->repeated_reads, 2);
    ck_assert_uint_eq(clients[0]->repeated_own, 1);
    ck_assert_uint_eq(clients[1]->repeated_reads, 1);
    ck_assert_uint_eq(clients[1]->repeated_own, 0);
}
END_TEST

START_TEST(what_is_done_about_repeats_is_said_as_it_is)
{
    ck_assert_ptr_nonnull(strstr(advice_here(ADVICE_REPEATED_READS, true), "from the cache"));
    ck_assert_ptr_nonnull(strstr(advice_here(ADVICE_REPEATED_READS, false), "the cache is off"));
    ck_assert_str_eq(advice_here(ADVICE_LARGE_GETS, false), advice_rule(ADVICE_LARGE_GETS)->here);
}
END_TEST

START_TEST(writes_that_are_refused)
{
    struct advice_request write = request(ADVICE_WRITE);

    write.status = 503; /* not the client's mistake */
    note(write, 5);
    ck_assert(!finds(ADVICE_REFUSED_WRITES, ""));
    write.status = 400;
    note(write, 1);
    ck_assert(finds(ADVICE_REFUSED_WRITES, "1 of 6 writes, the last with status 400"));
    ck_assert_uint_eq(only_client()->errors, 6);
}
END_TEST

START_TEST(clients_are_told_apart_and_bounded)
{
    const struct advice_client *clients[ADVICE_CLIENTS_MAX];
    char                        name[32];

    for (unsigned i = 0; i < 2 * ADVICE_CLIENTS_MAX; i++) {
        struct advice_request one = request(ADVICE_OTHER);

        snprintf(name, sizeof name, "client %u", i % (ADVICE_CLIENTS_MAX + 1));
        one.user_agent = bytes_of(name);
        note(one, 1);
        one.user_agent = BYTES_LITERAL("seen again and again");
        note(one, 1);
    }
    ck_assert_uint_eq(advice_clients(advice, clients), ADVICE_CLIENTS_MAX);
    ck_assert_str_eq(clients[0]->agent, "seen again and again");
    ck_assert_uint_eq(clients[0]->requests, 2 * ADVICE_CLIENTS_MAX);
    for (size_t i = 1; i < ADVICE_CLIENTS_MAX; i++) {
        ck_assert_uint_ge(clients[i - 1]->last_us, clients[i]->last_us);
        ck_assert_uint_eq(clients[i]->requests, 1);
    }
}
END_TEST

START_TEST(address_and_agent_do_not_run_into_each_other)
{
    const struct advice_client *clients[ADVICE_CLIENTS_MAX];
    struct advice_request       one = request(ADVICE_OTHER), other = request(ADVICE_OTHER);

    one.address = BYTES_LITERAL("ab");
    one.user_agent = BYTES_LITERAL("c");
    other.address = BYTES_LITERAL("a");
    other.user_agent = BYTES_LITERAL("bc");
    note(one, 1);
    note(other, 1);
    ck_assert_uint_eq(advice_clients(advice, clients), 2);
}
END_TEST

START_TEST(names_are_only_text)
{
    struct advice_request one = request(ADVICE_OTHER);
    char                  longest[300];

    one.user_agent = (struct bytes){"a\x1b[2J\xff\xc3\xa9", 8};
    note(one, 1);
    ck_assert_str_eq(only_client()->agent, "a?[2J?\xc3\xa9");
    teardown();
    setup();
    memset(longest, 'x', sizeof longest);
    longest[ADVICE_AGENT_SIZE - 2] = '\xc3'; /* does not fit whole */
    longest[ADVICE_AGENT_SIZE - 1] = '\xa9';
    one.user_agent = (struct bytes){longest, sizeof longest};
    note(one, 1);
    ck_assert_uint_eq(strlen(only_client()->agent), ADVICE_AGENT_SIZE - 2);
}
END_TEST

START_TEST(metrics_count_the_clients_of_each_rule)
{
    struct byte_buffer    page = {0};
    struct advice_request get = request(ADVICE_GET);

    get.answer_bytes = 5 << 20;
    note(get, 2);
    get.user_agent = BYTES_LITERAL("another");
    note(get, 1);
    for (long process = 1; process <= 3; process++)
        embedded_use_note(advice_embedded(advice), BYTES_LITERAL("/srv"), EMBEDDED_USE_OTHER,
                          process, now_us);
    ck_assert_int_eq(advice_print_metrics(advice, now_us, &page), STATUS_OK);
    ck_assert_int_eq(byte_buffer_append(&page, (struct bytes){"", 1}, SIZE_MAX), STATUS_OK);
    ck_assert_ptr_nonnull(strstr(byte_buffer_bytes(&page).data,
                                 "\nchromabouncer_advice_clients{rule=\"large_gets\"} 2\n"));
    ck_assert_ptr_nonnull(strstr(byte_buffer_bytes(&page).data, "{rule=\"refused_writes\"} 0\n"));
    ck_assert_ptr_nonnull(
        strstr(byte_buffer_bytes(&page).data, "{rule=\"embedded_processes\"} 3\n"));
    byte_buffer_done(&page);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("advice");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, clients_constructed_again_and_again);
    tcase_add_test(tcase, writes_of_one_record);
    tcase_add_test(tcase, writes_at_once);
    tcase_add_test(tcase, gets_of_much);
    tcase_add_test(tcase, gets_of_everything);
    tcase_add_test(tcase, queries_for_very_many_results);
    tcase_add_test(tcase, reads_that_are_repeated);
    tcase_add_test(tcase, a_question_of_another_client_is_repeated_too);
    tcase_add_test(tcase, what_is_done_about_repeats_is_said_as_it_is);
    tcase_add_test(tcase, writes_that_are_refused);
    tcase_add_test(tcase, clients_are_told_apart_and_bounded);
    tcase_add_test(tcase, address_and_agent_do_not_run_into_each_other);
    tcase_add_test(tcase, names_are_only_text);
    tcase_add_test(tcase, metrics_count_the_clients_of_each_rule);
    return check_main("advice", tcase);
}
