/* filter_program - what a filter is made of: shared by its reader and its evaluation
 *
 * Conditions stand one after another, each $and and $or in front of what it holds; at the top level
 * all must hold.
 */
#ifndef MIRROR_FILTER_PROGRAM_H
#define MIRROR_FILTER_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "mirror/mirror_metadata.h"

/* Chroma takes every filter within these: less than what SQLite takes, which is expressions a
 * thousand deep, 32766 parameters and patterns of 50000 bytes. */
enum {
    FILTER_SIZE_MAX = 64 << 10, /* JSON of `where` and `where_document`, each */
    FILTER_DEPTH_MAX = 16,      /* $and and $or inside each other */
    FILTER_NODES_MAX = 256,     /* conditions, $and and $or */
    FILTER_OPERANDS_MAX = 4096, /* of all conditions together */
    FILTER_NEEDLE_MAX = 8 << 10 /* bytes of a text that documents are searched for */
};

enum filter_kind {
    FILTER_AND,
    FILTER_OR,
    FILTER_IN, /* the value is one of the operands; $eq has one */
    FILTER_LESS,
    FILTER_LESS_OR_EQUAL,
    FILTER_GREATER,
    FILTER_GREATER_OR_EQUAL,
    FILTER_LIST_HAS, /* the value is a list that holds the operand */
    FILTER_DOCUMENT_HAS
};

struct filter_node {
    enum filter_kind kind;
    bool             is_negated;
    bool             is_suffix;              /* DOCUMENT_HAS: at the end of the document only */
    enum mirror_type type;                   /* of the operands */
    uint32_t         end;                    /* AND, OR: the node behind what it holds */
    uint32_t         operand, operand_count; /* the first; those of IN are sorted */
    struct bytes     key;
};

/* A number is compared as one of either type with values of that type. */
union filter_operand {
    bool flag;
    struct {
        int64_t integer;
        double  real;
    } number;
    struct bytes text;
};

struct filter {
    struct byte_buffer nodes;    /* struct filter_node */
    struct byte_buffer operands; /* union filter_operand */
    char              *text;     /* keys and operands, decoded */
    size_t             text_size;
};

static inline struct filter_node *filter_program_nodes(const struct filter *filter)
{
    return (struct filter_node *)(void *)filter->nodes.data;
}

static inline size_t filter_program_node_count(const struct filter *filter)
{
    return byte_buffer_size(&filter->nodes) / sizeof(struct filter_node);
}

static inline union filter_operand *filter_program_operands(const struct filter *filter)
{
    return (union filter_operand *)(void *)filter->operands.data;
}

static inline size_t filter_program_operand_count(const struct filter *filter)
{
    return byte_buffer_size(&filter->operands) / sizeof(union filter_operand);
}

#endif
