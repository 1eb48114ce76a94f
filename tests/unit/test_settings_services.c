/* What must hold: a list of services that makes no sense is refused with the line, and what the
 * file says is what the proxy gets. */
#include <stdio.h>
#include <unistd.h>

#include "app/settings_file.h"
#include "app/settings_services.h"
#include "support/check_main.h"

static struct settings              settings;
static struct proxy_service_options room[PROXY_SERVICES_MAX];
static char                         path[] = "/tmp/test_settings_services.XXXXXX";

static void setup(void)
{
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void teardown(void)
{
    unlink(path);
    strcpy(path + strlen(path) - 6, "XXXXXX");
}

/* Read the file and check what it says. */
static enum status check_text(const char *text, struct error *error)
{
    FILE       *file = fopen(path, "w");
    enum status status;

    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
    settings_init(&settings);
    status = settings_file_load(&settings, path, error);
    return status == STATUS_OK ? settings_services_check(&settings, error) : status;
}

#define TRUSTED "listen: {trusted_proxies: 10.0.0.1}\n"

static const struct {
    const char *text, *complaint, *line;
} refused[] = {
    {"services:\n  - {name: a, rate: 1/s}\n", "services.a needs something to be recognised by",
     ":2)"},
    {"services:\n  - {name: default, match: {unix_uid: 1}}\n",
     "services.default is all that belong to no other service, so it has no match", ":2)"},
    {TRUSTED "services:\n  - {name: a, match: {header: b}}\n",
     "services.a.match.header is written as NAME: VALUE", ":3)"},
    {TRUSTED "services:\n  - {name: a, match: {header: 'b:'}}\n", "written as NAME: VALUE", ":3)"},
    {TRUSTED "services:\n  - {name: a, match: {header: ': c'}}\n", "written as NAME: VALUE", ""},
    {TRUSTED "services:\n  - {name: a, match: {header: 'x y: c'}}\n", "written as NAME: VALUE", ""},
    {TRUSTED "services:\n  - {name: a, match: {header: 'Host: c'}}\n", "belongs to each message",
     ""},
    {"services:\n  - name: a\n    match:\n      header: 'b: c'\n",
     "services.a.match.header is believed from listen.trusted_proxies only, and there are none",
     ":4)"},
    {TRUSTED "services:\n  - {name: a, match: {header: 'b: c'}}\n"
             "  - {name: d, match: {header: 'B:  c '}}\n",
     "services.d.match.header says what that of a says", ":4)"},
    {"services:\n  - {name: a, match: {addresses: [10.1.0.0/16, '::1']}}\n"
     "  - {name: b, match: {addresses: ['::1']}}\n",
     "services.b.match.addresses says what that of a says", ":3)"},
    {"services:\n  - {name: a, match: {unix_uid: 7}}\n  - {name: b, match: {unix_uid: [1, 7]}}\n",
     "services.b.match.unix_uid says what that of a says", ":3)"},
    {"services:\n  - {name: a, match: {addresses: [10.1.0.1/16]}}\n",
     "services.match.addresses: '10.1.0.1/16' is no IP address and no range of them", ":2:34:"},
    {"services:\n  - {name: a, keys: [x]}\n  - {name: b, keys: [y, x]}\n",
     "services.b.keys says what that of a says", ":3)"},
    {"services:\n  - {name: a, keys: [x y]}\n", "services.keys: 'x y' is not a name", ""},
    {"services:\n  - {name: a, match: {unix_uid: root}}\n",
     "services.match.unix_uid: 'root' is not the number of a user", ":2:33:"},
    {"services:\n  - {name: a, match: {unix_uid: 4294967295}}\n", "is not the number of a user",
     ""},
    {"services:\n  - {name: a, rate: 50}\n", "services.rate: '50' is not allowed", ":2:21:"},
    {"services:\n  - {name: a, rate: 200us/s}\n", "services.rate: '200us/s' is not allowed", ""},
    {"services:\n  - {name: a, rate: 2m/s}\n", "services.rate: '2m/s' is not allowed", ""},
    {"services:\n  - {name: a, rate: 1000001/s}\n", "is not allowed", ""},
    {"services:\n  - {name: a, rate: 1001s/s}\n", "is not allowed", ""},
    {"services:\n  - {name: a, bytes_rate: 10MiB}\n", "services.bytes_rate: '10MiB'", ""},
    {"services:\n  - {name: a, bytes_rate: 10/s}\n", "services.bytes_rate: '10/s'", ""},
    {"services:\n  - {name: a, over: drop}\n", "write refuse|delay|shadow", ""},
    {"services:\n  - {name: a, priority: 4}\n", "services.priority: '4' is not allowed", ""},
};

START_TEST(what_makes_no_sense_is_refused_with_its_line)
{
    struct error error;

    ck_assert_int_eq(check_text(refused[_i].text, &error), STATUS_INVALID);
    ck_assert_msg(strstr(error.text, refused[_i].complaint) != NULL, "%s", error.text);
    ck_assert_msg(strstr(error.text, refused[_i].line) != NULL, "%s", error.text);
}
END_TEST

START_TEST(the_proxy_gets_what_the_file_says)
{
    struct proxy_services_options options;
    struct error                  error;
    char                          text[SETTINGS_VALUE_SIZE];

    ck_assert_msg(check_text("listen: {trusted_proxies: ['::1', 10.0.0.0/8]}\n"
                             "queue: {wait_max: 7s}\n"
                             "services:\n"
                             "  - name: chat\n"
                             "    match: {header: 'X-Service:  chat ', addresses: 10.1.0.0/16,"
                             " unix_uid: [1001, 0]}\n"
                             "    keys: [chat-1, chat-2]\n"
                             "    weight: 4\n"
                             "    priority: 0\n"
                             "    rate: 200ms/s\n"
                             "    burst: 500\n"
                             "    over: delay\n"
                             "    concurrency_max: 8\n"
                             "    bytes_rate: 10MiB/s\n"
                             "    collection: {concurrency_reads_max: 10,"
                             " concurrency_writes_max: 11, batch_records_max: 300}\n"
                             "  - {name: default, rate: 50/s}\n",
                             &error) == STATUS_OK,
                  "%s", error.text);
    options = settings_services_options(&settings, room);
    ck_assert_uint_eq(options.count, 2);
    ck_assert_uint_eq(options.trusted_count, 2);
    ck_assert_uint_eq(options.delay_max_us, 7000000);
    ck_assert_str_eq(room[0].name, "chat");
    ck_assert_uint_eq(room[0].key_count, 2);
    ck_assert_str_eq(room[0].keys[1], "chat-2");
    ck_assert(bytes_equal(room[0].field_name, bytes_of("X-Service")));
    ck_assert(bytes_equal(room[0].field_value, bytes_of("chat")));
    ck_assert_uint_eq(room[0].network_count, 1);
    ck_assert_uint_eq(room[0].uid_count, 2);
    ck_assert_uint_eq(room[0].uids[0], 1001);
    ck_assert_uint_eq(room[0].weight, 4);
    ck_assert_uint_eq(room[0].priority, 0);
    ck_assert_uint_eq(room[0].rate, 200000);
    ck_assert_uint_eq(room[0].burst, 500000);
    ck_assert(room[0].is_rate_in_time);
    ck_assert_int_eq(room[0].over, RATE_LIMIT_DELAY);
    ck_assert_uint_eq(room[0].concurrency_max, 8);
    ck_assert_uint_eq(room[0].bytes_rate, 10 << 20);
    ck_assert_uint_eq(room[0].collection_reads_max, 10);
    ck_assert_uint_eq(room[0].collection_writes_max, 11);
    ck_assert_uint_eq(room[0].batch_records_max, 300);
    ck_assert_uint_eq(room[1].rate, 50);
    ck_assert_uint_eq(room[1].burst, 50);
    ck_assert(!room[1].is_rate_in_time);
    ck_assert_int_eq(room[1].over, RATE_LIMIT_REFUSE);
    ck_assert_str_eq(settings_print(&settings, SETTINGS_ID_listen_trusted_proxies, text),
                     "::1,10.0.0.0/8");
    ck_assert_str_eq(settings_table_print(settings_table(SETTINGS_TABLE_services),
                                          &settings.services[0],
                                          SETTINGS_COLUMN_services_match_unix_uid, text),
                     "1001,0");
    ck_assert_str_eq(settings_table_print(settings_table(SETTINGS_TABLE_services),
                                          &settings.services[0], SETTINGS_COLUMN_services_rate,
                                          text),
                     "200ms/s");
    ck_assert_str_eq(settings_table_print(settings_table(SETTINGS_TABLE_services),
                                          &settings.services[0],
                                          SETTINGS_COLUMN_services_bytes_rate, text),
                     "10MiB/s");
}
END_TEST

/* Whatever can be set, the policy takes. */
START_TEST(the_largest_limits_are_limits)
{
    struct rate_limit         limit = {0};
    struct rate_limit_options options = {0};
    uint64_t                  wait_us;

    ck_assert_int_eq(check_text("services:\n"
                                "  - {name: default, rate: 1000000ms/s, burst: 1000000000,"
                                " bytes_rate: 1024GiB/s}\n",
                                NULL),
                     STATUS_OK);
    ck_assert_uint_eq(settings_services_options(&settings, room).count, 1);
    options.rate = room[0].rate;
    options.burst = room[0].burst;
    rate_limit_set_options(&limit, &options, 1);
    ck_assert_int_eq(rate_limit_take(&limit, options.burst, 1, &wait_us), STATUS_OK);
    ck_assert_int_eq(rate_limit_take(&limit, 1000, 1, &wait_us), STATUS_LIMIT_REACHED);
    options.rate = options.burst = room[0].bytes_rate;
    limit = (struct rate_limit){0};
    rate_limit_set_options(&limit, &options, 1);
    ck_assert_int_eq(rate_limit_take(&limit, options.burst, 1, &wait_us), STATUS_OK);
    ck_assert_int_eq(rate_limit_take(&limit, options.burst, 1, &wait_us), STATUS_LIMIT_REACHED);
    ck_assert_uint_eq(wait_us, 1000000);
}
END_TEST

START_TEST(without_a_list_there_are_none)
{
    ck_assert_int_eq(check_text("services:\n", NULL), STATUS_OK);
    ck_assert_uint_eq(settings_services_options(&settings, room).count, 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("settings_services");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, what_makes_no_sense_is_refused_with_its_line, 0, COUNT_OF(refused));
    tcase_add_test(tcase, the_proxy_gets_what_the_file_says);
    tcase_add_test(tcase, the_largest_limits_are_limits);
    tcase_add_test(tcase, without_a_list_there_are_none);
    return check_main("settings_services", tcase);
}
