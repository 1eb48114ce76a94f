#include "child/supervisor.h"

#include <assert.h>

const struct metric_desc supervisor_metrics[] = {
    METRIC(GAUGE, supervisor_stats, running, "chromabouncer_child_running",
           "1 while the Chroma that this process has started runs."),
    METRIC(COUNTER, supervisor_stats, starts, "chromabouncer_child_starts_total",
           "Starts of Chroma: above 1, it has died or was started anew."),
    METRIC_LABELED(COUNTER, supervisor_stats, ends[SUPERVISOR_EXITED],
                   "chromabouncer_child_ends_total", "cause=\"exited\"",
                   "Ends of Chroma by cause: out_of_memory, give it more or set exec.memory_max; "
                   "hung, see exec.hang_timeout."),
    METRIC_LABELED(COUNTER, supervisor_stats, ends[SUPERVISOR_SIGNALED],
                   "chromabouncer_child_ends_total", "cause=\"signaled\"", ""),
    METRIC_LABELED(COUNTER, supervisor_stats, ends[SUPERVISOR_OUT_OF_MEMORY],
                   "chromabouncer_child_ends_total", "cause=\"out_of_memory\"", ""),
    METRIC_LABELED(COUNTER, supervisor_stats, ends[SUPERVISOR_HUNG],
                   "chromabouncer_child_ends_total", "cause=\"hung\"", ""),
    METRIC_LABELED(COUNTER, supervisor_stats, ends[SUPERVISOR_RECYCLED],
                   "chromabouncer_child_ends_total", "cause=\"recycled\"", ""),
};
const size_t supervisor_metric_count = COUNT_OF(supervisor_metrics);

#define TO(state) (1u << SUPERVISOR_##state)
static const unsigned successors[SUPERVISOR_STATES] = {
    [SUPERVISOR_IDLE] = TO(WAITING) | TO(STOPPED),
    [SUPERVISOR_WAITING] = TO(STARTING) | TO(STOPPED),
    [SUPERVISOR_STARTING] = TO(READY) | TO(WAITING) | TO(ENDING) | TO(FAILED),
    [SUPERVISOR_READY] = TO(WAITING) | TO(ENDING),
    [SUPERVISOR_ENDING] = TO(WAITING) | TO(STOPPED),
    [SUPERVISOR_STOPPED] = 0,
    [SUPERVISOR_FAILED] = 0,
};
#undef TO

static void supervisor_move_to(struct supervisor *supervisor, enum supervisor_state state);
static bool is_hanging(const struct supervisor *supervisor, uint64_t now_us);
static void end(struct supervisor *supervisor, enum supervisor_cause cause, uint64_t kill_at_us);
static void wait_before_start(struct supervisor *supervisor, uint64_t now_us);
static uint64_t supervisor_lesser(uint64_t left, uint64_t right);

void supervisor_init(struct supervisor *supervisor, const struct supervisor_options *options)
{
    *supervisor = (struct supervisor){.options = *options, .delay_us = options->delay_min_us};
}

static void supervisor_move_to(struct supervisor *supervisor, enum supervisor_state state)
{
    assert(successors[supervisor->state] & (1u << state));
    supervisor->state = state;
}

void supervisor_begin(struct supervisor *supervisor, uint64_t now_us)
{
    supervisor->start_at_us = now_us;
    supervisor_move_to(supervisor, SUPERVISOR_WAITING);
}

enum supervisor_action supervisor_next(struct supervisor *supervisor, uint64_t now_us)
{
    switch (supervisor->state) {
    case SUPERVISOR_WAITING:
        if (now_us < supervisor->start_at_us)
            return SUPERVISOR_NOTHING;
        supervisor_move_to(supervisor, SUPERVISOR_STARTING);
        return SUPERVISOR_START;
    case SUPERVISOR_READY:
        if (!is_hanging(supervisor, now_us))
            return SUPERVISOR_NOTHING;
        end(supervisor, SUPERVISOR_HUNG, now_us + supervisor->options.end_timeout_us);
        return supervisor_next(supervisor, now_us);
    case SUPERVISOR_ENDING:
        if (!supervisor->has_process)
            return SUPERVISOR_NOTHING; /* START is still being carried out */
        if (!supervisor->asked) {
            supervisor->asked = true;
            return SUPERVISOR_INTERRUPT;
        }
        if (now_us < supervisor->kill_at_us)
            return SUPERVISOR_NOTHING;
        supervisor->kill_at_us = UINT64_MAX;
        return SUPERVISOR_KILL;
    default:
        return SUPERVISOR_NOTHING;
    }
}

static bool is_hanging(const struct supervisor *supervisor, uint64_t now_us)
{
    uint64_t timeout_us = supervisor->options.hang_timeout_us;

    return timeout_us != 0 && supervisor->unwell_since_us != UINT64_MAX &&
           now_us - supervisor->unwell_since_us >= timeout_us;
}

static void end(struct supervisor *supervisor, enum supervisor_cause cause, uint64_t kill_at_us)
{
    supervisor_move_to(supervisor, SUPERVISOR_ENDING);
    supervisor->ending_cause = cause;
    supervisor->asked = false;
    supervisor->kill_at_us = kill_at_us;
}

uint64_t supervisor_wake_us(const struct supervisor *supervisor)
{
    switch (supervisor->state) {
    case SUPERVISOR_WAITING:
        return supervisor->start_at_us;
    case SUPERVISOR_READY:
        return supervisor->options.hang_timeout_us == 0 || supervisor->unwell_since_us == UINT64_MAX
                   ? UINT64_MAX
                   : supervisor->unwell_since_us + supervisor->options.hang_timeout_us;
    case SUPERVISOR_ENDING:
        return !supervisor->has_process ? UINT64_MAX
               : supervisor->asked      ? supervisor->kill_at_us
                                        : 0;
    default:
        return UINT64_MAX;
    }
}

void supervisor_on_started(struct supervisor *supervisor)
{
    assert(!supervisor->has_process);
    supervisor->has_process = true;
    supervisor->stats.running = 1;
    supervisor->stats.starts++;
}

void supervisor_on_heartbeat(struct supervisor *supervisor, bool good, uint64_t now_us)
{
    if (supervisor->state == SUPERVISOR_STARTING && supervisor->has_process && good) {
        supervisor_move_to(supervisor, SUPERVISOR_READY);
        supervisor->was_ready = true;
        supervisor->ready_at_us = now_us;
        supervisor->unwell_since_us = UINT64_MAX;
    }
    if (supervisor->state != SUPERVISOR_READY)
        return;
    /* Time counts from the first heartbeat that failed: one that was not sent says nothing. */
    if (good)
        supervisor->unwell_since_us = UINT64_MAX;
    else if (supervisor->unwell_since_us == UINT64_MAX)
        supervisor->unwell_since_us = now_us;
}

enum supervisor_cause supervisor_on_exited(struct supervisor    *supervisor,
                                           enum supervisor_cause cause, uint64_t now_us)
{
    const struct supervisor_options *options = &supervisor->options;
    enum supervisor_state            before = supervisor->state;

    supervisor->has_process = false;
    supervisor->stats.running = 0;
    if (before == SUPERVISOR_ENDING && !supervisor->must_stop)
        cause = supervisor->ending_cause;
    if (supervisor->must_stop) {
        supervisor_move_to(supervisor, SUPERVISOR_STOPPED);
        return cause;
    }
    supervisor->stats.ends[cause]++;
    if (before == SUPERVISOR_STARTING && !supervisor->was_ready &&
        ++supervisor->failed_starts >= options->first_starts_max) {
        supervisor_move_to(supervisor, SUPERVISOR_FAILED);
        return cause;
    }
    if (cause == SUPERVISOR_RECYCLED) { /* no death: nothing to wait for */
        supervisor->start_at_us = now_us;
        supervisor_move_to(supervisor, SUPERVISOR_WAITING);
        return cause;
    }
    if (before != SUPERVISOR_STARTING && now_us - supervisor->ready_at_us >= options->stable_us)
        supervisor->delay_us = options->delay_min_us;
    wait_before_start(supervisor, now_us);
    return cause;
}

void supervisor_give_up(struct supervisor *supervisor)
{
    assert(!supervisor->has_process);
    supervisor_move_to(supervisor, SUPERVISOR_FAILED);
}

static void wait_before_start(struct supervisor *supervisor, uint64_t now_us)
{
    supervisor->start_at_us = now_us + supervisor->delay_us;
    supervisor->delay_us =
        supervisor_lesser(supervisor->delay_us * 2, supervisor->options.delay_max_us);
    supervisor_move_to(supervisor, SUPERVISOR_WAITING);
}

static uint64_t supervisor_lesser(uint64_t left, uint64_t right)
{
    return left < right ? left : right;
}

void supervisor_recycle(struct supervisor *supervisor, uint64_t now_us)
{
    if (supervisor->state == SUPERVISOR_READY)
        end(supervisor, SUPERVISOR_RECYCLED, now_us + supervisor->options.end_timeout_us);
}

void supervisor_stop(struct supervisor *supervisor, uint64_t kill_at_us)
{
    supervisor->must_stop = true;
    switch (supervisor->state) {
    case SUPERVISOR_IDLE:
    case SUPERVISOR_WAITING:
        supervisor_move_to(supervisor, SUPERVISOR_STOPPED);
        return;
    case SUPERVISOR_STARTING:
    case SUPERVISOR_READY:
        end(supervisor, SUPERVISOR_EXITED, kill_at_us);
        return;
    case SUPERVISOR_ENDING:
        supervisor->kill_at_us = supervisor_lesser(supervisor->kill_at_us, kill_at_us);
        return;
    default:
        return;
    }
}

const char *supervisor_state_name(enum supervisor_state state)
{
    static const char *const names[SUPERVISOR_STATES] = {
        [SUPERVISOR_IDLE] = "idle",         [SUPERVISOR_WAITING] = "waiting",
        [SUPERVISOR_STARTING] = "starting", [SUPERVISOR_READY] = "ready",
        [SUPERVISOR_ENDING] = "ending",     [SUPERVISOR_STOPPED] = "stopped",
        [SUPERVISOR_FAILED] = "failed"};

    return names[state];
}

const char *supervisor_cause_name(enum supervisor_cause cause)
{
    static const char *const names[SUPERVISOR_CAUSES] = {
        [SUPERVISOR_EXITED] = "it ended by itself",
        [SUPERVISOR_SIGNALED] = "it was killed",
        [SUPERVISOR_OUT_OF_MEMORY] = "it was killed for its memory",
        [SUPERVISOR_HUNG] = "it did not answer its heartbeat",
        [SUPERVISOR_RECYCLED] = "it was started anew"};

    return names[cause];
}
