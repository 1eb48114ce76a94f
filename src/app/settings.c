#include "app/settings.h"

#include <assert.h>
#include <stdio.h>

#include "base/text.h"

static const struct settings_row rows[SETTINGS_COUNT] = {
#define SETTING(field_, key_, kind_, def_, min_, max_, when_, flag_, help_)                        \
    [SETTINGS_ID_##field_] = {                                                                     \
        .key = (key_),                                                                             \
        .def = (def_),                                                                             \
        .flag = (flag_),                                                                           \
        .help = (help_),                                                                           \
        .rule = {.kind = SETTINGS_KIND_##kind_, .min = (min_), .max = (max_), .example = (def_)},  \
        .live = WHEN_##when_},
#define WHEN_LIVE    true
#define WHEN_RESTART false
#include "app/settings.def"
#undef SETTING
};

#define NAME_TEXT(field)           field
#define NAME_SWITCH(field)         field
#define NAME_CHOICE(field)         field
#define NAME_COUNT(field)          field
#define NAME_COUNT_OR_AUTO(field)  field
#define NAME_DURATION(field)       field##_us
#define NAME_SIZE(field)           field##_bytes
#define NAME_SIZE_OR_AUTO(field)   field##_bytes
#define NAME_URL(field)            field
#define NAME_ADDRESS_OR_OFF(field) field
#define NAME_ADDRESSES(field)      field

static const struct {
    size_t offset, size;
} fields[SETTINGS_COUNT] = {
#define SETTING(field, key, kind, def, min, max, when, flag, help)                                 \
    [SETTINGS_ID_##field] = {offsetof(struct settings, NAME_##kind(field)),                        \
                             sizeof(((struct settings *)NULL)->NAME_##kind(field))},
#include "app/settings.def"
#undef SETTING
};

/* settings_value stores the word of a CHOICE as an unsigned. */
_Static_assert(sizeof(enum settings_role) == sizeof(unsigned), "enums are unsigned here");

/* Descriptors besides connections: listeners, status clients, logs, epoll, timers, libcurl. */
static const uint64_t chroma_body_max_bytes = 40 << 20;

static void        settings_suggest(const char *text, const char *key, size_t size, unsigned *least,
                                    char *nearest);
static const char *after_dot(const char *key);
static enum status check_addresses(const struct settings *settings, struct error *error);
static enum status settings_check_memory(const struct settings *settings, struct error *error);
static enum status settings_check_descriptors(const struct settings *settings,
                                              const struct machine *machine, struct error *error);
static bool        is_given(const struct settings *settings, enum settings_id id);
static bool        same_place(const struct address *left, const struct address *right);
static uint64_t    lesser(uint64_t left, uint64_t right);

const struct settings_row *settings_row(enum settings_id id)
{
    assert(id < SETTINGS_COUNT);
    return &rows[id];
}

enum settings_id settings_find(struct bytes key)
{
    enum settings_id id = 0;

    while (id < SETTINGS_COUNT && !bytes_equal(key, bytes_of(rows[id].key)))
        id++;
    return id;
}

bool settings_is_section(struct bytes name)
{
    for (enum settings_id id = 0; id < SETTINGS_COUNT; id++)
        if (bytes_begin_with(bytes_of(rows[id].key), name) && rows[id].key[name.size] == '.')
            return true;
    return false;
}

enum status settings_unknown(struct bytes key, struct error *error)
{
    char     quoted[60], text[SETTINGS_KEY_SIZE] = "", nearest[SETTINGS_KEY_SIZE] = "";
    unsigned least = 4; /* more slips than three are not slips */

    if (key.size > 0 && key.size < sizeof text)
        memcpy(text, key.data, key.size);
    for (enum settings_id id = 0; id < SETTINGS_COUNT; id++) {
        size_t whole = strlen(rows[id].key), section = strcspn(rows[id].key, ".");

        settings_suggest(text, rows[id].key, whole, &least, nearest);
        settings_suggest(text, rows[id].key, section, &least, nearest);
        if (section < whole && least > 1 && strcmp(after_dot(text), after_dot(rows[id].key)) == 0) {
            least = 1; /* the right name in no section, or in another one */
            snprintf(nearest, sizeof nearest, "%s", rows[id].key);
        }
    }
    text_quote(key, quoted, sizeof quoted);
    if (nearest[0] == '\0')
        return error_set(error, STATUS_INVALID,
                         "unknown setting %s; `chromabouncer config init` prints all", quoted);
    return error_set(error, STATUS_INVALID, "unknown setting %s; did you mean %s?", quoted,
                     nearest);
}

/* Take the first `size` letters of `key` as `nearest` when `text` is closer to them than `least`.
 */
static void settings_suggest(const char *text, const char *key, size_t size, unsigned *least,
                             char *nearest)
{
    char     name[SETTINGS_KEY_SIZE];
    unsigned slips;

    snprintf(name, sizeof name, "%.*s", (int)size, key);
    slips = text_distance(text, name, *least);
    if (slips < *least && slips < size / 2) {
        *least = slips;
        memcpy(nearest, name, sizeof name);
    }
}

static const char *after_dot(const char *key)
{
    const char *dot = strrchr(key, '.');

    return dot == NULL ? key : dot + 1;
}

const char *settings_variable(enum settings_id id, char *out)
{
    char *end = out + snprintf(out, SETTINGS_VARIABLE_SIZE, "CHROMABOUNCER_");

    for (const char *key = rows[id].key; *key != '\0'; key++) {
        if (*key == '.')
            *end++ = '_';
        *end++ = *key == '.' ? '_' : (char)(*key >= 'a' && *key <= 'z' ? *key - 'a' + 'A' : *key);
    }
    *end = '\0';
    return out;
}

void settings_init(struct settings *settings)
{
    *settings = (struct settings){0};
    for (enum settings_id id = 0; id < SETTINGS_COUNT; id++) {
        struct settings_origin origin = {.source = SETTINGS_DEFAULT};
        enum status status = settings_set(settings, id, bytes_of(rows[id].def), origin, NULL);

        assert(status == STATUS_OK); /* a default outside its own bounds is our bug */
        (void)status;
    }
}

enum status settings_set(struct settings *settings, enum settings_id id, struct bytes text,
                         struct settings_origin origin, struct error *error)
{
    struct error why;
    enum status  status =
        settings_value_read(&rows[id].rule, text, (char *)settings + fields[id].offset, &why);

    if (status != STATUS_OK)
        return error_set(error, status, "%s: %s", rows[id].key, why.text);
    settings->origins[id] = origin;
    return STATUS_OK;
}

void settings_copy(struct settings *settings, enum settings_id id, const struct settings *from)
{
    memcpy((char *)settings + fields[id].offset, (const char *)from + fields[id].offset,
           fields[id].size);
    settings->origins[id] = from->origins[id];
}

const char *settings_print(const struct settings *settings, enum settings_id id, char *out)
{
    return settings_value_print(&rows[id].rule, (const char *)settings + fields[id].offset, out);
}

const char *settings_print_origin(const struct settings *settings, enum settings_id id, char *out,
                                  size_t size)
{
    char name[SETTINGS_VARIABLE_SIZE];

    switch (settings->origins[id].source) {
    case SETTINGS_DEFAULT:
        snprintf(out, size, "default");
        break;
    case SETTINGS_FILE:
        snprintf(out, size, "%s:%u", settings->file, settings->origins[id].line);
        break;
    case SETTINGS_ENVIRONMENT:
        snprintf(out, size, "environment %s", settings_variable(id, name));
        break;
    case SETTINGS_FLAG:
        snprintf(out, size, "command line");
    }
    return out;
}

enum status settings_check(const struct settings *settings, const struct machine *machine,
                           struct error *error)
{
    enum status status = check_addresses(settings, error);

    if (status == STATUS_OK)
        status = settings_check_memory(settings, error);
    if (status == STATUS_OK)
        status = settings_check_descriptors(settings, machine, error);
    return status;
}

static enum status check_addresses(const struct settings *settings, struct error *error)
{
    const struct settings_addresses *listen = &settings->listen_address;
    char                             text[ADDRESS_TEXT_SIZE];

    for (size_t i = 0; i < listen->count; i++) {
        address_format(&listen->items[i], text, sizeof text);
        if (same_place(&listen->items[i], &settings->backend_url))
            return error_set(error, STATUS_INVALID,
                             "backend.url and listen.address are both %s: the proxy would call "
                             "itself; change one of them",
                             text);
        if (same_place(&listen->items[i], &settings->status_address))
            return error_set(error, STATUS_INVALID,
                             "status.address and listen.address are both %s; change one of them",
                             text);
        for (size_t j = 0; j < i; j++)
            if (same_place(&listen->items[i], &listen->items[j]))
                return error_set(error, STATUS_INVALID, "listen.address names %s twice", text);
    }
    return STATUS_OK;
}

static enum status settings_check_memory(const struct settings *settings, struct error *error)
{
    uint64_t body_max_bytes =
        settings->body_max_bytes == 0 ? chroma_body_max_bytes : settings->body_max_bytes;
    char budget[TEXT_NUMBER_SIZE], part[TEXT_NUMBER_SIZE];

    if (settings->memory_max_bytes == 0)
        return STATUS_OK;
    text_of_size(settings->memory_max_bytes, budget);
    if (settings->memory_max_bytes < body_max_bytes)
        return error_set(error, STATUS_INVALID,
                         "memory_max (%s) must hold one body of body_max (%s); raise the one or "
                         "lower the other",
                         budget, text_of_size(body_max_bytes, part));
    if (is_given(settings, SETTINGS_ID_queue_bytes_max) &&
        settings->memory_max_bytes < settings->queue_bytes_max_bytes)
        return error_set(error, STATUS_INVALID,
                         "queue.bytes_max (%s) is above memory_max (%s); raise the one or lower "
                         "the other",
                         text_of_size(settings->queue_bytes_max_bytes, part), budget);
    return STATUS_OK;
}

static enum status settings_check_descriptors(const struct settings *settings,
                                              const struct machine *machine, struct error *error)
{
    uint64_t needed = settings->listen_connections_max + settings->backend_connections_max +
                      settings_other_descriptors;

    if (needed <= machine->descriptors_max)
        return STATUS_OK;
    if (!is_given(settings, SETTINGS_ID_listen_connections_max) &&
        settings->backend_connections_max + settings_other_descriptors < machine->descriptors_max)
        return STATUS_OK; /* settings_resolve() lowers the default */
    return error_set(error, STATUS_INVALID,
                     "listen.connections_max and backend.connections_max need %llu descriptors, "
                     "the hard limit is %llu; lower them, or raise the limit (ulimit -Hn, "
                     "LimitNOFILE=)",
                     (unsigned long long)needed, (unsigned long long)machine->descriptors_max);
}

void settings_resolve(struct settings *settings, const struct machine *machine)
{
    uint64_t others = settings->backend_connections_max + settings_other_descriptors;

    if (settings->body_max_bytes == 0)
        settings->body_max_bytes = chroma_body_max_bytes;
    /* Half: the kernel charges socket buffers to the same limit, and the heap is never dense. */
    if (settings->memory_max_bytes == 0)
        settings->memory_max_bytes = machine->memory_limited
                                         ? machine->memory_bytes / 2
                                         : lesser(machine->memory_bytes / 4, 1 << 30);
    if (settings->memory_max_bytes < settings->body_max_bytes)
        settings->memory_max_bytes = settings->body_max_bytes;
    if (!is_given(settings, SETTINGS_ID_queue_bytes_max))
        settings->queue_bytes_max_bytes =
            lesser(settings->queue_bytes_max_bytes, settings->memory_max_bytes);
    if (settings->workers == 0)
        settings->workers = machine->cpus > 1 ? machine->cpus - 1 : 1;
    if (!is_given(settings, SETTINGS_ID_listen_connections_max) &&
        machine->descriptors_max > others)
        settings->listen_connections_max =
            lesser(settings->listen_connections_max, machine->descriptors_max - others);
}

static bool is_given(const struct settings *settings, enum settings_id id)
{
    return settings->origins[id].source != SETTINGS_DEFAULT;
}

/* Port 0 is a new place each time. */
static bool same_place(const struct address *left, const struct address *right)
{
    if (left->kind != right->kind || left->kind == ADDRESS_NONE)
        return false;
    if (left->kind == ADDRESS_UNIX)
        return strcmp(left->path, right->path) == 0;
    return left->port != 0 && left->port == right->port && strcmp(left->host, right->host) == 0;
}

static uint64_t lesser(uint64_t left, uint64_t right)
{
    return left < right ? left : right;
}
