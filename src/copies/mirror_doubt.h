/* mirror_doubt - copies that have shown that they are not what Chroma holds
 *
 * Thread: event loop only. Memory: none.
 */
#ifndef COPIES_MIRROR_DOUBT_H
#define COPIES_MIRROR_DOUBT_H

#include <stdint.h>

#include "copies/mirror_reason.h"

struct mirror_keeper;

/* The complete copy of a collection, if there is one: it is given up for this reason (`detail`:
 * static, or NULL), answers nothing more, in no mode, and is begun anew after the pause of whatever
 * may happen again. */
void mirror_doubt_collection(struct mirror_keeper *keeper, const uint8_t uuid[16],
                             enum mirror_reason reason, const char *detail);

#endif
