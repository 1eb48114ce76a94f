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

static void print_setting(enum settings_id id)
{
    const struct settings_row *row = settings_row(id);
    char                       allowed[SETTINGS_VALUE_SIZE], variable[SETTINGS_VARIABLE_SIZE];

    printf(".It Cm %s\n", row->key);
    print_text(row->help);
    printf(".Pp\nDefault:\n");
    if (row->def[0] == '\0')
        printf("empty.\n");
    else
        printf(".Ql %s .\n", row->def);
    printf("Allowed: %s.\n", settings_value_allowed(&row->rule, allowed));
    printf(".Pp\n.Ev %s ;\n", settings_variable(id, variable));
    if (row->flag[0] != '\0')
        printf(".Fl \\-%s ;\n", row->flag + 2);
    printf("%s.\n", row->live ? "HUP changes it" : "takes a restart");
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
    return 0;
}
