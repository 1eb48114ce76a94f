/* mirror_question - what a copy is asked
 *
 * Plain data.
 */
#ifndef MIRROR_MIRROR_QUESTION_H
#define MIRROR_MIRROR_QUESTION_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "chroma/chroma_route.h"

struct mirror_question {
    const struct chroma_route *route; /* borrowed for the call, with what it points to */
    struct bytes               body;
    uint32_t                   dimension; /* as Chroma says it; 0: not fixed, or not known */
    uint64_t                   deadline_us;
    size_t                     size_max;
};

#endif
