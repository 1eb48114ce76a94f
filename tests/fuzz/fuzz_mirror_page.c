/* What is read of an answer is within its bounds, and can be read again; what is not is refused
 * with a reason.
 *
 * The first byte chooses whether only ids are looked at. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "mirror/mirror_page.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned sum;

static void touch(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++)
        sum += (unsigned char)text.data[i];
}

static void look_at(const struct mirror_page *page, size_t size)
{
    /* Two bytes are needed for a number, and one for a character. */
    if (page->count > size || (uint64_t)page->count * page->dimension > size / 2)
        abort();
    for (uint32_t i = 0; i < page->count; i++) {
        if (page->ids[i].size == 0)
            abort();
        touch(page->ids[i]);
        if (page->records == NULL)
            continue;
        touch(page->records[i].value.document);
        touch(page->records[i].value.uri);
        touch(page->records[i].value.metadata);
        if ((page->records[i].value.metadata.size > 0) != (page->records[i].metadata->count > 0))
            abort();
        for (uint32_t j = 0; j < page->dimension; j++)
            if (!isfinite(page->vectors[i * page->dimension + j]))
                abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mirror_page page;
    const char        *reason = NULL;

    if (size == 0)
        return 0;
    if (mirror_page_read((struct bytes){.data = (const char *)data + 1, .size = size - 1},
                         data[0] % 2 == 0, &page, &reason) == STATUS_OK) {
        look_at(&page, size);
        mirror_page_done(&page);
    } else if (reason == NULL) {
        abort();
    }
    return 0;
}
