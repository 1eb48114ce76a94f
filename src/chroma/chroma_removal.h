/* chroma_removal - what would this request remove, and how is Chroma asked before?
 *
 * Of a deletion of records the ids that it names are counted here, each once. How many records a
 * filter finds, Chroma must say: it is asked with a `get` of the same filter that skips as many
 * records as may go and wants one more,
 *
 *     {"where":...,"limit":1,"offset":1000,"include":[]}
 *
 * so that its answer is small whatever it finds. A server that ignored `offset` or `limit` would
 * seem to find too many, never too few. The `limit` of a deletion counts for nothing: servers
 * before it was introduced ignore it.
 *
 * A body in which a member is said twice is not understood: servers differ in which one they take.
 *
 * Thread: any. Memory: 8 bytes for each id, for the call. Bodies above some 128 KiB belong on a
 * worker.
 */
#ifndef CHROMA_CHROMA_REMOVAL_H
#define CHROMA_CHROMA_REMOVAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/siphash.h"

/* A deletion of records, or several in one request. */
struct chroma_removal {
    uint64_t id_count; /* different ones; each may be a record */
    bool     has_ids;  /* nothing else goes than these */
    bool     is_asked; /* a filter bounds it, too, or alone; or nothing does */
    bool     has_limit;

    /* Values of JSON, borrowed from the body; empty: there is none. An empty list of ids is none.
     */
    struct bytes ids, where, where_document;
};

/* Read the body of a deletion. False: it is not understood, or memory is out. */
MUST_CHECK bool chroma_removal_read(struct bytes body, const unsigned char key[SIPHASH_KEY_SIZE],
                                    struct chroma_removal *ret);

/* Read the body of a conditional commit, which may delete by ids. False likewise, and where it
 * deletes by anything else. */
MUST_CHECK bool chroma_removal_read_commit(struct bytes           body,
                                           const unsigned char    key[SIPHASH_KEY_SIZE],
                                           struct chroma_removal *ret);

/* The body that asks whether there are more than `records_max`, in parts: they point to the
 * removal's own and to `room`. Returns how many parts. */
enum { CHROMA_REMOVAL_PARTS_MAX = 8, CHROMA_REMOVAL_ROOM = 64 };
size_t chroma_removal_question(const struct chroma_removal *removal, uint64_t records_max,
                               char         room[CHROMA_REMOVAL_ROOM],
                               struct bytes ret_parts[CHROMA_REMOVAL_PARTS_MAX]);

enum chroma_removal_answer { CHROMA_REMOVAL_NO_MORE, CHROMA_REMOVAL_MORE, CHROMA_REMOVAL_NOT_SAID };

/* Of the body of the 200 to it. */
enum chroma_removal_answer chroma_removal_read_answer(struct bytes body);

/* The name that a change of a collection gives it. False: it cannot be told. An empty one: none.
 * `room` has `size` bytes, where it is put if it has escapes. */
MUST_CHECK bool chroma_removal_new_name(struct bytes body, char *room, size_t size,
                                        struct bytes *ret_name);

/* Does detaching a function certainly leave the collection that it wrote to? */
bool chroma_removal_leaves_output(struct bytes body);

#endif
