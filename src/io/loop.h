/* loop - the event loop: descriptors, timers, signals, work put off to the end of the turn
 *
 * A turn is: wait for events, run their callbacks, run the tasks put off by loop_later(), free
 * what loop_free_later() was given. So an object may ask to be freed inside its own callback, and
 * a completion may be reported after the call that started it has returned.
 *
 * Thread: everything here belongs to the thread that runs the loop.
 */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/list.h"
#include "base/metric.h"
#include "base/status.h"

struct loop;       /* opaque */
struct loop_watch; /* opaque: interest in one descriptor */
struct loop_timer; /* opaque: one shot at a time */

struct loop *loop_new(void);
void         loop_free(struct loop *loop);

/* Run turns until loop_stop(). */
void loop_run(struct loop *loop);

/* Let loop_run() return at the end of this turn. */
void loop_stop(struct loop *loop);

/* When the running callback began, monotonic microseconds. */
uint64_t loop_now_us(const struct loop *loop);

/* How long turns took from the first callback to the last free: the time in which nobody else was
 * served. Borrowed. */
const struct metric_histogram *loop_lag(const struct loop *loop);

/* A buffer shared by all who read from sockets: valid only inside one callback. */
struct loop_scratch {
    char  *data;
    size_t size;
};
struct loop_scratch loop_scratch(struct loop *loop);

enum loop_ready { LOOP_READ = 1, LOOP_WRITE = 2 };

typedef void (*loop_ready_fn)(unsigned ready, void *ctx);

/* Watch `fd` (borrowed: the watch is freed before the descriptor is closed). No interest at first.
 * NULL when out of memory. */
struct loop_watch *loop_watch_new(struct loop *loop, int fd, loop_ready_fn on_ready, void *ctx);

/* Be told when `fd` is ready for `interest` (LOOP_READ | LOOP_WRITE), again and again while it is
 * so, until set otherwise; 0 is none. */
void loop_watch_set(struct loop_watch *watch, unsigned interest);

/* Among what is ready at once, tell of this descriptor's input before others. While one that goes
 * first is always ready, nothing else is served: take it back for what goes on for long. */
void loop_watch_go_first(struct loop_watch *watch, bool first);

/* No callback runs afterwards. NULL is a no-op. */
void loop_watch_free(struct loop_watch *watch);

typedef void (*loop_timer_fn)(void *ctx);

/* NULL when out of memory. */
struct loop_timer *loop_timer_new(struct loop *loop, loop_timer_fn on_time, void *ctx);

/* Fire once at `at_us` (soon, if that is past), instead of whatever was set before. */
void loop_timer_set(struct loop_timer *timer, uint64_t at_us);
void loop_timer_clear(struct loop_timer *timer);

/* No callback runs afterwards. NULL is a no-op. */
void loop_timer_free(struct loop_timer *timer);

typedef void (*loop_task_fn)(void *ctx);

/* Something to do at the end of the turn; embedded in its owner. */
struct loop_task {
    struct list_node node;
    loop_task_fn     run;
    void            *ctx;
};

void loop_task_init(struct loop_task *task, loop_task_fn run, void *ctx);

/* Run `task` once at the end of this turn; no-op when it is already waiting. */
void loop_later(struct loop *loop, struct loop_task *task);

/* Do not run it after all; no-op when it is not waiting. */
void loop_task_cancel(struct loop_task *task);

/* Call `free_fn(object)` at the end of this turn, after the tasks. */
void loop_free_later(struct loop *loop, void *object, void (*free_fn)(void *object));

/* Free what waits to be freed now; for an owner that goes away after the loop has stopped. */
void loop_free_pending(struct loop *loop);

typedef void (*loop_signal_fn)(int signal_number, void *ctx);

/* Run `on_signal` on the loop whenever the process gets the signal.
 * STATUS_NO_MEMORY, STATUS_IO_FAILED  the signal keeps its default action. */
MUST_CHECK enum status loop_on_signal(struct loop *loop, int signal_number,
                                      loop_signal_fn on_signal, void *ctx);

#endif
