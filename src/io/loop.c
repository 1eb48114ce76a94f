#include "io/loop.h"

#include <assert.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "io/clock.h"

/* Of libevent's events; others have the middle one of these, the second. */
enum { PRIORITY_FIRST, PRIORITIES = 2 };

enum { scratch_bytes = 64 * 1024, signals_max = 8 };

struct doomed {
    void *object;
    void (*free_fn)(void *object);
};

struct loop_signal {
    struct event   event;
    struct loop   *loop;
    loop_signal_fn on_signal;
    void          *ctx;
};

struct loop {
    struct event_base      *base;
    uint64_t                now_us;
    uint64_t                turn_began_us; /* 0: nothing has run in this turn yet */
    bool                    stopping;
    struct list             tasks;
    struct doomed          *doomed;
    size_t                  doomed_count, doomed_capacity;
    struct metric_histogram lag;
    struct loop_signal      signals[signals_max];
    size_t                  signal_count;
    char                   *scratch;
};

struct loop_watch {
    struct loop  *loop;
    loop_ready_fn on_ready;
    void         *ctx;
    unsigned      interest;
    struct event  read_event, write_event;
};

struct loop_timer {
    struct loop  *loop;
    loop_timer_fn on_time;
    void         *ctx;
    struct event  event;
};

static void begin_callback(struct loop *loop);
static void finish_turn(struct loop *loop);
static void run_tasks(struct loop *loop);
static void on_event_ready(evutil_socket_t fd, short what, void *ctx);
static void set_event(struct event *event, bool wanted, bool is_set);
static void on_event_timer(evutil_socket_t fd, short what, void *ctx);
static void on_event_signal(evutil_socket_t signal_number, short what, void *ctx);

struct loop *loop_new(void)
{
    struct loop         *loop = calloc(1, sizeof *loop);
    struct event_config *config = event_config_new();

    if (loop != NULL && config != NULL) {
        list_init(&loop->tasks);
        loop->scratch = malloc(scratch_bytes);
        event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
        /* Timers are exact to a millisecond: precise ones cost a timerfd_settime() in each turn. */
        loop->base = event_base_new_with_config(config);
        if (loop->base != NULL)
            event_base_priority_init(loop->base, PRIORITIES);
        loop->now_us = clock_now_us();
    }
    if (config != NULL)
        event_config_free(config);
    if (loop == NULL || loop->base == NULL || loop->scratch == NULL) {
        loop_free(loop);
        return NULL;
    }
    return loop;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    run_tasks(loop);
    loop_free_pending(loop);
    for (size_t i = 0; i < loop->signal_count; i++)
        event_del(&loop->signals[i].event);
    if (loop->base != NULL)
        event_base_free(loop->base);
    free(loop->doomed);
    free(loop->scratch);
    free(loop);
}

void loop_run(struct loop *loop)
{
    while (!loop->stopping) {
        event_base_loop(loop->base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY);
        finish_turn(loop);
    }
    loop->stopping = false;
}

void loop_stop(struct loop *loop)
{
    loop->stopping = true;
    event_base_loopbreak(loop->base);
}

static void begin_callback(struct loop *loop)
{
    loop->now_us = clock_now_us();
    if (loop->turn_began_us == 0)
        loop->turn_began_us = loop->now_us;
}

static void finish_turn(struct loop *loop)
{
    run_tasks(loop);
    loop_free_pending(loop);
    if (loop->turn_began_us != 0) {
        metric_histogram_add(&loop->lag, clock_now_us() - loop->turn_began_us);
        loop->turn_began_us = 0;
    }
}

/* Tasks put off by a task run in the same turn: bounded by the objects that exist, since a task
 * waits at most once, and a task must not put itself off again. */
static void run_tasks(struct loop *loop)
{
    struct list_node *node;

    while ((node = list_first(&loop->tasks)) != NULL) {
        struct loop_task *task = LIST_ITEM(node, struct loop_task, node);

        list_remove(node);
        begin_callback(loop);
        task->run(task->ctx);
    }
}

void loop_free_pending(struct loop *loop)
{
    for (size_t i = 0; i < loop->doomed_count; i++)
        loop->doomed[i].free_fn(loop->doomed[i].object);
    loop->doomed_count = 0;
}

uint64_t loop_now_us(const struct loop *loop)
{
    return loop->now_us;
}

const struct metric_histogram *loop_lag(const struct loop *loop)
{
    return &loop->lag;
}

struct loop_scratch loop_scratch(struct loop *loop)
{
    return (struct loop_scratch){.data = loop->scratch, .size = scratch_bytes};
}

struct loop_watch *loop_watch_new(struct loop *loop, int fd, loop_ready_fn on_ready, void *ctx)
{
    struct loop_watch *watch = calloc(1, sizeof *watch);

    if (watch == NULL)
        return NULL;
    watch->loop = loop;
    watch->on_ready = on_ready;
    watch->ctx = ctx;
    event_assign(&watch->read_event, loop->base, fd, EV_READ | EV_PERSIST, on_event_ready, watch);
    event_assign(&watch->write_event, loop->base, fd, EV_WRITE | EV_PERSIST, on_event_ready, watch);
    return watch;
}

void loop_watch_go_first(struct loop_watch *watch, bool first)
{
    event_priority_set(&watch->read_event, first ? PRIORITY_FIRST : PRIORITIES / 2);
}

void loop_watch_set(struct loop_watch *watch, unsigned interest)
{
    set_event(&watch->read_event, interest & LOOP_READ, watch->interest & LOOP_READ);
    set_event(&watch->write_event, interest & LOOP_WRITE, watch->interest & LOOP_WRITE);
    watch->interest = interest;
}

static void set_event(struct event *event, bool wanted, bool is_set)
{
    if (wanted && !is_set)
        event_add(event, NULL);
    else if (!wanted && is_set)
        event_del(event);
}

static void on_event_ready(evutil_socket_t fd, short what, void *ctx)
{
    struct loop_watch *watch = ctx;

    (void)fd;
    begin_callback(watch->loop);
    watch->on_ready((what & EV_READ) ? LOOP_READ : LOOP_WRITE, watch->ctx);
}

void loop_watch_free(struct loop_watch *watch)
{
    if (watch == NULL)
        return;
    loop_watch_set(watch, 0);
    free(watch);
}

struct loop_timer *loop_timer_new(struct loop *loop, loop_timer_fn on_time, void *ctx)
{
    struct loop_timer *timer = calloc(1, sizeof *timer);

    if (timer == NULL)
        return NULL;
    timer->loop = loop;
    timer->on_time = on_time;
    timer->ctx = ctx;
    evtimer_assign(&timer->event, loop->base, on_event_timer, timer);
    return timer;
}

void loop_timer_set(struct loop_timer *timer, uint64_t at_us)
{
    uint64_t       now_us = clock_now_us();
    uint64_t       wait_us = at_us > now_us ? at_us - now_us : 0;
    struct timeval wait = {.tv_sec = (time_t)(wait_us / 1000000u),
                           .tv_usec = (suseconds_t)(wait_us % 1000000u)};

    evtimer_add(&timer->event, &wait);
}

void loop_timer_clear(struct loop_timer *timer)
{
    evtimer_del(&timer->event);
}

static void on_event_timer(evutil_socket_t fd, short what, void *ctx)
{
    struct loop_timer *timer = ctx;

    (void)fd;
    (void)what;
    begin_callback(timer->loop);
    timer->on_time(timer->ctx);
}

void loop_timer_free(struct loop_timer *timer)
{
    if (timer == NULL)
        return;
    loop_timer_clear(timer);
    free(timer);
}

void loop_task_init(struct loop_task *task, loop_task_fn run, void *ctx)
{
    list_node_init(&task->node);
    task->run = run;
    task->ctx = ctx;
}

void loop_later(struct loop *loop, struct loop_task *task)
{
    if (!list_node_is_linked(&task->node))
        list_push_back(&loop->tasks, &task->node);
}

void loop_task_cancel(struct loop_task *task)
{
    list_remove(&task->node);
}

void loop_free_later(struct loop *loop, void *object, void (*free_fn)(void *object))
{
    if (loop->doomed_count == loop->doomed_capacity) {
        size_t         capacity = loop->doomed_capacity == 0 ? 64 : loop->doomed_capacity * 2;
        struct doomed *doomed = realloc(loop->doomed, capacity * sizeof *doomed);

        /* A leak of one object is better than a use after free or an exit. */
        if (doomed == NULL)
            return;
        loop->doomed = doomed;
        loop->doomed_capacity = capacity;
    }
    loop->doomed[loop->doomed_count++] = (struct doomed){.object = object, .free_fn = free_fn};
}

enum status loop_on_signal(struct loop *loop, int signal_number, loop_signal_fn on_signal,
                           void *ctx)
{
    struct loop_signal *signal;

    assert(loop->signal_count < signals_max);
    signal = &loop->signals[loop->signal_count];
    *signal = (struct loop_signal){.loop = loop, .on_signal = on_signal, .ctx = ctx};
    evsignal_assign(&signal->event, loop->base, signal_number, on_event_signal, signal);
    if (evsignal_add(&signal->event, NULL) != 0)
        return STATUS_IO_FAILED;
    loop->signal_count++;
    return STATUS_OK;
}

static void on_event_signal(evutil_socket_t signal_number, short what, void *ctx)
{
    struct loop_signal *signal = ctx;

    (void)what;
    begin_callback(signal->loop);
    signal->on_signal((int)signal_number, signal->ctx);
}
