/* SPDX-License-Identifier: MIT */
/* Page-table entries of 4-level paging. Intel SDM vol. 3A, 4.5. One accessor set for all levels:
 * the hypervisor reads and writes entries as plain uint64_t. */
#pragma once

#include "lib/types.h"
#include "lib/util.h"

#define PTE_P     0x001ull
#define PTE_RW    0x002ull
#define PTE_U     0x004ull
#define PTE_PWT   0x008ull
#define PTE_PCD   0x010ull
#define PTE_A     0x020ull
#define PTE_D     0x040ull
#define PTE_PSE   0x080ull /* L2, L3: superpage */
#define PTE_PAT   0x080ull /* L1 */
#define PTE_G     0x100ull
#define PTE_AVAIL 0xe00ull /* bits 9-11: the guest's own */
#define PTE_NX    (1ull << 63)
/* Bits 52-62: ignored by hardware without protection keys; 52-58 the guest's but for those that
 * frame/ reserves, 59-62 protection keys, never given to guests. */
#define PTE_AVAIL_HIGH 0x07f0000000000000ull
#define PTE_PKEY       0x7800000000000000ull

/* The frame number's bits of an entry: bits 12-51. */
#define PTE_ADDR_MASK 0x000ffffffffff000ull

#define PT_ENTRIES      512u
#define PT_SHIFT(level) (12u + 9u * ((level)-1u)) /* level 1-4 */

static inline mfn_t pte_mfn(uint64_t pte)
{
    return mfn((pte & PTE_ADDR_MASK) >> PAGE_SHIFT);
}

static inline uint64_t pte_make(mfn_t m, uint64_t flags)
{
    return (m.n << PAGE_SHIFT) | flags;
}

static inline unsigned pt_index(uint64_t va, unsigned level)
{
    return (va >> PT_SHIFT(level)) & (PT_ENTRIES - 1);
}

/* The value of IA32_PAT that Argon runs with and that PV guests rely on (ABI.md 3.7):
 * WB WT UC- UC WC WP UC UC. */
#define PAT_VALUE 0x0000050100070406ull

#define PTE_CACHE_WB   0ull
#define PTE_CACHE_UC   (PTE_PCD | PTE_PWT)
#define PTE_CACHE_WC   PTE_PAT /* entry 4 of PAT_VALUE, in L1 entries */
#define PTE_CACHE_MASK (PTE_PAT | PTE_PCD | PTE_PWT)
