/* SPDX-License-Identifier: MIT */
/* mmu_update: its four commands, the done count, and requests that must fail.
 *
 * Cause: it is how a kernel changes page tables in batches; privcmd tells pages apart by the
 * count.
 * Steps: map, unmap and remap; keep accessed and dirty; change the M2P; batches with a bad
 * request in the middle; bad pointers, commands and domains; a plain RAM page as the target.
 * Verdict: entries change as asked, the count names the failing request, nothing after it
 * happens. */
#include "lib/guest.h"

static struct mmu_update reqs[4];

static void check_map(void)
{
    uint64_t *a = page_alloc(), *b = page_alloc();
    volatile uint64_t *hole = hole_alloc();
    pte_t *pte = pte_lookup(hole, 1);

    *a = 0xa;
    *b = 0xb;
    expect_eq(mmu_set(pte, mfn_pte(virt_to_mfn(a), PTE_KERNEL)), 0);
    expect_eq(*hole, 0xa);
    expect_eq(mmu_set(pte, mfn_pte(virt_to_mfn(b), PTE_RO)), 0);
    expect_eq(mmuext_addr(MMUEXT_INVLPG_LOCAL, UL(hole)), 0);
    expect_eq(*hole, 0xb);
    expect_eq(try_write(hole, 1), VEC_PF);
    expect_eq(mmu_set(pte, 0), 0);
    expect_eq(mmuext_addr(MMUEXT_INVLPG_LOCAL, UL(hole)), 0);
    expect_eq(try_read(hole, NULL), VEC_PF);
    /* Anything goes into an entry that is not present. */
    expect_eq(mmu_set(pte, 0x1234567890abcdee & ~PTE_P), 0);
    expect_eq(*pte, 0x1234567890abcdee);
    expect_eq(mmu_set(pte, 0), 0);
}

/* The bits that a kernel writes come back as it wrote them, but for those the hypervisor owns.
 */
static void check_bits(void)
{
    static const uint64_t bits[] = {
        PTE_P,           PTE_P | PTE_RW,  PTE_P | PTE_A,  PTE_P | PTE_RW | PTE_D,
        PTE_P | PTE_PCD, PTE_P | PTE_PWT, PTE_P | PTE_NX, PTE_P | 0x200,
        PTE_P | 0x400,   PTE_P | 0x800,   PTE_P | 0xe00};
    void *page = page_alloc();
    volatile pte_t *pte = pte_lookup(hole_alloc(), 1);

    for (unsigned int i = 0; i < sizeof(bits) / sizeof(*bits); i++) {
        expect_eq(mmu_set(pte, mfn_pte(virt_to_mfn(page), bits[i])), 0);
        expect_eq(*pte & ~PTE_HV, mfn_pte(virt_to_mfn(page), bits[i]));
    }
    expect_eq(mmu_set(pte, 0), 0);
}

static void check_preserve(void)
{
    uint64_t *page = page_alloc();
    volatile uint64_t *hole = hole_alloc();
    volatile pte_t *pte = pte_lookup(hole, 1);
    uint64_t clean = mfn_pte(virt_to_mfn(page), PTE_P | PTE_RW);

    expect_eq(mmu_set(pte, clean), 0);
    expect_eq(*pte & (PTE_A | PTE_D), 0);
    *hole = 1;
    expect_eq(*pte & (PTE_A | PTE_D), PTE_A | PTE_D);
    expect_eq(mmu_set_cmd(pte, clean & ~PTE_RW, MMU_PT_UPDATE_PRESERVE_AD), 0);
    expect_eq(*pte & (PTE_A | PTE_D | PTE_RW), PTE_A | PTE_D);
    expect_eq(mmu_set(pte, clean & ~PTE_RW), 0);
    expect_eq(*pte & (PTE_A | PTE_D), 0);
    expect_eq(mmu_set(pte, 0), 0);
}

static void check_m2p(void)
{
    void *page = page_alloc();
    unsigned long mfn = virt_to_mfn(page), pfn = virt_to_pfn(page);
    struct mmu_update req = {(mfn << PAGE_SHIFT) | MMU_MACHPHYS_UPDATE, 0x12345};

    expect_eq(hc_mmu_update(&req, 1, NULL, DOMID_SELF), 0);
    expect_eq(mfn_to_pfn(mfn), 0x12345);
    req.val = pfn;
    expect_eq(hc_mmu_update(&req, 1, NULL, DOMID_SELF), 0);
    expect_eq(mfn_to_pfn(mfn), pfn);
    req.ptr = (0xfee00ul << PAGE_SHIFT) | MMU_MACHPHYS_UPDATE;
    expect(hc_mmu_update(&req, 1, NULL, DOMID_SELF) < 0);
    req.ptr = (0xffffffffful << PAGE_SHIFT) | MMU_MACHPHYS_UPDATE;
    expect(hc_mmu_update(&req, 1, NULL, DOMID_SELF) < 0);
}

static void check_done(void)
{
    pte_t *pte = pte_lookup(hole_alloc(), 1), *pte2 = pte_lookup(hole_alloc(), 1);
    uint64_t good = mfn_pte(virt_to_mfn(page_alloc()), PTE_KERNEL);
    unsigned int done = 99;

    reqs[0] = (struct mmu_update){virt_to_maddr(pte), good};
    reqs[1] = (struct mmu_update){virt_to_maddr(pte), mfn_pte(0xffffffffff, PTE_KERNEL)};
    reqs[2] = (struct mmu_update){virt_to_maddr(pte2), good};
    expect(hc_mmu_update(reqs, 3, &done, DOMID_SELF) < 0);
    expect_eq(done, 1);
    expect_eq(*pte & ~PTE_HV, good);
    expect_eq(*pte2, 0);
    reqs[1].val = 0;
    expect_eq(hc_mmu_update(reqs, 3, &done, DOMID_SELF), 0);
    expect_eq(done, 3);
    expect_eq(*pte, 0);
    expect_eq(*pte2 & ~PTE_HV, good);
    expect_eq(mmu_set(pte2, 0), 0);
    expect_eq(hc_mmu_update(reqs, 0, &done, DOMID_SELF), 0);
    expect_eq(done, 0);
}

static void check_refusals(void)
{
    uint64_t *page = page_alloc();
    pte_t *pte = pte_lookup(hole_alloc(), 1);
    struct mmu_update req = {virt_to_maddr(pte), 0};
    unsigned int done;

    expect_eq(hc_mmu_update((void *)8, 1, NULL, DOMID_SELF), -XEN_EFAULT);
    expect_eq(hc_mmu_update((void *)0xffff830000000000, 1, NULL, DOMID_SELF), -XEN_EFAULT);
    expect_eq(hc_mmu_update(&req, 1, NULL, 77), -XEN_ESRCH);
    expect_eq(hc_mmu_update(&req, 1, &done, DOMID_SELF), 0);
    expect_eq(mmu_set((pte_t *)(UL(pte) + 4), 0), -XEN_ENOSYS); /* bits 0-2 are the command */
    req.ptr = 0xfee00000;
    expect(hc_mmu_update(&req, 1, NULL, DOMID_SELF) < 0);
    req.ptr = 0xfffffffff000;
    expect(hc_mmu_update(&req, 1, NULL, DOMID_SELF) < 0);

    /* A target that is no page table is written as plain memory. */
    expect_eq(mmu_set(page, 0xfedcba9876543211), 0);
    expect_eq(*page, 0xfedcba9876543211);
    /* PSE in an L1 entry is PAT: passes; a frame of nobody is refused. */
    expect_eq(mmu_set(pte, mfn_pte(virt_to_mfn(page), PTE_KERNEL | PTE_G)), 0);
    expect_eq(*pte & (PTE_US | PTE_P), PTE_US | PTE_P);
    expect_eq(mmu_set(pte, 0), 0);
}

void test_main(void)
{
    check_map();
    check_bits();
    check_preserve();
    check_m2p();
    check_done();
    check_refusals();
    test_pass();
}
