#include "app/daemon_child.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/daemon_advice.h"
#include "app/daemon_kept.h"
#include "app/daemon_recycle.h"
#include "app/daemon_warm.h"
#include "base/log.h"
#include "base/text.h"
#include "child/child_process.h"
#include "child/database_file.h"
#include "child/database_mode.h"
#include "child/directory_lock.h"
#include "child/directory_users.h"
#include "child/oom_counter.h"
#include "child/port_owner.h"
#include "child/process_memory.h"
#include "child/supervisor.h"
#include "io/clock.h"

static const struct supervisor_options supervision = {
    .delay_min_us = 200000,
    .delay_max_us = 10000000,
    .stable_us = 1000000,
    .end_timeout_us = 10000000,
    .first_starts_max = 3, /* the port may have been taken in the moment before */
};
/* An earlier Chroma finishes what it does when it is told to end: so long at most is waited. */
static const uint64_t leftover_wait_us = 30000000;
static const uint64_t leftover_look_us = 200000;
/* Between two looks at the port of one that starts: small beside the second that it takes. */
static const uint64_t port_look_us = 20000;
/* A look goes through the descriptors of all processes: on a large machine it is made less often,
 * so that it takes 2 % of a core, unless ten seconds do not suffice for that. */
static const uint64_t others_look_us = 1000000, others_look_max_us = 10000000;
static const uint64_t others_look_share = 50;

/* What a worker looks at. */
enum look_kind { LOOK_NONE, LOOK_DIRECTORY, LOOK_PORT, LOOK_OTHERS };

struct look {
    struct worker_job     job;
    enum look_kind        kind;
    pid_t                 group;
    bool                  has_user, has_foreign_peer;
    struct directory_user user;
    enum port_owner       owner;
    struct database_file  database;
    enum status           mode; /* what database_mode_set() said */
    struct error          mode_error;
    uint64_t              took_us;
    uint64_t              memory_bytes;
    enum status           locked;
    int                   lock; /* newly taken; -1: none */
};

struct daemon_child {
    struct daemon                    *daemon;
    const struct daemon_child_events *events;
    void                             *ctx;
    struct daemon_child_command       command;
    struct supervisor                 supervisor;
    struct child_process             *process;
    struct loop_timer                *timer;
    struct daemon_recycle            *recycle;
    struct daemon_warm               *warm;
    struct daemon_kept               *kept;
    struct look                       look;
    bool                              is_looking;
    int                               lock;      /* of the directory; -1: none */
    struct database_file              database;  /* that Chroma has opened */
    enum look_kind                    next_look; /* due at next_look_us */
    uint64_t                          next_look_us;
    uint64_t                          begun_us;       /* the start that is under way */
    uint64_t                          oom_before;     /* the counter when it was started */
    uint64_t                          end_us;         /* it is killed then, if it is to stop */
    bool                              is_wal;         /* exec.sqlite_wal */
    bool                              has_memory_max; /* exec.memory_max */
    bool                              told_leftover, told_stranger, told_end;
    unsigned                          others_seen; /* looks in a row */
    bool                              has_others;
    bool                              is_closed;  /* as daemon_child_keep_copies() wants it */
    bool                              found_user; /* before the first start: nothing was started */
};

static void on_child_line(struct bytes line, bool is_error, void *ctx);
static void on_child_exit(int wait_status, void *ctx);
static void drive(struct daemon_child *child);
static void set_alarm(struct daemon_child *child);
static void on_alarm(void *ctx);
static void look_later(struct daemon_child *child, enum look_kind kind, uint64_t delay_us);
static void begin_look(struct daemon_child *child);
static void run_look(struct worker_job *job);
static void on_looked(struct worker_job *job);
static void on_directory_seen(struct daemon_child *child);
static void refuse_directory(struct daemon_child *child);
static void start_process(struct daemon_child *child);
static void on_port_seen(struct daemon_child *child);
static void look_at_others_later(struct daemon_child *child, uint64_t pause_us);
static void on_others_seen(struct daemon_child *child);
static void become_sidecar(struct daemon_child *child, const char *reason);
static void on_child_warm(void *ctx);
static void end_for_another(void *ctx);
static bool was_recycled(const struct daemon_child *child, int wait_status);
static enum supervisor_cause cause_of(const struct daemon_child *child, int wait_status);
static void                  log_end_of_child(const struct daemon_child *child, int wait_status,
                                              enum supervisor_cause cause);
static void                  drop_lock(struct daemon_child *child);
static void                  fail_child(struct daemon_child *child, const char *reason);
static uint64_t              child_now_us(const struct daemon_child *child);

static const struct child_process_events process_events = {.on_line = on_child_line,
                                                           .on_exit = on_child_exit};

struct daemon_child *daemon_child_new(struct daemon                    *daemon,
                                      const struct daemon_child_events *events, void *ctx)
{
    struct daemon_child      *child = calloc(1, sizeof *child);
    struct supervisor_options options = supervision;

    if (child == NULL)
        return NULL;
    child->daemon = daemon;
    child->events = events;
    child->ctx = ctx;
    child->lock = -1;
    child->is_wal = daemon->settings->exec_sqlite_wal;
    child->has_memory_max = daemon->settings->exec_memory_max_bytes > 0;
    options.hang_timeout_us = daemon->settings->exec_hang_timeout_us;
    supervisor_init(&child->supervisor, &options);
    child->process = child_process_new(daemon->loop, &process_events, child);
    child->timer = loop_timer_new(daemon->loop, on_alarm, child);
    child->recycle = daemon_recycle_new(daemon, end_for_another, child);
    child->warm = daemon_warm_new(daemon, on_child_warm, child);
    child->kept = daemon_kept_new(daemon);
    if (child->process == NULL || child->timer == NULL || child->recycle == NULL ||
        child->warm == NULL || child->kept == NULL) {
        daemon_child_free(child);
        return NULL;
    }
    proxy_hold(daemon->proxy, true);
    upstream_health_hold(daemon->backend.health, true);
    return child;
}

void daemon_child_free(struct daemon_child *child)
{
    if (child == NULL)
        return;
    child_process_free(child->process);
    daemon_recycle_free(child->recycle);
    daemon_warm_free(child->warm);
    daemon_kept_free(child->kept);
    loop_timer_free(child->timer);
    drop_lock(child);
    free(child);
}

void daemon_child_begin(struct daemon_child *child, const struct daemon_child_command *command)
{
    child->command = *command;
    supervisor_begin(&child->supervisor, child_now_us(child));
    drive(child);
}

static void on_child_line(struct bytes line, bool is_error, void *ctx)
{
    struct log_line out;
    bool            has_words = false;

    (void)ctx;
    for (size_t i = 0; i < line.size && !has_words; i++)
        has_words = text_is_alnum(line.data[i]);
    if (!has_words) /* a picture */
        return;
    log_begin(&out, LOG_INFO, "chroma");
    log_text(&out, "stream", is_error ? "stderr" : "stdout");
    log_bytes(&out, "line", line);
    log_end(&out);
}

/* Carry out what the policy says. */
static void drive(struct daemon_child *child)
{
    enum supervisor_action action;

    while ((action = supervisor_next(&child->supervisor, child_now_us(child))) !=
           SUPERVISOR_NOTHING) {
        if (action == SUPERVISOR_START) {
            child->begun_us = child_now_us(child);
            child->told_leftover = child->told_stranger = false;
            look_later(child, LOOK_DIRECTORY, 0);
        } else {
            child_process_signal(child->process, action == SUPERVISOR_KILL ? SIGKILL : SIGINT);
        }
    }
    if (child->supervisor.state == SUPERVISOR_STOPPED && !child->told_end) {
        child->told_end = true;
        child->events->on_stopped(child->ctx);
        return;
    }
    set_alarm(child);
}

static void set_alarm(struct daemon_child *child)
{
    uint64_t at_us = supervisor_wake_us(&child->supervisor);

    if (child->next_look != LOOK_NONE && !child->is_looking && child->next_look_us < at_us)
        at_us = child->next_look_us;
    if (at_us == UINT64_MAX)
        loop_timer_clear(child->timer);
    else
        loop_timer_set(child->timer, at_us);
}

static void on_alarm(void *ctx)
{
    struct daemon_child *child = ctx;

    if (child->next_look != LOOK_NONE && !child->is_looking &&
        child_now_us(child) >= child->next_look_us)
        begin_look(child);
    drive(child);
}

static void look_later(struct daemon_child *child, enum look_kind kind, uint64_t delay_us)
{
    child->next_look = kind;
    child->next_look_us = child_now_us(child) + delay_us;
    set_alarm(child);
}

static void begin_look(struct daemon_child *child)
{
    child->is_looking = true;
    child->look =
        (struct look){.job = {.kind = WORKER_POOL_WATCH, .run = run_look, .done = on_looked},
                      .kind = child->next_look,
                      .mode = STATUS_AGAIN,
                      .lock = -1,
                      .group = child_process_id(child->process)};
    child->next_look = LOOK_NONE;
    worker_pool_submit(child->daemon->workers, &child->look.job);
}

/* On a worker: reads /proc. The command does not change while the child lives. */
static void run_look(struct worker_job *job)
{
    struct look                       *look = CONTAINER_OF(job, struct look, job);
    const struct daemon_child         *child = CONTAINER_OF(look, struct daemon_child, look);
    const struct daemon_child_command *command = &child->command;
    uint64_t                           began_us = clock_now_us();

    look->database = database_file_find(command->directory);
    if (look->kind == LOOK_PORT) {
        look->owner = port_owner_find(command->port, look->group);
        return;
    }
    if (look->kind == LOOK_DIRECTORY && child->lock < 0 && command->directory[0] != '\0')
        look->locked = directory_lock_take(command->directory, &look->lock);
    if (command->directory[0] != '\0') /* after the lock: its last holder may have one running */
        look->has_user = directory_users_find(command->directory, look->group, &look->user);
    if (look->kind == LOOK_DIRECTORY && !look->has_user && (look->lock >= 0 || child->lock >= 0))
        daemon_kept_look(child->kept, command->directory);
    if (look->kind == LOOK_DIRECTORY && !look->has_user && look->locked != STATUS_AGAIN &&
        command->directory[0] != '\0')
        look->mode = database_mode_set(command->directory, child->is_wal, &look->mode_error);
    if (look->kind == LOOK_OTHERS) {
        look->has_foreign_peer = port_owner_has_foreign_peer(command->port, look->group);
        if (child->has_memory_max)
            look->memory_bytes = process_memory_read(look->group);
    }
    look->took_us = clock_now_us() - began_us;
}

static void on_looked(struct worker_job *job)
{
    struct look         *look = CONTAINER_OF(job, struct look, job);
    struct daemon_child *child = CONTAINER_OF(look, struct daemon_child, look);
    bool                 is_gone = look->group != child_process_id(child->process);

    child->is_looking = false;
    if (look->kind == LOOK_DIRECTORY)
        on_directory_seen(child);
    else if (look->kind == LOOK_PORT && !is_gone)
        on_port_seen(child);
    else if (look->kind == LOOK_OTHERS && !is_gone)
        on_others_seen(child);
    set_alarm(child); /* the next look may have become due meanwhile */
}

static void on_directory_seen(struct daemon_child *child)
{
    const struct look *look = &child->look;
    uint64_t           waited_us = child_now_us(child) - child->begun_us;
    bool               is_coming = look->locked == STATUS_AGAIN && !look->has_user;

    if (look->lock >= 0)
        child->lock = look->lock;
    if (child->supervisor.state != SUPERVISOR_STARTING) { /* it is to stop */
        supervisor_on_exited(&child->supervisor, SUPERVISOR_EXITED, child_now_us(child));
        drive(child);
    } else if (((look->has_user && look->user.is_leftover) || is_coming) &&
               waited_us < leftover_wait_us) {
        if (!child->told_leftover && look->has_user)
            log_event(LOG_WARNING, "waiting_for_old_chroma", "command", look->user.command);
        child->told_leftover = true;
        look_later(child, LOOK_DIRECTORY, leftover_look_us);
    } else if ((look->has_user || is_coming) && !child->supervisor.was_ready) {
        refuse_directory(child);
    } else {
        if (look->has_user || !database_file_is(look->database, child->database))
            daemon_kept_on_ended(child->kept, false);
        start_process(child);
    }
}

static void refuse_directory(struct daemon_child *child)
{
    char user[120] = "another chromabouncer, which is about to start Chroma", reason[600];

    if (child->look.has_user)
        snprintf(user, sizeof user, "process %d (%s)", (int)child->look.user.process,
                 child->look.user.command);
    snprintf(reason, sizeof reason,
             "%.300s is used by %s; two at a time damage it, so end that one first%s",
             child->command.directory, user,
             child->daemon->wrap == NULL ? ""
                                         : ", or run both commands under one wrap: chromabouncer "
                                           "wrap -- sh -c 'FIRST & SECOND & wait'");
    child->found_user = true;
    fail_child(child, reason);
}

static void start_process(struct daemon_child *child)
{
    struct error error;
    enum status  status;

    if (child->look.mode == STATUS_OK)
        log_event(LOG_INFO, "database_mode_changed", "mode", child->is_wal ? "wal" : "delete");
    else if (child->look.mode == STATUS_IO_FAILED) /* Chroma may say more about it */
        log_event(LOG_ERROR, "database_mode_not_changed", "reason", child->look.mode_error.text);
    daemon_kept_open(child->kept);
    child->oom_before = oom_counter_read("");
    status = child_process_start(child->process, child->command.arguments, child->command.variables,
                                 child->command.without, &error);
    if (status == STATUS_OK) {
        supervisor_on_started(&child->supervisor);
        look_later(child, LOOK_PORT, port_look_us);
    } else if (!child->supervisor.was_ready) {
        fail_child(child, error.text); /* no such program: that does not get better */
    } else {
        log_event(LOG_ERROR, "chroma_not_started", "reason", error.text);
        supervisor_on_exited(&child->supervisor, SUPERVISOR_EXITED, child_now_us(child));
        drive(child);
    }
}

static void on_port_seen(struct daemon_child *child)
{
    if (child->supervisor.state != SUPERVISOR_STARTING)
        return;
    if (child->look.owner == PORT_OWNER_GROUP) {
        child->database = child->look.database;
        upstream_health_hold(child->daemon->backend.health, false); /* its heartbeat decides */
        return;
    }
    if (child->look.owner == PORT_OWNER_STRANGER && !child->told_stranger) {
        child->told_stranger = true;
        log_event(LOG_ERROR, "port_of_chroma_is_taken", NULL, NULL);
    }
    look_later(child, LOOK_PORT, port_look_us);
}

void daemon_child_on_health(struct daemon_child *child)
{
    enum upstream_health_state state = upstream_health_state(child->daemon->backend.health);
    enum supervisor_state      before = child->supervisor.state;

    if (state == UPSTREAM_HEALTH_UNKNOWN || !child->supervisor.has_process)
        return;
    supervisor_on_heartbeat(&child->supervisor, state == UPSTREAM_HEALTH_UP, child_now_us(child));
    if (before == SUPERVISOR_STARTING && child->supervisor.state == SUPERVISOR_READY) {
        struct log_line line;

        log_begin(&line, LOG_INFO, "chroma_ready");
        log_number(&line, "process", (uint64_t)child_process_id(child->process));
        log_ms(&line, "took_ms", child_now_us(child) - child->begun_us);
        log_end(&line);
        proxy_hold(child->daemon->proxy, false);
        look_at_others_later(child, others_look_us);
        daemon_warm_begin(child->warm);
        child->events->on_ready(child->ctx);
    }
    drive(child);
}

/* A pause that a recycle has begun ends now. */
static void on_child_warm(void *ctx)
{
    struct daemon_child *child = ctx;

    daemon_recycle_on_ready(child->recycle);
}

/* Once others were seen there is only its memory to look at. */
static void look_at_others_later(struct daemon_child *child, uint64_t pause_us)
{
    if (child->has_others && !child->has_memory_max)
        return;
    if (pause_us > others_look_max_us)
        pause_us = others_look_max_us;
    look_later(child, LOOK_OTHERS, pause_us < others_look_us ? others_look_us : pause_us);
}

/* Twice in a row: a `chroma` command that looks at a directory for a moment is no user. */
static void on_others_seen(struct daemon_child *child)
{
    const struct look *look = &child->look;
    char               reason[160];

    look_at_others_later(child, look->took_us * others_look_share);
    if (child->supervisor.state == SUPERVISOR_READY)
        daemon_recycle_on_memory(child->recycle, look->memory_bytes);
    child->others_seen = look->has_user || look->has_foreign_peer ? child->others_seen + 1 : 0;
    if (child->has_others || child->others_seen < 2)
        return;
    if (look->has_user)
        daemon_advice_note_embedded(child->daemon, child->command.directory, EMBEDDED_USE_BESIDE,
                                    look->user.process);
    if (look->has_user)
        snprintf(reason, sizeof reason, "process %d has its directory open: %s",
                 (int)look->user.process, look->user.command);
    else
        snprintf(reason, sizeof reason, "somebody is connected to its port %u directly",
                 child->command.port);
    become_sidecar(child, reason);
}

/* What they have written while nobody looked is not known: there is no way back. */
static void become_sidecar(struct daemon_child *child, const char *reason)
{
    child->has_others = true;
    log_event(LOG_ERROR, "chroma_has_other_users", "reason", reason);
    log_event(LOG_ERROR, "role_is_now_sidecar", "why",
              "not every write to this Chroma comes through this process");
    proxy_set_gateway(child->daemon->proxy, false);
}

void daemon_child_renew(struct daemon_child *child)
{
    drop_lock(child);
    daemon_recycle_begin(child->recycle);
}

static void end_for_another(void *ctx)
{
    struct daemon_child *child = ctx;

    supervisor_recycle(&child->supervisor, child_now_us(child));
    drive(child);
}

static void on_child_exit(int wait_status, void *ctx)
{
    struct daemon_child  *child = ctx;
    enum supervisor_cause cause = cause_of(child, wait_status);

    child->is_closed = child->supervisor.state == SUPERVISOR_ENDING &&
                       child->supervisor.must_stop && child->supervisor.was_ready &&
                       !(WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGKILL);
    daemon_kept_on_ended(child->kept, was_recycled(child, wait_status));
    upstream_health_hold(child->daemon->backend.health, true);
    proxy_hold(child->daemon->proxy, true);
    upstream_incarnation_void(child->daemon->backend.incarnation, "Chroma ended");
    proxy_backend_ended(child->daemon->proxy);
    child->next_look = LOOK_NONE;
    child->others_seen = 0;
    daemon_recycle_on_ended(child->recycle);
    daemon_warm_stop(child->warm);
    cause = supervisor_on_exited(&child->supervisor, cause, child_now_us(child));
    log_end_of_child(child, wait_status, cause);
    if (child->supervisor.state == SUPERVISOR_FAILED) {
        const char *said = child_process_last_lines(child->process, 400);
        char        reason[512];

        snprintf(reason, sizeof reason, "Chroma ended %u times before it was ready; it said: %s",
                 child->supervisor.failed_starts, said[0] == '\0' ? "nothing" : said);
        fail_child(child, reason);
        return;
    }
    drive(child);
}

/* It was ended in order, to be started again, and is alone with its directory. */
static bool was_recycled(const struct daemon_child *child, int wait_status)
{
    const struct supervisor *supervisor = &child->supervisor;

    return supervisor->state == SUPERVISOR_ENDING && !supervisor->must_stop &&
           supervisor->ending_cause == SUPERVISOR_RECYCLED && child->lock >= 0 &&
           !child->has_others && !(WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGKILL);
}

static enum supervisor_cause cause_of(const struct daemon_child *child, int wait_status)
{
    if (!WIFSIGNALED(wait_status))
        return SUPERVISOR_EXITED;
    return WTERMSIG(wait_status) == SIGKILL && oom_counter_read("") > child->oom_before
               ? SUPERVISOR_OUT_OF_MEMORY
               : SUPERVISOR_SIGNALED;
}

static void log_end_of_child(const struct daemon_child *child, int wait_status,
                             enum supervisor_cause cause)
{
    enum supervisor_state state = child->supervisor.state;
    uint64_t              now_us = child_now_us(child), start_us = child->supervisor.start_at_us;
    struct log_line       line;

    log_begin(&line,
              state == SUPERVISOR_STOPPED || cause == SUPERVISOR_RECYCLED ? LOG_INFO : LOG_ERROR,
              "chroma_ended");
    log_text(&line, "cause",
             child->is_closed ? "it was told to end" : supervisor_cause_name(cause));
    if (WIFSIGNALED(wait_status))
        log_text(&line, "signal", strsignal(WTERMSIG(wait_status)));
    else
        log_number(&line, "status", (uint64_t)WEXITSTATUS(wait_status));
    if (state == SUPERVISOR_WAITING)
        log_ms(&line, "starts_in_ms", start_us > now_us ? start_us - now_us : 0);
    if (state != SUPERVISOR_STOPPED)
        log_text(&line, "last_lines",
                 child_process_last_lines(child->process, CHILD_PROCESS_LAST_SIZE));
    log_end(&line);
}

static void drop_lock(struct daemon_child *child)
{
    if (child->lock >= 0)
        close(child->lock);
    child->lock = -1;
}

static void fail_child(struct daemon_child *child, const char *reason)
{
    log_event(LOG_ERROR, "chroma_cannot_be_started", "reason", reason);
    if (child->supervisor.state != SUPERVISOR_FAILED)
        supervisor_give_up(&child->supervisor);
    child->next_look = LOOK_NONE;
    loop_timer_clear(child->timer);
    drop_lock(child);
    child->events->on_failed(reason, child->ctx);
}

void daemon_child_stop(struct daemon_child *child, uint64_t kill_at_us)
{
    child->end_us = kill_at_us;
    supervisor_stop(&child->supervisor, kill_at_us);
    if (child->supervisor.state == SUPERVISOR_FAILED && !child->told_end) {
        child->told_end = true;
        child->events->on_stopped(child->ctx);
        return;
    }
    drive(child);
}

void daemon_child_keep_copies(struct daemon_child *child)
{
    if (child != NULL && child->is_closed && !child->has_others && child->lock >= 0 &&
        child_process_id(child->process) == 0)
        daemon_kept_save(child->kept, child->database, child->end_us);
}

void daemon_child_on_backend(struct daemon_child *child)
{
    daemon_kept_on_backend(child->kept);
}

bool daemon_child_found_user(const struct daemon_child *child)
{
    return child->found_user;
}

bool daemon_child_was_ready(const struct daemon_child *child)
{
    return child->supervisor.was_ready;
}

bool daemon_child_is_warming(const struct daemon_child *child)
{
    return daemon_warm_is_under_way(child->warm);
}

enum status daemon_child_print_metrics(const struct daemon_child *child, struct byte_buffer *out)
{
    return metric_print(out, supervisor_metrics, supervisor_metric_count, &child->supervisor.stats);
}

static uint64_t child_now_us(const struct daemon_child *child)
{
    return loop_now_us(child->daemon->loop);
}
