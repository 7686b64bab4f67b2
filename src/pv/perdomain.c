/* SPDX-License-Identifier: MIT */
/* The domain's own slot of the address space, L4_PERDOMAIN: for each vCPU 32 pages, the GDT that
 * the processor uses (14 pages of the guest, Argon's at 14) and the LDT. The tables are the
 * hypervisor's: no guest can name them. Tables are made when a vCPU is; entries are set by the vCPU
 * itself or while it does not run. */
#include "pv/pv.h"

#include "lib/errno.h"
#include "memory/heap.h"

#define TABLE_FLAGS (PTE_P | PTE_RW | PTE_A | PTE_D)

/* The table that entry `i` of `t` leads to; made if it is missing and `make`. */
static uint64_t *next_table(uint64_t *t, unsigned i, bool make)
{
    void *page;

    if (t[i] & PTE_P)
        return mfn_to_virt(pte_mfn(t[i]));
    if (!make)
        return NULL;
    page = heap_page();
    if (page)
        write_once(t[i], pte_make(virt_to_mfn(page), TABLE_FLAGS));
    return page;
}

static uint64_t *window_l1(struct vcpu *v, bool make)
{
    uint64_t va = pv_gdt_va(v),
             *l2 = next_table(v->domain->pv->perdomain_l3, pt_index(va, 3), make);

    return l2 ? next_table(l2, pt_index(va, 2), make) : NULL;
}

int pv_perdomain_init(struct domain *d)
{
    d->pv->perdomain_l3 = heap_page();
    if (!d->pv->perdomain_l3)
        return refuse(-ENOMEM, "domain %u: no page for its slot", d->id);
    d->pv->perdomain_mfn = virt_to_mfn(d->pv->perdomain_l3);
    d->memory.l4_perdomain = pte_make(d->pv->perdomain_mfn, TABLE_FLAGS);
    return 0;
}

int pv_perdomain_vcpu_init(struct vcpu *v)
{
    return window_l1(v, true) ? 0 : refuse(-ENOMEM, "vCPU %u: no page for its window", v->id);
}

void pv_perdomain_free(struct domain *d)
{
    uint64_t *l3 = d->pv->perdomain_l3;

    if (!l3)
        return;
    for (unsigned i = 0; i < PT_ENTRIES; i++) {
        uint64_t *l2 = next_table(l3, i, false);

        for (unsigned j = 0; l2 && j < PT_ENTRIES; j++)
            heap_page_free(next_table(l2, j, false));
        heap_page_free(l2);
    }
    heap_page_free(l3);
    d->pv->perdomain_l3 = NULL;
    d->memory.l4_perdomain = 0;
}

void pv_perdomain_set(struct vcpu *v, unsigned page, uint64_t pte)
{
    uint64_t *l1 = window_l1(v, false);

    write_once(l1[pt_index(pv_gdt_va(v), 1) + page], pte);
}
