/* daemon_kept - copies that are kept from one run of a Chroma of our own to the next
 *
 * Where mirror.directory names a place, a clean end leaves them in a folder of it that belongs to
 * this Chroma's directory, with a manifest (kept_manifest.h) of what Chroma's closed database said
 * then (child/database_facts.h). The next start takes the manifest away, for good, before Chroma is
 * started, and uses the copies only if the database says the same, word for word. Whatever else
 * there is goes: what is not certain is filled anew.
 *
 * The directory is locked by us, and nobody has it open, from the reading of the facts to the start
 * of Chroma, and again in the end.
 *
 * Private to app/. Thread: the loop's, but for daemon_kept_look().
 */
#ifndef APP_DAEMON_KEPT_H
#define APP_DAEMON_KEPT_H

#include "app/daemon_state.h"
#include "child/database_file.h"

struct daemon_kept; /* opaque */

/* NULL: out of memory. */
struct daemon_kept *daemon_kept_new(struct daemon *daemon);

/* NULL is a no-op, as in all that follows. */
void daemon_kept_free(struct daemon_kept *kept);

/* On a worker, before the first Chroma is started on `directory`, which is locked and which nobody
 * has open: see what there is. Once; later calls do nothing. Blocks. */
void daemon_kept_look(struct daemon_kept *kept, const char *directory);

/* Then, when Chroma is about to be started: load what was found to be good, and remove the rest. */
void daemon_kept_open(struct daemon_kept *kept);

/* More may be known of the backend: if it is not the Chroma that it was, copies go. */
void daemon_kept_on_backend(struct daemon_kept *kept);

/* Chroma has ended: what was not complete by then goes. What was stays in any case if that was in
 * order, until the next one is reached, and then if it is the same Chroma. False also takes back
 * what was said before. */
void daemon_kept_on_ended(struct daemon_kept *kept, bool is_in_order);

/* At the end of the program, when the workers are gone and the proxy is still there: Chroma was
 * ended by us, in order, and its directory is locked. Save what is complete, if the database there
 * still is the one that Chroma had open; no copy is begun after end_us. Blocks. */
void daemon_kept_save(struct daemon_kept *kept, struct database_file database, uint64_t end_us);

#endif
