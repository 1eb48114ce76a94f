#include "calls/read_class.h"

#include <string.h>

enum {
    window_bytes = 512, /* at either end */

    /* Five vectors of 1536 dimensions in base64, five of 384 as numbers: several are asked for, or
     * one so large that it is a class of its own. */
    large_bytes = 40960,
    large_results = 100
};

/* What a body says beside its vectors: two windows, of which the second may be empty. */
struct glance {
    struct bytes windows[2];
};

static struct glance glance_at(struct bytes body);
static bool          has_filter(const struct glance *glance);
static bool          asks_for_many(const struct glance *glance, enum chroma_operation operation);
static bool find_value(const struct glance *glance, struct bytes key, struct bytes *ret_value);
static bool is_nothing(struct bytes value);
static bool is_above(struct bytes value, unsigned long bound);

enum concurrency_class read_class_find(enum chroma_operation operation, struct bytes body,
                                       bool is_streamed)
{
    struct glance glance = glance_at(body);

    if (operation == CHROMA_OPERATION_COUNT || operation == CHROMA_OPERATION_CONDITIONAL_GET)
        return CONCURRENCY_GET;
    if (is_streamed || body.size >= large_bytes || asks_for_many(&glance, operation))
        return CONCURRENCY_LARGE;
    if (has_filter(&glance))
        return CONCURRENCY_FILTERED;
    return operation == CHROMA_OPERATION_GET ? CONCURRENCY_GET : CONCURRENCY_QUERY;
}

static struct glance glance_at(struct bytes body)
{
    struct glance glance = {{body}};

    if (body.size <= 2 * (size_t)window_bytes)
        return glance;
    glance.windows[0].size = window_bytes;
    glance.windows[1] = bytes_skip(body, body.size - window_bytes);
    return glance;
}

static bool has_filter(const struct glance *glance)
{
    struct bytes value;

    return (find_value(glance, BYTES_LITERAL("\"where\""), &value) && !is_nothing(value)) ||
           (find_value(glance, BYTES_LITERAL("\"where_document\""), &value) && !is_nothing(value));
}

/* A get without ids and without a limit asks for all that there is. */
static bool asks_for_many(const struct glance *glance, enum chroma_operation operation)
{
    struct bytes value;

    if (operation != CHROMA_OPERATION_GET)
        return find_value(glance, BYTES_LITERAL("\"n_results\""), &value) &&
               is_above(value, large_results);
    if (find_value(glance, BYTES_LITERAL("\"ids\""), &value) && !is_nothing(value))
        return false;
    return !find_value(glance, BYTES_LITERAL("\"limit\""), &value) || is_nothing(value) ||
           is_above(value, large_results);
}

/* What follows the key and its colon. The key inside a string would have its quotes escaped. */
static bool find_value(const struct glance *glance, struct bytes key, struct bytes *ret_value)
{
    for (size_t i = 0; i < 2; i++) {
        struct bytes window = glance->windows[i];
        const char  *found =
            window.size == 0 ? NULL : memmem(window.data, window.size, key.data, key.size);

        if (found == NULL)
            continue;
        window = bytes_skip(window, (size_t)(found - window.data) + key.size);
        while (window.size > 0 && memchr(" \t\r\n:", window.data[0], 5) != NULL)
            window = bytes_skip(window, 1);
        *ret_value = window;
        return true;
    }
    return false;
}

static bool is_nothing(struct bytes value)
{
    return value.size == 0 || bytes_begin_with(value, BYTES_LITERAL("null")) ||
           bytes_begin_with(value, BYTES_LITERAL("{}"));
}

static bool is_above(struct bytes value, unsigned long bound)
{
    unsigned long number = 0;

    while (value.size > 0 && value.data[0] >= '0' && value.data[0] <= '9' && number <= bound) {
        number = number * 10 + (unsigned long)(value.data[0] - '0');
        value = bytes_skip(value, 1);
    }
    return number > bound;
}
