#include "child/chroma_command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "child/chroma_config.h"

/* --path=DIR becomes two words; then come --host H --port N and the NULL. */
enum { words_of_one = 2, words_more = 5 };

/* A command while it is made. */
struct making {
    struct chroma_command *command;
    int                    count, words_made;
    char                   port_text[8];
    uint16_t               port;
    const char            *config_path;
    bool                   has_address, has_config;
    struct error          *error;
};

static int         find_run(int count, char **words);
static bool        is_named(const char *path, const char *name);
static enum status make_run(struct making *making, int count, char **words, int run);
static const char *flag_value(const char *word, const char *flag);
static enum status take_flag(struct making *making, const char *flag, const char *value);
static enum status take_port(struct making *making, const char *value);
static enum status take_config(struct making *making, const char *path);
static void        guess_directory(struct chroma_command *command);
static enum status make_other(struct making *making, int count, char **words);
static char       *fill_in(const char *word, const char *port);
static void        command_add(struct making *making, const char *word);
static enum status add_made(struct making *making, char *word);

enum status chroma_command_make(int count, char **words, uint16_t port, const char *config_path,
                                struct chroma_command *ret, struct error *error)
{
    struct making making = {
        .command = ret, .port = port, .config_path = config_path, .error = error};
    int         run = find_run(count, words);
    enum status status;

    *ret = (struct chroma_command){.host = "localhost", .port = 8000};
    snprintf(making.port_text, sizeof making.port_text, "%u", port);
    ret->arguments = calloc((size_t)count * words_of_one + words_more, sizeof *ret->arguments);
    ret->owned = calloc((size_t)count + words_more, sizeof *ret->owned);
    if (ret->arguments == NULL || ret->owned == NULL)
        status = error_set(error, STATUS_NO_MEMORY, "out of memory");
    else if (run >= 0)
        status = make_run(&making, count, words, run);
    else
        status = make_other(&making, count, words);
    if (status != STATUS_OK)
        chroma_command_done(ret);
    return status;
}

/* Where `chroma run` stands: the place of `run`; -1: nowhere. */
static int find_run(int count, char **words)
{
    for (int i = 0; i + 1 < count; i++)
        if (is_named(words[i], "chroma") && strcmp(words[i + 1], "run") == 0)
            return i + 1;
    return -1;
}

static bool is_named(const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');

    return strcmp(slash == NULL ? path : slash + 1, name) == 0;
}

static enum status make_run(struct making *making, int count, char **words, int run)
{
    static const char *const flags[] = {"--host", "--port", "--path", "--log-path"};
    enum status              status = STATUS_OK;

    for (int i = 0; i < count && status == STATUS_OK; i++) {
        const char *flag = NULL, *value = NULL;

        for (size_t k = 0; k < COUNT_OF(flags) && i > run && value == NULL; k++) {
            flag = flags[k];
            value = flag_value(words[i], flag);
        }
        if (value != NULL && value[0] == '\0' && strchr(words[i], '=') == NULL) {
            if (i + 1 == count)
                return error_set(making->error, STATUS_INVALID, "%s needs a value", flag);
            value = words[++i];
        }
        if (value != NULL)
            status = take_flag(making, flag, value);
        else if (i > run && words[i][0] != '-')
            status = take_config(making, words[i]);
        else
            command_add(making, words[i]);
    }
    if (status != STATUS_OK)
        return status;
    if (making->has_config)
        return !making->has_address ? STATUS_OK
                                    : error_set(making->error, STATUS_INVALID,
                                                "chroma run takes either a configuration file or "
                                                "--host and --port, not both");
    guess_directory(making->command);
    command_add(making, "--host");
    command_add(making, CHROMA_COMMAND_HOST);
    command_add(making, "--port");
    return add_made(making, strdup(making->port_text));
}

/* What follows `flag` and its `=`; "" when it is the word; NULL when it is another word. */
static const char *flag_value(const char *word, const char *flag)
{
    size_t size = strlen(flag);

    if (strncmp(word, flag, size) != 0 || (word[size] != '\0' && word[size] != '='))
        return NULL;
    return word[size] == '=' ? word + size + 1 : word + size;
}

static enum status take_flag(struct making *making, const char *flag, const char *value)
{
    struct chroma_command *command = making->command;

    if (strcmp(flag, "--host") == 0) {
        making->has_address = true;
        if ((size_t)snprintf(command->host, sizeof command->host, "%s", value) >=
            sizeof command->host)
            return error_set(making->error, STATUS_INVALID, "--host is too long");
        return STATUS_OK;
    }
    if (strcmp(flag, "--port") == 0)
        return take_port(making, value);
    command_add(making, flag);
    command_add(making, value);
    if (strcmp(flag, "--path") == 0 &&
        (size_t)snprintf(command->directory, sizeof command->directory, "%s", value) >=
            sizeof command->directory)
        return error_set(making->error, STATUS_INVALID, "--path is too long");
    return STATUS_OK;
}

static enum status take_port(struct making *making, const char *value)
{
    uint64_t number;
    char     quoted[40];

    making->has_address = true;
    if (!text_to_number(bytes_of(value), &number) || number == 0 || number > UINT16_MAX)
        return error_set(making->error, STATUS_INVALID, "--port %s is no port",
                         text_quote(bytes_of(value), quoted, sizeof quoted));
    making->command->port = (uint16_t)number;
    return STATUS_OK;
}

static enum status take_config(struct making *making, const char *path)
{
    struct chroma_command *command = making->command;
    struct chroma_config   config;
    enum status            status;

    if (making->has_config)
        return error_set(making->error, STATUS_INVALID, "chroma run takes one configuration file");
    making->has_config = true;
    status = chroma_config_rewrite(path, making->config_path, making->port, &config, making->error);
    if (status != STATUS_OK)
        return status;
    snprintf(command->host, sizeof command->host, "%s", config.host);
    command->port = config.port;
    snprintf(command->directory, sizeof command->directory, "%s", config.directory);
    return add_made(making, strdup(making->config_path));
}

/* Without --path it is ./chroma since 1.0, ./chroma_data before; whichever is there. */
static void guess_directory(struct chroma_command *command)
{
    if (command->directory[0] != '\0')
        return;
    strcpy(command->directory, access("chroma_data/chroma.sqlite3", F_OK) == 0 &&
                                       access("chroma/chroma.sqlite3", F_OK) != 0
                                   ? "chroma_data"
                                   : "chroma");
}

static enum status make_other(struct making *making, int count, char **words)
{
    bool has_port = false;

    strcpy(making->command->host, CHROMA_COMMAND_HOST);
    for (int i = 0; i < count; i++) {
        if (strstr(words[i], "{host}") == NULL && strstr(words[i], "{port}") == NULL) {
            command_add(making, words[i]);
            continue;
        }
        has_port = has_port || strstr(words[i], "{port}") != NULL;
        if (add_made(making, fill_in(words[i], making->port_text)) != STATUS_OK)
            return STATUS_NO_MEMORY;
    }
    if (has_port)
        return STATUS_OK;
    return error_set(making->error, STATUS_INVALID,
                     "this command is not `chroma run`: write {port} (and {host}) where it takes "
                     "the port that it must listen on");
}

/* NULL when out of memory. */
static char *fill_in(const char *word, const char *port)
{
    static const char host[] = CHROMA_COMMAND_HOST;
    size_t            used = 0;
    /* Six bytes become nine at most. */
    char *made = malloc(strlen(word) / 6 * sizeof host + strlen(word) + 1);

    while (made != NULL && *word != '\0') {
        bool        is_host = strncmp(word, "{host}", 6) == 0;
        const char *value = is_host ? host : strncmp(word, "{port}", 6) == 0 ? port : NULL;

        if (value == NULL) {
            made[used++] = *word++;
            continue;
        }
        memcpy(made + used, value, strlen(value));
        used += strlen(value);
        word += 6;
    }
    if (made != NULL)
        made[used] = '\0';
    return made;
}

static void command_add(struct making *making, const char *word)
{
    making->command->arguments[making->count++] = word;
}

/* Takes `word`. */
static enum status add_made(struct making *making, char *word)
{
    if (word == NULL)
        return error_set(making->error, STATUS_NO_MEMORY, "out of memory");
    making->command->owned[making->words_made++] = word;
    command_add(making, word);
    return STATUS_OK;
}

void chroma_command_done(struct chroma_command *command)
{
    for (size_t i = 0; command->owned != NULL && command->owned[i] != NULL; i++)
        free(command->owned[i]);
    free(command->owned);
    free(command->arguments);
    command->owned = NULL;
    command->arguments = NULL;
}
