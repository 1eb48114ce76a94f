/* meaning_memo - what was read means what it meant the last time
 *
 * From the digest of a text to the digest of what it means, for texts that are long to read. The
 * second must be a function of the first: then what is here is always true, and may be forgotten at
 * any time. Each text has two places; the newer one of three that meet there stays, and the one
 * that came before it.
 *
 * Thread: the event loop. Memory: all of it from the beginning, charged to the account.
 */
#ifndef READS_MEANING_MEMO_H
#define READS_MEANING_MEMO_H

#include <stdbool.h>
#include <stddef.h>

#include "base/keyed_digest.h"
#include "base/memory_account.h"

struct meaning_memo; /* opaque */

/* Of `bytes_max` at most, and more than half of that. NULL: no memory, or less than some hundred
 * bytes. `account` is borrowed until meaning_memo_free(). */
struct meaning_memo *meaning_memo_new(size_t bytes_max, struct memory_account *account);

/* NULL is fine, as below: it holds nothing. */
void meaning_memo_free(struct meaning_memo *memo);

/* What is charged. */
size_t meaning_memo_bytes(const struct meaning_memo *memo);

/* `text` must be keyed: it spreads the texts, too. False: it is not known. */
bool meaning_memo_find(const struct meaning_memo *memo, const unsigned char text[KEYED_DIGEST_SIZE],
                       unsigned char ret_meaning[KEYED_DIGEST_SIZE]);

/* It is not there yet. */
void meaning_memo_put(struct meaning_memo *memo, const unsigned char text[KEYED_DIGEST_SIZE],
                      const unsigned char meaning[KEYED_DIGEST_SIZE]);

#endif
