/* list - intrusive doubly linked list with a sentinel
 *
 * A `struct list_node` is embedded in the listed struct. A node that is in no list points to
 * itself, so removing it twice is harmless and membership can be asked of the node alone.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>

#include "base/compiler.h"

struct list_node {
    struct list_node *next, *prev;
};

struct list {
    struct list_node head; /* sentinel: head.next is the first node */
};

#define LIST_ITEM(node, type, member) CONTAINER_OF(node, type, member)

/* Walk `list`; `node` is a `struct list_node *`. The body must not remove other nodes than the
 * current one. */
#define LIST_FOR_EACH(node, list)                                                                  \
    for (struct list_node *node = (list)->head.next, *node##_next = node->next;                    \
         node != &(list)->head; node = node##_next, node##_next = node->next)

static inline void list_node_init(struct list_node *node)
{
    node->next = node->prev = node;
}

static inline void list_init(struct list *list)
{
    list_node_init(&list->head);
}

static inline bool list_is_empty(const struct list *list)
{
    return list->head.next == &list->head;
}

static inline bool list_node_is_linked(const struct list_node *node)
{
    return node->next != node;
}

/* NULL when empty. */
static inline struct list_node *list_first(const struct list *list)
{
    return list_is_empty(list) ? NULL : list->head.next;
}

/* NULL when empty. */
static inline struct list_node *list_last(const struct list *list)
{
    return list_is_empty(list) ? NULL : list->head.prev;
}

static inline void list_insert_after(struct list_node *position, struct list_node *node)
{
    node->prev = position;
    node->next = position->next;
    position->next->prev = node;
    position->next = node;
}

static inline void list_push_front(struct list *list, struct list_node *node)
{
    list_insert_after(&list->head, node);
}

static inline void list_push_back(struct list *list, struct list_node *node)
{
    list_insert_after(list->head.prev, node);
}

/* No-op when `node` is in no list. */
static inline void list_remove(struct list_node *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_node_init(node);
}

#endif
