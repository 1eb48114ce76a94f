#include "app/settings_docs.h"

#include <string.h>

#include "base/text.h"

enum { LINE_WIDTH = 98 };

static bool begins_section(const char *key, const char *before, size_t *ret_size);
static void print_sample_records(FILE *out, const struct settings_table *table);
static void print_records(FILE *out, const struct settings *settings, enum settings_table_id table);
static void print_shown(FILE *out, const char *before, const char *key, const char *value,
                        const char *origin);
static const char *print_when(const struct settings_rule *rule, bool live, char *out);
static void        print_wrapped(FILE *out, const char *text, int indent);
static const char *print_scalar(const char *text, char *out);

static const char sample_head[] =
    "# chromabouncer.yaml - every setting at its default\n"
    "#\n"
    "# Take the # off a `#key: value` line to change it, and leave the indentation as it is. The\n"
    "# environment (CHROMABOUNCER_ and the key in capitals, dots as __) and the command line\n"
    "# (--set key=value) override this file. Durations: 250ms, 5s, 2m, 1h. Sizes: 64KiB, 1MiB,\n"
    "# 1GiB. Check the file with `chromabouncer config check FILE`; see chromabouncer.yaml(5).\n";

void settings_docs_sample(FILE *out)
{
    char text[SETTINGS_VALUE_SIZE];

    fputs(sample_head, out);
    for (enum settings_id id = 0; id < SETTINGS_COUNT; id++) {
        const struct settings_row *row = settings_row(id);
        const char                *name = strchr(row->key, '.');
        int                        indent = name == NULL ? 0 : 2;
        size_t                     section;

        fputc('\n', out);
        if (begins_section(row->key, id == 0 ? "" : settings_row(id - 1)->key, &section))
            fprintf(out, "%.*s:\n", (int)section, row->key);
        print_wrapped(out, row->help, indent);
        print_wrapped(out, settings_docs_allowed(id, text), indent);
        fprintf(out, "%*s#%s: %s\n", indent, "", name == NULL ? row->key : name + 1,
                print_scalar(row->def, text));
    }
    for (size_t i = 0; i < settings_table_count(); i++)
        print_sample_records(out, settings_table((enum settings_table_id)i));
}

/* The rows of a section stand together in the table. `before` is the key of the row before. */
static bool begins_section(const char *key, const char *before, size_t *ret_size)
{
    const char *dot = strchr(key, '.');

    if (dot == NULL)
        return false;
    *ret_size = (size_t)(dot - key);
    return strncmp(before, key, *ret_size + 1) != 0;
}

/* One record with every column, commented out as a whole. */
static void print_sample_records(FILE *out, const struct settings_table *table)
{
    char text[SETTINGS_VALUE_SIZE];

    fputc('\n', out);
    print_wrapped(out, table->help, 0);
    fprintf(out, "# A list of at most %zu; %s\n#%s:\n", table->records_max,
            table->live ? "HUP changes it" : "takes a restart", table->key);
    for (size_t i = 0; i < table->column_count; i++) {
        const struct settings_column *column = &table->columns[i];
        const char                   *name = strchr(column->key, '.');
        size_t                        section;
        int                           indent = name == NULL ? 4 : 6;

        if (begins_section(column->key, i == 0 ? "" : column[-1].key, &section))
            fprintf(out, "#    %.*s:\n", (int)section, column->key);
        print_wrapped(out, column->help, indent);
        print_wrapped(out, settings_value_allowed(&column->rule, text), indent);
        fprintf(out, "#%*s%s: %s\n", indent, i == 0 ? "- " : "",
                name == NULL ? column->key : name + 1,
                i == 0 ? "NAME" : print_scalar(column->def, text));
    }
}

/* As comment lines. */
static void print_wrapped(FILE *out, const char *text, int indent)
{
    size_t width = LINE_WIDTH - (size_t)indent - 2;

    while (*text != '\0') {
        size_t size = strlen(text);

        if (size > width)
            for (size = width; size > 0 && text[size] != ' '; size--)
                continue;
        fprintf(out, "%*s# %.*s\n", indent, "", (int)size, text);
        text += size;
        text += *text == ' ';
    }
}

/* Quote what YAML would not take for a plain scalar. `out` has SETTINGS_VALUE_SIZE bytes. */
static const char *print_scalar(const char *text, char *out)
{
    bool   plain = text_is_alnum(text[0]) || text[0] == '/';
    size_t used = 0;

    for (const char *c = text; *c != '\0'; c++)
        plain = plain && (text_is_alnum(*c) || strchr("/._-+,@%[]:", *c) != NULL);
    if (plain && text[strlen(text) - 1] != ':') {
        snprintf(out, SETTINGS_VALUE_SIZE, "%s", text);
        return out;
    }
    out[used++] = '\'';
    for (const char *c = text; *c != '\0' && used < SETTINGS_VALUE_SIZE - 3; c++) {
        if (*c == '\'')
            out[used++] = '\'';
        out[used++] = *c;
    }
    out[used++] = '\'';
    out[used] = '\0';
    return out;
}

const char *settings_docs_allowed(enum settings_id id, char *out)
{
    return print_when(&settings_row(id)->rule, settings_row(id)->live, out);
}

static const char *print_when(const struct settings_rule *rule, bool live, char *out)
{
    char allowed[SETTINGS_VALUE_SIZE];

    snprintf(out, SETTINGS_VALUE_SIZE, "%.500s; %s", settings_value_allowed(rule, allowed),
             live ? "HUP changes it" : "takes a restart");
    return out;
}

void settings_docs_list(FILE *out)
{
    char allowed[SETTINGS_VALUE_SIZE];

    for (enum settings_id id = 0; id < SETTINGS_COUNT; id++) {
        const struct settings_row *row = settings_row(id);

        fprintf(out, "  %-25s %-22s %s\n", row->key, row->def,
                settings_value_allowed(&row->rule, allowed));
    }
    for (size_t i = 0; i < settings_table_count(); i++) {
        const struct settings_table *table = settings_table((enum settings_table_id)i);

        for (size_t j = 1; j < table->column_count; j++)
            fprintf(out, "  %s.NAME.%-*s %-22s %s\n", table->key, (int)(19 - strlen(table->key)),
                    table->columns[j].key, table->columns[j].def,
                    settings_value_allowed(&table->columns[j].rule, allowed));
    }
}

void settings_docs_show(FILE *out, const struct settings *settings)
{
    for (enum settings_id id = 0; id < SETTINGS_COUNT; id++) {
        const char *key = settings_row(id)->key;
        const char *name = strchr(key, '.');
        char        value[SETTINGS_VALUE_SIZE], origin[256];
        size_t      section;

        if (begins_section(key, id == 0 ? "" : settings_row(id - 1)->key, &section))
            fprintf(out, "%.*s:\n", (int)section, key);
        settings_print(settings, id, value);
        print_shown(out, name == NULL ? "" : "  ", name == NULL ? key : name + 1, value,
                    settings_print_origin(settings, id, origin, sizeof origin));
    }
    for (size_t i = 0; i < settings_table_count(); i++)
        print_records(out, settings, (enum settings_table_id)i);
}

static void print_shown(FILE *out, const char *before, const char *key, const char *value,
                        const char *origin)
{
    char scalar[SETTINGS_VALUE_SIZE];
    int  width = fprintf(out, "%s%s: %s", before, key, print_scalar(value, scalar));

    fprintf(out, "%*s# %s\n", width < 40 ? 40 - width : 1, "", origin);
}

static void print_records(FILE *out, const struct settings *settings, enum settings_table_id id)
{
    const struct settings_table *table = settings_table(id);

    fprintf(out, "%s:\n", table->key);
    for (size_t i = 0; i < settings->record_counts[id]; i++) {
        for (size_t j = 0; j < table->column_count; j++) {
            const char *key = table->columns[j].key;
            const char *name = strchr(key, '.');
            char        value[SETTINGS_VALUE_SIZE], origin[256];
            size_t      section;

            if (begins_section(key, j == 0 ? "" : table->columns[j - 1].key, &section))
                fprintf(out, "    %.*s:\n", (int)section, key);
            settings_table_print(table, settings_record(settings, id, i), j, value);
            print_shown(out,
                        j == 0         ? "  - "
                        : name == NULL ? "    "
                                       : "      ",
                        name == NULL ? key : name + 1, value,
                        settings_print_cell_origin(settings, id, i, j, origin, sizeof origin));
        }
    }
}
