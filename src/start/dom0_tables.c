/* SPDX-License-Identifier: MIT */
/* Domain 0's first page tables: written as plain memory here, checked like any guest's when they
 * are loaded. The L4 is the first table: the kernel takes its page for its own top table. */
#include "lib/string.h"
#include "start/dom0.h"

#define FLAGS_TABLE (PTE_P | PTE_RW | PTE_U | PTE_A | PTE_D)
#define FLAGS_PAGE  (PTE_P | PTE_RW | PTE_U | PTE_A | PTE_D)

/* Hands out table pages from [next, end). */
struct table_pool {
    const struct dom0 *b;
    uint64_t next;
};

static uint64_t *init_code table_at(struct table_pool *pool, uint64_t *entry)
{
    if (!(*entry & PTE_P)) {
        memset(dom0_page(pool->b, pool->next), 0, PAGE_SIZE);
        *entry = pte_make(dom0_mfn(pool->b, pool->next), FLAGS_TABLE);
        pool->next++;
    }
    return mfn_to_virt(pte_mfn(*entry));
}

static void init_code map_page(struct table_pool *pool, uint64_t *l4, uint64_t va, uint64_t pte)
{
    uint64_t *t = l4;

    for (unsigned level = 4; level > 1; level--)
        t = table_at(pool, &t[pt_index(va, level)]);
    t[pt_index(va, 1)] = pte;
}

mfn_t init_code dom0_make_tables(struct dom0 *b)
{
    uint64_t first_table = dom0_pfn_of(b, b->v_tables), end_table = first_table + b->nr_tables;
    struct table_pool kernel = {.b = b, .next = first_table + 1};
    struct table_pool p2m = {.b = b, .next = b->p2m_pfn + DIV_ROUND_UP(b->nr_pages * 8, PAGE_SIZE)};
    uint64_t *l4 = dom0_page(b, first_table);

    memset(l4, 0, PAGE_SIZE);
    for (uint64_t va = b->v_base; va < b->v_end; va += PAGE_SIZE) {
        uint64_t pfn = dom0_pfn_of(b, va);
        bool table = pfn >= first_table && pfn < end_table;

        map_page(&kernel, l4, va,
                 pte_make(dom0_mfn(b, pfn), table ? FLAGS_PAGE & ~PTE_RW : FLAGS_PAGE));
    }
    for (; kernel.next < end_table; kernel.next++) /* spare ones */
        memset(dom0_page(b, kernel.next), 0, PAGE_SIZE);

    for (uint64_t i = 0; b->notes.has_init_p2m && i < DIV_ROUND_UP(b->nr_pages * 8, PAGE_SIZE); i++)
        map_page(&p2m, l4, b->v_p2m + i * PAGE_SIZE,
                 pte_make(dom0_mfn(b, b->p2m_pfn + i), FLAGS_PAGE));
    return dom0_mfn(b, first_table);
}
