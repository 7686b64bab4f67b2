/* SPDX-License-Identifier: MIT */
/* memory/map: the entries in the hypervisor's tables, tables made on the way, changes and what is
 * flushed for them, lookups at each level, and the address ranges of mappings that come and go. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/errno.h"
#include "machine.h"
#include "memory/buddy.h"
#include "memory/heap.h"
#include "memory/layout.h"
#include "memory/map.h"
#include "memory/tlb.h"

#define VA  0xffff828012345000ul
#define RW  (PTE_P | PTE_RW | PTE_A | PTE_D | PTE_NX | PTE_G)
#define MFN mfn(0xabcde)

static unsigned ipis;

static void serve_others(const struct cpu_mask *mask)
{
    unsigned cpu;

    ipis++;
    bitmap_for_each (cpu, mask->bits, MAX_CPUS) {
        host_cpu_select(cpu);
        tlb_serve();
    }
    host_cpu_select(0);
}

static int setup(void **state)
{
    host_machine_init(16 << 20, 2);
    host_memory_init();
    hv_l4 = heap_page();
    tlb_ipi = serve_others;
    ipis = 0;
    return hv_l4 ? 0 : -1;
}

/* The entry of `level` on the way to va, by hand. */
static uint64_t *entry(uint64_t va, unsigned level)
{
    uint64_t *t = hv_l4;

    for (unsigned l = 4; l > level; l--) {
        uint64_t e = t[pt_index(va, l)];

        assert_true(e & PTE_P);
        /* The last level decides: those above allow all. */
        assert_int_equal(e & (PTE_RW | PTE_U | PTE_NX | PTE_PSE), PTE_RW | PTE_U);
        t = mfn_to_virt(pte_mfn(e));
    }
    return &t[pt_index(va, level)];
}

static void tables_are_made(void **state)
{
    uint64_t free = buddy_free_frames();

    assert_int_equal(map_frame(VA, MFN, RW), 0);
    assert_int_equal(*entry(VA, 1), pte_make(MFN, RW));
    assert_int_equal(free - buddy_free_frames(), 3);
    /* A neighbour needs none, and leaves the first alone. */
    assert_int_equal(map_frame(VA + PAGE_SIZE, mfn(7), PTE_P | PTE_NX), 0);
    assert_int_equal(*entry(VA + PAGE_SIZE, 1), pte_make(mfn(7), PTE_P | PTE_NX));
    assert_int_equal(*entry(VA, 1), pte_make(MFN, RW));
    assert_int_equal(free - buddy_free_frames(), 3);
    /* Beyond the L1's 2 MiB: one. */
    assert_int_equal(map_frame(VA + (2ul << 20), mfn(8), RW), 0);
    assert_int_equal(free - buddy_free_frames(), 4);
}

static void memory_runs_out(void **state)
{
    mfn_t m;

    while (buddy_alloc(0, 0, &m) == 0)
        ;
    while (heap_page())
        ;
    assert_int_equal(map_frame(VA, MFN, RW), -ENOMEM);
    assert_null(vmap(0xfee00000, PAGE_SIZE, PTE_CACHE_UC));
    /* What there is by then can be used. */
    buddy_add(mfn(1), mfn(4));
    assert_int_equal(map_frame(VA, MFN, RW), 0);
    assert_int_equal(*entry(VA, 1), pte_make(MFN, RW));
}

static void changes_are_flushed_everywhere(void **state)
{
    unsigned level;

    assert_int_equal(map_frame(VA, MFN, RW), 0);
    host_tlb = true;
    for (unsigned cpu = 2; cpu-- > 0;) {
        host_cpu_select(cpu);
        host_tlb_fill(0, VA, RW);
        host_tlb_fill(0, VA + PAGE_SIZE, RW);
    }
    map_set(VA, pte_make(mfn(5), PTE_P));
    assert_int_equal(map_lookup(VA, &level), pte_make(mfn(5), PTE_P));
    assert_int_equal(ipis, 1);
    for (unsigned cpu = 2; cpu-- > 0;) {
        uint64_t pte;

        host_cpu_select(cpu);
        assert_false(host_tlb_find(0, VA, &pte));
        assert_true(host_tlb_find(0, VA + PAGE_SIZE, &pte));
    }
    map_set(VA, 0);
    assert_int_equal(map_lookup(VA, &level), 0);
}

static void lookups(void **state)
{
    unsigned level = 0;

    assert_int_equal(map_lookup(VA, &level), 0);
    assert_int_equal(level, 4);
    assert_int_equal(map_frame(VA, MFN, RW), 0);
    assert_int_equal(map_lookup(VA + 0x123, &level), pte_make(MFN, RW));
    assert_int_equal(level, 1);
    assert_int_equal(map_lookup(VA + PAGE_SIZE, &level), 0);
    assert_int_equal(level, 1);
    *entry(VA + (1ul << 30), 3) = 5ul << 30 | PTE_P | PTE_PSE;
    assert_int_equal(map_lookup(VA + (1ul << 30), &level), 5ul << 30 | PTE_P | PTE_PSE);
    assert_int_equal(level, 3);
    *entry(VA + (2ul << 20), 2) = 6ul << 21 | PTE_P | PTE_PSE;
    assert_int_equal(map_lookup(VA + (2ul << 20), &level), 6ul << 21 | PTE_P | PTE_PSE);
    assert_int_equal(level, 2);
    assert_int_equal(hv_cr3(), virt_to_paddr(hv_l4));
}

static void devices(void **state)
{
    /* 3 bytes before a page's end and 2 pages and a byte more: four pages. */
    char *p = vmap(0xfed00ffd, 3 + 2 * PAGE_SIZE + 1, PTE_CACHE_UC);
    uint64_t va = (uintptr_t)p & PAGE_MASK;
    unsigned level;

    assert_non_null(p);
    assert_int_equal((uintptr_t)p & ~PAGE_MASK, 0xffd);
    assert_true(va >= HW_VA_VMAP);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(map_lookup(va + i * PAGE_SIZE, &level),
                         pte_make(mfn(0xfed00 + i), RW | PTE_CACHE_UC));
    assert_int_equal(map_lookup(va + 4 * PAGE_SIZE, &level), 0);

    /* Another one is apart from it by a page that is not mapped. */
    char *q = vmap(0x1000, PAGE_SIZE, 0);

    assert_true((uintptr_t)q >= va + 5 * PAGE_SIZE || (uintptr_t)q + 2 * PAGE_SIZE <= va);
    assert_int_equal(map_lookup((uintptr_t)q, &level), pte_make(mfn(1), RW));
    assert_null(vmap(0x1000, 0, 0));
    assert_null(vmap(0, 65ul << 30, 0));

    host_tlb = true;
    host_cpu_select(1);
    host_tlb_fill(0, va + PAGE_SIZE, RW);
    host_cpu_select(0);
    vunmap(p, 3 + 2 * PAGE_SIZE + 1);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(map_lookup(va + i * PAGE_SIZE, &level), 0);
    assert_int_equal(map_lookup((uintptr_t)q, &level), pte_make(mfn(1), RW));
    host_cpu_select(1);
    assert_false(host_tlb_find(0, va + PAGE_SIZE, &(uint64_t){0}));
    host_cpu_select(0);

    /* The range is used again for as many pages, and not for more. */
    assert_ptr_not_equal(vmap(0x7000, 5 * PAGE_SIZE, 0), (void *)va);
    assert_ptr_equal(vmap(0x7000, 4 * PAGE_SIZE, PTE_CACHE_WC), (void *)va);
    assert_int_equal(map_lookup(va, &level), pte_make(mfn(7), RW | PTE_CACHE_WC));
    vunmap(NULL, 1);
}

/* The last test: who panics keeps the lock. */
static void what_has_no_table_is_not_changed(void **state)
{
    assert_int_equal(map_frame(VA, MFN, RW), 0);
    assert_true(host_panics(map_set(VA + (1ul << 39), 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(tables_are_made, setup),
        cmocka_unit_test_setup(memory_runs_out, setup),
        cmocka_unit_test_setup(changes_are_flushed_everywhere, setup),
        cmocka_unit_test_setup(lookups, setup),
        cmocka_unit_test_setup(devices, setup),
        cmocka_unit_test_setup(what_has_no_table_is_not_changed, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
