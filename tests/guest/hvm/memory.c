/* SPDX-License-Identifier: MIT */
/* The physical address space changes as it is told: RAM given back is gone and reads as an open
 * bus, RAM taken anew is zero, a page moved is found at its new place only.
 *
 * Cause: nested page tables, and the processor's cache of them: each place is read before and after
 * the change. */
#include "hvm/lib/hvm.h"

static uint64_t frame_of_test;

static volatile uint64_t *at(uint64_t frame)
{
    return (void *)(frame << PAGE_SHIFT);
}

static long reserve(unsigned int op, uint64_t frame)
{
    xen_pfn_t gfn = frame;
    struct xen_memory_reservation r = {.nr_extents = 1, .domid = DOMID_SELF};

    set_xen_guest_handle(r.extent_start, &gfn);
    return hc_memory_op(op, &r);
}

static void give_and_take(void)
{
    volatile uint64_t *p = at(frame_of_test);

    *p = 0x1122334455667788;
    expect_eq(reserve(XENMEM_decrease_reservation, frame_of_test), 1);
    expect_eq(*p, ~0ul);
    *p = 5; /* goes nowhere */
    expect_eq(reserve(XENMEM_decrease_reservation, frame_of_test), 0);
    expect_eq(reserve(XENMEM_populate_physmap, frame_of_test), 1);
    *p = 7;
    expect_eq(*p, 7);
}

static void move(void)
{
    uint64_t from = frame_of_test + 1, to = frame_of_test + 2;
    struct xen_add_to_physmap map = {
        .domid = DOMID_SELF, .space = XENMAPSPACE_gmfn, .idx = from, .gpfn = to};

    *at(from) = 0xabc;
    *at(to) = 0xdef;
    expect_eq(hc_memory_op(XENMEM_add_to_physmap, &map), 0);
    expect_eq(*at(to), 0xabc);
    expect_eq(*at(from), ~0ul);
    expect_eq(reserve(XENMEM_populate_physmap, from), 1);
    *at(from) = 1;
    expect_eq(*at(to), 0xabc);
    map.idx = 0xfffffffff;
    expect(hc_memory_op(XENMEM_add_to_physmap, &map) < 0);
    expect_eq(*at(to), 0xabc);
}

static void remove(void)
{
    uint64_t frame = frame_of_test + 3;
    struct xen_add_to_physmap map = {
        .domid = DOMID_SELF, .space = XENMAPSPACE_shared_info, .gpfn = frame};
    struct xen_remove_from_physmap gone = {.domid = DOMID_SELF, .gpfn = frame};

    expect_eq(hc_memory_op(XENMEM_add_to_physmap, &map), 0);
    expect(at(frame)[0] != ~0ul);
    expect_eq(hc_memory_op(XENMEM_remove_from_physmap, &gone), 0);
    expect_eq(*at(frame), ~0ul);
    expect_eq(hc_memory_op(XENMEM_remove_from_physmap, &gone), -XEN_ENOENT);
    map.space = 77;
    expect(hc_memory_op(XENMEM_add_to_physmap, &map) < 0);
}

void test_main(void)
{
    frame_of_test = first_free_frame();
    give_and_take();
    move();
    remove();
    test_pass();
}
