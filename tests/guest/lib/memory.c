/* SPDX-License-Identifier: MIT */
/* Memory of the initial mapping: spare pages behind the boot stack, and a walk of the guest's own
 * page tables, which hold machine addresses: the M2P leads back to the frame's number, and all of
 * them are mapped (read-only) in the initial mapping. */
#include "lib/guest.h"

shared_info_t *shared_info;
vcpu_info_t *vcpu_info;
static unsigned long next_page;

pte_t *kernel_l4(void)
{
    return (pte_t *)start_info->pt_base;
}

pte_t *pte_lookup_in(pte_t *l4, unsigned long va, int level)
{
    pte_t *table = l4;

    for (int l = 4;; l--) {
        pte_t *pte = &table[(va >> (3 + 9 * l)) & 511];

        if (l == level)
            return pte;
        if (!(*pte & PTE_P) || (l < 4 && (*pte & PTE_PSE)))
            return NULL;
        table = mfn_to_virt(pte_mfn(*pte));
    }
}

pte_t *pte_lookup(const volatile void *va, int level)
{
    return pte_lookup_in(kernel_l4(), UL(va), level);
}

uint64_t virt_to_maddr(const volatile void *va)
{
    return (pfn_to_mfn(virt_to_pfn(va)) << PAGE_SHIFT) | (UL(va) & (PAGE_SIZE - 1));
}

void *page_alloc(void)
{
    pte_t *pte = pte_lookup((void *)next_page, 1);
    void *page = (void *)next_page;

    if (!pte || !(*pte & PTE_P) || virt_to_pfn(next_page) >= start_info->nr_pages)
        test_error("no spare page left at %#lx", next_page);
    next_page += PAGE_SIZE;
    memset(page, 0, PAGE_SIZE);
    return page;
}

void *hole_alloc(void)
{
    void *page = page_alloc();

    need_eq(page_unmap(page), 0);
    return page;
}

pte_t *table_alloc(void)
{
    pte_t *table = page_alloc();

    need_eq(page_set_ro(table), 0);
    return table;
}

long page_set_ro(void *va)
{
    return hc_update_va_mapping(UL(va), mfn_pte(virt_to_mfn(va), PTE_RO), UVMF_INVLPG);
}

long page_set_rw(void *va)
{
    return hc_update_va_mapping(UL(va), mfn_pte(virt_to_mfn(va), PTE_KERNEL), UVMF_INVLPG);
}

long page_unmap(void *va)
{
    return hc_update_va_mapping(UL(va), 0, UVMF_INVLPG);
}

long mmu_set_cmd(const volatile pte_t *pte, uint64_t val, unsigned int cmd)
{
    struct mmu_update req = {virt_to_maddr(pte) | cmd, val};

    return hc_mmu_update(&req, 1, NULL, DOMID_SELF);
}

long mmu_set(const volatile pte_t *pte, uint64_t val)
{
    return mmu_set_cmd(pte, val, MMU_NORMAL_PT_UPDATE);
}

long mmuext(unsigned int cmd, unsigned long mfn)
{
    struct mmuext_op op = {.cmd = cmd, .arg1.mfn = mfn};

    return hc_mmuext_op(&op, 1, NULL, DOMID_SELF);
}

long mmuext_addr(unsigned int cmd, unsigned long addr)
{
    return mmuext(cmd, addr);
}

void memory_init(void)
{
    unwatched = !(start_info->flags & SIF_INITDOMAIN);
    next_page = start_info->pt_base + (start_info->nr_pt_frames + 1) * PAGE_SIZE;
    shared_info = hole_alloc();
    need_eq(
        hc_update_va_mapping(UL(shared_info), start_info->shared_info | PTE_KERNEL, UVMF_INVLPG),
        0);
    vcpu_info = &shared_info->vcpu_info[0];
}
