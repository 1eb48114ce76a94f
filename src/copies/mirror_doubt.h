/* mirror_doubt - copies that have shown that they are not what Chroma holds
 *
 * Thread: event loop only. Memory: none.
 */
#ifndef COPIES_MIRROR_DOUBT_H
#define COPIES_MIRROR_DOUBT_H

#include <stdint.h>

#include "base/status.h"
#include "copies/mirror_reason.h"

struct mirror_hold;
struct mirror_keeper;

/* The copy that is held, or the complete one of a collection, if it is there still: it is given up
 * for this reason (`detail`: static, or NULL), answers nothing more, in no mode, and is begun anew
 * after the pause of whatever may happen again. */
void mirror_doubt_held(const struct mirror_hold *hold, enum mirror_reason reason,
                       const char *detail);
void mirror_doubt_collection(struct mirror_keeper *keeper, const uint8_t uuid[16],
                             enum mirror_reason reason, const char *detail);

/* What reading the copy that is held has come to: one of which a value is damaged, or cannot be
 * read, is given up. */
void mirror_doubt_on_read(const struct mirror_hold *hold, enum status status);

#endif
