#include "base/byte_buffer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const size_t first_capacity = 512;

void byte_buffer_done(struct byte_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct byte_buffer){0};
}

enum status byte_buffer_reserve(struct byte_buffer *buffer, size_t size, size_t limit)
{
    size_t used = byte_buffer_size(buffer);
    size_t capacity = buffer->capacity;
    char  *data;

    if (size > limit || used > limit - size)
        return STATUS_LIMIT_REACHED;
    if (size <= buffer->capacity - buffer->end)
        return STATUS_OK;
    if (used + size <= buffer->capacity && buffer->start >= buffer->capacity / 2) {
        memmove(buffer->data, buffer->data + buffer->start, used);
        buffer->start = 0;
        buffer->end = used;
        return STATUS_OK;
    }
    if (capacity < first_capacity)
        capacity = first_capacity;
    while (capacity < used + size)
        capacity += capacity / 2;
    if (capacity > limit)
        capacity = limit;
    data = malloc(capacity);
    if (data == NULL)
        return STATUS_NO_MEMORY;
    if (used > 0)
        memcpy(data, buffer->data + buffer->start, used);
    free(buffer->data);
    *buffer = (struct byte_buffer){.data = data, .start = 0, .end = used, .capacity = capacity};
    return STATUS_OK;
}

enum status byte_buffer_append(struct byte_buffer *buffer, struct bytes bytes, size_t limit)
{
    enum status status;

    if (bytes.size == 0)
        return STATUS_OK;
    status = byte_buffer_reserve(buffer, bytes.size, limit);
    if (status == STATUS_OK) {
        memcpy(buffer->data + buffer->end, bytes.data, bytes.size);
        buffer->end += bytes.size;
    }
    return status;
}

enum status byte_buffer_printf(struct byte_buffer *buffer, size_t limit, const char *format, ...)
{
    va_list     args;
    enum status status;
    int         length;

    va_start(args, format);
    length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert(length >= 0);
    status = byte_buffer_reserve(buffer, (size_t)length + 1, limit);
    if (status != STATUS_OK)
        return status;
    va_start(args, format);
    vsnprintf(buffer->data + buffer->end, (size_t)length + 1, format, args);
    va_end(args);
    buffer->end += (size_t)length;
    return STATUS_OK;
}

void byte_buffer_consume(struct byte_buffer *buffer, size_t size)
{
    assert(size <= byte_buffer_size(buffer));
    buffer->start += size;
    if (buffer->start == buffer->end)
        byte_buffer_clear(buffer);
}
