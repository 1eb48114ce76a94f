#include "mirror/metadata_merge.h"

#include <stdlib.h>
#include <string.h>

/* A walk through the fields that stay, in the order of their keys. */
struct merge_walk {
    const struct mirror_metadata *old, *change;
    size_t                        old_at, change_at;
};

/* Where the next of each goes. */
struct merge_room {
    struct mirror_field *field;
    union mirror_scalar *value;
    char                *text;
};

static const struct mirror_field *walk_next(struct merge_walk *walk);
static size_t                     texts_size(const struct mirror_field *field);
static void         copy_field(struct merge_room *room, const struct mirror_field *field);
static struct bytes copy_kept(struct merge_room *room, struct bytes text);
static bool         fields_equal(const struct mirror_field *left, const struct mirror_field *right);
static bool         scalars_equal(enum mirror_type type, const union mirror_scalar *left,
                                  const union mirror_scalar *right);

enum status metadata_merge(const struct mirror_metadata *old, const struct mirror_metadata *change,
                           struct mirror_metadata **ret_metadata)
{
    const struct merge_walk    start = {.old = old, .change = change};
    struct merge_walk          walk = start;
    const struct mirror_field *field;
    struct mirror_metadata    *merged;
    struct merge_room          room;
    size_t                     count = 0, value_count = 0, text_size = 0;

    for (; (field = walk_next(&walk)) != NULL; count++) {
        value_count += field->count;
        text_size += texts_size(field);
    }
    if (count == 0) {
        *ret_metadata = NULL;
        return STATUS_OK;
    }
    merged = malloc(sizeof *merged + count * sizeof *room.field + value_count * sizeof *room.value +
                    text_size);
    if (merged == NULL)
        return STATUS_NO_MEMORY;
    room.field = (struct mirror_field *)(void *)(merged + 1);
    room.value = (union mirror_scalar *)(void *)(room.field + count);
    room.text = (char *)(room.value + value_count);
    *merged = (struct mirror_metadata){.count = count, .fields = room.field};
    walk = start;
    while ((field = walk_next(&walk)) != NULL)
        copy_field(&room, field);
    *ret_metadata = merged;
    return STATUS_OK;
}

/* NULL: that was the last. */
static const struct mirror_field *walk_next(struct merge_walk *walk)
{
    for (;;) {
        const struct mirror_field *old = NULL, *change = NULL;
        int                        order;

        if (walk->old != NULL && walk->old_at < walk->old->count)
            old = &walk->old->fields[walk->old_at];
        if (walk->change_at < walk->change->count)
            change = &walk->change->fields[walk->change_at];
        if (old == NULL && change == NULL)
            return NULL;
        order = old == NULL      ? 1
                : change == NULL ? -1
                                 : mirror_metadata_compare(old->key, change->key);
        walk->old_at += order <= 0;
        walk->change_at += order >= 0;
        if (order < 0)
            return old;
        if (change->type != MIRROR_TYPE_NULL)
            return change;
    }
}

static size_t texts_size(const struct mirror_field *field)
{
    size_t size = field->key.size;

    for (uint32_t i = 0; field->type == MIRROR_TYPE_STRING && i < field->count; i++)
        size += field->items[i].text.size;
    return size;
}

static void copy_field(struct merge_room *room, const struct mirror_field *field)
{
    struct mirror_field *copy = room->field++;

    *copy = *field;
    copy->key = copy_kept(room, field->key);
    copy->items = room->value;
    for (uint32_t i = 0; i < field->count; i++) {
        *room->value = field->items[i];
        if (field->type == MIRROR_TYPE_STRING)
            room->value->text = copy_kept(room, room->value->text);
        room->value++;
    }
}

static struct bytes copy_kept(struct merge_room *room, struct bytes text)
{
    struct bytes copy = {.data = room->text, .size = text.size};

    if (text.size > 0)
        memcpy(room->text, text.data, text.size);
    room->text += text.size;
    return copy;
}

bool metadata_merge_equal(const struct mirror_metadata *left, const struct mirror_metadata *right)
{
    size_t count = left == NULL ? 0 : left->count;

    if (count != (right == NULL ? 0 : right->count))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!fields_equal(&left->fields[i], &right->fields[i]))
            return false;
    return true;
}

static bool fields_equal(const struct mirror_field *left, const struct mirror_field *right)
{
    if (!bytes_equal(left->key, right->key) || left->type != right->type ||
        left->is_list != right->is_list || left->count != right->count)
        return false;
    for (uint32_t i = 0; i < left->count; i++)
        if (!scalars_equal(left->type, &left->items[i], &right->items[i]))
            return false;
    return true;
}

static bool scalars_equal(enum mirror_type type, const union mirror_scalar *left,
                          const union mirror_scalar *right)
{
    switch (type) {
    case MIRROR_TYPE_NULL:
        return true;
    case MIRROR_TYPE_BOOL:
        return left->flag == right->flag;
    case MIRROR_TYPE_INTEGER:
        return left->integer == right->integer;
    case MIRROR_TYPE_DOUBLE:
        return left->real == right->real;
    default:
        return bytes_equal(left->text, right->text);
    }
}
