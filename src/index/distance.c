#include "index/distance.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "index/distance_level.h"

static const struct distance_kernels *chosen;
static pthread_once_t                 chosen_once = PTHREAD_ONCE_INIT;

static void distance_choose(void);

const struct distance_kernels *distance_kernels(void)
{
    pthread_once(&chosen_once, distance_choose);
    return chosen;
}

static void distance_choose(void)
{
    static const char *const best_first[] = {"vnni", "avx2", "scalar"};
    const char              *forced = getenv("CHROMABOUNCER_KERNEL");

    if (forced != NULL)
        chosen = distance_named(forced);
    for (size_t i = 0; chosen == NULL && i < COUNT_OF(best_first); i++)
        chosen = distance_named(best_first[i]);
}

const struct distance_kernels *distance_named(const char *name)
{
    if (strcmp(name, "scalar") == 0)
        return &distance_scalar_kernels;
#if defined(__x86_64__)
    if (strcmp(name, "avx2") == 0 && __builtin_cpu_supports("avx2") &&
        __builtin_cpu_supports("fma"))
        return &distance_avx2_kernels;
    if (strcmp(name, "vnni") == 0 && __builtin_cpu_supports("avx512vnni") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
        return &distance_vnni_kernels;
#endif
    return NULL;
}
