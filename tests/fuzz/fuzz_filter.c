/* A filter that is read is JSON, and what it matches does not change when it stands alone in an
 * $and or an $or, beside itself, or inside both; cut short it is never read.
 *
 * The first byte chooses `where` or `where_document`, the rest is the filter. It is asked for
 * records with values of every type. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "mirror/filter.h"
#include "json/json_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
    const char  *metadata;
    struct bytes document;
} records[] = {
    {"{}", {.data = NULL}},
    {"{\"a\":1,\"b\":\"x\",\"c\":true}", BYTES_INIT("hello")},
    {"{\"a\":1.5,\"b\":[\"x\",\"y\"],\"c\":[true]}", BYTES_INIT("")},
    {"{\"a\":[1,2],\"b\":[1.5],\"\":-9223372036854775808}", BYTES_INIT("a\0b")},
    {"{\"a\":1e300,\"b\":\"\",\"c\":0}", BYTES_INIT("\xe4\xb8\xad\xe6\x96\x87 \xf0\x9f\x98\x80")},
};

/* A bit for each record that matches; -1: the filter was not read. */
static int match(bool is_document, struct bytes text)
{
    const struct bytes none = {.data = NULL};
    struct filter     *filter = NULL;
    const char        *reason = NULL;
    int                matched = 0;

    if (filter_new(is_document ? none : text, is_document ? text : none, &filter, &reason) !=
        STATUS_OK) {
        if (reason == NULL)
            abort();
        return -1;
    }
    for (size_t i = 0; i < COUNT_OF(records); i++) {
        struct filter_subject   subject = {.document = records[i].document,
                                           .has_document = records[i].document.data != NULL};
        struct mirror_metadata *metadata;

        if (mirror_metadata_read(bytes_of(records[i].metadata), MIRROR_SOURCE_WRITE, &metadata,
                                 &reason) != STATUS_OK)
            abort();
        subject.metadata = metadata;
        matched |= filter_matches(filter, &subject) ? 1 << i : 0;
        mirror_metadata_free(metadata);
    }
    filter_free(filter);
    return matched;
}

/* The text between `begin` and `end`, twice if `middle` is there; -1 too where a bound is met. */
static int match_inside(bool is_document, const char *begin, struct bytes text, const char *middle,
                        const char *end)
{
    char *whole = NULL;
    int   size =
        asprintf(&whole, "%s%.*s%s%.*s%s", begin, (int)text.size, text.data,
                 middle == NULL ? "" : middle, middle == NULL ? 0 : (int)text.size, text.data, end);
    int matched;

    if (size < 0)
        abort();
    matched = match(is_document, (struct bytes){.data = whole, .size = (size_t)size});
    free(whole);
    return matched;
}

static void check_groups(bool is_document, struct bytes text, int matched)
{
    const struct {
        const char *begin, *middle, *end;
        int         matched;
    } groups[] = {
        {"{\"$and\":[", NULL, "]}", matched},
        {"{\"$or\":[", NULL, "]}", matched},
        {"{\"$and\":[", ",", "]}", matched},
        {"{\"$or\":[", ",", "]}", matched},
        {"{\"$or\":[{\"$and\":[{\"$or\":[]},", NULL, "]}]}", 0},
        {"{\"$and\":[{\"$or\":[{\"$and\":[]},", NULL, "]}]}", (1 << COUNT_OF(records)) - 1},
    };

    for (size_t i = 0; i < COUNT_OF(groups); i++) {
        int found =
            match_inside(is_document, groups[i].begin, text, groups[i].middle, groups[i].end);

        if (found != -1 && found != groups[i].matched)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool  is_document = size > 0 && data[0] % 2 == 1;
    char *text;
    int   matched;

    if (size == 0)
        return 0;
    size--;
    text = malloc(size + 1);
    if (text == NULL)
        return 0;
    memcpy(text, data + 1, size);
    matched = match(is_document, (struct bytes){.data = text, .size = size});
    if (matched != -1) {
        if (!json_scan_is_valid((struct bytes){.data = text, .size = size}))
            abort();
        while (size > 0 && strchr(" \n\r\t", text[size - 1]) != NULL)
            size--;
        if (text[size - 1] == '}')
            check_groups(is_document, (struct bytes){.data = text, .size = size}, matched);
        for (size_t cut = 1; cut < size && size < 1024; cut++)
            if (match(is_document, (struct bytes){.data = text, .size = cut}) != -1)
                abort();
    }
    free(text);
    return 0;
}
