/* settings_yaml - a YAML file as libyaml's events, without what hides its meaning
 *
 * Anchors, aliases and tags are refused here, and every complaint names file, line and column.
 */
#ifndef APP_SETTINGS_YAML_H
#define APP_SETTINGS_YAML_H

#include <stdbool.h>
#include <yaml.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/error.h"

/* A file being read: on the stack, from _open to _close. */
struct settings_yaml {
    yaml_parser_t parser;
    char         *data;
    const char   *path;
    struct error *error;
};

/* Read the file at `path`, which is borrowed until the end, as is `error`.
 * STATUS_INVALID        it is larger than 256KiB.
 * STATUS_NOT_FOUND      there is no such file.
 * STATUS_NOT_PERMITTED  it may not be read.
 * STATUS_IO_FAILED      it cannot be read.
 * STATUS_NO_MEMORY      On failure there is nothing to close. */
MUST_CHECK enum status settings_yaml_open(struct settings_yaml *yaml, const char *path,
                                          struct error *error);

void settings_yaml_close(struct settings_yaml *yaml);

/* The next event, given: yaml_event_delete() it.
 * STATUS_INVALID  not YAML, or an anchor, alias or tag: the complaint is in `error`. */
MUST_CHECK enum status settings_yaml_next(struct settings_yaml *yaml, yaml_event_t *ret_event);

/* Is it the scalar that YAML takes for nothing: empty, ~ or null, without quotes? */
bool settings_yaml_is_null(const yaml_event_t *event);

/* The text of a scalar; empty for any other event. Borrowed from the event. */
struct bytes settings_yaml_scalar(const yaml_event_t *event);

/* "PATH:LINE:COLUMN: message" into `error`. Returns STATUS_INVALID. */
enum status settings_yaml_complain(const struct settings_yaml *yaml, yaml_mark_t at,
                                   const char *format, ...) PRINTF_LIKE(3, 4);

#endif
