/* SPDX-License-Identifier: MIT */
/* cpu/stacks.c: what of a CPU's block is mapped, that a second try after memory was short goes on,
 * and which address is in the guard of which stack. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "cpu/cpu.h"
#include "machine.h"
#include "memory/buddy.h"
#include "memory/heap.h"
#include "memory/layout.h"
#include "memory/map.h"

static int setup(void **state)
{
    host_machine_init(16 << 20, 2);
    host_memory_init();
    hv_l4 = heap_page();
    return hv_l4 ? 0 : -1;
}

static unsigned mapped(uint64_t va)
{
    unsigned level;

    return map_lookup(va, &level) != 0;
}

static void check_block(const struct cpu_local *local)
{
    uint64_t end = (uintptr_t)(local + 1);
    unsigned stacks = 0;

    assert_int_equal(end % CPU_BLOCK_SIZE, 0);
    for (unsigned i = 0; i < CPU_BLOCK_PAGES; i++) {
        uint64_t va = end - CPU_BLOCK_SIZE + i * PAGE_SIZE;
        unsigned level;

        assert_int_equal(mapped(va), cpu_block_has(va));
        if (!mapped(va)) {
            stacks++;
            continue;
        }
        assert_int_equal(map_lookup(va, &level) & (PTE_P | PTE_RW | PTE_NX | PTE_U),
                         PTE_P | PTE_RW | PTE_NX);
        /* No two pages are one frame. */
        for (unsigned j = 0; j < i; j++)
            assert_true(!mapped(va - (i - j) * PAGE_SIZE) ||
                        pte_mfn(map_lookup(va - (i - j) * PAGE_SIZE, &level)).n !=
                            pte_mfn(map_lookup(va, &level)).n);
    }
    assert_int_equal(stacks, 5);
    assert_false(mapped(end - CPU_BLOCK_SIZE));
}

static void test_each_stack_has_a_guard(void **state)
{
    const struct cpu_local *a = cpu_stacks_make(1), *b = cpu_stacks_make(2);

    assert_non_null(a);
    assert_non_null(b);
    assert_ptr_not_equal(a, b);
    check_block(a);
    check_block(b);
}

static void test_short_memory_is_tried_again(void **state)
{
    static mfn_t taken[4096];
    const struct cpu_local *local;
    unsigned n = 0;

    while (n < ARRAY_SIZE(taken) && !buddy_alloc(0, 0, &taken[n]))
        n++;
    assert_null(cpu_stacks_make(1));
    for (unsigned back = 0; back < 6; back++)
        buddy_free(taken[--n], 0);
    assert_null(cpu_stacks_make(1));
    while (n)
        buddy_free(taken[--n], 0);
    local = cpu_stacks_make(1);
    assert_non_null(local);
    check_block(local);
}

static void test_guards_have_names(void **state)
{
    static const char *const name[CPU_BLOCK_PAGES] = {
        [0] = "NMI", [3] = "#DB", [5] = "#DF", [8] = "#MC", [11] = "primary"};
    uint64_t block = (uintptr_t)(cpu_local() + 1) - CPU_BLOCK_SIZE;

    for (unsigned i = 0; i < CPU_BLOCK_PAGES; i++) {
        const char *got = cpu_stacks_overflowed(block + i * PAGE_SIZE + PAGE_SIZE - 8);

        if (name[i])
            assert_string_equal(got, name[i]);
        else
            assert_null(got);
    }
    assert_null(cpu_stacks_overflowed(block - CPU_BLOCK_SIZE));
    assert_null(cpu_stacks_overflowed(block + CPU_BLOCK_SIZE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_each_stack_has_a_guard, setup),
        cmocka_unit_test_setup(test_short_memory_is_tried_again, setup),
        cmocka_unit_test_setup(test_guards_have_names, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
