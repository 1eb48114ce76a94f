#include "child/child_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "child/program_path.h"

/* Reads of one output in one turn of the loop, and when the process is gone. */
enum { reads_per_turn = 4, reads_at_end = 256 };

static const char between_lines[] = " | ";

/* One output of the process. */
struct output {
    struct child_process *process;
    int                   fd; /* -1: none */
    struct loop_watch    *watch;
    bool                  is_error;
    size_t                size;
    char                  line[CHILD_PROCESS_LINE_MAX];
};

struct child_process {
    struct loop                       *loop;
    const struct child_process_events *events;
    void                              *ctx;
    pid_t                              id;
    struct output                      outputs[2];
    char                               last[CHILD_PROCESS_LAST_SIZE];
};

/* What the child needs between fork and exec, where little is allowed. */
struct launch {
    const char        *path;
    const char *const *arguments;
    const char       **environment;
    pid_t              parent;
    int                streams[3]; /* its standard streams */
    int                report;     /* errno goes there when it cannot become the program */
};

static const char **make_environment(const char *const *extra, const char *without,
                                     const char *own);
static enum status  launch(struct child_process *process, struct launch *launch,
                           struct error *error);
static bool         open_pipes(struct child_process *process, struct launch *launch, int report[2]);
static void close_pipes(struct child_process *process, struct launch *launch, int report[2]);
static void close_one(int *fd);
_Noreturn static void become(const struct launch *launch);
static enum status    await_exec(struct child_process *process, const struct launch *launch,
                                 int report, struct error *error);
static bool           watch_outputs(struct child_process *process);
static void           on_output(unsigned ready, void *ctx);
static bool           read_some(struct output *output);
static void           take(struct output *output, struct bytes bytes);
static void           end_line(struct output *output);
static size_t         strip_escapes(char *text, size_t size);
static bool           has_words(struct bytes line);
static void           remember(struct child_process *process, struct bytes line);
static const char    *last_lines(const char *lines, size_t size);
static struct bytes   cut_begin(struct bytes text, size_t size);
static void           close_output(struct output *output);
static void           on_child_signal(int signal_number, void *ctx);
static void           on_gone(struct child_process *process, int wait_status);

struct child_process *child_process_new(struct loop                       *loop,
                                        const struct child_process_events *events, void *ctx)
{
    struct child_process *process = calloc(1, sizeof *process);

    if (process == NULL)
        return NULL;
    process->loop = loop;
    process->events = events;
    process->ctx = ctx;
    for (size_t i = 0; i < COUNT_OF(process->outputs); i++) {
        process->outputs[i].process = process;
        process->outputs[i].is_error = i == 1;
        process->outputs[i].fd = -1;
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (loop_on_signal(loop, SIGCHLD, on_child_signal, process) != STATUS_OK) {
        free(process);
        return NULL;
    }
    return process;
}

void child_process_free(struct child_process *process)
{
    if (process == NULL)
        return;
    for (size_t i = 0; i < COUNT_OF(process->outputs); i++)
        close_output(&process->outputs[i]);
    free(process);
}

enum status child_process_start(struct child_process *process, const char *const *arguments,
                                const char *const *extra, const char *without, struct error *error)
{
    char          own[64], path[PROGRAM_PATH_SIZE];
    struct launch plan = {.path = path, .arguments = arguments, .parent = getpid()};
    enum status   status = program_path_find(arguments[0], getenv("PATH"), path, error);

    if (status != STATUS_OK)
        return status;
    snprintf(own, sizeof own, "%s=%d", CHILD_PROCESS_VARIABLE, (int)plan.parent);
    plan.environment = make_environment(extra, without, own);
    if (plan.environment == NULL)
        return error_set(error, STATUS_NO_MEMORY, "out of memory");
    process->last[0] = '\0';
    status = launch(process, &plan, error);
    free((void *)plan.environment);
    return status;
}

/* Later entries win in no program that we know: what is replaced is left out. */
static const char **make_environment(const char *const *extra, const char *without, const char *own)
{
    size_t       count = 0, extra_count = 0, used = 0;
    const char **environment;

    while (environ[count] != NULL)
        count++;
    while (extra != NULL && extra[extra_count] != NULL)
        extra_count++;
    environment = calloc(count + extra_count + 2, sizeof *environment);
    if (environment == NULL)
        return NULL;
    for (size_t i = 0; i < extra_count; i++)
        environment[used++] = extra[i];
    environment[used++] = own;
    extra_count = used;
    for (size_t i = 0; i < count; i++) {
        size_t name = strcspn(environ[i], "=") + 1;
        bool   keeps = without == NULL || strncmp(environ[i], without, strlen(without)) != 0;

        for (size_t k = 0; k < extra_count && keeps; k++)
            keeps = strncmp(environ[i], environment[k], name) != 0;
        if (keeps)
            environment[used++] = environ[i];
    }
    return environment;
}

static enum status launch(struct child_process *process, struct launch *plan, struct error *error)
{
    int      report[2] = {-1, -1};
    sigset_t all, before;
    pid_t    id;

    if (!open_pipes(process, plan, report)) {
        close_pipes(process, plan, report);
        return error_set(error, STATUS_IO_FAILED, "cannot run %s: %s", plan->path, strerror(errno));
    }
    plan->report = report[1];
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before); /* our handlers must not run over there */
    id = fork();
    if (id == 0)
        become(plan);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (id > 0)
        setpgid(id, id); /* both sides, whoever comes first */
    close_one(&report[1]);
    for (size_t i = 0; i < COUNT_OF(plan->streams); i++)
        close_one(&plan->streams[i]);
    if (id < 0) {
        close_pipes(process, plan, report);
        return error_set(error, STATUS_IO_FAILED, "cannot run %s: %s", plan->path, strerror(errno));
    }
    process->id = id;
    return await_exec(process, plan, report[0], error);
}

static bool open_pipes(struct child_process *process, struct launch *plan, int report[2])
{
    plan->streams[1] = plan->streams[2] = -1;
    plan->streams[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (int i = 0; i < 2; i++) {
        int ends[2];

        if (pipe2(ends, O_CLOEXEC) != 0)
            return false;
        process->outputs[i].fd = ends[0];
        plan->streams[i + 1] = ends[1];
        if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0)
            return false;
    }
    return plan->streams[0] >= 0 && pipe2(report, O_CLOEXEC) == 0;
}

static void close_pipes(struct child_process *process, struct launch *plan, int report[2])
{
    int why = errno;

    for (size_t i = 0; i < COUNT_OF(plan->streams); i++)
        close_one(&plan->streams[i]);
    for (size_t i = 0; i < COUNT_OF(process->outputs); i++)
        close_output(&process->outputs[i]);
    close_one(&report[0]);
    close_one(&report[1]);
    errno = why;
}

static void close_one(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* In the new process, with all signals blocked: system calls only, until it is the program. */
_Noreturn static void become(const struct launch *plan)
{
    struct sigaction usual = {.sa_handler = SIG_DFL};
    sigset_t         none;

    setpgid(0, 0);
    for (int i = 1; i < NSIG; i++)
        sigaction(i, &usual, NULL); /* also what we or our parent ignore */
    prctl(PR_SET_PDEATHSIG, SIGINT);
    if (getppid() != plan->parent)
        _exit(EXIT_FAILURE); /* it died before the kernel knew whom to tell */
    for (int i = 0; i < 3; i++)
        if (dup2(plan->streams[i], i) < 0)
            goto failed;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(plan->path, (char *const *)plan->arguments, (char *const *)plan->environment);
failed : {
    int why = errno;

    (void)!write(plan->report, &why, sizeof why);
    _exit(EXIT_FAILURE);
}
}

static enum status await_exec(struct child_process *process, const struct launch *plan, int report,
                              struct error *error)
{
    int     why = 0;
    ssize_t size;

    do
        size = read(report, &why, sizeof why);
    while (size < 0 && errno == EINTR);
    close(report);
    if (size == 0 && watch_outputs(process))
        return STATUS_OK;
    if (size == 0) {
        why = ENOMEM;
        kill(-process->id, SIGKILL);
    }
    waitpid(process->id, NULL, 0);
    process->id = 0;
    for (size_t i = 0; i < COUNT_OF(process->outputs); i++)
        close_output(&process->outputs[i]);
    return error_set(error, why == EACCES ? STATUS_NOT_PERMITTED : STATUS_IO_FAILED,
                     "cannot run %s: %s", plan->path, strerror(why));
}

static bool watch_outputs(struct child_process *process)
{
    for (size_t i = 0; i < COUNT_OF(process->outputs); i++) {
        struct output *output = &process->outputs[i];

        output->size = 0;
        output->watch = loop_watch_new(process->loop, output->fd, on_output, output);
        if (output->watch == NULL)
            return false;
        loop_watch_set(output->watch, LOOP_READ);
    }
    return true;
}

static void on_output(unsigned ready, void *ctx)
{
    struct output *output = ctx;

    (void)ready;
    for (int i = 0; i < reads_per_turn; i++)
        if (!read_some(output))
            return;
}

/* False: nothing more for now, or for ever. */
static bool read_some(struct output *output)
{
    char    data[4096];
    ssize_t size = read(output->fd, data, sizeof data);

    if (size > 0) {
        take(output, (struct bytes){.data = data, .size = (size_t)size});
        return true;
    }
    if (size == 0 || (errno != EAGAIN && errno != EINTR))
        close_output(output);
    return false;
}

static void take(struct output *output, struct bytes bytes)
{
    for (size_t i = 0; i < bytes.size; i++) {
        if (bytes.data[i] != '\n')
            output->line[output->size++] = bytes.data[i];
        if (bytes.data[i] == '\n' || output->size == sizeof output->line)
            end_line(output);
    }
}

static void end_line(struct output *output)
{
    struct child_process *process = output->process;
    struct bytes          line = {.data = output->line, .size = output->size};

    output->size = 0;
    line.size = strip_escapes(output->line, line.size);
    while (line.size > 0 && (line.data[line.size - 1] == '\r' || line.data[line.size - 1] == ' '))
        line.size--;
    if (line.size == 0)
        return;
    if (has_words(line))
        remember(process, line);
    process->events->on_line(line, output->is_error, process->ctx);
}

/* Colours are for terminals: ESC [ parameters letter. Returns how much is left. */
static size_t strip_escapes(char *text, size_t size)
{
    size_t kept = 0;

    for (size_t i = 0; i < size; i++) {
        if (text[i] != '\033' || i + 1 == size || text[i + 1] != '[') {
            text[kept++] = text[i];
            continue;
        }
        for (i += 2; i < size && (text[i] < '@' || text[i] > '~');)
            i++;
    }
    return kept;
}

static bool has_words(struct bytes line)
{
    for (size_t i = 0; i < line.size; i++)
        if (text_is_alnum(line.data[i]))
            return true;
    return false;
}

static void remember(struct child_process *process, struct bytes line)
{
    size_t      room = sizeof process->last - 1, needed = line.size + strlen(between_lines);
    const char *kept = last_lines(process->last, needed < room ? room - needed : 0);
    size_t      used = strlen(kept);

    memmove(process->last, kept, used + 1);
    line = cut_begin(line, room);
    snprintf(process->last + used, sizeof process->last - used, "%s%.*s",
             used == 0 ? "" : between_lines, (int)line.size, line.data);
}

/* Those at the end of `lines` that fit into `size` bytes; "" when not even the last one does. */
static const char *last_lines(const char *lines, size_t size)
{
    while (strlen(lines) > size) {
        const char *next = strstr(lines, between_lines);

        if (next == NULL)
            return "";
        lines = next + strlen(between_lines);
    }
    return lines;
}

/* The last `size` bytes of it, or a few less: no character is cut. */
static struct bytes cut_begin(struct bytes text, size_t size)
{
    if (text.size <= size)
        return text;
    text = bytes_skip(text, text.size - size);
    for (int i = 0; i < 3 && text.size > 0 && (text.data[0] & 0xc0) == 0x80; i++)
        text = bytes_skip(text, 1);
    return text;
}

static void close_output(struct output *output)
{
    if (output->size > 0)
        end_line(output);
    loop_watch_free(output->watch);
    output->watch = NULL;
    close_one(&output->fd);
}

/* One signal may stand for many children. */
static void on_child_signal(int signal_number, void *ctx)
{
    struct child_process *process = ctx;
    int                   wait_status, own_status = 0;
    bool                  own = false;
    pid_t                 id;

    (void)signal_number;
    while ((id = waitpid(-1, &wait_status, WNOHANG)) > 0) {
        if (id != process->id)
            continue;
        own = true;
        own_status = wait_status;
    }
    if (own)
        on_gone(process, own_status);
}

static void on_gone(struct child_process *process, int wait_status)
{
    kill(-process->id, SIGKILL); /* what it has left behind may still write to its files */
    process->id = 0;
    for (size_t i = 0; i < COUNT_OF(process->outputs); i++) {
        struct output *output = &process->outputs[i];

        for (int k = 0; k < reads_at_end && output->fd >= 0 && read_some(output); k++)
            continue;
        close_output(output);
    }
    process->events->on_exit(wait_status, process->ctx);
}

pid_t child_process_id(const struct child_process *process)
{
    return process->id;
}

void child_process_signal(struct child_process *process, int signal_number)
{
    if (process->id != 0)
        kill(-process->id, signal_number);
}

const char *child_process_last_lines(const struct child_process *process, size_t size)
{
    const char *lines = last_lines(process->last, size);

    return lines[0] != '\0' ? lines : cut_begin(bytes_of(process->last), size).data;
}
