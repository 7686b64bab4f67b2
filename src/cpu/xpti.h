/* SPDX-License-Identifier: MIT */
/* Hidden page tables: a guest runs on a copy of its L4 that shows nothing of the hypervisor but the
 * pages that entries and exits need, so what it reads under speculation (Meltdown, Intel
 * "Rogue Data Cache Load") is not there. cpu/entry.S changes tables at each entry and exit.
 *
 * Each CPU has two such copies, for the guest's kernel and for its user mode. A copy is stale from
 * the moment its L4 changes until xpti_refill() on the way out. Who changes an L4 that may be
 * loaded says so before it lets go of what the entry held (frame/entry.c): a CPU that is asked to
 * flush after that, before the frame is used otherwise, makes its copy new on the way out of that
 * very request. So a change that comes while the copy is made may be left for that. */
#pragma once

#include "base/percpu.h"
#include "lib/types.h"

#define XPTI_STALE_ALL  1u /* cpu_local()->shadow_stale: neither copy is right */
#define XPTI_STALE_THIS 2u /* the one that the exit would load is not */

extern bool xpti_active; /* [I] some domain runs on hidden tables; no page is global then */

/* An L4 with what this CPU's hidden tables show of the hypervisor; its descriptor page (with the
 * TSS), stub and scratch word are given by address. Panics without memory. */
uint64_t *xpti_tables_make(const void *descriptors, const void *stub, const void *scratch);
/* This CPU's copies begin as `l4`, a page that is theirs from now on. Once xpti_active is set,
 * before any guest runs here. */
void xpti_cpu_init(uint64_t *l4);
/* Are PCIDs to tag the translations of hidden tables? By the processor and the option "pcid"; once
 * xpti_active is set. */
bool xpti_wants_pcid(void);
/* L4 `l4` is loaded, and this CPU leaves by a copy of it, number `which` (0 or 1): a number for
 * each mode of the vCPU that runs. Translations of others remain, with PCIDs those of this one too:
 * it is for the caller to drop them. Interrupts off, as below. */
void xpti_load(mfn_t l4, unsigned which);
/* It leaves by the tables that are loaded. */
void xpti_unload(void);
/* The L4s named before may be others by now, or have changed. */
void xpti_forget(void);
/* An L4 that the CPUs of `cpus` may have loaded has changed. Any CPU, any lock. */
void xpti_l4_changed(const struct cpu_mask *cpus);
/* Called by entry.S where shadow_stale is set. */
void xpti_refill(void);

/* May the guest that runs here have met a copy older than its L4? */
static inline bool xpti_stale(void)
{
    return cpu_local()->exit_cr3 &&
           __atomic_load_n(&cpu_local()->shadow_stale, __ATOMIC_ACQUIRE) != 0;
}
