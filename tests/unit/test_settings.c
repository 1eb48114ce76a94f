/* What must hold: the table is consistent, a bad value names the setting, says what is allowed and
 * changes nothing, every value can be printed and read back, and settings that do not fit each
 * other or the machine are found before anything starts. */
#include <stdio.h>

#include "app/settings.h"
#include "support/check_main.h"

static const struct settings_origin from_flag = {.source = SETTINGS_FLAG};
static const struct machine         big = {
            .memory_bytes = (uint64_t)8 << 30, .cpus = 4, .descriptors_max = 1 << 20};

static const struct {
    const char *key, *text, *complaint;
} refused[] = {
    {"backend.connections_max", "0", "backend.connections_max: '0' is not allowed; write 1..65535"},
    {"backend.connections_max", "65536", "is not allowed; write 1..65535, such as 64"},
    {"backend.connections_max", "-1", "is not allowed"},
    {"backend.connections_max", "1e3", "is not allowed"},
    {"backend.connections_max", "auto", "is not allowed"},
    {"backend.connections_max", "", "'' is not allowed"},
    {"backend.connect_timeout", "5", "'5' is not allowed; write 10ms..5m, such as 5s"},
    {"backend.connect_timeout", "6m", "'6m' is not allowed"},
    {"body_max", "40MB", "'40MB' is not allowed; write auto, or 1KiB..4GiB"},
    {"workers", "0", "'0' is not allowed; write auto, or 1..256"},
    {"reads.limit", "0", "'0' is not allowed; write none, adaptive, or 1..65535, such as none"},
    {"reads.limit", "auto", "'auto' is not allowed"},
    {"overload", "refuse", "'refuse' is not allowed; write wait|shed"},
    {"role", "Sidecar", "'Sidecar' is not allowed; write sidecar|gateway"},
    {"role", "", "'' is not allowed"},
    {"role", "sidecar|gateway", "is not allowed"},
    {"headers", "true", "headers: 'true' is not allowed; write off|on"},
    {"backend.url", "https://chroma", "backend.url: 'https://chroma': https is not supported"},
    {"listen.address", "", "listen.address: '': the host is missing"},
    {"listen.address", "127.0.0.1:1,,127.0.0.1:2", "the host is missing"},
    {"listen.address", "a:1,a:2,a:3,a:4,a:5,a:6,a:7,a:8,a:9", "at most 8 addresses"},
    {"listen.trusted_proxies", "10.0.0.1,,::1", "'' is no IP address"},
    {"listen.trusted_proxies", "proxy", "'proxy' is no IP address and no range of them"},
    {"guard.collections", "docs,,x", "'' is no pattern; write NAME or TENANT/DATABASE/NAME"},
    {"guard.collections", "main/docs", "'main/docs' is no pattern"},
    {"guard.records_max", "none", "'none' is not allowed"},
    {"status.address", "none", "'none': a port is missing"},
    {"writes.coalesce", "yes", "writes.coalesce: 'yes' is not allowed; write true or false"},
    {"writes.coalesce", "1", "write true or false"},
    {"log.file", "a\nb", "log.file: a control character"},
    {"control.path", "here", "control.path: 'here' is not allowed; write auto, off or /PATH of at"},
    {"control.path", "", "control.path: '' is not allowed"},
    {"control.path", "/\n", "control.path: a control character"},
    {"log.file", "\xff", "invalid UTF-8"},
};

static const struct {
    const char *key, *text, *canonical;
} accepted[] = {
    {"role", "gateway", "gateway"},
    {"headers", "off", "off"},
    {"body_max", "auto", "auto"},
    {"body_max", "1024KiB", "1MiB"},
    {"workers", "7", "7"},
    {"reads.limit", "none", "none"},
    {"reads.limit", "adaptive", "adaptive"},
    {"reads.limit", "12", "12"},
    {"overload", "shed", "shed"},
    {"drain.timeout", "0s", "0s"},
    {"queue.wait_max", "1500ms", "1500ms"},
    {"backend.url", "http://chroma", "http://chroma:80"},
    {"status.address", "off", "off"},
    {"status.address", "[::1]:0", "[::1]:0"},
    {"listen.address", "127.0.0.1:1, unix:/a", "127.0.0.1:1,unix:/a"},
    {"listen.trusted_proxies", "", ""},
    {"listen.trusted_proxies", "10.0.0.0/8, ::1", "10.0.0.0/8,::1"},
    {"guard.collections", "", ""},
    {"guard.collections", "docs, t/d/x*", "docs, t/d/x*"},
    {"writes.coalesce", "false", "false"},
    {"writes.split_oversize", "true", "true"},
    {"log.file", "/var/log/x.log", "/var/log/x.log"},
    {"log.file", "", ""},
    {"control.path", "/run/x.sock", "/run/x.sock"},
    {"control.path", "off", "off"},
};

static const struct {
    const char *key, *suggestion;
} misspelt[] = {
    {"backend.ulr", "did you mean backend.url?"},
    {"backnd.url", "did you mean backend.url?"},
    {"backnd", "did you mean backend?"},
    {"url", "did you mean backend.url?"},
    {"mirror", "'mirror' is a section; say which of its settings"},
    {"services", "'services' is a list; write services.NAME.SETTING, or a settings file"},
    {"queue.connect_timeout", "did you mean backend.connect_timeout?"},
    {"Role", "did you mean role?"},
    {"listen-address", "did you mean listen.address?"},
    {"colour", "`chromabouncer config init` prints all"},
    {"", "`chromabouncer config init` prints all"},
};

static const struct {
    const char *keys[2], *texts[2], *complaint;
} conflicts[] = {
    {{"mirror.directory", NULL}, {"here", NULL}, "mirror.directory is a path that begins with /"},
    {{"listen.address", "backend.url"}, {"127.0.0.1:8000", NULL}, "the proxy would call itself"},
    {{"listen.address"}, {"127.0.0.1:9901"}, "status.address and listen.address are both"},
    {{"listen.address"}, {"unix:/a,unix:/a"}, "listen.address names unix:/a twice"},
    {{"memory_max"}, {"16MiB"}, "memory_max (16MiB) must hold one body of body_max (40MiB)"},
    {{"memory_max", "queue.bytes_max"}, {"64MiB", "65MiB"}, "queue.bytes_max (65MiB) is above"},
    {{"listen.connections_max"}, {"1048576"}, "the hard limit is 1048576"},
};

static struct settings settings; /* too large for comfort on the stack */

static enum status set(const char *key, const char *text, struct error *error)
{
    return settings_set(&settings, settings_find(bytes_of(key)), bytes_of(text), from_flag, error);
}

START_TEST(keys_follow_the_rules_that_generate_names)
{
    static const char *const fields[] = {
#define SETTING(field, key, kind, def, min, max, when, flag, help) #field,
#include "app/settings.def"
#undef SETTING
    };

    for (enum settings_id id = 0; id < SETTINGS_COUNT; id++) {
        const struct settings_row *row = settings_row(id);
        char                       key[SETTINGS_KEY_SIZE];

        ck_assert_uint_lt(strlen(row->key), sizeof key);
        ck_assert_uint_eq(strspn(row->key, "abcdefghijklmnopqrstuvwxyz_."), strlen(row->key));
        ck_assert_ptr_null(strstr(row->key, "__"));
        strcpy(key, row->key);
        for (char *dot = key; (dot = strchr(dot, '.')) != NULL;)
            *dot = '_';
        ck_assert_str_eq(key, fields[id]);
        ck_assert_int_eq(row->help[strlen(row->help) - 1], '.');
        for (enum settings_id other = 0; other < id; other++)
            ck_assert_str_ne(row->key, settings_row(other)->key);
        ck_assert(!settings_is_section(bytes_of(row->key)));
    }
}
END_TEST

START_TEST(defaults_are_what_the_documents_say)
{
    settings_init(&settings);
    ck_assert_int_eq(settings.role, SETTINGS_ROLE_SIDECAR);
    ck_assert_int_eq(settings.headers, SETTINGS_HEADERS_ON);
    ck_assert_str_eq(settings.backend_url.host, "127.0.0.1");
    ck_assert_uint_eq(settings.backend_url.port, 8000);
    ck_assert_uint_eq(settings.backend_connections_max, 64);
    ck_assert_uint_eq(settings.listen_address.count, 1);
    ck_assert_uint_eq(settings.listen_address.items[0].port, 8001);
    ck_assert_uint_eq(settings.listen_connections_max, 4096);
    ck_assert_uint_eq(settings.status_address.port, 9901);
    ck_assert_uint_eq(settings.queue_wait_max_us, 60000000);
    ck_assert_uint_eq(settings.queue_requests_max, 4096);
    ck_assert_uint_eq(settings.queue_bytes_max_bytes, 64 << 20);
    ck_assert_uint_eq(settings.deadline_read_us, 60000000);
    ck_assert_uint_eq(settings.deadline_write_us, 120000000);
    ck_assert_uint_eq(settings.drain_timeout_us, 25000000);
    ck_assert_uint_eq(settings.body_max_bytes, 0);
    ck_assert_int_eq(settings.log_level, SETTINGS_LOG_INFO);
    ck_assert_str_eq(settings.log_file, "");
    ck_assert_int_eq(settings_check(&settings, &big, NULL), STATUS_OK);
}
END_TEST

START_TEST(bad_value_is_explained_and_changes_nothing)
{
    enum settings_id id = settings_find(bytes_of(refused[_i].key));
    struct error     error;
    char             before[SETTINGS_VALUE_SIZE], after[SETTINGS_VALUE_SIZE];

    settings_init(&settings);
    settings_print(&settings, id, before);
    ck_assert_int_eq(set(refused[_i].key, refused[_i].text, &error), STATUS_INVALID);
    ck_assert_msg(strstr(error.text, refused[_i].complaint) != NULL, "%s", error.text);
    ck_assert_str_eq(settings_print(&settings, id, after), before);
    ck_assert_int_eq(settings.origins[id].source, SETTINGS_DEFAULT);
}
END_TEST

START_TEST(good_value_is_printed_so_that_it_can_be_read_back)
{
    enum settings_id id = settings_find(bytes_of(accepted[_i].key));
    char             text[SETTINGS_VALUE_SIZE];

    settings_init(&settings);
    ck_assert_int_eq(set(accepted[_i].key, accepted[_i].text, NULL), STATUS_OK);
    ck_assert_str_eq(settings_print(&settings, id, text), accepted[_i].canonical);
    ck_assert_int_eq(set(accepted[_i].key, text, NULL), STATUS_OK);
    ck_assert_str_eq(settings_print(&settings, id, text), accepted[_i].canonical);
    ck_assert_int_eq(settings.origins[id].source, SETTINGS_FLAG);
}
END_TEST

START_TEST(every_default_is_printed_as_it_stands_in_the_table)
{
    char text[SETTINGS_VALUE_SIZE];

    settings_init(&settings);
    for (enum settings_id id = 0; id < SETTINGS_COUNT; id++)
        ck_assert_str_eq(settings_print(&settings, id, text), settings_row(id)->def);
}
END_TEST

START_TEST(misspelt_key_is_recognised)
{
    struct error error;

    ck_assert_int_eq(settings_find(bytes_of(misspelt[_i].key)), SETTINGS_COUNT);
    ck_assert_int_eq(settings_unknown(bytes_of(misspelt[_i].key), &error), STATUS_INVALID);
    ck_assert_msg(strstr(error.text, misspelt[_i].suggestion) != NULL, "%s", error.text);
}
END_TEST

START_TEST(settings_that_do_not_fit_are_found)
{
    struct error error;

    settings_init(&settings);
    for (int i = 0; i < 2; i++)
        if (conflicts[_i].texts[i] != NULL)
            ck_assert_int_eq(set(conflicts[_i].keys[i], conflicts[_i].texts[i], NULL), STATUS_OK);
    ck_assert_int_eq(settings_check(&settings, &big, &error), STATUS_INVALID);
    ck_assert_msg(strstr(error.text, conflicts[_i].complaint) != NULL, "%s", error.text);
}
END_TEST

START_TEST(auto_becomes_a_number_that_fits_the_machine)
{
    struct machine container = {
        .memory_bytes = 256 << 20, .memory_limited = true, .cpus = 1, .descriptors_max = 1024};

    settings_init(&settings);
    ck_assert_int_eq(settings_check(&settings, &container, NULL), STATUS_OK);
    settings_resolve(&settings, &container);
    ck_assert_uint_eq(settings.memory_max_bytes, 128 << 20);
    ck_assert_uint_eq(settings.body_max_bytes, 0); /* it is the backend's */
    ck_assert_uint_eq(settings.workers, 1);
    ck_assert_uint_eq(settings.listen_connections_max, 1024 - 64 - 128);
    ck_assert_uint_eq(settings.queue_bytes_max_bytes, 64 << 20);

    settings_init(&settings);
    settings_resolve(&settings, &big);
    ck_assert_uint_eq(settings.memory_max_bytes, 1 << 30);
    ck_assert_uint_eq(settings.workers, 3);
    ck_assert_uint_eq(settings.listen_connections_max, 4096);
}
END_TEST

START_TEST(copies_take_half_of_the_budget_at_most)
{
    settings_init(&settings);
    ck_assert_int_eq(set("memory_max", "256MiB", NULL), STATUS_OK);
    ck_assert_uint_eq(settings_mirror_memory(&settings), 128 << 20);
    ck_assert_int_eq(set("memory_max", "64MiB", NULL), STATUS_OK);
    ck_assert_uint_eq(settings_mirror_memory(&settings), 32 << 20);
    ck_assert_int_eq(set("mirror.memory_max", "1MiB", NULL), STATUS_OK);
    ck_assert_uint_eq(settings_mirror_memory(&settings), 1 << 20);
}
END_TEST

START_TEST(a_sidecar_has_copies_for_fallback_only)
{
    settings_init(&settings);
    ck_assert_int_eq(set("mirror.mode", "prefer", NULL), STATUS_OK);
    ck_assert_ptr_nonnull(strstr(settings_mirror_meaning(&settings), "set role to gateway"));
    ck_assert_int_eq(set("role", "gateway", NULL), STATUS_OK);
    ck_assert_str_eq(settings_mirror_meaning(&settings), "whenever the copy is complete");
    ck_assert_int_eq(set("mirror.mode", "fallback", NULL), STATUS_OK);
    ck_assert_str_eq(settings_mirror_meaning(&settings), "while Chroma does not answer");
}
END_TEST

START_TEST(what_somebody_set_is_refused_not_lowered)
{
    struct machine small = big;
    struct error   error;

    small.descriptors_max = 1024;
    settings_init(&settings);
    ck_assert_int_eq(set("listen.connections_max", "2000", NULL), STATUS_OK);
    ck_assert_int_eq(settings_check(&settings, &small, &error), STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(error.text, "ulimit -Hn"));
}
END_TEST

START_TEST(variable_has_capitals_and_double_underscores)
{
    char text[SETTINGS_VARIABLE_SIZE];

    ck_assert_str_eq(settings_variable(SETTINGS_ID_backend_connections_max, text),
                     "CHROMABOUNCER_BACKEND__CONNECTIONS_MAX");
    ck_assert_str_eq(settings_variable(SETTINGS_ID_role, text), "CHROMABOUNCER_ROLE");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("settings");

    tcase_add_test(tcase, keys_follow_the_rules_that_generate_names);
    tcase_add_test(tcase, defaults_are_what_the_documents_say);
    tcase_add_loop_test(tcase, bad_value_is_explained_and_changes_nothing, 0, COUNT_OF(refused));
    tcase_add_loop_test(tcase, good_value_is_printed_so_that_it_can_be_read_back, 0,
                        COUNT_OF(accepted));
    tcase_add_test(tcase, every_default_is_printed_as_it_stands_in_the_table);
    tcase_add_loop_test(tcase, misspelt_key_is_recognised, 0, COUNT_OF(misspelt));
    tcase_add_loop_test(tcase, settings_that_do_not_fit_are_found, 0, COUNT_OF(conflicts));
    tcase_add_test(tcase, auto_becomes_a_number_that_fits_the_machine);
    tcase_add_test(tcase, copies_take_half_of_the_budget_at_most);
    tcase_add_test(tcase, a_sidecar_has_copies_for_fallback_only);
    tcase_add_test(tcase, what_somebody_set_is_refused_not_lowered);
    tcase_add_test(tcase, variable_has_capitals_and_double_underscores);
    return check_main("settings", tcase);
}
