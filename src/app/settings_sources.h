/* settings_sources - where settings come from: default < file < environment < command line
 *
 * Filled once from the command line and kept as long as the process lives, so that a reload reads
 * the same file again under the same environment and flags.
 */
#ifndef APP_SETTINGS_SOURCES_H
#define APP_SETTINGS_SOURCES_H

#include "app/settings.h"

/* Names a file where --config does not; empty is as good as not set. */
#define SETTINGS_SOURCES_FILE_VARIABLE "CHROMABOUNCER_CONFIG"

/* Columns of records that one command line may set. */
enum { SETTINGS_SOURCES_CELLS_MAX = 64 };

struct settings_sources {
    const char        *file;                   /* --config; NULL: the usual places. Borrowed. */
    const char *const *environment;            /* as environ; NULL: none. Borrowed. */
    const char        *values[SETTINGS_COUNT]; /* on the command line; NULL: not there. Borrowed. */
    struct {
        struct bytes key; /* TABLE.NAME.COLUMN; the record may be in a file that was not read yet */
        const char  *value;
    } cells[SETTINGS_SOURCES_CELLS_MAX];
    size_t cell_count;
};

/* One change that a reload brings. `from` and `to` are borrowed for the call. `live` is false when
 * it waits for a new process. */
typedef void settings_sources_change_fn(void *ctx, const char *key, const char *from,
                                        const char *to, bool live);

/* Note a value from the command line; `key` and `value` are borrowed as long as `sources` lives.
 * STATUS_INVALID  unknown key, bad value, or given before: `error` says what to do. Whether there
 *                 is the record that a key names, a load finds. */
MUST_CHECK enum status settings_sources_assign(struct settings_sources *sources, struct bytes key,
                                               const char *value, struct error *error);

/* The file that a load reads: --config, else CHROMABOUNCER_CONFIG, else the file in the system's
 * configuration directory if there is one. NULL: none. Borrowed. */
const char *settings_sources_file(const struct settings_sources *sources);

/* A variable that begins as ours do, but is neither a setting nor close to one. `name` is borrowed
 * for the call. */
typedef void settings_sources_unknown_fn(void *ctx, struct bytes name);

/* Call `fn` for each such variable: images and platforms set some, so they are worth a warning and
 * do not keep anything from starting. What is a slip in a setting's name, a load refuses. */
void settings_sources_each_unknown(const struct settings_sources *sources,
                                   settings_sources_unknown_fn *fn, void *ctx);

/* Fill `ret` from all sources.
 * STATUS_INVALID, STATUS_NOT_FOUND, STATUS_NOT_PERMITTED, STATUS_IO_FAILED: `error` says what is
 * wrong and where; *ret is not to be used. */
MUST_CHECK enum status settings_sources_load(const struct settings_sources *sources,
                                             struct settings *ret, struct error *error);

/* Load again, check and resolve for `machine`, and replace `settings` (checked and resolved
 * before) at once. What needs a new process keeps its old value. `on_change` is called here for
 * each difference.
 * Outcomes as settings_sources_load(); on failure `settings` is unchanged. */
MUST_CHECK enum status settings_sources_reload(const struct settings_sources *sources,
                                               const struct machine          *machine,
                                               struct settings *settings, struct error *error,
                                               settings_sources_change_fn *on_change, void *ctx);

/* Change one setting of the running program, or one column of a record ("TABLE.NAME.COLUMN"): as a
 * reload would, but for this one value, which the next reload forgets.
 * STATUS_INVALID  unknown, not allowed, takes a new process, or does not fit the other settings:
 *                 `error` says which, `settings` is unchanged. */
MUST_CHECK enum status settings_sources_change(const struct machine *machine,
                                               struct settings *settings, struct bytes key,
                                               struct bytes value, struct error *error,
                                               settings_sources_change_fn *on_change, void *ctx);

enum { SETTINGS_SOURCES_PATH_SIZE = 108 };

/* Where the control socket is: control.path, or what auto comes to. `out` has
 * SETTINGS_SOURCES_PATH_SIZE bytes and is returned; NULL: there is none. */
const char *settings_sources_control_path(const struct settings_sources *sources,
                                          const struct settings *settings, char *out);

#endif
