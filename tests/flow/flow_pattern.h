/* flow_pattern - bodies whose every byte is known from the request's id, the direction, the place
 */
#ifndef FLOW_FLOW_PATTERN_H
#define FLOW_FLOW_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/* Write bytes `at` to `at + size` of the body of request (or answer) `id`. */
void flow_pattern_write(char *data, size_t size, unsigned id, bool is_answer, uint64_t at);

/* Are these the bytes from `at` on? */
bool flow_pattern_matches(struct bytes data, unsigned id, bool is_answer, uint64_t at);

#endif
