/* mirror_columns_core - the fields of mirror_columns, for its writer and its evaluation */
#ifndef MIRROR_MIRROR_COLUMNS_CORE_H
#define MIRROR_MIRROR_COLUMNS_CORE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "mirror/mirror_column.h"
#include "mirror/mirror_grams.h"
#include "mirror/mirror_metadata.h"
#include "mirror/mirror_terms.h"

/* What a row is about to hold. */
struct columns_pending {
    struct mirror_column *column;
    uint32_t              number;
};

struct mirror_columns {
    struct mirror_terms_owner owner;
    struct mirror_terms       keys;
    struct mirror_column    **columns; /* by the number of the key; NULL: none */
    uint32_t                  column_capacity;
    uint32_t                  row_words; /* of 64 rows, in the next two */
    uint64_t                 *filled;    /* rows with metadata */
    uint64_t                 *documents; /* rows with a document */
    uint32_t                  row_end;   /* behind the last row that was ever set */
    struct mirror_grams       grams;
    bool                      has_grams; /* every document has its signature */
    uint32_t                  pending_count;
    struct columns_pending    pending[MIRROR_METADATA_VALUES_MAX];
};

/* What documents are searched as: to SQLite's LIKE a text ends at a NUL. */
static inline struct bytes mirror_columns_searched(struct bytes document)
{
    return (struct bytes){.data = document.data,
                          .size = document.size == 0 ? 0 : strnlen(document.data, document.size)};
}

#endif
