/* SPDX-License-Identifier: MIT */
/* lib/range.c against an array of bools, in the middle and at both ends of the 64-bit numbers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/errno.h"

#include "lib/range.h"

#define SPAN 64

struct model {
    bool in[SPAN];
    uint64_t base; /* number of in[0] */
};

static unsigned int model_ranges(const struct model *m)
{
    unsigned int n = 0;

    for (int i = 0; i < SPAN; i++)
        n += m->in[i] && (i == 0 || !m->in[i - 1]);
    return n;
}

static void expect_same(const struct range_set *set, const struct model *m)
{
    struct range r;
    uint64_t from = m->base;

    assert_int_equal(set->n, model_ranges(m));
    for (int i = 0; i < SPAN; i++) {
        bool all = true, any = false;

        for (int k = i; k < SPAN; k++) {
            all &= m->in[k];
            any |= m->in[k];
            assert_int_equal(range_set_contains(set, m->base + i, m->base + k), all);
            assert_int_equal(range_set_overlaps(set, m->base + i, m->base + k), any);
        }
        if (from <= m->base + i && range_set_next(set, m->base + i, &r)) {
            assert_true(r.first >= m->base + i);
            for (uint64_t x = m->base + i; x < r.first; x++)
                assert_false(m->in[x - m->base]);
            assert_true(m->in[r.first - m->base]);
        }
    }
}

static void random_changes(uint64_t base, unsigned int cap)
{
    struct range array[40];
    struct range_set set;
    struct model m = {.base = base};
    int refused = 0;

    range_set_init(&set, array, cap);
    for (int i = 0; i < 3000; i++) {
        int a = rand() % SPAN, b = a + rand() % (rand() % 10 + 1);
        bool add = rand() & 1;
        struct model next = m;
        int rc;

        b = b < SPAN ? b : SPAN - 1;
        memset(next.in + a, add, (size_t)(b - a + 1));
        rc = add ? range_set_add(&set, base + a, base + b)
                 : range_set_remove(&set, base + a, base + b);
        if (model_ranges(&next) > cap) {
            assert_int_equal(rc, -ENOSPC);
            refused++;
        } else {
            assert_int_equal(rc, 0);
            m = next;
        }
        expect_same(&set, &m);
    }
    assert_int_equal(refused != 0, cap < 8);
}

static void middle(void **state)
{
    random_changes(1000, 40);
}

static void bottom_and_top(void **state)
{
    random_changes(0, 40);
    random_changes(UINT64_MAX - SPAN + 1, 40);
}

static void full_array_refuses_and_keeps_the_set(void **state)
{
    random_changes(0, 3);
    random_changes(UINT64_MAX - SPAN + 1, 3);
}

static void everything(void **state)
{
    struct range array[2];
    struct range_set set;

    range_set_init(&set, array, 2);
    assert_false(range_set_contains(&set, 0, 0));
    assert_false(range_set_overlaps(&set, 0, UINT64_MAX));
    assert_int_equal(range_set_add(&set, 0, UINT64_MAX), 0);
    assert_true(range_set_contains(&set, 0, UINT64_MAX));
    assert_int_equal(range_set_remove(&set, 5, 5), 0);
    assert_int_equal(set.n, 2);
    assert_true(range_set_contains(&set, 6, UINT64_MAX));
    assert_int_equal(range_set_remove(&set, 9, 9), -ENOSPC);
    assert_int_equal(range_set_add(&set, 2, 1), -EINVAL);
    assert_int_equal(range_set_remove(&set, 2, 1), -EINVAL);
    assert_false(range_set_contains(&set, 2, 1));
    assert_false(range_set_overlaps(&set, 2, 1));
    assert_int_equal(range_set_remove(&set, 0, UINT64_MAX), 0);
    assert_int_equal(set.n, 0);
}

/* ---- questions while the set changes ---- */

#define QUESTIONS 400000u

static struct range shared_ranges[4];
static struct range_set shared;
static bool done;

static void *changes(void *unused)
{
    while (!__atomic_load_n(&done, __ATOMIC_RELAXED))
        if (range_set_add(&shared, 0, 10) || range_set_remove(&shared, 0, 10))
            return &shared;
    return NULL;
}

/* 20-30 is always there and 15 never: neither an entry that moves nor halves of two may say else.
 */
static void asked_while_it_changes(void **state)
{
    unsigned wrong = 0;
    pthread_t thread;
    struct range r;
    void *failed;

    range_set_init(&shared, shared_ranges, 4);
    assert_int_equal(range_set_add(&shared, 20, 30), 0);
    assert_int_equal(pthread_create(&thread, NULL, changes, NULL), 0);
    for (unsigned i = 0; i < QUESTIONS; i++) {
        wrong += !range_set_contains(&shared, 20, 30);
        wrong += range_set_contains(&shared, 5, 25) || range_set_overlaps(&shared, 11, 19);
        wrong += !range_set_next(&shared, 11, &r) || r.first != 20 || r.last != 30;
    }
    __atomic_store_n(&done, true, __ATOMIC_RELAXED);
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(middle),
        cmocka_unit_test(bottom_and_top),
        cmocka_unit_test(full_array_refuses_and_keeps_the_set),
        cmocka_unit_test(everything),
        cmocka_unit_test(asked_while_it_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
