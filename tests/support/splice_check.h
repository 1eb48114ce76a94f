/* splice_check - is what chroma_records and chroma_batch say of these bodies true? Asks jansson */
#ifndef SUPPORT_SPLICE_CHECK_H
#define SUPPORT_SPLICE_CHECK_H

#include "base/bytes.h"
#include "chroma/chroma_route.h"

/* Scan the bodies, with each table of json_simd, and abort if an eligible one is not what
 * chroma_records says of it. Splice those that agree with the first eligible one, and again with
 * each cut in two, and abort unless jansson reads the concatenation. Returns how many were spliced.
 */
size_t splice_check(enum chroma_operation operation, const struct bytes *bodies, size_t count);

#endif
