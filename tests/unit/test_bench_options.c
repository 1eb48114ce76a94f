#include "bench/bench_options.h"

#include "support/check_main.h"

static struct bench_options options;
static struct error         error;

static enum status parse(const char *words)
{
    static char name[] = "bench", copy[512];
    char       *argv[32] = {name}, *word, *rest;
    int         argc = 1;

    snprintf(copy, sizeof(copy), "%s", words);
    rest = copy;
    while ((word = strsep(&rest, " ")) != NULL) {
        if (*word != '\0')
            argv[argc++] = word;
    }
    return bench_options_parse(&options, argc, argv, &error);
}

START_TEST(without_options_it_is_the_comparison)
{
    ck_assert_int_eq(parse(""), STATUS_OK);
    ck_assert(!options.is_load);
    ck_assert_str_eq(options.backend, "http://127.0.0.1:8000");
    ck_assert_str_eq(options.through, "http://127.0.0.1:8001");
    ck_assert_uint_eq(options.groups[0].clients, 64);
    ck_assert(options.corpus.has[BENCH_CORPUS_BASE64]);
    ck_assert(options.corpus.has[BENCH_CORPUS_ARRAYS]); /* for its queries */
}
END_TEST

START_TEST(a_mix_makes_it_one_load_of_one_client)
{
    ck_assert_int_eq(parse("--mix upsert"), STATUS_OK);
    ck_assert(options.is_load);
    ck_assert_uint_eq(options.groups[0].clients, 1);
    ck_assert(!options.corpus.has[BENCH_CORPUS_ARRAYS]);
}
END_TEST

START_TEST(groups_have_their_own_clients_rate_mix_and_batch)
{
    ck_assert_int_eq(parse("--mix add --batch 5 --group clients=8,mix=query:2+get,rate=10,batch=3 "
                           "--group mix=count"),
                     STATUS_OK);
    ck_assert_uint_eq(options.group_count, 3);
    ck_assert_uint_eq(options.groups[0].mix.batch, 5);
    ck_assert_uint_eq(options.groups[1].clients, 8);
    ck_assert_double_eq(options.groups[1].rate, 10);
    ck_assert_uint_eq(options.groups[1].mix.total, 3);
    ck_assert_uint_eq(options.groups[1].mix.batch, 3);
    ck_assert_uint_eq(options.groups[2].mix.batch, 5);
    ck_assert(options.corpus.has[BENCH_CORPUS_ARRAYS]);
}
END_TEST

START_TEST(headers_are_collected_as_field_lines)
{
    ck_assert_int_eq(parse("--url / --header A:b --header C:d"), STATUS_OK);
    ck_assert_str_eq(options.headers, "A:b\r\nC:d\r\n");
}
END_TEST

START_TEST(what_makes_no_sense_is_refused_by_name)
{
    static const struct {
        const char *words, *complaint;
    } cases[] = {
        {"--mix", "--mix: a value is missing"},
        {"--nope", "--nope: unknown option"},
        {"word", "unexpected 'word'"},
        {"--mix add --url /x", "--mix and --url exclude each other"},
        {"--group mix=add", "--group needs --mix"},
        {"--mix add --group clients=0,mix=add", "--group: "},
        {"--mix add --group clients=2", "--group: "},
        {"--clients 0", "--clients: '0' is not understood"},
        {"--duration 5", "--duration: '5' is not understood"},
        {"--rate 0", "--rate: "},
        {"--reuse 1.5", "--reuse: "},
        {"--encoding hex", "--encoding: "},
        {"--url x", "--url: "},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        ck_assert_msg(parse(cases[i].words) == STATUS_INVALID, "%s", cases[i].words);
        ck_assert_msg(strncmp(error.text, cases[i].complaint, strlen(cases[i].complaint)) == 0,
                      "%s: %s", cases[i].words, error.text);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("bench_options");

    tcase_add_test(tcase, without_options_it_is_the_comparison);
    tcase_add_test(tcase, a_mix_makes_it_one_load_of_one_client);
    tcase_add_test(tcase, groups_have_their_own_clients_rate_mix_and_batch);
    tcase_add_test(tcase, headers_are_collected_as_field_lines);
    tcase_add_test(tcase, what_makes_no_sense_is_refused_by_name);
    return check_main("bench_options", tcase);
}
