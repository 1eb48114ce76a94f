/* mirror_records_core - the fields of mirror_records, for its writer and its readers */
#ifndef MIRROR_MIRROR_RECORDS_CORE_H
#define MIRROR_MIRROR_RECORDS_CORE_H

#include <stdint.h>

#include "chroma/collection_answer.h"
#include "index/index_memory.h"
#include "index/vector_index.h"
#include "mirror/mirror_columns.h"
#include "mirror/mirror_ids.h"
#include "mirror/mirror_values.h"

struct mirror_records {
    char                  *path; /* not counted */
    enum collection_space  space;
    uint32_t               records_max;
    uint64_t               memory_max, disk_max;
    uint64_t               seed; /* of the index */
    const struct file_ops *file_ops;

    struct index_memory    memory; /* of all but the index */
    struct mirror_ids     *ids;
    struct mirror_values  *values;
    struct mirror_columns *columns;
    struct index_region    live;  /* a bit for each row that is not hollow */
    struct vector_index   *index; /* NULL until the first vector */
    uint32_t               dimension, hollow_count;
};

static inline uint64_t *mirror_records_core_live(const struct mirror_records *records)
{
    return (uint64_t *)(void *)records->live.base;
}

#endif
