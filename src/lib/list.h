/* SPDX-License-Identifier: MIT */
/*
 * Doubly linked circular lists, embedded in their entries. A head and an unlinked entry both point
 * to themselves. No locking: the owner of the head says which lock guards it.
 */
#pragma once

#include "lib/util.h"

struct list {
    struct list *next, *prev;
};

#define LIST_INIT(name)  \
    {                    \
        &(name), &(name) \
    }

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

static inline void list_insert_between(struct list *l, struct list *prev, struct list *next)
{
    l->prev = prev;
    l->next = next;
    prev->next = l;
    next->prev = l;
}

/* Puts l first in the list. */
static inline void list_add(struct list *head, struct list *l)
{
    list_insert_between(l, head, head->next);
}

/* Puts l last in the list; with an entry for head: directly before that entry. */
static inline void list_add_tail(struct list *head, struct list *l)
{
    list_insert_between(l, head->prev, head);
}

/* Unlinks l; its pointers are NULL after that, so a second removal faults at once. */
static inline void list_del(struct list *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    l->next = l->prev = NULL;
}

/* Unlinks l, which may be unlinked already, and leaves it as an empty list. */
static inline void list_del_init(struct list *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    list_init(l);
}

/* Moves all entries of `from` to the end of `head`; `from` is empty afterwards. */
static inline void list_splice_tail_init(struct list *head, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = head->prev;
    from->prev->next = head;
    head->prev->next = from->next;
    head->prev = from->prev;
    list_init(from);
}

#define list_entry(l, type, member) container_of(l, type, member)

/* The list must not be empty. */
#define list_first_entry(head, type, member) list_entry((head)->next, type, member)
#define list_last_entry(head, type, member)  list_entry((head)->prev, type, member)
#define list_next_entry(pos, member)         list_entry((pos)->member.next, typeof(*(pos)), member)

#define list_for_each_entry(pos, head, member)                                               \
    for ((pos) = list_entry((head)->next, typeof(*(pos)), member); &(pos)->member != (head); \
         (pos) = list_next_entry(pos, member))

/* As above; pos may be removed (not tmp). */
#define list_for_each_entry_safe(pos, tmp, head, member)           \
    for ((pos) = list_entry((head)->next, typeof(*(pos)), member), \
        (tmp) = list_next_entry(pos, member);                      \
         &(pos)->member != (head); (pos) = (tmp), (tmp) = list_next_entry(tmp, member))
