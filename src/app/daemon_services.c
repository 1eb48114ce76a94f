#include "app/daemon_services.h"

#include <inttypes.h>
#include <stdio.h>

#include "app/settings_services.h"
#include "base/metric.h"
#include "base/text.h"

struct services_sum {
    uint64_t count, requests, rejected;
};

static void        add_service(void *ctx, const struct service_state *state);
static const char *print_rate_of(const struct service_state *state, uint64_t value, char *out,
                                 size_t size);
static void        sum_service(void *ctx, const struct service_state *state);

enum status daemon_services_apply(struct daemon *daemon)
{
    struct proxy_service_options  room[PROXY_SERVICES_MAX];
    struct proxy_services_options options = settings_services_options(daemon->settings, room);

    return proxy_set_services(daemon->proxy, &options);
}

enum status daemon_services_list(const struct daemon *daemon, json_t *answer)
{
    json_t *list = json_array();

    if (list == NULL)
        return STATUS_NO_MEMORY;
    proxy_each_service(daemon->proxy, add_service, list);
    return json_object_set_new(answer, "services", list) == 0 ? STATUS_OK : STATUS_NO_MEMORY;
}

/* Without memory a service is left out. */
static void add_service(void *ctx, const struct service_state *state)
{
    static const char *const over[] = {[RATE_LIMIT_REFUSE] = "refuse",
                                       [RATE_LIMIT_DELAY] = "delay",
                                       [RATE_LIMIT_SHADOW] = "shadow"};
    char                     rate[40], burst[40], remaining[40], bytes[TEXT_NUMBER_SIZE];

    (void)!json_array_append_new(
        ctx,
        json_pack("{s:s, s:I, s:I, s:I, s:I, s:f, s:I, s:s, s:s, s:s, s:s, s:s, s:I, s:i, s:i}",
                  "service", state->name, "requests", (json_int_t)state->requests, "rejected",
                  (json_int_t)state->rejected, "delayed", (json_int_t)state->delayed, "shadowed",
                  (json_int_t)state->shadowed, "seconds_at_chroma",
                  (double)state->chroma_time_us / 1e6, "bytes", (json_int_t)state->bytes,
                  "rate_per_second", print_rate_of(state, state->rate, rate, sizeof rate), "burst",
                  print_rate_of(state, state->burst, burst, sizeof burst), "remaining",
                  print_rate_of(state, state->remaining, remaining, sizeof remaining),
                  "bytes_per_second",
                  state->bytes_rate == 0 ? "" : text_of_size(state->bytes_rate, bytes), "over",
                  over[state->over], "concurrency_max", (json_int_t)state->concurrency_max,
                  "weight", (int)state->weight, "priority", (int)state->priority));
}

/* Requests, or a time; nothing where there is no limit. */
static const char *print_rate_of(const struct service_state *state, uint64_t value, char *out,
                                 size_t size)
{
    char text[TEXT_NUMBER_SIZE];

    out[0] = '\0';
    if (state->rate != 0 && state->is_rate_in_time)
        snprintf(out, size, "%s", text_of_duration(value, text));
    else if (state->rate != 0)
        snprintf(out, size, "%" PRIu64, value);
    return out;
}

enum status daemon_services_print(const struct daemon *daemon, struct byte_buffer *out)
{
    struct services_sum sum = {0};

    proxy_each_service(daemon->proxy, sum_service, &sum);
    if (sum.count == 0)
        return STATUS_OK;
    return byte_buffer_printf(out, METRIC_PAGE_BYTES_MAX,
                              "services     %" PRIu64 ", requests %" PRIu64
                              ", over their limit %" PRIu64 "\n",
                              sum.count, sum.requests, sum.rejected);
}

static void sum_service(void *ctx, const struct service_state *state)
{
    struct services_sum *sum = ctx;

    sum->count++;
    sum->requests += state->requests;
    sum->rejected += state->rejected;
}
