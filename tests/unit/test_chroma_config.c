/* What must hold: a rewritten file says the same but for where it listens, a written one is what
 * was asked for, whatever its path holds. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "child/chroma_config.h"
#include "support/check_main.h"

static char                 folder[] = "/tmp/chroma_config.XXXXXX";
static struct chroma_config config;
static struct error         error;

static void setup(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
}

static void teardown(void)
{
    char command[64];

    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static enum status rewrite(const char *text)
{
    FILE *file = fopen("from", "w");

    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
    return chroma_config_rewrite("from", "to", 28765, &config, &error);
}

static const char *result(void)
{
    static char text[1024];
    FILE       *file = fopen("to", "r");

    ck_assert_ptr_nonnull(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

START_TEST(only_the_address_changes)
{
    ck_assert_int_eq(rewrite("# ours\nport: 8123\nallow_reset: true\nlisten_address: \"0.0.0.0\"\n"
                             "persist_path: './my data'\nopen_telemetry:\n  endpoint: http://x\n"
                             "cors: ['*', \"a\"]\n"),
                     STATUS_OK);
    ck_assert_str_eq(config.host, "0.0.0.0");
    ck_assert_uint_eq(config.port, 8123);
    ck_assert_str_eq(config.directory, "./my data");
    ck_assert_str_eq(result(), "allow_reset: true\npersist_path: './my data'\nopen_telemetry:\n"
                               "  endpoint: http://x\ncors: ['*', \"a\"]\nport: 28765\n"
                               "listen_address: \"127.0.0.1\"\n");
}
END_TEST

START_TEST(what_a_file_does_not_say_is_as_chroma_has_it)
{
    ck_assert_int_eq(rewrite(""), STATUS_OK);
    ck_assert_str_eq(config.host, "0.0.0.0");
    ck_assert_uint_eq(config.port, 8000);
    ck_assert_str_eq(config.directory, "./chroma");
    ck_assert_ptr_nonnull(strstr(result(), "port: 28765\nlisten_address: \"127.0.0.1\"\n"));
}
END_TEST

START_TEST(a_table_in_one_line_works_too)
{
    ck_assert_int_eq(rewrite("{\"port\": 1, \"persist_path\": \"x\"}"), STATUS_OK);
    ck_assert_str_eq(config.directory, "x");
    ck_assert_ptr_nonnull(strstr(result(), "\"persist_path\": \"x\""));
    ck_assert_ptr_nonnull(strstr(result(), "port: 28765"));
    ck_assert_ptr_null(strstr(result(), "\"port\""));
}
END_TEST

START_TEST(what_is_no_configuration_is_refused)
{
    ck_assert_int_eq(rewrite("port: [\n"), STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(error.text, "from:"));
    ck_assert_int_eq(rewrite("- a\n- b\n"), STATUS_INVALID);
    ck_assert_int_eq(rewrite("port: none\n"), STATUS_INVALID);
    ck_assert_int_eq(chroma_config_rewrite("absent", "to", 1, &config, &error), STATUS_NOT_FOUND);
    ck_assert_int_eq(rewrite("port: 1\n"), STATUS_OK);
    ck_assert_int_eq(chroma_config_rewrite("from", "no/such/folder", 1, &config, &error),
                     STATUS_IO_FAILED);
}
END_TEST

START_TEST(a_new_file_is_for_its_owner_and_holds_any_path)
{
    struct stat status;

    ck_assert_int_eq(chroma_config_write("to", "/a \"b\"\\c\n#'d", 28765, 1 << 30, true, &error),
                     STATUS_OK);
    ck_assert_int_eq(stat("to", &status), 0);
    ck_assert_int_eq(status.st_mode & 0777, 0600);
    ck_assert_ptr_nonnull(strstr(result(), "max_payload_size_bytes: 1073741824\n"));
    ck_assert_ptr_nonnull(strstr(result(), "allow_reset: true\n"));
    ck_assert_int_eq(chroma_config_rewrite("to", "again", 1, &config, &error), STATUS_OK);
    ck_assert_str_eq(config.directory, "/a \"b\"\\c\n#'d");
    ck_assert_str_eq(config.host, "127.0.0.1");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("chroma_config");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, only_the_address_changes);
    tcase_add_test(tcase, what_a_file_does_not_say_is_as_chroma_has_it);
    tcase_add_test(tcase, a_table_in_one_line_works_too);
    tcase_add_test(tcase, what_is_no_configuration_is_refused);
    tcase_add_test(tcase, a_new_file_is_for_its_owner_and_holds_any_path);
    return check_main("chroma_config", tcase);
}
