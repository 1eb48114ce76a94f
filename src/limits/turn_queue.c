#include "limits/turn_queue.h"

#include <assert.h>
#include <stdlib.h>

struct turn_service {
    size_t turns, turns_max;
};

struct turn_queue {
    bool                      is_held;
    struct turn_queue_options options;
    struct turn_queue_stats   stats;
    struct list               control, exempt;    /* that wait, in the order of asking */
    struct fair_queue        *fair[TURN_CLASSES]; /* READ and WRITE that wait */
    uint64_t                  credit_us; /* that waiting writes have from reads before them */
    size_t                    service_count;
    struct turn_service       services[];
};

/* Reads go before writes, but get at most so many times their cost while they wait. */
static const uint64_t reads_per_write = 4;
/* More credit than this is not needed: a dear write waits for four seconds of reads at most. */
static const uint64_t credit_max_us = 1000000;

#define ROWS(kind, field, name, help)                                                              \
    METRIC_LABELED(kind, turn_queue_stats, field[TURN_CONTROL], name, "class=\"control\"", help),  \
        METRIC_LABELED(kind, turn_queue_stats, field[TURN_READ], name, "class=\"read\"", ""),      \
        METRIC_LABELED(kind, turn_queue_stats, field[TURN_WRITE], name, "class=\"write\"", "")

const struct metric_desc turn_queue_metrics[] = {
    ROWS(GAUGE, waiting, "chromabouncer_turn_waiting_calls",
         "Calls that wait for their turn: above 0 all the time, Chroma or a bound of ours is the "
         "bottleneck."),
    ROWS(HISTOGRAM, waits, "chromabouncer_turn_wait_seconds", "How long calls waited for it."),
    ROWS(GAUGE, turns, "chromabouncer_turn_open_calls", "Calls that Chroma has not answered yet."),
    ROWS(GAUGE, connections, "chromabouncer_backend_calls", "Calls that hold a connection."),
    ROWS(COUNTER, granted, "chromabouncer_turn_granted_total", "Calls that got their turn."),
    ROWS(COUNTER, late, "chromabouncer_turn_late_total", "Calls that got it after their deadline."),
    ROWS(COUNTER, left, "chromabouncer_turn_left_total",
         "Calls that gave up: the client left, or the deadline passed."),
    ROWS(COUNTER, refused, "chromabouncer_turn_refused_total",
         "Calls refused because too many waited."),
    ROWS(COUNTER, shed, "chromabouncer_turn_shed_total",
         "Calls refused because they had waited for too long (overload: shed)."),
    ROWS(DURATION_COUNTER, cost_us, "chromabouncer_backend_busy_seconds_total",
         "Chroma's time that calls took."),
};
const size_t turn_queue_metric_count = COUNT_OF(turn_queue_metrics);

static void         set_fair_options(struct turn_queue *queue, enum turn_class class);
static void         order_push(struct turn_queue *queue, struct turn *turn, uint64_t now_us);
static void         order_remove(struct turn_queue *queue, struct turn *turn, uint64_t now_us);
static struct turn *order_first(struct turn_queue *queue, uint64_t now_us);
static bool         is_fair(const struct turn *turn);
static struct turn *first_of(const struct list *waiting);
static struct turn *first_fair(struct turn_queue *queue, enum turn_class class, uint64_t now_us);
static void         order_take(struct turn_queue *queue, struct turn *turn, uint64_t now_us);
static void         count_credit(struct turn_queue *queue, const struct turn *turn);
static bool         may_go(const struct turn_queue *queue, enum turn_class class);
static bool         has_turn(const struct turn_queue *queue, enum turn_class class);
static uint64_t     class_turns(const struct turn_queue *queue, enum turn_class class);
static bool         has_connection(const struct turn_queue *queue, enum turn_class class);
static size_t       connections_left(const struct turn_queue *queue, enum turn_class class);
static size_t       left_of(size_t max, uint64_t used);
static size_t       reserve_of(const struct turn_queue *queue, enum turn_class class);
static void         grant(struct turn_queue *queue, struct turn *turn, uint64_t now_us);
static void         count_service(struct turn_queue *queue, struct turn *turn, int change);
static void         set_service_closed(struct turn_queue *queue, uint32_t service);
static bool         is_full_service(const struct turn_service *service);
static void         end_turn(struct turn_queue *queue, struct turn *turn);

struct turn_queue *turn_queue_new(const struct turn_queue_options *options)
{
    size_t             services = options->services == 0 ? 1 : options->services;
    struct turn_queue *queue = calloc(1, sizeof *queue + services * sizeof queue->services[0]);

    if (queue == NULL)
        return NULL;
    list_init(&queue->control);
    list_init(&queue->exempt);
    queue->service_count = services;
    queue->fair[TURN_READ] = fair_queue_new(services);
    queue->fair[TURN_WRITE] = fair_queue_new(services);
    if (queue->fair[TURN_READ] == NULL || queue->fair[TURN_WRITE] == NULL) {
        turn_queue_free(queue);
        return NULL;
    }
    turn_queue_set_options(queue, options);
    return queue;
}

void turn_queue_free(struct turn_queue *queue)
{
    if (queue == NULL)
        return;
    for (size_t each = 0; each < TURN_CLASSES; each++)
        assert(queue->stats.waiting[each] == 0 && queue->stats.connections[each] == 0);
    fair_queue_free(queue->fair[TURN_READ]);
    fair_queue_free(queue->fair[TURN_WRITE]);
    free(queue);
}

void turn_queue_set_options(struct turn_queue *queue, const struct turn_queue_options *options)
{
    assert(options->connections_max >= 1);
    queue->options = *options;
    set_fair_options(queue, TURN_READ);
    set_fair_options(queue, TURN_WRITE);
}

/* The newest write never goes first: it may be for the same record as an older one. */
static void set_fair_options(struct turn_queue *queue, enum turn_class class)
{
    struct fair_queue_options options = {.timeout_us = queue->options.shed_us[class],
                                         .standing_us = queue->options.standing_us,
                                         .is_newest_first = class == TURN_READ};

    fair_queue_set_options(queue->fair[class], &options);
}

void turn_queue_set_service(struct turn_queue *queue, uint32_t service,
                            const struct turn_queue_service *options)
{
    assert(service < queue->service_count);
    fair_queue_set_flow(queue->fair[TURN_READ], service, options->weight, options->priority);
    fair_queue_set_flow(queue->fair[TURN_WRITE], service, options->weight, options->priority);
    queue->services[service].turns_max = options->turns_max;
    set_service_closed(queue, service);
}

void turn_queue_set_gate(struct turn_queue *queue, enum turn_class class, struct fair_gate *gate,
                         size_t max)
{
    fair_queue_set_gate(queue->fair[class], gate, max);
}

void turn_queue_weigh(const struct turn_queue *turns, enum turn_class class,
                      struct fair_queue       *queue)
{
    fair_queue_weigh(queue, turns->fair[class]);
}

void turn_queue_set_turns_max(struct turn_queue *queue, enum turn_class class, size_t turns_max)
{
    queue->options.turns_max[class] = turns_max;
}

size_t turn_queue_turns_max(const struct turn_queue *queue, enum turn_class class)
{
    size_t turns_max = queue->options.turns_max[class],
           connections = queue->options.connections_max;

    for (enum turn_class each = 0; each < TURN_CLASSES; each++)
        connections -= each == class ? 0 : reserve_of(queue, each);
    return turns_max != 0 && turns_max < connections ? turns_max : connections;
}

bool turn_queue_is_held(const struct turn_queue *queue)
{
    return queue->is_held;
}

void turn_queue_hold(struct turn_queue *queue, bool held)
{
    if (queue->is_held && !held)
        for (enum turn_class each = TURN_READ; each < TURN_CLASSES; each++)
            fair_queue_end_hold(queue->fair[each]);
    queue->is_held = held;
}

enum status turn_queue_ask(struct turn_queue *queue, struct turn *turn, uint64_t now_us)
{
    struct turn_queue_stats *stats = &queue->stats;

    assert(turn->state == TURN_IDLE && turn->service < queue->service_count);
    turn->asked_us = now_us;
    order_push(queue, turn, now_us);
    if (order_first(queue, now_us) == turn) {
        grant(queue, turn, now_us);
        return STATUS_OK;
    }
    if (turn->class == TURN_CONTROL || queue->options.waiting_max == 0 ||
        stats->waiting[TURN_READ] + stats->waiting[TURN_WRITE] <= queue->options.waiting_max)
        return STATUS_AGAIN;
    order_remove(queue, turn, now_us);
    stats->refused[turn->class]++;
    return STATUS_OVERLOADED;
}

struct turn *turn_queue_next(struct turn_queue *queue, uint64_t now_us)
{
    struct turn *turn = order_first(queue, now_us);

    if (turn != NULL)
        grant(queue, turn, now_us);
    return turn;
}

struct turn *turn_queue_shed(struct turn_queue *queue, uint64_t now_us)
{
    for (enum turn_class each = TURN_READ; each < TURN_CLASSES && !queue->is_held; each++) {
        struct fair_item *item = fair_queue_expired(queue->fair[each], now_us);

        if (item != NULL) {
            struct turn *turn = CONTAINER_OF(item, struct turn, item);

            order_remove(queue, turn, now_us);
            queue->stats.shed[each]++;
            return turn;
        }
    }
    return NULL;
}

uint64_t turn_queue_wake_us(const struct turn_queue *queue)
{
    uint64_t read_us = fair_queue_expiry_us(queue->fair[TURN_READ]);
    uint64_t write_us = fair_queue_expiry_us(queue->fair[TURN_WRITE]);

    if (queue->is_held)
        return UINT64_MAX;
    return read_us < write_us ? read_us : write_us;
}

enum turn_bound turn_queue_bound(const struct turn_queue *queue, const struct turn *turn)
{
    const struct turn_service *service = &queue->services[turn->service];
    size_t                     left[] = {[TURN_BOUND_GATE] =
                         turn->gate == NULL ? SIZE_MAX : left_of(turn->gate->max, turn->gate->open),
                                         [TURN_BOUND_SERVICE] = left_of(service->turns_max, service->turns),
                                         [TURN_BOUND_CLASS] = left_of(queue->options.turns_max[turn->class],
                                                                      class_turns(queue, turn->class)),
                                         [TURN_BOUND_CONNECTIONS] = connections_left(queue, turn->class)};
    enum turn_bound            least = TURN_BOUND_GATE;

    for (enum turn_bound each = TURN_BOUND_SERVICE; each <= TURN_BOUND_CONNECTIONS; each++)
        if (left[each] < left[least])
            least = each;
    return least;
}

static size_t left_of(size_t max, uint64_t used)
{
    return max == 0 ? SIZE_MAX : used < max ? max - (size_t)used : 0;
}

size_t turn_queue_service_turns(const struct turn_queue *queue, uint32_t service)
{
    return queue->services[service].turns;
}

size_t turn_queue_service_waiting(const struct turn_queue *queue, uint32_t service)
{
    return fair_queue_flow_count(queue->fair[TURN_READ], service) +
           fair_queue_flow_count(queue->fair[TURN_WRITE], service);
}

size_t turn_queue_service_turns_max(const struct turn_queue *queue, uint32_t service)
{
    return queue->services[service].turns_max;
}

/* ---- The order: the only part that knows who goes before whom ------------------------------- */

static void order_push(struct turn_queue *queue, struct turn *turn, uint64_t now_us)
{
    turn->item = (struct fair_item){.flow = turn->service,
                                    .cost_us = turn->cost_us,
                                    .gate = turn->gate,
                                    .is_held = turn->was_held};
    if (is_fair(turn))
        fair_queue_add(queue->fair[turn->class], &turn->item, now_us);
    else
        list_push_back(turn->is_exempt ? &queue->exempt : &queue->control, &turn->item.node);
    queue->stats.waiting[turn->class]++;
    turn->state = TURN_WAITING;
}

static bool is_fair(const struct turn *turn)
{
    return turn->class != TURN_CONTROL && !turn->is_exempt;
}

static void order_remove(struct turn_queue *queue, struct turn *turn, uint64_t now_us)
{
    if (is_fair(turn))
        fair_queue_remove(queue->fair[turn->class], &turn->item, now_us);
    else
        list_remove(&turn->item.node);
    queue->stats.waiting[turn->class]--;
    turn->state = TURN_IDLE;
}

/* Who goes next of those who may; NULL: nobody. */
static struct turn *order_first(struct turn_queue *queue, uint64_t now_us)
{
    struct turn *control = first_of(&queue->control), *exempt = first_of(&queue->exempt);
    struct turn *read, *write;

    if (control != NULL && has_connection(queue, TURN_CONTROL))
        return control;
    if (exempt != NULL && has_connection(queue, TURN_READ))
        return exempt;
    read = first_fair(queue, TURN_READ, now_us);
    write = first_fair(queue, TURN_WRITE, now_us);
    if (read == NULL || write == NULL)
        return read == NULL ? write : read;
    if (queue->credit_us >= write->item.cost_us || queue->credit_us == credit_max_us)
        return write;
    return read;
}

static struct turn *first_of(const struct list *waiting)
{
    struct list_node *node = list_first(waiting);

    return node == NULL ? NULL
                        : CONTAINER_OF(LIST_ITEM(node, struct fair_item, node), struct turn, item);
}

static struct turn *first_fair(struct turn_queue *queue, enum turn_class class, uint64_t now_us)
{
    struct fair_item *item = NULL;

    if (queue->stats.waiting[class] > 0 && may_go(queue, class))
        item = fair_queue_first(queue->fair[class], now_us);
    return item == NULL ? NULL : CONTAINER_OF(item, struct turn, item);
}

/* It goes. A read gives the writes that wait credit; a write uses it up. */
static void order_take(struct turn_queue *queue, struct turn *turn, uint64_t now_us)
{
    if (is_fair(turn))
        fair_queue_take(queue->fair[turn->class], &turn->item, now_us);
    else
        list_remove(&turn->item.node);
    queue->stats.waiting[turn->class]--;
    count_credit(queue, turn);
}

static void count_credit(struct turn_queue *queue, const struct turn *turn)
{
    uint64_t cost_us = turn->item.cost_us, credit_us = queue->credit_us;

    if (queue->stats.waiting[TURN_WRITE] == 0)
        credit_us = 0;
    else if (turn->class == TURN_READ)
        credit_us += cost_us / reads_per_write;
    else if (turn->class == TURN_WRITE)
        credit_us -= credit_us < cost_us ? credit_us : cost_us;
    queue->credit_us = credit_us < credit_max_us ? credit_us : credit_max_us;
}

/* ---- The bounds ----------------------------------------------------------------------------- */

static bool may_go(const struct turn_queue *queue, enum turn_class class)
{
    return has_turn(queue, class) && has_connection(queue, class);
}

static bool has_turn(const struct turn_queue *queue, enum turn_class class)
{
    return left_of(queue->options.turns_max[class], class_turns(queue, class)) > 0;
}

static uint64_t class_turns(const struct turn_queue *queue, enum turn_class class)
{
    return queue->stats.turns[class] - (class == TURN_READ ? queue->stats.exempt_turns : 0);
}

static bool has_connection(const struct turn_queue *queue, enum turn_class class)
{
    return (!queue->is_held || class == TURN_CONTROL) && connections_left(queue, class) > 0;
}

/* Those of `class` must leave each other class the places that it keeps. */
static size_t connections_left(const struct turn_queue *queue, enum turn_class class)
{
    const struct turn_queue_stats *stats = &queue->stats;
    size_t                         taken = 0;

    for (enum turn_class each = 0; each < TURN_CLASSES; each++) {
        size_t used = stats->connections[each], kept = each == class ? 0 : reserve_of(queue, each);

        taken += used > kept ? used : kept;
    }
    return left_of(queue->options.connections_max, taken);
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

    order_take(queue, turn, now_us);
    turn->state = TURN_OPEN;
    turn->granted_us = now_us;
    count_service(queue, turn, 1);
    stats->turns[turn->class]++;
    queue->stats.exempt_turns += turn->is_exempt;
    stats->connections[turn->class]++;
    stats->granted[turn->class]++;
    stats->late[turn->class] += turn->deadline_us != 0 && now_us > turn->deadline_us;
    metric_histogram_add(&stats->waits[turn->class], now_us - turn->asked_us);
}

static void count_service(struct turn_queue *queue, struct turn *turn, int change)
{
    if (turn->class == TURN_CONTROL)
        return;
    if (change > 0)
        queue->services[turn->service].turns++;
    else
        queue->services[turn->service].turns--;
    set_service_closed(queue, turn->service);
}

static void set_service_closed(struct turn_queue *queue, uint32_t number)
{
    bool is_full = is_full_service(&queue->services[number]);

    fair_queue_set_closed(queue->fair[TURN_READ], number, is_full);
    fair_queue_set_closed(queue->fair[TURN_WRITE], number, is_full);
}

static bool is_full_service(const struct turn_service *service)
{
    return service->turns_max != 0 && service->turns >= service->turns_max;
}

void turn_queue_leave(struct turn_queue *queue, struct turn *turn, uint64_t now_us)
{
    if (turn->state != TURN_WAITING)
        return;
    order_remove(queue, turn, now_us);
    queue->stats.left[turn->class]++;
}

void turn_queue_answered(struct turn_queue *queue, struct turn *turn)
{
    assert(turn->state == TURN_OPEN || turn->state == TURN_ANSWERED);
    if (turn->state == TURN_OPEN)
        end_turn(queue, turn);
}

void turn_queue_move(struct turn *to, struct turn *from)
{
    assert(from->state == TURN_OPEN && to->state == TURN_IDLE);
    *to = *from;
    *from = (struct turn){.class = from->class};
}

static void end_turn(struct turn_queue *queue, struct turn *turn)
{
    turn->state = TURN_ANSWERED;
    queue->stats.turns[turn->class]--;
    queue->stats.exempt_turns -= turn->is_exempt;
    count_service(queue, turn, -1);
    if (is_fair(turn))
        fair_queue_end(queue->fair[turn->class], &turn->item);
}

void turn_queue_done(struct turn_queue *queue, struct turn *turn, uint64_t cost_us)
{
    turn_queue_answered(queue, turn);
    turn->state = TURN_IDLE;
    queue->stats.connections[turn->class]--;
    queue->stats.cost_us[turn->class] += cost_us;
    if (cost_us != 0 && is_fair(turn))
        fair_queue_settle(queue->fair[turn->class], turn->service, turn->item.cost_us, cost_us);
}

const struct turn_queue_stats *turn_queue_stats(const struct turn_queue *queue)
{
    return &queue->stats;
}
