/* What is called eligible must be so, and its splice must read as the concatenation.
 *
 * The first byte chooses the operation; bodies follow, ended by 0xff, which is in no UTF-8. */
#include <stdint.h>
#include <stdlib.h>

#include "support/splice_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum chroma_operation operations[] = {
        CHROMA_OPERATION_ADD, CHROMA_OPERATION_UPSERT, CHROMA_OPERATION_UPDATE};
    struct bytes bodies[8];
    size_t       count = 0;
    const char  *at = (const char *)data, *end = at + size;

    if (size == 0)
        return 0;
    for (at++; at < end && count < 8; count++) {
        const char *stop = memchr(at, 0xff, (size_t)(end - at));

        if (stop == NULL)
            stop = end;
        bodies[count] = (struct bytes){.data = at, .size = (size_t)(stop - at)};
        at = stop == end ? end : stop + 1;
    }
    splice_check(operations[data[0] % 3], bodies, count);
    return 0;
}
