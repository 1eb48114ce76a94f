#include "proxy/body_gate.h"

static const uint64_t look_again_us = 50000;

static bool has_room(const struct body_gate *gate, size_t size);
static void look_again_later(struct body_gate *gate);
static void hold(struct body_gate *gate, struct body_ticket *ticket);
static void admit_waiting(void *ctx);
static bool admit_first(struct body_gate *gate, struct list *tickets);

bool body_gate_init(struct body_gate *gate, struct loop *loop, struct memory_budget *budget,
                    uint64_t max)
{
    *gate = (struct body_gate){.loop = loop, .budget = budget, .max = max};
    list_init(&gate->begun);
    list_init(&gate->tickets);
    loop_task_init(&gate->task, admit_waiting, gate);
    if (budget != NULL)
        gate->timer = loop_timer_new(loop, admit_waiting, gate);
    return budget == NULL || gate->timer != NULL;
}

void body_gate_done(struct body_gate *gate)
{
    loop_task_cancel(&gate->task);
    loop_timer_free(gate->timer);
}

void body_gate_init_ticket(struct body_ticket *ticket,
                           void (*on_admitted)(struct body_ticket *ticket))
{
    *ticket = (struct body_ticket){.on_admitted = on_admitted};
    list_node_init(&ticket->node);
}

bool body_gate_reserve(struct body_gate *gate, struct body_ticket *ticket, size_t size)
{
    bool has_begun = ticket->size > 0;
    bool is_first = list_is_empty(&gate->begun) && (has_begun || list_is_empty(&gate->tickets));

    ticket->wanted = size;
    if (list_node_is_linked(&ticket->node))
        return false;
    if (gate->beyond == NULL && has_begun && !has_room(gate, size - ticket->size))
        gate->beyond = ticket;
    if (gate->beyond == ticket || (is_first && has_room(gate, size - ticket->size))) {
        hold(gate, ticket);
        return true;
    }
    list_push_back(has_begun ? &gate->begun : &gate->tickets, &ticket->node);
    look_again_later(gate);
    return false;
}

/* Room comes with a ticket that leaves, which tells, or with answers that are taken, which do not.
 */
static void look_again_later(struct body_gate *gate)
{
    if (gate->timer != NULL)
        loop_timer_set(gate->timer, loop_now_us(gate->loop) + look_again_us);
}

void body_gate_set_max(struct body_gate *gate, uint64_t max)
{
    gate->max = max;
    loop_later(gate->loop, &gate->task);
}

bool body_gate_is_beyond(const struct body_gate *gate, const struct body_ticket *ticket)
{
    return gate->beyond == ticket;
}

void body_gate_add(struct body_gate *gate, struct body_ticket *ticket, size_t size)
{
    ticket->wanted = ticket->size + size;
    hold(gate, ticket);
}

void body_gate_stop_waiting(struct body_ticket *ticket)
{
    list_remove(&ticket->node);
}

static bool has_room(const struct body_gate *gate, size_t size)
{
    return gate->held == 0 ||
           (gate->held + size <= gate->max &&
            (gate->budget == NULL || gate->budget->used + size <= gate->budget->max));
}

static void hold(struct body_gate *gate, struct body_ticket *ticket)
{
    size_t more = ticket->wanted - ticket->size;

    ticket->size = ticket->wanted;
    gate->held += more;
    if (gate->budget != NULL)
        memory_budget_charge(gate->budget, more);
}

void body_gate_leave(struct body_gate *gate, struct body_ticket *ticket)
{
    list_remove(&ticket->node);
    gate->held -= ticket->size;
    if (gate->budget != NULL)
        memory_budget_release(gate->budget, ticket->size);
    ticket->size = 0;
    if (gate->beyond == ticket)
        gate->beyond = NULL;
    if (!list_is_empty(&gate->begun) || !list_is_empty(&gate->tickets))
        loop_later(gate->loop, &gate->task);
}

static void admit_waiting(void *ctx)
{
    struct body_gate *gate = ctx;

    while (admit_first(gate, &gate->begun))
        continue;
    while (list_is_empty(&gate->begun) && admit_first(gate, &gate->tickets))
        continue;
    if (!list_is_empty(&gate->begun) || !list_is_empty(&gate->tickets))
        look_again_later(gate);
}

/* Admit the oldest of `tickets`; false when there is none or no room for it. */
static bool admit_first(struct body_gate *gate, struct list *tickets)
{
    struct list_node   *node = list_first(tickets);
    struct body_ticket *ticket = LIST_ITEM(node, struct body_ticket, node);

    if (node == NULL)
        return false;
    if (!has_room(gate, ticket->wanted - ticket->size)) {
        if (ticket->size == 0 || gate->beyond != NULL)
            return false;
        gate->beyond = ticket;
    }
    list_remove(node);
    hold(gate, ticket);
    ticket->on_admitted(ticket);
    return true;
}
