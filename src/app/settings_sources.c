#include "app/settings_sources.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/settings_file.h"
#include "app/settings_services.h"
#include "base/text.h"

static const char our_prefix[] = "CHROMABOUNCER_";
static const char run_folder[] = "/run/chromabouncer";
static const char usual_file[] = SYSCONFDIR "/chromabouncer/chromabouncer.yaml";

static enum status assign_cell(struct settings_sources *sources, struct bytes key,
                               const char *value, struct error *error);
static const char *environment_get(const struct settings_sources *sources, const char *name);
static enum status load_environment(const struct settings_sources *sources,
                                    struct settings *settings, struct error *error);
static enum status load_variable(struct settings *settings, struct bytes name, const char *value,
                                 struct error *error);
static bool        is_from_kubernetes(struct bytes name, const char *value);
static bool        is_ours(const char *entry, struct bytes *ret_name, const char **ret_value);
static bool        is_no_setting(struct bytes name, const char *value);
static enum settings_id find_variable(struct bytes name);
static enum settings_id nearest_variable(struct bytes name);
static void settings_sources_tell(const struct settings *old, const struct settings *fresh,
                                  settings_sources_change_fn *on_change, void *ctx);
static void tell_table(const struct settings *old, const struct settings *fresh,
                       enum settings_table_id table, settings_sources_change_fn *on_change,
                       void *ctx);
static void tell_record(const struct settings_table *table, const void *old, const void *fresh,
                        settings_sources_change_fn *on_change, void *ctx);

enum status settings_sources_assign(struct settings_sources *sources, struct bytes key,
                                    const char *value, struct error *error)
{
    const struct settings_origin origin = {.source = SETTINGS_FLAG};
    enum settings_id             id = settings_find(key);
    struct settings              scratch;
    enum status                  status;

    if (id == SETTINGS_COUNT)
        return assign_cell(sources, key, value, error);
    if (sources->values[id] != NULL)
        return error_set(error, STATUS_INVALID,
                         "%s is given twice; keep one (a list is written "
                         "with commas)",
                         settings_row(id)->key);
    settings_init(&scratch);
    status = settings_set(&scratch, id, bytes_of(value), origin, error);
    if (status == STATUS_OK)
        sources->values[id] = value;
    return status;
}

/* The column and the value are checked in a record of that name that nobody keeps. */
static enum status assign_cell(struct settings_sources *sources, struct bytes key,
                               const char *value, struct error *error)
{
    const struct settings_origin origin = {.source = SETTINGS_FLAG};
    struct bytes                 name, column;
    enum settings_table_id       table = settings_split_cell(key, &name, &column);
    struct settings              scratch;
    void                        *record;
    enum status                  status;

    if (table >= settings_table_count())
        return settings_unknown(key, error);
    for (size_t i = 0; i < sources->cell_count; i++)
        if (bytes_equal(key, sources->cells[i].key))
            return error_set(error, STATUS_INVALID, "%.*s is given twice; keep one", (int)key.size,
                             key.data);
    if (sources->cell_count == SETTINGS_SOURCES_CELLS_MAX)
        return error_set(error, STATUS_INVALID, "more than %d columns of records are given",
                         SETTINGS_SOURCES_CELLS_MAX);
    settings_init(&scratch);
    record = settings_record_new(&scratch, table);
    status = settings_table_set(settings_table(table), record, 0, name, origin, error);
    if (status == STATUS_OK)
        status = settings_record_keep(&scratch, table, error);
    if (status == STATUS_OK)
        status = settings_set_cell(&scratch, key, bytes_of(value), origin, error);
    if (status != STATUS_OK)
        return status;
    sources->cells[sources->cell_count].key = key;
    sources->cells[sources->cell_count++].value = value;
    return STATUS_OK;
}

const char *settings_sources_file(const struct settings_sources *sources)
{
    const char *named = sources->file;

    if (named == NULL)
        named = environment_get(sources, SETTINGS_SOURCES_FILE_VARIABLE);
    if (named == NULL && (access(usual_file, F_OK) == 0 || errno == EACCES))
        named = usual_file;
    return named;
}

/* NULL: not there, or empty. */
static const char *environment_get(const struct settings_sources *sources, const char *name)
{
    size_t size = strlen(name);

    for (const char *const *entry = sources->environment; entry != NULL && *entry != NULL; entry++)
        if (strncmp(*entry, name, size) == 0 && (*entry)[size] == '=' && (*entry)[size + 1] != '\0')
            return *entry + size + 1;
    return NULL;
}

enum status settings_sources_load(const struct settings_sources *sources, struct settings *ret,
                                  struct error *error)
{
    const struct settings_origin origin = {.source = SETTINGS_FLAG};
    const char                  *file = settings_sources_file(sources);
    enum status                  status = STATUS_OK;

    settings_init(ret);
    if (file != NULL)
        status = settings_file_load(ret, file, error);
    if (status == STATUS_OK)
        status = load_environment(sources, ret, error);
    for (enum settings_id id = 0; id < SETTINGS_COUNT && status == STATUS_OK; id++)
        if (sources->values[id] != NULL)
            status = settings_set(ret, id, bytes_of(sources->values[id]), origin, error);
    for (size_t i = 0; i < sources->cell_count && status == STATUS_OK; i++)
        status = settings_set_cell(ret, sources->cells[i].key, bytes_of(sources->cells[i].value),
                                   origin, error);
    return status == STATUS_OK ? settings_services_check(ret, error) : status;
}

static enum status load_environment(const struct settings_sources *sources,
                                    struct settings *settings, struct error *error)
{
    enum status status = STATUS_OK;

    for (const char *const *entry = sources->environment;
         entry != NULL && *entry != NULL && status == STATUS_OK; entry++) {
        struct bytes name;
        const char  *value;

        if (is_ours(*entry, &name, &value))
            status = load_variable(settings, name, value, error);
    }
    return status;
}

static bool is_ours(const char *entry, struct bytes *ret_name, const char **ret_value)
{
    const char *equals = strchr(entry, '=');

    if (equals == NULL || strncmp(entry, our_prefix, strlen(our_prefix)) != 0)
        return false;
    *ret_name = (struct bytes){entry, (size_t)(equals - entry)};
    *ret_value = equals + 1;
    return true;
}

static enum status load_variable(struct settings *settings, struct bytes name, const char *value,
                                 struct error *error)
{
    const struct settings_origin origin = {.source = SETTINGS_ENVIRONMENT};
    enum settings_id             id = find_variable(name);
    struct error                 why;

    if (id == SETTINGS_COUNT && is_no_setting(name, value))
        return STATUS_OK;
    if (id == SETTINGS_COUNT) {
        char quoted[SETTINGS_VARIABLE_SIZE], variable[SETTINGS_VARIABLE_SIZE];

        id = nearest_variable(name);
        if (id == SETTINGS_COUNT) /* somebody else's: settings_sources_each_unknown() tells */
            return STATUS_OK;
        text_quote(name, quoted, sizeof quoted);
        return error_set(error, STATUS_INVALID, "environment: unknown %s; did you mean %s?", quoted,
                         settings_variable(id, variable));
    }
    if (settings_set(settings, id, bytes_of(value), origin, &why) != STATUS_OK)
        return error_set(error, STATUS_INVALID, "environment %.*s: %s", (int)name.size, name.data,
                         why.text);
    return STATUS_OK;
}

/* Known, though no setting? */
static bool is_no_setting(struct bytes name, const char *value)
{
    /* `wrap` sets these for its command, and we for Chroma: another of us may run there. */
    static const char *const own[] = {SETTINGS_SOURCES_FILE_VARIABLE, "CHROMABOUNCER_WRAP",
                                      "CHROMABOUNCER_WRAP_STRICT", "CHROMABOUNCER_CHILD_OF",
                                      "CHROMABOUNCER_KEY"};

    for (size_t i = 0; i < COUNT_OF(own); i++)
        if (bytes_equal(name, bytes_of(own[i])))
            return true;
    return is_from_kubernetes(name, value);
}

/* Kubernetes puts CHROMABOUNCER_SERVICE_HOST, CHROMABOUNCER_PORT_8001_TCP_ADDR and the like into
 * every pod beside a service that is named chromabouncer or chromabouncer-SOMETHING. */
static bool is_from_kubernetes(struct bytes name, const char *value)
{
    static const char *const parts[] = {"_SERVICE_HOST", "_SERVICE_PORT", "_PORT"};

    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        const char *part = memmem(name.data, name.size, parts[i], strlen(parts[i]));
        const char *end = name.data + name.size;

        if (part == NULL)
            continue;
        part += strlen(parts[i]);
        /* A bare _PORT is a URL; CHROMABOUNCER_LISTEN_PORT=80 is a slip. */
        if (part == end && strcmp(parts[i], "_PORT") == 0)
            return strstr(value, "://") != NULL;
        if (part == end || (part[0] == '_' && part + 1 < end && part[1] != '_'))
            return true;
    }
    return false;
}

static enum settings_id find_variable(struct bytes name)
{
    enum settings_id id = 0;
    char             variable[SETTINGS_VARIABLE_SIZE];

    while (id < SETTINGS_COUNT && !bytes_equal(name, bytes_of(settings_variable(id, variable))))
        id++;
    return id;
}

/* The variable that somebody who writes `name` has meant; SETTINGS_COUNT: none. The shorter it is,
 * the fewer slips make another word of it. */
static enum settings_id nearest_variable(struct bytes name)
{
    char             text[SETTINGS_VARIABLE_SIZE], variable[SETTINGS_VARIABLE_SIZE];
    unsigned         least = 4;
    enum settings_id nearest = SETTINGS_COUNT;

    snprintf(text, sizeof text, "%.*s", (int)name.size, name.data);
    for (enum settings_id id = 0; id < SETTINGS_COUNT; id++) {
        unsigned slips = text_distance(text, settings_variable(id, variable), least);

        if (slips < least && slips < strlen(settings_row(id)->key) / 2) {
            least = slips;
            nearest = id;
        }
    }
    return nearest;
}

void settings_sources_each_unknown(const struct settings_sources *sources,
                                   settings_sources_unknown_fn *fn, void *ctx)
{
    for (const char *const *entry = sources->environment; entry != NULL && *entry != NULL;
         entry++) {
        struct bytes name;
        const char  *value;

        if (is_ours(*entry, &name, &value) && find_variable(name) == SETTINGS_COUNT &&
            !is_no_setting(name, value) && nearest_variable(name) == SETTINGS_COUNT)
            fn(ctx, name);
    }
}

enum status settings_sources_reload(const struct settings_sources *sources,
                                    const struct machine *machine, struct settings *settings,
                                    struct error *error, settings_sources_change_fn *on_change,
                                    void *ctx)
{
    struct settings fresh, merged;
    enum status     status = settings_sources_load(sources, &fresh, error);

    if (status == STATUS_OK)
        status = settings_check(&fresh, machine, error);
    if (status != STATUS_OK)
        return status;
    settings_resolve(&fresh, machine);
    merged = fresh;
    for (enum settings_id id = 0; id < SETTINGS_COUNT; id++)
        if (!settings_row(id)->live)
            settings_copy(&merged, id, settings);
    for (size_t i = 0; i < settings_table_count(); i++)
        if (!settings_table((enum settings_table_id)i)->live)
            settings_copy_table(&merged, (enum settings_table_id)i, settings);
    status = settings_check(&merged, machine, error);
    if (status != STATUS_OK)
        return status;
    settings_sources_tell(settings, &fresh, on_change, ctx);
    *settings = merged;
    return STATUS_OK;
}

/* What is different. */
static void settings_sources_tell(const struct settings *old, const struct settings *fresh,
                                  settings_sources_change_fn *on_change, void *ctx)
{
    for (enum settings_id id = 0; id < SETTINGS_COUNT; id++) {
        char from[SETTINGS_VALUE_SIZE], to[SETTINGS_VALUE_SIZE];

        settings_print(old, id, from);
        if (strcmp(from, settings_print(fresh, id, to)) != 0)
            on_change(ctx, settings_row(id)->key, from, to, settings_row(id)->live);
    }
    for (size_t i = 0; i < settings_table_count(); i++)
        tell_table(old, fresh, (enum settings_table_id)i, on_change, ctx);
}

/* The columns of the records that are new or remain, then the records that go. */
static void tell_table(const struct settings *old, const struct settings *fresh,
                       enum settings_table_id table, settings_sources_change_fn *on_change,
                       void *ctx)
{
    const struct settings_table *of = settings_table(table);
    char                         key[2 * SETTINGS_NAME_SIZE];

    for (size_t i = 0; i < fresh->record_counts[table]; i++) {
        const void *record = settings_record(fresh, table, i);
        size_t at = settings_record_find(old, table, bytes_of(settings_table_name(of, record)));

        tell_record(of, at == old->record_counts[table] ? NULL : settings_record(old, table, at),
                    record, on_change, ctx);
    }
    for (size_t i = 0; i < old->record_counts[table]; i++) {
        const char *name = settings_table_name(of, settings_record(old, table, i));

        snprintf(key, sizeof key, "%s.%s", of->key, name);
        if (settings_record_find(fresh, table, bytes_of(name)) == fresh->record_counts[table])
            on_change(ctx, key, "there", "gone", of->live);
    }
}

/* `old` is NULL for a new record. */
static void tell_record(const struct settings_table *table, const void *old, const void *fresh,
                        settings_sources_change_fn *on_change, void *ctx)
{
    char key[3 * SETTINGS_NAME_SIZE], from[SETTINGS_VALUE_SIZE], to[SETTINGS_VALUE_SIZE];

    if (old == NULL) {
        snprintf(key, sizeof key, "%s.%s", table->key, settings_table_name(table, fresh));
        on_change(ctx, key, "gone", "there", table->live);
    }
    for (size_t i = 1; i < table->column_count; i++) {
        snprintf(from, sizeof from, "%s", table->columns[i].def);
        if (old != NULL)
            settings_table_print(table, old, i, from);
        if (strcmp(from, settings_table_print(table, fresh, i, to)) == 0)
            continue;
        snprintf(key, sizeof key, "%s.%s.%s", table->key, settings_table_name(table, fresh),
                 table->columns[i].key);
        on_change(ctx, key, from, to, table->live);
    }
}

enum status settings_sources_change(const struct machine *machine, struct settings *settings,
                                    struct bytes key, struct bytes value, struct error *error,
                                    settings_sources_change_fn *on_change, void *ctx)
{
    const struct settings_origin origin = {.source = SETTINGS_CONTROL};
    enum settings_id             id = settings_find(key);
    struct bytes                 name, column;
    enum settings_table_id       table = settings_split_cell(key, &name, &column);
    struct settings              changed = *settings;
    enum status                  status;

    if (id == SETTINGS_COUNT)
        status = settings_set_cell(&changed, key, value, origin, error);
    else
        status = settings_set(&changed, id, value, origin, error);
    if (status == STATUS_OK)
        status = settings_services_check(&changed, error);
    if (status != STATUS_OK)
        return status;
    if (id != SETTINGS_COUNT ? !settings_row(id)->live
                             : table < settings_table_count() && !settings_table(table)->live)
        return error_set(error, STATUS_INVALID, "%.*s takes a restart; change it in the file",
                         (int)key.size, key.data);
    status = settings_check(&changed, machine, error); /* before what is auto fits in with it */
    if (status != STATUS_OK)
        return status;
    settings_resolve(&changed, machine);
    status = settings_check(&changed, machine, error);
    if (status != STATUS_OK)
        return status;
    settings_sources_tell(settings, &changed, on_change, ctx);
    *settings = changed;
    return STATUS_OK;
}

const char *settings_sources_control_path(const struct settings_sources *sources,
                                          const struct settings *settings, char *out)
{
    const char *folder = environment_get(sources, "XDG_RUNTIME_DIR");
    int         size = 0;

    if (strcmp(settings->control_path, "off") == 0)
        return NULL;
    if (strcmp(settings->control_path, "auto") != 0)
        size = snprintf(out, SETTINGS_SOURCES_PATH_SIZE, "%s", settings->control_path);
    else if (folder != NULL && folder[0] == '/')
        size = snprintf(out, SETTINGS_SOURCES_PATH_SIZE, "%s/chromabouncer.sock", folder);
    else if (access(run_folder, W_OK) == 0)
        size = snprintf(out, SETTINGS_SOURCES_PATH_SIZE, "%s/control.sock", run_folder);
    return size > 0 && size < SETTINGS_SOURCES_PATH_SIZE ? out : NULL;
}
