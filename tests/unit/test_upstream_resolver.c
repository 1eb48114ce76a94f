/* What must hold: literals need no look-up, names are looked up on a worker and again when they
 * are old, and an answer that worked stays when a later look-up fails. */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "support/check_main.h"
#include "support/loop_drive.h"
#include "upstream/upstream_resolver.h"

/* The addresses of the name `moving`, one digit for the last part of each; other names are looked
 * up as ever. */
static const char *moving;

int  getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                 struct addrinfo **ret);
void freeaddrinfo(struct addrinfo *list);

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

    if (strcmp(name, "moving") != 0) {
        *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
        return real(name, service, hints, ret);
    }
    *ret = NULL;
    for (size_t i = strlen(moving); i-- > 0;) {
        struct addrinfo    *item = calloc(1, sizeof *item + sizeof(struct sockaddr_in));
        struct sockaddr_in *address = (struct sockaddr_in *)(item + 1);

        address->sin_family = AF_INET;
        address->sin_port = htons((uint16_t)atoi(service));
        address->sin_addr.s_addr = htonl(0x0a000000u + (uint32_t)(moving[i] - '0'));
        item->ai_addr = (struct sockaddr *)address;
        item->ai_addrlen = sizeof *address;
        item->ai_next = *ret;
        *ret = item;
    }
    return moving[0] == '\0' ? EAI_NONAME : 0;
}

/* Of either kind: what the system gives is freed by the system. */
void freeaddrinfo(struct addrinfo *list)
{
    void (*real)(struct addrinfo *);

    if (list == NULL || list->ai_addr != (struct sockaddr *)(list + 1) || list->ai_flags != 0 ||
        list->ai_socktype != 0) {
        *(void **)&real = dlsym(RTLD_NEXT, "freeaddrinfo");
        real(list);
        return;
    }
    while (list != NULL) {
        struct addrinfo *next = list->ai_next;

        free(list);
        list = next;
    }
}

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

static bool is_idle(void)
{
    return !upstream_resolver_is_busy(resolver);
}

static int watched;

static void on_watched(void *ctx)
{
    ck_assert_ptr_eq(ctx, &watched);
    watched++;
}

static void renew(const char *found)
{
    moving = found;
    loop_drive_for(loop, 1500);
    upstream_resolver_addresses(resolver, &addresses);
    loop_drive_until(loop, is_idle);
}

START_TEST(other_addresses_move_the_generation_and_another_order_does_not)
{
    struct upstream_resolver_watcher watcher = {.on_answer = on_watched, .ctx = &watched};
    uint64_t                         first;

    moving = "12";
    resolve("http://moving:8000", 1000);
    upstream_resolver_watch(resolver, &watcher);
    loop_drive_until(loop, has_answer);
    ck_assert_int_eq(watched, 1);
    first = upstream_resolver_generation(resolver);
    renew("21");
    ck_assert_uint_eq(upstream_resolver_generation(resolver), first);
    renew(""); /* the last good answer stays */
    ck_assert_uint_eq(upstream_resolver_generation(resolver), first);
    renew("12");
    ck_assert_uint_eq(upstream_resolver_generation(resolver), first);
    renew("13");
    ck_assert_uint_eq(upstream_resolver_generation(resolver), first + 1);
    renew("1");
    ck_assert_uint_eq(upstream_resolver_generation(resolver), first + 2);
    ck_assert_int_eq(watched, 6);
    upstream_resolver_unwatch(&watcher);
    renew("2");
    ck_assert_int_eq(watched, 6);
}
END_TEST

START_TEST(commands_look_up_alike_here_and_now)
{
    struct socket_address found[UPSTREAM_RESOLVER_ADDRESSES_MAX];
    struct address        backend;
    struct error          error;
    size_t                count;
    char                  text[SOCKET_ADDRESS_TEXT_MAX];

    ck_assert_int_eq(address_parse_url(bytes_of("http://moving:81"), &backend, NULL), STATUS_OK);
    moving = "12345678912345678"; /* one more than are tried */
    ck_assert_int_eq(upstream_resolver_look_up(&backend, found, &count, &error), STATUS_OK);
    ck_assert_uint_eq(count, UPSTREAM_RESOLVER_ADDRESSES_MAX);
    socket_address_format(&found[1], text);
    ck_assert_str_eq(text, "10.0.0.2:81");
    moving = "";
    ck_assert_int_eq(upstream_resolver_look_up(&backend, found, &count, &error),
                     STATUS_BACKEND_DOWN);
    ck_assert_ptr_nonnull(strstr(error.text, "moving"));
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
    tcase_add_test(tcase, other_addresses_move_the_generation_and_another_order_does_not);
    tcase_add_test(tcase, commands_look_up_alike_here_and_now);
    return check_main("upstream_resolver", tcase);
}
