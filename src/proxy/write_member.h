/* write_member - one write as the coalescer sees it: scanned, with what merging compares
 *
 * Private to proxy/.
 */
#ifndef PROXY_WRITE_MEMBER_H
#define PROXY_WRITE_MEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "base/compiler.h"
#include "chroma/chroma_records.h"
#include "io/worker_pool.h"
#include "proxy/exchange.h"
#include "writes/coalescer.h"

struct write_member {
    struct exchange      *exchange;
    struct chroma_records records;
    bool                  is_eligible; /* proven to pass alone; `records` is filled */
    struct worker_job     scan_job;

    /* The head for a call that this write shares with others, up to the fields that a call of its
     * own needs; compared byte for byte to find those others. */
    struct byte_buffer shared_head;
    struct byte_buffer identity; /* credentials, else the client's address */

    /* For the log: the last call it was part of. */
    uint64_t batch_id, batch_sent_us;
    uint32_t batch_members, batch_index, batch_attempts;
};

/* Make the member of `exchange`, whose request is complete; its body is not scanned yet. NULL when
 * out of memory. */
struct write_member *write_member_new(struct exchange *exchange);

/* NULL is a no-op. */
void write_member_free(struct write_member *member);

/* Scan the body: sets is_eligible. On any thread, if nobody else touches the member meanwhile. */
void write_member_scan(struct write_member *member);

/* Describe the write to the coalescer; `ret_write` borrows from the member. */
void write_member_describe(const struct write_member *member, uint64_t deadline_us,
                           struct coalescer_write *ret_write);

#endif
