/* mirror_save - the records of a copy in files that outlast their process, and back
 *
 * PATH.records, made here, all numbers little-endian:
 *
 *   0   8  magic "CBCOPY\n", version 1
 *   8   4  space, as enum collection_space
 *   12  4  dimension; 0: no vector was ever put
 *   16  4  records
 *   20  4  of them with a vector
 *   24     the records in their order, each
 *          0   4  row
 *          4   4  1: it has a document, 2: a uri, 4: a vector
 *          8  16  sizes of id, metadata, document and uri, 4 bytes each
 *          24  4  checksum of the vector (mirror_vectors.h)
 *          28  4  CRC-32C of bytes 0 .. 27 and of what follows
 *          32     id, metadata, document, uri
 *
 * Beside it the snapshot of the index, PATH, and PATH.vectors (index/index_file.h). The *seal* says
 * what PATH.records must be to the bit; that names each record's row and the checksum of its
 * vector, and the snapshot has the seal's checksum in it.
 *
 * What is read is not trusted: it is refused, or it is what was saved. Ids, columns and values are
 * made anew from it, as if they were put; the index comes as it was.
 *
 * Thread: the writer's. Takes time by the size of the records.
 */
#ifndef MIRROR_MIRROR_SAVE_H
#define MIRROR_MIRROR_SAVE_H

#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"
#include "mirror/mirror_records.h"

struct mirror_save_seal {
    uint64_t size;     /* of PATH.records */
    uint32_t checksum; /* of all of it */
    uint32_t records;
};

/* Save records, none of which is hollow, and bring them to stable storage. PATH.records and the
 * snapshot may have `bytes_max` bytes together.
 * STATUS_NOT_IMPLEMENTED  one is hollow.
 * STATUS_LIMIT_REACHED    they would take more.
 * STATUS_CORRUPT          a value or vector is not what was put.
 * STATUS_NO_MEMORY, STATUS_IO_FAILED, STATUS_NOT_PERMITTED
 * After any of these mirror_save_remove(). */
MUST_CHECK enum status mirror_save_write(struct mirror_records *records, uint64_t bytes_max,
                                         struct mirror_save_seal *ret_seal);

/* Make records of what was saved at options->path, and remove PATH.records and the snapshot.
 * *ret_records is given. The space must be that of the options.
 * STATUS_CORRUPT, STATUS_NOT_FOUND  they are not what the seal says, or are gone.
 * STATUS_LIMIT_REACHED              they do not fit into the options.
 * Others as mirror_records_new(). After any of these mirror_save_remove(). */
MUST_CHECK enum status mirror_save_read(const struct mirror_records_options *options,
                                        const struct mirror_save_seal       *seal,
                                        struct mirror_records              **ret_records);

/* Remove what was saved at `path`; what is not there does not matter. NULL: the system's calls. */
void mirror_save_remove(const struct file_ops *ops, const char *path);

/* Its files: path, and this with each of the endings; NULL behind the last one. */
extern const char *const mirror_save_endings[];

#endif
