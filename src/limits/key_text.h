/* key_text - what an API key looks like
 *
 *   cbk_  43 letters and digits  6 letters and digits
 *
 * 256 random bits and the CRC-32C of all before it, both in base 62, so that people and scanners
 * for leaked secrets recognise a key, and a mistyped one is not looked for. Nothing here keeps or
 * hashes a key.
 */
#ifndef LIMITS_KEY_TEXT_H
#define LIMITS_KEY_TEXT_H

#include <stdbool.h>

#include "base/bytes.h"

enum {
    KEY_TEXT_RANDOM_BYTES = 32,
    KEY_TEXT_LENGTH = 4 + 43 + 6,
    KEY_TEXT_SIZE = KEY_TEXT_LENGTH + 1
};

/* Write the key of these random bytes, with a NUL. */
void key_text_format(const unsigned char random[KEY_TEXT_RANDOM_BYTES], char out[KEY_TEXT_SIZE]);

/* Is it a key, as far as one can see: prefix, length, letters, checksum? */
bool key_text_is_valid(struct bytes text);

#endif
