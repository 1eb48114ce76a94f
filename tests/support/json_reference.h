/* json_reference - a plain JSON parser to judge json_scan by
 *
 * Written to be obviously right, not fast: recursive descent over single bytes, code points decoded
 * one by one, numbers handed to the C library.
 */
#ifndef SUPPORT_JSON_REFERENCE_H
#define SUPPORT_JSON_REFERENCE_H

#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "json/json_scan.h"

enum json_reference_verdict {
    JSON_REFERENCE_INVALID,
    JSON_REFERENCE_VALID,
    JSON_REFERENCE_BORDERLINE /* valid, but for a number within a millionth of the largest double */
};

/* Parse `text` and append one line to `log` for every value, behind those inside it:
 *     <kind> <begin> <end>[ <decoded string or key>]\n
 * Keys are logged as values are. What was logged before an error was found stays. */
enum json_reference_verdict json_reference_parse(struct bytes text, struct byte_buffer *log);

/* Walk `text` with json_scan, as its callers do, and log the same. */
enum json_reference_verdict json_reference_scan(struct bytes text, struct byte_buffer *log);

#endif
