#include "cli/advice_command.h"

#include <stdio.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "cli/control_client.h"

static void        print_sentences(const json_t *list);
static const char *member(const json_t *object, const char *key);

int advice_command(const struct options *options)
{
    char         path[SETTINGS_SOURCES_PATH_SIZE];
    struct error error;
    json_t      *answer;
    int          exit_status = control_client_path(options, path);

    if (exit_status != EX_OK)
        return exit_status;
    exit_status = control_client_ask(path, "advice", &answer, &error);
    if (exit_status != EX_OK)
        return cli_fail(exit_status, "%s", error.text);
    if ((options->own & OPTIONS_OUTPUT) != 0) {
        json_dumpf(answer, stdout, JSON_COMPACT);
        putchar('\n');
    } else {
        print_sentences(json_object_get(answer, "advice"));
    }
    json_decref(answer);
    return cli_finish();
}

static void print_sentences(const json_t *list)
{
    if (json_array_size(list) == 0)
        puts("Nothing stands out in what clients have asked so far.");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *found = json_array_get(list, i);
        const char   *agent = member(found, "agent");

        printf("%s%s at %s %s (%s).\n  To do:      %s.\n  Here:       %s.\n", i == 0 ? "" : "\n",
               agent[0] == '\0' ? "A client without a name" : agent, member(found, "address"),
               member(found, "meaning"), member(found, "evidence"), member(found, "remedy"),
               member(found, "here"));
    }
}

static const char *member(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? "" : text;
}
