/* SPDX-License-Identifier: MIT */
/* lib/bitmap.[ch]: each function against an array of bools, at sizes round the edges of longs. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bitmap.h"

#define MAX 200

static const size_t sizes[] = {0, 1, 2, 63, 64, 65, 127, 128, 129, MAX};

static void expect(const unsigned long *bm, const bool *ref, size_t n)
{
    size_t weight = 0, i, k = 0;

    for (i = 0; i < n; i++) {
        assert_int_equal(bitmap_test(bm, i), ref[i]);
        weight += ref[i];
    }
    assert_int_equal(bitmap_weight(bm, n), weight);
    assert_int_equal(bitmap_empty(bm, n), weight == 0);
    for (i = 0; i <= n; i++) {
        size_t one = i, zero = i;

        while (one < n && !ref[one])
            one++;
        while (zero < n && ref[zero])
            zero++;
        assert_int_equal(bitmap_next(bm, n, i), one);
        assert_int_equal(bitmap_next_zero(bm, n, i), zero);
        if (i == 0)
            assert_int_equal(bitmap_first(bm, n), one);
    }
    bitmap_for_each (i, bm, n) {
        assert_true(ref[i]);
        k++;
    }
    assert_int_equal(k, weight);
}

static void random_bits(unsigned long *bm, bool *ref, size_t n)
{
    int density = rand() % 4;

    bitmap_zero(bm, n);
    for (size_t i = 0; i < n; i++) {
        ref[i] = rand() % 4 < density;
        if (ref[i])
            bitmap_set(bm, i);
    }
}

static void single_map(void **state)
{
    for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
        size_t n = sizes[s];

        for (int round = 0; round < 50; round++) {
            BITMAP_DECLARE(bm, MAX);
            bool ref[MAX];
            size_t first, count;

            random_bits(bm, ref, n);
            expect(bm, ref, n);
            if (!n)
                continue;
            first = (size_t)rand() % n;
            count = (size_t)rand() % (n - first + 1);
            bitmap_set_range(bm, first, count);
            memset(ref + first, true, count);
            expect(bm, ref, n);
            first = (size_t)rand() % n;
            count = (size_t)rand() % (n - first + 1);
            bitmap_clear_range(bm, first, count);
            memset(ref + first, false, count);
            expect(bm, ref, n);
            bitmap_clear(bm, first);
            ref[first] = false;
            assert_false(bit_test_and_set_atomic(bm, first));
            assert_true(bit_test_and_set_atomic(bm, first));
            assert_true(bit_test_and_clear_atomic(bm, first));
            assert_false(bit_test_and_clear_atomic(bm, first));
            expect(bm, ref, n);
            bitmap_fill(bm, n);
            memset(ref, true, n);
            expect(bm, ref, n);
        }
    }
}

static void two_maps(void **state)
{
    for (int round = 0; round < 2000; round++) {
        size_t n = sizes[(size_t)rand() % ARRAY_SIZE(sizes)];
        BITMAP_DECLARE(a, MAX);
        BITMAP_DECLARE(b, MAX);
        BITMAP_DECLARE(to, MAX);
        bool ra[MAX], rb[MAX], r[MAX], equal = true, meet = false, subset = true;

        random_bits(a, ra, n);
        if (rand() & 1)
            random_bits(b, rb, n);
        else
            bitmap_copy(b, a, n), memcpy(rb, ra, n);
        for (size_t i = 0; i < n; i++) {
            equal &= ra[i] == rb[i];
            meet |= ra[i] && rb[i];
            subset &= !ra[i] || rb[i];
        }
        assert_int_equal(bitmap_equal(a, b, n), equal);
        assert_int_equal(bitmap_intersects(a, b, n), meet);
        assert_int_equal(bitmap_subset(a, b, n), subset);
        for (size_t i = 0; i < n; i++)
            r[i] = ra[i] && rb[i];
        bitmap_and(to, a, b, n);
        expect(to, r, n);
        for (size_t i = 0; i < n; i++)
            r[i] = ra[i] || rb[i];
        bitmap_or(to, a, b, n);
        expect(to, r, n);
        for (size_t i = 0; i < n; i++)
            r[i] = ra[i] && !rb[i];
        bitmap_andnot(a, a, b, n);
        expect(a, r, n);
    }
}

static void bits_beyond_the_end_are_ignored(void **state)
{
    unsigned long a[2] = {0, ~0ul << 3}, b[2] = {0, 0};

    assert_true(bitmap_empty(a, 67));
    assert_true(bitmap_equal(a, b, 67));
    assert_int_equal(bitmap_weight(a, 67), 0);
    assert_int_equal(bitmap_first(a, 67), 67);
    assert_false(bitmap_empty(a, 68));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_map),
        cmocka_unit_test(two_maps),
        cmocka_unit_test(bits_beyond_the_end_are_ignored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
