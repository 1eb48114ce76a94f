/* copy_world - a model of Chroma and of who keeps a copy of it, in all legal orders of events
 *
 * Chroma has a few records. One write at a time is under way: sent, applied, known; so is one list,
 * read at one moment between sent and known, and one page, whose texts and vectors are read at two.
 * What is known is told to the copy in its order, later, while events go on.
 */
#ifndef SUPPORT_COPY_WORLD_H
#define SUPPORT_COPY_WORLD_H

#include "support/sim_seeds.h"

/* Run seeds; the check fails if a copy that is whole is not as Chroma is, or if it is not whole
 * after a few pages without writes. `path` for its files. */
void world_run_seeds(struct sim_seeds seeds, const char *path);

#endif
