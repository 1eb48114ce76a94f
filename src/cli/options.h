/* options - the command line: words, flags of our own and settings
 *
 * Flags may stand before and behind the command; `--` ends them. Every setting is a flag by
 * `--set KEY=VALUE`, some have a flag of their own (settings.def).
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "app/settings_sources.h"

/* Flags that some commands take beside those about settings. */
enum {
    OPTIONS_OUTPUT = 1 /* -o json */,
    OPTIONS_WAIT = 2 /* --wait */,
    OPTIONS_ONCE = 4 /* --once */,
    OPTIONS_PATH = 8 /* --path, which wrap reads itself */,
    OPTIONS_STRICT = 16 /* --strict, likewise */,
    OPTIONS_SERVICE = 32 /* --service NAME */,
    OPTIONS_MIRROR = 128 /* --mirror, or --mirror=MODE */,
    OPTIONS_ALLOW = 64 /* --allow SCOPE, as often as OPTIONS_ALLOW_MAX */
};

enum { OPTIONS_ALLOW_MAX = 64 };

struct options {
    struct settings_sources sources;
    char                  **words; /* what is no flag, the command first; borrowed from argv */
    int                     word_count;
    const char             *first_setting; /* the first flag about settings; NULL: none */
    unsigned                own;           /* OPTIONS_... that were given */
    bool                    help, version;
    const char             *service; /* NULL: it was not given */
    const char             *allow[OPTIONS_ALLOW_MAX];
    size_t                  allow_count;
};

/* Read the command line; `argv` is borrowed as long as `options` lives, its words are moved to its
 * front.
 * STATUS_INVALID  `error` says what is wrong. */
MUST_CHECK enum status options_parse(struct options *options, int argc, char **argv,
                                     struct error *error);

/* One of those that were given and are not among `taken` (OPTIONS_...), as it is written; NULL:
 * there is none. */
const char *options_find_foreign(const struct options *options, unsigned taken);

#endif
