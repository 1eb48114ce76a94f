#include "app/daemon_breakers.h"

#include <stdio.h>

#include "base/metric.h"

struct breakers_print {
    struct byte_buffer *out;
    enum status         status;
};

static void add_breaker(void *ctx, const struct breaker_state_view *state);
static void print_breaker(void *ctx, const struct breaker_state_view *state);

json_t *daemon_breakers_list(const struct daemon *daemon)
{
    json_t *list = json_array();

    if (list != NULL)
        proxy_each_breaker(daemon->proxy, add_breaker, list);
    return list;
}

/* Without memory one is left out. */
static void add_breaker(void *ctx, const struct breaker_state_view *state)
{
    (void)!json_array_append_new(
        ctx, json_pack("{s:s, s:s, s:s, s:s, s:f}", "of", state->of, "collection",
                       state->collection, "state", state->state, "reason", state->reason,
                       "asked_again_in_seconds", (double)state->next_us / 1e6));
}

enum status daemon_breakers_print(const struct daemon *daemon, struct byte_buffer *out)
{
    struct breakers_print print = {
        .out = out, .status = byte_buffer_printf(out, METRIC_PAGE_BYTES_MAX, "breakers    ")};

    proxy_each_breaker(daemon->proxy, print_breaker, &print);
    return print.status != STATUS_OK ? print.status
                                     : byte_buffer_printf(out, METRIC_PAGE_BYTES_MAX, "\n");
}

/* Those of reads and writes stand on the line, each collection's on one of its own. */
static void print_breaker(void *ctx, const struct breaker_state_view *state)
{
    struct breakers_print *print = ctx;
    bool                   is_own_line = state->collection[0] != '\0';
    char                   next[48] = "";

    if (print->status != STATUS_OK)
        return;
    if (state->next_us > 0)
        snprintf(next, sizeof next, "; asked again in %.1f s", (double)state->next_us / 1e6);
    print->status = byte_buffer_printf(print->out, METRIC_PAGE_BYTES_MAX, "%s%s %s%s%s%s%s%s",
                                       is_own_line ? "\n             " : " ", state->of,
                                       state->collection, is_own_line ? " " : "", state->state,
                                       state->is_closed ? "" : ": ", state->reason, next);
}
