/* SPDX-License-Identifier: MIT */
/* lib/list.h: order of insertion, removal while walking, splicing. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/list.h"

struct item {
    int id;
    struct list link;
};

static struct list head = LIST_INIT(head);

/* The ids in the list as a decimal number; both directions must agree. */
static long order(struct list *h)
{
    struct item *i;
    long forward = 0, backward = 0, scale = 1;

    list_for_each_entry (i, h, link)
        forward = forward * 10 + i->id;
    for (struct list *l = h->prev; l != h; l = l->prev, scale *= 10)
        backward += list_entry(l, struct item, link)->id * scale;
    assert_int_equal(forward, backward);
    return forward;
}

static void add_and_delete(void **state)
{
    struct item a = {.id = 1}, b = {.id = 2}, c = {.id = 3};

    list_init(&head);
    assert_true(list_empty(&head));
    list_add(&head, &a.link);
    list_add(&head, &b.link);
    list_add_tail(&head, &c.link);
    assert_int_equal(order(&head), 213);
    assert_ptr_equal(list_first_entry(&head, struct item, link), &b);
    assert_ptr_equal(list_last_entry(&head, struct item, link), &c);
    list_del(&a.link);
    assert_null(a.link.next);
    assert_int_equal(order(&head), 23);
    list_add_tail(&c.link, &a.link);
    assert_int_equal(order(&head), 213);
    list_del_init(&b.link);
    list_del_init(&b.link);
    assert_true(list_empty(&b.link));
    assert_int_equal(order(&head), 13);
}

static void delete_while_walking(void **state)
{
    struct item items[9], *i, *next;

    list_init(&head);
    for (int k = 0; k < 9; k++) {
        items[k].id = k + 1;
        list_add_tail(&head, &items[k].link);
    }
    list_for_each_entry_safe (i, next, &head, link)
        if (i->id % 2)
            list_del(&i->link);
    assert_int_equal(order(&head), 2468);
    list_for_each_entry_safe (i, next, &head, link)
        list_del(&i->link);
    assert_true(list_empty(&head));
}

static void splice(void **state)
{
    struct item a = {.id = 1}, b = {.id = 2}, c = {.id = 3};
    struct list other = LIST_INIT(other);

    list_init(&head);
    list_splice_tail_init(&head, &other);
    assert_true(list_empty(&head));
    list_add_tail(&head, &a.link);
    list_add_tail(&other, &b.link);
    list_add_tail(&other, &c.link);
    list_splice_tail_init(&head, &other);
    assert_int_equal(order(&head), 123);
    assert_true(list_empty(&other));
    list_splice_tail_init(&other, &head);
    assert_int_equal(order(&other), 123);
    assert_true(list_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add_and_delete),
        cmocka_unit_test(delete_while_walking),
        cmocka_unit_test(splice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
