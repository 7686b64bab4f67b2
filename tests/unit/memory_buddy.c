/* SPDX-License-Identifier: MIT */
/* memory/buddy: blocks aligned, disjoint and below the limit asked for, joined again when freed; by
 * cases and by chance against a list of what is out. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "lib/errno.h"
#include "memory/buddy.h"
#include "memory/layout.h"

#define FRAMES 8192u /* 32 MiB */

static uint8_t bytes[FRAMES];

static void fresh(uint64_t first, uint64_t end)
{
    host_machine_init(FRAMES * PAGE_SIZE, 1);
    memset(bytes, 0, sizeof(bytes));
    max_mfn = FRAMES;
    buddy_init(bytes, FRAMES);
    if (first < end)
        buddy_add(mfn(first), mfn(end));
}

static void empty(void **state)
{
    mfn_t m = mfn(77);

    fresh(0, 0);
    for (unsigned order = 0; order < BUDDY_ORDERS + 3; order++)
        assert_int_equal(buddy_alloc(order, 0, &m), -ENOMEM);
    assert_int_equal(m.n, 77);
    buddy_add(mfn(5), mfn(5));
    assert_int_equal(buddy_free_frames(), 0);
    assert_int_equal(buddy_total_frames(), 0);
    for (uint64_t n = 0; n < FRAMES + 2; n++)
        assert_false(buddy_is_free(mfn(n)));
}

/* Every frame of an odd range can be had, once. */
static void each_frame_once(void **state)
{
    static const uint64_t ranges[][2] = {{1, 2},       {1, 4096},    {3, 4093},     {255, 257},
                                         {4095, 4097}, {1023, 3000}, {256, FRAMES}, {0, 17}};

    for (unsigned i = 0; i < ARRAY_SIZE(ranges); i++) {
        uint64_t first = ranges[i][0], end = ranges[i][1];
        uint8_t seen[FRAMES] = {0};
        mfn_t m;

        fresh(first, end);
        assert_int_equal(buddy_free_frames(), end - first);
        assert_int_equal(buddy_total_frames(), end - first);
        for (uint64_t n = 0; n < FRAMES; n++)
            assert_int_equal(buddy_is_free(mfn(n)), n >= first && n < end);
        for (uint64_t n = first; n < end; n++) {
            assert_int_equal(buddy_alloc(0, 0, &m), 0);
            assert_true(m.n >= first && m.n < end);
            assert_false(seen[m.n]);
            assert_false(buddy_is_free(m));
            seen[m.n] = 1;
        }
        assert_int_equal(buddy_alloc(0, 0, &m), -ENOMEM);
        assert_int_equal(buddy_free_frames(), 0);
        assert_int_equal(buddy_total_frames(), end - first);
    }
}

static void joined_again(void **state)
{
    mfn_t big, m;

    fresh(1024, 2048);
    assert_int_equal(buddy_alloc(10, 0, &big), 0);
    assert_int_equal(big.n, 1024);
    assert_int_equal(buddy_alloc(0, 0, &m), -ENOMEM);
    /* Given back in single frames, from the middle outwards. */
    for (unsigned i = 0; i < 512; i++) {
        buddy_free(mfn(1535 - i), 0);
        buddy_free(mfn(1536 + i), 0);
    }
    assert_int_equal(buddy_alloc(10, 0, &m), 0);
    assert_int_equal(m.n, 1024);
    /* In pieces of other sizes than they were had. */
    buddy_free(mfn(1024), 9);
    buddy_free(mfn(1536), 8);
    assert_int_equal(buddy_alloc(10, 0, &m), -ENOMEM);
    buddy_free(mfn(1792), 8);
    assert_int_equal(buddy_alloc(10, 0, &m), 0);
}

static void a_missing_frame_splits(void **state)
{
    mfn_t m;

    fresh(2048, 4096);
    assert_int_equal(buddy_alloc(11, 0, &m), 0);
    for (uint64_t n = 2048; n < 4096; n++)
        if (n != 3000)
            buddy_free(mfn(n), 0);
    assert_int_equal(buddy_alloc(11, 0, &m), -ENOMEM);
    assert_int_equal(buddy_alloc(10, 0, &m), 0);
    assert_int_equal(m.n, 3072);
    assert_int_equal(buddy_alloc(10, 0, &m), -ENOMEM);
    assert_int_equal(buddy_alloc(9, 0, &m), 0);
    assert_int_equal(m.n, 2048);
    assert_false(buddy_is_free(mfn(3000)));
}

static void below_a_limit(void **state)
{
    mfn_t m;

    fresh(1, FRAMES);
    for (unsigned bits = 13; bits <= 64; bits++)
        for (unsigned order = 0; order < 13; order++) {
            uint64_t limit = bits >= 25 ? FRAMES : 1ull << (bits - PAGE_SHIFT);
            int rc = buddy_alloc(order, bits, &m);

            /* Blocks of 2^order frames lie at 2^order at the lowest: frame 0 is not there. */
            assert_int_equal(rc, 2ull << order <= limit ? 0 : -ENOMEM);
            if (!rc) {
                assert_true(m.n + (1ull << order) <= limit);
                assert_true(IS_ALIGNED(m.n, 1ull << order));
                buddy_free(m, order);
            }
        }
    assert_int_equal(buddy_free_frames(), FRAMES - 1);
    /* Without a limit the low half stays to the last. */
    for (unsigned i = 0; i < FRAMES / 2; i++) {
        assert_int_equal(buddy_alloc(0, 0, &m), 0);
        assert_true(m.n >= FRAMES / 2);
    }
    assert_int_equal(buddy_alloc(0, 12 + 12, &m), 0);
    assert_true(m.n >= FRAMES / 4 && m.n < FRAMES / 2);
}

/* The last test: the lock stays held. */
static void misuse(void **state)
{
    mfn_t m;

    fresh(1024, 2048);
    assert_int_equal(buddy_alloc(3, 0, &m), 0);
    assert_true(host_panics(buddy_free(mfn(m.n + 1), 3)));
    assert_true(host_panics(buddy_free(mfn(FRAMES - 4), 3)));
    assert_true(host_panics(buddy_free(mfn(FRAMES), 0)));
    assert_true(host_panics(buddy_tag(m, 0x20)));
    buddy_free(m, 3);
    assert_true(host_panics(buddy_free(m, 3))); /* twice */
    host_log();
}

static void tags(void **state)
{
    mfn_t a, b;

    fresh(1024, 2048);
    assert_int_equal(buddy_alloc(0, 0, &a), 0);
    assert_int_equal(buddy_alloc(0, 0, &b), 0);
    buddy_tag(a, 31);
    buddy_tag(b, 1);
    assert_int_equal(buddy_tag_of(a), 31);
    assert_int_equal(buddy_tag_of(b), 1);
    buddy_free(a, 0);
    assert_int_equal(buddy_tag_of(b), 1);
    assert_true(buddy_is_free(a));
    assert_false(buddy_is_free(b));
}

/* ---- contents ---- */

static bool is_zero(mfn_t m, uint64_t n)
{
    const uint64_t *w = mfn_to_virt(m);

    for (uint64_t i = 0; i < n * PAGE_SIZE / 8; i++)
        if (w[i])
            return false;
    return true;
}

static mfn_t soiled(unsigned order)
{
    mfn_t m;

    assert_int_equal(buddy_alloc(order, 0, &m), 0);
    memset(mfn_to_virt(m), 0xa5, PAGE_SIZE << order);
    return m;
}

/* Whether idle CPUs came to it or not, and whatever was joined and split in between. */
static void zero_for_the_next(void **state)
{
    mfn_t m;

    fresh(1024, 2048);
    buddy_free(soiled(10), 10);
    assert_int_equal(buddy_alloc(10, 0, &m), 0);
    assert_false(is_zero(m, 1024));
    buddy_zero(m, 1024);
    assert_true(is_zero(m, 1024));
    memset(mfn_to_virt(m), 0xa5, 1024 * PAGE_SIZE);
    buddy_free(m, 10);
    for (unsigned i = 0; i < 1023; i++)
        assert_true(buddy_scrub());
    assert_false(buddy_scrub());
    assert_int_equal(buddy_alloc(3, 0, &m), 0); /* splits */
    assert_true(is_zero(m, 8));
    buddy_free(m, 3); /* joins, and is dirty */
    assert_int_equal(buddy_alloc(10, 0, &m), 0);
    assert_true(is_zero(m, 1024)); /* no node of a list was left in it */
    buddy_free(m, 10);
    while (buddy_scrub())
        ;
    buddy_free(soiled(0), 0);
    assert_int_equal(buddy_alloc(10, 0, &m), 0);
    assert_false(is_zero(m, 1024));
    buddy_zero(m, 1024);
    assert_true(is_zero(m, 1024));
    assert_false(buddy_scrub()); /* nothing that is somebody's */
}

/* What nobody had is not touched before somebody does. */
static void untouched(void **state)
{
    mfn_t m;

    fresh(1024, 2048);
    assert_false(buddy_scrub());
    memset(mfn_to_virt(mfn(1025)), 0xa5, PAGE_SIZE);
    assert_int_equal(buddy_alloc(10, 0, &m), 0);
    buddy_zero(m, 1024);
    assert_true(is_zero(m, 1024));
}

static void ranges(void **state)
{
    mfn_t m;

    fresh(1024, 2048);
    assert_int_equal(buddy_alloc(10, 0, &m), 0);
    buddy_free_range(mfn(1027), 1000);
    assert_int_equal(buddy_free_frames(), 1000);
    assert_false(buddy_is_free(mfn(1026)));
    assert_true(buddy_is_free(mfn(1027)));
    assert_true(buddy_is_free(mfn(2026)));
    assert_false(buddy_is_free(mfn(2027)));
    buddy_free_range(mfn(2027), 21);
    buddy_free_range(mfn(1024), 3);
    assert_int_equal(buddy_alloc(10, 0, &m), 0);
}

/* ---- by chance ---- */

#define OUT 400

static struct {
    mfn_t m;
    unsigned order;
} out[OUT];

static void by_chance(void **state)
{
    static uint8_t taken[FRAMES];
    unsigned n = 0;
    uint64_t held = 0;

    fresh(3, FRAMES - 5);
    memset(taken, 0, sizeof(taken));
    srand(3);
    for (unsigned step = 0; step < 30000; step++) {
        if (n < OUT && rand() % 100 < 52) {
            unsigned order = (unsigned)rand() % 7,
                     bits = rand() % 3 ? 0 : 14 + (unsigned)rand() % 12;

            if (buddy_alloc(order, bits, &out[n].m))
                continue;
            assert_true(IS_ALIGNED(out[n].m.n, 1ull << order));
            assert_true(!bits || (out[n].m.n + (1ull << order)) << PAGE_SHIFT <= 1ull << bits);
            for (uint64_t i = 0; i < 1ull << order; i++) {
                assert_false(taken[out[n].m.n + i]);
                taken[out[n].m.n + i] = 1;
            }
            memset(mfn_to_virt(out[n].m), 0xa5, PAGE_SIZE << order); /* it is ours */
            held += 1ull << order;
            out[n++].order = order;
        } else if (n) {
            unsigned i = (unsigned)rand() % n;
            uint64_t first = out[i].m.n, count = 1ull << out[i].order;

            memset(&taken[first], 0, count);
            held -= count;
            if (rand() % 2)
                buddy_free(out[i].m, out[i].order);
            else
                for (uint64_t f = 0; f < count; f++)
                    buddy_free(mfn(first + f), 0);
            out[i] = out[--n];
        }
        assert_int_equal(buddy_free_frames(), FRAMES - 8 - held);
        if (step % 500 == 0)
            for (uint64_t f = 3; f < FRAMES - 5; f++)
                assert_int_equal(buddy_is_free(mfn(f)), !taken[f]);
    }
    while (n--)
        buddy_free(out[n].m, out[n].order);
    /* All joined: the largest blocks there can be. */
    for (unsigned order = 11; order > 1; order--)
        assert_int_equal(buddy_alloc(order, order + 13, &out[0].m), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty),
        cmocka_unit_test(each_frame_once),
        cmocka_unit_test(joined_again),
        cmocka_unit_test(a_missing_frame_splits),
        cmocka_unit_test(below_a_limit),
        cmocka_unit_test(tags),
        cmocka_unit_test(zero_for_the_next),
        cmocka_unit_test(untouched),
        cmocka_unit_test(ranges),
        cmocka_unit_test(by_chance),
        cmocka_unit_test(misuse),
    };

    return cmocka_run_group_tests_name("memory_buddy", tests, NULL, NULL);
}
