#include "app/daemon_exec.h"

#include <stdio.h>
#include <sysexits.h>

#include "app/daemon_child.h"
#include "app/daemon_plan.h"
#include "child/chroma_command.h"

/* Chroma takes a moment to finish what it does; a fifth of a short drain.timeout. */
static const uint64_t chroma_end_us = 5000000;
/* When no Chroma can be started: between two looks at who waits, and in all. */
static const uint64_t refusal_look_us = 50000, refusal_max_us = 1000000;

static void on_exec_ready(void *ctx);
static void on_exec_failed(const char *reason, void *ctx);
static void refuse_requests(void *ctx);
static void on_exec_stopped(void *ctx);

static const struct daemon_child_events exec_events = {
    .on_ready = on_exec_ready, .on_failed = on_exec_failed, .on_stopped = on_exec_stopped};

enum status daemon_exec_start(struct daemon *daemon, struct error *error)
{
    const struct daemon_child_command command = {.arguments = daemon->plan->arguments,
                                                 .directory = daemon->plan->directory,
                                                 .port = daemon->plan->port,
                                                 .variables = daemon->exec_variables,
                                                 .without = "CHROMABOUNCER_"};

    /* In the environment these would win over the config file that we write (1.5.9, 1.0.20). */
    snprintf(daemon->exec_port, sizeof daemon->exec_port, "CHROMA_PORT=%u",
             (unsigned)daemon->plan->port);
    daemon->exec_variables[0] = daemon->exec_port;
    daemon->exec_variables[1] = "CHROMA_LISTEN_ADDRESS=" CHROMA_COMMAND_HOST;

    daemon->child = daemon_child_new(daemon, &exec_events, daemon);
    if (daemon->child == NULL)
        return error_set(error, STATUS_NO_MEMORY, "out of memory at start");
    daemon_child_begin(daemon->child, &command);
    return STATUS_OK;
}

/* Who waits was let go by the pool already. */
static void on_exec_ready(void *ctx)
{
    (void)ctx;
}

/* Its supervisor, a person or a program, must see it. Those who wait are told first. */
static void on_exec_failed(const char *reason, void *ctx)
{
    struct daemon *daemon = ctx;

    snprintf(daemon->exec_reason, sizeof daemon->exec_reason, "Chroma cannot be started: %s",
             reason);
    daemon->exit_status = EX_UNAVAILABLE;
    daemon->exec_end_us = loop_now_us(daemon->loop) + refusal_max_us;
    daemon->exec_end_timer = loop_timer_new(daemon->loop, refuse_requests, daemon);
    front_drain(daemon->front);
    if (daemon->exec_end_timer != NULL)
        refuse_requests(daemon);
    else
        loop_stop(daemon->loop);
}

/* At least twice: their answers go out in between. */
static void refuse_requests(void *ctx)
{
    struct daemon *daemon = ctx;
    uint64_t       now_us = loop_now_us(daemon->loop);
    bool           is_idle = front_active_requests(daemon->front) == 0;

    proxy_refuse_all(daemon->proxy, daemon->exec_reason);
    if (now_us >= daemon->exec_end_us || is_idle)
        loop_stop(daemon->loop);
    else
        loop_timer_set(daemon->exec_end_timer, now_us + refusal_look_us);
}

static void on_exec_stopped(void *ctx)
{
    struct daemon *daemon = ctx;

    loop_stop(daemon->loop);
}

uint64_t daemon_exec_drain_us(const struct daemon *daemon)
{
    uint64_t all_us = daemon->settings->drain_timeout_us;

    if (daemon->child == NULL)
        return all_us;
    return all_us - (all_us / 5 < chroma_end_us ? all_us / 5 : chroma_end_us);
}
