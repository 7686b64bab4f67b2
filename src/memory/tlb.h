/* SPDX-License-Identifier: MIT */
/* Translation caches of all CPUs, and when they were last emptied.
 *
 * A global clock counts flushes. A frame that loses its last reference or type notes the clock's
 * time; before it is used as something else, CPUs that have not flushed since then must. */
#pragma once

#include "base/lock.h"
#include "base/percpu.h"

#define TLB_ALL    0x1u /* everything that is not global */
#define TLB_VA     0x2u /* the one page */
#define TLB_GLOBAL 0x4u /* global entries too */

/* Flushes on the CPUs of `mask` (this one included if set there) and waits for them. */
void tlb_flush_mask(const struct cpu_mask *mask, unsigned flags, uint64_t va);
/* On this CPU only. */
void tlb_flush_local(unsigned flags, uint64_t va);
/* The present time of the flush clock. */
extern uint32_t tlb_now; /* [a] */
static inline uint32_t tlb_clock(void)
{
    return __atomic_load_n(&tlb_now, __ATOMIC_ACQUIRE);
}
/* Removes from `mask` the CPUs that have flushed everything since `stamp`. */
void tlb_filter(struct cpu_mask *mask, uint32_t stamp);
/* Serves a waiting request of another CPU; from the IPI and from lock_spin_poll. */
void tlb_serve(void);
/* Sends the interrupt; [I] set by cpu/. */
extern void (*tlb_ipi)(const struct cpu_mask *mask);
