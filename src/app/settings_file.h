/* settings_file - settings from a YAML file
 *
 * Nested maps make dotted keys. What a scalar means is decided by the table of settings, so YAML's
 * own guesses (`no` is false, `1_000` is 1000, `12:30` is 750) never apply. Refused, because they
 * hide what a file says: duplicate keys, anchors and aliases, tags, a second document.
 */
#ifndef APP_SETTINGS_FILE_H
#define APP_SETTINGS_FILE_H

#include "app/settings.h"

/* Set in `settings` what the file at `path` says; `path` is borrowed as long as `settings` lives.
 * STATUS_INVALID        `error` is "PATH:LINE:COLUMN: what is wrong"; `settings` is half filled.
 * STATUS_NOT_FOUND      there is no such file.
 * STATUS_NOT_PERMITTED  it may not be read.
 * STATUS_IO_FAILED      it cannot be read: `error` has the system's reason. */
MUST_CHECK enum status settings_file_load(struct settings *settings, const char *path,
                                          struct error *error);

#endif
