/* Print the settings of the table as the mdoc section that stands in chromabouncer.yaml(5). */
#include <stdio.h>
#include <string.h>

#include "app/settings_docs.h"

enum { LINE_WIDTH = 78 };

/* One sentence a line, wrapped: so mdoc wants it, and so changes are easy to see. */
static void print_text(const char *text)
{
    while (*text != '\0') {
        const char *stop = strstr(text, ". ");
        size_t      size = stop == NULL ? strlen(text) : (size_t)(stop + 1 - text);

        if (size > LINE_WIDTH)
            for (size = LINE_WIDTH; text[size] != ' '; size--)
                continue;
        printf("%.*s\n", (int)size, text);
        text += size;
        text += *text == ' ';
    }
}

/* What every setting and every column of a table says of itself. */
static void print_item(const char *key, const char *help, const char *def,
                       const struct settings_rule *rule)
{
    char allowed[SETTINGS_VALUE_SIZE];

    printf(".It Cm %s\n", key);
    print_text(help);
    printf(".Pp\nDefault:\n");
    if (def[0] == '\0')
        printf("empty.\n");
    else
        printf(".Ql %s .\n", def);
    printf("Allowed: %s.\n", settings_value_allowed(rule, allowed));
}

static void print_setting(enum settings_id id)
{
    const struct settings_row *row = settings_row(id);
    char                       variable[SETTINGS_VARIABLE_SIZE];

    print_item(row->key, row->help, row->def, &row->rule);
    printf(".Pp\n.Ev %s ;\n", settings_variable(id, variable));
    if (row->flag[0] != '\0')
        printf(".Fl \\-%s ;\n", row->flag + 2);
    printf("%s.\n", row->live ? "HUP changes it" : "takes a restart");
}

static void print_table(const struct settings_table *table)
{
    printf(".Ss List %s\n", table->key);
    print_text(table->help);
    printf("At most %zu records; %s.\n.Bl -tag -width Ds\n", table->records_max,
           table->live ? "HUP changes them" : "they take a restart");
    for (size_t i = 0; i < table->column_count; i++)
        print_item(table->columns[i].key, table->columns[i].help, table->columns[i].def,
                   &table->columns[i].rule);
    printf(".El\n");
}

int main(void)
{
    const char *section = "";
    size_t      size = 0;

    printf(".Ss Top level\n.Bl -tag -width Ds\n");
    for (enum settings_id id = 0; id < SETTINGS_COUNT; id++) {
        const char *key = settings_row(id)->key;
        const char *dot = strchr(key, '.');

        if (dot != NULL && (size != (size_t)(dot - key) || strncmp(section, key, size) != 0)) {
            section = key;
            size = (size_t)(dot - key);
            printf(".El\n.Ss Section %.*s\n.Bl -tag -width Ds\n", (int)size, key);
        }
        print_setting(id);
    }
    printf(".El\n");
    for (size_t i = 0; i < settings_table_count(); i++)
        print_table(settings_table((enum settings_table_id)i));
    return 0;
}
