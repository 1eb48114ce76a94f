/* mirror_page - the records in an answer of Chroma to `get`
 *
 * Nothing of the answer is trusted: what is no such answer in every respect is not read.
 *
 * Thread: any; a page of MiBs takes milliseconds. Memory: in proportion to the answer, some six
 * times its size for records that are nearly empty; texts with escapes, decoded; metadata, read.
 */
#ifndef MIRROR_MIRROR_PAGE_H
#define MIRROR_MIRROR_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/status.h"
#include "mirror/mirror_metadata.h"
#include "mirror/mirror_values.h"

struct mirror_page_record {
    struct mirror_value     value;
    struct mirror_metadata *metadata; /* value.metadata, read; NULL: none */
};

/* All of it borrows from the answer. */
struct mirror_page {
    uint32_t                   count;
    struct bytes              *ids;     /* none is empty */
    struct mirror_page_record *records; /* NULL: only ids were asked for */
    float                     *vectors; /* one behind the other */
    uint32_t                   dimension;
    char                      *texts; /* private */
};

/* `has_records`: the answer has documents, metadatas, embeddings and uris; else nothing but the ids
 * is looked at.
 * STATUS_OK               *ret_page is filled in: mirror_page_done().
 * STATUS_NOT_IMPLEMENTED  *ret_reason says why; static storage.
 * STATUS_NO_MEMORY        */
MUST_CHECK enum status mirror_page_read(struct bytes answer, bool has_records,
                                        struct mirror_page *ret_page, const char **ret_reason);

/* Harmless on zeroes and a second time. */
void mirror_page_done(struct mirror_page *page);

#endif
