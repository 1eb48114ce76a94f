/* mirror_kept - copies that outlast their process: which may be saved in the end, and what becomes
 * of those that the process before this one has saved
 *
 * In the end, when Chroma was ended and nothing is under way, mirror_kept_save() saves what is
 * complete. That nothing has changed in Chroma's directory since is for the caller to prove: before
 * Chroma is started again he gives what was saved to mirror_kept_open(). It is loaded on a worker
 * while Chroma starts (state LOADING), and told of every write from the first one on. When the
 * first Chroma of this process is reached, and mirror_kept_let() has said that it is the one that
 * it should be, each copy is begun like one that is filled, before all others: Chroma is asked what
 * the collection is, without credentials, and if that is what the copy has, it is complete. In all
 * other cases it goes, and is filled as ever.
 *
 * Thread: event loop.
 */
#ifndef COPIES_MIRROR_KEPT_H
#define COPIES_MIRROR_KEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"
#include "chroma/collection_answer.h"
#include "mirror/mirror_save.h"

struct mirror_entry;
struct mirror_keeper;
struct proxy;

/* A saved copy. Its files are FOLDER/UUID and the endings of mirror_save.h. */
struct mirror_kept {
    uint8_t                 uuid[16];
    const char             *tenant, *database; /* as in a path; borrowed, like the name */
    const char             *name;
    enum collection_space   space;
    double                  score;        /* how much it was read of late */
    bool                    is_asked_for; /* by somebody, so it stays */
    struct mirror_save_seal seal;
};

struct mirror_kept_saver {
    /* May the copy of this collection, with so many records, be saved? Not before its turn comes.
     */
    bool (*may)(const uint8_t uuid[16], uint64_t records, void *ctx);
    /* It was, and is on stable storage; or not, and why (static storage; `kept` has no seal). */
    void (*saved)(const struct mirror_kept *kept, const char *reason, void *ctx);
    void *ctx;
};

/* When the pool of workers is gone, and before proxy_free(): save each copy that holds what Chroma
 * holds, those first that are read most, in `folder`, on the file system of
 * proxy_mirror_options.directory. All copies together, and what is saved of them, stay within
 * disk_max. */
void mirror_kept_save(struct proxy *proxy, const char *folder,
                      const struct mirror_kept_saver *saver);

/* Before Chroma is started: load this copy. Its files leave `folder`. What it cannot be used for is
 * not an error: it is filled, then.
 * STATUS_NOT_FOUND  it is not wanted any more, or a file of it is gone.
 * STATUS_NO_MEMORY, STATUS_IO_FAILED */
MUST_CHECK enum status mirror_kept_open(struct proxy *proxy, const char *folder,
                                        const struct mirror_kept *kept);

/* The Chroma that is reached is the one for which copies were kept; or it is not, or it is not
 * known whether it is: then what has not become complete yet goes. No-op where nothing is loaded.
 */
void mirror_kept_let(struct proxy *proxy, bool is_let);

/* ---- Of the keeper of copies (mirror_state.h) ------------------------------------------------ */

/* Is it loaded, and not given up when the first Chroma is reached? */
bool mirror_kept_outlives_reaching(const struct mirror_entry *entry);

/* Begin the next of those that are loaded, unless one is being filled. */
void mirror_kept_begin(struct mirror_keeper *keeper);

#endif
