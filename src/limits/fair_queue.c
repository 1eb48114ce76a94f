#include "limits/fair_queue.h"

#include <assert.h>
#include <stdlib.h>

struct fair_flow {
    struct list_node node;        /* while somebody waits who is not parked */
    struct list      items;       /* not parked, in the order of arrival */
    struct list      all;         /* parked ones too, likewise */
    size_t           count;       /* of these */
    int64_t          deficit_us;  /* what it may still take in this round; below 0: a debt */
    int64_t          quantum_us;  /* what it gains in each round */
    uint64_t         calm;        /* of the queue, when it was last active */
    uint64_t         rounds;      /* of the queue, up to which its debt was paid off while idle */
    size_t           held;        /* that wait and were held before */
    uint64_t         since_us;    /* when the last of these went: nobody waits for longer */
    bool             is_standing; /* one has waited out the timeout, and it was not short since */
    bool             is_closed;
};

struct fair_queue {
    struct fair_queue_options options;
    struct list               active; /* flows, the one whose turn it is first */
    size_t                    active_count, count;
    uint64_t                  calm;   /* how often nobody waited: then all debts are forgiven */
    uint64_t                  rounds; /* since the beginning, in parts of rounds_one */
    size_t                    flow_count;
    struct fair_flow          flows[];
};

/* Small against any call, so that the round robin is as fine as the calls are. */
static const int64_t  quantum_us = 1000;
static const uint64_t rounds_one = 65536;
/* A flow whose calls were far dearer than expected is not punished for longer than this. */
static const int64_t debt_max_us = 10000000;

static void              activate(struct fair_queue *queue, struct fair_flow *flow);
static void              pay_off_debt(struct fair_queue *queue, struct fair_flow *flow);
static void              deactivate_empty(struct fair_queue *queue, struct fair_flow *flow);
static struct fair_item *visit(struct fair_queue *queue, uint64_t now_us);
static struct fair_item *head_of(struct fair_queue *queue, struct fair_flow *flow, uint64_t now_us);
static void look_at_oldest(const struct fair_queue *queue, struct fair_flow *flow, uint64_t now_us);
static bool is_full(const struct fair_gate *gate);
static void unpark_first(struct fair_queue *queue, struct fair_gate *gate);
static void unpark(struct fair_queue *queue, struct list_node *node);
static bool skip_rounds(struct fair_queue *queue, uint64_t now_us);
static void note_held(struct fair_queue *queue, struct fair_item *item);
static struct fair_item *next_to_expire(const struct fair_queue *queue, uint64_t *ret_us);
static struct fair_item *next_of_flow(const struct fair_queue *queue, const struct fair_flow *flow,
                                      uint64_t *ret_us);
static uint64_t          waits_since(const struct fair_flow *flow, const struct fair_item *item);

struct fair_queue *fair_queue_new(size_t flows)
{
    struct fair_queue *queue = calloc(1, sizeof *queue + flows * sizeof queue->flows[0]);

    if (queue == NULL)
        return NULL;
    list_init(&queue->active);
    queue->flow_count = flows;
    for (size_t i = 0; i < flows; i++) {
        list_node_init(&queue->flows[i].node);
        list_init(&queue->flows[i].items);
        list_init(&queue->flows[i].all);
        fair_queue_set_flow(queue, (uint32_t)i, 1, 1);
    }
    return queue;
}

void fair_queue_free(struct fair_queue *queue)
{
    assert(queue == NULL || queue->count == 0);
    free(queue);
}

void fair_queue_set_options(struct fair_queue *queue, const struct fair_queue_options *options)
{
    queue->options = *options;
}

void fair_queue_set_flow(struct fair_queue *queue, uint32_t flow, unsigned weight,
                         unsigned priority)
{
    assert(flow < queue->flow_count && priority <= FAIR_QUEUE_PRIORITY_LAST);
    assert(weight >= 1 && weight <= FAIR_QUEUE_WEIGHT_MAX);
    queue->flows[flow].quantum_us = quantum_us * weight << (FAIR_QUEUE_PRIORITY_LAST - priority);
}

void fair_queue_weigh(struct fair_queue *queue, const struct fair_queue *other)
{
    assert(queue->flow_count == other->flow_count);
    for (size_t i = 0; i < queue->flow_count; i++)
        queue->flows[i].quantum_us = other->flows[i].quantum_us;
}

void fair_queue_set_closed(struct fair_queue *queue, uint32_t flow, bool is_closed)
{
    queue->flows[flow].is_closed = is_closed;
}

void fair_queue_set_gate(struct fair_queue *queue, struct fair_gate *gate, size_t max)
{
    struct list_node *node;

    gate->max = max;
    while (!is_full(gate) && (node = list_last(&gate->parked)) != NULL)
        unpark(queue, node);
}

void fair_queue_add(struct fair_queue *queue, struct fair_item *item, uint64_t now_us)
{
    struct fair_flow *flow = &queue->flows[item->flow];

    assert(item->flow < queue->flow_count);
    item->since_us = now_us;
    if (item->cost_us < (uint64_t)quantum_us)
        item->cost_us = (uint64_t)quantum_us; /* calls that cost nothing would never end a round */
    if (item->is_held)
        note_held(queue, item);
    flow->count++;
    queue->count++;
    list_push_back(&flow->items, &item->node);
    list_push_back(&flow->all, &item->all_node);
    activate(queue, flow);
}

static void activate(struct fair_queue *queue, struct fair_flow *flow)
{
    if (list_node_is_linked(&flow->node))
        return;
    if (flow->calm != queue->calm)
        flow->deficit_us = 0;
    flow->calm = queue->calm;
    pay_off_debt(queue, flow);
    list_push_back(&queue->active, &flow->node);
    queue->active_count++;
}

/* Rounds in which an idle flow took nothing pay off what it owes, and no more. */
static void pay_off_debt(struct fair_queue *queue, struct fair_flow *flow)
{
    uint64_t rounds = (queue->rounds - flow->rounds) / rounds_one;

    flow->rounds = queue->rounds;
    if (flow->deficit_us >= 0)
        return;
    if (rounds > (uint64_t)(-flow->deficit_us / flow->quantum_us))
        flow->deficit_us = 0;
    else
        flow->deficit_us += (int64_t)rounds * flow->quantum_us;
}

static void deactivate_empty(struct fair_queue *queue, struct fair_flow *flow)
{
    if (!list_is_empty(&flow->items) || !list_node_is_linked(&flow->node))
        return;
    if (flow->deficit_us > 0)
        flow->deficit_us = 0; /* nothing is saved up while nobody waits */
    flow->rounds = queue->rounds;
    list_remove(&flow->node);
    queue->active_count--;
    if (queue->active_count == 0)
        queue->calm++;
}

struct fair_item *fair_queue_first(struct fair_queue *queue, uint64_t now_us)
{
    do {
        struct fair_item *item = visit(queue, now_us);

        if (item != NULL)
            return item;
    } while (skip_rounds(queue, now_us));
    return NULL;
}

/* One round: visit each flow, until one may go, which then stands first. */
static struct fair_item *visit(struct fair_queue *queue, uint64_t now_us)
{
    for (size_t left = queue->active_count; left > 0; left--) {
        struct list_node *node = list_first(&queue->active);
        struct fair_flow *flow;
        struct fair_item *item;

        if (node == NULL)
            return NULL;
        flow = LIST_ITEM(node, struct fair_flow, node);
        item = head_of(queue, flow, now_us);
        if (item != NULL && flow->deficit_us >= (int64_t)item->cost_us)
            return item;
        if (!list_node_is_linked(node))
            continue; /* all of its items are parked */
        list_remove(node);
        list_push_back(&queue->active, node);
        queue->rounds += rounds_one / queue->active_count;
        if (!flow->is_closed)
            flow->deficit_us += flow->quantum_us;
    }
    return NULL;
}

/* Who is next of the flow, parking those whose gate is full; NULL: nobody. */
static struct fair_item *head_of(struct fair_queue *queue, struct fair_flow *flow, uint64_t now_us)
{
    bool is_newest_first;

    look_at_oldest(queue, flow, now_us);
    is_newest_first = queue->options.is_newest_first && flow->is_standing;
    while (!flow->is_closed && !list_is_empty(&flow->items)) {
        struct list_node *node =
            is_newest_first ? list_last(&flow->items) : list_first(&flow->items);
        struct fair_item *item = LIST_ITEM(node, struct fair_item, node);

        if (item->gate == NULL || !is_full(item->gate))
            return item;
        list_remove(node);
        list_push_back(&item->gate->parked, node);
    }
    deactivate_empty(queue, flow);
    return NULL;
}

/* A queue that is short again does not stand. */
static void look_at_oldest(const struct fair_queue *queue, struct fair_flow *flow, uint64_t now_us)
{
    struct list_node *oldest = list_first(&flow->items);

    if (oldest != NULL && now_us - waits_since(flow, LIST_ITEM(oldest, struct fair_item, node)) <
                              queue->options.standing_us / 2)
        flow->is_standing = false;
}

static bool is_full(const struct fair_gate *gate)
{
    return gate->max != 0 && gate->open >= gate->max;
}

/* Give all flows as many rounds as the first of them to go still needs; false: nobody may go. */
static bool skip_rounds(struct fair_queue *queue, uint64_t now_us)
{
    int64_t rounds = INT64_MAX;

    LIST_FOR_EACH(node, &queue->active)
    {
        struct fair_flow *flow = LIST_ITEM(node, struct fair_flow, node);
        struct fair_item *item = head_of(queue, flow, now_us);

        if (item != NULL) {
            int64_t missing = (int64_t)item->cost_us - flow->deficit_us;
            int64_t needed = missing <= 0 ? 0 : (missing + flow->quantum_us - 1) / flow->quantum_us;

            rounds = needed < rounds ? needed : rounds;
        }
    }
    if (rounds == INT64_MAX)
        return false;
    queue->rounds += (uint64_t)rounds * rounds_one;
    LIST_FOR_EACH(node, &queue->active)
    {
        struct fair_flow *flow = LIST_ITEM(node, struct fair_flow, node);

        if (!flow->is_closed)
            flow->deficit_us += rounds * flow->quantum_us;
    }
    return true;
}

void fair_queue_take(struct fair_queue *queue, struct fair_item *item, uint64_t now_us)
{
    queue->flows[item->flow].deficit_us -= (int64_t)item->cost_us;
    if (item->gate != NULL)
        item->gate->open++;
    fair_queue_remove(queue, item, now_us);
}

void fair_queue_end(struct fair_queue *queue, struct fair_item *item)
{
    if (item->gate == NULL)
        return;
    assert(item->gate->open > 0);
    item->gate->open--;
    unpark_first(queue, item->gate);
}

/* If there is room at the gate, the next one steps back: what is in the flow came after it. */
static void unpark_first(struct fair_queue *queue, struct fair_gate *gate)
{
    struct list_node *node = list_first(&gate->parked);

    if (node != NULL && !is_full(gate))
        unpark(queue, node);
}

static void unpark(struct fair_queue *queue, struct list_node *node)
{
    struct fair_item *item = LIST_ITEM(node, struct fair_item, node);
    struct fair_flow *flow = &queue->flows[item->flow];

    list_remove(node);
    list_push_front(&flow->items, node);
    activate(queue, flow);
}

void fair_queue_remove(struct fair_queue *queue, struct fair_item *item, uint64_t now_us)
{
    struct fair_flow *flow = &queue->flows[item->flow];

    list_remove(&item->node);
    list_remove(&item->all_node);
    flow->count--;
    if (item->is_held && --flow->held == 0)
        flow->since_us = now_us; /* who came behind them had to wait for them */
    flow->is_standing &= flow->count > 0;
    queue->count--;
    if (item->gate != NULL)
        unpark_first(queue, item->gate); /* the place may have been kept for this one */
    deactivate_empty(queue, flow);
}

void fair_queue_settle(struct fair_queue *queue, uint32_t flow_number, uint64_t charged_us,
                       uint64_t actual_us)
{
    struct fair_flow *flow = &queue->flows[flow_number];

    if (!list_node_is_linked(&flow->node))
        pay_off_debt(queue, flow);
    flow->deficit_us += (int64_t)charged_us - (int64_t)actual_us;
    if (flow->deficit_us < -debt_max_us)
        flow->deficit_us = -debt_max_us;
}

void fair_queue_end_hold(struct fair_queue *queue)
{
    for (size_t i = 0; i < queue->flow_count; i++)
        LIST_FOR_EACH(node, &queue->flows[i].all)
        {
            struct fair_item *item = LIST_ITEM(node, struct fair_item, all_node);

            if (!item->is_held)
                note_held(queue, item);
        }
}

static void note_held(struct fair_queue *queue, struct fair_item *item)
{
    struct fair_flow *flow = &queue->flows[item->flow];

    item->is_held = true;
    flow->held++;
    flow->is_standing = false;
}

struct fair_item *fair_queue_expired(struct fair_queue *queue, uint64_t now_us)
{
    uint64_t          expiry_us;
    struct fair_item *item = next_to_expire(queue, &expiry_us);

    if (item == NULL || now_us < expiry_us)
        return NULL;
    queue->flows[item->flow].is_standing = true;
    return item;
}

uint64_t fair_queue_expiry_us(const struct fair_queue *queue)
{
    uint64_t expiry_us;

    return next_to_expire(queue, &expiry_us) == NULL ? UINT64_MAX : expiry_us;
}

/* NULL: nobody will. */
static struct fair_item *next_to_expire(const struct fair_queue *queue, uint64_t *ret_us)
{
    struct fair_item *next = NULL;

    *ret_us = UINT64_MAX;
    for (size_t i = 0; i < queue->flow_count && queue->count > 0; i++) {
        uint64_t          expiry_us;
        struct fair_item *item = next_of_flow(queue, &queue->flows[i], &expiry_us);

        if (item != NULL && expiry_us < *ret_us) {
            *ret_us = expiry_us;
            next = item;
        }
    }
    return next;
}

/* The oldest, or under a standing queue the oldest of those that are not parked. */
static struct fair_item *next_of_flow(const struct fair_queue *queue, const struct fair_flow *flow,
                                      uint64_t *ret_us)
{
    struct list_node *oldest = list_first(&flow->all), *first = list_first(&flow->items);
    struct fair_item *item;
    uint64_t          standing_us;

    if (queue->options.timeout_us == 0 || oldest == NULL || flow->held > 0)
        return NULL;
    item = LIST_ITEM(oldest, struct fair_item, all_node);
    *ret_us = waits_since(flow, item) + queue->options.timeout_us;
    if (!flow->is_standing || first == NULL)
        return item;
    standing_us =
        waits_since(flow, LIST_ITEM(first, struct fair_item, node)) + queue->options.standing_us;
    if (standing_us >= *ret_us)
        return item;
    *ret_us = standing_us;
    return LIST_ITEM(first, struct fair_item, node);
}

static uint64_t waits_since(const struct fair_flow *flow, const struct fair_item *item)
{
    return item->since_us > flow->since_us ? item->since_us : flow->since_us;
}

size_t fair_queue_count(const struct fair_queue *queue)
{
    return queue->count;
}

size_t fair_queue_flow_count(const struct fair_queue *queue, uint32_t flow)
{
    return queue->flows[flow].count;
}
