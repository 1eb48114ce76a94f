/* settings_table - a setting that is a list of records: its columns, and one record's values
 *
 * A record is a struct that settings.h makes from the columns of a .def file; here it is memory of
 * which the table knows the offsets. Columns are settings of their own, with the same kinds, bounds
 * and errors; a dot in a column's key makes a section within the record.
 */
#ifndef APP_SETTINGS_TABLE_H
#define APP_SETTINGS_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "app/settings_value.h"

/* The longest name of a record with its NUL. */
enum { SETTINGS_NAME_SIZE = 64 };

enum settings_source {
    SETTINGS_DEFAULT,
    SETTINGS_FILE,
    SETTINGS_ENVIRONMENT,
    SETTINGS_FLAG,
    SETTINGS_CONTROL /* by `ctl set`, until the next reload */
};

struct settings_origin {
    enum settings_source source;
    unsigned             line; /* SETTINGS_FILE: 1 is the first */
};

struct settings_column {
    const char          *key, *def, *help;
    struct settings_rule rule;
    size_t               offset; /* of the value in the record */
};

struct settings_table {
    const char                   *key, *help;
    const struct settings_column *columns; /* the first is the name */
    size_t                        column_count;
    size_t                        records_max, record_size;
    size_t                        origins_offset; /* of one struct settings_origin per column */
    bool                          live;           /* HUP changes it */
};

/* The column of `key` ("rate", "match.header"); column_count: there is none. */
size_t settings_table_find(const struct settings_table *table, struct bytes key);

/* Does the key of a column begin with `name` and a dot? */
bool settings_table_is_section(const struct settings_table *table, struct bytes name);

/* Say that there is no column `key`, and which may have been meant: STATUS_INVALID. */
enum status settings_table_unknown(const struct settings_table *table, struct bytes key,
                                   struct error *error);

/* Set every column of `record` to its default. The name is empty then. */
void settings_table_init(const struct settings_table *table, void *record);

/* Set one column. A name has 1 to 63 letters a to z, digits, - and _.
 * STATUS_INVALID  bad syntax, or out of bounds: `error` names the column, `record` is unchanged. */
MUST_CHECK enum status settings_table_set(const struct settings_table *table, void *record,
                                          size_t column, struct bytes text,
                                          struct settings_origin origin, struct error *error);

/* The value as settings_table_set() reads it. `out` has SETTINGS_VALUE_SIZE bytes and is returned.
 */
const char *settings_table_print(const struct settings_table *table, const void *record,
                                 size_t column, char *out);

/* Where the value comes from. Borrowed. */
const struct settings_origin *settings_table_origin(const struct settings_table *table,
                                                    const void *record, size_t column);

/* The record's name. Borrowed. */
const char *settings_table_name(const struct settings_table *table, const void *record);

#endif
