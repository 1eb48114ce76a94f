/* guard_probe - is there a collection that a pattern of guard.collections fits?
 *
 * For `check`, which waits for the answers.
 */
#ifndef CLI_GUARD_PROBE_H
#define CLI_GUARD_PROBE_H

#include "app/settings.h"
#include "limits/guard_rules.h"

enum guard_probe_result {
    GUARD_PROBE_FOUND,
    GUARD_PROBE_NONE,
    GUARD_PROBE_UNKNOWN /* its tenant or database has a `*`, there are too many, or no answer */
};

/* Look in the database of the pattern; where it says none, in the default one, whose name is
 * written to `where`. */
enum { GUARD_PROBE_WHERE_SIZE = 400 };
enum guard_probe_result guard_probe_find(const struct settings      *settings,
                                         const struct guard_pattern *pattern,
                                         char                        where[GUARD_PROBE_WHERE_SIZE]);

#endif
