/* kept_head - which answers may be given to others, and what is kept of their heads
 *
 * A 200 of a stated length and of type JSON, with nothing in its head but what Chroma says every
 * time: what is in front of Chroma may have put in what is for one client only. Of the head only
 * status, type and `Vary: Origin` are kept, as a number.
 *
 * Thread: any. Memory: none.
 */
#ifndef CALLS_KEPT_HEAD_H
#define CALLS_KEPT_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "http/http_head.h"

/* May this answer, of `bytes_max` at most, be given to others? */
bool kept_head_find(const struct http_head *head, uint64_t bytes_max, uint8_t *ret_number);

/* The head of that number; static storage. */
const struct http_head *kept_head(uint8_t number);

#endif
