/* SPDX-License-Identifier: MIT */
/* The virtual address space of the hypervisor, L4 slot by slot (512 GiB each):
 *
 *     256  M2P, read-only, the guests see it      (ABI: 0xffff800000000000)
 *     257  M2P, writable
 *     258  frame table, one struct frame a frame  (frame/frame.h)
 *     259  the current domain's own: GDT and LDT of each vCPU (pv/)
 *     260  mappings made at run time: devices, stacks
 *     261  the image: text, constants, data
 *     262  to 271: all RAM, writable, not executable ("direct map", 5 TiB)
 *
 * Slots 0-255 and 272-511 are the guest's. PV ABI: public arch-x86/xen-x86_64.h. */
#pragma once

#include "hw/ops.h"

#define L4_HV_FIRST     256u
#define L4_HV_LAST      271u
#define L4_M2P_RO       256u
#define L4_PERDOMAIN    259u
#define L4_DIRECT_FIRST 262u

#define HV_VA_START 0xffff800000000000ul
#define HV_VA_END   0xffff880000000000ul /* first byte after */

/* In slot 260: the stacks of each CPU but the first, CPU_BLOCK_SIZE for each (cpu/stacks.c). */
#define STACKS_VA (HW_VA_VMAP + (64ul << 30))

/* Frames at and above this do not exist as RAM. [I] after start-up. */
extern uint64_t max_mfn;

static inline void *paddr_to_virt(paddr_t p)
{
    return (void *)(HW_VA_DIRECT + p);
}

static inline paddr_t virt_to_paddr(const void *v)
{
    return (uintptr_t)v - HW_VA_DIRECT;
}

static inline void *mfn_to_virt(mfn_t m)
{
    return paddr_to_virt(m.n << PAGE_SHIFT);
}

/* Of an address in the direct map only. */
static inline mfn_t virt_to_mfn(const void *v)
{
    return mfn(virt_to_paddr(v) >> PAGE_SHIFT);
}

/* May a guest name [va, va + n)? Everything but the hypervisor's slots and non-canonical
 * addresses; the read-only M2P is not included (it is read directly, never by a hypercall). */
static inline bool guest_range_ok(uint64_t va, uint64_t n)
{
    if (likely(va < (1ull << 47)))
        return n <= (1ull << 47) - va;
    return va >= HV_VA_END && n <= -va;
}

static inline bool is_canonical(uint64_t va)
{
    return (uint64_t)((int64_t)(va << 16) >> 16) == va;
}

/* The machine-to-physical table: M2P[mfn] is the frame's number in its owner's space. */
#define M2P               ((uint64_t *)HW_VA_M2P)
#define INVALID_M2P_ENTRY (~0ull)
#define SHARED_M2P_ENTRY  (~0ull - 1)
