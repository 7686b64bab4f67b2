/* SPDX-License-Identifier: MIT */
/* Translation caches of all CPUs, and when they were last emptied.
 *
 * A global clock counts flushes. A frame that loses its last reference or type notes the clock's
 * time; before it is used as something else, CPUs that have not flushed since then must. */
#pragma once

#include "base/lock.h"
#include "base/percpu.h"

/* Process-context identifiers (SDM vol. 3A, 4.10.1) tag the translations of a CPU, so that going
 * between a guest's hidden page tables and its real ones drops none. They are used where guests run
 * on hidden page tables and the processor has PCID and INVPCID; nothing is global then. 0 is the
 * hypervisor's own tables and domains without hidden ones; the others are those of the vCPU that
 * runs, for each mode (0 user, 1 kernel) the real tables and the hidden ones. So every flush that
 * somebody asks for drops all PCIDs, or one address from all. */
#define PCID_REAL(mode)   (1u + 2 * (mode))
#define PCID_HIDDEN(mode) (2u + 2 * (mode))
#define PCID_COUNT        5u
extern bool tlb_pcid; /* [I] PCIDs are used: CR4.PCIDE is on */

#define TLB_ALL    0x1u /* everything that is not global */
#define TLB_VA     0x2u /* the one page */
#define TLB_GLOBAL 0x4u /* global entries too */

/* Flushes on the CPUs of `mask` (this one included if set there) and waits for them. */
void tlb_flush_mask(const struct cpu_mask *mask, unsigned flags, uint64_t va);
/* On this CPU only. */
void tlb_flush_local(unsigned flags, uint64_t va);
/* Every translation of this CPU, global ones and all PCIDs. Not noted by the clock. */
void tlb_flush_cpu(void);
/* The present time of the flush clock. */
extern uint32_t tlb_now; /* [a] */
static inline uint32_t tlb_clock(void)
{
    return __atomic_load_n(&tlb_now, __ATOMIC_ACQUIRE);
}
/* When this CPU last flushed everything: what was cached by other means before that is stale. */
uint32_t tlb_cpu_stamp(void);
/* Removes from `mask` the CPUs that have flushed everything since `stamp`. */
void tlb_filter(struct cpu_mask *mask, uint32_t stamp);
/* Serves a waiting request of another CPU; from the IPI and from lock_spin_poll. */
void tlb_serve(void);
/* Sends the interrupt; [I] set by cpu/. */
extern void (*tlb_ipi)(const struct cpu_mask *mask);
