#include "limits/name_pattern.h"

#include <stdint.h>

/* When a character does not fit, the last `*` takes one more. */
bool name_pattern_fits(struct bytes pattern, struct bytes name)
{
    size_t p = 0, t = 0, star = SIZE_MAX, star_t = 0;

    while (t < name.size) {
        if (p < pattern.size && pattern.data[p] == '*') {
            star = p++;
            star_t = t;
        } else if (p < pattern.size && pattern.data[p] == name.data[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++star_t;
        } else {
            return false;
        }
    }
    while (p < pattern.size && pattern.data[p] == '*')
        p++;
    return p == pattern.size;
}
