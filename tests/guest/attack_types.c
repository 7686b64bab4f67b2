/* SPDX-License-Identifier: MIT */
/* One frame, two uses: what is a page table, a descriptor table or writable cannot be another
 * of them.
 *
 * Cause: each frame has one type while it is in use; confusion between two is an escape.
 * Steps: take a frame into each use in turn, and try to take it into all the others; the same
 * with the frames of shared_info and the grant table.
 * Verdict: every combination is refused, and when the first use ends the second is free. */
#include "lib/guest.h"

enum use {
    L1,
    L2,
    L3,
    L4,
    GDT,
    WRITABLE,
    NR_USES
};
static const char *const names[] = {"L1", "L2", "L3", "L4", "GDT", "writable"};
static pte_t *page; /* the one mapping of the frame in the initial area */
static volatile uint64_t *window;

/* Begin or end a use; the hypercall's result. */
static long begin(enum use use, unsigned long mfn)
{
    switch (use) {
    case GDT:
        return hc_set_gdt(&mfn, 512);
    case WRITABLE:
        return hc_update_va_mapping(UL(window), mfn_pte(mfn, PTE_KERNEL), UVMF_INVLPG);
    default:
        return mmuext(MMUEXT_PIN_L1_TABLE + (use - L1), mfn);
    }
}

static long end(enum use use, unsigned long mfn)
{
    switch (use) {
    case GDT:
        return hc_set_gdt(NULL, 0);
    case WRITABLE:
        return hc_update_va_mapping(UL(window), 0, UVMF_INVLPG);
    default:
        return mmuext(MMUEXT_UNPIN_TABLE, mfn);
    }
}

static void check_pairs(void)
{
    unsigned long mfn = virt_to_mfn(page);

    for (enum use first = 0; first < NR_USES; first++) {
        long ret = begin(first, mfn);

        if (ret) {
            expect_failed("%s: %ld", names[first], ret);
            continue;
        }
        for (enum use second = 0; second < NR_USES; second++) {
            if (first == second)
                continue;
            ret = begin(second, mfn);
            if (ret >= 0)
                expect_failed("%s while %s: %ld", names[second], names[first], ret);
        }
        expect_eq(mmu_set(page + 3, 0), first == GDT ? -XEN_EINVAL : 0);
        expect_eq(end(first, mfn), 0);
    }
}

/* Frames that the hypervisor shares with us are writable and never anything else. */
static void check_shared(unsigned long mfn, const char *what)
{
    for (enum use use = L1; use <= GDT; use++) {
        long ret = begin(use, mfn);

        if (ret >= 0)
            expect_failed("%s as %s: %ld", what, names[use], ret);
    }
}

static unsigned long grant_frame(void)
{
    struct gnttab_setup_table s = {.dom = DOMID_SELF, .nr_frames = 1};
    xen_pfn_t frame = 0;

    set_xen_guest_handle(s.frame_list, &frame);
    need_eq(hc_grant_table_op(GNTTABOP_setup_table, &s, 1), 0);
    need_eq(s.status, GNTST_okay);
    return frame;
}

/* vcpu_info and the FIFO control block keep their page writable for good. */
static void check_registered(void)
{
    uint64_t *info = page_alloc(), *control = page_alloc();
    struct vcpu_register_vcpu_info reg = {.mfn = virt_to_mfn(info)};
    struct evtchn_init_control init = {.control_gfn = virt_to_mfn(control)};

    need_eq(hc_vcpu_op(VCPUOP_register_vcpu_info, 0, &reg), 0);
    vcpu_info = (vcpu_info_t *)info;
    need_eq(page_set_ro(info), 0);
    check_shared(virt_to_mfn(info), "vcpu_info");
    need_eq(page_set_rw(info), 0);
    need_eq(hc_event_channel_op(EVTCHNOP_init_control, &init), 0);
    need_eq(page_set_ro(control), 0);
    check_shared(virt_to_mfn(control), "FIFO control block");
}

void test_main(void)
{
    page = page_alloc();
    window = hole_alloc();
    need_eq(page_set_ro(page), 0);
    check_pairs();
    need_eq(page_set_rw(page), 0); /* as an L4 it got the hypervisor's slots */
    memset(page, 0, PAGE_SIZE);
    need_eq(page_set_ro(page), 0);
    check_pairs(); /* the frame is as good as new */
    need_eq(page_unmap(shared_info), 0);
    check_shared(start_info->shared_info >> PAGE_SHIFT, "shared_info");
    check_shared(grant_frame(), "grant table");
    need_eq(
        hc_update_va_mapping(UL(shared_info), start_info->shared_info | PTE_KERNEL, UVMF_INVLPG),
        0);
    check_registered();
    test_pass();
}
