/* fake_mirror_copy - mirror/mirror_copy.h over a few records in memory, and what it was told
 *
 * It is what the real one is for the keeper: it follows the rules of the moments, and aborts when
 * it is told something that its contract forbids.
 */
#ifndef FLOW_FAKE_MIRROR_COPY_H
#define FLOW_FAKE_MIRROR_COPY_H

#include "flow/fake_records.h"
#include "mirror/mirror_copy.h"

/* Of all of them; zeroed by the test. */
struct fake_mirror_copies {
    size_t      made, alive, alive_peak;
    size_t      writes, pages, pages_failed;
    size_t      deletes_found; /* among the writes: those told with what was found before */
    size_t      page_records;  /* asked for at once */
    size_t      page_bytes;    /* wanted of the last page */
    uint64_t    record_memory; /* that each takes */
    uint64_t    expected;      /* in the end, while some are hollow; 0: what they take */
    bool        is_unsampled;  /* but that is not certain */
    size_t      answers;
    enum status answer_fails;  /* what each answer comes to, if not OK */
    unsigned    answer_status; /* 0: 200 */
    enum status fails;         /* what the next change comes to, if not OK; then it is OK again */
    char        last_path[200];
    uint64_t    last_memory_max;
};

extern struct fake_mirror_copies fake_mirror_copies;

/* What was saved last; it outlasts a world, as its files do. */
extern struct fake_records fake_mirror_saved;

/* Has it the same records in the same order, and no hollow ones? */
bool fake_mirror_copy_is(const struct mirror_copy *copy, const struct fake_records *records);

#endif
