/* mirror_compare - of reads that both Chroma and a copy were asked, a sample of the two answers is
 * compared
 *
 * Whoever was first has answered the client (mirror_path.h, hedge), and nobody waits for the other:
 *
 *   the copy was first    the call to Chroma is taken from the request, and goes on without it
 *   Chroma was first      its answer is kept as it passes, and the copy's is awaited
 *
 * Only if no write was under way from before the read was sent until both answers are there do they
 * have to say the same (same_answer.h). Two searches by index may find different neighbours, where
 * the records that both have must be the same; that is counted by itself. Where more than this is
 * different it is logged, and the copy is given up.
 *
 * One pair at a time, and a few in a second; an answer longer than MIRROR_COMPARE_ANSWER_MAX is not
 * kept.
 *
 * Private to proxy/. Thread: event loop, and a worker that compares. Memory: a request and two
 * answers, charged to MEMORY_ACCOUNT_ANSWERS; where there is no room nothing is compared.
 */
#ifndef PROXY_MIRROR_COMPARE_H
#define PROXY_MIRROR_COMPARE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "base/compiler.h"
#include "calls/answer_sink.h"
#include "copies/mirror_job.h"
#include "http/http_head.h"

struct exchange;
struct mirror_compare;
struct proxy;

enum { MIRROR_COMPARE_ANSWER_MAX = 1 << 20, MIRROR_COMPARE_EVERY_US = 100000 };

struct mirror_compare_stats {
    uint64_t same;
    uint64_t margin; /* other neighbours, and all else the same */
    uint64_t different;
    uint64_t changed;    /* a write came in between: nothing can be said */
    uint64_t unanswered; /* one of them did not answer, or not in time */
    uint64_t too_large;  /* for what is kept, or memory was out */
};

/* NULL when out of memory. */
struct mirror_compare *mirror_compare_new(struct proxy *proxy);

/* After the pool of workers and all exchanges. NULL is a no-op, as in all that follows. */
void mirror_compare_free(struct mirror_compare *compare);

/* What the read of this exchange asks for is in this state now, before it is sent; 0: it is being
 * changed. */
uint64_t mirror_compare_stamp(const struct exchange *exchange);

/* The copy's answer (borrowed) is about to be given, and Chroma was asked as well. */
void mirror_compare_take_call(struct mirror_compare *compare, struct exchange *exchange,
                              const struct mirror_job_answer *answer);

/* Chroma's answer begins, and the copy has been asked as well: its job may be taken from the
 * exchange. Then the sink is to be put into the chain of the answer. */
void mirror_compare_take_job(struct mirror_compare *compare, struct exchange *exchange,
                             const struct http_head *head);
struct answer_sink *mirror_compare_sink(struct mirror_compare *compare,
                                        const struct exchange *exchange);

/* Is a call to Chroma under way whose client has left? */
bool mirror_compare_is_asking(const struct mirror_compare *compare);

/* Zeroes for NULL. */
struct mirror_compare_stats mirror_compare_get_stats(const struct mirror_compare *compare);

/* Append the metrics. Outcomes as metric_print(). */
MUST_CHECK enum status mirror_compare_print_metrics(const struct mirror_compare *compare,
                                                    struct byte_buffer          *out);

#endif
