/* Intrusive doubly linked list: a head and nodes inside the items. A node is in one list or none;
 * O(1) everywhere. A node that is zero or unlinked is in no list. */
#ifndef MCQ_MEM_LIST_H
#define MCQ_MEM_LIST_H

#include "mem/base.h"

struct mcq_node {
    struct mcq_node *next, *prev; /* both NULL: in no list */
};

struct mcq_list {
    struct mcq_node head; /* circular */
};

static inline void mcq_list_init(struct mcq_list *l)
{
    l->head.next = &l->head;
    l->head.prev = &l->head;
}

static inline bool mcq_list_empty(const struct mcq_list *l)
{
    return l->head.next == &l->head;
}

static inline bool mcq_node_linked(const struct mcq_node *n)
{
    return n->next != NULL;
}

static inline struct mcq_node *mcq_list_first(const struct mcq_list *l)
{
    return l->head.next == &l->head ? NULL : l->head.next;
}

/* The node after n, NULL at the end. */
static inline struct mcq_node *mcq_list_next(const struct mcq_list *l, const struct mcq_node *n)
{
    return n->next == &l->head ? NULL : n->next;
}

static inline struct mcq_node *mcq_list_last(const struct mcq_list *l)
{
    return l->head.prev == &l->head ? NULL : l->head.prev;
}

static inline void mcq_list_insert_before(struct mcq_node *at, struct mcq_node *n)
{
    MCQ_DASSERT(n->next == NULL);
    n->next = at;
    n->prev = at->prev;
    at->prev->next = n;
    at->prev = n;
}

static inline void mcq_list_push_back(struct mcq_list *l, struct mcq_node *n)
{
    mcq_list_insert_before(&l->head, n);
}

/* Takes n out of its list; harmless if it is in none. */
static inline void mcq_node_unlink(struct mcq_node *n)
{
    if (n->next == NULL)
        return;
    n->prev->next = n->next;
    n->next->prev = n->prev;
    n->next = NULL;
    n->prev = NULL;
}

static inline struct mcq_node *mcq_list_pop_front(struct mcq_list *l)
{
    struct mcq_node *n = mcq_list_first(l);
    if (n != NULL)
        mcq_node_unlink(n);
    return n;
}

#endif
