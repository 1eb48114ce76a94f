/* stub_log - what was applied, in order, for a history checker
 *
 * One JSON object per line:
 *
 *   {"seq":1,"op":"upsert","collection":"<uuid>","request":"<x-request-id>","ids":["a"],
 *    "sums":["<16 hex digits>"]}
 *
 * A record's sum is the 64-bit FNV-1a hash of what the request said of it: `v` and the vector as
 * little-endian f32, `d` and the document, `u` and the uri, `m` and the metadata as compact JSON
 * with sorted keys; what is null or absent is left out. Deletes have no sums.
 */
#ifndef SUPPORT_STUB_LOG_H
#define SUPPORT_STUB_LOG_H

#include <stdio.h>

#include "base/byte_buffer.h"
#include "support/stub_payload.h"

struct stub_log {
    struct byte_buffer text;
    size_t             bytes_max; /* of text; what does not fit is counted in `dropped` */
    FILE              *file;      /* a copy of each line, or NULL; borrowed */
    uint64_t           operations, records, dropped;
};

/* Free the text. */
void stub_log_done(struct stub_log *log);

/* Note that the records of `ids` were written, or deleted when `payload` is NULL. */
void stub_log_add(struct stub_log *log, enum stub_op op, const char *collection,
                  const char *request, const json_t *ids, const struct stub_payload *payload);

/* Whole lines from byte `offset` on, 8 MiB at most; empty at the end. Borrowed until the next
 * stub_log_add(). */
struct bytes stub_log_read(const struct stub_log *log, size_t offset);

#endif
