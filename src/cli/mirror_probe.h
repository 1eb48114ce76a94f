/* mirror_probe - what copies of the collections that are there would take, about
 *
 * For `check`, which waits for the answers. Of Chroma's default database.
 */
#ifndef CLI_MIRROR_PROBE_H
#define CLI_MIRROR_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "app/settings.h"

struct mirror_probe {
    uint64_t collections, records; /* those that mirror.collections wants */
    uint64_t memory;               /* bytes */
    uint64_t vectors;              /* bytes of them on disk; texts come on top */
    bool     is_whole;             /* false: there are more, or Chroma did not answer */
};

/* Ask Chroma for its collections and their sizes. */
void mirror_probe_walk(const struct settings *settings, struct mirror_probe *ret);

#endif
