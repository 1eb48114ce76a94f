/* fake_records - a collection of ids and documents, in the order of their insertion
 *
 * What a fake Chroma and a fake copy (fake_mirror_copy.h) have in common. Bodies are those of the
 * flow tests: `"ids":["a","b"]` and `"documents":["x","y"]`, without escapes; a delete by a filter
 * has `"where"` and takes what begins with `x`, which a get with one finds.
 */
#ifndef FLOW_FAKE_RECORDS_H
#define FLOW_FAKE_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "base/bytes.h"

enum { FAKE_RECORDS_MAX = 512, FAKE_RECORDS_TEXT = 64 };

struct fake_record {
    char     id[FAKE_RECORDS_TEXT], document[FAKE_RECORDS_TEXT];
    bool     is_hollow;
    uint64_t mark;
};

struct fake_records {
    struct fake_record list[FAKE_RECORDS_MAX];
    size_t             count;
};

/* The strings of one list of a body. Returns how many. */
size_t fake_records_read(struct bytes body, const char *key,
                         char ret[FAKE_RECORDS_MAX][FAKE_RECORDS_TEXT]);

/* NULL: there is none. */
struct fake_record *fake_records_find(struct fake_records *records, const char *id);
struct fake_record *fake_records_append(struct fake_records *records, const char *id,
                                        const char *document);
void                fake_records_remove(struct fake_records *records, struct fake_record *record);

/* Does a delete with a filter take it? */
bool fake_records_is_filtered(const struct fake_record *record);

/* As Chroma does it. `operation` is the last segment of the path. Returns what a delete counts. */
size_t fake_records_write(struct fake_records *records, const char *operation, struct bytes body);

/* Append the answer to a get: of the ids in the body, else of all. */
void fake_records_get(struct fake_records *records, struct bytes body, struct byte_buffer *out);

#endif
