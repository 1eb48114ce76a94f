/* index_file - an index in one checksummed file, written whole and replaced by rename
 *
 * The file, all numbers little-endian:
 *
 *   header, 4096 bytes
 *     0     8  magic "CBINDEX\n"
 *     8     4  version, 1
 *     12    4  size of the header, 4096
 *     16    8  sequence, the owner's
 *     24    8  identity: drawn when the index was made; its vectors file carries the same
 *     32    8  seed
 *     40    4  dim
 *     44    4  metric: 0 l2, 1 ip, 2 cosine
 *     48    4  coding: 0 q8, 1 q4
 *     52    4  M, 4 .. 32
 *     56    4  slots
 *     60    4  rows of upper links
 *     64    8  entry: (level + 1) << 32 | slot; 0: no graph
 *     72    4  segments of the vectors file that count
 *     76    4  records known: record numbers in the file are below
 *     80    4  sections, 11
 *     84    4  block size of the checksums, 1 MiB
 *     88    8  size of the file
 *     128   16 per section: offset and size, 8 bytes each, in the order of enum index_section
 *     4092  4  CRC-32C of bytes 0 .. 4091
 *   sections, each at a multiple of 4096, zeros between
 *     codes, headers, errors, records, rows, levels, states, links0, upper_rows, upper, sums:
 *     the arrays of the modules as they are in memory. What is computed anew when it is read is
 *     not stored: the way from record to slot, in-degrees, what is free. A slot that a repair
 *     takes out is DEAD in the file, or FREE once nothing leads to it.
 *   sums: 4 bytes per started block of each section before, in their order: its CRC-32C
 *
 * A snapshot is valid if the header's checksum is right, the sections lie in the file one behind
 * the other, every block has its checksum, and what they hold is sound: each link names another
 * slot that has lists at that level, each live record has one slot, each row lies within the
 * segments, numbers are finite, no two slots
 * share upper links. The reader trusts nothing: it
 * refuses with a reason, and never reads outside what it was given.
 *
 * Writing: sync the vectors; write PATH.tmp; sync; rename to PATH; sync the directory. A crash at
 * any point leaves the old snapshot or the new one, and the vectors that each refers to.
 */
#ifndef INDEX_INDEX_FILE_H
#define INDEX_INDEX_FILE_H

#include "index/vector_index.h"

/* Write a snapshot of `index` to its path; `sequence` is given back by index_file_load(). The
 * index goes on being used meanwhile by readers, not by the writer.
 * STATUS_IO_FAILED, STATUS_NOT_PERMITTED, STATUS_NO_MEMORY, STATUS_LIMIT_REACHED
 *               not written, or not known to be durable; an earlier snapshot is untouched unless
 *               only the last step, syncing the directory, failed. Once the vectors could not be
 *               synced, no later call succeeds: what is on the disk is not known, and the owner
 *               fills a new index. */
MUST_CHECK enum status index_file_save(struct vector_index *index, uint64_t sequence,
                                       struct error *error);

/* Open the index that was saved at options->path. dim and metric must be those of the file; m and
 * seed are taken from it. *ret_index is given: vector_index_free().
 * STATUS_NOT_FOUND  there is no snapshot.
 * STATUS_CORRUPT    there is one, which cannot be trusted, or is not of these options.
 * STATUS_INVALID    an option is out of bounds.
 * STATUS_LIMIT_REACHED, STATUS_NO_MEMORY, or what the file system refused. */
MUST_CHECK enum status index_file_load(const struct vector_index_options *options,
                                       struct vector_index **ret_index, uint64_t *ret_sequence,
                                       struct error *error);

/* Remove the snapshot, after it was loaded or saved: nothing refers to it any more, so the space of
 * what is changed from now on is used again at once. */
void index_file_forget(struct vector_index *index);

#endif
