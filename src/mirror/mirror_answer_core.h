/* mirror_answer_core - one question while it is answered: shared by the parts of mirror_answer
 *
 * Thread, memory: as mirror_answer().
 */
#ifndef MIRROR_MIRROR_ANSWER_CORE_H
#define MIRROR_MIRROR_ANSWER_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "base/compiler.h"
#include "base/status.h"
#include "chroma/chroma_query.h"
#include "mirror/filter.h"
#include "mirror/mirror_answer_json.h"
#include "mirror/mirror_question.h"
#include "mirror/mirror_records.h"

struct mirror_asked {
    const struct mirror_records  *records;
    struct mirror_reader         *reader;
    const struct mirror_question *question;
    struct chroma_query           query;
    struct filter                *filter; /* NULL: there is none */
    struct mirror_answer_json     json;
    unsigned                      code; /* of the answer; not 200: it is a refusal, and written */
    uint32_t                      dimension; /* 0: not known */
    const char                   *reason;    /* why Chroma must be asked */

    uint64_t *bitmap; /* of the rows that may be answered; NULL: all */
    uint32_t  bits, bit_count;

    uint32_t                 *rows;   /* to be answered, of all lists one behind the other */
    struct mirror_value      *values; /* what is wanted of them is in `texts` */
    struct byte_buffer        texts;
    struct vector_search_hit *hits; /* of a query */
    float                    *vector;
    uint32_t                  count, room;
    uint32_t                 *ends; /* of each list */
    size_t                    list_count;
};

static inline bool mirror_answer_core_has(const struct mirror_asked *asked,
                                          enum chroma_query_field    field)
{
    return (asked->query.field_set & 1u << field) != 0;
}

/* Is the next step to be taken? */
static inline bool mirror_answer_core_goes_on(const struct mirror_asked *asked, enum status status)
{
    return status == STATUS_OK && asked->code == 200;
}

/* Chroma must be asked; `reason` is one of a few. */
static inline enum status mirror_answer_core_leave(struct mirror_asked *asked, const char *reason)
{
    asked->reason = reason;
    return STATUS_NOT_IMPLEMENTED;
}

/* Write the answer with which Chroma refuses it, and note its code; asked->json says how that
 * ended. The texts need no escapes. */
enum status mirror_answer_body_refuse(struct mirror_asked *asked, unsigned code, const char *error,
                                      const char *message);

/* Which rows may be answered: asked->bitmap. May refuse. */
MUST_CHECK enum status mirror_answer_choose(struct mirror_asked *asked);

/* Write the answer of the rows that were found; asked->json says how that ended. */
void mirror_answer_body_write(struct mirror_asked *asked);

#endif
