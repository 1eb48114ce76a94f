#include "http/http_head.h"

const struct http_field *http_head_find(const struct http_head *head, enum http_field_id id)
{
    for (size_t i = 0; i < head->field_count; i++)
        if (head->fields[i].id == id)
            return &head->fields[i];
    return NULL;
}
