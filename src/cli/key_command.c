#include "cli/key_command.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "app/keys_file.h"
#include "cli/cli.h"

static int         key_add(const struct options *options, const char *path, const char *name);
static int         key_take_back(const char *path, uint32_t id);
static int         key_list(const char *path);
static int         key_revoke(const char *path, const char *which);
static void        say_next(const char *what);
static enum status print_key(void *ctx, const struct keys_file_entry *entry, struct error *error);

int key_command(const struct options *options)
{
    static struct settings settings;
    const char            *verb = options->word_count > 1 ? options->words[1] : "";
    const char            *word = options->word_count > 2 ? options->words[2] : NULL;
    bool                   is_add = strcmp(verb, "add") == 0;
    struct error           error;

    if (word == NULL ? strcmp(verb, "list") != 0 : !is_add && strcmp(verb, "revoke") != 0)
        return cli_fail(EX_USAGE, "write key add NAME, key list or key revoke ID");
    if (!is_add && options->own != 0)
        return cli_fail(EX_USAGE, "only key add takes --service and --allow");
    if (settings_sources_load(&options->sources, &settings, &error) != STATUS_OK)
        return cli_fail_error(&error);
    if (settings.auth_keys_file[0] == '\0')
        return cli_fail(EX_CONFIG, "auth.keys_file names no file to keep keys in; set it, or write "
                                   "--set auth.keys_file=PATH");
    if (word == NULL)
        return key_list(settings.auth_keys_file);
    return is_add ? key_add(options, settings.auth_keys_file, word)
                  : key_revoke(settings.auth_keys_file, word);
}

void key_command_print_scopes(void)
{
    printf(
        "\nA scope is VERBS:TENANT/DATABASE/COLLECTION. VERBS are read, write, create, delete and\n"
        "admin, separated by commas, or * for all but admin; in each of the names * stands for\n"
        "any characters. Without --allow a key has *:*/*/*.\n");
}

static int key_add(const struct options *options, const char *path, const char *name)
{
    struct bytes scopes[OPTIONS_ALLOW_MAX];
    struct bytes service = bytes_of(options->service == NULL ? "" : options->service);
    char         key[KEYS_FILE_KEY_SIZE];
    uint32_t     id;
    struct error error;

    for (size_t i = 0; i < options->allow_count; i++)
        scopes[i] = bytes_of(options->allow[i]);
    if (keys_file_add(path, bytes_of(name), service, scopes, options->allow_count, key, &id,
                      &error) != STATUS_OK)
        return cli_fail_error(&error);
    signal(SIGPIPE, SIG_IGN); /* a reader that has gone is told of like a full disk */
    printf("%s\n", key);
    explicit_bzero(key, sizeof key);
    if (fflush(stdout) != 0)
        return key_take_back(path, id);
    say_next("keep it now, it is nowhere else");
    return cli_finish();
}

/* Nobody has seen the key. */
static int key_take_back(const char *path, uint32_t id)
{
    char         text[16];
    struct error error;

    snprintf(text, sizeof text, "%08" PRIx32, id);
    if (keys_file_revoke(path, bytes_of(text), &error) != STATUS_OK)
        cli_fail_error(&error);
    return cli_finish();
}

static int key_list(const char *path)
{
    struct error error;

    printf("%-8s  %-10s  %-20s  %-16s  %s\n", "ID", "CREATED", "NAME", "SERVICE", "ALLOW");
    if (keys_file_each(path, print_key, NULL, &error) != STATUS_OK)
        return cli_fail_error(&error);
    return cli_finish();
}

static enum status print_key(void *ctx, const struct keys_file_entry *entry, struct error *error)
{
    time_t    created = (time_t)entry->created_s;
    struct tm parts;
    char      day[16] = "-";

    (void)ctx;
    (void)error;
    if (created > 0 && gmtime_r(&created, &parts) != NULL)
        strftime(day, sizeof day, "%Y-%m-%d", &parts);
    printf("%08" PRIx32 "  %-10s  %-20.*s  %-16.*s ", entry->id, day, (int)entry->name.size,
           entry->name.data, entry->service.size == 0 ? 1 : (int)entry->service.size,
           entry->service.size == 0 ? "-" : entry->service.data);
    for (size_t i = 0; i < entry->scope_count; i++)
        printf(" %.*s", (int)entry->scopes[i].size, entry->scopes[i].data);
    printf("\n");
    return STATUS_OK;
}

static int key_revoke(const char *path, const char *which)
{
    struct error error;

    if (keys_file_revoke(path, bytes_of(which), &error) != STATUS_OK)
        return cli_fail_error(&error);
    say_next("revoked");
    return cli_finish();
}

/* To people: they may change several keys before the running proxy is to read them. */
static void say_next(const char *what)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr,
                "chromabouncer: %s; a running proxy reads the file at HUP, or at once with "
                "`chromabouncer ctl reload`\n",
                what);
}
