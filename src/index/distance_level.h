/* distance_level - the tables of the single instruction sets; only distance.c needs them */
#ifndef INDEX_DISTANCE_LEVEL_H
#define INDEX_DISTANCE_LEVEL_H

#include "index/distance.h"

extern const struct distance_kernels distance_scalar_kernels;
#if defined(__x86_64__)
extern const struct distance_kernels distance_avx2_kernels;
extern const struct distance_kernels distance_vnni_kernels;
#endif

#endif
