#include "calls/admission.h"

static void admission_serve(void *ctx);
static void admission_serve_later(struct admission *admission);
static bool admission_has_room(const struct admission *admission);

void admission_init(struct admission *admission, struct loop *loop, size_t max)
{
    *admission = (struct admission){.loop = loop, .max = max};
    list_init(&admission->waiting);
    loop_task_init(&admission->task, admission_serve, admission);
}

void admission_done(struct admission *admission)
{
    loop_task_cancel(&admission->task);
}

void admission_init_ticket(struct admission_ticket *ticket,
                           void (*on_admitted)(struct admission_ticket *ticket))
{
    *ticket = (struct admission_ticket){.on_admitted = on_admitted};
    list_node_init(&ticket->node);
}

bool admission_ask(struct admission *admission, struct admission_ticket *ticket)
{
    if (admission_has_room(admission) && admission->waiting_count == 0) {
        admission->held++;
        ticket->is_held = true;
        return true;
    }
    list_push_back(&admission->waiting, &ticket->node);
    admission->waiting_count++;
    return false;
}

void admission_leave(struct admission *admission, struct admission_ticket *ticket)
{
    if (ticket->is_held) {
        ticket->is_held = false;
        admission->held--;
    } else if (list_node_is_linked(&ticket->node)) {
        list_remove(&ticket->node);
        admission->waiting_count--;
    }
    admission_serve_later(admission);
}

void admission_pause(struct admission *admission, bool is_paused)
{
    if (admission->is_paused && !is_paused)
        LIST_FOR_EACH(node, &admission->waiting)
        {
            LIST_ITEM(node, struct admission_ticket, node)->was_paused = true;
        }
    admission->is_paused = is_paused;
    admission_serve_later(admission);
}

void admission_set_max(struct admission *admission, size_t max)
{
    admission->max = max;
    admission_serve_later(admission);
}

static void admission_serve_later(struct admission *admission)
{
    if (admission->waiting_count > 0 && admission_has_room(admission))
        loop_later(admission->loop, &admission->task);
}

static void admission_serve(void *ctx)
{
    struct admission *admission = ctx;

    while (admission->waiting_count > 0 && admission_has_room(admission)) {
        struct admission_ticket *ticket =
            LIST_ITEM(list_first(&admission->waiting), struct admission_ticket, node);

        list_remove(&ticket->node);
        admission->waiting_count--;
        admission->held++;
        ticket->is_held = true;
        ticket->on_admitted(ticket);
    }
}

static bool admission_has_room(const struct admission *admission)
{
    return !admission->is_paused && admission->held < admission->max;
}
