#include "chroma/same_answer.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

/* Of a distance, beside 1 or its own size: sums of some thousand 32-bit floats in two orders. */
static const double tolerance = 1e-5;

static bool same_value(const json_t *one, const json_t *other, bool is_distance);
static bool same_members(const json_t *one, const json_t *other);
static bool same_items(const json_t *one, const json_t *other, bool is_distance);
static bool is_near(double one, double other);

bool same_answer(struct bytes one, struct bytes other)
{
    json_t *left, *right;
    bool    is_same;

    if (bytes_equal(one, other))
        return true;
    left = json_loadb(one.data, one.size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    right = json_loadb(other.data, other.size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    is_same = left != NULL && right != NULL && same_value(left, right, false);
    json_decref(left);
    json_decref(right);
    return is_same;
}

static bool same_value(const json_t *one, const json_t *other, bool is_distance)
{
    if (is_distance && json_is_number(one) && json_is_number(other))
        return is_near(json_number_value(one), json_number_value(other));
    if (json_typeof(one) != json_typeof(other))
        return false;
    if (json_is_object(one))
        return same_members(one, other);
    if (json_is_array(one))
        return same_items(one, other, is_distance);
    return json_equal(one, other) != 0;
}

static bool same_members(const json_t *one, const json_t *other)
{
    if (json_object_size(one) != json_object_size(other))
        return false;
    for (void *at = json_object_iter((json_t *)one); at != NULL;
         at = json_object_iter_next((json_t *)one, at)) {
        const char   *key = json_object_iter_key(at);
        const json_t *found = json_object_get(other, key);

        if (found == NULL ||
            !same_value(json_object_iter_value(at), found, strcmp(key, "distances") == 0))
            return false;
    }
    return true;
}

static bool same_items(const json_t *one, const json_t *other, bool is_distance)
{
    size_t count = json_array_size(one);

    if (json_array_size(other) != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!same_value(json_array_get(one, i), json_array_get(other, i), is_distance))
            return false;
    return true;
}

static bool is_near(double one, double other)
{
    return fabs(one - other) <= tolerance * fmax(1, fmax(fabs(one), fabs(other)));
}
