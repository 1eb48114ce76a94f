#include "app/settings.h"

#include <assert.h>
#include <stdio.h>
#include <sysexits.h>

#include "base/text.h"
#include "chroma/chroma_family.h"

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
#define NAME_SOCKET(field)         field
#define NAME_PATTERNS(field)       field
#define NAME_SWITCH(field)         field
#define NAME_CHOICE(field)         field
#define NAME_COUNT(field)          field
#define NAME_COUNT_OR_AUTO(field)  field
#define NAME_LIMIT(field)          field
#define NAME_DURATION(field)       field##_us
#define NAME_SHARE(field)          field##_per_million
#define NAME_SIZE(field)           field##_bytes
#define NAME_SIZE_OR_AUTO(field)   field##_bytes
#define NAME_URL(field)            field
#define NAME_ADDRESS_OR_OFF(field) field
#define NAME_ADDRESSES(field)      field
#define NAME_NETWORKS(field)       field
#define NAME_USERS(field)          field
#define NAME_NAMES(field)          field
#define NAME_RATE(field)           field
#define NAME_BYTES_RATE(field)     field##_bytes

static const struct {
    size_t offset, size;
} fields[SETTINGS_COUNT] = {
#define SETTING(field, key, kind, def, min, max, when, flag, help)                                 \
    [SETTINGS_ID_##field] = {offsetof(struct settings, NAME_##kind(field)),                        \
                             sizeof(((struct settings *)NULL)->NAME_##kind(field))},
#include "app/settings.def"
#undef SETTING
};

/* clang-format off: TABLE opens a declaration that END closes */
#define TABLE(field, key, records_max, when, help)                                                 \
    static const struct settings_column columns_##field[] = {
#define COLUMN(table, field, key_, kind_, def_, min_, max_, help_)                                 \
    {.key = (key_),                                                                                \
     .def = (def_),                                                                                \
     .help = (help_),                                                                              \
     .rule = {.kind = SETTINGS_KIND_##kind_, .min = (min_), .max = (max_), .example = (def_)},     \
     .offset = offsetof(struct settings_##table##_record, NAME_##kind_(field))},
#define END(table, records_max)                                                                    \
    }                                                                                              \
    ;
#include "app/settings_tables.def"
#undef TABLE
#undef COLUMN
#undef END
/* clang-format on */

static const struct {
    struct settings_table table;
    size_t                offset; /* of its records */
} tables[SETTINGS_TABLE_COUNT + 1] = {
#define TABLE(field, key_, records_max_, when_, help_)                                             \
    {.table = {.key = (key_),                                                                      \
               .help = (help_),                                                                    \
               .columns = columns_##field,                                                         \
               .column_count = SETTINGS_COLUMNS_##field,                                           \
               .records_max = (records_max_),                                                      \
               .record_size = sizeof(struct settings_##field##_record),                            \
               .origins_offset = offsetof(struct settings_##field##_record, origins),              \
               .live = WHEN_##when_},                                                              \
     .offset = offsetof(struct settings, field)},
#define COLUMN(table, field, key, kind, def, min, max, help)
#define END(table, records_max)
#include "app/settings_tables.def"
#undef TABLE
#undef COLUMN
#undef END
    {{0}, 0}, /* there may be no table */
};

/* settings_value stores the word of a CHOICE as an unsigned. */
_Static_assert(sizeof(enum settings_role) == sizeof(unsigned), "enums are unsigned here");

static void        settings_suggest(const char *text, const char *key, size_t size, unsigned *least,
                                    char *nearest);
static const char *after_dot(const char *key);
static char *record_at(const struct settings *settings, enum settings_table_id table, size_t index);
static const char *print_origin(const struct settings        *settings,
                                const struct settings_origin *origin, const char *variable,
                                char *out, size_t size);
static enum status settings_check_auth(const struct settings *settings, struct error *error);
static enum status settings_check_mirror(const struct settings *settings, struct error *error);
static enum status check_addresses(const struct settings *settings, struct error *error);
static enum status settings_check_memory(const struct settings *settings, struct error *error);
static uint64_t    settings_largest_body(const struct settings *settings);
static enum status settings_check_descriptors(const struct settings *settings,
                                              const struct machine *machine, struct error *error);
static bool        is_given(const struct settings *settings, enum settings_id id);
static bool        same_place(const struct address *left, const struct address *right);
static uint64_t    settings_lesser(uint64_t left, uint64_t right);

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
    for (size_t i = 0; i < settings_table_count(); i++)
        settings_suggest(text, tables[i].table.key, strlen(tables[i].table.key), &least, nearest);
    text_quote(key, quoted, sizeof quoted);
    if (settings_find_table(key) < settings_table_count())
        return error_set(error, STATUS_INVALID,
                         "%s is a list; write %s.NAME.SETTING, or a settings file", quoted, text);
    if (settings_is_section(key))
        return error_set(error, STATUS_INVALID, "%s is a section; say which of its settings",
                         quoted);
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

size_t settings_table_count(void)
{
    return COUNT_OF(tables) - 1;
}

const struct settings_table *settings_table(enum settings_table_id id)
{
    assert(id < settings_table_count());
    return &tables[id].table;
}

enum settings_table_id settings_find_table(struct bytes key)
{
    size_t id = 0;

    while (id < settings_table_count() && !bytes_equal(key, bytes_of(tables[id].table.key)))
        id++;
    return (enum settings_table_id)id;
}

enum settings_table_id settings_split_cell(struct bytes key, struct bytes *ret_name,
                                           struct bytes *ret_column)
{
    const char            *end = key.data + key.size;
    const char            *dot = key.size == 0 ? NULL : memchr(key.data, '.', key.size);
    const char            *second;
    enum settings_table_id table;

    if (dot == NULL)
        return SETTINGS_TABLE_COUNT;
    table = settings_find_table((struct bytes){key.data, (size_t)(dot - key.data)});
    second = memchr(dot + 1, '.', (size_t)(end - dot) - 1);
    if (second == NULL)
        second = end;
    *ret_name = (struct bytes){dot + 1, (size_t)(second - dot) - 1};
    *ret_column =
        second == end ? (struct bytes){0} : (struct bytes){second + 1, (size_t)(end - second) - 1};
    return table;
}

static char *record_at(const struct settings *settings, enum settings_table_id table, size_t index)
{
    assert(table < settings_table_count() && index < tables[table].table.records_max);
    return (char *)(uintptr_t)settings + tables[table].offset +
           index * tables[table].table.record_size;
}

const void *settings_record(const struct settings *settings, enum settings_table_id table,
                            size_t index)
{
    return record_at(settings, table, index);
}

size_t settings_record_find(const struct settings *settings, enum settings_table_id table,
                            struct bytes name)
{
    size_t index = 0;

    while (index < settings->record_counts[table] &&
           !bytes_equal(name, bytes_of(settings_table_name(&tables[table].table,
                                                           record_at(settings, table, index)))))
        index++;
    return index;
}

void *settings_record_new(struct settings *settings, enum settings_table_id table)
{
    char *record;

    if (settings->record_counts[table] == tables[table].table.records_max)
        return NULL;
    record = record_at(settings, table, settings->record_counts[table]);
    settings_table_init(&tables[table].table, record);
    return record;
}

enum status settings_record_keep(struct settings *settings, enum settings_table_id table,
                                 struct error *error)
{
    const struct settings_table *of = &tables[table].table;
    const char                  *name =
        settings_table_name(of, record_at(settings, table, settings->record_counts[table]));

    if (name[0] == '\0')
        return error_set(error, STATUS_INVALID, "a record of %s needs a %s", of->key,
                         of->columns[0].key);
    if (settings_record_find(settings, table, bytes_of(name)) != settings->record_counts[table])
        return error_set(error, STATUS_INVALID, "%s has a second record named %s", of->key, name);
    settings->record_counts[table]++;
    return STATUS_OK;
}

enum status settings_set_cell(struct settings *settings, struct bytes key, struct bytes text,
                              struct settings_origin origin, struct error *error)
{
    struct bytes           name, column;
    enum settings_table_id table = settings_split_cell(key, &name, &column);
    size_t                 index, at;
    char                   quoted[80];

    if (table >= settings_table_count())
        return settings_unknown(key, error);
    index = settings_record_find(settings, table, name);
    if (index == settings->record_counts[table])
        return error_set(error, STATUS_INVALID, "%s has no record named %s; the file adds one",
                         tables[table].table.key, text_quote(name, quoted, sizeof quoted));
    at = settings_table_find(&tables[table].table, column);
    if (at == tables[table].table.column_count)
        return settings_table_unknown(&tables[table].table, column, error);
    if (at == 0)
        return error_set(error, STATUS_INVALID,
                         "the name of a record is not changed, only in "
                         "the file");
    return settings_table_set(&tables[table].table, record_at(settings, table, index), at, text,
                              origin, error);
}

void settings_copy_table(struct settings *settings, enum settings_table_id table,
                         const struct settings *from)
{
    memcpy(record_at(settings, table, 0), record_at(from, table, 0),
           tables[table].table.records_max * tables[table].table.record_size);
    settings->record_counts[table] = from->record_counts[table];
}

const char *settings_print_cell_origin(const struct settings *settings,
                                       enum settings_table_id table, size_t index, size_t column,
                                       char *out, size_t size)
{
    return print_origin(
        settings,
        settings_table_origin(&tables[table].table, record_at(settings, table, index), column), "",
        out, size);
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

    return print_origin(settings, &settings->origins[id], settings_variable(id, name), out, size);
}

static const char *print_origin(const struct settings        *settings,
                                const struct settings_origin *origin, const char *variable,
                                char *out, size_t size)
{
    switch (origin->source) {
    case SETTINGS_DEFAULT:
        snprintf(out, size, "default");
        break;
    case SETTINGS_FILE:
        snprintf(out, size, "%s:%u", settings->file, origin->line);
        break;
    case SETTINGS_ENVIRONMENT:
        snprintf(out, size, "environment %s", variable);
        break;
    case SETTINGS_FLAG:
        snprintf(out, size, "command line");
        break;
    case SETTINGS_CONTROL:
        snprintf(out, size, "control socket");
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
    if (status == STATUS_OK)
        status = settings_check_auth(settings, error);
    if (status == STATUS_OK)
        status = settings_check_mirror(settings, error);
    return status;
}

static enum status settings_check_mirror(const struct settings *settings, struct error *error)
{
    const char *directory = settings->mirror_directory;

    if (directory[0] == '/' || strcmp(directory, "auto") == 0)
        return STATUS_OK;
    return error_set(error, STATUS_INVALID,
                     "mirror.directory is a path that begins with /, or auto");
}

static enum status settings_check_auth(const struct settings *settings, struct error *error)
{
    if (settings->auth_required && settings->auth_keys_file[0] == '\0')
        return error_set(error, STATUS_INVALID,
                         "auth.required needs auth.keys_file, the file of the keys that are known; "
                         "`chromabouncer key add` makes one");
    if (settings->auth_forward && settings->auth_backend_credential_file[0] != '\0')
        return error_set(error, STATUS_INVALID,
                         "auth.forward passes callers' keys on, auth.backend_credential_file says "
                         "what Chroma gets instead of them; set one of them");
    return STATUS_OK;
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
    uint64_t body_max_bytes = settings_largest_body(settings);
    char     budget[TEXT_NUMBER_SIZE], part[TEXT_NUMBER_SIZE];

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

/* That must fit; what a Chroma without a limit takes above it may. */
static uint64_t settings_largest_body(const struct settings *settings)
{
    return settings->body_max_bytes == 0 ? chroma_family_info(CHROMA_FAMILY_RUST)->body_max
                                         : settings->body_max_bytes;
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

int settings_exit_status(enum status status)
{
    return status == STATUS_OK              ? EX_OK
           : status == STATUS_NOT_PERMITTED ? EX_NOPERM
           : status == STATUS_NO_MEMORY     ? EX_OSERR
                                            : EX_CONFIG;
}

uint64_t settings_mirror_memory(const struct settings *settings)
{
    return settings_lesser(settings->mirror_memory_max_bytes, settings->memory_max_bytes / 2);
}

const char *settings_mirror_meaning(const struct settings *settings)
{
    static const char *const words[] = {"never: nothing is copied", "while Chroma does not answer",
                                        "while Chroma does not answer, and when it is late",
                                        "whenever the copy is complete"};

    if (!settings->writes_coalesce && settings->mirror_mode != SETTINGS_MIRROR_MODE_OFF)
        return "never: nothing is copied while writes.coalesce is off";
    if (settings->role == SETTINGS_ROLE_SIDECAR &&
        settings->mirror_mode > SETTINGS_MIRROR_MODE_FALLBACK)
        return "while Chroma does not answer; no more in role sidecar, as others may write what no "
               "copy has: set role to gateway if all traffic comes through here";
    return words[settings->mirror_mode];
}

void settings_resolve(struct settings *settings, const struct machine *machine)
{
    uint64_t others = settings->backend_connections_max + settings_other_descriptors;

    /* Half: the kernel charges socket buffers to the same limit, and the heap is never dense. */
    if (settings->memory_max_bytes == 0)
        settings->memory_max_bytes = machine->memory_limited
                                         ? machine->memory_bytes / 2
                                         : settings_lesser(machine->memory_bytes / 4, 1 << 30);
    if (settings->memory_max_bytes < settings_largest_body(settings))
        settings->memory_max_bytes = settings_largest_body(settings);
    if (!is_given(settings, SETTINGS_ID_queue_bytes_max))
        settings->queue_bytes_max_bytes =
            settings_lesser(settings->queue_bytes_max_bytes, settings->memory_max_bytes);
    if (settings->workers == 0)
        settings->workers = machine->cpus > 1 ? machine->cpus - 1 : 1;
    if (!is_given(settings, SETTINGS_ID_listen_connections_max) &&
        machine->descriptors_max > others)
        settings->listen_connections_max =
            settings_lesser(settings->listen_connections_max, machine->descriptors_max - others);
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

static uint64_t settings_lesser(uint64_t left, uint64_t right)
{
    return left < right ? left : right;
}
