/* mirror_job - one question to a copy of a collection: waits until the copy may be read, then for a
 * worker, and has the answer
 *
 * It lives by itself: who asked may leave at any time (mirror_job_leave()), the job goes on and is
 * forgotten. The number that are at the workers is bounded, and so is what they hold.
 *
 * Thread: event loop only. Memory: the question and the answer, charged to the
 * answers' account.
 */
#ifndef COPIES_MIRROR_JOB_H
#define COPIES_MIRROR_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/status.h"

struct http_head;
struct mirror_job;
struct proxy;

/* Jobs that run, or wait for one that runs. Chroma would be slower than this queue. */
enum { MIRROR_JOBS_MAX = 128 };

/* An answer beyond this is Chroma's to give, in pieces. */
enum { MIRROR_JOB_ANSWER_MAX = 8 << 20 };

/* Who asks, and what for. */
struct mirror_job_question {
    const struct http_head *head; /* borrowed for the call, with the next two */
    const uint8_t          *uuid; /* of the collection */
    struct bytes            body;
    bool                    is_fallback; /* see mirror_keeper_hold() */
    uint64_t                job_us;      /* that the job may take, waiting included */
    uint64_t                age_max_us;
};

/* What came of it. */
struct mirror_job_answer {
    const char  *reason; /* why there is none, static storage; NULL: there is one */
    unsigned     status; /* of HTTP */
    struct bytes body;   /* borrowed for the call */
    uint64_t     age_us;
    bool         is_complete;
};

/* Once, from the loop, never from within mirror_job_begin(). The job is gone afterwards. */
typedef void mirror_job_fn(void *ctx, const struct mirror_job_answer *answer);

/* Count of jobs under way, of all of a proxy. */
struct mirror_jobs {
    struct proxy *proxy;
    uint64_t      running;
};

/* STATUS_OK         *ret_job is under way.
 * STATUS_NOT_FOUND  the copy may not be read: *ret_reason, static storage.
 * STATUS_NO_MEMORY  *ret_reason says so too. */
MUST_CHECK enum status mirror_job_begin(struct mirror_jobs               *jobs,
                                        const struct mirror_job_question *question,
                                        mirror_job_fn *on_answer, void *ctx,
                                        struct mirror_job **ret_job, const char **ret_reason);

/* Does it still wait for the copy? */
bool mirror_job_waits(const struct mirror_job *job);

/* Another one wants the answer. */
void mirror_job_hand_over(struct mirror_job *job, mirror_job_fn *on_answer, void *ctx);

/* Nobody wants the answer any more: nothing is told. */
void mirror_job_leave(struct mirror_job *job);

#endif
