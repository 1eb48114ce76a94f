/* What must hold: an error names file, line and column; what hides the meaning of a file is
 * refused; YAML's guesses about types never apply. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/settings_file.h"
#include "support/check_main.h"

static struct settings settings;
static char            path[64];

static enum status load(const char *text, size_t size, struct error *error)
{
    FILE *file;
    int   fd;

    strcpy(path, "/tmp/test_settings_file.XXXXXX");
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    file = fdopen(fd, "w");
    ck_assert_uint_eq(fwrite(text, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
    settings_init(&settings);
    return settings_file_load(&settings, path, error);
}

static void teardown(void)
{
    unlink(path);
}

static const struct {
    const char *text, *complaint;
} refused[] = {
    {"rol: sidecar\n", ":1:1: unknown setting 'rol'; did you mean role?"},
    {"backend:\n  ulr: x\n", ":2:3: unknown setting 'backend.ulr'; did you mean backend.url?"},
    {"backnd:\n  url: x\n", ":1:1: unknown setting 'backnd'; did you mean backend?"},
    {"backend:\n  pool:\n    url: x\n", ":2:3: unknown setting 'backend.pool'"},
    {"role: sidecar\nrole: gateway\n", ":2:1: role is set a second time"},
    {"role: sidecar\nbackend:\n  url: http://a\nbackend:\n  url: http://b\n",
     ":4:1: section backend is here a second time"},
    {"backend.url: http://a\nbackend: {url: http://b}\n", ":2:11: backend.url is set a second"},
    {"role: &a sidecar\n", ":1:7: anchors and aliases"},
    {"role: *a\n", ":1:7: anchors and aliases"},
    {"backend: &b {url: http://a}\n", ":1:10: anchors and aliases"},
    {"listen: {address: [&x 'a:1', *x]}\n", ":1:20: anchors and aliases"},
    {"&k role: sidecar\n", ":1:1: anchors and aliases"},
    {"<<: {role: gateway}\n", ":1:1: unknown setting '<<'"},
    {"role: !!str sidecar\n", ":1:7: tags (!) are not supported"},
    {"backend: !x {url: http://a}\n", ":1:10: tags (!)"},
    {"---\nrole: sidecar\n---\nrole: gateway\n", ":3:1: a second document"},
    {"writes: {coalesce: on}\n",
     ":1:20: writes.coalesce: 'on' is not allowed; write true or false"},
    {"headers: yes\n", ":1:10: headers: 'yes' is not allowed; write off|on"},
    {"backend: {connections_max: 1_000}\n", ":1:28: backend.connections_max: '1_000' is not"},
    {"backend: {connect_timeout: 10}\n", "'10' is not allowed; write 10ms..5m, such as 5s"},
    {"backend: {connections_max: [1]}\n", ":1:28: backend.connections_max takes one value, not a "
                                          "list"},
    {"backend: {connections_max: {a: 1}}\n", "takes one value, not a section"},
    {"backend: fast\n", ":1:10: backend is a section"},
    {"backend: [1]\n", ":1:10: backend is a section"},
    {"role:\n", "role has no value; put a # before the line"},
    {"role: ~\n", ":1:7: role has no value"},
    {"role: null\n", ":1:7: role has no value"},
    {"listen: {address: ['127.0.0.1:1', [a]]}\n", "listen.address takes a list of single values"},
    {"listen: {address: ['a:1,b:2']}\n", "listen.address takes a list of single values"},
    {"listen: {address: []}\n", ":1:19: listen.address: '': the host is missing"},
    {"guard: {collections: [docs, a/b]}\n", "guard.collections: 'a/b' is no pattern"},
    {"- role\n", ":1:1: settings must be written as `key: value`"},
    {"role\n", ":1:1: settings must be written as `key: value`"},
    {"? [a]\n: b\n", "a key must be a plain word"},
    {"role: \"side\\0car\"\n", ":1:7: role: 'side?car' is not allowed"},
    {"\"role\\0x\": sidecar\n", ":1:1: unknown setting 'role?x'"},
    {"role: sidecar\n\tbackend: x\n", ":2:1: "},
    {"role: 'sidecar\n", ":2:1: "},
    {"role: \x01\n", ":1:"},
    {"role: \xff\n", ":1:"},
    {"role: {\n", ": "},
};

static const char *const empty[] = {"",
                                    "\n",
                                    "# nothing\n",
                                    "---\n",
                                    "{}\n",
                                    "--- {}\n...\n",
                                    "~\n",
                                    "backend:\n  # url: http://a\nlisten:\n",
                                    "\xef\xbb\xbf"};

START_TEST(error_names_the_place)
{
    struct error error;
    char         want[300];

    ck_assert_int_eq(load(refused[_i].text, strlen(refused[_i].text), &error), STATUS_INVALID);
    ck_assert_msg(strncmp(error.text, path, strlen(path)) == 0, "%s", error.text);
    snprintf(want, sizeof want, "%s", refused[_i].complaint);
    ck_assert_msg(strstr(error.text, want) != NULL, "%s", error.text);
}
END_TEST

START_TEST(empty_file_says_nothing)
{
    ck_assert_int_eq(load(empty[_i], strlen(empty[_i]), NULL), STATUS_OK);
    for (enum settings_id id = 0; id < SETTINGS_COUNT; id++)
        ck_assert_int_eq(settings.origins[id].source, SETTINGS_DEFAULT);
}
END_TEST

START_TEST(values_are_read_with_their_lines)
{
    static const char text[] = "# a comment\n"
                               "role: \"gateway\"\n"
                               "headers: off\n"
                               "backend:\n"
                               "  url: http://chroma:8000   # not the default\n"
                               "  connections_max: 8\n"
                               "listen:\n"
                               "  address:\n"
                               "    - 127.0.0.1:1\n"
                               "    - unix:/run/x.sock\n"
                               "status: {address: off}\n"
                               "queue.wait_max: 90s\n"
                               "guard: {collections: [docs, 'prod-*']}\n"
                               "log: {file: ''}\n";
    char              origin[100], want[100];

    ck_assert_int_eq(load(text, sizeof text - 1, NULL), STATUS_OK);
    ck_assert_int_eq(settings.role, SETTINGS_ROLE_GATEWAY);
    ck_assert_int_eq(settings.headers, SETTINGS_HEADERS_OFF);
    ck_assert_str_eq(settings.backend_url.host, "chroma");
    ck_assert_uint_eq(settings.backend_connections_max, 8);
    ck_assert_uint_eq(settings.listen_address.count, 2);
    ck_assert_str_eq(settings.listen_address.items[1].path, "/run/x.sock");
    ck_assert_str_eq(settings.guard_collections, "docs,prod-*");
    ck_assert_int_eq(settings.status_address.kind, ADDRESS_NONE);
    ck_assert_uint_eq(settings.queue_wait_max_us, 90000000);
    snprintf(want, sizeof want, "%s:6", path);
    ck_assert_str_eq(settings_print_origin(&settings, SETTINGS_ID_backend_connections_max, origin,
                                           sizeof origin),
                     want);
    ck_assert_int_eq(settings.origins[SETTINGS_ID_log_file].source, SETTINGS_FILE);
    ck_assert_int_eq(settings.origins[SETTINGS_ID_workers].source, SETTINGS_DEFAULT);
}
END_TEST

START_TEST(size_is_bounded)
{
    size_t       size = 256 * 1024;
    char        *text = malloc(size + 1);
    struct error error;

    memset(text, '#', size + 1);
    ck_assert_int_eq(load(text, size, &error), STATUS_OK);
    teardown();
    ck_assert_int_eq(load(text, size + 1, &error), STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(error.text, "larger than 256KiB"));
    teardown();
    memset(text, '[', size);
    ck_assert_int_eq(load(text, size, &error), STATUS_INVALID);
    teardown();
    memcpy(text, "listen: {address: [", 19);
    memset(text + 19, 'a', size - 19);
    ck_assert_int_eq(load(text, size, &error), STATUS_INVALID);
    free(text);
}
END_TEST

START_TEST(file_that_cannot_be_read_is_told_apart)
{
    struct error error;

    settings_init(&settings);
    ck_assert_int_eq(settings_file_load(&settings, "/nonexistent/x.yaml", &error),
                     STATUS_NOT_FOUND);
    ck_assert_str_eq(error.text, "cannot read /nonexistent/x.yaml: No such file or directory");
    ck_assert_int_eq(settings_file_load(&settings, "/tmp", &error), STATUS_IO_FAILED);
}
END_TEST

START_TEST(long_path_leaves_room_for_the_error)
{
    struct error error;
    char         long_path[300] = "/tmp";

    while (strlen(long_path) < 200)
        strcat(long_path, "/../tmp");
    ck_assert_int_eq(load("rol: x\n", 7, &error), STATUS_INVALID);
    strcat(long_path, path + strlen("/tmp"));
    ck_assert_int_eq(settings_file_load(&settings, long_path, &error), STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(error.text, ":1:1: unknown setting 'rol'; did you mean role?"));
}
END_TEST

/* Read anew while running, it would hold the loop until somebody writes. */
START_TEST(a_pipe_is_refused_and_not_waited_for)
{
    struct error error;

    strcpy(path, "/tmp/test_settings_file.XXXXXX");
    ck_assert_int_ge(close(mkstemp(path)), 0);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    settings_init(&settings);
    ck_assert_int_eq(settings_file_load(&settings, path, &error), STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(error.text, "a pipe, not a file"));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("settings_file");

    tcase_add_checked_fixture(tcase, NULL, teardown);
    tcase_add_test(tcase, a_pipe_is_refused_and_not_waited_for);
    tcase_add_loop_test(tcase, error_names_the_place, 0, COUNT_OF(refused));
    tcase_add_loop_test(tcase, empty_file_says_nothing, 0, COUNT_OF(empty));
    tcase_add_test(tcase, values_are_read_with_their_lines);
    tcase_add_test(tcase, size_is_bounded);
    tcase_add_test(tcase, file_that_cannot_be_read_is_told_apart);
    tcase_add_test(tcase, long_path_leaves_room_for_the_error);
    return check_main("settings_file", tcase);
}
