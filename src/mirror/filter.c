#include "mirror/filter.h"

#include <stdlib.h>
#include <string.h>

#include "mirror/filter_parse.h"
#include "mirror/filter_program.h"

static bool node_holds(const struct filter *filter, size_t *at,
                       const struct filter_subject *subject);
static bool group_holds(const struct filter *filter, size_t *at,
                        const struct filter_subject *subject);
static bool condition_holds(const struct filter *filter, const struct filter_node *node,
                            const struct filter_subject *subject);
static bool value_is_in(const struct filter_node *node, const union filter_operand *operands,
                        const struct mirror_field *field);
static bool operand_is_less(enum mirror_type type, const union filter_operand *operand,
                            const union mirror_scalar *value);
static bool operand_equals(enum mirror_type type, const union filter_operand *operand,
                           const union mirror_scalar *value);
static bool number_compares(const struct filter_node *node, const union filter_operand *operand,
                            const struct mirror_field *field);
static bool list_has(const struct filter_node *node, const union filter_operand *operand,
                     const struct mirror_field *field);
static bool document_has(const struct filter_node *node, struct bytes needle,
                         const struct filter_subject *subject);

enum status filter_new(struct bytes where, struct bytes where_document, struct filter **ret_filter,
                       const char **ret_reason)
{
    struct filter *filter = calloc(1, sizeof *filter);
    enum status    status = STATUS_OK;

    if (filter == NULL)
        return STATUS_NO_MEMORY;
    /* Decoded, a text is never longer. */
    filter->text = malloc(where.size + where_document.size + 1);
    if (filter->text == NULL)
        status = STATUS_NO_MEMORY;
    if (status == STATUS_OK && where.data != NULL)
        status = filter_parse(filter, where, false, ret_reason);
    if (status == STATUS_OK && where_document.data != NULL)
        status = filter_parse(filter, where_document, true, ret_reason);
    if (status != STATUS_OK) {
        filter_free(filter);
        return status;
    }
    *ret_filter = filter;
    return STATUS_OK;
}

void filter_free(struct filter *filter)
{
    if (filter == NULL)
        return;
    byte_buffer_done(&filter->nodes);
    byte_buffer_done(&filter->operands);
    free(filter->text);
    free(filter);
}

bool filter_matches(const struct filter *filter, const struct filter_subject *subject)
{
    size_t count = filter_program_node_count(filter);

    for (size_t at = 0; at < count;)
        if (!node_holds(filter, &at, subject))
            return false;
    return true;
}

/* Goes on behind the node, unless the answer is known before its end. */
static bool node_holds(const struct filter *filter, size_t *at,
                       const struct filter_subject *subject)
{
    const struct filter_node *node = &filter_program_nodes(filter)[*at];

    if (node->kind == FILTER_AND || node->kind == FILTER_OR)
        return group_holds(filter, at, subject);
    ++*at;
    return condition_holds(filter, node, subject) != node->is_negated;
}

/* The depth is FILTER_DEPTH_MAX at most. */
static bool group_holds(const struct filter *filter, size_t *at,
                        const struct filter_subject *subject)
{
    const struct filter_node *node = &filter_program_nodes(filter)[(*at)++];
    bool                      is_or = node->kind == FILTER_OR;

    while (*at < node->end)
        if (node_holds(filter, at, subject) == is_or) {
            *at = node->end;
            return is_or;
        }
    return !is_or;
}

static bool condition_holds(const struct filter *filter, const struct filter_node *node,
                            const struct filter_subject *subject)
{
    const union filter_operand *operands = filter_program_operands(filter) + node->operand;
    const struct mirror_field  *field;

    if (node->kind == FILTER_DOCUMENT_HAS)
        return document_has(node, operands->text, subject);
    field = mirror_metadata_find(subject->metadata, node->key);
    if (field == NULL)
        return false;
    if (node->kind == FILTER_LIST_HAS)
        return list_has(node, operands, field);
    if (field->is_list)
        return false;
    return node->kind == FILTER_IN ? value_is_in(node, operands, field)
                                   : number_compares(node, operands, field);
}

/* The operands are sorted in both readings of a number: each grows with the other. */
static bool value_is_in(const struct filter_node *node, const union filter_operand *operands,
                        const struct mirror_field *field)
{
    bool   are_numbers = node->type == MIRROR_TYPE_INTEGER || node->type == MIRROR_TYPE_DOUBLE;
    bool   is_number = field->type == MIRROR_TYPE_INTEGER || field->type == MIRROR_TYPE_DOUBLE;
    size_t low = 0, high = node->operand_count;

    if (are_numbers ? !is_number : field->type != node->type)
        return false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (operand_is_less(field->type, &operands[middle], field->items))
            low = middle + 1;
        else
            high = middle;
    }
    return low < node->operand_count && operand_equals(field->type, &operands[low], field->items);
}

static bool operand_is_less(enum mirror_type type, const union filter_operand *operand,
                            const union mirror_scalar *value)
{
    switch (type) {
    case MIRROR_TYPE_BOOL:
        return operand->flag < value->flag;
    case MIRROR_TYPE_INTEGER:
        return operand->number.integer < value->integer;
    case MIRROR_TYPE_DOUBLE:
        return operand->number.real < value->real;
    default:
        return mirror_metadata_compare(operand->text, value->text) < 0;
    }
}

static bool operand_equals(enum mirror_type type, const union filter_operand *operand,
                           const union mirror_scalar *value)
{
    switch (type) {
    case MIRROR_TYPE_BOOL:
        return operand->flag == value->flag;
    case MIRROR_TYPE_INTEGER:
        return operand->number.integer == value->integer;
    case MIRROR_TYPE_DOUBLE:
        return operand->number.real == value->real;
    default:
        return bytes_equal(operand->text, value->text);
    }
}

static bool number_compares(const struct filter_node *node, const union filter_operand *operand,
                            const struct mirror_field *field)
{
    bool is_above, is_equal;

    if (field->type != MIRROR_TYPE_INTEGER && field->type != MIRROR_TYPE_DOUBLE)
        return false;
    is_above = operand_is_less(field->type, operand, field->items);
    is_equal = operand_equals(field->type, operand, field->items);
    switch (node->kind) {
    case FILTER_LESS:
        return !is_above && !is_equal;
    case FILTER_LESS_OR_EQUAL:
        return !is_above;
    case FILTER_GREATER:
        return is_above;
    default:
        return is_above || is_equal;
    }
}

/* Here an integer never equals a float. */
static bool list_has(const struct filter_node *node, const union filter_operand *operand,
                     const struct mirror_field *field)
{
    if (!field->is_list || field->type != node->type)
        return false;
    for (uint32_t i = 0; i < field->count; i++)
        if (operand_equals(node->type, operand, &field->items[i]))
            return true;
    return false;
}

/* To SQLite's LIKE a text ends at a NUL. */
static bool document_has(const struct filter_node *node, struct bytes needle,
                         const struct filter_subject *subject)
{
    const char *text = subject->document.data;
    size_t      size;

    if (!subject->has_document)
        return false;
    size = subject->document.size == 0 ? 0 : strnlen(text, subject->document.size);
    if (needle.size == 0)
        return true;
    if (size < needle.size)
        return false;
    return node->is_suffix ? memcmp(text + size - needle.size, needle.data, needle.size) == 0
                           : memmem(text, size, needle.data, needle.size) != NULL;
}
