#include "cli/commands.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/control_server.h"
#include "admin/control_verb.h"
#include "app/daemon.h"
#include "app/settings_docs.h"
#include "base/text.h"
#include "bench/bench.h"
#include "cli/advice_command.h"
#include "cli/check_command.h"
#include "cli/cli.h"
#include "cli/completion.h"
#include "cli/config_command.h"
#include "cli/ctl_command.h"
#include "cli/exec_command.h"
#include "cli/export_command.h"
#include "cli/health_command.h"
#include "cli/import_command.h"
#include "cli/key_command.h"
#include "cli/top_command.h"
#include "cli/version_command.h"
#include "cli/wrap_command.h"

static int run_command(const struct options *options);
static int completion_command(const struct options *options);

static const struct command {
    const char *name;
    const char *usage; /* what follows the name */
    const char *help;
    int (*run)(const struct options *options);
    int      words_max;                 /* behind the name */
    bool     settings;                  /* takes the flags of settings */
    unsigned own;                       /* OPTIONS_... that it takes */
    void (*print_more)(void);           /* for --help; NULL: nothing */
    int (*main)(int argc, char **argv); /* reads its own flags; the above is for completions */
} commands[] = {
    {.name = "run",
     .usage = "",
     .help = "serve; also without any command",
     .run = run_command,
     .settings = true},
    {.name = "exec",
     .usage = " [--mirror[=MODE]] -- chroma run ...",
     .help = "run this Chroma behind the proxy, where it would have listened",
     .run = exec_command,
     .words_max = INT_MAX - 1,
     .settings = true,
     .own = OPTIONS_MIRROR},
    {.name = "wrap",
     .usage = " [--path DIR] [--strict] [--mirror[=MODE]] [FLAG]... -- COMMAND...",
     .help = "run COMMAND; its embedded Chroma clients of one directory become clients of a server",
     .settings = true,
     .own = OPTIONS_PATH | OPTIONS_STRICT | OPTIONS_MIRROR,
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
    {.name = "ctl",
     .usage = " VERB [WORD]... [-o json]",
     .help = "look into the running proxy, and change it, over its control socket",
     .run = ctl_command,
     .words_max = CONTROL_SERVER_WORDS_MAX,
     .settings = true,
     .own = OPTIONS_OUTPUT | OPTIONS_WAIT,
     .print_more = ctl_command_print_verbs},
    {.name = "top",
     .usage = " [--once] [-o json]",
     .help = "watch the running proxy: requests, latencies, queues, batches, operations",
     .run = top_command,
     .settings = true,
     .own = OPTIONS_OUTPUT | OPTIONS_ONCE},
    {.name = "advice",
     .usage = " [-o json]",
     .help = "what the clients of the running proxy could do better, and how that is known",
     .run = advice_command,
     .settings = true,
     .own = OPTIONS_OUTPUT},
    {.name = "key",
     .usage = " add NAME [--service NAME] [--allow SCOPE]... | list | revoke ID",
     .help = "make an API key and print it, list those that there are, or take one back",
     .run = key_command,
     .words_max = 2,
     .settings = true,
     .own = OPTIONS_SERVICE | OPTIONS_ALLOW,
     .print_more = key_command_print_scopes},
    {.name = "export",
     .usage = " COLLECTION",
     .help = "write the records of a collection as JSON lines, from the copy of the running proxy",
     .run = export_command,
     .words_max = 1,
     .settings = true},
    {.name = "import",
     .usage = " COLLECTION",
     .help = "upsert the records that standard input has as JSON lines, through the running proxy",
     .run = import_command,
     .words_max = 1,
     .settings = true},
    {.name = "bench",
     .usage = " [OPTION]...",
     .help = "compare a Chroma server with and without the proxy, or put load on it",
     .main = bench_main},
    {.name = "completion",
     .usage = " bash | zsh | fish",
     .help = "print a script that lets the shell complete command lines",
     .run = completion_command,
     .words_max = 1},
    {.name = "version",
     .usage = "",
     .help = "say what this program was built with",
     .run = version_command},
};

/* Flags for the completions; those of single settings come behind them. Beside OPTIONS_...: */
enum { TAKES_SETTINGS = 1 << 16 };
static const struct completion_word own_flags[] = {
    {.text = "--help", .help = "what there is"},
    {.text = "--version", .help = "the version"},
    {.text = "--wait", .help = "until it is done", .takes = OPTIONS_WAIT},
    {.text = "--once", .help = "print one view and end", .takes = OPTIONS_ONCE},
    {.text = "-o", .help = "json", .takes = OPTIONS_OUTPUT},
    {.text = "--service", .help = "the service of the key", .takes = OPTIONS_SERVICE},
    {.text = "--allow", .help = "VERBS:TENANT/DATABASE/COLLECTION", .takes = OPTIONS_ALLOW},
    {.text = "--path", .help = "serve this directory", .takes = OPTIONS_PATH},
    {.text = "--strict", .help = "a client that cannot be served fails", .takes = OPTIONS_STRICT},
    {.text = "--mirror", .help = "answer reads from copies", .takes = OPTIONS_MIRROR},
    {.text = "--config", .help = "read settings from this YAML file", .takes = TAKES_SETTINGS},
    {.text = "--set", .help = "set one setting", .takes = TAKES_SETTINGS}};

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
    const char           *foreign;

    hold_standard_streams();
    command = argc < 2 ? NULL : find_command(argv[1]);
    if (command != NULL && command->main != NULL)
        return command->main(argc - 1, argv + 1);
    if (options_parse(&options, argc, argv, &error) != STATUS_OK)
        return cli_fail(EX_USAGE, "%s", error.text);
    if (options.version)
        return version_command_print_name();
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
    foreign = options_find_foreign(&options, command->own);
    if (foreign != NULL)
        return cli_fail(EX_USAGE, "%s takes no %s", command->name, foreign);
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

/* Nothing else may get the number of a standard stream that was closed: the log would go there.
 * Output that goes nowhere must still fail. */
static void hold_standard_streams(void)
{
    bool has_output = fcntl(STDOUT_FILENO, F_GETFD) >= 0;
    int  fd;

    do
        fd = open("/dev/null", (has_output ? O_RDWR : O_RDONLY) | O_CLOEXEC);
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
    if (command != NULL && command->print_more != NULL)
        command->print_more();
    if (command == NULL || command->settings)
        print_flags();
    if (command == NULL) {
        printf("\nSettings, their defaults and what is allowed (also in the environment, as\n"
               "CHROMABOUNCER_ and the key in capitals with dots as __):\n");
        settings_docs_list(stdout);
        printf("\n`chromabouncer config init` explains each; see also chromabouncer(1) and\n"
               "chromabouncer.yaml(5).\n");
    }
    return cli_finish();
}

static void print_flags(void)
{
    printf("\nFlags:\n");
    for (enum settings_id id = 0; id < SETTINGS_COUNT; id++) {
        const struct settings_row *row = settings_row(id);
        enum settings_kind         kind = row->rule.kind;
        const char                *what = kind == SETTINGS_KIND_URL      ? "URL"
                                          : kind == SETTINGS_KIND_SOCKET ? "PATH"
                                                                         : "ADDRESS";

        if (row->flag[0] != '\0')
            printf("  %-9s %-8s --set %s=%s\n", row->flag, what, row->key, what);
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

static int completion_command(const struct options *options)
{
    const char             *shell = options->word_count > 1 ? options->words[1] : "";
    struct completion_word  names[COUNT_OF(commands)], verbs[CONTROL_VERB_COUNT];
    struct completion_word  keys[SETTINGS_COUNT], flags[SETTINGS_COUNT + COUNT_OF(own_flags)];
    struct completion_words words = {.commands = names,
                                     .flags = flags,
                                     .verbs = verbs,
                                     .keys = keys,
                                     .command_count = COUNT_OF(commands),
                                     .flag_count = COUNT_OF(own_flags),
                                     .verb_count = CONTROL_VERB_COUNT,
                                     .key_count = SETTINGS_COUNT};

    memcpy(flags, own_flags, sizeof own_flags);
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        names[i] = (struct completion_word){.text = commands[i].name,
                                            .help = commands[i].help,
                                            .takes = commands[i].own |
                                                     (commands[i].settings ? TAKES_SETTINGS : 0)};
    for (enum control_verb_id id = 0; id < CONTROL_VERB_COUNT; id++)
        verbs[id] = (struct completion_word){.text = control_verb(id)->name,
                                             .help = control_verb(id)->help,
                                             .words = control_verb(id)->words};
    for (enum settings_id id = 0; id < SETTINGS_COUNT; id++) {
        const struct settings_row *row = settings_row(id);

        keys[id] = (struct completion_word){.text = row->key, .help = row->help};
        if (row->flag[0] != '\0')
            flags[words.flag_count++] = (struct completion_word){
                .text = row->flag, .help = row->key, .takes = TAKES_SETTINGS};
    }
    if (!completion_print(stdout, shell, &words))
        return cli_fail(EX_USAGE, "write completion bash, completion zsh or completion fish");
    return cli_finish();
}
