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
 * Where this process stays, and Chroma alone is ended in order and started again, what holds what
 * Chroma holds stays as it is, and answers until that one is reached; then it is looked at in the
 * same way: mirror_kept_carry().
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

/* Chroma has ended. Was that in order, and will it be started again on the same directory, which
 * nobody else can have open? Then copies are carried over that hold what it holds, if nothing was
 * under way. False also takes back what was said before. */
void mirror_kept_carry(struct proxy *proxy, bool is_in_order);

/* ---- Of the keeper of copies (mirror_state.h) ------------------------------------------------ */

/* Another Chroma is reached. Is it loaded, and this the first one; or is it carried over, and
 * loaded from now on? Else it is given up. */
bool mirror_kept_outlives_reaching(struct mirror_entry *entry);

/* Begin the next of those that are loaded, unless one is being filled. */
void mirror_kept_begin(struct mirror_keeper *keeper);

#endif
