/* database_facts - what a closed Chroma directory says of itself, so that one can tell whether
 * anything was changed in it
 *
 * Of chroma.sqlite3: which file it is, its size, when it was changed, the change counter of its
 * header, and a digest of what it says of collections and of how far writes have come: tables
 * `collections`, `collection_metadata`, `segments`, `databases`, `tenants`, `migrations`,
 * `max_seq_id`, and the last number of `embeddings_queue`. Whoever writes a record moves that
 * number and `max_seq_id`, whichever way he came.
 *
 * The file is read without a lock and without being changed: nobody may have the directory open.
 *
 * Blocks: never on the loop. Thread: any.
 */
#ifndef CHILD_DATABASE_FACTS_H
#define CHILD_DATABASE_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/error.h"

enum { DATABASE_FACTS_SIZE = 320 };

/* Put all of it into `ret_text`, a line of letters, digits, and signs that JSON need not escape.
 * Two that are equal: nothing was changed in between.
 * STATUS_NOT_FOUND    there is no such file.
 * STATUS_AGAIN        a journal or log beside it is not empty: it was not closed.
 * STATUS_IO_FAILED    it cannot be read, or is not a Chroma whose tables are known; `error` (may be
 *                     NULL) says why, as for the others. */
MUST_CHECK enum status database_facts_read(const char *directory,
                                           char ret_text[DATABASE_FACTS_SIZE], struct error *error);

/* Has this collection (its UUID, as text) so many records, and has it taken in all that was written
 * to it? What it has not would be seen later, when Chroma does. False also if it cannot be told. */
bool database_facts_has(const char *directory, const char *collection, uint64_t records);

#endif
