/* What must hold: default < file < environment < command line; a variable of ours that is no
 * setting is an error, one of Kubernetes is not; a reload takes all or nothing. */
#include <stdio.h>
#include <unistd.h>

#include "app/settings_sources.h"
#include "support/check_main.h"

static const struct machine machine = {
    .memory_bytes = (uint64_t)8 << 30, .cpus = 4, .descriptors_max = 1 << 20};
static struct settings settings;
static char            path[64];
static char            changes[1000];

static void write_file(const char *text)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static void setup(void)
{
    strcpy(path, "/tmp/test_settings_sources.XXXXXX");
    ck_assert_int_eq(close(mkstemp(path)), 0);
    changes[0] = '\0';
}

static void teardown(void)
{
    unlink(path);
}

static void note_change(void *ctx, const char *key, const char *from, const char *to, bool live)
{
    size_t used = strlen(changes);

    (void)ctx;
    snprintf(changes + used, sizeof changes - used, "%s:%s>%s%s;", key, from, to, live ? "" : "!");
}

START_TEST(later_source_wins_and_is_remembered)
{
    const char *environment[] = {"PATH=/bin", "CHROMABOUNCER_BACKEND__CONNECTIONS_MAX=20",
                                 "CHROMABOUNCER_QUEUE__REQUESTS_MAX=20", NULL};
    struct settings_sources sources = {.file = path, .environment = environment};
    char                    text[100];

    write_file("backend: {connections_max: 10}\nqueue: {requests_max: 10}\nworkers: 10\n");
    ck_assert_int_eq(
        settings_sources_assign(&sources, BYTES_LITERAL("queue.requests_max"), "30", NULL),
        STATUS_OK);
    ck_assert_int_eq(settings_sources_load(&sources, &settings, NULL), STATUS_OK);
    ck_assert_uint_eq(settings.workers, 10);
    ck_assert_uint_eq(settings.backend_connections_max, 20);
    ck_assert_uint_eq(settings.queue_requests_max, 30);
    ck_assert_str_eq(
        settings_print_origin(&settings, SETTINGS_ID_backend_connections_max, text, sizeof text),
        "environment CHROMABOUNCER_BACKEND__CONNECTIONS_MAX");
    ck_assert_str_eq(
        settings_print_origin(&settings, SETTINGS_ID_queue_requests_max, text, sizeof text),
        "command line");
    ck_assert_str_eq(settings_print_origin(&settings, SETTINGS_ID_role, text, sizeof text),
                     "default");
}
END_TEST

static const struct {
    const char *variable, *complaint;
} refused[] = {
    {"CHROMABOUNCER_BACKEND_URL=x", "did you mean CHROMABOUNCER_BACKEND__URL?"},
    {"CHROMABOUNCER_BACKEND_ULR=x", "unknown 'CHROMABOUNCER_BACKEND_ULR'; did you mean"},
    {"CHROMABOUNCER_ROEL=gateway", "did you mean CHROMABOUNCER_ROLE?"},
    {"CHROMABOUNCER_role=gateway", "unknown 'CHROMABOUNCER_role'; did you mean CHROMABOUNCER_ROLE"},
    {"CHROMABOUNCER_QUEUE_WAIT_MAX=1s", "did you mean CHROMABOUNCER_QUEUE__WAIT_MAX?"},
    {"CHROMABOUNCER_ROLE=boss", "environment CHROMABOUNCER_ROLE: role: 'boss' is not allowed"},
    {"CHROMABOUNCER_BACKEND__URL=", "environment CHROMABOUNCER_BACKEND__URL: backend.url: ''"},
};

START_TEST(variable_of_ours_must_be_right)
{
    const char             *environment[] = {refused[_i].variable, NULL};
    struct settings_sources sources = {.environment = environment};
    struct error            error;

    ck_assert_int_eq(settings_sources_load(&sources, &settings, &error), STATUS_INVALID);
    ck_assert_msg(strstr(error.text, refused[_i].complaint) != NULL, "%s", error.text);
}
END_TEST

START_TEST(variables_of_kubernetes_and_others_are_left_alone)
{
    const char             *environment[] = {"CHROMABOUNCER_SERVICE_HOST=10.0.0.1",
                                             "CHROMABOUNCER_SERVICE_PORT=8001",
                                             "CHROMABOUNCER_SERVICE_PORT_HTTP=8001",
                                             "CHROMABOUNCER_PORT=tcp://10.0.0.1:8001",
                                             "CHROMABOUNCER_PORT_8001_TCP=tcp://10.0.0.1:8001",
                                             "CHROMABOUNCER_PORT_8001_TCP_ADDR=10.0.0.1",
                                             "CHROMABOUNCER_STATUS_SERVICE_HOST=10.0.0.1",
                                             "CHROMABOUNCER_STATUS_PORT_9901_TCP_PROTO=tcp",
                                             "CHROMABOUNCERX=1",
                                             "chromabouncer_role=boss",
                                             "CHROMABOUNCER_ROLE",
                                             NULL};
    struct settings_sources sources = {.environment = environment};

    ck_assert_int_eq(settings_sources_load(&sources, &settings, NULL), STATUS_OK);
}
END_TEST

static char unknown[400];

static void note_unknown(void *ctx, struct bytes name)
{
    size_t used = strlen(unknown);

    ck_assert_ptr_eq(ctx, unknown);
    snprintf(unknown + used, sizeof unknown - used, "%.*s;", (int)name.size, name.data);
}

/* Images and platforms set such: they must not keep the program from starting. */
START_TEST(variable_of_somebody_else_is_told_but_does_not_stop)
{
    const char             *environment[] = {"CHROMABOUNCER_HOME=/opt",
                                             "CHROMABOUNCER_IMAGE=x:1",
                                             "CHROMABOUNCER_=1",
                                             "CHROMABOUNCER_ROLE=gateway",
                                             "CHROMABOUNCER_ROEL=x",
                                             "CHROMABOUNCER_PORT=tcp://10.0.0.1:8001",
                                             "CHROMABOUNCER_CONFIG=",
                                             "CHROMABOUNCERX=1",
                                             "CHROMABOUNCER_GIT_SHA=",
                                             "CHROMABOUNCER_WRAP=/run/x/wrap",
                                             "CHROMABOUNCER_CHILD_OF=1",
                                             "CHROMABOUNCER_WRAP_STRICT=1",
                                             NULL};
    struct settings_sources sources = {.environment = environment};

    unknown[0] = '\0';
    settings_sources_each_unknown(&sources, note_unknown, unknown);
    ck_assert_str_eq(unknown, "CHROMABOUNCER_HOME;CHROMABOUNCER_IMAGE;CHROMABOUNCER_;"
                              "CHROMABOUNCER_GIT_SHA;");
    environment[4] = "CHROMABOUNCER_VERSION=1";
    ck_assert_int_eq(settings_sources_load(&sources, &settings, NULL), STATUS_OK);
    ck_assert_int_eq(settings.role, SETTINGS_ROLE_GATEWAY);
}
END_TEST

START_TEST(file_is_named_by_flag_before_environment)
{
    char                    variable[100];
    const char             *environment[] = {variable, NULL};
    struct settings_sources sources = {.environment = environment};

    snprintf(variable, sizeof variable, "CHROMABOUNCER_CONFIG=%s", path);
    write_file("role: gateway\n");
    ck_assert_int_eq(settings_sources_load(&sources, &settings, NULL), STATUS_OK);
    ck_assert_int_eq(settings.role, SETTINGS_ROLE_GATEWAY);
    sources.file = "/nonexistent.yaml";
    ck_assert_int_eq(settings_sources_load(&sources, &settings, NULL), STATUS_NOT_FOUND);
    strcpy(variable, "CHROMABOUNCER_CONFIG=");
    sources.file = NULL;
    ck_assert_int_eq(settings_sources_load(&sources, &settings, NULL), STATUS_OK);
    ck_assert_int_eq(settings.role, SETTINGS_ROLE_SIDECAR);
}
END_TEST

START_TEST(command_line_is_checked_at_once)
{
    struct settings_sources sources = {0};
    struct error            error;

    ck_assert_int_eq(settings_sources_assign(&sources, BYTES_LITERAL("role"), "boss", &error),
                     STATUS_INVALID);
    ck_assert_int_eq(settings_sources_assign(&sources, BYTES_LITERAL("role"), "gateway", &error),
                     STATUS_OK);
    ck_assert_int_eq(settings_sources_assign(&sources, BYTES_LITERAL("role"), "sidecar", &error),
                     STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(error.text, "role is given twice"));
    ck_assert_int_eq(settings_sources_assign(&sources, BYTES_LITERAL("rle"), "x", &error),
                     STATUS_INVALID);
    ck_assert_str_eq(error.text, "unknown setting 'rle'; did you mean role?");
}
END_TEST

static void start_with(const char *text, struct settings_sources *ret_sources)
{
    *ret_sources = (struct settings_sources){.file = path};
    write_file(text);
    ck_assert_int_eq(settings_sources_load(ret_sources, &settings, NULL), STATUS_OK);
    settings_resolve(&settings, &machine);
}

static enum status reload(const struct settings_sources *sources, const char *text,
                          struct error *error)
{
    write_file(text);
    return settings_sources_reload(sources, &machine, &settings, error, note_change, NULL);
}

START_TEST(reload_applies_what_may_change_and_keeps_the_rest)
{
    struct settings_sources sources;

    start_with("queue: {wait_max: 10s}\nbackend: {url: http://a:1}\n", &sources);
    ck_assert_int_eq(reload(&sources, "queue: {wait_max: 20s}\nbackend: {url: http://b:1}\n", NULL),
                     STATUS_OK);
    ck_assert_uint_eq(settings.queue_wait_max_us, 20000000);
    ck_assert_str_eq(settings.backend_url.host, "a");
    ck_assert_str_eq(changes, "backend.url:http://a:1>http://b:1!;queue.wait_max:10s>20s;");
}
END_TEST

START_TEST(bad_file_keeps_the_old_settings)
{
    struct settings_sources sources;
    struct error            error;

    start_with("queue: {wait_max: 10s}\n", &sources);
    ck_assert_int_eq(reload(&sources, "queue: {wait_max: 20s}\nworkers: many\n", &error),
                     STATUS_INVALID);
    ck_assert_int_eq(reload(&sources, "queue: {wait_max: 20s}\nmemory_max: 16MiB\n", &error),
                     STATUS_INVALID);
    ck_assert_uint_eq(settings.queue_wait_max_us, 10000000);
    ck_assert_str_eq(changes, "");
}
END_TEST

/* What starts together must fit together, whatever half of the file may change. */
START_TEST(a_reload_does_not_mix_what_start_refuses)
{
    struct settings_sources sources;
    struct error            error;

    start_with("memory_max: 48MiB\nqueue: {bytes_max: 16MiB}\n", &sources);
    ck_assert_int_eq(reload(&sources, "memory_max: 400MiB\nqueue: {bytes_max: 200MiB}\n", &error),
                     STATUS_INVALID);
    ck_assert_msg(strstr(error.text, "above memory_max (48MiB)") != NULL, "%s", error.text);
    ck_assert_uint_eq(settings.queue_bytes_max_bytes, 16u << 20);
    ck_assert_str_eq(changes, "");
}
END_TEST

START_TEST(a_single_change_does_not_either)
{
    struct settings_sources sources;
    struct error            error;

    start_with("memory_max: 48MiB\n", &sources);
    ck_assert_int_eq(settings_sources_change(&machine, &settings, BYTES_LITERAL("body_max"),
                                             BYTES_LITERAL("100MiB"), &error, NULL, NULL),
                     STATUS_INVALID);
    ck_assert_msg(strstr(error.text, "must hold one body of body_max (100MiB)") != NULL, "%s",
                  error.text);
    ck_assert_uint_eq(settings.memory_max_bytes, 48u << 20);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("settings_sources");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, later_source_wins_and_is_remembered);
    tcase_add_loop_test(tcase, variable_of_ours_must_be_right, 0, COUNT_OF(refused));
    tcase_add_test(tcase, variables_of_kubernetes_and_others_are_left_alone);
    tcase_add_test(tcase, variable_of_somebody_else_is_told_but_does_not_stop);
    tcase_add_test(tcase, file_is_named_by_flag_before_environment);
    tcase_add_test(tcase, command_line_is_checked_at_once);
    tcase_add_test(tcase, reload_applies_what_may_change_and_keeps_the_rest);
    tcase_add_test(tcase, bad_file_keeps_the_old_settings);
    tcase_add_test(tcase, a_reload_does_not_mix_what_start_refuses);
    tcase_add_test(tcase, a_single_change_does_not_either);
    return check_main("settings_sources", tcase);
}
