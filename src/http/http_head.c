#include "http/http_head.h"

static struct bytes copy_bytes(struct bytes from, struct byte_buffer *bytes);

const struct http_field *http_head_find(const struct http_head *head, enum http_field_id id)
{
    for (size_t i = 0; i < head->field_count; i++)
        if (head->fields[i].id == id)
            return &head->fields[i];
    return NULL;
}

bool http_head_copy(struct http_head *to, const struct http_head *from, struct byte_buffer *bytes)
{
    size_t size = from->method.size + from->target.size + from->reason.size;

    for (size_t i = 0; i < from->field_count; i++)
        size += from->fields[i].name.size + from->fields[i].value.size;
    if (byte_buffer_reserve(bytes, size, SIZE_MAX) != STATUS_OK)
        return false;
    memcpy(to, from, offsetof(struct http_head, fields));
    to->method = copy_bytes(from->method, bytes);
    to->target = copy_bytes(from->target, bytes);
    to->path = (struct bytes){.data = to->target.data, .size = from->path.size};
    to->query = (struct bytes){.data = to->target.data == NULL
                                           ? NULL
                                           : to->target.data + to->target.size - from->query.size,
                               .size = from->query.size};
    to->reason = copy_bytes(from->reason, bytes);
    for (size_t i = 0; i < from->field_count; i++) {
        to->fields[i] = from->fields[i];
        to->fields[i].name = copy_bytes(from->fields[i].name, bytes);
        to->fields[i].value = copy_bytes(from->fields[i].value, bytes);
    }
    return true;
}

/* Room is reserved. */
static struct bytes copy_bytes(struct bytes from, struct byte_buffer *bytes)
{
    struct bytes to = {.data = bytes->data + bytes->end, .size = from.size};

    if (from.size > 0)
        memcpy(bytes->data + bytes->end, from.data, from.size);
    bytes->end += from.size;
    return to;
}
