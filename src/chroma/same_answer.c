#include "chroma/same_answer.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

/* Of a distance, beside 1 or its own size: sums of some thousand 32-bit floats in two orders. */
static const double tolerance = 1e-5;

static bool          same_value(const json_t *one, const json_t *other, bool is_distance);
static bool          same_members(const json_t *one, const json_t *other);
static bool          same_items(const json_t *one, const json_t *other, bool is_distance);
static bool          is_near(double one, double other);
static bool          same_searches(const json_t *one, const json_t *other);
static bool          same_found(const json_t *one, const json_t *other, size_t search);
static bool          same_record(const json_t *one, const json_t *other, size_t search, size_t at,
                                 size_t other_at);
static const json_t *cell_of(const json_t *column, size_t search, size_t at);

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

/* ---- Searches ------------------------------------------------------------------------------- */

bool same_answer_but_for_neighbours(struct bytes one, struct bytes other)
{
    json_t *left = json_loadb(one.data, one.size, JSON_ALLOW_NUL, NULL);
    json_t *right = json_loadb(other.data, other.size, JSON_ALLOW_NUL, NULL);
    bool    is_same = json_is_object(left) && json_is_object(right) && same_searches(left, right);

    json_decref(left);
    json_decref(right);
    return is_same;
}

static bool same_searches(const json_t *one, const json_t *other)
{
    const json_t *ids = json_object_get(one, "ids"), *others = json_object_get(other, "ids");
    size_t        count = json_array_size(ids);

    if (!json_is_array(ids) || !json_is_array(others) || json_array_size(others) != count ||
        json_object_size(one) != json_object_size(other))
        return false;
    for (void *at = json_object_iter((json_t *)one); at != NULL;
         at = json_object_iter_next((json_t *)one, at)) {
        const json_t *column = json_object_iter_value(at);
        const json_t *found = json_object_get(other, json_object_iter_key(at));

        if (found == NULL || json_typeof(found) != json_typeof(column) ||
            (strcmp(json_object_iter_key(at), "include") == 0 && !json_equal(column, found)))
            return false;
    }
    for (size_t i = 0; i < count; i++)
        if (!same_found(one, other, i))
            return false;
    return true;
}

/* No id is found twice. */
static bool same_found(const json_t *one, const json_t *other, size_t search)
{
    const json_t *ids = json_array_get(json_object_get(one, "ids"), search);
    const json_t *others = json_array_get(json_object_get(other, "ids"), search);
    json_t       *places = json_object();
    bool          is_same = places != NULL;

    for (size_t i = 0; i < json_array_size(others) && is_same; i++)
        is_same = json_is_string(json_array_get(others, i)) &&
                  json_object_set_new(places, json_string_value(json_array_get(others, i)),
                                      json_integer((json_int_t)i)) == 0;
    for (size_t i = 0; i < json_array_size(ids) && is_same; i++) {
        const json_t *id = json_array_get(ids, i), *place;

        is_same = json_is_string(id);
        place = is_same ? json_object_get(places, json_string_value(id)) : NULL;
        if (place != NULL)
            is_same = same_record(one, other, search, i, (size_t)json_integer_value(place));
    }
    json_decref(places);
    return is_same;
}

/* What each column says of it. Those that are no lists of lists are equal. */
static bool same_record(const json_t *one, const json_t *other, size_t search, size_t at,
                        size_t other_at)
{
    for (void *column = json_object_iter((json_t *)one); column != NULL;
         column = json_object_iter_next((json_t *)one, column)) {
        const char   *key = json_object_iter_key(column);
        const json_t *left = cell_of(json_object_iter_value(column), search, at);
        const json_t *right = cell_of(json_object_get(other, key), search, other_at);

        if ((left == NULL) != (right == NULL) ||
            (left != NULL && !same_value(left, right, strcmp(key, "distances") == 0)))
            return false;
    }
    return true;
}

/* NULL: there is none. */
static const json_t *cell_of(const json_t *column, size_t search, size_t at)
{
    return json_array_get(json_array_get(column, search), at);
}
