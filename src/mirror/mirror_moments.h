/* mirror_moments - when a question was sent to Chroma and when its answer was known
 *
 * Numbers of a clock of the asker's that moves with each event, from 1.
 */
#ifndef MIRROR_MIRROR_MOMENTS_H
#define MIRROR_MIRROR_MOMENTS_H

#include <stdint.h>

struct mirror_moments {
    uint64_t sent, known;
};

#endif
