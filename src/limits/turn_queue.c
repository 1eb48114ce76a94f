#include "limits/turn_queue.h"

#include <assert.h>
#include <stdlib.h>

struct turn_queue {
    struct turn_queue_options options;
    struct turn_queue_stats   stats;
    uint64_t                  next_number;
    struct list               waiting[TURN_CLASSES]; /* in the order of asking */
    struct list               open;                  /* in the order of grants */
};

#define ROWS(kind, field, name, help)                                                              \
    METRIC_LABELED(kind, turn_queue_stats, field[TURN_CONTROL], name, "class=\"control\"", help),  \
        METRIC_LABELED(kind, turn_queue_stats, field[TURN_READ], name, "class=\"read\"", ""),      \
        METRIC_LABELED(kind, turn_queue_stats, field[TURN_WRITE], name, "class=\"write\"", "")

const struct metric_desc turn_queue_metrics[] = {
    ROWS(GAUGE, waiting, "chromabouncer_queue_requests",
         "Calls that wait for their turn: above 0 all the time, Chroma or a bound of ours is the "
         "bottleneck."),
    ROWS(HISTOGRAM, waits, "chromabouncer_queue_wait_seconds", "How long calls waited for it."),
    ROWS(GAUGE, turns, "chromabouncer_inflight_requests",
         "Calls that Chroma has not answered yet."),
    ROWS(GAUGE, connections, "chromabouncer_backend_calls", "Calls that hold a connection."),
    ROWS(COUNTER, granted, "chromabouncer_queue_granted_total", "Calls that got their turn."),
    ROWS(COUNTER, late, "chromabouncer_queue_late_total",
         "Calls that got it after their deadline."),
    ROWS(COUNTER, left, "chromabouncer_queue_left_total",
         "Calls that gave up: the client left, or the deadline passed."),
    ROWS(COUNTER, refused, "chromabouncer_queue_refused_total",
         "Calls refused because too many waited."),
    ROWS(DURATION_COUNTER, cost_us, "chromabouncer_backend_busy_seconds_total",
         "Chroma's time that calls took."),
};
const size_t turn_queue_metric_count = COUNT_OF(turn_queue_metrics);

static void         order_push(struct turn_queue *queue, struct turn *turn);
static void         order_remove(struct turn_queue *queue, struct turn *turn);
static struct turn *order_first(const struct turn_queue *queue);
static struct turn *first_of(const struct turn_queue *queue, enum turn_class class);
static bool         may_go(const struct turn_queue *queue, enum turn_class class);
static size_t       reserve_of(const struct turn_queue *queue, enum turn_class class);
static void         grant(struct turn_queue *queue, struct turn *turn, uint64_t now_us);
static void         end_turn(struct turn_queue *queue, struct turn *turn);

struct turn_queue *turn_queue_new(const struct turn_queue_options *options)
{
    struct turn_queue *queue = calloc(1, sizeof *queue);

    if (queue == NULL)
        return NULL;
    for (size_t each = 0; each < TURN_CLASSES; each++)
        list_init(&queue->waiting[each]);
    list_init(&queue->open);
    turn_queue_set_options(queue, options);
    return queue;
}

void turn_queue_free(struct turn_queue *queue)
{
    if (queue == NULL)
        return;
    for (size_t each = 0; each < TURN_CLASSES; each++)
        assert(queue->stats.waiting[each] == 0 && queue->stats.connections[each] == 0);
    free(queue);
}

void turn_queue_set_options(struct turn_queue *queue, const struct turn_queue_options *options)
{
    assert(options->connections_max >= 1);
    queue->options = *options;
}

void turn_queue_set_turns_max(struct turn_queue *queue, enum turn_class class, size_t turns_max)
{
    queue->options.turns_max[class] = turns_max;
}

enum status turn_queue_ask(struct turn_queue *queue, struct turn *turn, uint64_t now_us)
{
    struct turn_queue_stats *stats = &queue->stats;

    assert(turn->state == TURN_IDLE);
    turn->asked_us = now_us;
    turn->number = queue->next_number++;
    order_push(queue, turn);
    if (order_first(queue) == turn) {
        grant(queue, turn, now_us);
        return STATUS_OK;
    }
    if (turn->class == TURN_CONTROL || queue->options.waiting_max == 0 ||
        stats->waiting[TURN_READ] + stats->waiting[TURN_WRITE] <= queue->options.waiting_max)
        return STATUS_AGAIN;
    order_remove(queue, turn);
    turn->state = TURN_IDLE;
    stats->refused[turn->class]++;
    return STATUS_OVERLOADED;
}

struct turn *turn_queue_next(struct turn_queue *queue, uint64_t now_us)
{
    struct turn *turn = order_first(queue);

    if (turn != NULL)
        grant(queue, turn, now_us);
    return turn;
}

uint64_t turn_queue_wake_us(const struct turn_queue *queue)
{
    (void)queue; /* the order does not depend on time */
    return UINT64_MAX;
}

/* ---- The order: the only part that knows who goes before whom ------------------------------- */

static void order_push(struct turn_queue *queue, struct turn *turn)
{
    list_push_back(&queue->waiting[turn->class], &turn->node);
    queue->stats.waiting[turn->class]++;
    turn->state = TURN_WAITING;
}

static void order_remove(struct turn_queue *queue, struct turn *turn)
{
    list_remove(&turn->node);
    queue->stats.waiting[turn->class]--;
}

/* Who goes next of those who may; NULL: nobody. */
static struct turn *order_first(const struct turn_queue *queue)
{
    struct turn *control = first_of(queue, TURN_CONTROL);
    struct turn *read = first_of(queue, TURN_READ);
    struct turn *write = first_of(queue, TURN_WRITE);

    if (control != NULL)
        return control;
    if (read == NULL || write == NULL)
        return read == NULL ? write : read;
    return read->number < write->number ? read : write;
}

static struct turn *first_of(const struct turn_queue *queue, enum turn_class class)
{
    struct list_node *node = list_first(&queue->waiting[class]);

    return node != NULL && may_go(queue, class) ? LIST_ITEM(node, struct turn, node) : NULL;
}

/* ---- The bounds ----------------------------------------------------------------------------- */

/* One more of `class` must leave each other class the places that it keeps. */
static bool may_go(const struct turn_queue *queue, enum turn_class class)
{
    const struct turn_queue_stats *stats = &queue->stats;
    size_t                         turns_max = queue->options.turns_max[class];
    size_t                         taken = 0;

    if (turns_max != 0 && stats->turns[class] >= turns_max)
        return false;
    for (enum turn_class each = 0; each < TURN_CLASSES; each++) {
        size_t used = stats->connections[each], kept = each == class ? 0 : reserve_of(queue, each);

        taken += used > kept ? used : kept;
    }
    return taken < queue->options.connections_max;
}

static size_t reserve_of(const struct turn_queue *queue, enum turn_class class)
{
    if (queue->options.connections_max < TURN_QUEUE_RESERVE_FROM)
        return 0;
    return class == TURN_CONTROL ? 1 : queue->options.connections_max / 4;
}

/* ---- The life of a turn --------------------------------------------------------------------- */

static void grant(struct turn_queue *queue, struct turn *turn, uint64_t now_us)
{
    struct turn_queue_stats *stats = &queue->stats;

    order_remove(queue, turn);
    turn->state = TURN_OPEN;
    turn->is_lent = false;
    turn->granted_us = now_us;
    list_push_back(&queue->open, &turn->node);
    stats->turns[turn->class]++;
    stats->connections[turn->class]++;
    stats->granted[turn->class]++;
    stats->late[turn->class] += turn->deadline_us != 0 && now_us > turn->deadline_us;
    metric_histogram_add(&stats->waits[turn->class], now_us - turn->asked_us);
}

void turn_queue_leave(struct turn_queue *queue, struct turn *turn)
{
    if (turn->state != TURN_WAITING)
        return;
    order_remove(queue, turn);
    turn->state = TURN_IDLE;
    queue->stats.left[turn->class]++;
}

void turn_queue_answered(struct turn_queue *queue, struct turn *turn, uint64_t now_us)
{
    (void)now_us;
    assert(turn->state == TURN_OPEN || turn->state == TURN_ANSWERED);
    if (turn->state == TURN_OPEN)
        end_turn(queue, turn);
}

static void end_turn(struct turn_queue *queue, struct turn *turn)
{
    list_remove(&turn->node);
    turn->state = TURN_ANSWERED;
    if (!turn->is_lent)
        queue->stats.turns[turn->class]--;
}

void turn_queue_lend(struct turn_queue *queue, struct turn *turn)
{
    assert(turn->state == TURN_OPEN);
    if (!turn->is_lent)
        queue->stats.turns[turn->class]--;
    turn->is_lent = true;
}

void turn_queue_done(struct turn_queue *queue, struct turn *turn, uint64_t now_us, uint64_t cost_us)
{
    turn_queue_answered(queue, turn, now_us);
    turn->state = TURN_IDLE;
    queue->stats.connections[turn->class]--;
    queue->stats.cost_us[turn->class] += cost_us;
}

void turn_queue_count_hung(const struct turn_queue *queue, uint64_t now_us, uint64_t hung_us,
                           size_t ret_count[TURN_CLASSES])
{
    for (size_t each = 0; each < TURN_CLASSES; each++)
        ret_count[each] = 0;
    LIST_FOR_EACH(node, &queue->open)
    {
        const struct turn *turn = LIST_ITEM(node, struct turn, node);

        if (turn->granted_us + hung_us > now_us)
            return;
        ret_count[turn->class]++;
    }
}

const struct turn_queue_stats *turn_queue_stats(const struct turn_queue *queue)
{
    return &queue->stats;
}
