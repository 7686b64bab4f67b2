/* SPDX-License-Identifier: MIT */
/* The one way to a guest's memory. Addresses are virtual, of the current vCPU, and hostile: each
 * value is fetched once, then used. All return 0 or -EFAULT. */
#pragma once

#include "hw/ops.h"
#include "lib/errno.h"
#include "memory/layout.h"

static inline int must_check guest_read(void *dst, uint64_t va, size_t n)
{
    return guest_range_ok(va, n) && hw_copy_from_guest(dst, va, n) == 0 ? 0 : -EFAULT;
}

/* A write that faults is tried again: a kernel may make a page writable and not flush, since the
 * processor's own access faults, drops the translation by that and comes again. SDM 4.10.4.3. */
static inline int must_check guest_write(uint64_t va, const void *src, size_t n)
{
    if (!guest_range_ok(va, n))
        return -EFAULT;
    return likely(hw_copy_to_guest(va, src, n) == 0) || hw_copy_to_guest(va, src, n) == 0 ? 0
                                                                                          : -EFAULT;
}

static inline int must_check guest_clear(uint64_t va, size_t n)
{
    if (!guest_range_ok(va, n))
        return -EFAULT;
    return likely(hw_clear_guest(va, n) == 0) || hw_clear_guest(va, n) == 0 ? 0 : -EFAULT;
}

/* Typed: element `i` of the guest's array at `va`. */
#define guest_read_at(dst, va, i) \
    guest_read((dst), (va) + (uint64_t)(i) * sizeof(*(dst)), sizeof(*(dst)))
#define guest_write_at(va, i, src) \
    guest_write((va) + (uint64_t)(i) * sizeof(*(src)), (src), sizeof(*(src)))
/* A public handle's address. */
#define handle_va(h) ((uint64_t)(uintptr_t)(h).p)
