/* byte_buffer - a growing run of bytes, filled at the end and consumed at the front
 *
 *   data .. data+start    consumed, reclaimed when the buffer empties or must grow
 *   start .. end          the content
 *   end .. capacity       room
 *
 * Zero-initialised means empty; memory is allocated with the first byte and given back by
 * byte_buffer_done(). Every growing call names the limit that the content must not exceed.
 */
#ifndef BASE_BYTE_BUFFER_H
#define BASE_BYTE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/status.h"

struct byte_buffer {
    char  *data;
    size_t start, end, capacity;
};

/* Free the memory; the buffer is empty and may be used again. */
void byte_buffer_done(struct byte_buffer *buffer);

/* Forget the content, keep the memory. */
static inline void byte_buffer_clear(struct byte_buffer *buffer)
{
    buffer->start = buffer->end = 0;
}

static inline size_t byte_buffer_size(const struct byte_buffer *buffer)
{
    return buffer->end - buffer->start;
}

/* The content, borrowed until the next call that changes the buffer. */
static inline struct bytes byte_buffer_bytes(const struct byte_buffer *buffer)
{
    return (struct bytes){.data = buffer->data == NULL ? NULL : buffer->data + buffer->start,
                          .size = buffer->end - buffer->start};
}

/* Make room for `size` more bytes behind the content.
 * STATUS_LIMIT_REACHED  the content would exceed `limit`.
 * STATUS_NO_MEMORY      the buffer is unchanged. */
MUST_CHECK enum status byte_buffer_reserve(struct byte_buffer *buffer, size_t size, size_t limit);

/* Copy `bytes` behind the content. Outcomes as byte_buffer_reserve(). */
MUST_CHECK enum status byte_buffer_append(struct byte_buffer *buffer, struct bytes bytes,
                                          size_t limit);

/* Append formatted text. Outcomes as byte_buffer_reserve(). */
MUST_CHECK enum status byte_buffer_printf(struct byte_buffer *buffer, size_t limit,
                                          const char *format, ...) PRINTF_LIKE(3, 4);

/* Drop the first `size` bytes of the content; `size` must not exceed it. */
void byte_buffer_consume(struct byte_buffer *buffer, size_t size);

#endif
