#include "flow/flow_pattern.h"

/* A prime, so that no two offsets of bodies or blocks coincide by chance. */
enum { period = 4093 };

static const char *run_at(unsigned id, bool is_answer, uint64_t at, size_t *size);

void flow_pattern_write(char *data, size_t size, unsigned id, bool is_answer, uint64_t at)
{
    while (size > 0) {
        size_t      count = size;
        const char *run = run_at(id, is_answer, at, &count);

        memcpy(data, run, count);
        data += count;
        at += count;
        size -= count;
    }
}

bool flow_pattern_matches(struct bytes data, unsigned id, bool is_answer, uint64_t at)
{
    while (data.size > 0) {
        size_t      count = data.size;
        const char *run = run_at(id, is_answer, at, &count);

        if (memcmp(data.data, run, count) != 0)
            return false;
        data = bytes_skip(data, count);
        at += count;
    }
    return true;
}

/* Where the bytes from `at` on stand in the table, and, of *size, how many do so in one piece. */
static const char *run_at(unsigned id, bool is_answer, uint64_t at, size_t *size)
{
    static char table[period];
    size_t      offset = (size_t)((id * 769u + (is_answer ? 1931u : 0u) + at) % period);
    uint32_t    random = 1;

    if (table[0] == '\0')
        for (size_t i = 0; i < period; i++) {
            random = random * 1664525u + 1013904223u;
            table[i] = (char)('a' + (random >> 16) % 26);
        }
    if (*size > period - offset)
        *size = period - offset;
    return table + offset;
}
