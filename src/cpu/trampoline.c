/* SPDX-License-Identifier: MIT */
/* Fills in the page that another CPU starts in, and its first page tables. */
#include "cpu/trampoline.h"

#include "base/panic.h"
#include "hw/ops.h"
#include "lib/string.h"
#include "memory/layout.h"
#include "memory/map.h"

/* What trampoline.S has at its end. */
struct packed trampoline_words {
    uint64_t stack, entry;
    uint32_t cr3;
    uint32_t far32;
    uint16_t code32;
    uint32_t far64;
    uint16_t code64;
    uint16_t gdt_limit;
    uint32_t gdt;
};

extern const char trampoline[], trampoline_words[], trampoline_end[];

/* In the image, which lies below 4 GiB, where a CPU in protected mode can name them. */
static uint64_t tables[4][PT_ENTRIES] aligned(PAGE_SIZE);

static paddr_t table_address(unsigned level)
{
    uint64_t va = (uintptr_t)tables[level - 1];
    unsigned found;

    return pte_mfn(map_lookup(va, &found)).n << PAGE_SHIFT; /* the image is in 4 KiB pages */
}

static void map_page(paddr_t page)
{
    memset(tables, 0, sizeof(tables));
    memcpy(tables[3], hv_l4, PAGE_SIZE);
    for (unsigned level = 4; level > 1; level--)
        tables[level - 1][pt_index(page, level)] =
            table_address(level - 1) | PTE_P | PTE_RW | PTE_A | PTE_D;
    tables[0][pt_index(page, 1)] = page | PTE_P | PTE_A;
}

void trampoline_write(paddr_t page, const struct cpu_local *cpu, noreturn void (*entry)(void))
{
    char *to = paddr_to_virt(page);
    struct trampoline_words *w = (void *)(to + (trampoline_words - trampoline));

    BUG_ON(trampoline_end - trampoline > (long)PAGE_SIZE);
    map_page(page);
    memcpy(to, trampoline, (size_t)(trampoline_end - trampoline));
    w->stack = ROUND_DOWN((uintptr_t)cpu, (uintptr_t)16);
    w->entry = (uintptr_t)entry;
    w->cr3 = (uint32_t)table_address(4);
    w->far32 += (uint32_t)page;
    w->far64 += (uint32_t)page;
    w->gdt += (uint32_t)page;
}
