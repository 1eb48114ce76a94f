/* supervisor - when the server that is run for us is started, ended and started again
 *
 *   waiting -> starting -> ready          (start; the first heartbeat)
 *      ^          |          |
 *      '----------+----------'            it died: wait 0.2 s, then twice as long, at most 10 s
 *      '-- ending <----------             it hangs or is to be started anew: INT, later KILL
 *
 * A death is expected to be over by the next start, so the wait is short again as soon as the
 * server has been ready for a while. A server that was never ready is tried a few times only: what
 * is wrong then (a flag, a directory, a port) does not get better.
 *
 * Policy only: the caller tells what happened and when, and carries out what supervisor_next()
 * says. struct supervisor is plain data; read it, change it only by these functions.
 */
#ifndef CHILD_SUPERVISOR_H
#define CHILD_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/metric.h"

enum supervisor_state {
    SUPERVISOR_IDLE,     /* nothing was asked for yet */
    SUPERVISOR_WAITING,  /* for the time of the next start */
    SUPERVISOR_STARTING, /* started, or about to be; no heartbeat yet */
    SUPERVISOR_READY,
    SUPERVISOR_ENDING, /* told to end; started again afterwards, unless it is to stop */
    SUPERVISOR_STOPPED,
    SUPERVISOR_FAILED, /* it cannot be started */
    SUPERVISOR_STATES
};

/* Why it ended. */
enum supervisor_cause {
    SUPERVISOR_EXITED,        /* by itself, with whatever status */
    SUPERVISOR_SIGNALED,      /* killed by somebody */
    SUPERVISOR_OUT_OF_MEMORY, /* killed by the kernel for its memory */
    SUPERVISOR_HUNG,          /* by us: no heartbeat for too long */
    SUPERVISOR_RECYCLED,      /* by us: it has grown */
    SUPERVISOR_CAUSES
};

enum supervisor_action {
    SUPERVISOR_NOTHING,
    SUPERVISOR_START,
    SUPERVISOR_INTERRUPT, /* send INT: every version finishes what it does, on TERM some cut it */
    SUPERVISOR_KILL
};

struct supervisor_options {
    uint64_t delay_min_us, delay_max_us; /* before a start that follows a death */
    uint64_t stable_us;                  /* ready for so long: the next death is a new one */
    uint64_t end_timeout_us;             /* from INT to KILL, unless it is to stop */
    uint64_t hang_timeout_us;            /* heartbeats failing for so long; 0: never a hang */
    unsigned first_starts_max;           /* as long as it was never ready */
};

struct supervisor_stats {
    uint64_t running; /* 1 while the process exists */
    uint64_t starts;
    uint64_t ends[SUPERVISOR_CAUSES];
};

extern const struct metric_desc supervisor_metrics[];
extern const size_t             supervisor_metric_count;

struct supervisor {
    struct supervisor_options options;
    enum supervisor_state     state;
    bool                      has_process, was_ready, must_stop;
    bool                      asked; /* ENDING: INT was sent */
    enum supervisor_cause     ending_cause;
    uint64_t                  start_at_us;     /* WAITING */
    uint64_t                  kill_at_us;      /* ENDING */
    uint64_t                  ready_at_us;     /* READY since */
    uint64_t                  unwell_since_us; /* READY: heartbeats fail; UINT64_MAX: they do not */
    uint64_t                  delay_us;        /* of the next start that follows a death */
    unsigned                  failed_starts;   /* in a row */
    struct supervisor_stats   stats;
};

void supervisor_init(struct supervisor *supervisor, const struct supervisor_options *options);

/* Start as soon as may be. Only in IDLE. */
void supervisor_begin(struct supervisor *supervisor, uint64_t now_us);

/* What is to be done now; each is told once. Ask again until it is NOTHING. */
MUST_CHECK enum supervisor_action supervisor_next(struct supervisor *supervisor, uint64_t now_us);

/* When supervisor_next() may have something to do though nothing happens; UINT64_MAX: never. */
uint64_t supervisor_wake_us(const struct supervisor *supervisor);

/* SUPERVISOR_START was carried out: a process runs. */
void supervisor_on_started(struct supervisor *supervisor);

/* A heartbeat was answered, or was not. */
void supervisor_on_heartbeat(struct supervisor *supervisor, bool good, uint64_t now_us);

/* The process is gone, or START did not get as far as a process. What we ended ourselves keeps
 * our reason. Returns the cause that was counted. */
enum supervisor_cause supervisor_on_exited(struct supervisor    *supervisor,
                                           enum supervisor_cause cause, uint64_t now_us);

/* It cannot be started, as is known without a process: nothing more is tried. Only in STARTING. */
void supervisor_give_up(struct supervisor *supervisor);

/* Start it anew: INT, then KILL after end_timeout_us. No-op unless it is ready. */
void supervisor_recycle(struct supervisor *supervisor, uint64_t now_us);

/* End it for good: INT now, KILL at `kill_at_us`. May be repeated with an earlier time. */
void supervisor_stop(struct supervisor *supervisor, uint64_t kill_at_us);

/* For log and status page: "ready"; "killed for its memory". */
const char *supervisor_state_name(enum supervisor_state state);
const char *supervisor_cause_name(enum supervisor_cause cause);

#endif
