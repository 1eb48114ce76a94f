#include "cli/ctl_command.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "admin/control_verb.h"
#include "cli/cli.h"
#include "cli/control_client.h"
#include "cli/ctl_table.h"

/* Between two looks of --wait. */
static const struct timespec wait_between = {.tv_nsec = 100000000};

/* Between two looks whether a name is known, and how often. */
static const struct timespec look_up_between = {.tv_nsec = 20000000};
enum { look_ups_max = 1500 };

static enum status join(const struct options *options, char *line, size_t size,
                        struct error *error);
static int  ask_until_known(const char *path, const char *line, json_t **ret, struct error *error);
static bool is_looking(json_t *answer);
static int  wait_until_gone(const char *path);
static int  wait_until_still(const char *path);

int ctl_command(const struct options *options)
{
    const char *const   *words = (const char *const *)options->words + 1;
    size_t               count = (size_t)options->word_count - 1;
    enum control_verb_id verb;
    char                 path[SETTINGS_SOURCES_PATH_SIZE], line[1024];
    struct error         error;
    json_t              *answer;
    int                  exit_status;

    if (count == 0)
        return cli_fail(EX_USAGE, "write ctl VERB; `chromabouncer ctl --help` lists the verbs");
    if (control_verb_find(count, words, &verb, &error) != STATUS_OK ||
        join(options, line, sizeof line, &error) != STATUS_OK)
        return cli_fail(EX_USAGE, "ctl: %s", error.text);
    if ((options->own & OPTIONS_WAIT) != 0 && verb != CONTROL_VERB_drain &&
        verb != CONTROL_VERB_pause)
        return cli_fail(EX_USAGE, "ctl: %s takes no --wait", words[0]);
    exit_status = control_client_path(options, path);
    if (exit_status != EX_OK)
        return exit_status;
    exit_status = ask_until_known(path, line, &answer, &error);
    if (exit_status != EX_OK)
        return cli_fail(exit_status, "%s", error.text);
    if ((options->own & OPTIONS_OUTPUT) != 0) {
        json_dumpf(answer, stdout, JSON_COMPACT);
        putchar('\n');
    } else {
        ctl_table_print(stdout, answer);
    }
    json_decref(answer);
    exit_status = cli_finish();
    if (exit_status != EX_OK || (options->own & OPTIONS_WAIT) == 0)
        return exit_status;
    return verb == CONTROL_VERB_drain ? wait_until_gone(path) : wait_until_still(path);
}

/* The line to send. A word is what stands between blanks there. */
static enum status join(const struct options *options, char *line, size_t size, struct error *error)
{
    size_t used = 0;

    for (int i = 1; i < options->word_count; i++) {
        const char *word = options->words[i];

        if (word[0] == '\0' || strpbrk(word, " \t\r\n") != NULL || strlen(word) + 2 > size - used)
            return error_set(error, STATUS_INVALID, "a word is empty, too long or has blanks");
        used += (size_t)snprintf(line + used, size - used, "%s%s", i == 1 ? "" : " ", word);
    }
    return STATUS_OK;
}

/* A name that has to be looked up at Chroma (`mirror fill`) is asked for again. */
static int ask_until_known(const char *path, const char *line, json_t **ret, struct error *error)
{
    json_t *answer;
    int     exit_status = control_client_ask(path, line, &answer, error);

    for (unsigned i = 0; exit_status == EX_OK && is_looking(answer) && i < look_ups_max; i++) {
        json_decref(answer);
        nanosleep(&look_up_between, NULL);
        exit_status = control_client_ask(path, line, &answer, error);
    }
    if (exit_status == EX_OK && is_looking(answer)) {
        json_decref(answer);
        error_set(error, STATUS_TIMED_OUT, "Chroma has not said in time which collection it is");
        return EX_UNAVAILABLE;
    }
    if (exit_status == EX_OK)
        *ret = answer;
    return exit_status;
}

static bool is_looking(json_t *answer)
{
    const char *state = json_string_value(json_object_get(answer, "state"));

    return state != NULL && strcmp(state, "looking") == 0;
}

/* drain.timeout bounds it. */
static int wait_until_gone(const char *path)
{
    struct error error;
    json_t      *answer;

    while (control_client_ask(path, "stats", &answer, &error) == EX_OK) {
        json_decref(answer);
        nanosleep(&wait_between, NULL);
    }
    return EX_OK;
}

/* Their deadlines, and pause.max, bound it. */
static int wait_until_still(const char *path)
{
    struct error error;
    json_t      *answer;
    int          exit_status;

    while ((exit_status = control_client_ask(path, "stats", &answer, &error)) == EX_OK) {
        bool is_paused = json_is_true(json_object_get(answer, "paused"));
        bool is_still = json_integer_value(json_object_get(answer, "under_way")) == 0;

        json_decref(answer);
        if (!is_paused)
            return cli_fail(EX_TEMPFAIL, "the pause has ended before all requests had");
        if (is_still)
            return EX_OK;
        nanosleep(&wait_between, NULL);
    }
    return cli_fail(exit_status, "%s", error.text);
}

void ctl_command_print_verbs(void)
{
    printf("\nVerbs:\n");
    for (enum control_verb_id id = 0; id < CONTROL_VERB_COUNT; id++)
        printf("  %s%s\n      %s\n", control_verb(id)->name, control_verb(id)->words,
               control_verb(id)->help);
}
