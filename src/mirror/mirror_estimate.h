/* mirror_estimate - what a copy will take when it is filled
 *
 * Before it is begun, by what is known of its collection; and while it is filled, when the ids of
 * all records are there, and the contents of some.
 *
 * Thread: as mirror_records.h. Memory: none.
 */
#ifndef MIRROR_MIRROR_ESTIMATE_H
#define MIRROR_MIRROR_ESTIMATE_H

#include <stdbool.h>
#include <stdint.h>

struct mirror_records;

/* Of `records` records with vectors of `dimension` numbers (0: not known yet), and with ids,
 * documents and some metadata as they are mostly. */
uint64_t mirror_estimate_of_size(uint64_t records, uint32_t dimension);

/* Of the disk, for the vectors alone: how long the texts are nobody knows before they are read. */
uint64_t mirror_estimate_of_vectors(uint64_t records, uint32_t dimension);

/* If the rest is as what is filled. Of less than a sixteenth (20 000 records) nobody can tell
 * whether values of metadata go on being new, so they are not expected to: *ret_is_sampled is
 * false, and it may be too low. */
uint64_t mirror_estimate_of_filling(const struct mirror_records *records, bool *ret_is_sampled);

#endif
