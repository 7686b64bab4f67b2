/* SPDX-License-Identifier: MIT */
/* The hypervisor's own page tables: one L4 of reference whose upper half every address space
 * shares, and the mappings made at run time in slot 260. */
#pragma once

#include "hw/pte.h"
#include "lib/types.h"

/* Maps physical [base, base + len), any alignment, until vunmap. `cache` is 0 (write-back),
 * PTE_CACHE_UC or PTE_CACHE_WC. NULL if memory is short. */
void *vmap(paddr_t base, size_t len, uint64_t cache) must_check;
void vunmap(void *p, size_t len);

/* The same, for devices and firmware tables. In a process nothing is behind addresses of ours, so
 * the host build has its own two. */
#ifdef ARGON_HOST
void *map_device(paddr_t base, size_t len, uint64_t cache) must_check;
void unmap_device(void *p, size_t len);
#else
static inline must_check void *map_device(paddr_t base, size_t len, uint64_t cache)
{
    return vmap(base, len, cache);
}

static inline void unmap_device(void *p, size_t len)
{
    vunmap(p, len);
}
#endif

/* Maps one frame at a fixed hypervisor address; tables on the way are made. -ENOMEM. */
int must_check map_frame(uint64_t va, mfn_t m, uint64_t flags);
/* Changes or removes (0) an existing 4 KiB mapping. */
void map_set(uint64_t va, uint64_t pte);
/* The entry that maps va in the hypervisor's tables, 0 if none; *level gets its level. */
uint64_t map_lookup(uint64_t va, unsigned *level);

/* The L4 whose slots 256-271 are copied into every guest L4. */
extern uint64_t *hv_l4;
/* Physical address of hv_l4, what cr3 holds in idle. */
paddr_t hv_cr3(void);
