/* database_mode - how the SQLite file of a Chroma directory keeps what it has not finished
 *
 * WAL: writers append to a file beside it, which is brought in from time to time. As durable as the
 * usual rollback journal, as Chroma leaves `synchronous` at FULL, with fewer writes to disk for
 * each commit. The mode is kept in the file, so any later Chroma has it too. A backup must take
 * chroma.sqlite3-wal along, or use SQLite's own means.
 *
 * Blocks: never on the loop. Nobody may have the database open.
 */
#ifndef CHILD_DATABASE_MODE_H
#define CHILD_DATABASE_MODE_H

#include <stdbool.h>

#include "base/compiler.h"
#include "base/error.h"

/* Put the database of `directory` into WAL mode, or back into that of the rollback journal.
 * STATUS_OK           it was changed.
 * STATUS_AGAIN        it was as it should be, or there is none yet.
 * STATUS_IO_FAILED    `error` says why it could not be changed. */
MUST_CHECK enum status database_mode_set(const char *directory, bool is_wal, struct error *error);

#endif
