/* mirror_reason - why a copy of a collection was given up, or is none (mirror_reason.def) */
#ifndef COPIES_MIRROR_REASON_H
#define COPIES_MIRROR_REASON_H

#include <stdbool.h>

enum mirror_reason {
    MIRROR_REASON_NONE,
#define REASON(id, label, is_final, text) MIRROR_REASON_##id,
#include "copies/mirror_reason.def"
#undef REASON
    MIRROR_REASON_COUNT
};

/* "unknown_outcome", and the same for people. Static storage. */
const char *mirror_reason_label(enum mirror_reason reason);
const char *mirror_reason_text(enum mirror_reason reason);

/* Is it of no use to try again? */
bool mirror_reason_is_final(enum mirror_reason reason);

#endif
