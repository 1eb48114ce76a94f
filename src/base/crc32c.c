#include "base/crc32c.h"

#include <pthread.h>
#include <string.h>

static uint32_t       crc_table[256];
static pthread_once_t crc_table_once = PTHREAD_ONCE_INIT;

static void fill_table(void);

#if defined(__x86_64__)
static uint32_t crc32c_sse42(uint32_t crc, const unsigned char *data, size_t size);
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2"))
        return crc32c_sse42(crc, data, size);
#endif
    return crc32c_portable(crc, data, size);
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t
crc32c_sse42(uint32_t crc, const unsigned char *data, size_t size)
{
    uint64_t sum = ~crc;

    for (; size >= 8; data += 8, size -= 8) {
        uint64_t word;

        memcpy(&word, data, 8);
        sum = __builtin_ia32_crc32di(sum, word);
    }
    for (; size > 0; data++, size--)
        sum = __builtin_ia32_crc32qi((uint32_t)sum, *data);
    return ~(uint32_t)sum;
}
#endif

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t size)
{
    const unsigned char *byte = data;

    pthread_once(&crc_table_once, fill_table);
    crc = ~crc;
    for (size_t i = 0; i < size; i++)
        crc = (crc >> 8) ^ crc_table[(crc ^ byte[i]) & 0xff];
    return ~crc;
}

static void fill_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t value = i;

        for (int bit = 0; bit < 8; bit++)
            value = (value >> 1) ^ (UINT32_C(0x82f63b78) & (0 - (value & 1)));
        crc_table[i] = value;
    }
}
