#include "cli/commands.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "app/daemon.h"
#include "app/settings_docs.h"
#include "base/text.h"
#include "bench/bench.h"
#include "cli/check_command.h"
#include "cli/cli.h"
#include "cli/config_command.h"
#include "cli/exec_command.h"
#include "cli/health_command.h"
#include "cli/version_command.h"
#include "cli/wrap_command.h"
#include "config.h"

static int run_command(const struct options *options);

static const struct command {
    const char *name;
    const char *usage; /* what follows the name */
    const char *help;
    int (*run)(const struct options *options);
    int  words_max;                     /* behind the name */
    bool settings;                      /* takes the flags of settings */
    int (*main)(int argc, char **argv); /* reads its own flags; then nothing above counts */
} commands[] = {
    {.name = "run",
     .usage = "",
     .help = "serve; also without any command",
     .run = run_command,
     .settings = true},
    {.name = "exec",
     .usage = " -- chroma run ...",
     .help = "run this Chroma behind the proxy, where it would have listened",
     .run = exec_command,
     .words_max = INT_MAX - 1,
     .settings = true},
    {.name = "wrap",
     .usage = " [--path DIR] [--strict] [FLAG]... -- COMMAND...",
     .help = "run COMMAND; its embedded Chroma clients of one directory become clients of a server",
     .main = wrap_command},
    {.name = "config",
     .usage = " init | check FILE | show",
     .help = "print a sample file, check a file, or show every setting and where it comes from",
     .run = config_command,
     .words_max = 2,
     .settings = true},
    {.name = "check",
     .usage = "",
     .help = "say whether everything is ready to run: backend, addresses, limits",
     .run = check_command,
     .settings = true},
    {.name = "health",
     .usage = " [--backend URL]",
     .help = "ask the running proxy, or with --backend that server, whether it is ready",
     .run = health_command,
     .settings = true},
    {.name = "bench",
     .usage = " [OPTION]...",
     .help = "compare a Chroma server with and without the proxy, or put load on it",
     .main = bench_main},
    {.name = "version",
     .usage = "",
     .help = "say what this program was built with",
     .run = version_command},
};

static void                  hold_standard_streams(void);
static const struct command *find_command(const char *name);
static int                   unknown_command(const char *name);
static int                   print_help(const struct command *command);
static void                  print_flags(void);
static void                  warn_of_variable(void *ctx, struct bytes name);

int commands_main(int argc, char **argv)
{
    struct options        options;
    struct error          error;
    const struct command *command;

    hold_standard_streams();
    command = argc < 2 ? NULL : find_command(argv[1]);
    if (command != NULL && command->main != NULL)
        return command->main(argc - 1, argv + 1);
    if (options_parse(&options, argc, argv, &error) != STATUS_OK)
        return cli_fail(EX_USAGE, "%s", error.text);
    if (options.version) {
        printf("%s %s\n", PACKAGE_NAME, PACKAGE_VERSION);
        return EX_OK;
    }
    command = find_command(options.word_count == 0 ? "run" : options.words[0]);
    if (options.help)
        return print_help(options.word_count == 0 ? NULL : command);
    if (command == NULL)
        return unknown_command(options.words[0]);
    if (command->main != NULL)
        return cli_fail(EX_USAGE, "write %s before its options", command->name);
    if (options.word_count > command->words_max + 1)
        return cli_fail(EX_USAGE, "%s: the word '%s' is one too many", command->name,
                        options.words[command->words_max + 1]);
    if (options.first_setting != NULL && !command->settings)
        return cli_fail(EX_USAGE, "%s takes no %s", command->name, options.first_setting);
    if (command->settings && command->run != run_command) /* which logs them */
        settings_sources_each_unknown(&options.sources, warn_of_variable, NULL);
    return command->run(&options);
}

static void warn_of_variable(void *ctx, struct bytes name)
{
    char quoted[80];

    (void)ctx;
    fprintf(stderr, "chromabouncer: there is no setting for %s in the environment\n",
            text_quote(name, quoted, sizeof quoted));
}

/* Nothing else may get the number of a standard stream that was closed: the log would go there. */
static void hold_standard_streams(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int unknown_command(const char *name)
{
    const char *nearest = NULL;
    unsigned    least = 3;
    char        quoted[60];

    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        unsigned slips = text_distance(name, commands[i].name, least);

        if (slips < least) {
            least = slips;
            nearest = commands[i].name;
        }
    }
    text_quote(bytes_of(name), quoted, sizeof quoted);
    if (nearest != NULL)
        return cli_fail(EX_USAGE, "unknown command %s; did you mean %s?", quoted, nearest);
    return cli_fail(EX_USAGE, "unknown command %s; `chromabouncer --help` lists all", quoted);
}

/* NULL: for the program as a whole. */
static int print_help(const struct command *command)
{
    if (command != NULL) {
        printf("Usage: chromabouncer %s%s%s\n  %s\n", command->name, command->usage,
               command->settings ? " [FLAG]..." : "", command->help);
    } else {
        printf("Usage: chromabouncer [COMMAND] [FLAG]...\n"
               "A proxy in front of Chroma vector servers.\n\nCommands:\n");
        for (size_t i = 0; i < COUNT_OF(commands); i++)
            printf("  %s%s\n      %s\n", commands[i].name, commands[i].usage, commands[i].help);
    }
    if (command == NULL || command->settings)
        print_flags();
    if (command == NULL) {
        printf("\nSettings, their defaults and what is allowed (also in the environment, as\n"
               "CHROMABOUNCER_ and the key in capitals with dots as __):\n");
        settings_docs_list(stdout);
        printf("\n`chromabouncer config init` explains each; see also chromabouncer(1) and\n"
               "chromabouncer.yaml(5).\n");
    }
    return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
}

static void print_flags(void)
{
    printf("\nFlags:\n");
    for (enum settings_id id = 0; id < SETTINGS_COUNT; id++) {
        const struct settings_row *row = settings_row(id);
        bool                       is_url = row->rule.kind == SETTINGS_KIND_URL;

        if (row->flag[0] != '\0')
            printf("  %-9s %-8s --set %s=%s\n", row->flag, is_url ? "URL" : "ADDRESS", row->key,
                   is_url ? "URL" : "ADDRESS");
    }
    printf("  %-18s read settings from this YAML file\n"
           "  %-18s set one setting\n"
           "  %-18s this text\n"
           "  %-18s the version\n",
           "--config FILE", "--set KEY=VALUE", "-h, --help", "-V, --version");
}

static int run_command(const struct options *options)
{
    static struct settings settings;
    struct machine         machine;
    int                    exit_status = cli_load(options, &settings, &machine);

    if (exit_status != EX_OK)
        return exit_status;
    return daemon_run(&options->sources, &machine, &settings);
}
