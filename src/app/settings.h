/* settings - what the operator may set, from one table (settings.def)
 *
 * A value comes from the default, the YAML file, the environment or the command line; the later
 * one wins, and its origin is kept. struct settings is a plain value: a reload fills a second one
 * and swaps it in whole, or not at all.
 *
 * Only app/ and cli/ see this struct: app/ hands each module its own small options struct, so no
 * module depends on the whole configuration.
 */
#ifndef APP_SETTINGS_H
#define APP_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/settings_table.h"
#include "base/address.h"
#include "base/compiler.h"
#include "base/error.h"
#include "io/machine.h"

/* Descriptors beside those of clients and backend: log, loop, status page. */
enum { settings_other_descriptors = 128 };

/* The words of each CHOICE, in the order of its row. */
enum settings_role { SETTINGS_ROLE_SIDECAR, SETTINGS_ROLE_GATEWAY };
enum settings_cache_enabled {
    SETTINGS_CACHE_ENABLED_AUTO,
    SETTINGS_CACHE_ENABLED_FALSE,
    SETTINGS_CACHE_ENABLED_TRUE
};
enum settings_mirror_mode {
    SETTINGS_MIRROR_MODE_OFF,
    SETTINGS_MIRROR_MODE_FALLBACK,
    SETTINGS_MIRROR_MODE_HEDGE,
    SETTINGS_MIRROR_MODE_PREFER
};
enum settings_backend_family {
    SETTINGS_BACKEND_FAMILY_AUTO,
    SETTINGS_BACKEND_FAMILY_RUST,
    SETTINGS_BACKEND_FAMILY_PYTHON
};
enum settings_breaker_reads { SETTINGS_BREAKER_READS_WATCH, SETTINGS_BREAKER_READS_REFUSE };
enum settings_headers { SETTINGS_HEADERS_OFF, SETTINGS_HEADERS_ON };
enum settings_log_format { SETTINGS_LOG_AUTO, SETTINGS_LOG_TEXT, SETTINGS_LOG_JSON };
enum settings_log_level {
    SETTINGS_LOG_ERROR,
    SETTINGS_LOG_WARNING,
    SETTINGS_LOG_INFO,
    SETTINGS_LOG_DEBUG
};
enum settings_log_access {
    SETTINGS_LOG_ACCESS_ALL,
    SETTINGS_LOG_ACCESS_ERRORS,
    SETTINGS_LOG_ACCESS_OFF
};

enum settings_overload { SETTINGS_OVERLOAD_WAIT, SETTINGS_OVERLOAD_SHED };

enum settings_over { SETTINGS_OVER_REFUSE, SETTINGS_OVER_DELAY, SETTINGS_OVER_SHADOW };

/* The kind of a row names the C type of its field and the unit at the end of its name. */
#define SETTINGS_FIELD_TEXT(field)           char field[SETTINGS_TEXT_SIZE];
#define SETTINGS_FIELD_SOCKET(field)         char field[SETTINGS_TEXT_SIZE];
#define SETTINGS_FIELD_PATTERNS(field)       char field[SETTINGS_TEXT_SIZE];
#define SETTINGS_FIELD_SWITCH(field)         bool field;
#define SETTINGS_FIELD_CHOICE(field)         enum settings_##field field;
#define SETTINGS_FIELD_COUNT(field)          uint64_t field;
#define SETTINGS_FIELD_COUNT_OR_AUTO(field)  uint64_t field;
#define SETTINGS_FIELD_LIMIT(field)          uint64_t field;
#define SETTINGS_FIELD_DURATION(field)       uint64_t field##_us;
#define SETTINGS_FIELD_SHARE(field)          uint64_t field##_per_million;
#define SETTINGS_FIELD_SIZE(field)           uint64_t field##_bytes;
#define SETTINGS_FIELD_SIZE_OR_AUTO(field)   uint64_t field##_bytes;
#define SETTINGS_FIELD_URL(field)            struct address field;
#define SETTINGS_FIELD_ADDRESS_OR_OFF(field) struct address field;
#define SETTINGS_FIELD_ADDRESSES(field)      struct settings_addresses field;
#define SETTINGS_FIELD_NETWORKS(field)       struct settings_networks field;
#define SETTINGS_FIELD_USERS(field)          struct settings_users field;
#define SETTINGS_FIELD_NAMES(field)          struct settings_names field;
#define SETTINGS_FIELD_RATE(field)           struct settings_rate field;
#define SETTINGS_FIELD_BYTES_RATE(field)     uint64_t field##_bytes;

/* SETTINGS_ID_backend_url, ...: numbers the rows of the table. */
enum settings_id {
#define SETTING(field, key, kind, def, min, max, when, flag, help) SETTINGS_ID_##field,
#include "app/settings.def"
#undef SETTING
    SETTINGS_COUNT
};

enum {
    SETTINGS_KEY_SIZE = 48,      /* every key with its NUL */
    SETTINGS_VARIABLE_SIZE = 72, /* its environment variable */
};

/* The tables: their numbers, those of their columns, and a struct for the records of each. */
enum settings_table_id {
#define TABLE(field, key, records_max, when, help) SETTINGS_TABLE_##field,
#define COLUMN(table, field, key, kind, def, min, max, help)
#define END(table, records_max)
#include "app/settings_tables.def"
#undef TABLE
#undef COLUMN
#undef END
    SETTINGS_TABLE_COUNT
};

/* clang-format off: TABLE opens a declaration that END closes */
#define TABLE(field, key, records_max, when, help)                                                 \
    enum settings_##field##_column                                                                 \
    {
#define COLUMN(table, field, key, kind, def, min, max, help) SETTINGS_COLUMN_##table##_##field,
#define END(table, records_max)                                                                    \
    SETTINGS_COLUMNS_##table                                                                       \
    }                                                                                              \
    ;
#include "app/settings_tables.def"
#undef TABLE
#undef COLUMN
#undef END

#define TABLE(field, key, records_max, when, help)           struct settings_##field##_record {
#define COLUMN(table, field, key, kind, def, min, max, help) SETTINGS_FIELD_##kind(field)
#define END(table, records_max)                                                                    \
    struct settings_origin origins[SETTINGS_COLUMNS_##table];                                      \
    }                                                                                              \
    ;
#include "app/settings_tables.def"
#undef TABLE
#undef COLUMN
#undef END
/* clang-format on */

struct settings {
#define SETTING(field, key, kind, def, min, max, when, flag, help) SETTINGS_FIELD_##kind(field)
#include "app/settings.def"
#undef SETTING
#define TABLE(field, key, records_max, when, help)
#define COLUMN(table, field, key, kind, def, min, max, help)
#define END(table, records_max) struct settings_##table##_record table[records_max];
#include "app/settings_tables.def"
#undef TABLE
#undef COLUMN
#undef END
    size_t                 record_counts[SETTINGS_TABLE_COUNT + 1]; /* of each table */
    struct settings_origin origins[SETTINGS_COUNT];
    const char            *file; /* borrowed from its sources; NULL: no file was read */
};

/* One row of the table; all strings are static. */
struct settings_row {
    const char          *key, *def, *flag, *help;
    struct settings_rule rule;
    bool                 live; /* HUP changes it */
};

const struct settings_row *settings_row(enum settings_id id);

/* The row of `key` ("backend.url"); SETTINGS_COUNT: there is none. */
enum settings_id settings_find(struct bytes key);

/* Does a key begin with `name` and a dot? */
bool settings_is_section(struct bytes name);

/* Say that `key` is unknown, and which key or section may have been meant: STATUS_INVALID. */
enum status settings_unknown(struct bytes key, struct error *error);

/* The environment variable: "CHROMABOUNCER_BACKEND__URL". `out` has SETTINGS_VARIABLE_SIZE bytes
 * and is returned. */
const char *settings_variable(enum settings_id id, char *out);

/* Set every field to its default. */
void settings_init(struct settings *settings);

/* Set one field from `text` ("60s").
 * STATUS_INVALID: bad syntax, or out of bounds; `error` names key and remedy, `settings` is
 * unchanged. */
MUST_CHECK enum status settings_set(struct settings *settings, enum settings_id id,
                                    struct bytes text, struct settings_origin origin,
                                    struct error *error);

/* How many tables there are: SETTINGS_TABLE_COUNT as a number that may be 0 without a warning. */
size_t settings_table_count(void);

/* The table of that number; all strings are static. */
const struct settings_table *settings_table(enum settings_table_id id);

/* The table of `key` ("services"); SETTINGS_TABLE_COUNT: there is none. */
enum settings_table_id settings_find_table(struct bytes key);

/* Split "TABLE.NAME.COLUMN". SETTINGS_TABLE_COUNT: it does not begin with a table and a dot. */
enum settings_table_id settings_split_cell(struct bytes key, struct bytes *ret_name,
                                           struct bytes *ret_column);

/* A record of the table, at its index; the index is below record_counts[table]. Borrowed. */
const void *settings_record(const struct settings *settings, enum settings_table_id table,
                            size_t index);

/* The index of the record of that name; record_counts[table]: there is none. */
size_t settings_record_find(const struct settings *settings, enum settings_table_id table,
                            struct bytes name);

/* A new record at its defaults, not in the table until settings_record_keep(). NULL: the table is
 * full. */
void *settings_record_new(struct settings *settings, enum settings_table_id table);

/* Take the new record into the table.
 * STATUS_INVALID  it has no name, or one that another record has. */
MUST_CHECK enum status settings_record_keep(struct settings *settings, enum settings_table_id table,
                                            struct error *error);

/* Set what "TABLE.NAME.COLUMN" names, in a record that is there; a name is never changed so.
 * STATUS_INVALID  no such record or column, a bad value: `error` says what to do. */
MUST_CHECK enum status settings_set_cell(struct settings *settings, struct bytes key,
                                         struct bytes text, struct settings_origin origin,
                                         struct error *error);

/* Take all records of one table and their origins over from `from`. */
void settings_copy_table(struct settings *settings, enum settings_table_id table,
                         const struct settings *from);

/* Take one field and its origin over from `from`. */
void settings_copy(struct settings *settings, enum settings_id id, const struct settings *from);

/* The value as settings_set() reads it. `out` has SETTINGS_VALUE_SIZE bytes and is returned. */
const char *settings_print(const struct settings *settings, enum settings_id id, char *out);

/* Where the value comes from: "default", "FILE:LINE", "environment CHROMABOUNCER_ROLE" or "command
 * line". Cut to `size`; returns `out`. */
const char *settings_print_origin(const struct settings *settings, enum settings_id id, char *out,
                                  size_t size);

/* The same for one column of a record. */
const char *settings_print_cell_origin(const struct settings *settings,
                                       enum settings_table_id table, size_t index, size_t column,
                                       char *out, size_t size);

/* Do the settings fit each other and the machine?
 * STATUS_INVALID: `error` names the settings and says what to change. */
MUST_CHECK enum status settings_check(const struct settings *settings,
                                      const struct machine *machine, struct error *error);

/* The exit status of a command that settings keep from its work, for `status` of the functions here
 * and in settings_sources.h. */
int settings_exit_status(enum status status);

/* Bytes that copies may take together: mirror.memory_max, within memory_max (resolved). */
uint64_t settings_mirror_memory(const struct settings *settings);

/* When reads are answered from copies, as mirror.mode and role have it: "while Chroma does not
 * answer". Static storage. */
const char *settings_mirror_meaning(const struct settings *settings);

/* Replace what is `auto` by a number and fit the defaults (never what somebody set) to the
 * machine. What only a running backend can tell stays 0. */
void settings_resolve(struct settings *settings, const struct machine *machine);

#endif
