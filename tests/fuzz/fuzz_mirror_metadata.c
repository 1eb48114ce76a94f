/* The first byte chooses where the JSON comes from. Metadata that is read is JSON; its fields are
 * in order, each is found under its key, and lists hold values of one type. What is cut short is
 * not read. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/mirror_metadata.h"
#include "json/json_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every byte of what was read is looked at. */
static size_t weigh_field(const struct mirror_field *field)
{
    size_t weight = 0;

    for (uint32_t i = 0; i < field->count; i++) {
        if (field->type != MIRROR_TYPE_STRING)
            continue;
        for (size_t k = 0; k < field->items[i].text.size; k++)
            weight += (unsigned char)field->items[i].text.data[k];
    }
    return weight;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum mirror_source source =
        size > 0 && data[0] % 2 == 0 ? MIRROR_SOURCE_ANSWER : MIRROR_SOURCE_WRITE;
    struct bytes            json = {.data = (const char *)data + 1, .size = size - 1};
    struct mirror_metadata *metadata, *other;
    const char             *reason = NULL;
    size_t                  weight = 0;

    if (size-- == 0)
        return 0;
    if (mirror_metadata_read(json, source, &metadata, &reason) != STATUS_OK) {
        if (reason == NULL)
            abort();
        return 0;
    }
    if (!json_scan_is_valid(json) || metadata->count > MIRROR_METADATA_VALUES_MAX)
        abort();
    for (size_t i = 0; i < metadata->count; i++) {
        const struct mirror_field *field = &metadata->fields[i];

        if ((i > 0 && mirror_metadata_compare(field[-1].key, field->key) >= 0) ||
            mirror_metadata_find(metadata, field->key) != field || field->count == 0 ||
            (!field->is_list && field->count != 1))
            abort();
        weight += weigh_field(field);
    }
    while (size > 0 && strchr(" \n\r\t", json.data[size - 1]) != NULL)
        size--;
    for (size_t cut = 0; cut < size && size < 1024; cut++)
        if (mirror_metadata_read((struct bytes){.data = json.data, .size = cut}, source, &other,
                                 &reason) == STATUS_OK)
            abort();
    mirror_metadata_free(metadata);
    return weight == SIZE_MAX;
}
