/* record_lines - lines of `chromabouncer import`, one JSON object for each record, as the bodies of
 * upserts
 *
 * A line is {"id":..., "embedding":[...], "document":..., "metadata":{...}, "uri":...}; the last
 * three may be null or absent. What a line says is not changed: its values are put into the body as
 * they stand there.
 *
 * Memory: that of the lines that are gathered, twice while the body is made.
 */
#ifndef CLI_RECORD_LINES_H
#define CLI_RECORD_LINES_H

#include <stddef.h>

#include "base/byte_buffer.h"
#include "base/compiler.h"
#include "base/error.h"

enum { RECORD_LINES_COLUMNS = 5 };

/* Zeroed: no lines. */
struct record_lines {
    size_t             count;
    struct byte_buffer columns[RECORD_LINES_COLUMNS]; /* elements, each with a comma behind it */
};

void record_lines_done(struct record_lines *lines);

/* Forget the lines, keep the memory. */
void record_lines_clear(struct record_lines *lines);

/* Gather one line, without its newline.
 * STATUS_INVALID    it is no record: `error` says why, nothing was gathered.
 * STATUS_NO_MEMORY  the lines are good for nothing but record_lines_done(). */
MUST_CHECK enum status record_lines_add(struct record_lines *lines, struct bytes line,
                                        struct error *error);

/* Bytes of the body, about. */
size_t record_lines_size(const struct record_lines *lines);

/* Append the body of an upsert of all of them.
 * STATUS_NO_MEMORY */
MUST_CHECK enum status record_lines_body(const struct record_lines *lines,
                                         struct byte_buffer        *ret_body);

#endif
