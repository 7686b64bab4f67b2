/* SPDX-License-Identifier: MIT */
/* memory_op as a kernel boots with it: the M2P, the machine's memory map, reservations, and
 * growing and shrinking the domain.
 *
 * Cause: Linux BUGs when machine_memory_map fails; the balloon driver and the tools rely on
 * counts.
 * Steps: queries; give back a page that is unmapped, one that is mapped, bad frame numbers;
 * take pages.
 * Verdict: counts as the public header says, M2P follows ownership, bad requests are refused. */
#include "lib/guest.h"

static void check_queries(void)
{
    static struct e820 {
        uint64_t addr, size;
        uint32_t type;
    } __attribute__((packed)) map[128];
    struct xen_machphys_mapping mm;
    struct xen_memory_map e820 = {.nr_entries = 128};
    domid_t self = DOMID_SELF, nobody = 77;
    uint64_t ram = 0;

    set_xen_guest_handle(e820.buffer, (void *)map);
    expect_eq(hc_memory_op(XENMEM_machphys_mapping, &mm), 0);
    expect_eq(mm.v_start, 0xffff800000000000);
    expect_eq(mm.v_end, 0xffff804000000000);
    expect(mm.max_mfn >= start_info->nr_pages - 1);
    expect_eq(hc_memory_op(XENMEM_machine_memory_map, &e820), 0);
    expect(e820.nr_entries > 2 && e820.nr_entries <= 128);
    for (unsigned int i = 0; i < e820.nr_entries; i++) {
        if (map[i].type == 1)
            ram += map[i].size;
        if (i)
            expect(map[i].addr >= map[i - 1].addr + map[i - 1].size);
    }
    expect(ram > 500ul << 20 && ram <= 512ul << 20);
    e820.nr_entries = 1;
    expect_eq(hc_memory_op(XENMEM_machine_memory_map, &e820), -XEN_EINVAL);
    expect_eq(hc_memory_op(XENMEM_current_reservation, &self), start_info->nr_pages);
    expect_eq(hc_memory_op(XENMEM_current_reservation, &nobody), -XEN_ESRCH);
    expect_eq(hc_memory_op(XENMEM_current_reservation, (void *)8), -XEN_EFAULT);
    expect(hc_memory_op(XENMEM_maximum_reservation, &self) >= (long)start_info->nr_pages);
    expect(hc_memory_op(XENMEM_maximum_ram_page, NULL) >= (long)start_info->nr_pages - 1);
    expect_eq(hc_memory_op(63, &self), -XEN_ENOSYS);
    expect_eq(hc_memory_op(XENMEM_memory_map, &e820), -XEN_ENOSYS);
}

static long reservation(unsigned int op, unsigned long *frames, unsigned long n, unsigned int order,
                        domid_t dom)
{
    struct xen_memory_reservation r = {.nr_extents = n, .extent_order = order, .domid = dom};

    set_xen_guest_handle(r.extent_start, frames);
    return hc_memory_op(op, &r);
}

static void check_balloon(void)
{
    domid_t self = DOMID_SELF;
    char *page = page_alloc(), *mapped = page_alloc();
    unsigned long pfn = virt_to_pfn(page), mfn = pfn_to_mfn(pfn), frames[4] = {mfn};
    unsigned long total = hc_memory_op(XENMEM_current_reservation, &self);

    need_eq(page_unmap(page), 0);
    expect_eq(reservation(XENMEM_decrease_reservation, frames, 1, 0, DOMID_SELF), 1);
    expect_eq(mfn_to_pfn(mfn), ~0ul);
    expect_eq(hc_memory_op(XENMEM_current_reservation, &self), total - 1);
    expect_eq(reservation(XENMEM_decrease_reservation, frames, 1, 0, DOMID_SELF), 0);

    frames[0] = pfn;
    expect_eq(reservation(XENMEM_populate_physmap, frames, 1, 0, DOMID_SELF), 1);
    expect_eq(mfn_to_pfn(frames[0]), pfn);
    expect_eq(hc_memory_op(XENMEM_current_reservation, &self), total);
    expect_eq(hc_update_va_mapping(UL(page), mfn_pte(frames[0], PTE_KERNEL), UVMF_INVLPG), 0);
    expect_eq(*(uint64_t *)page, 0);

    frames[0] = ~0ul >> 12;
    expect_eq(reservation(XENMEM_decrease_reservation, frames, 1, 0, DOMID_SELF), 0);
    frames[0] = 0xfee00;
    expect_eq(reservation(XENMEM_decrease_reservation, frames, 1, 0, DOMID_SELF), 0);
    frames[0] = virt_to_mfn(mapped);
    expect_eq(reservation(XENMEM_decrease_reservation, frames, 1, 0, 77), 0);
    expect_eq(reservation(XENMEM_populate_physmap, frames, 1, 40, DOMID_SELF), 0);
    expect_eq(reservation(XENMEM_decrease_reservation, (void *)8, 1, 0, DOMID_SELF), 0);
    expect_eq(hc_memory_op(XENMEM_decrease_reservation, (void *)8), 0);
    expect_eq(hc_memory_op(XENMEM_current_reservation, &self), total);

    /* A mapped page leaves the reservation at once; the frame stays until its last mapping goes. */
    frames[0] = virt_to_mfn(mapped);
    *(uint64_t *)mapped = 0x1234;
    expect_eq(reservation(XENMEM_decrease_reservation, frames, 1, 0, DOMID_SELF), 1);
    expect_eq(*(volatile uint64_t *)mapped, 0x1234);
    expect_eq(page_unmap(mapped), 0);
}

void test_main(void)
{
    check_queries();
    check_balloon();
    test_pass();
}
