/* SPDX-License-Identifier: MIT */
/* mmu_update and update_va_mapping as a guest kernel sees them: what is done, what is refused with
 * which error, how many were done; after each test the audit agrees. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "pvguest.h"
#include "frame/p2m.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "memory/tlb.h"

#define RW (PTE_P | PTE_RW | PTE_U | PTE_A | PTE_D)
#define RO (PTE_P | PTE_U | PTE_A | PTE_D)

static struct pvguest *g;

static int setup(void **state)
{
    pvg_machine(64u << 20, 2);
    pvg_seed = 1;
    pvg_preempt = 0;
    g = pvg_new(0, 256, true);
    pvg_run(g, 0);
    return 0;
}

static int teardown(void **state)
{
    int mistakes = frame_audit();

    pvg_free(g);
    mistakes += frame_audit();
    if (mistakes)
        print_message("%s", host_log());
    return mistakes != 0;
}

/* A fresh page table of the guest: pfn unmapped from its writable place, empty. */
static void make_ro(unsigned pfn)
{
    memset(pvg_page(g, pfn), 0, PAGE_SIZE);
    assert_int_equal(pvg_update(pvg_maddr(pvg_l1e(g, pfn)), pte_make(g->mfn[pfn], RO)), 0);
}

static unsigned windows;

static void count_window(void)
{
    windows++;
}

/* Each of many requests may make a whole tree: others can run in between. */
static void test_many_tables(void **state)
{
    uint64_t *l2 = (uint64_t *)pvg_page(g, 2) + 100;
    void (*hook)(void) = host_window_hook;
    struct mmu_update u[8];
    struct mmuext_op op[8];
    unsigned done;

    for (unsigned i = 0; i < 8; i++) {
        make_ro(40 + i);
        u[i] = (struct mmu_update){pvg_maddr(&l2[i]), pte_make(g->mfn[40 + i], RW)};
        op[i] = (struct mmuext_op){.cmd = MMUEXT_PIN_L1_TABLE, .arg1.mfn = g->mfn[40 + i].n};
    }
    host_window_hook = count_window;
    frame_budget = 100;
    windows = 0;
    assert_int_equal(pvg_mmu_update(u, 8, &done, DOMID_SELF), 0);
    assert_int_equal(done, 8);
    assert_int_equal(windows, 4);
    for (unsigned i = 0; i < 8; i++)
        u[i].val = 0;
    windows = 0;
    assert_int_equal(pvg_mmu_update(u, 8, &done, DOMID_SELF), 0);
    assert_true(windows >= 3);
    windows = 0;
    assert_int_equal(pvg_mmuext(op, 8, &done, DOMID_SELF), 0);
    assert_int_equal(windows, 7);
    frame_budget = 4096;
    host_window_hook = hook;
    for (unsigned i = 0; i < 8; i++)
        op[i].cmd = MMUEXT_UNPIN_TABLE;
    assert_int_equal(pvg_mmuext(op, 8, &done, DOMID_SELF), 0);
}

static void test_unmap_and_map(void **state)
{
    uint64_t *pe = pvg_l1e(g, 20);
    mfn_t m = g->mfn[20];

    assert_int_equal(frame_ref_count(m), 2);
    assert_int_equal(frame_type_count(m), 1);
    assert_int_equal(pvg_update(pvg_maddr(pe), 0), 0);
    assert_int_equal(*pe, 0);
    assert_int_equal(frame_ref_count(m), 1);
    assert_int_equal(frame_type_count(m), 0);
    assert_int_equal(pvg_update(pvg_maddr(pe), pte_make(m, PTE_P | PTE_RW | PTE_G)), 0);
    /* The kernel runs in ring 3, and its pages are not global. */
    assert_int_equal(*pe, pte_make(m, PTE_P | PTE_RW | PTE_U));
    assert_int_equal(frame_type_count(m), 1);
    assert_int_equal(frame_type_of(m), FRAME_WRITABLE);
}

static void test_flags_only(void **state)
{
    uint64_t *pe = pvg_l1e(g, 20);
    mfn_t m = g->mfn[20];

    assert_int_equal(pvg_update(pvg_maddr(pe), pte_make(m, RO)), 0);
    assert_int_equal(frame_ref_count(m), 2);
    assert_int_equal(frame_type_count(m), 0);
    assert_int_equal(pvg_update(pvg_maddr(pe), pte_make(m, RW | PTE_NX | PTE_AVAIL)), 0);
    assert_int_equal(frame_ref_count(m), 2);
    assert_int_equal(frame_type_count(m), 1);
    assert_int_equal(*pe, pte_make(m, RW | PTE_NX | PTE_AVAIL));
}

static void test_preserve_ad(void **state)
{
    uint64_t *pe = pvg_l1e(g, 20);
    uint64_t at = pvg_maddr(pe) | MMU_PT_UPDATE_PRESERVE_AD;

    assert_int_equal(pvg_update(at, pte_make(g->mfn[20], PTE_P)), 0);
    assert_int_equal(*pe, pte_make(g->mfn[20], RO));
    assert_int_equal(pvg_update(pvg_maddr(pe), pte_make(g->mfn[20], PTE_P)), 0);
    assert_int_equal(*pe, pte_make(g->mfn[20], PTE_P | PTE_U));
}

static void test_page_table_is_never_writable(void **state)
{
    uint64_t *pe = pvg_l1e(g, 20), before = *pe;

    for (unsigned pfn = 0; pfn < g->tables; pfn++)
        assert_int_equal(pvg_update(pvg_maddr(pe), pte_make(g->mfn[pfn], RW)), -EBUSY);
    assert_int_equal(pvg_update(pvg_maddr(pvg_l1e(g, 0)), pte_make(g->mfn[0], RW)), -EBUSY);
    assert_int_equal(*pe, before);
    /* A second look at one is fine. */
    assert_int_equal(pvg_update(pvg_maddr(pe), pte_make(g->mfn[0], RO)), 0);
}

static void test_reserved_bits(void **state)
{
    uint64_t *pe = pvg_l1e(g, 20), before = *pe;

    assert_int_equal(pvg_update(pvg_maddr(pe), pte_make(g->mfn[20], RW) | 1ull << 51), -EINVAL);
    assert_int_equal(pvg_update(pvg_maddr(pe), pte_make(g->mfn[21], RW) | 1ull << 45), -EINVAL);
    assert_int_equal(pvg_update(pvg_maddr(pe), pte_make(g->mfn[20], RW) | 1ull << 60), -EINVAL);
    assert_int_equal(pvg_update(pvg_maddr(pe), PTE_ADDR_MASK | RW), -EINVAL);
    assert_int_equal(*pe, before);
    /* Anything goes in an entry that is not present. */
    assert_int_equal(pvg_update(pvg_maddr(pe), ~0ull & ~PTE_P), 0);
    assert_int_equal(*pe, ~0ull & ~PTE_P);
}

static void test_not_ours(void **state)
{
    uint64_t *pe = pvg_l1e(g, 20);
    mfn_t free;

    /* Free frames, the hypervisor's frames, and tables of nobody. */
    assert_int_equal(frame_alloc(&g->d.memory, 0, 0, &free), 0);
    assert_int_equal(frame_release(&g->d.memory, free), 0);
    assert_int_equal(pvg_update(pvg_maddr(pe), pte_make(free, RO)), -EINVAL);
    assert_int_equal(pvg_update(pvg_maddr(pe), pte_make(g->d.pv->perdomain_mfn, RO)), -EINVAL);
    assert_int_equal(pvg_update(free.n << PAGE_SHIFT, 0), -EINVAL);
    assert_int_equal(pvg_update((max_mfn + 5) << PAGE_SHIFT, 0), -EINVAL);
    assert_int_equal(pvg_update(~0ull & ~7ull, 0), -EINVAL);
    assert_int_equal(pvg_update(pvg_maddr(pe) + 4, 0), -ENOSYS);
}

static void test_devices(void **state)
{
    uint64_t *pe = pvg_l1e(g, 20);

    assert_int_equal(pvg_update(pvg_maddr(pe), pte_make(mfn(0xb8), RW | PTE_PCD)), 0);
    assert_int_equal(*pe, pte_make(mfn(0xb8), RW | PTE_PCD));
    assert_int_equal(pvg_update(pvg_maddr(pe), pte_make(mfn(0xb9), RW)), 0);
    assert_int_equal(
        *pe, pte_make(mfn(0xb9),
                      RO | PTE_PCD | PTE_PWT)); /* that one is read-only, and none is cached */
    assert_int_equal(pvg_update(pvg_maddr(pe), pte_make(mfn(0xb9), RW | PTE_NX)), 0);
    assert_int_equal(*pe, pte_make(mfn(0xb9), RO | PTE_NX | PTE_PCD | PTE_PWT));
    assert_int_equal(pvg_update(pvg_maddr(pe), pte_make(mfn(0x10), RW)), -EPERM);
    assert_int_equal(pvg_update(pvg_maddr(pe), pte_make(mfn(max_mfn + 7), RW)), -EPERM);
    /* DOMID_IO means devices and nothing else. */
    assert_int_equal(pvg_mmu_update(&(struct mmu_update){pvg_maddr(pe), pte_make(g->mfn[21], RO)},
                                    1, NULL, DOMID_IO),
                     -EINVAL);
    assert_int_equal(pvg_mmu_update(&(struct mmu_update){pvg_maddr(pe), pte_make(mfn(0xb7), RW)}, 1,
                                    NULL, DOMID_IO),
                     0);
}

static void test_caching_of_ram(void **state)
{
    uint64_t *pe = pvg_l1e(g, 20);

    assert_int_equal(pvg_update(pvg_maddr(pe), pte_make(g->mfn[21], RW | PTE_CACHE_MASK)), 0);
    assert_int_equal(*pe, pte_make(g->mfn[21], RW));
    g->d.memory.any_cache = true;
    assert_int_equal(pvg_update(pvg_maddr(pe), pte_make(g->mfn[21], RW | PTE_CACHE_WC)), 0);
    assert_int_equal(*pe, pte_make(g->mfn[21], RW | PTE_CACHE_WC));
}

static void test_link_and_unlink_l1(void **state)
{
    uint64_t *l2e = (uint64_t *)pvg_page(g, 2) + 100, *l1 = pvg_page(g, 30);
    uint64_t va = PVG_DIRECT + (100ul << 21);

    /* Its frame is still mapped writable. */
    assert_int_equal(pvg_update(pvg_maddr(l2e), pte_make(g->mfn[30], RW)), -EBUSY);
    make_ro(30);
    l1[3] = pte_make(g->mfn[40], RW | PTE_G);
    assert_int_equal(pvg_update(pvg_maddr(l2e), pte_make(g->mfn[30], RW)), 0);
    assert_int_equal(frame_type_of(g->mfn[30]), FRAME_L1);
    assert_int_equal(l1[3], pte_make(g->mfn[40], RW));
    assert_int_equal(frame_type_count(g->mfn[40]), 2);
    assert_int_equal(pv_update_va_mapping(va + 5 * PAGE_SIZE, pte_make(g->mfn[41], RW), 0), 0);
    assert_int_equal(l1[5], pte_make(g->mfn[41], RW));
    /* Flags alone, then away. */
    assert_int_equal(pvg_update(pvg_maddr(l2e), pte_make(g->mfn[30], RO)), 0);
    assert_int_equal(pvg_update(pvg_maddr(l2e), 0), 0);
    assert_int_equal(frame_type_of(g->mfn[30]), FRAME_NONE);
    assert_int_equal(frame_type_count(g->mfn[40]), 1);
    assert_int_equal(pv_update_va_mapping(va + 5 * PAGE_SIZE, 0, 0), -EINVAL);
    /* And it is ordinary memory again. */
    assert_int_equal(pvg_update(pvg_maddr(pvg_l1e(g, 30)), pte_make(g->mfn[30], RW)), 0);
    assert_int_equal(pvg_update(pvg_maddr(&l1[3]), 0x1234), 0);
    assert_int_equal(l1[3], 0x1234);
}

static void test_bad_tables(void **state)
{
    uint64_t *l2e = (uint64_t *)pvg_page(g, 2) + 100, *l1 = pvg_page(g, 30);

    make_ro(30);
    l1[0] = pte_make(g->mfn[40], RW);
    l1[511] = pte_make(g->mfn[0], RW); /* a page table */
    assert_int_equal(pvg_update(pvg_maddr(l2e), pte_make(g->mfn[30], RW)), -EBUSY);
    assert_int_equal(*l2e, 0);
    assert_int_equal(pvg_ext(MMUEXT_TLB_FLUSH_LOCAL, 0), 0); /* drops what is left */
    assert_int_equal(frame_type_count(g->mfn[40]), 1);
    l1[511] = 0;
    assert_int_equal(pvg_update(pvg_maddr(l2e), pte_make(g->mfn[30], RW | PTE_PSE)), -EINVAL);
    assert_int_equal(pvg_update(pvg_maddr(l2e), pte_make(g->mfn[30], RW | PTE_G)), -EINVAL);
    assert_int_equal(pvg_update(pvg_maddr(l2e), pte_make(mfn(0xb8), RW)), -EINVAL);
    assert_int_equal(pvg_update(pvg_maddr(l2e), pte_make(g->mfn[1], RO)), -EBUSY); /* an L3 */
    assert_int_equal(pvg_update(pvg_maddr(l2e), pte_make(g->mfn[30], RW | PTE_PCD)), 0);
    assert_int_equal(*l2e, pte_make(g->mfn[30], RW));
}

static void test_hypervisor_slots(void **state)
{
    uint64_t *l4 = pvg_page(g, 0);

    for (unsigned i = 256; i < 272; i++) {
        assert_int_equal(pvg_update(pvg_maddr(&l4[i]), 0), -EINVAL);
        assert_int_equal(pvg_update(pvg_maddr(&l4[i]), l4[i]), 0);
    }
    assert_int_equal(l4[L4_PERDOMAIN], g->d.memory.l4_perdomain);
    assert_int_equal(pv_update_va_mapping(HW_VA_DIRECT, 0, 0), -EINVAL);
    assert_int_equal(pv_update_va_mapping(0xffff800000000000ul, 0, 0), -EINVAL);
    assert_int_equal(pv_update_va_mapping(0x0000900000000000ul, 0, 0), -EINVAL);
}

static void test_linear_maps(void **state)
{
    uint64_t *l4 = pvg_page(g, 0), *l3 = pvg_page(g, 1), *l2 = pvg_page(g, 2);
    uint64_t *other = pvg_page(g, 30), *third = pvg_page(g, 31);

    assert_int_equal(pvg_update(pvg_maddr(&l4[5]), pte_make(g->mfn[0], RO)), -EINVAL);
    assert_int_equal(pvg_update(pvg_maddr(&l3[5]), pte_make(g->mfn[1], RW)), -EINVAL);
    assert_int_equal(pvg_update(pvg_maddr(&l3[5]), pte_make(g->mfn[1], RO)), 0);
    assert_int_equal(pvg_update(pvg_maddr(&l3[5]), pte_make(g->mfn[1], RW)), -EINVAL);
    assert_int_equal(pvg_update(pvg_maddr(&l2[5]), pte_make(g->mfn[2], RO)), 0);
    /* Through it the L2 looks like an L1: not one to be written by that way. */
    assert_int_equal(pv_update_va_mapping(PVG_DIRECT + (5ul << 21), 0, 0), -EINVAL);
    /* Another L2, mapped by this one: then it may not map one itself, nor be mapped back. */
    make_ro(30);
    make_ro(31);
    assert_int_equal(pvg_ext(MMUEXT_PIN_L2_TABLE, g->mfn[30].n), 0);
    assert_int_equal(pvg_ext(MMUEXT_PIN_L2_TABLE, g->mfn[31].n), 0);
    assert_int_equal(pvg_update(pvg_maddr(&l2[6]), pte_make(g->mfn[30], RO)), 0);
    assert_int_equal(pvg_update(pvg_maddr(&other[0]), pte_make(g->mfn[2], RO)), -EBUSY);
    assert_int_equal(pvg_update(pvg_maddr(&other[0]), pte_make(g->mfn[31], RO)), -EBUSY);
    assert_int_equal(pvg_update(pvg_maddr(&third[0]), pte_make(g->mfn[2], RO)), -EBUSY);
    assert_int_equal(pvg_update(pvg_maddr(&third[0]), pte_make(g->mfn[30], RO)), 0);
    assert_int_equal(pvg_ext(MMUEXT_UNPIN_TABLE, g->mfn[30].n), 0);
    assert_int_equal(frame_type_of(g->mfn[30]), FRAME_L2);
    assert_int_equal(frame_audit(), 0);
    assert_int_equal(pvg_update(pvg_maddr(&l2[6]), 0), 0);
    assert_int_equal(pvg_ext(MMUEXT_UNPIN_TABLE, g->mfn[31].n), 0);
    assert_int_equal(frame_type_of(g->mfn[30]), FRAME_NONE);
}

static void test_machphys(void **state)
{
    paddr_t at = g->mfn[20].n << PAGE_SHIFT | MMU_MACHPHYS_UPDATE;

    assert_int_equal(pvg_update(at, 777), 0);
    assert_int_equal(M2P[g->mfn[20].n], 777);
    assert_int_equal(pvg_update(g->d.pv->perdomain_mfn.n << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, 777),
                     -EINVAL);
    assert_int_equal(pvg_update((paddr_t)max_mfn << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, 1), -EINVAL);
}

static void test_count_of_done(void **state)
{
    struct mmu_update u[100];
    unsigned done;

    for (unsigned i = 0; i < 100; i++)
        u[i] = (struct mmu_update){pvg_maddr(pvg_l1e(g, 50 + i)), pte_make(g->mfn[50 + i], RO)};
    assert_int_equal(pvg_mmu_update(u, 100, &done, DOMID_SELF), 0);
    assert_int_equal(done, 100);
    u[70].val = pte_make(g->mfn[0], RW);
    assert_int_equal(pvg_mmu_update(u, 100, &done, DOMID_SELF), -EBUSY);
    assert_int_equal(done, 70);
    assert_int_equal(pvg_mmu_update(u, 0, &done, DOMID_SELF), 0);
    assert_int_equal(done, 0);
    assert_int_equal(pvg_mmu_update(u, 100, &done, 99), -ESRCH);
    assert_int_equal(done, 0);
    /* The list leaves the mapped memory after 3 requests. */
    pvg_update(pvg_maddr(pvg_l1e(g, 201)), 0);
    memcpy((char *)pvg_page(g, 200) + PAGE_SIZE - 48, u, 48);
    assert_int_equal(pv_mmu_update(pvg_va(201) - 48, 10, pvg_va(202), DOMID_SELF), -EFAULT);
    assert_int_equal(*(uint32_t *)pvg_page(g, 202), 3);
    assert_int_equal(pv_mmu_update(HW_VA_DIRECT, 1, 0, DOMID_SELF), -EFAULT);
    assert_int_equal(pv_mmu_update(pvg_va(200), 0, HW_VA_DIRECT, DOMID_SELF), -EFAULT);
}

static void test_preempted(void **state)
{
    struct mmu_update u[100];
    unsigned done;

    pvg_preempt = 1;
    for (unsigned i = 0; i < 100; i++)
        u[i] = (struct mmu_update){pvg_maddr(pvg_l1e(g, 50 + i)), pte_make(g->mfn[50 + i], RO)};
    u[99].val = pte_make(g->mfn[0], RW);
    pvg_continued = 0;
    assert_int_equal(pvg_mmu_update(u, 100, &done, DOMID_SELF), -EBUSY);
    assert_int_equal(done, 99);
    assert_true(pvg_continued >= 3);
}

static void test_va_mapping(void **state)
{
    unsigned flushes, invalidations;

    assert_int_equal(pv_update_va_mapping(pvg_va(20), pte_make(g->mfn[20], RO), UVMF_NONE), 0);
    flushes = host_cpu()->flushes;
    invalidations = host_cpu()->invalidations;
    assert_int_equal(pv_update_va_mapping(pvg_va(20), 0, UVMF_INVLPG | UVMF_LOCAL), 0);
    assert_int_equal(host_cpu()->invalidations, invalidations + 1);
    assert_int_equal(pv_update_va_mapping(pvg_va(20), 0, UVMF_TLB_FLUSH | UVMF_ALL), 0);
    assert_int_equal(host_cpu()->flushes, flushes + 1);
    /* vCPU 1 last ran on CPU 1. */
    host_cpu_select(1);
    pvg_run(g, 1);
    flushes = host_cpu()->flushes;
    host_cpu_select(0);
    *(uint64_t *)pvg_page(g, 60) = 2;
    assert_int_equal(pv_update_va_mapping(pvg_va(20), 0, pvg_va(60) | UVMF_TLB_FLUSH), 0);
    assert_int_equal(host_cpus[1].flushes, flushes + 1);
    assert_int_equal(pv_update_va_mapping(pvg_va(20), 0, HW_VA_DIRECT | UVMF_TLB_FLUSH), -EFAULT);
    assert_int_equal(pv_update_va_mapping(pvg_va(20), 0, 3), -EINVAL);
    assert_int_equal(pv_update_va_mapping(pvg_va(20), pte_make(g->mfn[0], RW), 0), -EBUSY);
    host_cpu_select(1);
    cpu_local()->current = NULL;
    host_cpu_select(0);
}

/* A frame that was writable becomes a page table: CPUs that may still write to it must not. */
static void test_flush_before_use_as_table(void **state)
{
    unsigned flushes;

    host_cpu_select(1);
    pvg_run(g, 1);
    host_cpu_select(0);
    make_ro(30);
    flushes = host_cpus[1].flushes;
    assert_int_equal(pvg_ext(MMUEXT_PIN_L1_TABLE, g->mfn[30].n), 0);
    assert_int_equal(host_cpus[1].flushes, flushes + 1);
    /* Nobody wrote to the next one since. */
    assert_int_equal(pvg_ext(MMUEXT_UNPIN_TABLE, g->mfn[30].n), 0);
    assert_int_equal(pvg_ext(MMUEXT_PIN_L1_TABLE, g->mfn[30].n), 0);
    flushes = host_cpus[1].flushes;
    make_ro(31);
    assert_int_equal(pvg_ext(MMUEXT_TLB_FLUSH_ALL, 0), 0);
    assert_int_equal(host_cpus[1].flushes, flushes + 1);
    assert_int_equal(pvg_ext(MMUEXT_PIN_L1_TABLE, g->mfn[31].n), 0);
    assert_int_equal(host_cpus[1].flushes, flushes + 1);
    host_cpu_select(1);
    cpu_local()->current = NULL;
    host_cpu_select(0);
}

/* And the other way: CPUs that may still read it as a table must not when it is writable. */
static void test_flush_before_use_as_memory(void **state)
{
    uint64_t *l2e = (uint64_t *)pvg_page(g, 2) + 100;
    unsigned flushes;

    host_cpu_select(1);
    pvg_run(g, 1);
    host_cpu_select(0);
    make_ro(30);
    assert_int_equal(pvg_update(pvg_maddr(l2e), pte_make(g->mfn[30], RW)), 0);
    assert_int_equal(pvg_update(pvg_maddr(l2e), 0), 0);
    flushes = host_cpus[1].flushes;
    assert_int_equal(pvg_update(pvg_maddr(pvg_l1e(g, 30)), pte_make(g->mfn[30], RW)), 0);
    assert_int_equal(host_cpus[1].flushes, flushes + 1);
    host_cpu_select(1);
    cpu_local()->current = NULL;
    host_cpu_select(0);
}

static void test_foreign(void **state)
{
    struct pvguest *other = pvg_new(3, 64, false);
    uint64_t *pe = pvg_l1e(g, 20), *theirs = pvg_l1e(other, 20);
    struct mmu_update u = {pvg_maddr(pe), pte_make(other->mfn[40], RW)};
    struct mmuext_op pin = {.cmd = MMUEXT_PIN_L1_TABLE, .arg1.mfn = other->mfn[30].n};

    assert_int_equal(pvg_mmu_update(&u, 1, NULL, DOMID_SELF), -EINVAL);
    assert_int_equal(pvg_mmu_update(&u, 1, NULL, 3), 0);
    assert_int_equal(frame_ref_count(other->mfn[40]), 3);
    u.val = pte_make(g->mfn[21], RW); /* ours, but theirs were named */
    assert_int_equal(pvg_mmu_update(&u, 1, NULL, 3), -EINVAL);
    /* Their table, their frame. */
    u = (struct mmu_update){pvg_maddr(theirs), pte_make(other->mfn[41], RO)};
    assert_int_equal(pvg_mmu_update(&u, 1, NULL, DOMID_SELF), -EINVAL);
    assert_int_equal(pvg_mmu_update(&u, 1, NULL, 3 | 4 << 16), 0);
    assert_int_equal(*theirs, u.val);
    u.val = pte_make(g->mfn[21], RO);
    assert_int_equal(pvg_mmu_update(&u, 1, NULL, 3 | 4 << 16), -EINVAL);
    assert_int_equal(pvg_mmuext(&pin, 1, NULL, 3), -EBUSY); /* writable to them */
    assert_int_equal(
        pv_update_va_mapping_otherdomain(pvg_va(22), pte_make(other->mfn[42], RO), 0, 3), 0);
    /* They may nothing of the kind. */
    pvg_run(other, 0);
    u = (struct mmu_update){pvg_maddr(theirs), pte_make(g->mfn[41], RO)};
    assert_int_equal(pvg_mmu_update(&u, 1, NULL, 0), -EPERM);
    assert_int_equal(pvg_mmu_update(&u, 1, NULL, DOMID_XEN), -EPERM);
    assert_int_equal(pvg_mmu_update(&u, 1, NULL, 3 | 1 << 16), -EPERM);
    u.val = pte_make(mfn(0xb8), RW);
    assert_int_equal(pvg_mmu_update(&u, 1, NULL, DOMID_SELF), -EPERM);
    pvg_run(g, 0);
    assert_int_equal(frame_audit(), 0);
    /* What we map outlives them. */
    pvg_update(pvg_maddr(pe), 0);
    pvg_update(pvg_maddr(pvg_l1e(g, 22)), 0);
    pvg_free(other);
}

static struct p2m *their_p2m;

static void count_p2m(void)
{
    if (their_p2m)
        p2m_audit(their_p2m);
}

/* A fully virtual domain's frames are named by its own numbers, and stay mapped whatever it does
 * with those; unless it is said that the number is the machine's. */
static void test_foreign_by_gfn(void **state)
{
    static struct frame_audit_source source = {.name = "p2m", .count = count_p2m};
    struct pvguest *other = pvg_new(3, 64, false);
    uint64_t *pe = pvg_l1e(g, 20);
    struct mmu_update u = {pvg_maddr(pe), pte_make(mfn(5), RW)};
    struct p2m p = {0};

    frame_audit_register(&source);
    assert_int_equal(p2m_init(&p, &other->d.memory, 100), 0);
    other->d.p2m = their_p2m = &p;
    other->d.memory.translated = true;
    lock(&p.lock);
    assert_int_equal(p2m_map(&p, 5, other->mfn[40], 0, P2M_RAM), 0);
    assert_int_equal(p2m_map(&p, 6, other->mfn[41], 0, P2M_RAM_RO), 0);
    assert_int_equal(p2m_map(&p, 7, mfn(0xb8), 0, P2M_DEVICE), 0);
    unlock(&p.lock);

    assert_int_equal(pvg_mmu_update(&u, 1, NULL, 3), 0);
    assert_int_equal(pte_mfn(*pe).n, other->mfn[40].n);
    assert_int_equal(frame_audit(), 0);
    lock(&p.lock);
    assert_int_equal(p2m_unmap(&p, 5, 0), 0);
    unlock(&p.lock);
    assert_int_equal(frame_audit(), 0);
    assert_int_equal(pvg_mmu_update(&u, 1, NULL, 3), -EINVAL); /* no longer there */
    u.val = pte_make(mfn(6), RW);
    assert_int_equal(pvg_mmu_update(&u, 1, NULL, 3), -EINVAL);
    u.val = pte_make(mfn(6), RO);
    assert_int_equal(pvg_mmu_update(&u, 1, NULL, 3), 0);
    assert_int_equal(pte_mfn(*pe).n, other->mfn[41].n);
    u.val = pte_make(mfn(7), RO); /* a device */
    assert_int_equal(pvg_mmu_update(&u, 1, NULL, 3), -EINVAL);
    u.val = pte_make(mfn(1ull << 39), RO);
    assert_int_equal(pvg_mmu_update(&u, 1, NULL, 3), -EINVAL);
    u = (struct mmu_update){pvg_maddr(pe) | MMU_PT_UPDATE_NO_TRANSLATE,
                            pte_make(other->mfn[42], RW)};
    assert_int_equal(pvg_mmu_update(&u, 1, NULL, 3), 0);
    assert_int_equal(pte_mfn(*pe).n, other->mfn[42].n);
    u = (struct mmu_update){pvg_maddr(pe), 0};
    assert_int_equal(pvg_mmu_update(&u, 1, NULL, 3), 0);
    assert_int_equal(pv_update_va_mapping_otherdomain(pvg_va(22), pte_make(mfn(6), RO), 0, 3), 0);
    assert_int_equal(pte_mfn(*pvg_l1e(g, 22)).n, other->mfn[41].n);
    pvg_update(pvg_maddr(pvg_l1e(g, 22)), 0);
    assert_int_equal(frame_audit(), 0);

    while (p2m_release(&p))
        ;
    p2m_free(&p);
    other->d.p2m = their_p2m = NULL;
    other->d.memory.translated = false;
    pvg_free(other);
}

static void test_shared_page(void **state)
{
    uint64_t *pe = pvg_l1e(g, 20);
    mfn_t m = virt_to_mfn(g->d.shared_info);

    assert_int_equal(pvg_update(pvg_maddr(pe), pte_make(m, RW)), 0);
    assert_int_equal(frame_unshare(&g->d.memory, g->d.shared_info), -EBUSY);
    assert_int_equal(frame_release(&g->d.memory, m), -EINVAL);
    assert_int_equal(pvg_ext(MMUEXT_PIN_L1_TABLE, m.n), -EBUSY);
    assert_int_equal(pvg_update(pvg_maddr(pe), 0), 0);
    assert_int_equal(pvg_ext(MMUEXT_PIN_L1_TABLE, m.n), -EBUSY);
}

/* On a processor with L1TF an absent entry that names RAM is read under speculation all the same.
 */
static void test_absent_entries_that_leak(void **state)
{
    uint64_t swap = ~0x12345000ull & PTE_ADDR_MASK; /* beyond all RAM, in any width */
    uint64_t leak = pte_make(g->mfn[7], PTE_NX | 0x20);
    uint64_t *l2 = (uint64_t *)pvg_page(g, 2) + 100;

    assert_int_equal(pv_update_va_mapping(pvg_va(20), leak, 0), 0); /* not checked: allowed */
    g->d.memory.absent_checked = true;
    assert_int_equal(pv_update_va_mapping(pvg_va(20), leak, 0), -EINVAL);
    assert_int_equal(pv_update_va_mapping(pvg_va(20), leak | 1ull << 46, 0), -EINVAL);
    assert_int_equal(pv_update_va_mapping(pvg_va(20), swap, 0), 0);
    assert_int_equal(pv_update_va_mapping(pvg_va(20), 0, 0), 0);
    assert_int_equal(pvg_update(pvg_maddr(l2), leak), -EINVAL);
    assert_int_equal(pvg_update(pvg_maddr(l2), swap), 0);

    /* In a page that becomes a table, too. */
    make_ro(41);
    ((uint64_t *)pvg_page(g, 41))[300] = leak;
    assert_int_equal(pvg_update(pvg_maddr(l2), pte_make(g->mfn[41], RW)), -EINVAL);
    ((uint64_t *)pvg_page(g, 41))[300] = swap;
    assert_int_equal(pvg_update(pvg_maddr(l2), pte_make(g->mfn[41], RW)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_unmap_and_map, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_tables, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flags_only, setup, teardown),
        cmocka_unit_test_setup_teardown(test_preserve_ad, setup, teardown),
        cmocka_unit_test_setup_teardown(test_page_table_is_never_writable, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reserved_bits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_ours, setup, teardown),
        cmocka_unit_test_setup_teardown(test_devices, setup, teardown),
        cmocka_unit_test_setup_teardown(test_caching_of_ram, setup, teardown),
        cmocka_unit_test_setup_teardown(test_link_and_unlink_l1, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_tables, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hypervisor_slots, setup, teardown),
        cmocka_unit_test_setup_teardown(test_linear_maps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_absent_entries_that_leak, setup, teardown),
        cmocka_unit_test_setup_teardown(test_machphys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_count_of_done, setup, teardown),
        cmocka_unit_test_setup_teardown(test_preempted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_va_mapping, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flush_before_use_as_table, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flush_before_use_as_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign_by_gfn, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shared_page, setup, teardown),
    };

    return cmocka_run_group_tests_name("pv_mmu", tests, NULL, NULL);
}
