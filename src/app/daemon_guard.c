#include "app/daemon_guard.h"

#include <inttypes.h>
#include <string.h>

#include "base/metric.h"
#include "base/text.h"
#include "lanes/guard.h"

static enum status daemon_guard_list(const struct daemon *daemon, json_t *answer,
                                     struct error *error);
static uint64_t    refused_of(const struct guard_state *state);

enum status daemon_guard_apply(struct daemon *daemon)
{
    const struct guard_options options = {.collections = daemon->settings->guard_collections,
                                          .records_max = daemon->settings->guard_records_max};

    return guard_set(daemon->proxy, &options);
}

enum status daemon_guard_verb(struct daemon *daemon, size_t word_count, const char *const *words,
                              json_t *answer, struct error *error)
{
    uint64_t    duration_us = 0;
    enum status status = STATUS_OK;

    if (word_count == 3 && strcmp(words[0], "open") == 0) {
        if (!text_to_duration(bytes_of(words[2]), &duration_us))
            return error_set(error, STATUS_INVALID, "write a duration such as 60s");
        status = guard_open(daemon->proxy, bytes_of(words[1]), duration_us, error);
    } else if (word_count == 2 && strcmp(words[0], "close") == 0) {
        status = guard_close(daemon->proxy, bytes_of(words[1]), error);
    } else if (word_count > 0) {
        return error_set(error, STATUS_INVALID, "write guard [open NAME DURATION | close NAME]");
    }
    return status == STATUS_OK ? daemon_guard_list(daemon, answer, error) : status;
}

static enum status daemon_guard_list(const struct daemon *daemon, json_t *answer,
                                     struct error *error)
{
    struct guard_state state;
    json_t            *refused = json_object(), *openings = json_array();
    int                failed = refused == NULL || openings == NULL ? -1 : 0;

    guard_read(daemon->proxy, &state);
    for (size_t i = 0; i < GUARD_REASONS && failed == 0; i++)
        failed = json_object_set_new(refused, guard_reason_name((enum guard_reason)i),
                                     json_integer((json_int_t)state.refused[i]));
    for (size_t i = 0; i < state.opening_count && failed == 0; i++)
        failed = json_array_append_new(
            openings, json_pack("{s:s, s:I}", "name", state.openings[i].name, "seconds_left",
                                (json_int_t)((state.openings[i].left_us + 999999) / 1000000)));
    if (failed == 0)
        failed = json_object_set_new(answer, "collections", json_string(state.collections));
    if (failed == 0)
        failed =
            json_object_set_new(answer, "records_max", json_integer((json_int_t)state.records_max));
    if (failed == 0)
        failed =
            json_object_set_new(answer, "confirmed", json_integer((json_int_t)state.confirmed));
    if (failed == 0)
        failed = json_object_set_new(answer, "opened", json_integer((json_int_t)state.opened));
    if (failed == 0)
        failed = json_object_set(answer, "openings", openings);
    if (failed == 0)
        failed = json_object_set(answer, "refused", refused);
    json_decref(openings);
    json_decref(refused);
    return failed == 0 ? STATUS_OK : error_set(error, STATUS_NO_MEMORY, "out of memory");
}

enum status daemon_guard_print(const struct daemon *daemon, struct byte_buffer *out)
{
    struct guard_state state;

    guard_read(daemon->proxy, &state);
    if (state.collections[0] == '\0')
        return STATUS_OK;
    return byte_buffer_printf(
        out, METRIC_PAGE_BYTES_MAX,
        "guarded      %s; refused %" PRIu64 ", confirmed %" PRIu64 ", open now %zu\n",
        state.collections, refused_of(&state), state.confirmed + state.opened, state.opening_count);
}

static uint64_t refused_of(const struct guard_state *state)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < GUARD_REASONS; i++)
        sum += state->refused[i];
    return sum;
}
