#include "proxy/body_gate.h"

static bool has_room(const struct body_gate *gate, size_t size);
static void hold(struct body_gate *gate, struct body_ticket *ticket);
static void admit_waiting(void *ctx);

void body_gate_init(struct body_gate *gate, struct loop *loop, struct memory_budget *budget,
                    uint64_t max)
{
    *gate = (struct body_gate){.loop = loop, .budget = budget, .max = max};
    list_init(&gate->tickets);
    loop_task_init(&gate->task, admit_waiting, gate);
}

void body_gate_init_ticket(struct body_ticket *ticket,
                           void (*on_admitted)(struct body_ticket *ticket))
{
    *ticket = (struct body_ticket){.on_admitted = on_admitted};
    list_node_init(&ticket->node);
}

bool body_gate_enter(struct body_gate *gate, struct body_ticket *ticket, size_t size)
{
    ticket->size = size;
    if (list_is_empty(&gate->tickets) && has_room(gate, size)) {
        hold(gate, ticket);
        return true;
    }
    list_push_back(&gate->tickets, &ticket->node);
    gate->waiting++;
    return false;
}

static bool has_room(const struct body_gate *gate, size_t size)
{
    uint64_t used = gate->budget->used;

    if (gate->held == 0)
        return true;
    return gate->held + size <= gate->max && used + size <= gate->budget->max;
}

static void hold(struct body_gate *gate, struct body_ticket *ticket)
{
    ticket->is_held = true;
    gate->held += ticket->size;
    memory_budget_charge(gate->budget, ticket->size);
}

bool body_gate_grow(struct body_gate *gate, struct body_ticket *ticket, size_t size)
{
    size_t more = size - ticket->size;

    if (gate->held > ticket->size && !has_room(gate, more))
        return false;
    ticket->size = size;
    gate->held += more;
    memory_budget_charge(gate->budget, more);
    return true;
}

void body_gate_leave(struct body_gate *gate, struct body_ticket *ticket)
{
    if (list_node_is_linked(&ticket->node)) {
        list_remove(&ticket->node);
        gate->waiting--;
    } else if (ticket->is_held) {
        ticket->is_held = false;
        gate->held -= ticket->size;
        memory_budget_release(gate->budget, ticket->size);
        ticket->size = 0;
    }
    if (!list_is_empty(&gate->tickets))
        loop_later(gate->loop, &gate->task);
}

static void admit_waiting(void *ctx)
{
    struct body_gate *gate = ctx;
    struct list_node *node;

    while ((node = list_first(&gate->tickets)) != NULL) {
        struct body_ticket *ticket = LIST_ITEM(node, struct body_ticket, node);

        if (!has_room(gate, ticket->size))
            return;
        list_remove(node);
        gate->waiting--;
        hold(gate, ticket);
        ticket->on_admitted(ticket);
    }
}
