/* What must hold: whatever form a command has, it listens on our port afterwards, everything else
 * of it stays, and where it would have listened and what it uses is known. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "child/chroma_command.h"
#include "support/check_main.h"

static char                  folder[] = "/tmp/chroma_command.XXXXXX";
static struct chroma_command command;
static struct error          error;

static void setup(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
}

static void teardown(void)
{
    char text[64];

    chroma_command_done(&command);
    snprintf(text, sizeof text, "rm -rf %s", folder);
    ck_assert_int_eq(system(text), 0);
}

/* `line` is split at its blanks. */
static enum status make(const char *line)
{
    static char text[512];
    char       *words[32];
    int         count = 0;

    chroma_command_done(&command);
    snprintf(text, sizeof text, "%s", line);
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " "))
        words[count++] = word;
    return chroma_command_make(count, words, 28765, "ours.yaml", &command, &error);
}

static const char *made(void)
{
    static char text[1024];

    text[0] = '\0';
    for (size_t i = 0; command.arguments[i] != NULL; i++)
        sprintf(text + strlen(text), "%s%s", i == 0 ? "" : " ", command.arguments[i]);
    return text;
}

START_TEST(host_and_port_are_ours_and_the_rest_stays)
{
    static const struct {
        const char *line, *made, *host, *directory;
        unsigned    port;
    } cases[] = {
        {"chroma run --path ./db", "chroma run --path ./db --host 127.0.0.1 --port 28765",
         "localhost", "./db", 8000},
        {"chroma run --host 0.0.0.0 --path=/x --port=9000",
         "chroma run --path /x --host 127.0.0.1 --port 28765", "0.0.0.0", "/x", 9000},
        {"/opt/bin/chroma run --port 1 --host=::1",
         "/opt/bin/chroma run --host 127.0.0.1 --port 28765", "::1", "chroma", 1},
        {"uv run --with chromadb chroma run --path p --log-path l.log",
         "uv run --with chromadb chroma run --path p --log-path l.log --host 127.0.0.1 --port "
         "28765",
         "localhost", "p", 8000},
        {"chroma run --path --odd", "chroma run --path --odd --host 127.0.0.1 --port 28765",
         "localhost", "--odd", 8000},
        {"my-server -b {host}:{port} --same {port}{port}",
         "my-server -b 127.0.0.1:28765 --same 2876528765", "127.0.0.1", "", 8000},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        ck_assert_msg(make(cases[i].line) == STATUS_OK, "%s: %s", cases[i].line, error.text);
        ck_assert_str_eq(made(), cases[i].made);
        ck_assert_str_eq(command.host, cases[i].host);
        ck_assert_uint_eq(command.port, cases[i].port);
        ck_assert_str_eq(command.directory, cases[i].directory);
    }
}
END_TEST

START_TEST(without_a_path_the_directory_is_the_one_that_is_there)
{
    ck_assert_int_eq(system("mkdir chroma_data && touch chroma_data/chroma.sqlite3"), 0);
    ck_assert_int_eq(make("chroma run"), STATUS_OK);
    ck_assert_str_eq(command.directory, "chroma_data");
    ck_assert_int_eq(system("mkdir chroma && touch chroma/chroma.sqlite3"), 0);
    ck_assert_int_eq(make("chroma run"), STATUS_OK);
    ck_assert_str_eq(command.directory, "chroma");
}
END_TEST

START_TEST(a_configuration_file_is_replaced_by_one_of_ours)
{
    ck_assert_int_eq(system("printf 'port: 9\\npersist_path: here\\n' >theirs.yaml"), 0);
    ck_assert_int_eq(make("chroma run theirs.yaml"), STATUS_OK);
    ck_assert_str_eq(made(), "chroma run ours.yaml");
    ck_assert_str_eq(command.host, "0.0.0.0");
    ck_assert_uint_eq(command.port, 9);
    ck_assert_str_eq(command.directory, "here");
    ck_assert_int_eq(system("grep -q 'port: 28765' ours.yaml"), 0);
}
END_TEST

START_TEST(what_is_not_understood_is_refused_with_a_reason)
{
    static const struct {
        const char *line, *said;
    } cases[] = {
        {"chroma run --port", "--port needs a value"},
        {"chroma run --port 0", "--port '0' is no port"},
        {"chroma run --port 65536", "--port '65536' is no port"},
        {"chroma run absent.yaml", "cannot read absent.yaml: No such file or directory"},
        {"uvicorn chromadb.app:app --port 8000", "write {port}"},
        {"server {host}", "write {port}"},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        ck_assert_int_ne(make(cases[i].line), STATUS_OK);
        ck_assert_msg(strstr(error.text, cases[i].said) != NULL, "%s: %s", cases[i].line,
                      error.text);
    }
    ck_assert_int_eq(system("echo 'port: 9' >theirs.yaml"), 0);
    ck_assert_int_eq(make("chroma run theirs.yaml --port 8000"), STATUS_INVALID);
    ck_assert_int_eq(make("chroma run theirs.yaml theirs.yaml"), STATUS_INVALID);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("chroma_command");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, host_and_port_are_ours_and_the_rest_stays);
    tcase_add_test(tcase, without_a_path_the_directory_is_the_one_that_is_there);
    tcase_add_test(tcase, a_configuration_file_is_replaced_by_one_of_ours);
    tcase_add_test(tcase, what_is_not_understood_is_refused_with_a_reason);
    return check_main("chroma_command", tcase);
}
