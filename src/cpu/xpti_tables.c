/* SPDX-License-Identifier: MIT */
/* What hidden page tables show of the hypervisor: the M2P, which guests may read, the text of
 * entry, the IDT, and this CPU's stub, scratch word, descriptor page and the stack pages that
 * entries push to. Nothing is global: a translation of the hypervisor's must not survive the way
 * out. Intel SDM vol. 3A, 4.10. */
#include "base/panic.h"
#include "cpu/cpu.h"
#include "cpu/xpti.h"
#include "memory/heap.h"
#include "memory/layout.h"
#include "memory/map.h"

#define SHOW_TEXT (PTE_P | PTE_A)
#define SHOW_RO   (PTE_P | PTE_A | PTE_NX)
#define SHOW_RW   (PTE_P | PTE_A | PTE_D | PTE_NX | PTE_RW)

extern char __entry_text_start[], __entry_text_end[];

static void *page_or_panic(void)
{
    void *page = heap_page();

    if (!page)
        panic("too little memory for the tables of processor %u", cpu_id());
    return page;
}

static void show_frame(uint64_t *l4, uint64_t va, mfn_t m, uint64_t flags)
{
    uint64_t *t = l4;

    for (unsigned level = 4; level > 1; level--) {
        uint64_t *e = &t[pt_index(va, level)];

        if (!(*e & PTE_P))
            *e = pte_make(virt_to_mfn(page_or_panic()), PTE_P | PTE_RW | PTE_A);
        t = mfn_to_virt(pte_mfn(*e));
    }
    t[pt_index(va, 1)] = pte_make(m, flags);
}

/* The page of `p`, as the hypervisor's own tables have it. */
static void show(uint64_t *l4, const void *p, uint64_t flags)
{
    uint64_t va = (uintptr_t)p & PAGE_MASK, pte;
    unsigned level;

    pte = map_lookup(va, &level);
    BUG_ON(!pte);
    show_frame(
        l4, va,
        mfn(pte_mfn(pte).n + (va >> PAGE_SHIFT & ((1ul << (PT_SHIFT(level) - PAGE_SHIFT)) - 1))),
        flags);
}

uint64_t *xpti_tables_make(const void *descriptors, const void *stub, const void *scratch)
{
    static const uint8_t stack_ends[] = {CPU_STACK_NMI, CPU_STACK_DB, CPU_STACK_DF, CPU_STACK_MC,
                                         CPU_BLOCK_PAGES};
    const char *block = (const char *)(cpu_local() + 1) - CPU_BLOCK_SIZE;
    uint64_t *l4 = page_or_panic();

    for (const char *p = __entry_text_start; p < __entry_text_end; p += PAGE_SIZE)
        show(l4, p, SHOW_TEXT);
    show(l4, stub, SHOW_TEXT);
    show(l4, cpu_idt, SHOW_RO);
    show(l4, descriptors, SHOW_RO);
    for (unsigned i = 0; i < ARRAY_SIZE(stack_ends); i++)
        show(l4, block + (stack_ends[i] - 1) * PAGE_SIZE, SHOW_RW);
    /* The scratch words of all CPUs share pages; the stub is done with its word before it changes
     * tables, so here it may as well lie in a frame of this CPU's own. */
    show_frame(l4, (uintptr_t)scratch & PAGE_MASK, virt_to_mfn(page_or_panic()), SHOW_RW);
    l4[L4_M2P_RO] = hv_l4[L4_M2P_RO];
    return l4;
}
