#include "cli/ctl_table.h"

#include <stdbool.h>
#include <string.h>

enum { COLUMNS_MAX = 19, CELL_SIZE = 100 };

static void        print_members(FILE *out, json_t *object, bool all);
static void        print_rows(FILE *out, const char *name, json_t *rows);
static size_t      name_columns(json_t *rows, const char **names, int *widths);
static const char *cell(const json_t *value, char *out);
static const char *words(const json_t *list, char *out);
static bool        says_something(const char *key, const json_t *value);

void ctl_table_print(FILE *out, json_t *answer)
{
    const char *key;
    json_t     *value;

    print_members(out, answer, true);
    json_object_foreach(answer, key, value)
    {
        if (json_is_array(value))
            print_rows(out, key, value);
        if (json_is_object(value)) {
            fprintf(out, "\n%s\n", key);
            print_members(out, value, false);
        }
    }
}

/* The plain members; without `all` those that say something. */
static void print_members(FILE *out, json_t *object, bool all)
{
    const char *key;
    json_t     *value;
    char        text[CELL_SIZE];
    int         width = 0;

    json_object_foreach(object, key, value) if (!json_is_array(value) && !json_is_object(value) &&
                                                (all || says_something(key, value))) width =
        (int)strlen(key) > width ? (int)strlen(key) : width;
    json_object_foreach(object, key, value) if (!json_is_array(value) && !json_is_object(value) &&
                                                (all || says_something(key, value)))
        fprintf(out, "%-*s  %s\n", width, key, cell(value, text));
}

static void print_rows(FILE *out, const char *name, json_t *rows)
{
    const char *names[COLUMNS_MAX];
    int         widths[COLUMNS_MAX];
    size_t      columns = name_columns(rows, names, widths);
    char        text[CELL_SIZE];

    fprintf(out, "%s%s\n", columns == 0 ? "no " : "", name);
    for (size_t j = 0; j < columns; j++)
        fprintf(out, "%-*s%s", j + 1 < columns ? widths[j] : 0, names[j],
                j + 1 < columns ? "  " : "\n");
    for (size_t i = 0; i < json_array_size(rows); i++)
        for (size_t j = 0; j < columns; j++)
            fprintf(out, "%-*s%s", j + 1 < columns ? widths[j] : 0,
                    cell(json_object_get(json_array_get(rows, i), names[j]), text),
                    j + 1 < columns ? "  " : "\n");
}

/* The members of the first row, and how wide each is over all. */
static size_t name_columns(json_t *rows, const char **names, int *widths)
{
    size_t      columns = 0;
    const char *key;
    json_t     *value;
    char        text[CELL_SIZE];

    json_object_foreach(json_array_get(rows, 0), key, value)
    {
        if (columns == COLUMNS_MAX)
            break;
        names[columns] = key;
        widths[columns] = (int)strlen(key);
        for (size_t i = 0; i < json_array_size(rows); i++) {
            int width = (int)strlen(cell(json_object_get(json_array_get(rows, i), key), text));

            if (width > widths[columns])
                widths[columns] = width;
        }
        columns++;
    }
    return columns;
}

/* `out` has CELL_SIZE bytes and is returned. */
static const char *cell(const json_t *value, char *out)
{
    switch (value == NULL ? JSON_NULL : json_typeof(value)) {
    case JSON_STRING:
        snprintf(out, CELL_SIZE, "%s", json_string_value(value));
        return out;
    case JSON_INTEGER:
        snprintf(out, CELL_SIZE, "%lld", (long long)json_integer_value(value));
        return out;
    case JSON_REAL:
        snprintf(out, CELL_SIZE, "%.6g", json_real_value(value));
        return out;
    case JSON_TRUE:
    case JSON_FALSE:
        snprintf(out, CELL_SIZE, "%s", json_is_true(value) ? "yes" : "no");
        return out;
    case JSON_ARRAY:
        if (json_is_string(json_array_get(value, 0)))
            return words(value, out);
        /* fall through */
    default:
        snprintf(out, CELL_SIZE, "-");
        return out;
    }
}

/* Those of a list of texts, with a blank between them, as many as fit. */
static const char *words(const json_t *list, char *out)
{
    size_t size = 0;

    for (size_t i = 0; i < json_array_size(list) && size < CELL_SIZE; i++) {
        const char *word = json_string_value(json_array_get(list, i));

        size += (size_t)snprintf(out + size, CELL_SIZE - size, "%s%s", i == 0 ? "" : " ",
                                 word == NULL ? "?" : word);
    }
    return out;
}

static bool says_something(const char *key, const json_t *value)
{
    return strstr(key, "_bucket") == NULL &&
           (!json_is_number(value) || json_number_value(value) != 0);
}
