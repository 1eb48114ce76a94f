#include "cli/wrap_command.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "app/daemon.h"
#include "child/hook_door.h"
#include "child/port_owner.h"
#include "child/private_folder.h"
#include "child/program_path.h"
#include "child/wrapped_processes.h"
#include "cli/child_values.h"
#include "cli/cli.h"
#include "cli/version_command.h"

/* As env(1) and the shells have it. */
enum { exit_cannot_run = 126, exit_not_found = 127 };

struct wrap {
    struct options        options;
    char                **command; /* NULL at the end */
    const char           *path;    /* --path as it was given; NULL: none */
    bool                  strict;
    char                  directory[PATH_MAX], hook[PATH_MAX];
    struct private_folder folder;
    char                  door[PRIVATE_FOLDER_PATH_SIZE + 16];
    struct settings       settings;
    struct machine        machine;
    struct child_values   values;
    uint16_t              port;
    int                   ready[2], failed[2]; /* pipes: proxy to us, us to the proxy */
    int                   application;         /* pidfd of this process */
};

static int            print_wrap_help(void);
static int            read_words(struct wrap *wrap, int argc, char **argv);
static bool           take_own_flag(struct wrap *wrap, char **argv, int *at, int *ret_problem);
static int            find_directory(struct wrap *wrap);
static bool           place_new_directory(struct wrap *wrap);
static int            find_hook(struct wrap *wrap);
static bool           is_hook_folder(const char *folder);
static int            wrap_prepare(struct wrap *wrap);
static int            start_proxy(struct wrap *wrap);
static bool           open_ends(struct wrap *wrap);
_Noreturn static void be_the_proxy(struct wrap *wrap);
static int            become_command(struct wrap *wrap);
static bool           set_environment(const struct wrap *wrap);

int wrap_command(int argc, char **argv)
{
    static struct wrap wrap;
    int                exit_status = read_words(&wrap, argc, argv);

    if (exit_status == EX_OK && wrap.options.help)
        return print_wrap_help();
    if (exit_status == EX_OK && wrap.options.version)
        return version_command_print_name();
    if (exit_status == EX_OK)
        exit_status = find_directory(&wrap);
    if (exit_status == EX_OK)
        exit_status = find_hook(&wrap);
    if (exit_status == EX_OK)
        exit_status = wrap_prepare(&wrap);
    if (exit_status == EX_OK)
        exit_status = start_proxy(&wrap);
    if (exit_status == EX_OK)
        exit_status = become_command(&wrap);
    return exit_status;
}

static int print_wrap_help(void)
{
    printf("Usage: chromabouncer wrap [--path DIR] [--strict] [--mirror[=MODE]] [FLAG]... -- "
           "COMMAND...\n"
           "  run COMMAND; its embedded Chroma clients of one directory (PersistentClient and the\n"
           "  like) become clients of one server behind the proxy\n\n"
           "  --path DIR  the directory; else the first one for which a client is made\n"
           "  --strict    a client that cannot be served fails; else it stays embedded\n"
           "  --mirror    answer reads from copies of collections; MODE as mirror.mode, else "
           "prefer\n\n"
           "The other flags are those of `chromabouncer run`.\n");
    return cli_finish();
}

/* Our own flags are taken out; the rest up to -- is read as ever. */
static int read_words(struct wrap *wrap, int argc, char **argv)
{
    struct error error;
    const char  *foreign;
    int          kept = 1, end = 1, problem = EX_OK;

    while (end < argc && strcmp(argv[end], "--") != 0)
        end++;
    wrap->command = end < argc ? argv + end + 1 : argv + argc;
    for (int i = 1; i < end; i++)
        if (!take_own_flag(wrap, argv, &i, &problem))
            argv[kept++] = argv[i];
    if (problem != EX_OK)
        return problem;
    argv[kept] = NULL; /* a place before the command, or the end */
    if (options_parse(&wrap->options, kept, argv, &error) != STATUS_OK)
        return cli_fail(EX_USAGE, "%s", error.text);
    foreign = options_find_foreign(&wrap->options, OPTIONS_MIRROR);
    if (foreign != NULL)
        return cli_fail(EX_USAGE, "wrap takes no %s", foreign);
    if (wrap->options.help || wrap->options.version)
        return EX_OK;
    if (wrap->options.word_count > 0 || wrap->command[0] == NULL)
        return cli_fail(EX_USAGE, "write -- before the command: chromabouncer wrap -- COMMAND...");
    return EX_OK;
}

static bool take_own_flag(struct wrap *wrap, char **argv, int *at, int *ret_problem)
{
    static const char flag[] = "--path";
    const char       *word = argv[*at];

    if (strcmp(word, "--strict") == 0) {
        wrap->strict = true;
        return true;
    }
    if (strncmp(word, flag, strlen(flag)) != 0 ||
        (word[strlen(flag)] != '\0' && word[strlen(flag)] != '='))
        return false;
    if (word[strlen(flag)] == '=')
        wrap->path = word + strlen(flag) + 1;
    else if (argv[*at + 1] != NULL && strcmp(argv[*at + 1], "--") != 0)
        wrap->path = argv[++*at];
    else
        wrap->path = "";
    if (wrap->path[0] == '\0')
        *ret_problem = cli_fail(EX_USAGE, "--path needs a value");
    return true;
}

/* Its real path, which is what hooks send; it need not exist yet, but its parent must. */
static int find_directory(struct wrap *wrap)
{
    struct stat what;

    if (wrap->path == NULL)
        return EX_OK;
    if (realpath(wrap->path, wrap->directory) == NULL &&
        (errno != ENOENT || !place_new_directory(wrap)))
        return cli_fail(EX_NOINPUT, "--path %s: %s", wrap->path, strerror(errno));
    if (stat(wrap->directory, &what) == 0 && !S_ISDIR(what.st_mode))
        return cli_fail(EX_NOINPUT, "--path %s is not a directory", wrap->path);
    return EX_OK;
}

/* False: errno says why. */
static bool place_new_directory(struct wrap *wrap)
{
    char   parent[PATH_MAX + 2], real[PATH_MAX], *slash;
    size_t size = strlen(wrap->path);

    while (size > 1 && wrap->path[size - 1] == '/')
        size--;
    snprintf(parent, sizeof parent, "%s%.*s", wrap->path[0] == '/' ? "" : "./", (int)size,
             wrap->path);
    slash = strrchr(parent, '/');
    *slash = '\0';
    if (realpath(parent[0] == '\0' ? "/" : parent, real) == NULL)
        return false;
    errno = ENAMETOOLONG;
    return (size_t)snprintf(wrap->directory, sizeof wrap->directory, "%s/%s",
                            strcmp(real, "/") == 0 ? "" : real, slash + 1) < sizeof wrap->directory;
}

/* Beside the program as it was built, beside it as it was installed, where it was to be installed.
 */
static int find_hook(struct wrap *wrap)
{
    static const char *const places[] = {"src/hook", "../share/chromabouncer/hook"};
    char                     program[PATH_MAX], folder[2 * PATH_MAX];
    ssize_t                  size = readlink("/proc/self/exe", program, sizeof program - 1);

    program[size < 0 ? 0 : size] = '\0';
    if (strrchr(program, '/') != NULL)
        *strrchr(program, '/') = '\0';
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        snprintf(folder, sizeof folder, "%s/%s", program, places[i]);
        if (is_hook_folder(folder) && realpath(folder, wrap->hook) != NULL)
            return EX_OK;
    }
    if (is_hook_folder(PKGDATADIR "/hook")) {
        strcpy(wrap->hook, PKGDATADIR "/hook");
        return EX_OK;
    }
    return cli_fail(EX_OSFILE, "the hook for Python is missing: %s/hook/sitecustomize.py",
                    PKGDATADIR);
}

static bool is_hook_folder(const char *folder)
{
    char path[2 * PATH_MAX + 32];

    snprintf(path, sizeof path, "%s/sitecustomize.py", folder);
    return access(path, R_OK) == 0;
}

static int wrap_prepare(struct wrap *wrap)
{
    char         program[PROGRAM_PATH_SIZE];
    struct error error;
    enum status  status = program_path_find(wrap->command[0], getenv("PATH"), program, &error);
    int          exit_status;

    if (status != STATUS_OK)
        return cli_fail(status == STATUS_NOT_FOUND ? exit_not_found : exit_cannot_run, "%s",
                        error.text);
    wrap->port = port_owner_pick();
    if (wrap->port == 0)
        return cli_fail(EX_OSERR, "there is no free port on 127.0.0.1");
    machine_read("", &wrap->machine);
    wrap->values.listen = (struct address){.kind = ADDRESS_TCP, .host = "127.0.0.1"};
    wrap->values.is_quiet = true;
    if (child_values_set(&wrap->values, &wrap->options.sources, &wrap->machine, wrap->port,
                         &error) != STATUS_OK)
        return cli_fail_error(&error);
    exit_status = cli_load(&wrap->options, &wrap->settings, &wrap->machine);
    if (exit_status == EX_OK &&
        strcmp(wrap->settings.listen_address.items[0].host, "127.0.0.1") != 0)
        return cli_fail(EX_CONFIG, "wrap serves one application on 127.0.0.1: leave "
                                   "listen.address out");
    return exit_status;
}

static int start_proxy(struct wrap *wrap)
{
    struct error  error;
    unsigned char answer = EX_SOFTWARE;
    pid_t         id;

    if (private_folder_make(&wrap->folder, &error) != STATUS_OK)
        return cli_fail_error(&error);
    snprintf(wrap->door, sizeof wrap->door, "%s/" HOOK_DOOR_NAME, wrap->folder.path);
    id = open_ends(wrap) ? fork() : -1;
    if (id < 0) {
        private_folder_remove(&wrap->folder);
        return cli_fail(EX_OSERR, "cannot start the proxy: %s", strerror(errno));
    }
    if (id == 0)
        be_the_proxy(wrap);
    close(wrap->application);
    close(wrap->ready[1]);
    close(wrap->failed[0]);
    waitpid(id, NULL, 0); /* it has forked again: COMMAND has no child that it does not know */
    while (read(wrap->ready[0], &answer, 1) < 0 && errno == EINTR)
        continue;
    close(wrap->ready[0]);
    return answer; /* 0: ready */
}

static bool open_ends(struct wrap *wrap)
{
    wrap->application = (int)syscall(SYS_pidfd_open, getpid(), 0);
    return wrap->application >= 0 && pipe2(wrap->ready, O_CLOEXEC) == 0 &&
           pipe2(wrap->failed, O_CLOEXEC) == 0;
}

/* In a session of its own: ^C on the terminal is COMMAND's, and HUP too. */
_Noreturn static void be_the_proxy(struct wrap *wrap)
{
    struct daemon_wrap_plan plan = {.folder = wrap->folder.path,
                                    .door = wrap->door,
                                    .directory = wrap->path == NULL ? NULL : wrap->directory,
                                    .application_fd = wrap->application,
                                    .ready_fd = wrap->ready[1],
                                    .failed_fd = wrap->failed[0]};
    struct daemon_plan      daemon_plan = {.port = wrap->port, .wrap = &plan};
    int                     null = open("/dev/null", O_RDWR | O_CLOEXEC), exit_status;

    if (fork() != 0)
        _exit(0);
    setsid();
    close(wrap->ready[0]);
    close(wrap->failed[1]);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO); /* whoever reads COMMAND's output must see its end */
    exit_status =
        daemon_run_plan(&wrap->options.sources, &wrap->machine, &wrap->settings, &daemon_plan);
    private_folder_remove(&wrap->folder);
    exit(exit_status);
}

static int become_command(struct wrap *wrap)
{
    int why;

    if (!set_environment(wrap))
        return cli_fail(EX_OSERR, "out of memory");
    execvp(wrap->command[0], wrap->command);
    why = errno;
    (void)!write(wrap->failed[1], "x", 1);
    return cli_fail(why == ENOENT ? exit_not_found : exit_cannot_run, "cannot run %s: %s",
                    wrap->command[0], strerror(why));
}

static bool set_environment(const struct wrap *wrap)
{
    const char *before = getenv("PYTHONPATH");
    char       *path = NULL;
    bool        good;

    if (before == NULL || before[0] == '\0')
        path = strdup(wrap->hook);
    else if (asprintf(&path, "%s:%s", wrap->hook, before) < 0)
        path = NULL;
    good = path != NULL && setenv("PYTHONPATH", path, 1) == 0 &&
           setenv(WRAPPED_PROCESSES_VARIABLE, wrap->door, 1) == 0 &&
           (wrap->strict ? setenv("CHROMABOUNCER_WRAP_STRICT", "1", 1)
                         : unsetenv("CHROMABOUNCER_WRAP_STRICT")) == 0;
    free(path);
    return good;
}
