/* stub_answer - what the stub answers to one request: status and body
 *
 * Zero-initialised means "not answered yet" (status 0).
 */
#ifndef SUPPORT_STUB_ANSWER_H
#define SUPPORT_STUB_ANSWER_H

#include <jansson.h>
#include <stdbool.h>

#include "base/bytes.h"
#include "base/compiler.h"

struct stub_answer {
    unsigned     status;       /* HTTP status; 0: no answer yet */
    const char  *content_type; /* static storage, or NULL for none */
    const char  *allow;        /* of a 405; static storage, or NULL */
    struct bytes body;         /* in `owned`, or static storage */
    char        *owned;        /* freed by stub_answer_done(), or NULL */
};

/* Free the body; the answer is empty again. */
void stub_answer_done(struct stub_answer *answer);

/* Answer with Chroma's error body. */
void stub_answer_error(struct stub_answer *answer, unsigned status, const char *name,
                       const char *format, ...) PRINTF_LIKE(4, 5);

/* Answer with `value`, which is taken. */
void stub_answer_json(struct stub_answer *answer, unsigned status, json_t *value);

/* Answer with static text; `content_type` may be NULL. */
void stub_answer_static(struct stub_answer *answer, unsigned status, const char *content_type,
                        struct bytes body);

/* Answer with `body`, from malloc() and taken. */
void stub_answer_owned(struct stub_answer *answer, unsigned status, const char *content_type,
                       char *body, size_t size);

#endif
