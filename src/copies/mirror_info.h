/* mirror_info - what people are told of copies of collections
 *
 * The functions are private to the keeper of copies (mirror_state.h).
 */
#ifndef COPIES_MIRROR_INFO_H
#define COPIES_MIRROR_INFO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/status.h"
#include "chroma/collection_facts.h"
#include "copies/mirror_entry_state.h"
#include "copies/mirror_reason.h"

struct mirror_entry;
struct mirror_keeper;

struct mirror_entry_info {
    uint8_t                 uuid[16];
    struct scope            scope; /* borrowed for the call, as is the next */
    struct bytes            name;  /* empty: not known yet */
    enum mirror_entry_state state;
    enum mirror_reason      reason;          /* why it waits, or waited last, or is stopped */
    const char             *detail;          /* more of it; NULL: no more is known */
    uint64_t                records, hollow; /* hollow: not filled yet */
    uint64_t                memory, disk;    /* bytes, of all copies of it */
    uint64_t expected_memory;  /* of a copy that is not complete, when it is, about; */
    uint64_t expected_records; /* of so many; */
    uint64_t expected_vectors; /* bytes on disk, without texts; all 0: that is not known */
    uint64_t age_us;           /* as mirror_hold_age_us(); of none that is complete 0 */
    uint64_t retry_us;         /* from now until it is begun again; 0: it does not wait */
    uint64_t left_us;          /* estimate until it is filled; 0: none */
    bool     is_kept;          /* the copy is that of the Chroma before */
    uint64_t fills;            /* that became complete */
    uint64_t fill_us;          /* that the last one took */
    uint64_t refills[MIRROR_REASON_COUNT]; /* begun again, by reason */
    uint64_t writes;                       /* applied to its copies */
    double   reads_per_second;             /* of late */
};

/* Is it told of? Not what was read now and then, and is not wanted. */
bool mirror_info_is_shown(const struct mirror_entry *entry, uint64_t now_us);

void mirror_info_describe(const struct mirror_entry *entry, uint64_t now_us,
                          struct mirror_entry_info *ret_info);

/* mirror_keeper_print_metrics(). */
MUST_CHECK enum status mirror_info_print_metrics(const struct mirror_keeper *keeper,
                                                 struct byte_buffer         *out);

#endif
