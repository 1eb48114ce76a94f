#include "lanes/guard.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/metric.h"
#include "base/text.h"
#include "calls/proxy_state.h"

/* Of a name in a message; a longer one is cut. */
enum { guard_name_size = 200 };

struct guard {
    struct guard_rules *rules;
    uint64_t            records_max;
    struct loop        *loop;
    struct loop_timer  *timer; /* at the end of an opening */
    uint64_t            refused[GUARD_REASONS], confirmed, opened;
};

static const struct {
    const char *name, *before, *behind;
    bool        says_max;
} reasons[GUARD_REASONS] = {
#define REASON(id, name, before, behind, says_max)                                                 \
    [GUARD_REASON_##id] = {name, before, behind, says_max},
#include "lanes/guard_reason.def"
#undef REASON
};

static struct guard *guard_get(struct proxy *proxy);
static void          guard_on_time(void *ctx);
static void          guard_set_timer(struct guard *guard);
static void          guard_log_closed(const char *name, const char *why);
static void          write_target(const struct guard_target *target, char out[guard_name_size]);
static void          write_opening(const struct guard_target *target, const char *name,
                                   char out[3 * guard_name_size]);

enum status guard_set(struct proxy *proxy, const struct guard_options *options)
{
    struct guard *guard = proxy->guard;
    enum status   status;

    if (guard == NULL && options->collections[0] == '\0')
        return STATUS_OK;
    guard = guard_get(proxy);
    if (guard == NULL)
        return STATUS_NO_MEMORY;
    status = guard_rules_set(guard->rules, bytes_of(options->collections));
    if (status == STATUS_OK)
        guard->records_max = options->records_max;
    return status;
}

/* The proxy's, made when it is first needed. NULL: no memory. */
static struct guard *guard_get(struct proxy *proxy)
{
    struct guard *guard = proxy->guard;

    if (guard != NULL)
        return guard;
    guard = calloc(1, sizeof *guard);
    if (guard == NULL)
        return NULL;
    guard->loop = proxy->loop;
    guard->rules = guard_rules_new();
    guard->timer = loop_timer_new(proxy->loop, guard_on_time, guard);
    if (guard->rules == NULL || guard->timer == NULL) {
        guard_free(guard);
        return NULL;
    }
    proxy->guard = guard;
    return guard;
}

void guard_free(struct guard *guard)
{
    if (guard == NULL)
        return;
    loop_timer_free(guard->timer);
    guard_rules_free(guard->rules);
    free(guard);
}

bool guard_is_on(const struct proxy *proxy)
{
    return proxy->guard != NULL && guard_rules_are_on(proxy->guard->rules);
}

/* ---- Openings ------------------------------------------------------------------------------- */

enum status guard_open(struct proxy *proxy, struct bytes name, uint64_t duration_us,
                       struct error *error)
{
    struct guard   *guard = proxy->guard;
    struct log_line line;
    enum status     status;

    if (!guard_is_on(proxy))
        return error_set(error, STATUS_INVALID, "nothing is guarded: guard.collections is empty");
    status = guard_rules_open(guard->rules, name, duration_us, loop_now_us(guard->loop), error);
    if (status != STATUS_OK)
        return status;
    guard_set_timer(guard);
    log_begin(&line, LOG_WARNING, "guard_opened");
    log_bytes(&line, "name", name);
    log_ms(&line, "for_ms", duration_us);
    log_end(&line);
    return STATUS_OK;
}

enum status guard_close(struct proxy *proxy, struct bytes name, struct error *error)
{
    char text[GUARD_RULES_NAME_SIZE], quoted[80];

    if (proxy->guard == NULL || !guard_rules_close(proxy->guard->rules, name))
        return error_set(error, STATUS_NOT_FOUND, "%s is not open",
                         text_quote(name, quoted, sizeof quoted));
    snprintf(text, sizeof text, "%.*s", (int)name.size, name.data);
    guard_log_closed(text, "ctl guard close");
    return STATUS_OK;
}

static void guard_log_closed(const char *name, const char *why)
{
    struct log_line line;

    log_begin(&line, LOG_WARNING, "guard_closed");
    log_text(&line, "name", name);
    log_text(&line, "reason", why);
    log_end(&line);
}

static void guard_on_time(void *ctx)
{
    struct guard *guard = ctx;
    uint64_t      now_us = loop_now_us(guard->loop), until_us;

    for (size_t i = 0; i < GUARD_RULES_OPENINGS_MAX; i++) {
        const char *name = guard_rules_opening(guard->rules, i, &until_us);

        if (name == NULL || now_us < until_us)
            continue;
        guard_log_closed(name, "its time is over");
        (void)guard_rules_close(guard->rules, bytes_of(name));
    }
    guard_set_timer(guard);
}

/* To the end that comes first. */
static void guard_set_timer(struct guard *guard)
{
    uint64_t first_us = UINT64_MAX, until_us;

    for (size_t i = 0; i < GUARD_RULES_OPENINGS_MAX; i++)
        if (guard_rules_opening(guard->rules, i, &until_us) != NULL && until_us < first_us)
            first_us = until_us;
    loop_timer_set(guard->timer, first_us);
}

/* ---- Judging -------------------------------------------------------------------------------- */

bool guard_allows_records(const struct guard *guard, uint64_t count)
{
    return count <= guard->records_max;
}

uint64_t guard_records_max(const struct guard *guard)
{
    return guard->records_max;
}

bool guard_holds(const struct guard *guard, const struct guard_target *target)
{
    return guard_rules_hold(guard->rules, target);
}

bool guard_lets(struct guard *guard, const struct guard_target *target, struct bytes confirm,
                const struct chroma_route *route)
{
    bool is_confirmed = confirm.size > 0 && guard_rules_is_confirmed(target, confirm);
    bool is_open =
        !is_confirmed && guard_rules_is_open(guard->rules, target, loop_now_us(guard->loop));
    char            name[guard_name_size];
    struct log_line line;

    if (!is_confirmed && !is_open)
        return false;
    guard->confirmed += is_confirmed;
    guard->opened += is_open;
    write_target(target, name);
    log_begin(&line, LOG_INFO, "guard_passed");
    log_text(&line, "operation", route->info->name);
    log_text(&line, "name", name);
    log_text(&line, "by", is_confirmed ? "confirmation" : "opening");
    log_end(&line);
    return true;
}

const char *guard_refuse(struct guard *guard, enum guard_reason reason,
                         const struct guard_target *target, const struct chroma_route *route,
                         const char *more, char message[GUARD_MESSAGE_SIZE])
{
    char            name[guard_name_size], quoted[guard_name_size + 2], max[24] = "";
    char            opening[3 * guard_name_size];
    struct log_line line;

    guard->refused[reason]++;
    write_target(target, name);
    write_opening(target, name, opening);
    log_begin(&line, LOG_WARNING, "guard_refused");
    log_text(&line, "reason", reasons[reason].name);
    log_text(&line, "operation", route->info->name);
    log_text(&line, "name", name);
    if (more[0] != '\0')
        log_text(&line, "detail", more);
    log_end(&line);
    text_quote(bytes_of(name), quoted, sizeof quoted);
    if (reasons[reason].says_max)
        snprintf(max, sizeof max, "%" PRIu64, guard->records_max);
    snprintf(message, GUARD_MESSAGE_SIZE,
             "%s%s%s%s%s%s. To do it all the same, send the request again with the field "
             "'X-Chromabouncer-Confirm: %s', or run 'chromabouncer ctl guard open %s 60s' before",
             reasons[reason].before, quoted, reasons[reason].behind, max,
             more[0] == '\0' ? "" : "; ", more, name, opening);
    return message;
}

/* As it is confirmed, or opened. */
static void write_target(const struct guard_target *target, char out[guard_name_size])
{
    struct bytes collection = target->collection.data != NULL ? target->collection : target->uuid;

    switch (target->kind) {
    case GUARD_TARGET_COLLECTION:
        snprintf(out, guard_name_size, "%.*s", (int)collection.size, collection.data);
        break;
    case GUARD_TARGET_DATABASE:
        snprintf(out, guard_name_size, "%.*s/%.*s", (int)target->tenant.size, target->tenant.data,
                 (int)target->database.size, target->database.data);
        break;
    case GUARD_TARGET_EVERYTHING:
        snprintf(out, guard_name_size, "reset");
        break;
    case GUARD_TARGET_UNKNOWN:
        snprintf(out, guard_name_size, "unknown");
        break;
    }
}

/* What opens it, given its name: that of a collection, but for two, which open something else. */
static void write_opening(const struct guard_target *target, const char *name,
                          char out[3 * guard_name_size])
{
    bool is_other = target->kind == GUARD_TARGET_COLLECTION &&
                    (strcmp(name, "reset") == 0 || strcmp(name, "unknown") == 0);

    if (is_other)
        snprintf(out, 3 * guard_name_size, "%.*s/%.*s/%s", (int)target->tenant.size,
                 target->tenant.data, (int)target->database.size, target->database.data, name);
    else
        snprintf(out, 3 * guard_name_size, "%s", name);
}

/* ---- Showing -------------------------------------------------------------------------------- */

void guard_read(const struct proxy *proxy, struct guard_state *ret)
{
    const struct guard *guard = proxy->guard;
    uint64_t            now_us = loop_now_us(proxy->loop), until_us;

    *ret = (struct guard_state){.collections = ""};
    if (guard == NULL)
        return;
    ret->collections = guard_rules_patterns(guard->rules);
    ret->records_max = guard->records_max;
    memcpy(ret->refused, guard->refused, sizeof ret->refused);
    ret->confirmed = guard->confirmed;
    ret->opened = guard->opened;
    for (size_t i = 0; i < GUARD_RULES_OPENINGS_MAX; i++) {
        const char *name = guard_rules_opening(guard->rules, i, &until_us);

        if (name == NULL || until_us <= now_us)
            continue;
        ret->openings[ret->opening_count].name = name;
        ret->openings[ret->opening_count++].left_us = until_us - now_us;
    }
}

const char *guard_reason_name(enum guard_reason reason)
{
    return reasons[reason].name;
}

bool guard_reason_says_max(enum guard_reason reason)
{
    return reasons[reason].says_max;
}

enum status guard_print_metrics(const struct proxy *proxy, struct byte_buffer *out)
{
    struct guard_state state;
    enum status        status;

    if (proxy->guard == NULL)
        return STATUS_OK;
    guard_read(proxy, &state);
    status = metric_print_header(out, "chromabouncer_guard_refused_total", "counter",
                                 "Requests answered 403 because of guard.collections.");
    for (size_t i = 0; i < GUARD_REASONS && status == STATUS_OK; i++)
        status =
            byte_buffer_printf(out, METRIC_PAGE_BYTES_MAX,
                               "chromabouncer_guard_refused_total{reason=\"%s\"} %" PRIu64 "\n",
                               reasons[i].name, state.refused[i]);
    if (status == STATUS_OK)
        status = metric_print_header(out, "chromabouncer_guard_passed_total", "counter",
                                     "Requests that the guard let pass because they were "
                                     "confirmed, or what they delete was open.");
    if (status == STATUS_OK)
        status =
            byte_buffer_printf(out, METRIC_PAGE_BYTES_MAX,
                               "chromabouncer_guard_passed_total{by=\"confirmation\"} %" PRIu64
                               "\nchromabouncer_guard_passed_total{by=\"opening\"} %" PRIu64 "\n",
                               state.confirmed, state.opened);
    if (status == STATUS_OK)
        status = metric_print_header(out, "chromabouncer_guard_open", "gauge",
                                     "Names that are open at present, by ctl guard open.");
    return status != STATUS_OK
               ? status
               : byte_buffer_printf(out, METRIC_PAGE_BYTES_MAX, "chromabouncer_guard_open %zu\n",
                                    state.opening_count);
}
