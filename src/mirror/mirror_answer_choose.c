#include <stdlib.h>
#include <string.h>

#include "mirror/mirror_answer_core.h"
#include "json/json_scan.h"

static enum status answer_choose_filtered(struct mirror_asked *asked);
static enum status answer_choose_ids(struct mirror_asked *asked);
static enum status choose_row(struct mirror_asked *asked, uint32_t row, uint64_t **bitmap,
                              uint32_t *bits, uint32_t *count);
static enum status miss_id(struct mirror_asked *asked);
static enum status read_id(struct mirror_asked *asked, struct json_scan *scan, char **text,
                           size_t *room, struct bytes *ret_id);
static enum status grow_bitmap(uint64_t **bitmap, uint32_t *bits, uint32_t row);

enum status mirror_answer_choose(struct mirror_asked *asked)
{
    enum status status = STATUS_OK;

    if (asked->filter != NULL)
        status = answer_choose_filtered(asked);
    if (status == STATUS_OK && mirror_answer_core_has(asked, CHROMA_QUERY_IDS))
        status = answer_choose_ids(asked);
    return status;
}

static enum status answer_choose_filtered(struct mirror_asked *asked)
{
    const uint64_t *bitmap;
    enum status status = mirror_reader_filter(asked->reader, asked->filter, &bitmap, &asked->bits,
                                              &asked->bit_count);

    if (status != STATUS_OK)
        return status;
    asked->bitmap = calloc(asked->bits / 64 + 1, sizeof *asked->bitmap);
    if (asked->bitmap == NULL)
        return STATUS_NO_MEMORY;
    if (asked->bits > 0)
        memcpy(asked->bitmap, bitmap, (asked->bits + 63) / 64 * sizeof *asked->bitmap);
    return STATUS_OK;
}

/* Of those that match the filter these. */
static enum status answer_choose_ids(struct mirror_asked *asked)
{
    uint64_t        *bitmap = NULL;
    uint32_t         bits = 0, count = 0, row;
    char            *text = NULL;
    size_t           room = 0;
    struct bytes     id;
    struct json_scan scan;
    enum status      status = grow_bitmap(&bitmap, &bits, 0);

    json_scan_init(&scan, asked->query.spans[CHROMA_QUERY_IDS]);
    json_scan_array(&scan);
    while (mirror_answer_core_goes_on(asked, status) && json_scan_element(&scan)) {
        status = read_id(asked, &scan, &text, &room, &id);
        if (status != STATUS_OK)
            break;
        status = mirror_records_find(asked->records, id, &row) == STATUS_OK
                     ? choose_row(asked, row, &bitmap, &bits, &count)
                     : miss_id(asked);
    }
    free(text);
    free(asked->bitmap);
    asked->bitmap = bitmap;
    asked->bits = bits;
    asked->bit_count = count;
    return status;
}

static enum status choose_row(struct mirror_asked *asked, uint32_t row, uint64_t **bitmap,
                              uint32_t *bits, uint32_t *count)
{
    enum status status = grow_bitmap(bitmap, bits, row);
    uint64_t    bit = UINT64_C(1) << row % 64;

    if (status != STATUS_OK || ((*bitmap)[row / 64] & bit) != 0 ||
        (asked->filter != NULL && (row >= asked->bits || (asked->bitmap[row / 64] & bit) == 0)))
        return status;
    (*bitmap)[row / 64] |= bit;
    (*count)++;
    return STATUS_OK;
}

/* An id that is not there: Chroma's index fails to find it, unless a filter is asked first. It has
 * no index before there were vectors. */
static enum status miss_id(struct mirror_asked *asked)
{
    if (asked->question->route->operation != CHROMA_OPERATION_QUERY || asked->filter != NULL)
        return STATUS_OK;
    if (mirror_records_dimension(asked->records) == 0)
        return mirror_answer_core_leave(asked, "dimension");
    return mirror_answer_body_refuse(asked, 500, "InternalError",
                                     "Error executing plan: Internal error: Error finding id");
}

/* Borrowed until the next one; `text` is freed by the caller. */
static enum status read_id(struct mirror_asked *asked, struct json_scan *scan, char **text,
                           size_t *room, struct bytes *ret_id)
{
    struct json_string string;

    if (!json_scan_string(scan, &string))
        return mirror_answer_core_leave(asked, "body");
    *ret_id = string.raw;
    if (!string.has_escapes)
        return STATUS_OK;
    if (*room < string.raw.size) {
        char *more = realloc(*text, string.raw.size);

        if (more == NULL)
            return STATUS_NO_MEMORY;
        *text = more;
        *room = string.raw.size;
    }
    *ret_id = (struct bytes){*text, json_scan_decode(string, *text)};
    return STATUS_OK;
}

static enum status grow_bitmap(uint64_t **bitmap, uint32_t *bits, uint32_t row)
{
    uint32_t  before = *bits / 64, words = (row / 64 + 1) * 2;
    uint64_t *more;

    if (row < *bits)
        return STATUS_OK;
    more = realloc(*bitmap, words * sizeof *more);
    if (more == NULL)
        return STATUS_NO_MEMORY;
    memset(more + before, 0, (words - before) * sizeof *more);
    *bitmap = more;
    *bits = words * 64;
    return STATUS_OK;
}
