/* SPDX-License-Identifier: MIT */
/* The hypervisor's page tables. The tables of slots 256-271 are made once and shared by every
 * address space, so a mapping made here is seen everywhere; only slot 259 differs by domain. */
#include "memory/map.h"

#include "base/lock.h"
#include "base/panic.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "memory/heap.h"
#include "memory/layout.h"
#include "memory/tlb.h"

#define VMAP_BYTES (STACKS_VA - HW_VA_VMAP)

uint64_t *hv_l4;

static struct lock map_lock = LOCK_INIT(RANK_MAPPINGS, "mappings");
static uint64_t vmap_next = 0; /* [MAPPINGS] bytes of slot 260 handed out */

/* Address ranges given back, to be used again: one list per size would be more than is needed for
 * the few dozen mappings that come and go. */
static struct {
    uint64_t va;
    size_t pages;
} vmap_free[32]; /* [MAPPINGS] */

paddr_t hv_cr3(void)
{
    return virt_to_paddr(hv_l4);
}

/* The table below entry *e, made if absent; NULL if memory is short. */
static uint64_t *table_below(uint64_t *e, bool make)
{
    if (!(*e & PTE_P)) {
        void *page = make ? heap_page() : NULL;

        if (!page)
            return NULL;
        write_once(*e, pte_make(virt_to_mfn(page), PTE_P | PTE_RW | PTE_A | PTE_D | PTE_U));
    }
    return mfn_to_virt(pte_mfn(*e));
}

static uint64_t *entry_of(uint64_t va, bool make)
{
    uint64_t *t = hv_l4;

    for (unsigned level = 4; level > 1; level--) {
        uint64_t *e = &t[pt_index(va, level)];

        ASSERT(!(level < 4 && (*e & PTE_P) && (*e & PTE_PSE)));
        t = table_below(e, make);
        if (!t)
            return NULL;
    }
    return &t[pt_index(va, 1)];
}

int map_frame(uint64_t va, mfn_t m, uint64_t flags)
{
    uint64_t *e;

    lock(&map_lock);
    e = entry_of(va, true);
    if (e)
        write_once(*e, pte_make(m, flags));
    unlock(&map_lock);
    return e ? 0 : -ENOMEM;
}

void map_set(uint64_t va, uint64_t pte)
{
    uint64_t *e;

    lock(&map_lock);
    e = entry_of(va, false);
    BUG_ON(!e);
    write_once(*e, pte);
    unlock(&map_lock);
    tlb_flush_mask(&cpus_online, TLB_VA | TLB_GLOBAL, va);
}

uint64_t map_lookup(uint64_t va, unsigned *level)
{
    uint64_t *t = hv_l4;

    for (*level = 4;; --*level) {
        uint64_t e = t[pt_index(va, *level)];

        if (!(e & PTE_P) || *level == 1 || (*level < 4 && (e & PTE_PSE)))
            return e & PTE_P ? e : 0;
        t = mfn_to_virt(pte_mfn(e));
    }
}

static uint64_t vmap_take(size_t pages)
{
    uint64_t va = 0;

    lock(&map_lock);
    for (unsigned i = 0; i < ARRAY_SIZE(vmap_free) && !va; i++)
        if (vmap_free[i].pages == pages) {
            va = vmap_free[i].va;
            vmap_free[i].pages = 0;
        }
    if (!va && vmap_next + (pages + 1) * PAGE_SIZE <= VMAP_BYTES) {
        va = HW_VA_VMAP + vmap_next;
        vmap_next += (pages + 1) * PAGE_SIZE; /* an unmapped page between neighbours */
    }
    unlock(&map_lock);
    return va;
}

static void vmap_give(uint64_t va, size_t pages)
{
    lock(&map_lock);
    for (unsigned i = 0; i < ARRAY_SIZE(vmap_free); i++)
        if (!vmap_free[i].pages) {
            vmap_free[i].va = va;
            vmap_free[i].pages = pages;
            break;
        }
    unlock(&map_lock);
}

void *vmap(paddr_t base, size_t len, uint64_t cache)
{
    size_t off = base & ~PAGE_MASK, pages = DIV_ROUND_UP(off + len, PAGE_SIZE);
    uint64_t va = len ? vmap_take(pages) : 0;

    for (size_t i = 0; va && i < pages; i++)
        if (map_frame(va + i * PAGE_SIZE, mfn((base >> PAGE_SHIFT) + i),
                      PTE_P | PTE_RW | PTE_A | PTE_D | PTE_NX | PTE_G | cache)) {
            vunmap((void *)va, (i + 1) * PAGE_SIZE);
            return NULL;
        }
    return va ? (void *)(va + off) : NULL;
}

void vunmap(void *p, size_t len)
{
    uint64_t va = (uintptr_t)p & PAGE_MASK;
    size_t pages = DIV_ROUND_UP(((uintptr_t)p & ~PAGE_MASK) + len, PAGE_SIZE);

    if (!p)
        return;
    lock(&map_lock);
    for (size_t i = 0; i < pages; i++) {
        uint64_t *e = entry_of(va + i * PAGE_SIZE, false);

        if (e)
            write_once(*e, 0);
    }
    unlock(&map_lock);
    tlb_flush_mask(&cpus_online, TLB_ALL | TLB_GLOBAL, 0);
    vmap_give(va, pages);
}
