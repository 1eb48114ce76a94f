#include "app/settings_table.h"

#include <assert.h>
#include <stdio.h>

#include "base/text.h"

static bool is_name(struct bytes text);

size_t settings_table_find(const struct settings_table *table, struct bytes key)
{
    size_t column = 0;

    while (column < table->column_count && !bytes_equal(key, bytes_of(table->columns[column].key)))
        column++;
    return column;
}

bool settings_table_is_section(const struct settings_table *table, struct bytes name)
{
    for (size_t i = 0; i < table->column_count; i++)
        if (bytes_begin_with(bytes_of(table->columns[i].key), name) &&
            table->columns[i].key[name.size] == '.')
            return true;
    return false;
}

enum status settings_table_unknown(const struct settings_table *table, struct bytes key,
                                   struct error *error)
{
    char        quoted[60], text[SETTINGS_NAME_SIZE] = "";
    const char *nearest = NULL;
    unsigned    least = 4;

    if (key.size > 0 && key.size < sizeof text)
        memcpy(text, key.data, key.size);
    for (size_t i = 0; i < table->column_count; i++) {
        const char *name = table->columns[i].key;
        unsigned    slips = text_distance(text, name, least);

        if (slips < least && slips < strlen(name)) {
            least = slips;
            nearest = name;
        }
    }
    text_quote(key, quoted, sizeof quoted);
    if (nearest == NULL)
        return error_set(error, STATUS_INVALID,
                         "there is no %s in %s; `chromabouncer config init` prints what there is",
                         quoted, table->key);
    return error_set(error, STATUS_INVALID, "there is no %s in %s; did you mean %s?", quoted,
                     table->key, nearest);
}

void settings_table_init(const struct settings_table *table, void *record)
{
    memset(record, 0, table->record_size);
    for (size_t i = 1; i < table->column_count; i++) {
        struct settings_origin origin = {.source = SETTINGS_DEFAULT};
        enum status            status =
            settings_table_set(table, record, i, bytes_of(table->columns[i].def), origin, NULL);

        assert(status == STATUS_OK); /* a default outside its own bounds is our bug */
        (void)status;
    }
}

enum status settings_table_set(const struct settings_table *table, void *record, size_t column,
                               struct bytes text, struct settings_origin origin,
                               struct error *error)
{
    const struct settings_column *at = &table->columns[column];
    struct settings_origin       *origins = (void *)((char *)record + table->origins_offset);
    struct error                  why;
    enum status                   status;

    assert(column < table->column_count);
    if (column == 0 && !is_name(text))
        return error_set(error, STATUS_INVALID,
                         "%s.%s: a name has 1 to 63 letters a to z, digits, - and _", table->key,
                         at->key);
    status = settings_value_read(&at->rule, text, (char *)record + at->offset, &why);
    if (status != STATUS_OK)
        return error_set(error, status, "%s.%s: %s", table->key, at->key, why.text);
    origins[column] = origin;
    return STATUS_OK;
}

static bool is_name(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++)
        if (!text_is_alnum(text.data[i]) && text.data[i] != '-' && text.data[i] != '_')
            return false;
        else if (text.data[i] >= 'A' && text.data[i] <= 'Z')
            return false;
    return text.size > 0 && text.size < SETTINGS_NAME_SIZE;
}

const char *settings_table_print(const struct settings_table *table, const void *record,
                                 size_t column, char *out)
{
    const struct settings_column *at = &table->columns[column];

    return settings_value_print(&at->rule, (const char *)record + at->offset, out);
}

const struct settings_origin *settings_table_origin(const struct settings_table *table,
                                                    const void *record, size_t column)
{
    const void *origins = (const char *)record + table->origins_offset;

    return (const struct settings_origin *)origins + column;
}

const char *settings_table_name(const struct settings_table *table, const void *record)
{
    return (const char *)record + table->columns[0].offset;
}
