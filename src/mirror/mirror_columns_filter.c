#include <string.h>

#include "index/index_memory.h"
#include "mirror/filter_program.h"
#include "mirror/mirror_columns.h"
#include "mirror/mirror_columns_core.h"

/* Each step takes rows away from a bitmap: what is left of those that it was given matches. So each
 * condition is asked only of rows that those before it left, and documents come last. */
struct columns_evaluation {
    const struct mirror_columns           *columns;
    const struct filter                   *filter;
    const struct mirror_columns_documents *documents;
    uint32_t                               words;
    struct index_memory                   *memory;
};

static enum status keep_all(const struct columns_evaluation *evaluation, size_t from, size_t end,
                            uint64_t *bitmap);
static enum status keep_any(const struct columns_evaluation *evaluation, size_t from, size_t end,
                            uint64_t *bitmap);
static enum status keep_new(const struct columns_evaluation *evaluation, size_t from, size_t end,
                            uint64_t *rest, uint64_t *part, uint64_t *taken);
static enum status keep_node(const struct columns_evaluation *evaluation, size_t at,
                             uint64_t *bitmap);
static size_t      node_end(const struct filter *filter, size_t at);
static bool        asks_documents(const struct filter *filter, size_t at);
static bool        is_any_left(const struct columns_evaluation *evaluation, const uint64_t *bitmap);
static enum status keep_values(const struct columns_evaluation *evaluation,
                               const struct filter_node *node, uint64_t *bitmap);
static void mark_values(const struct mirror_columns *columns, const struct mirror_terms *values,
                        const struct filter_node *node, const union filter_operand *operands,
                        unsigned char *marks);
static void mark_equal(const struct mirror_columns *columns, const struct mirror_terms *values,
                       const struct filter_node *node, const union filter_operand *operands,
                       unsigned char *marks);
static void mark_scalar(const struct mirror_columns *columns, const struct mirror_terms *values,
                        enum mirror_type type, union mirror_scalar value, unsigned char *marks);
static bool term_compares(const struct filter_node *node, const union filter_operand *operand,
                          const struct mirror_term *term);
static bool order_compares(enum filter_kind kind, bool is_less, bool is_equal);
static bool term_holds_item(const struct mirror_terms *values, const struct mirror_term *term,
                            const struct filter_node *node, const union filter_operand *operand);
static void keep_marked(const struct mirror_column *column, const unsigned char *marks,
                        uint64_t *bitmap, uint32_t words);
static void keep_marked_pairs(const struct mirror_column *column, const unsigned char *marks,
                              uint64_t *bitmap, uint32_t words);
static enum status keep_documents(const struct columns_evaluation *evaluation,
                                  const struct filter_node *node, uint64_t *bitmap);
static enum status look_through(const struct columns_evaluation *evaluation,
                                const struct filter_node *node, struct bytes needle,
                                uint64_t *bitmap);
static bool        document_holds(const struct filter_node *node, struct bytes needle,
                                  struct bytes document);

enum status mirror_columns_filter(const struct mirror_columns *columns, const struct filter *filter,
                                  const uint64_t *live, uint32_t bits,
                                  const struct mirror_columns_documents *documents,
                                  uint64_t *ret_bitmap, uint32_t *ret_count)
{
    struct columns_evaluation evaluation = {.columns = columns,
                                            .filter = filter,
                                            .documents = documents,
                                            .words = bits / 64 + (bits % 64 != 0),
                                            .memory = columns->owner.memory};
    enum status               status;
    uint32_t                  count = 0;

    if (bits == 0) {
        *ret_count = 0;
        return STATUS_OK;
    }
    memcpy(ret_bitmap, live, evaluation.words * sizeof *live);
    if (bits % 64 != 0)
        ret_bitmap[bits / 64] &= ((uint64_t)1 << bits % 64) - 1;
    status = keep_all(&evaluation, 0, filter_program_node_count(filter), ret_bitmap);
    if (status != STATUS_OK)
        return status;
    for (uint32_t word = 0; word < evaluation.words; word++)
        count += (uint32_t)__builtin_popcountll(ret_bitmap[word]);
    *ret_count = count;
    return STATUS_OK;
}

/* The rows that every node from `from` to `end` takes. */
static enum status keep_all(const struct columns_evaluation *evaluation, size_t from, size_t end,
                            uint64_t *bitmap)
{
    enum status status = STATUS_OK;

    for (int pass = 0; pass < 2; pass++)
        for (size_t at = from; at < end; at = node_end(evaluation->filter, at)) {
            if (asks_documents(evaluation->filter, at) != (pass == 1))
                continue;
            status = keep_node(evaluation, at, bitmap);
            if (status != STATUS_OK || !is_any_left(evaluation, bitmap))
                return status;
        }
    return status;
}

/* The rows that one of the nodes takes. The depth is FILTER_DEPTH_MAX at most. */
static enum status keep_any(const struct columns_evaluation *evaluation, size_t from, size_t end,
                            uint64_t *bitmap)
{
    size_t      size = evaluation->words * sizeof *bitmap;
    uint64_t   *rest;
    enum status status = index_memory_alloc(evaluation->memory, 2 * size, &rest);

    if (status != STATUS_OK)
        return status;
    memcpy(rest, bitmap, size);
    memset(bitmap, 0, size);
    status = keep_new(evaluation, from, end, rest, rest + evaluation->words, bitmap);
    index_memory_free(evaluation->memory, rest, 2 * size);
    return status;
}

/* Each node is asked of what no node before it took. `part` is room for it. */
static enum status keep_new(const struct columns_evaluation *evaluation, size_t from, size_t end,
                            uint64_t *rest, uint64_t *part, uint64_t *taken)
{
    enum status status = STATUS_OK;

    for (int pass = 0; pass < 2; pass++)
        for (size_t at = from; at < end; at = node_end(evaluation->filter, at)) {
            if (asks_documents(evaluation->filter, at) != (pass == 1))
                continue;
            memcpy(part, rest, evaluation->words * sizeof *part);
            status = keep_node(evaluation, at, part);
            if (status != STATUS_OK)
                return status;
            for (uint32_t word = 0; word < evaluation->words; word++) {
                taken[word] |= part[word];
                rest[word] &= ~part[word];
            }
            if (!is_any_left(evaluation, rest))
                return STATUS_OK;
        }
    return status;
}

static enum status keep_node(const struct columns_evaluation *evaluation, size_t at,
                             uint64_t *bitmap)
{
    const struct filter_node *node = &filter_program_nodes(evaluation->filter)[at];

    if (node->kind == FILTER_AND)
        return keep_all(evaluation, at + 1, node->end, bitmap);
    if (node->kind == FILTER_OR)
        return keep_any(evaluation, at + 1, node->end, bitmap);
    return node->kind == FILTER_DOCUMENT_HAS ? keep_documents(evaluation, node, bitmap)
                                             : keep_values(evaluation, node, bitmap);
}

static size_t node_end(const struct filter *filter, size_t at)
{
    const struct filter_node *node = &filter_program_nodes(filter)[at];

    return node->kind == FILTER_AND || node->kind == FILTER_OR ? node->end : at + 1;
}

static bool asks_documents(const struct filter *filter, size_t at)
{
    size_t end = node_end(filter, at);

    while (at < end && filter_program_nodes(filter)[at].kind != FILTER_DOCUMENT_HAS)
        at++;
    return at < end;
}

static bool is_any_left(const struct columns_evaluation *evaluation, const uint64_t *bitmap)
{
    for (uint32_t word = 0; word < evaluation->words; word++)
        if (bitmap[word] != 0)
            return true;
    return false;
}

/* ---- Metadata ------------------------------------------------------------------------------- */

/* Marks the values that the condition takes, then the rows that have them. The first mark is that
 * of no value. */
static enum status keep_values(const struct columns_evaluation *evaluation,
                               const struct filter_node *node, uint64_t *bitmap)
{
    const struct mirror_columns *columns = evaluation->columns;
    const union filter_operand  *operands = filter_program_operands(evaluation->filter);
    const struct mirror_column  *column;
    union mirror_scalar          key = {.text = node->key};
    uint32_t number = mirror_terms_find(&columns->keys, &columns->owner, MIRROR_TYPE_STRING, &key);
    unsigned char *marks;
    enum status    status;

    if (number == 0) {
        if (!node->is_negated)
            memset(bitmap, 0, evaluation->words * sizeof *bitmap);
        return STATUS_OK;
    }
    column = columns->columns[number];
    status = index_memory_alloc(evaluation->memory, column->values.end, &marks);
    if (status != STATUS_OK)
        return status;
    mark_values(columns, &column->values, node, operands + node->operand, marks);
    for (uint32_t i = 0; node->is_negated && i < column->values.end; i++)
        marks[i] ^= 1;
    if (column->numbers != NULL)
        keep_marked(column, marks, bitmap, evaluation->words);
    else
        keep_marked_pairs(column, marks, bitmap, evaluation->words);
    index_memory_free(evaluation->memory, marks, column->values.end);
    return STATUS_OK;
}

static void mark_values(const struct mirror_columns *columns, const struct mirror_terms *values,
                        const struct filter_node *node, const union filter_operand *operands,
                        unsigned char *marks)
{
    if (node->kind == FILTER_IN) {
        mark_equal(columns, values, node, operands, marks);
        return;
    }
    for (uint32_t i = 1; i < values->end; i++) {
        const struct mirror_term *term = &values->terms[i];

        if (term->references > 0)
            marks[i] = node->kind == FILTER_LIST_HAS ? term_holds_item(values, term, node, operands)
                                                     : term_compares(node, operands, term);
    }
}

/* A number is looked for as one of either type. */
static void mark_equal(const struct mirror_columns *columns, const struct mirror_terms *values,
                       const struct filter_node *node, const union filter_operand *operands,
                       unsigned char *marks)
{
    for (uint32_t i = 0; i < node->operand_count; i++) {
        const union filter_operand *operand = &operands[i];

        if (node->type == MIRROR_TYPE_BOOL)
            mark_scalar(columns, values, MIRROR_TYPE_BOOL,
                        (union mirror_scalar){.flag = operand->flag}, marks);
        else if (node->type == MIRROR_TYPE_STRING)
            mark_scalar(columns, values, MIRROR_TYPE_STRING,
                        (union mirror_scalar){.text = operand->text}, marks);
        else {
            mark_scalar(columns, values, MIRROR_TYPE_INTEGER,
                        (union mirror_scalar){.integer = operand->number.integer}, marks);
            mark_scalar(columns, values, MIRROR_TYPE_DOUBLE,
                        (union mirror_scalar){.real = operand->number.real}, marks);
        }
    }
}

static void mark_scalar(const struct mirror_columns *columns, const struct mirror_terms *values,
                        enum mirror_type type, union mirror_scalar value, unsigned char *marks)
{
    uint32_t number = mirror_terms_find(values, &columns->owner, type, &value);

    if (number != 0)
        marks[number] = 1;
}

static bool term_compares(const struct filter_node *node, const union filter_operand *operand,
                          const struct mirror_term *term)
{
    if (term->is_list)
        return false;
    if (term->type == MIRROR_TYPE_INTEGER)
        return order_compares(node->kind, term->value.integer < operand->number.integer,
                              term->value.integer == operand->number.integer);
    return term->type == MIRROR_TYPE_DOUBLE &&
           order_compares(node->kind, term->value.real < operand->number.real,
                          term->value.real == operand->number.real);
}

static bool order_compares(enum filter_kind kind, bool is_less, bool is_equal)
{
    switch (kind) {
    case FILTER_LESS:
        return is_less;
    case FILTER_LESS_OR_EQUAL:
        return is_less || is_equal;
    case FILTER_GREATER:
        return !is_less && !is_equal;
    default:
        return !is_less;
    }
}

/* Here an integer never equals a float. */
static bool term_holds_item(const struct mirror_terms *values, const struct mirror_term *term,
                            const struct filter_node *node, const union filter_operand *operand)
{
    uint32_t            position = 0;
    union mirror_scalar item;

    if (!term->is_list || term->type != node->type)
        return false;
    while (mirror_terms_next_item(values, term, &position, &item))
        if (node->type == MIRROR_TYPE_BOOL      ? item.flag == operand->flag
            : node->type == MIRROR_TYPE_INTEGER ? item.integer == operand->number.integer
            : node->type == MIRROR_TYPE_DOUBLE  ? item.real == operand->number.real
                                                : bytes_equal(item.text, operand->text))
            return true;
    return false;
}

static void keep_marked(const struct mirror_column *column, const unsigned char *marks,
                        uint64_t *bitmap, uint32_t words)
{
    for (uint32_t word = 0; word < words; word++) {
        uint64_t first = (uint64_t)word * 64, kept = 0;
        uint32_t count;

        if (bitmap[word] == 0)
            continue;
        if (first >= column->capacity) {
            if (!marks[0])
                bitmap[word] = 0;
            continue;
        }
        count = column->capacity - first < 64 ? (uint32_t)(column->capacity - first) : 64;
        for (uint32_t i = 0; i < count; i++)
            kept |= (uint64_t)marks[column->numbers[first + i]] << i;
        if (count < 64 && marks[0])
            kept |= ~(uint64_t)0 << count;
        bitmap[word] &= kept;
    }
}

/* The rows of the pairs one by one; all others have no value. */
static void keep_marked_pairs(const struct mirror_column *column, const unsigned char *marks,
                              uint64_t *bitmap, uint32_t words)
{
    uint32_t at = 0;

    for (uint32_t word = 0; word < words; word++) {
        uint64_t kept = marks[0] ? ~(uint64_t)0 : 0;

        for (; at < column->count && column->pairs[at].row / 64 == word; at++) {
            uint64_t bit = (uint64_t)1 << column->pairs[at].row % 64;

            kept = marks[column->pairs[at].number] ? kept | bit : kept & ~bit;
        }
        bitmap[word] &= kept;
    }
}

/* ---- Documents ------------------------------------------------------------------------------ */

static enum status keep_documents(const struct columns_evaluation *evaluation,
                                  const struct filter_node *node, uint64_t *bitmap)
{
    const struct mirror_columns *columns = evaluation->columns;
    struct bytes needle = filter_program_operands(evaluation->filter)[node->operand].text;
    size_t       size = evaluation->words * sizeof *bitmap;
    uint64_t    *found;
    enum status  status = index_memory_alloc(evaluation->memory, size, &found);

    if (status != STATUS_OK)
        return status;
    for (uint32_t word = 0; word < evaluation->words && word < columns->row_words; word++)
        found[word] = bitmap[word] & columns->documents[word];
    if (columns->has_grams && needle.size >= MIRROR_GRAMS_SIZE_MIN)
        mirror_grams_narrow(&columns->grams, needle, found, evaluation->words);
    if (needle.size > 0)
        status = look_through(evaluation, node, needle, found);
    for (uint32_t word = 0; word < evaluation->words; word++)
        bitmap[word] = node->is_negated ? bitmap[word] & ~found[word] : found[word];
    index_memory_free(evaluation->memory, found, size);
    return status;
}

static enum status look_through(const struct columns_evaluation *evaluation,
                                const struct filter_node *node, struct bytes needle,
                                uint64_t *bitmap)
{
    const struct mirror_columns_documents *documents = evaluation->documents;

    for (uint32_t word = 0; word < evaluation->words; word++)
        for (uint64_t left = bitmap[word]; left != 0; left &= left - 1) {
            uint32_t     bit = (uint32_t)__builtin_ctzll(left);
            struct bytes document;
            enum status  status = documents->get(documents->ctx, word * 64 + bit, &document);

            if (status != STATUS_OK)
                return status;
            if (!document_holds(node, needle, document))
                bitmap[word] &= ~((uint64_t)1 << bit);
        }
    return STATUS_OK;
}

static bool document_holds(const struct filter_node *node, struct bytes needle,
                           struct bytes document)
{
    struct bytes text = mirror_columns_searched(document);

    if (text.size < needle.size)
        return false;
    return node->is_suffix
               ? memcmp(text.data + text.size - needle.size, needle.data, needle.size) == 0
               : memmem(text.data, text.size, needle.data, needle.size) != NULL;
}
