/* settings_docs - the table of settings as a sample file, as a list and as the file in effect */
#ifndef APP_SETTINGS_DOCS_H
#define APP_SETTINGS_DOCS_H

#include <stdio.h>

#include "app/settings.h"

/* Print a YAML file with every setting, explained, at its default and commented out: what stands
 * in conf/chromabouncer.yaml. */
void settings_docs_sample(FILE *out);

/* Print one line for each setting: key, default, what is allowed. */
void settings_docs_list(FILE *out);

/* Print `settings` as a YAML file that sets them so, with the origin of each value. */
void settings_docs_show(FILE *out, const struct settings *settings);

/* What is allowed and when a change counts: "1..65535; HUP changes it". `out` has
 * SETTINGS_VALUE_SIZE bytes and is returned. */
const char *settings_docs_allowed(enum settings_id id, char *out);

#endif
