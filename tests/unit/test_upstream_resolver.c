/* What must hold: literals need no look-up, names are looked up on a worker and again when they
 * are old, and an answer that worked stays when a later look-up fails. */
#include "support/check_main.h"
#include "support/loop_drive.h"
#include "upstream/upstream_resolver.h"

static struct loop                 *loop;
static struct worker_pool          *workers;
static struct upstream_resolver    *resolver;
static int                          answers;
static const struct socket_address *addresses;

static void on_answer(void *ctx)
{
    ck_assert_ptr_eq(ctx, &answers);
    answers++;
}

static void setup(void)
{
    loop = loop_new();
    workers =
        worker_pool_new(loop, &(struct worker_pool_options){.threads = {[WORKER_POOL_NAME] = 1}});
    ck_assert_ptr_nonnull(workers);
}

static void teardown(void)
{
    worker_pool_free(workers);
    upstream_resolver_free(resolver);
    loop_free(loop);
}

static void resolve(const char *url, uint64_t interval_us)
{
    struct address backend;

    ck_assert_int_eq(address_parse_url(bytes_of(url), &backend, NULL), STATUS_OK);
    resolver = upstream_resolver_new(loop, workers, &backend, interval_us, on_answer, &answers);
    ck_assert_ptr_nonnull(resolver);
}

static bool has_answer(void)
{
    return answers > 0;
}

static bool has_two_answers(void)
{
    return answers == 2;
}

static const struct {
    const char *url, *text;
} literals[] = {{"http://127.0.0.1:8000", "127.0.0.1:8000"},
                {"http://[::1]:8000", "[::1]:8000"},
                {"unix:/tmp/x", "unix:/tmp/x"}};

START_TEST(a_literal_is_its_own_answer_at_once)
{
    char text[SOCKET_ADDRESS_TEXT_MAX];

    resolve(literals[_i].url, 1);
    ck_assert(!upstream_resolver_is_busy(resolver));
    ck_assert_uint_eq(upstream_resolver_addresses(resolver, &addresses), 1);
    socket_address_format(&addresses[0], text);
    ck_assert_str_eq(text, literals[_i].text);
    upstream_resolver_refresh(resolver);
    loop_drive_for(loop, 2000);
    ck_assert_int_eq(answers, 0);
}
END_TEST

START_TEST(a_name_is_looked_up_at_once_on_a_worker)
{
    size_t count;
    bool   has_loopback = false;

    resolve("http://localhost:8000", 60000000);
    ck_assert(upstream_resolver_is_busy(resolver));
    ck_assert_uint_eq(upstream_resolver_addresses(resolver, &addresses), 0);
    ck_assert_int_eq(answers, 0);
    loop_drive_until(loop, has_answer);
    ck_assert(!upstream_resolver_is_busy(resolver));
    count = upstream_resolver_addresses(resolver, &addresses);
    ck_assert_uint_ge(count, 1);
    for (size_t i = 0; i < count; i++) {
        char text[SOCKET_ADDRESS_TEXT_MAX];

        socket_address_format(&addresses[i], text);
        has_loopback |= strcmp(text, "127.0.0.1:8000") == 0 || strcmp(text, "[::1]:8000") == 0;
    }
    ck_assert(has_loopback);
}
END_TEST

START_TEST(an_old_answer_is_given_and_renewed)
{
    resolve("http://localhost:8000", 1000);
    loop_drive_until(loop, has_answer);
    loop_drive_for(loop, 3000);
    ck_assert_int_eq(answers, 1); /* nobody asked */
    ck_assert_uint_ge(upstream_resolver_addresses(resolver, &addresses), 1);
    ck_assert(upstream_resolver_is_busy(resolver));
    loop_drive_until(loop, has_two_answers);
}
END_TEST

START_TEST(a_refresh_waits_a_second_after_the_last_look_up)
{
    resolve("http://localhost:8000", 60000000);
    loop_drive_until(loop, has_answer);
    upstream_resolver_refresh(resolver);
    ck_assert(!upstream_resolver_is_busy(resolver));
}
END_TEST

START_TEST(a_name_that_does_not_resolve_has_a_reason)
{
    resolve("http://no-such-name.invalid:8000", 60000000);
    loop_drive_until(loop, has_answer);
    ck_assert_uint_eq(upstream_resolver_addresses(resolver, &addresses), 0);
    ck_assert_ptr_nonnull(strstr(upstream_resolver_problem(resolver), "no-such-name.invalid"));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("upstream_resolver");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, a_literal_is_its_own_answer_at_once, 0, COUNT_OF(literals));
    tcase_add_test(tcase, a_name_is_looked_up_at_once_on_a_worker);
    tcase_add_test(tcase, an_old_answer_is_given_and_renewed);
    tcase_add_test(tcase, a_refresh_waits_a_second_after_the_last_look_up);
    tcase_add_test(tcase, a_name_that_does_not_resolve_has_a_reason);
    return check_main("upstream_resolver", tcase);
}
