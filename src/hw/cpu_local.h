/* SPDX-License-Identifier: MIT */
/* What sits at the top of each CPU's stack block: the way from the stack pointer to "this CPU".
 *
 * A block is CPU_BLOCK_SIZE bytes of addresses, aligned to their size:
 *     page 1-2  stack of NMI    page 4  of #DB    page 6-7  of #DF    page 9-10  of #MC
 *     page 12 up to the end: the primary stack, and on its top this structure. The guest's
 * registers are saved in `guest`: RSP0 points at its end, so the processor pushes the frame right
 * there. Below each stack is a page with nothing behind it: a stack that overflows meets it, and
 * the page fault that finds no stack becomes #DF (cpu/stacks.c).
 *
 * Of each stack, the page that entries push to is mapped while a guest runs on hidden page tables
 * (cpu/xpti.c). */
#pragma once

#include "hw/regs.h"

#define CPU_BLOCK_PAGES 16
#define CPU_BLOCK_SIZE  (PAGE_SIZE * CPU_BLOCK_PAGES)

#ifndef __ASSEMBLY__
/* The pages without anything behind them, and the first page after each stack. */
#define CPU_GUARDS    (1u << 0 | 1u << 3 | 1u << 5 | 1u << 8 | 1u << 11)
#define CPU_STACK_NMI 3
#define CPU_STACK_DB  5
#define CPU_STACK_DF  8
#define CPU_STACK_MC  11

/* Is there something behind `va`, an address in a block? */
static inline bool cpu_block_has(uint64_t va)
{
    return !(CPU_GUARDS >> (va % CPU_BLOCK_SIZE / PAGE_SIZE) & 1);
}

struct vcpu;

struct cpu_local {
    struct regs guest;      /* of the vCPU that runs here; valid between entry and exit */
    uint64_t percpu_offset; /* from the master copy of per-CPU data to this CPU's */
    struct vcpu *current;   /* never NULL once scheduling began: the idle vCPU at least */
    uint32_t id;
    uint32_t work;         /* [a] pending softirqs, bit n = softirq n; looked at on each exit */
    uint64_t *upcall;      /* vcpu_info of current, whose first 2 bytes are pending, mask */
    uint64_t exit_cr3;     /* XPTI: cr3 to load on exit to the guest, 0 = keep */
    uint64_t hv_cr3;       /* XPTI: cr3 the hypervisor runs on, 0 = the guest's */
    uint32_t shadow_stale; /* [a] XPTI: xpti_refill() has to run before the exit */
    uint16_t verw_selector;
    uint64_t spare[3];
};
_Static_assert(sizeof(struct cpu_local) % 16 == 8, "RSP0 must be 16-byte aligned: see entry.S");
#endif
