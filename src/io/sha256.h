/* sha256 - SHA-256 of what is in memory, by the system's libcrypto
 *
 * One object is made once and used for all: looking the algorithm up costs more than a digest.
 *
 * Thread: one at a time. Memory: that of the library.
 */
#ifndef IO_SHA256_H
#define IO_SHA256_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/compiler.h"

enum { SHA256_DIGEST_SIZE = 32 };

struct sha256; /* opaque */

/* NULL: out of memory, or the library does not offer it. */
struct sha256 *sha256_new(void);

/* NULL is a no-op. */
void sha256_free(struct sha256 *sha256);

/* False: the library failed; nothing is to be read from `ret_digest`. */
MUST_CHECK bool sha256_digest(struct sha256 *sha256, struct bytes text,
                              unsigned char ret_digest[SHA256_DIGEST_SIZE]);

#endif
