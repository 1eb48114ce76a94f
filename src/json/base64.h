/* base64 - is this text the base64 of whole, finite floats?
 *
 * Strict RFC 4648, section 4: the standard alphabet, padding required, no white space, the bits
 * that padding leaves over are zero. The bytes are 32-bit little-endian floats, as Chroma's clients
 * send embeddings.
 */
#ifndef JSON_BASE64_H
#define JSON_BASE64_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

/* true   `text` is valid base64 of *ret_count floats (0 for an empty text), each of them finite.
 * false  it is not. */
bool base64_is_finite_floats(struct bytes text, size_t *ret_count);

/* Write the floats of a text for which that was true; there is room for as many as it said. */
void base64_floats(struct bytes text, float *ret_floats);

#endif
