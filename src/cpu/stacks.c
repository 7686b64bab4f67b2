/* SPDX-License-Identifier: MIT */
/* The block of stacks of each CPU (hw/cpu_local.h): where it is mapped, and what an overflow hits.
 *
 * A page fault is handled on the stack that it met. Where that stack has run into its guard,
 * nothing can be pushed, and the processor raises #DF, which has a stack of its own: Intel SDM vol.
 * 3A, 6.15, "Interrupt 8". CR2 then still tells the guard. */
#include "cpu/cpu.h"

#include "lib/util.h"
#include "memory/heap.h"
#include "memory/layout.h"
#include "memory/map.h"

struct cpu_local *cpu_stacks_make(unsigned cpu)
{
    uint64_t block = STACKS_VA + cpu * CPU_BLOCK_SIZE;
    unsigned level;

    for (uint64_t va = block; va < block + CPU_BLOCK_SIZE; va += PAGE_SIZE) {
        void *page;

        if (!cpu_block_has(va) || map_lookup(va, &level))
            continue;
        page = heap_page();
        if (!page ||
            map_frame(va, virt_to_mfn(page), PTE_P | PTE_RW | PTE_A | PTE_D | PTE_NX | PTE_G)) {
            heap_page_free(page);
            return NULL;
        }
    }
    return (struct cpu_local *)(block + CPU_BLOCK_SIZE) - 1;
}

void cpu_stacks_guard(void)
{
    uint64_t end = (uintptr_t)(cpu_local() + 1);

    for (uint64_t va = end - CPU_BLOCK_SIZE; va < end; va += PAGE_SIZE)
        if (!cpu_block_has(va))
            map_set(va, 0);
}

const char *cpu_stacks_overflowed(uint64_t va)
{
    static const struct {
        unsigned end;
        const char *name;
    } stack[] = {{CPU_STACK_NMI, "NMI"},
                 {CPU_STACK_DB, "#DB"},
                 {CPU_STACK_DF, "#DF"},
                 {CPU_STACK_MC, "#MC"}};
    unsigned page = va % CPU_BLOCK_SIZE / PAGE_SIZE;

    if (va / CPU_BLOCK_SIZE != (uintptr_t)cpu_local() / CPU_BLOCK_SIZE || cpu_block_has(va))
        return NULL;
    for (unsigned i = 0; i < ARRAY_SIZE(stack); i++)
        if (page < stack[i].end)
            return stack[i].name;
    return "primary";
}
