/* SPDX-License-Identifier: MIT */
/* memory/heap: sizes, alignment, contents, the end of memory, and a random life of objects none of
 * which may touch another. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "memory/buddy.h"
#include "memory/heap.h"
#include "memory/layout.h"

static int fresh(void **state)
{
    host_machine_init(16 << 20, 1);
    host_memory_init();
    return 0;
}

static size_t alignment(size_t size)
{
    size_t a = 16;

    if (size >= PAGE_SIZE)
        return PAGE_SIZE;
    while (a < size)
        a *= 2;
    return a == size ? a : 16;
}

static void sizes_and_alignment(void **state)
{
    static const size_t sizes[] = {0,    1,    15,    16,    17,      31,           32,
                                   33,   48,   64,    100,   128,     256,          511,
                                   512,  513,  1024,  2047,  2048,    2049,         4095,
                                   4096, 4097, 12288, 65537, 1 << 20, (1 << 20) + 1};

    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        uint8_t *a = heap_alloc(sizes[i]), *b = heap_alloc(sizes[i]);

        assert_non_null(a);
        assert_non_null(b);
        assert_true(IS_ALIGNED((uintptr_t)a, alignment(sizes[i])));
        assert_true(IS_ALIGNED((uintptr_t)b, alignment(sizes[i])));
        assert_true((uintptr_t)a >= HW_VA_DIRECT && (uintptr_t)a < HW_VA_DIRECT + host_ram_bytes);
        assert_true(a + sizes[i] <= b || b + sizes[i] <= a);
        assert_ptr_not_equal(a, b);
        memset(a, 1, sizes[i]);
        memset(b, 2, sizes[i]);
        for (size_t at = 0; at < sizes[i]; at++)
            assert_true(a[at] == 1 && b[at] == 2);
        heap_free(a);
        heap_free(b);
    }
    heap_free(NULL);
}

static void zeroed(void **state)
{
    for (size_t size = 1; size < 10000; size = size * 3 / 2 + 1) {
        uint8_t *p = heap_alloc(size);

        memset(p, 0xff, size);
        heap_free(p);
        p = heap_zalloc(size);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xff, size);
        heap_free(p);
    }
    for (unsigned i = 0; i < 10; i++) {
        uint8_t *p = heap_page();

        assert_true(IS_ALIGNED((uintptr_t)p, PAGE_SIZE));
        for (size_t j = 0; j < PAGE_SIZE; j++)
            assert_int_equal(p[j], 0);
        memset(p, 0xff, PAGE_SIZE);
        heap_page_free(p);
    }
}

static void impossible_sizes(void **state)
{
    uint64_t frames = heap_frames();

    assert_null(heap_alloc(SIZE_MAX));
    assert_null(heap_alloc(SIZE_MAX / 2 + 2));
    assert_null(heap_alloc((1ul << 30) + 1));
    assert_null(heap_alloc(1ul << 30)); /* the machine has less */
    assert_null(heap_zalloc(SIZE_MAX - 4095));
    assert_null(heap_zalloc(1ul << 63));
    assert_int_equal(heap_frames(), frames);
}

static void frames_are_counted(void **state)
{
    uint64_t free = buddy_free_frames();
    void *a = heap_alloc(PAGE_SIZE), *b = heap_alloc(3 * PAGE_SIZE), *c = heap_alloc(2049);

    assert_int_equal(heap_frames(), 6);
    assert_int_equal(buddy_free_frames(), free - 6);
    heap_free(b);
    assert_int_equal(heap_frames(), 2);
    heap_free(a);
    heap_free(c);
    assert_int_equal(heap_frames(), 0);
    assert_int_equal(buddy_free_frames(), free);
    /* Small objects share a frame. */
    for (unsigned i = 0; i < 256; i++)
        assert_non_null(heap_alloc(16));
    assert_int_equal(heap_frames(), 1);
    assert_non_null(heap_alloc(9));
    assert_int_equal(heap_frames(), 2);
}

static void end_of_memory(void **state)
{
    void *small[2], *p, *chain = NULL;
    unsigned n = 0;

    small[0] = heap_alloc(1000);
    while ((p = heap_page()) != NULL) {
        *(void **)p = chain;
        chain = p;
        n++;
    }
    assert_int_equal(n + 1, (16 << 20 >> PAGE_SHIFT) - 256);
    assert_int_equal(buddy_free_frames(), 0);
    assert_null(heap_alloc(3000));
    assert_null(heap_zalloc(16)); /* a class that has no frame */
    for (unsigned i = 0; i < 3; i++)
        assert_non_null(heap_alloc(1024)); /* the rest of the frame that has the first */
    assert_null(heap_alloc(1024));
    heap_free(small[0]);
    small[1] = heap_alloc(513);
    assert_ptr_equal(small[1], small[0]);
    while (chain) {
        p = chain;
        chain = *(void **)p;
        heap_page_free(p);
    }
    assert_int_equal(buddy_free_frames(), n);
    p = heap_alloc(4 << 20); /* in one piece again */
    assert_non_null(p);
}

static void misuse(void **state)
{
    mfn_t m;

    assert_int_equal(buddy_alloc(0, 0, &m), 0);
    assert_true(host_panics(heap_free(mfn_to_virt(m)))); /* not the heap's */
    host_log();
}

#define OBJECTS 500

static void by_chance(void **state)
{
    static struct {
        uint8_t *p;
        size_t size;
        uint8_t fill;
    } o[OBJECTS];

    memset(o, 0, sizeof(o));
    srand(5);
    for (unsigned step = 0; step < 40000; step++) {
        unsigned i = (unsigned)rand() % OBJECTS;

        if (o[i].p) {
            for (size_t at = 0; at < o[i].size; at += 7)
                assert_int_equal(o[i].p[at], o[i].fill);
            assert_true(!o[i].size || o[i].p[o[i].size - 1] == o[i].fill);
            heap_free(o[i].p);
            o[i].p = NULL;
            continue;
        }
        o[i].size = (size_t)rand() % (rand() % 10 ? 300 : 20000);
        o[i].fill = (uint8_t)rand();
        o[i].p = heap_alloc(o[i].size);
        if (o[i].p)
            memset(o[i].p, o[i].fill, o[i].size);
    }
    for (unsigned i = 0; i < OBJECTS; i++)
        heap_free(o[i].p);
    assert_true(heap_frames() + buddy_free_frames() == (16 << 20 >> PAGE_SHIFT) - 256);
    assert_true(heap_frames() < 100); /* only what classes keep */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(sizes_and_alignment, fresh),
        cmocka_unit_test_setup(zeroed, fresh),
        cmocka_unit_test_setup(impossible_sizes, fresh),
        cmocka_unit_test_setup(frames_are_counted, fresh),
        cmocka_unit_test_setup(end_of_memory, fresh),
        cmocka_unit_test_setup(misuse, fresh),
        cmocka_unit_test_setup(by_chance, fresh),
    };

    return cmocka_run_group_tests_name("memory_heap", tests, NULL, NULL);
}
