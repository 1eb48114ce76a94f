#include "app/daemon_wrap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/daemon_advice.h"
#include "app/daemon_child.h"
#include "app/daemon_plan.h"
#include "base/log.h"
#include "child/chroma_command.h"
#include "child/chroma_config.h"
#include "child/database_file.h"
#include "child/hook_door.h"
#include "child/peer_user.h"
#include "child/wrapped_processes.h"

/* How soon after the last process of the application we are gone. */
static const uint64_t application_look_us = 200000;
/* An embedded client takes adds of any size; our own body_max is the bound. */
static const uint64_t chroma_body_max_bytes = 1 << 30;

/* Chroma without the import of its whole client library, which takes seconds. The current directory
 * is taken out of the search for modules: `chroma` does not look there either. */
static const char rust_server[] = "import sys\n"
                                  "sys.path[:] = [p for p in sys.path if p]\n"
                                  "import chromadb_rust_bindings as chroma\n"
                                  "try:\n"
                                  "    chroma.cli(['chroma'] + sys.argv[1:])\n"
                                  "except KeyboardInterrupt:\n"
                                  "    pass\n";
static const char python_server[] = "import sys\n"
                                    "sys.path[:] = [p for p in sys.path if p]\n"
                                    "from chromadb.cli.cli import app\n"
                                    "sys.argv[0] = 'chroma'\n"
                                    "app()\n";

enum wrap_state { WRAP_CLOSED, WRAP_STARTING, WRAP_READY, WRAP_FAILED };

struct daemon_wrap {
    struct daemon                 *daemon;
    const struct daemon_wrap_plan *plan;
    struct hook_door              *door;
    struct peer_user              *peers;
    enum wrap_state                state;
    char                           directory[HOOK_REQUEST_PATH_SIZE]; /* "": none yet */
    char                           reason[600];                       /* FAILED */
    struct hook_visitor           *waiting[HOOK_DOOR_VISITORS_MAX];
    size_t                         waiting_count;
    char                           python[HOOK_REQUEST_PATH_SIZE], port[8];
    char                           config[160], log[160];
    const char                    *arguments[16], *variables[2];
    struct wrapped_processes       processes;
    struct loop_watch             *application;
    struct loop_timer             *timer;
    struct worker_job              look, compare;
    bool                           is_looking, is_marked; /* what the look found */
    bool                           is_comparing, is_served_known;
    struct database_file           served, found; /* what Chroma has open; what lies there now */
    bool                           has_opened, has_stayed, is_ending, never_started, was_told;
};

static enum status open_parts(struct daemon_wrap *wrap, struct error *error);
static bool        is_welcome(int fd, const struct socket_address *peer, void *ctx);
static void        on_hook_request(struct hook_visitor *visitor, const struct hook_request *request,
                                   pid_t process, void *ctx);
static void        on_hook_note(struct daemon_wrap *wrap, struct hook_visitor *visitor,
                                const struct hook_request *request, pid_t process);
static void        on_hook_open(struct daemon_wrap *wrap, struct hook_visitor *visitor,
                                const struct hook_request *request);
static void        begin_chroma(struct daemon_wrap *wrap, const struct hook_request *request);
static enum status make_rust_command(struct daemon_wrap *wrap, const struct hook_request *request,
                                     struct error *error);
static void make_python_command(struct daemon_wrap *wrap, const struct hook_request *request);
static void on_wrap_ready(void *ctx);
static void compare_directory(struct daemon_wrap *wrap);
static void run_compare(struct worker_job *job);
static void on_compared(struct worker_job *job);
static void answer_waiting(struct daemon_wrap *wrap);
static void on_wrap_failed(const char *reason, void *ctx);
static void on_wrap_stopped(void *ctx);
static void answer_visitor(struct daemon_wrap *wrap, struct hook_visitor *visitor);
static void answer_no(struct hook_visitor *visitor, const char *reason, enum hook_refusal why);
static void on_visitor_gone(struct hook_visitor *visitor, void *ctx);
static void on_application_end(unsigned ready, void *ctx);
static void look_for_application(void *ctx);
static void run_application_look(struct worker_job *job);
static void on_application_looked(struct worker_job *job);
static void say_who_was_not_served(const struct daemon_wrap *wrap);

static const struct daemon_child_events wrap_child_events = {
    .on_ready = on_wrap_ready, .on_failed = on_wrap_failed, .on_stopped = on_wrap_stopped};
static const struct hook_door_events door_events = {.on_request = on_hook_request,
                                                    .on_gone = on_visitor_gone};

enum status daemon_wrap_start(struct daemon *daemon, struct error *error)
{
    struct daemon_wrap *wrap = calloc(1, sizeof *wrap);
    const char          ready = 0;
    enum status         status;

    if (wrap == NULL)
        return error_set(error, STATUS_NO_MEMORY, "out of memory at start");
    daemon->wrap = wrap;
    wrap->daemon = daemon;
    wrap->plan = daemon->plan->wrap;
    if (wrap->plan->directory != NULL)
        snprintf(wrap->directory, sizeof wrap->directory, "%s", wrap->plan->directory);
    status = open_parts(wrap, error);
    if (status != STATUS_OK)
        return status;
    front_set_guard(daemon->front, is_welcome, wrap->peers);
    loop_watch_set(wrap->application, LOOP_READ);
    return write(wrap->plan->ready_fd, &ready, 1) == 1
               ? STATUS_OK
               : error_set(error, STATUS_IO_FAILED, "the application is gone");
}

static enum status open_parts(struct daemon_wrap *wrap, struct error *error)
{
    struct daemon *daemon = wrap->daemon;

    daemon->child = daemon_child_new(daemon, &wrap_child_events, wrap);
    wrap->peers = peer_user_new();
    wrap->timer = loop_timer_new(daemon->loop, look_for_application, wrap);
    wrap->application =
        loop_watch_new(daemon->loop, wrap->plan->application_fd, on_application_end, wrap);
    if (daemon->child == NULL || wrap->peers == NULL || wrap->timer == NULL ||
        wrap->application == NULL)
        return error_set(error, STATUS_NO_MEMORY, "out of memory at start");
    return hook_door_new(daemon->loop, wrap->plan->door, &door_events, wrap, &wrap->door, error);
}

/* The files of the directory were closed to other users; a port is open to all. */
static bool is_welcome(int fd, const struct socket_address *peer, void *ctx)
{
    (void)peer;
    return peer_user_is_ours(ctx, fd);
}

static void on_hook_request(struct hook_visitor *visitor, const struct hook_request *request,
                            pid_t process, void *ctx)
{
    struct daemon_wrap *wrap = ctx;

    wrapped_processes_add(&wrap->processes, process);
    if (request->operation == HOOK_NOTE)
        on_hook_note(wrap, visitor, request, process);
    else
        on_hook_open(wrap, visitor, request);
}

static void on_hook_note(struct daemon_wrap *wrap, struct hook_visitor *visitor,
                         const struct hook_request *request, pid_t process)
{
    bool               is_other = strcmp(request->what, "other_directory") == 0;
    struct byte_buffer answer = {0};
    struct log_line    line;

    daemon_advice_note_embedded(wrap->daemon, request->path,
                                is_other ? EMBEDDED_USE_OTHER : EMBEDDED_USE_STAYED, process);
    wrap->has_stayed = true;
    log_begin(&line, LOG_WARNING, "client_stays_embedded");
    log_text(&line, "why", request->what);
    log_text(&line, "path", request->path);
    log_text(&line, "served", wrap->directory);
    log_end(&line);
    if (hook_request_answer_ok(&answer) == STATUS_OK)
        hook_door_answer(visitor, byte_buffer_bytes(&answer));
    else
        hook_door_answer(visitor, BYTES_LITERAL(""));
    byte_buffer_done(&answer);
}

static void on_hook_open(struct daemon_wrap *wrap, struct hook_visitor *visitor,
                         const struct hook_request *request)
{
    if (wrap->directory[0] == '\0')
        snprintf(wrap->directory, sizeof wrap->directory, "%s", request->path);
    if (strcmp(wrap->directory, request->path) != 0) {
        char reason[300];

        snprintf(reason, sizeof reason, "one directory is served at a time, and it is %.200s",
                 wrap->directory);
        answer_no(visitor, reason, HOOK_OTHER_DIRECTORY);
        return;
    }
    wrap->has_opened = true;
    if (wrap->state == WRAP_CLOSED)
        begin_chroma(wrap, request);
    if (wrap->state == WRAP_FAILED) {
        answer_visitor(wrap, visitor);
        return;
    }
    wrap->waiting[wrap->waiting_count++] = visitor;
    if (wrap->state == WRAP_READY)
        compare_directory(wrap);
}

static void begin_chroma(struct daemon_wrap *wrap, const struct hook_request *request)
{
    struct daemon_child_command command = {.arguments = wrap->arguments,
                                           .variables = wrap->variables,
                                           /* CHROMA_PORT and others win over a config file */
                                           .without = "CHROMA",
                                           .directory = wrap->directory,
                                           .port = wrap->daemon->plan->port};
    struct error                error;
    enum status                 status = STATUS_OK;

    wrap->state = WRAP_STARTING;
    snprintf(wrap->python, sizeof wrap->python, "%s", request->python);
    snprintf(wrap->port, sizeof wrap->port, "%u", command.port);
    snprintf(wrap->config, sizeof wrap->config, "%s/chroma.yaml", wrap->plan->folder);
    snprintf(wrap->log, sizeof wrap->log, "%s/chroma.log", wrap->plan->folder);
    if (strtoul(request->version, NULL, 10) >= 1)
        status = make_rust_command(wrap, request, &error);
    else
        make_python_command(wrap, request);
    if (status == STATUS_OK)
        daemon_child_begin(wrap->daemon->child, &command);
    else
        on_wrap_failed(error.text, wrap);
}

static enum status make_rust_command(struct daemon_wrap *wrap, const struct hook_request *request,
                                     struct error *error)
{
    const char *const words[] = {wrap->python, "-c", rust_server, "run", wrap->config, NULL};

    memcpy(wrap->arguments, words, sizeof words);
    return chroma_config_write(wrap->config, wrap->directory, wrap->daemon->plan->port,
                               chroma_body_max_bytes, request->allow_reset, error);
}

/* Below 1.0 there is no configuration file; its log would go into the current directory. */
static void make_python_command(struct daemon_wrap *wrap, const struct hook_request *request)
{
    const char *const words[] = {wrap->python,  "-c",
                                 python_server, "run",
                                 "--path",      wrap->directory,
                                 "--host",      CHROMA_COMMAND_HOST,
                                 "--port",      wrap->port,
                                 "--log-path",  wrap->log,
                                 NULL};

    memcpy(wrap->arguments, words, sizeof words);
    wrap->variables[0] = request->allow_reset ? "ALLOW_RESET=TRUE" : "ALLOW_RESET=FALSE";
}

static void on_wrap_ready(void *ctx)
{
    struct daemon_wrap *wrap = ctx;

    wrap->state = WRAP_READY;
    wrap->is_served_known = false;
    compare_directory(wrap);
}

/* Who opens a directory anew finds what lies there now, not what lay there when Chroma began: the
 * application may have removed it or put another one in its place. */
static void compare_directory(struct daemon_wrap *wrap)
{
    if (wrap->is_comparing)
        return;
    wrap->is_comparing = true;
    wrap->compare =
        (struct worker_job){.kind = WORKER_POOL_WATCH, .run = run_compare, .done = on_compared};
    worker_pool_submit(wrap->daemon->workers, &wrap->compare);
}

static void run_compare(struct worker_job *job)
{
    struct daemon_wrap *wrap = CONTAINER_OF(job, struct daemon_wrap, compare);

    wrap->found = database_file_find(wrap->directory);
}

static void on_compared(struct worker_job *job)
{
    struct daemon_wrap *wrap = CONTAINER_OF(job, struct daemon_wrap, compare);

    wrap->is_comparing = false;
    if (wrap->state == WRAP_STARTING) /* it has ended meanwhile */
        return;
    if (!wrap->is_served_known)
        wrap->served = wrap->found;
    wrap->is_served_known = true;
    if (wrap->state == WRAP_FAILED || database_file_is(wrap->served, wrap->found)) {
        answer_waiting(wrap);
        return;
    }
    log_event(LOG_WARNING, "directory_was_replaced", "path", wrap->directory);
    wrap->state = WRAP_STARTING;
    daemon_child_renew(wrap->daemon->child);
}

static void answer_waiting(struct daemon_wrap *wrap)
{
    while (wrap->waiting_count > 0)
        answer_visitor(wrap, wrap->waiting[--wrap->waiting_count]);
}

/* The application goes on with its embedded clients, or says that it cannot. Beside another user of
 * the directory it must not go on: two that write damage it. */
static void on_wrap_failed(const char *reason, void *ctx)
{
    struct daemon_wrap *wrap = ctx;

    wrap->state = WRAP_FAILED;
    snprintf(wrap->reason, sizeof wrap->reason, "%s", reason);
    answer_waiting(wrap);
}

static void on_wrap_stopped(void *ctx)
{
    struct daemon_wrap *wrap = ctx;

    loop_stop(wrap->daemon->loop);
}

static void answer_visitor(struct daemon_wrap *wrap, struct hook_visitor *visitor)
{
    struct byte_buffer answer = {0};

    if (wrap->state != WRAP_READY) {
        answer_no(visitor, wrap->reason,
                  daemon_child_found_user(wrap->daemon->child) ? HOOK_IN_USE : HOOK_REFUSED);
        return;
    }
    if (hook_request_answer_address(&answer, "127.0.0.1", wrap->daemon->data_port) == STATUS_OK)
        hook_door_answer(visitor, byte_buffer_bytes(&answer));
    else
        hook_door_answer(visitor, BYTES_LITERAL(""));
    byte_buffer_done(&answer);
}

static void answer_no(struct hook_visitor *visitor, const char *reason, enum hook_refusal why)
{
    struct byte_buffer answer = {0};

    if (hook_request_answer_no(&answer, reason, why) == STATUS_OK)
        hook_door_answer(visitor, byte_buffer_bytes(&answer));
    else
        hook_door_answer(visitor, BYTES_LITERAL(""));
    byte_buffer_done(&answer);
}

static void on_visitor_gone(struct hook_visitor *visitor, void *ctx)
{
    struct daemon_wrap *wrap = ctx;

    for (size_t i = 0; i < wrap->waiting_count; i++)
        if (wrap->waiting[i] == visitor)
            wrap->waiting[i--] = wrap->waiting[--wrap->waiting_count];
}

/* Its first process has ended; others may go on. */
static void on_application_end(unsigned ready, void *ctx)
{
    struct daemon_wrap *wrap = ctx;
    char                byte;

    (void)ready;
    loop_watch_set(wrap->application, 0);
    wrap->never_started = read(wrap->plan->failed_fd, &byte, 1) == 1;
    look_for_application(wrap);
}

static void look_for_application(void *ctx)
{
    struct daemon_wrap *wrap = ctx;

    if (wrap->is_looking || wrap->is_ending)
        return;
    wrap->is_looking = true;
    wrap->look = (struct worker_job){
        .kind = WORKER_POOL_WATCH, .run = run_application_look, .done = on_application_looked};
    worker_pool_submit(wrap->daemon->workers, &wrap->look);
}

static void run_application_look(struct worker_job *job)
{
    struct daemon_wrap *wrap = CONTAINER_OF(job, struct daemon_wrap, look);

    wrap->is_marked = wrapped_processes_is_any_marked(wrap->plan->door);
}

/* When nobody is left, there is nobody to drain for. */
static void on_application_looked(struct worker_job *job)
{
    struct daemon_wrap *wrap = CONTAINER_OF(job, struct daemon_wrap, look);
    struct daemon      *daemon = wrap->daemon;
    uint64_t            now_us = loop_now_us(daemon->loop);

    wrap->is_looking = false;
    if (wrap->is_marked || wrapped_processes_is_any_known_alive(&wrap->processes) ||
        front_stats(daemon->front)->connections > 0) {
        loop_timer_set(wrap->timer, now_us + application_look_us);
        return;
    }
    wrap->is_ending = true;
    log_event(LOG_INFO, "application_ended", NULL, NULL);
    daemon_child_stop(daemon->child, now_us + daemon->settings->drain_timeout_us);
}

/* A service manager signals all processes of a service: the application may have much to write. */
bool daemon_wrap_outlasts_signal(struct daemon_wrap *wrap)
{
    bool outlasts = !wrap->was_told && !wrap->is_ending;

    wrap->was_told = true;
    if (outlasts)
        log_event(LOG_WARNING, "waiting_for_application", "then", "it ends; or at another signal");
    return outlasts;
}

void daemon_wrap_refuse(const struct daemon *daemon, int exit_status)
{
    char byte = (char)exit_status;

    if (daemon->plan != NULL && daemon->plan->wrap != NULL)
        (void)!write(daemon->plan->wrap->ready_fd, &byte, 1);
}

/* A client that was refused has failed with the reason. */
static void say_who_was_not_served(const struct daemon_wrap *wrap)
{
    if (wrap->state == WRAP_READY)
        return;
    if (wrap->has_stayed)
        fprintf(stderr, "chromabouncer: no client was served; one at least stayed embedded, see "
                        "client_stays_embedded in the log\n");
    else if (!wrap->has_opened)
        fprintf(stderr, "chromabouncer: no client of this command came to the proxy; a Python "
                        "started with -I, -E or another PYTHONPATH does not load the hook\n");
}

void daemon_wrap_free(struct daemon_wrap *wrap)
{
    if (wrap == NULL)
        return;
    if (wrap->is_ending && !wrap->never_started)
        say_who_was_not_served(wrap);
    hook_door_free(wrap->door);
    peer_user_free(wrap->peers);
    loop_watch_free(wrap->application);
    loop_timer_free(wrap->timer);
    wrapped_processes_done(&wrap->processes);
    free(wrap);
}
