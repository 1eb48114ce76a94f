/* mirror_answer_json - members of Chroma's answers, written into a body of bounded size
 *
 * A writer that has failed stays so: what is written afterwards is nothing, and its status says
 * why. Memory: the body's.
 */
#ifndef MIRROR_MIRROR_ANSWER_JSON_H
#define MIRROR_MIRROR_ANSWER_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "base/status.h"

struct mirror_answer_json {
    struct byte_buffer *body;
    size_t              size_max;
    enum status         status; /* TOO_LARGE or NO_MEMORY: the body is of no use */
};

void mirror_answer_json_text(struct mirror_answer_json *json, const char *text);
void mirror_answer_json_bytes(struct mirror_answer_json *json, struct bytes bytes);

/* A string with its quotes, escaped; null without `is_there`. */
void mirror_answer_json_string(struct mirror_answer_json *json, bool is_there, struct bytes text);

/* The fewest digits that mean no other float; null if it is not finite. */
void mirror_answer_json_float(struct mirror_answer_json *json, float value);

void mirror_answer_json_vector(struct mirror_answer_json *json, const float *vector,
                               uint32_t dimension);

#endif
