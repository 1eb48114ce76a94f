#include "cli/child_values.h"

#include <stdio.h>

#include "child/chroma_command.h"

/* Of memory_max: Chroma itself needs what the machine has. */
enum { memory_share = 8, memory_most = 256 << 20, body_usual = 40 << 20 };

static enum status use_unless_set(struct settings_sources *sources, const struct settings *settings,
                                  enum settings_id id, const char *value, struct error *error);
static void        size_memory(struct child_values *values, const struct settings *settings,
                               const struct machine *machine);

enum status child_values_set(struct child_values *values, struct settings_sources *sources,
                             const struct machine *machine, uint16_t port, struct error *error)
{
    static struct settings settings;
    const struct {
        enum settings_id id;
        const char      *value;
        bool             is_quiet; /* only then */
    } rows[] = {{SETTINGS_ID_backend_url, values->backend, false},
                {SETTINGS_ID_role, "gateway", false},
                {SETTINGS_ID_listen_address, values->address, false},
                {SETTINGS_ID_memory_max, values->memory, false},
                {SETTINGS_ID_body_max, values->body, true},
                {SETTINGS_ID_status_address, "off", true},
                {SETTINGS_ID_log_level, "warning", true}};
    enum status status = settings_sources_load(sources, &settings, error);

    if (status != STATUS_OK)
        return status;
    if (settings.origins[SETTINGS_ID_backend_url].source != SETTINGS_DEFAULT)
        return error_set(error, STATUS_INVALID,
                         "backend.url is set, but this command runs the backend itself; leave it "
                         "out");
    snprintf(values->backend, sizeof values->backend, "http://%s:%u", CHROMA_COMMAND_HOST, port);
    address_format(&values->listen, values->address, sizeof values->address);
    size_memory(values, &settings, machine);
    for (size_t i = 0; i < COUNT_OF(rows) && status == STATUS_OK; i++)
        if (!rows[i].is_quiet || values->is_quiet)
            status = use_unless_set(sources, &settings, rows[i].id, rows[i].value, error);
    return status;
}

static enum status use_unless_set(struct settings_sources *sources, const struct settings *settings,
                                  enum settings_id id, const char *value, struct error *error)
{
    if (settings->origins[id].source != SETTINGS_DEFAULT)
        return STATUS_OK;
    return settings_sources_assign(sources, bytes_of(settings_row(id)->key), value, error);
}

/* One body must fit; an embedded client takes larger ones than a server. */
static void size_memory(struct child_values *values, const struct settings *settings,
                        const struct machine *machine)
{
    uint64_t bytes = machine->memory_bytes / memory_share, body = body_usual;

    bytes = bytes > memory_most ? memory_most : bytes;
    if (settings->mirror_mode != SETTINGS_MIRROR_MODE_OFF) /* copies are part of it */
        bytes += settings->mirror_memory_max_bytes < machine->memory_bytes / memory_share
                     ? settings->mirror_memory_max_bytes
                     : machine->memory_bytes / memory_share;
    if (values->is_quiet && bytes / 2 > body)
        body = bytes / 2;
    if (settings->body_max_bytes != 0)
        body = settings->body_max_bytes;
    bytes = bytes < body ? body : bytes;
    snprintf(values->memory, sizeof values->memory, "%lluB", (unsigned long long)bytes);
    snprintf(values->body, sizeof values->body, "%lluB", (unsigned long long)body);
}
