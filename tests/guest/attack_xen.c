/* SPDX-License-Identifier: MIT */
/* Attacks on the hypervisor's own space: its slots of the L4, its frames, its virtual
 * addresses.
 *
 * Cause: slots 256-271 of every L4 belong to the hypervisor, in guest page tables.
 * Steps: write each of them; read and write its addresses; map its frames, the interrupt
 * controllers' registers and other devices' denied frames; change the M2P by store; pass its
 * addresses as buffers.
 * Verdict: refused or #PF; only the M2P can be read. */
#include "lib/guest.h"

static void check_slots(void)
{
    pte_t *l4 = kernel_l4();
    uint64_t entry = mfn_pte(virt_to_mfn(table_alloc()), PTE_TABLE), before;

    for (unsigned int i = 256; i < 272; i++) {
        before = l4[i];
        if (mmu_set(&l4[i], entry) >= 0)
            expect_failed("slot %u took a table", i);
        if ((before & PTE_P) && mmu_set(&l4[i], 0) >= 0)
            expect_failed("slot %u was cleared", i);
        expect_eq(l4[i], before);
    }
    /* The slots on both sides are the guest's. */
    need_eq(mmuext(MMUEXT_PIN_L3_TABLE, pte_mfn(entry)), 0);
    expect_eq(mmu_set(&l4[255], entry), 0);
    expect_eq(mmu_set(&l4[272], entry), 0);
    expect_eq(mmu_set(&l4[255], 0), 0);
    expect_eq(mmu_set(&l4[272], 0), 0);
}

static void check_addresses(void)
{
    static const unsigned long addrs[] = {
        0xffff804000000000, 0xffff810000000000, 0xffff820000000000, 0xffff82d040200000,
        0xffff82e000000000, 0xffff830000000000, 0xffff840000000000, 0xffff87fffffff000};
    uint64_t m2p;

    for (unsigned int i = 0; i < sizeof(addrs) / sizeof(*addrs); i++) {
        expect_eq(try_read((void *)addrs[i], NULL), VEC_PF);
        expect_eq(try_write((void *)addrs[i], 0), VEC_PF);
        expect_eq(last_trap.error & 6, 2);
        expect_eq(last_trap.cr2, addrs[i]);
    }
    expect_eq(try_read((void *)(0xffff800000000000 + 8 * pfn_to_mfn(10)), &m2p), NO_TRAP);
    expect_eq(m2p, 10);
    expect_eq(try_write((void *)(0xffff800000000000 + 8 * pfn_to_mfn(10)), 11), VEC_PF);
    expect_eq(last_trap.error, 3);
}

static void refuse_frame(unsigned long mfn, uint64_t flags)
{
    volatile uint64_t *hole = hole_alloc();
    long ret = hc_update_va_mapping(UL(hole), mfn_pte(mfn, flags), UVMF_INVLPG);

    if (ret >= 0)
        expect_failed("frame %#lx mapped with flags %#lx", mfn, flags);
}

/* The IO-APIC may be looked at: a writable mapping of it is refused, or quietly becomes read-only.
 */
static void check_io_apic(void)
{
    volatile uint64_t *hole = hole_alloc();

    if (!hc_update_va_mapping(UL(hole), mfn_pte(0xfec00, PTE_KERNEL), UVMF_INVLPG))
        expect_eq(*pte_lookup(hole, 1) & PTE_RW, 0);
}

/* Frames of RAM that are not ours: the L3 table behind the M2P slot is the hypervisor's. */
static void check_frames(void)
{
    pte_t *l4 = kernel_l4();
    unsigned long hv = pte_mfn(l4[256]);

    refuse_frame(hv, PTE_KERNEL);
    refuse_frame(hv, PTE_RO);
    for (unsigned int i = 257; i < 272; i++) {
        if (l4[i] & PTE_P && pte_mfn(l4[i]) != virt_to_mfn(l4)) {
            refuse_frame(pte_mfn(l4[i]), PTE_KERNEL);
            refuse_frame(pte_mfn(l4[i]), PTE_RO);
        }
    }
    refuse_frame(0xfee00, PTE_KERNEL); /* the local APIC */
    refuse_frame(0xfee00, PTE_RO);
    check_io_apic();
    expect(mmuext(MMUEXT_PIN_L1_TABLE, hv) < 0);
    expect(mmuext(MMUEXT_PIN_L3_TABLE, hv) < 0);
    expect(mmuext(MMUEXT_NEW_BASEPTR, hv) < 0);
    expect(mmuext(MMUEXT_CLEAR_PAGE, hv) < 0);
}

static void check_buffers(void)
{
    struct mmu_update req;
    void *xen = (void *)0xffff830000000000;
    unsigned int done;
    long ret;

    req = (struct mmu_update){virt_to_maddr(page_alloc()), 1};
    ret = hc_mmu_update(&req, 1, xen, DOMID_SELF);
    expect(ret == 0 || ret == -XEN_EFAULT); /* done either way; the count is lost */
    expect_eq(hc_mmu_update(xen, 1, &done, DOMID_SELF), -XEN_EFAULT);
    expect_eq(hc_mmuext_op(xen, 1, NULL, DOMID_SELF), -XEN_EFAULT);
    expect_eq(hc_multicall(xen, 1), -XEN_EFAULT);
    expect_eq(hc_set_trap_table(xen), -XEN_EFAULT);
    expect_eq(hc_sched_op(SCHEDOP_poll, xen), -XEN_EFAULT);
    expect_eq(hc_callback_op(CALLBACKOP_register, xen), -XEN_EFAULT);
    expect_eq(hc_physdev_op(PHYSDEVOP_set_iopl, xen), -XEN_EFAULT);
    expect_eq(hc_grant_table_op(GNTTABOP_query_size, xen, 1), -XEN_EFAULT);
    expect_eq(hc_event_channel_op(EVTCHNOP_alloc_unbound, xen), -XEN_EFAULT);
    expect_eq(hc_vcpu_op(VCPUOP_set_singleshot_timer, 0, xen), -XEN_EFAULT);
    expect_eq(hc_platform_op(xen), -XEN_EFAULT);
    expect_eq(hc_memory_op(XENMEM_machphys_mapping, xen), -XEN_EFAULT);
}

void test_main(void)
{
    check_slots();
    check_addresses();
    check_frames();
    check_buffers();
    test_pass();
}
