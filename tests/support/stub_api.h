/* stub_api - Chroma's API v2 as far as the proxy's tests need it, with a cost in time
 *
 * A request is handled in two steps, so that time can pass between them: begin checks it, as Chroma
 * does before it commits, and says when it would be done; finish applies and answers.
 */
#ifndef SUPPORT_STUB_API_H
#define SUPPORT_STUB_API_H

#include "support/stub_answer.h"
#include "support/stub_cost.h"
#include "support/stub_log.h"
#include "support/stub_route.h"
#include "support/stub_store.h"

struct stub_api {
    struct stub_store store;
    struct stub_log   log;
    struct stub_cost  cost;
    size_t            batch_max; /* what pre-flight-checks says */
    const char       *poison;    /* writes with an id that contains it get 400; NULL: none */
};

enum { STUB_API_REQUEST_ID_MAX = 127 };

/* One request between begin and finish. */
struct stub_api_job {
    struct stub_payload payload; /* writes */
    json_t             *request; /* other bodies, or NULL */
    char                request_id[STUB_API_REQUEST_ID_MAX + 1];
};

void stub_api_job_done(struct stub_api_job *job);

/* Check a request. With `answer->status` 0 it is good, and finish is due at *ret_done_us; else it
 * is answered. `body` is borrowed. */
void stub_api_begin(struct stub_api *api, const struct stub_route *route, struct bytes body,
                    uint64_t now_us, struct stub_api_job *job, struct stub_answer *answer,
                    uint64_t *ret_done_us);

/* Apply and answer. */
void stub_api_finish(struct stub_api *api, const struct stub_route *route, struct stub_api_job *job,
                     struct stub_answer *answer);

#endif
