#include "auth/auth_ticket.h"

#include <stdlib.h>

#include "auth/auth.h"

void auth_ticket_leave(struct auth_ticket *ticket, struct auth *auth)
{
    if (ticket->rules == NULL)
        return;
    auth_look_leave(auth_looks(auth), &ticket->look);
    loop_timer_free(ticket->timer);
    ticket->timer = NULL;
}

void auth_ticket_end(struct auth_ticket *ticket)
{
    if (ticket->rules == NULL)
        return;
    free(ticket->message);
    if (ticket->state != NULL)
        ticket->free_state(ticket->state);
    auth_drop_rules(ticket->rules);
    *ticket = (struct auth_ticket){0};
}
