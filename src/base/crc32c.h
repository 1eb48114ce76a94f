/* crc32c - the checksum of stored data (Castagnoli polynomial, as iSCSI and ext4 use it) */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of `crc`'s data followed by `size` bytes at `data`; begin with 0. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);

/* The same by table, whatever the processor offers: the judge of the fast one in tests. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t size);

#endif
