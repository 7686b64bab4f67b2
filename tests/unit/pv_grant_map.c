/* SPDX-License-Identifier: MIT */
/* Granted frames in a PV guest's page tables: the entry holds nothing, whatever the guest does to
 * it afterwards. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "pvguest.h"
#include "grant/grant.h"
#include "lib/errno.h"

#include <xen/grant_table.h>

#define RW (PTE_P | PTE_RW | PTE_U | PTE_A | PTE_D)
#define RO (PTE_P | PTE_U | PTE_A | PTE_D)

static struct pvguest *g, *other;
static mfn_t granted;

static void count(void)
{
    frame_audit_use(granted, FRAME_WRITABLE);
}

/* `granted`, a frame of the other domain, is held as grant/ would. */
static int setup(void **state)
{
    static struct frame_audit_source source = {.name = "the test's grant", .count = count};

    pvg_machine(64u << 20, 1);
    pvg_preempt = 0;
    g = pvg_new(0, 64, true);
    other = pvg_new(1, 64, false);
    pvg_run(g, 0);
    granted = other->mfn[40];
    frame_audit_register(&source);
    return frame_get_writable(granted, &other->d.memory);
}

static int teardown(void **state)
{
    int mistakes = frame_audit();

    if (mistakes)
        print_message("%s", host_log());
    if (frame_ref_count(granted) != 3 || frame_type_count(granted) != 2)
        mistakes++;
    frame_put_writable(granted);
    pvg_free(g);
    pvg_free(other);
    return mistakes;
}

static int map(uint64_t at, uint32_t flags)
{
    return grant_map_ops_pv->map(current(), at, granted, flags | GNTMAP_host_map);
}

static int unmap(uint64_t at, uint32_t flags, uint64_t new_addr)
{
    return grant_map_ops_pv->unmap(current(), at, granted, flags | GNTMAP_host_map, new_addr);
}

static void test_by_address(void **state)
{
    uint64_t *pe = pvg_l1e(g, 20);

    assert_int_equal(map(pvg_va(20), 5u << _GNTMAP_guest_avail0), 0);
    assert_int_equal(*pe, pte_make(granted, RW | PTE_GRANT | PTE_GRANT_RW | PTE_NX | 5ull << 9));
    assert_int_equal(frame_ref_count(g->mfn[20]), 1); /* what was there is given back */
    assert_int_equal(unmap(pvg_va(20), 0, 0), 0);
    assert_int_equal(*pe, 0);
    assert_int_equal(unmap(pvg_va(20), 0, 0), -EINVAL);
}

static void test_by_entry(void **state)
{
    uint64_t *pe = pvg_l1e(g, 20);

    assert_int_equal(map(pvg_maddr(pe), GNTMAP_contains_pte | GNTMAP_readonly), 0);
    assert_int_equal(*pe, pte_make(granted, RO | PTE_GRANT | PTE_NX));
    assert_int_equal(unmap(pvg_maddr(pe), GNTMAP_contains_pte | GNTMAP_readonly, 0), 0);
    assert_int_equal(map(pvg_maddr(pe) + 4, GNTMAP_contains_pte), -EINVAL);
    assert_int_equal(map(g->mfn[40].n << PAGE_SHIFT, GNTMAP_contains_pte), -EINVAL);
    assert_int_equal(map(g->mfn[2].n << PAGE_SHIFT, GNTMAP_contains_pte), -EINVAL); /* an L2 */
    assert_int_equal(map(other->mfn[3].n << PAGE_SHIFT, GNTMAP_contains_pte), -EINVAL);
    assert_int_equal(map(~0ull & ~7ull, GNTMAP_contains_pte), -EINVAL);
    assert_int_equal(map(0x1000, 0), -EINVAL);
    assert_int_equal(map(HW_VA_DIRECT, 0), -EINVAL);
}

/* The guest overwrites or changes the entry. */
static void test_guest_meddles(void **state)
{
    uint64_t *pe = pvg_l1e(g, 20), *l1 = pvg_page(g, 3);

    assert_int_equal(map(pvg_va(20), GNTMAP_readonly), 0);
    assert_int_equal(pvg_update(pvg_maddr(pe), pte_make(granted, RW | PTE_NX)), -EPERM);
    assert_int_equal(pvg_update(pvg_maddr(pe), pte_make(granted, RO & ~PTE_A)), 0);
    assert_int_equal(*pe, pte_make(granted, (RO & ~PTE_A) | PTE_GRANT));
    assert_int_equal(pvg_update(pvg_maddr(pe), 0), 0);
    assert_int_equal(unmap(pvg_va(20), 0, 0), -EINVAL);
    /* Elsewhere it is just a frame that is not the guest's, mark or not. */
    assert_int_equal(
        pvg_update(pvg_maddr(&l1[21]), pte_make(granted, RO | PTE_GRANT | PTE_GRANT_RW)), -EINVAL);
    /* The mark on a frame of its own means nothing. */
    assert_int_equal(pvg_update(pvg_maddr(pe), pte_make(g->mfn[21], RW | PTE_GRANT | PTE_GRANT_RW)),
                     0);
    assert_int_equal(*pe, pte_make(g->mfn[21], RW));
    assert_int_equal(unmap(pvg_va(20), 0, 0), -EINVAL);
    assert_int_equal(map(pvg_va(20), 0), 0);
    assert_int_equal(pvg_update(pvg_maddr(pe), pte_make(granted, RO)), 0);
    assert_int_equal(unmap(pvg_va(20), 0, 0), 0);
}

/* One frame mapped twice, once to be written: the end of the one mapping must not take away the
 * entry of the other. A writable entry would be left with nothing that keeps its frame from
 * becoming a page table. */
static void test_not_the_other(void **state)
{
    uint64_t *pe = pvg_l1e(g, 21);

    assert_int_equal(map(pvg_va(20), GNTMAP_readonly), 0);
    assert_int_equal(map(pvg_va(21), 0), 0);
    assert_int_equal(unmap(pvg_va(20), 0, 0), -EINVAL);
    assert_int_equal(unmap(pvg_va(21), GNTMAP_readonly, 0), -EINVAL);
    /* Nor if the guest gives up writing, which it may take back. */
    assert_int_equal(pvg_update(pvg_maddr(pe), pte_make(granted, RO | PTE_NX)), 0);
    assert_int_equal(unmap(pvg_va(21), GNTMAP_readonly, 0), -EINVAL);
    assert_int_equal(pvg_update(pvg_maddr(pe), pte_make(granted, RW | PTE_NX)), 0);
    assert_int_equal(*pe, pte_make(granted, RW | PTE_GRANT | PTE_GRANT_RW | PTE_NX));
    assert_int_equal(pvg_update(pvg_maddr(pe), pte_make(granted, RO | PTE_NX)), 0);
    assert_int_equal(unmap(pvg_va(21), 0, 0), 0);
    assert_int_equal(unmap(pvg_va(20), GNTMAP_readonly, 0), 0);
}

static void test_replace(void **state)
{
    uint64_t *pe = pvg_l1e(g, 20), *from = pvg_l1e(g, 21), was = *from;

    assert_int_equal(map(pvg_va(20), 0), 0);
    assert_int_equal(unmap(pvg_va(20), 0, 0x1000), -EINVAL);
    assert_int_equal(unmap(pvg_va(20), 0, pvg_va(21)), 0);
    assert_int_equal(*pe, was);
    assert_int_equal(*from, 0);
    assert_int_equal(frame_type_count(g->mfn[21]), 1);
}

/* The page table goes while the grant is mapped: its entry gives nothing back. */
static void test_table_goes(void **state)
{
    uint64_t *l2e = (uint64_t *)pvg_page(g, 2) + 100;

    memset(pvg_page(g, 30), 0, PAGE_SIZE);
    assert_int_equal(pv_update_va_mapping(pvg_va(30), 0, 0), 0);
    assert_int_equal(pvg_update(pvg_maddr(l2e), pte_make(g->mfn[30], RW)), 0);
    assert_int_equal(map(PVG_DIRECT + (100ul << 21), 0), 0);
    assert_int_equal(pvg_update(pvg_maddr(l2e), 0), 0);
    assert_int_equal(unmap(PVG_DIRECT + (100ul << 21), 0, 0), -EINVAL);
    /* What is written there is no pass to get it back. */
    assert_int_equal(pvg_update(pvg_maddr(l2e), pte_make(g->mfn[30], RW)), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_by_address, setup, teardown),
        cmocka_unit_test_setup_teardown(test_by_entry, setup, teardown),
        cmocka_unit_test_setup_teardown(test_guest_meddles, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_the_other, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replace, setup, teardown),
        cmocka_unit_test_setup_teardown(test_table_goes, setup, teardown),
    };

    return cmocka_run_group_tests_name("pv_grant_map", tests, NULL, NULL);
}
