#include "flow/fake_loop.h"

#include <assert.h>
#include <stdlib.h>

#include "flow/fake_clock.h"
#include "flow/fake_net.h"
#include "io/clock.h"

enum { scratch_bytes = 64 * 1024 };

struct world_event {
    uint64_t at_us, number; /* of equal times the earlier number first */
    void (*fn)(void *ctx);
    void *ctx;
};

static struct {
    struct world_event *heap;
    size_t              count, capacity;
    uint64_t            next_number, random;
} world;

struct loop_watch {
    struct list_node node;
    struct loop     *loop;
    int              fd;
    unsigned         interest;
    unsigned         active; /* its callback is to run in this turn */
    loop_ready_fn    on_ready;
    void            *ctx;
};

struct loop_timer {
    struct list_node node;
    struct loop     *loop;
    bool             is_set;
    uint64_t         at_us;
    loop_timer_fn    on_time;
    void            *ctx;
};

struct doomed {
    void *object;
    void (*free_fn)(void *object);
};

struct ready {
    struct loop_watch *watch; /* NULL: it was freed since */
    unsigned           what;
};

struct loop {
    uint64_t                now_us;
    struct list             watches, timers, tasks;
    size_t                  object_count;
    struct doomed          *doomed;
    size_t                  doomed_count, doomed_capacity;
    struct ready           *ready;
    size_t                  ready_count, ready_capacity;
    struct metric_histogram lag;
    char                   *scratch;
    bool                    stopping;
};

static bool     turn(struct loop *loop);
static void     collect_ready(struct loop *loop);
static void     run_ready(struct loop *loop);
static bool     run_timers(struct loop *loop);
static void     run_tasks(struct loop *loop);
static void     begin_callback(struct loop *loop);
static bool     advance(struct loop *loop, uint64_t limit_us);
static uint64_t next_time(const struct loop *loop);
static void     sift_up(size_t at);
static void     sift_down(size_t at);
static bool     is_before(const struct world_event *left, const struct world_event *right);

void fake_loop_begin(uint64_t seed)
{
    free(world.heap);
    world.heap = NULL;
    world.count = world.capacity = 0;
    world.next_number = 0;
    world.random = seed * 0x9e3779b97f4a7c15u + 0x2545f4914f6cdd1du;
    fake_clock_reset();
}

uint32_t fake_loop_random(uint32_t bound)
{
    assert(bound > 0);
    world.random ^= world.random << 13;
    world.random ^= world.random >> 7;
    world.random ^= world.random << 17;
    return (uint32_t)((world.random >> 33) % bound);
}

bool fake_loop_chance(unsigned percent)
{
    return percent > 0 && fake_loop_random(100) < percent;
}

void fake_loop_at(uint64_t at_us, void (*fn)(void *ctx), void *ctx)
{
    if (world.count == world.capacity) {
        world.capacity = world.capacity == 0 ? 256 : world.capacity * 2;
        world.heap = realloc(world.heap, world.capacity * sizeof *world.heap);
        assert(world.heap != NULL);
    }
    world.heap[world.count] =
        (struct world_event){.at_us = at_us, .number = world.next_number++, .fn = fn, .ctx = ctx};
    sift_up(world.count++);
}

static bool is_before(const struct world_event *left, const struct world_event *right)
{
    return left->at_us != right->at_us ? left->at_us < right->at_us : left->number < right->number;
}

static void sift_up(size_t at)
{
    while (at > 0 && is_before(&world.heap[at], &world.heap[(at - 1) / 2])) {
        struct world_event event = world.heap[at];

        world.heap[at] = world.heap[(at - 1) / 2];
        world.heap[(at - 1) / 2] = event;
        at = (at - 1) / 2;
    }
}

static void sift_down(size_t at)
{
    for (;;) {
        size_t             least = at;
        struct world_event event = world.heap[at];

        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < world.count; child++)
            if (is_before(&world.heap[child], &world.heap[least]))
                least = child;
        if (least == at)
            return;
        world.heap[at] = world.heap[least];
        world.heap[least] = event;
        at = least;
    }
}

bool fake_loop_run_until(struct loop *loop, bool (*done)(void *ctx), void *ctx, uint64_t limit_us)
{
    for (;;) {
        if (done != NULL && done(ctx))
            return true;
        if (turn(loop))
            continue;
        if (!advance(loop, limit_us))
            return done != NULL && done(ctx);
    }
}

void fake_loop_run_for(struct loop *loop, uint64_t span_us)
{
    fake_loop_run_until(loop, NULL, NULL, clock_now_us() + span_us);
}

/* Go to the next point of time and run its events. False if that is beyond `limit_us`. */
static bool advance(struct loop *loop, uint64_t limit_us)
{
    uint64_t at_us = next_time(loop);

    if (at_us > limit_us) {
        if (limit_us > clock_now_us())
            fake_clock_set(limit_us);
        return false;
    }
    if (at_us > clock_now_us())
        fake_clock_set(at_us);
    while (world.count > 0 && world.heap[0].at_us <= clock_now_us()) {
        struct world_event event = world.heap[0];

        world.heap[0] = world.heap[--world.count];
        sift_down(0);
        event.fn(event.ctx);
    }
    return true;
}

static uint64_t next_time(const struct loop *loop)
{
    uint64_t at_us = world.count > 0 ? world.heap[0].at_us : UINT64_MAX;

    LIST_FOR_EACH(node, &loop->timers)
    {
        const struct loop_timer *timer = LIST_ITEM(node, struct loop_timer, node);

        if (timer->is_set && timer->at_us < at_us)
            at_us = timer->at_us;
    }
    return at_us;
}

/* One turn of the loop under test. False if there was nothing to do. */
static bool turn(struct loop *loop)
{
    bool any;

    collect_ready(loop);
    any = loop->ready_count > 0 || !list_is_empty(&loop->tasks) || loop->doomed_count > 0;
    run_ready(loop);
    any |= run_timers(loop);
    run_tasks(loop);
    loop_free_pending(loop);
    return any;
}

/* In random order: nobody may rely on one. */
static void collect_ready(struct loop *loop)
{
    loop->ready_count = 0;
    LIST_FOR_EACH(node, &loop->watches)
    {
        struct loop_watch *watch = LIST_ITEM(node, struct loop_watch, node);

        watch->active = watch->interest == 0 ? 0 : watch->interest & fake_net_ready(watch->fd);
        for (unsigned what = LOOP_READ; what <= LOOP_WRITE; what <<= 1) {
            if ((watch->active & what) == 0)
                continue;
            if (loop->ready_count == loop->ready_capacity) {
                loop->ready_capacity = loop->ready_capacity == 0 ? 64 : loop->ready_capacity * 2;
                loop->ready = realloc(loop->ready, loop->ready_capacity * sizeof *loop->ready);
                assert(loop->ready != NULL);
            }
            loop->ready[loop->ready_count++] = (struct ready){.watch = watch, .what = what};
        }
    }
    for (size_t i = loop->ready_count; i > 1; i--) {
        size_t       other = fake_loop_random((uint32_t)i);
        struct ready ready = loop->ready[i - 1];

        loop->ready[i - 1] = loop->ready[other];
        loop->ready[other] = ready;
    }
}

/* As libevent does it: what was ready at the start of the turn is told even if it is not any more,
 * unless interest in it was taken back. */
static void run_ready(struct loop *loop)
{
    for (size_t i = 0; i < loop->ready_count; i++) {
        struct loop_watch *watch = loop->ready[i].watch;

        if (watch == NULL || (watch->active & loop->ready[i].what) == 0)
            continue;
        begin_callback(loop);
        watch->on_ready(loop->ready[i].what, watch->ctx);
    }
    loop->ready_count = 0;
}

static bool run_timers(struct loop *loop)
{
    uint64_t now_us = clock_now_us();
    bool     any = false;

    for (;;) {
        struct loop_timer *due = NULL;

        LIST_FOR_EACH(node, &loop->timers)
        {
            struct loop_timer *timer = LIST_ITEM(node, struct loop_timer, node);

            if (timer->is_set && timer->at_us <= now_us &&
                (due == NULL || timer->at_us < due->at_us))
                due = timer;
        }
        if (due == NULL)
            return any;
        any = true;
        due->is_set = false;
        begin_callback(loop);
        due->on_time(due->ctx);
    }
}

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

/* Code takes time: two callbacks never happen at the same time. */
static void begin_callback(struct loop *loop)
{
    fake_clock_set(clock_now_us() + 1);
    loop->now_us = clock_now_us();
}

/* --- io/loop.h --- */

struct loop *loop_new(void)
{
    struct loop *loop = calloc(1, sizeof *loop);

    assert(loop != NULL);
    list_init(&loop->watches);
    list_init(&loop->timers);
    list_init(&loop->tasks);
    loop->scratch = malloc(scratch_bytes);
    loop->now_us = clock_now_us();
    return loop;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    run_tasks(loop);
    loop_free_pending(loop);
    assert(loop->object_count == 0);
    free(loop->doomed);
    free(loop->ready);
    free(loop->scratch);
    free(loop);
}

size_t fake_loop_objects(const struct loop *loop)
{
    return loop->object_count;
}

void loop_run(struct loop *loop)
{
    while (!loop->stopping && (turn(loop) || advance(loop, UINT64_MAX)))
        continue;
    loop->stopping = false;
}

void loop_stop(struct loop *loop)
{
    loop->stopping = true;
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

    assert(watch != NULL);
    *watch = (struct loop_watch){.loop = loop, .fd = fd, .on_ready = on_ready, .ctx = ctx};
    list_push_back(&loop->watches, &watch->node);
    loop->object_count++;
    return watch;
}

void loop_watch_set(struct loop_watch *watch, unsigned interest)
{
    watch->active &= interest;
    watch->interest = interest;
}

/* The order within a turn is drawn; what goes first is one of the orders. */
void loop_watch_go_first(struct loop_watch *watch, bool first)
{
    (void)watch;
    (void)first;
}

void loop_watch_free(struct loop_watch *watch)
{
    if (watch == NULL)
        return;
    for (size_t i = 0; i < watch->loop->ready_count; i++)
        if (watch->loop->ready[i].watch == watch)
            watch->loop->ready[i].watch = NULL;
    list_remove(&watch->node);
    watch->loop->object_count--;
    free(watch);
}

struct loop_timer *loop_timer_new(struct loop *loop, loop_timer_fn on_time, void *ctx)
{
    struct loop_timer *timer = calloc(1, sizeof *timer);

    assert(timer != NULL);
    *timer = (struct loop_timer){.loop = loop, .on_time = on_time, .ctx = ctx};
    list_push_back(&loop->timers, &timer->node);
    loop->object_count++;
    return timer;
}

void loop_timer_set(struct loop_timer *timer, uint64_t at_us)
{
    timer->is_set = true;
    timer->at_us = at_us;
}

void loop_timer_clear(struct loop_timer *timer)
{
    timer->is_set = false;
}

void loop_timer_free(struct loop_timer *timer)
{
    if (timer == NULL)
        return;
    list_remove(&timer->node);
    timer->loop->object_count--;
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
        loop->doomed_capacity = loop->doomed_capacity == 0 ? 64 : loop->doomed_capacity * 2;
        loop->doomed = realloc(loop->doomed, loop->doomed_capacity * sizeof *loop->doomed);
        assert(loop->doomed != NULL);
    }
    loop->doomed[loop->doomed_count++] = (struct doomed){.object = object, .free_fn = free_fn};
}

void loop_free_pending(struct loop *loop)
{
    for (size_t i = 0; i < loop->doomed_count; i++)
        loop->doomed[i].free_fn(loop->doomed[i].object);
    loop->doomed_count = 0;
}

enum status loop_on_signal(struct loop *loop, int signal_number, loop_signal_fn on_signal,
                           void *ctx)
{
    (void)loop;
    (void)signal_number;
    (void)on_signal;
    (void)ctx;
    return STATUS_OK;
}
