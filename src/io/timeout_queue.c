#include "io/timeout_queue.h"

#include <assert.h>
#include <stdlib.h>

struct timeout_queue {
    struct loop       *loop;
    struct loop_timer *timer;
    uint64_t           timer_at_us; /* when it fires; UINT64_MAX: not set */
    uint64_t           duration_us;
    timeout_queue_fn   on_timeout;
    struct list        timeouts; /* by ends_us */
};

static struct list_node *find_place(struct timeout_queue *queue, uint64_t ends_us);
static void              set_timer(struct timeout_queue *queue, uint64_t at_us);
static void              on_time(void *ctx);

struct timeout_queue *timeout_queue_new(struct loop *loop, uint64_t duration_us,
                                        timeout_queue_fn on_timeout)
{
    struct timeout_queue *queue = calloc(1, sizeof *queue);

    if (queue == NULL)
        return NULL;
    *queue = (struct timeout_queue){.loop = loop,
                                    .timer_at_us = UINT64_MAX,
                                    .duration_us = duration_us,
                                    .on_timeout = on_timeout};
    list_init(&queue->timeouts);
    queue->timer = loop_timer_new(loop, on_time, queue);
    if (queue->timer == NULL) {
        free(queue);
        return NULL;
    }
    return queue;
}

void timeout_queue_free(struct timeout_queue *queue)
{
    if (queue == NULL)
        return;
    assert(list_is_empty(&queue->timeouts));
    loop_timer_free(queue->timer);
    free(queue);
}

void timeout_queue_set_duration(struct timeout_queue *queue, uint64_t duration_us)
{
    queue->duration_us = duration_us;
}

void timeout_queue_init_node(struct timeout *timeout)
{
    list_node_init(&timeout->node);
    timeout->ends_us = 0;
}

void timeout_queue_start(struct timeout_queue *queue, struct timeout *timeout)
{
    timeout_queue_stop(timeout);
    if (queue->duration_us == 0)
        return;
    timeout->ends_us = loop_now_us(queue->loop) + queue->duration_us;
    list_insert_after(find_place(queue, timeout->ends_us), &timeout->node);
    set_timer(queue, timeout->ends_us);
}

/* The node behind which a timeout that ends at `ends_us` stands: the last one, unless the duration
 * was shortened while longer ones run. */
static struct list_node *find_place(struct timeout_queue *queue, uint64_t ends_us)
{
    struct list_node *node = queue->timeouts.head.prev;

    while (node != &queue->timeouts.head &&
           LIST_ITEM(node, struct timeout, node)->ends_us > ends_us)
        node = node->prev;
    return node;
}

/* A timer that fires too early, for a timeout that was stopped since, is set anew then. */
static void set_timer(struct timeout_queue *queue, uint64_t at_us)
{
    if (queue->timer_at_us <= at_us)
        return;
    loop_timer_set(queue->timer, at_us);
    queue->timer_at_us = at_us;
}

void timeout_queue_stop(struct timeout *timeout)
{
    list_remove(&timeout->node);
}

bool timeout_queue_is_running(const struct timeout *timeout)
{
    return list_node_is_linked(&timeout->node);
}

static void on_time(void *ctx)
{
    struct timeout_queue *queue = ctx;
    uint64_t              now_us = loop_now_us(queue->loop);
    struct list_node     *node;

    queue->timer_at_us = UINT64_MAX;
    while ((node = list_first(&queue->timeouts)) != NULL) {
        struct timeout *timeout = LIST_ITEM(node, struct timeout, node);

        if (timeout->ends_us > now_us) {
            set_timer(queue, timeout->ends_us);
            return;
        }
        list_remove(node);
        queue->on_timeout(timeout);
    }
}
