/* SPDX-License-Identifier: MIT */
/* The one way to a guest's memory. Addresses are virtual, of the current vCPU, and hostile: each
 * value is fetched once, then used. All return 0 or -EFAULT. */
#pragma once

#include "domain/domain.h"
#include "lib/errno.h"
#include "memory/layout.h"

/* How the memory of fully virtual guests is reached, whose page tables are not the processor's own:
 * each returns the number of bytes NOT copied. [I] set by start/. */
struct guest_memory_ops {
    size_t (*copy_from)(void *dst, uint64_t va, size_t n);
    size_t (*copy_to)(uint64_t va, const void *src, size_t n);
    size_t (*clear)(uint64_t va, size_t n);
};
extern const struct guest_memory_ops *guest_memory_hvm;

static inline bool guest_memory_is_hvm(void)
{
    return unlikely(current()->domain->hvm);
}

static inline int must_check guest_read(void *dst, uint64_t va, size_t n)
{
    if (guest_memory_is_hvm())
        return guest_memory_hvm->copy_from(dst, va, n) ? -EFAULT : 0;
    return guest_range_ok(va, n) && hw_copy_from_guest(dst, va, n) == 0 ? 0 : -EFAULT;
}

/* A write that faults is tried again: a kernel may make a page writable and not flush, since the
 * processor's own access faults, drops the translation by that and comes again. SDM 4.10.4.3. */
static inline int must_check guest_write(uint64_t va, const void *src, size_t n)
{
    if (guest_memory_is_hvm())
        return guest_memory_hvm->copy_to(va, src, n) ? -EFAULT : 0;
    if (!guest_range_ok(va, n))
        return -EFAULT;
    return likely(hw_copy_to_guest(va, src, n) == 0) || hw_copy_to_guest(va, src, n) == 0 ? 0
                                                                                          : -EFAULT;
}

static inline int must_check guest_clear(uint64_t va, size_t n)
{
    if (guest_memory_is_hvm())
        return guest_memory_hvm->clear(va, n) ? -EFAULT : 0;
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
