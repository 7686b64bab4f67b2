/* SPDX-License-Identifier: MIT */
/* boot/memory_map: what firmware hands over, in order or not, comes out sorted, without overlaps,
 * and RAM in whole frames; by cases and by chance against a map of single bytes' worth of pages. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "boot/boot.h"
#include "boot/boot_info.h"

static int fresh(void **state)
{
    boot_memory_finish();
    host_log();
    return boot_info.nr_memory != 0;
}

static void expect(unsigned i, paddr_t start, paddr_t end, uint32_t type)
{
    assert_true(i < boot_info.nr_memory);
    assert_int_equal(boot_info.memory[i].start, start);
    assert_int_equal(boot_info.memory[i].end, end);
    assert_int_equal(boot_info.memory[i].type, type);
}

static void nothing(void **state)
{
    boot_memory_finish();
    assert_int_equal(boot_info.nr_memory, 0);
    boot_memory_add(0x1000, 0, BOOT_RAM);
    boot_memory_add(0x1000, 0, BOOT_RESERVED);
    boot_memory_finish();
    assert_int_equal(boot_info.nr_memory, 0);
}

static void sorted_and_joined(void **state)
{
    boot_memory_add(0x300000, 0x100000, BOOT_RAM);
    boot_memory_add(0x100000, 0x100000, BOOT_RAM);
    boot_memory_add(0x200000, 0x100000, BOOT_RAM);
    boot_memory_add(0, 0x9f000, BOOT_RAM);
    boot_memory_add(0x500000, 0x1000, BOOT_ACPI);
    boot_memory_add(0x501000, 0x1000, BOOT_NVS);
    boot_memory_finish();
    assert_int_equal(boot_info.nr_memory, 4);
    expect(0, 0, 0x9f000, BOOT_RAM);
    expect(1, 0x100000, 0x400000, BOOT_RAM);
    expect(2, 0x500000, 0x501000, BOOT_ACPI);
    expect(3, 0x501000, 0x502000, BOOT_NVS);
}

static void less_usable_wins(void **state)
{
    static const uint32_t order[][2] = {
        {BOOT_RAM, BOOT_RESERVED},      {BOOT_RAM, BOOT_ACPI},
        {BOOT_RAM, BOOT_UNUSABLE},      {BOOT_RAM, 12},
        {BOOT_RESERVED, BOOT_UNUSABLE}, {12, BOOT_UNUSABLE},
        {BOOT_RESERVED, BOOT_NVS},
    };

    for (unsigned i = 0; i < 2 * ARRAY_SIZE(order); i++) {
        const uint32_t *o = order[i / 2];

        /* In either order the second is cut out of the first. */
        if (i % 2)
            boot_memory_add(0x2000, 0x1000, o[1]);
        boot_memory_add(0, 0x10000, o[0]);
        if (i % 2 == 0)
            boot_memory_add(0x2000, 0x1000, o[1]);
        boot_memory_finish();
        assert_int_equal(boot_info.nr_memory, 3);
        expect(0, 0, 0x2000, o[0]);
        expect(1, 0x2000, 0x3000, o[1]);
        expect(2, 0x3000, 0x10000, o[0]);
    }
}

/* Type 0 means nothing in any specification: it is not RAM, wherever it stands in the list. */
static void type_zero_over_ram(void **state)
{
    for (unsigned first = 0; first < 2; first++) {
        if (first)
            boot_memory_add(0x2000, 0x1000, 0);
        boot_memory_add(0, 0x10000, BOOT_RAM);
        if (!first)
            boot_memory_add(0x2000, 0x1000, 0);
        boot_memory_finish();
        for (unsigned i = 0; i < boot_info.nr_memory; i++)
            if (boot_info.memory[i].type == BOOT_RAM)
                assert_true(boot_info.memory[i].end <= 0x2000 ||
                            boot_info.memory[i].start >= 0x3000);
        expect(0, 0, 0x2000, BOOT_RAM);
    }
}

static void ram_in_whole_frames(void **state)
{
    boot_memory_add(0x1, 0x1ffe, BOOT_RAM); /* one whole frame: 0x1000 would end at 0x1fff */
    boot_memory_add(0x10800, 0x2000, BOOT_RAM);
    boot_memory_add(0x20001, 0xfff, BOOT_RAM);
    boot_memory_add(0x30800, 0x10, BOOT_RESERVED);
    boot_memory_finish();
    assert_int_equal(boot_info.nr_memory, 2);
    expect(0, 0x11000, 0x12000, BOOT_RAM);
    expect(1, 0x30800, 0x30810, BOOT_RESERVED);
}

/* A few reserved bytes inside RAM take the whole frame. */
static void ram_cut_by_a_piece_of_a_frame(void **state)
{
    boot_memory_add(0, 0xa0000, BOOT_RAM);
    boot_memory_add(0x5500, 0x100, BOOT_RESERVED);
    boot_memory_add(0x9fc00, 0x400, BOOT_RESERVED);
    boot_memory_finish();
    assert_int_equal(boot_info.nr_memory, 4);
    expect(0, 0, 0x5000, BOOT_RAM);
    expect(1, 0x5500, 0x5600, BOOT_RESERVED);
    expect(2, 0x6000, 0x9f000, BOOT_RAM);
    expect(3, 0x9fc00, 0xa0000, BOOT_RESERVED);
}

static void range_beyond_the_last_address(void **state)
{
    boot_memory_add(0x100000, 0x100000, BOOT_RAM);
    boot_memory_add(0xfffffffffffff800, 0x1000, BOOT_RESERVED); /* begins after the last frame */
    boot_memory_add(0xfffffffffffff800, 0x1000, BOOT_RAM);
    boot_memory_finish();
    expect(0, 0x100000, 0x200000, BOOT_RAM);
    for (unsigned i = 0; i < boot_info.nr_memory; i++)
        assert_true(boot_info.memory[i].start < boot_info.memory[i].end);

    boot_memory_add(0x100000, ~0ull, BOOT_RAM);
    boot_memory_add(0x200000, ~0ull - 0x200000, BOOT_RESERVED); /* ends at the last byte */
    boot_memory_finish();
    assert_int_equal(boot_info.nr_memory, 2);
    expect(0, 0x100000, 0x200000, BOOT_RAM);
    expect(1, 0x200000, ~0ull, BOOT_RESERVED);
}

/* As many entries as fit, each cutting the RAM under all of them; then too many. */
static void many(void **state)
{
    const unsigned raw_max = BOOT_MEMORY / 2;

    boot_memory_add(0, 0x10000000, BOOT_RAM);
    for (unsigned i = 0; i < raw_max - 1; i++)
        boot_memory_add(0x2000 * (uint64_t)i + 0x1000, 0x1000, BOOT_RESERVED);
    assert_string_equal(host_log(), "");
    boot_memory_finish();
    assert_int_equal(boot_info.nr_memory, 2 * raw_max - 1);
    expect(2 * raw_max - 2, 0x2000ull * (raw_max - 1), 0x10000000, BOOT_RAM);

    for (unsigned i = 0; i < 10 * raw_max; i++)
        boot_memory_add(0x2000 * (uint64_t)i, 0x1000, BOOT_RAM);
    assert_non_null(strstr(host_log(), "more than"));
    boot_memory_finish();
    assert_int_equal(boot_info.nr_memory, raw_max);
}

/* ---- by chance: 64 frames, each range a run of them ---- */

#define FRAMES 64

static unsigned usable(uint32_t type) /* the higher, the less */
{
    return type == BOOT_RAM ? 1 : type == BOOT_UNUSABLE ? 1000 : type;
}

static void by_chance(void **state)
{
    static const uint32_t types[] = {BOOT_RAM,      BOOT_RAM, BOOT_RESERVED, BOOT_ACPI, BOOT_NVS,
                                     BOOT_UNUSABLE, 7};

    srand(7);
    for (unsigned round = 0; round < 3000; round++) {
        uint32_t model[FRAMES] = {0};
        unsigned n = (unsigned)rand() % 20;

        for (unsigned i = 0; i < n; i++) {
            unsigned a = (unsigned)rand() % FRAMES, len = (unsigned)rand() % (FRAMES - a + 1);
            uint32_t t = types[(unsigned)rand() % ARRAY_SIZE(types)];

            boot_memory_add(a * PAGE_SIZE, len * PAGE_SIZE, t);
            for (unsigned f = a; f < a + len; f++)
                if (!model[f] || usable(t) > usable(model[f]))
                    model[f] = t;
        }
        boot_memory_finish();
        for (unsigned i = 0; i < boot_info.nr_memory; i++) {
            const struct boot_range *r = &boot_info.memory[i];

            assert_true(r->start < r->end);
            if (i) {
                assert_true(r[-1].end <= r->start);
                assert_false(r[-1].end == r->start && r[-1].type == r->type);
            }
            for (paddr_t p = r->start; p < r->end; p += PAGE_SIZE) {
                assert_int_equal(model[p / PAGE_SIZE], r->type);
                model[p / PAGE_SIZE] = 0;
            }
        }
        for (unsigned f = 0; f < FRAMES; f++)
            assert_int_equal(model[f], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing, fresh),
        cmocka_unit_test_setup(sorted_and_joined, fresh),
        cmocka_unit_test_setup(less_usable_wins, fresh),
        cmocka_unit_test_setup(type_zero_over_ram, fresh),
        cmocka_unit_test_setup(ram_in_whole_frames, fresh),
        cmocka_unit_test_setup(ram_cut_by_a_piece_of_a_frame, fresh),
        cmocka_unit_test_setup(range_beyond_the_last_address, fresh),
        cmocka_unit_test_setup(many, fresh),
        cmocka_unit_test_setup(by_chance, fresh),
    };

    return cmocka_run_group_tests_name("boot_memory_map", tests, NULL, NULL);
}
