/* SPDX-License-Identifier: MIT */
/* Pinning and unpinning page tables, new base pointers, and how types and references follow.
 *
 * Cause: a pinned table is trusted by the processor; all safety of PV rests on the rules here.
 * Steps: pin at each level, twice, unpin twice; pin what is mapped writable; use a new L4; keep
 * a table alive by linking it; give its frame back to normal use when the last use goes.
 * Verdict: as the public header says; refusals leave everything as it was. */
#include "lib/guest.h"

static void check_l1(void)
{
    pte_t *l1 = page_alloc();
    unsigned long mfn = virt_to_mfn(l1);

    l1[5] = mfn_pte(virt_to_mfn(page_alloc()), PTE_KERNEL);
    expect(mmuext(MMUEXT_PIN_L1_TABLE, mfn) < 0); /* mapped writable */
    need_eq(page_set_ro(l1), 0);
    expect_eq(mmuext(MMUEXT_PIN_L1_TABLE, mfn), 0);
    expect_eq(mmuext(MMUEXT_PIN_L1_TABLE, mfn), -XEN_EINVAL); /* already pinned */
    expect(mmuext(MMUEXT_PIN_L2_TABLE, mfn) < 0);             /* is of another type */
    expect(page_set_rw(l1) < 0);
    expect_eq(*pte_lookup(l1, 1) & PTE_RW, 0);
    expect_eq(mmu_set(&l1[6], l1[5] & ~PTE_HV), 0);
    expect(mmu_set(&l1[7], mfn_pte(mfn, PTE_KERNEL)) < 0); /* itself, writable */
    expect_eq(mmu_set(&l1[7], mfn_pte(mfn, PTE_RO)), 0);   /* itself, read-only */
    expect_eq(mmuext(MMUEXT_UNPIN_TABLE, mfn), 0);
    expect_eq(mmuext(MMUEXT_UNPIN_TABLE, mfn), -XEN_EINVAL);
    expect_eq(page_set_rw(l1), 0);
    l1[5] = 0;
}

static void check_refused_contents(void)
{
    pte_t *l1 = page_alloc(), *l2 = page_alloc();
    unsigned long mfn = virt_to_mfn(l2);

    /* A table that maps one bad frame, or a non-table below it, does not validate. */
    l2[0] = mfn_pte(virt_to_mfn(l1), PTE_TABLE);
    need_eq(page_set_ro(l2), 0);
    expect(mmuext(MMUEXT_PIN_L2_TABLE, mfn) < 0); /* the L1 is mapped writable */
    l1[511] = mfn_pte(0xffffffffful, PTE_RO);
    need_eq(page_set_ro(l1), 0);
    expect(mmuext(MMUEXT_PIN_L2_TABLE, mfn) < 0);
    need_eq(page_set_rw(l1), 0);
    l1[511] = 0;
    need_eq(page_set_ro(l1), 0);
    expect_eq(mmuext(MMUEXT_PIN_L2_TABLE, mfn), 0);
    expect(page_set_rw(l1) < 0); /* held by the L2 */
    expect_eq(mmu_set(&l2[0], 0), 0);
    expect_eq(page_set_rw(l1), 0);
    expect_eq(mmuext(MMUEXT_UNPIN_TABLE, mfn), 0);
    expect_eq(page_set_rw(l2), 0);
}

static void check_base(void)
{
    pte_t *old = kernel_l4(), *l4 = page_alloc();
    unsigned long old_mfn = virt_to_mfn(old), mfn = virt_to_mfn(l4);
    uint64_t *probe = page_alloc();

    for (unsigned int i = 0; i < 512; i++)
        if (i < 256 || i > 271)
            l4[i] = old[i];
    expect(mmuext(MMUEXT_NEW_BASEPTR, mfn) < 0); /* mapped writable */
    need_eq(page_set_ro(l4), 0);
    expect_eq(mmuext(MMUEXT_NEW_BASEPTR, mfn), 0); /* needs no pin */
    *probe = 7;
    expect_eq(*(volatile uint64_t *)probe, 7);
    expect(page_set_rw(l4) < 0);
    expect_eq(mmuext(MMUEXT_PIN_L4_TABLE, mfn), 0);
    expect(l4[256] & PTE_P); /* the hypervisor's slots are filled in */
    expect_eq(mmuext(MMUEXT_NEW_BASEPTR, old_mfn), 0);
    expect(page_set_rw(l4) < 0); /* the pin holds it */
    expect_eq(mmuext(MMUEXT_NEW_USER_BASEPTR, mfn), 0);
    expect_eq(mmuext(MMUEXT_UNPIN_TABLE, mfn), 0);
    expect(page_set_rw(l4) < 0); /* the user base holds it */
    expect_eq(mmuext(MMUEXT_NEW_USER_BASEPTR, 0), 0);
    expect_eq(page_set_rw(l4), 0);

    expect(mmuext(MMUEXT_NEW_BASEPTR, virt_to_mfn(probe)) < 0);
    expect(mmuext(MMUEXT_NEW_BASEPTR, 0xffffffffful) < 0);
    expect(mmuext(MMUEXT_NEW_BASEPTR, 0xfee00) < 0);
    expect(mmuext(MMUEXT_NEW_USER_BASEPTR, virt_to_mfn(probe)) < 0);
}

static void check_requests(void)
{
    struct mmuext_op ops[3] = {{.cmd = MMUEXT_TLB_FLUSH_LOCAL},
                               {.cmd = MMUEXT_PIN_L1_TABLE, .arg1.mfn = 0xffffffffful},
                               {.cmd = MMUEXT_TLB_FLUSH_ALL}};
    static unsigned long mask = 1;
    unsigned int done = 99;

    expect(hc_mmuext_op(ops, 3, &done, DOMID_SELF) < 0);
    expect_eq(done, 1);
    expect_eq(hc_mmuext_op(ops, 1, &done, DOMID_SELF), 0);
    expect_eq(done, 1);
    expect_eq(hc_mmuext_op(ops, 0, &done, DOMID_SELF), 0);
    expect_eq(done, 0);
    expect_eq(hc_mmuext_op((void *)8, 1, NULL, DOMID_SELF), -XEN_EFAULT);
    expect_eq(hc_mmuext_op(ops, 1, NULL, 77), -XEN_ESRCH);
    expect_eq(mmuext(99, 0), -XEN_ENOSYS);
    expect_eq(mmuext_addr(MMUEXT_INVLPG_LOCAL, UL(&mask)), 0);
    expect_eq(mmuext_addr(MMUEXT_INVLPG_LOCAL, 0x8000000000000000), 0);
    expect_eq(mmuext_addr(MMUEXT_INVLPG_ALL, UL(&mask)), 0);
    ops[0] = (struct mmuext_op){.cmd = MMUEXT_TLB_FLUSH_MULTI};
    set_xen_guest_handle(ops[0].arg2.vcpumask, &mask);
    expect_eq(hc_mmuext_op(ops, 1, NULL, DOMID_SELF), 0);
    set_xen_guest_handle(ops[0].arg2.vcpumask, (void *)8);
    expect(hc_mmuext_op(ops, 1, NULL, DOMID_SELF) < 0);
    expect_eq(mmuext(MMUEXT_FLUSH_CACHE, 0), 0);
    expect(mmuext(MMUEXT_UNPIN_TABLE, 0xffffffffful) < 0);
    expect(mmuext(MMUEXT_PIN_L4_TABLE, 0xfee00) < 0);
    expect(mmuext(MMUEXT_PIN_L4_TABLE, 0) < 0);
}

static void check_clear_copy(void)
{
    uint64_t *a = page_alloc(), *b = page_alloc();
    struct mmuext_op op = {
        .cmd = MMUEXT_COPY_PAGE, .arg1.mfn = virt_to_mfn(b), .arg2.src_mfn = virt_to_mfn(a)};

    memset(a, 0x5a, PAGE_SIZE);
    expect_eq(hc_mmuext_op(&op, 1, NULL, DOMID_SELF), 0);
    expect_eq(memcmp(a, b, PAGE_SIZE), 0);
    expect_eq(mmuext(MMUEXT_CLEAR_PAGE, virt_to_mfn(a)), 0);
    expect_eq(a[0] | a[511], 0);
    expect(mmuext(MMUEXT_CLEAR_PAGE, virt_to_mfn(kernel_l4())) < 0);
    expect(mmuext(MMUEXT_CLEAR_PAGE, 0xfee00) < 0);
    op.arg1.mfn = virt_to_mfn(kernel_l4());
    expect(hc_mmuext_op(&op, 1, NULL, DOMID_SELF) < 0);
}

void test_main(void)
{
    check_l1();
    check_refused_contents();
    check_base();
    check_requests();
    check_clear_copy();
    test_pass();
}
