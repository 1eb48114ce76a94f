/* upstream_identity - what kind of Chroma answers, and what are its limits?
 *
 * Python servers (below 1.0) and Rust servers (1.0 and later) differ in what may be merged, so the
 * family is asked before anything is: at start, when the backend comes up, and whenever it may be
 * another one (upstream_incarnation): then all facts are void at once. Whom nobody may ask (an
 * authenticating proxy in front of it) stays unknown until the answer to a write that passes tells.
 *
 * A server that calls itself 1.0 or later and describes its routes otherwise than the Rust server
 * does (Chroma's Python application, run by hand) stays unknown: nobody has proved what may be
 * merged for it.
 *
 * Thread: event loop only.
 */
#ifndef UPSTREAM_UPSTREAM_IDENTITY_H
#define UPSTREAM_UPSTREAM_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "chroma/chroma_family.h"
#include "upstream/upstream_control.h"
#include "upstream/upstream_incarnation.h"

struct upstream_identity; /* opaque */

struct upstream_identity_options {
    enum chroma_family family;     /* UNKNOWN: ask and learn; else it is this one */
    uint64_t           timeout_us; /* of one question */
};

struct upstream_identity_facts {
    enum chroma_family family;
    unsigned version; /* as it says, 603 for 0.6.3; 0 while not known. Rust servers say 1.0.0
                       * whatever they are */
    uint64_t    batch_records_max; /* max_batch_size; 0 while not known */
    bool        takes_base64;
    uint64_t    incarnation; /* of which this is known */
    const char *reason;      /* why the family is what it is, for people */
};

/* A fact changed, or all questions have ended. From the loop, or from a call that changes facts. */
typedef void (*upstream_identity_fn)(void *ctx);

/* Everything is borrowed, `options` is copied. Nothing is asked yet. NULL when out of memory. */
struct upstream_identity *upstream_identity_new(struct upstream_control                *control,
                                                struct upstream_incarnation            *incarnation,
                                                const struct upstream_identity_options *options,
                                                upstream_identity_fn on_change, void *ctx);

/* Change the options while running. */
void upstream_identity_set_options(struct upstream_identity               *identity,
                                   const struct upstream_identity_options *options);

/* Before control and incarnation. NULL is a no-op. */
void upstream_identity_free(struct upstream_identity *identity);

/* The backend answers: ask what is not known. `again`: also what is, since it had been down.
 * No-op while it is being asked, and for a minute after it did not tell all. */
void upstream_identity_ask(struct upstream_identity *identity, bool again, uint64_t now_us);

/* Have all questions about this incarnation ended, well or badly? */
bool upstream_identity_is_settled(const struct upstream_identity *identity);

/* The answer, in full, that passed to a write which the caller sent as it was. */
void upstream_identity_learn_from_write_answer(struct upstream_identity *identity,
                                               enum chroma_operation operation, unsigned code,
                                               struct bytes body);

/* Borrowed; changes when on_change is called. */
const struct upstream_identity_facts *
upstream_identity_facts(const struct upstream_identity *identity);

/* "0.6.3", or "?" while not known. Returns `text`. */
enum { UPSTREAM_IDENTITY_VERSION_SIZE = 36 };
const char *upstream_identity_version(const struct upstream_identity_facts *facts,
                                      char text[UPSTREAM_IDENTITY_VERSION_SIZE]);

#endif
