/* SPDX-License-Identifier: MIT */
/* The types and attributes that every file uses. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Frame numbers are boxed so that a machine frame can never be taken for a guest frame. */
typedef struct {
    uint64_t n;
} mfn_t; /* machine frame: physical address >> 12 */

typedef struct {
    uint64_t n;
} gfn_t; /* guest frame: what the guest calls its frame (for PV guests, the pseudo-physical one) */

#define INVALID_MFN ((mfn_t){~0ull})
#define INVALID_GFN ((gfn_t){~0ull})

static inline mfn_t mfn(uint64_t n)
{
    return (mfn_t){n};
}

static inline gfn_t gfn(uint64_t n)
{
    return (gfn_t){n};
}

static inline bool mfn_eq(mfn_t a, mfn_t b)
{
    return a.n == b.n;
}

typedef uint64_t paddr_t; /* machine physical address */

#define must_check        __attribute__((warn_unused_result))
#define printf_like(f, a) __attribute__((format(printf, f, a)))
#define noreturn          __attribute__((noreturn))
#define packed            __attribute__((packed))
#define aligned(n)        __attribute__((aligned(n)))
#define maybe_unused      __attribute__((unused))
#define noinline          __attribute__((noinline))
#define always_inline     inline __attribute__((always_inline))
#define cold              __attribute__((cold))
#define section(name)     __attribute__((section(name)))
#define likely(x)         __builtin_expect(!!(x), 1)
#define unlikely(x)       __builtin_expect(!!(x), 0)
#define fallthrough       __attribute__((fallthrough))

/* Code and data needed only while starting; their pages go back to the allocator afterwards. */
#ifdef ARGON_HOST
#define init_code
#define init_data
#else
#define init_code section(".init.text") cold
#define init_data section(".init.data")
#endif

/* For what is set once, while starting: read only from then on (memory_seal()). Upcalls are. */
#ifdef ARGON_HOST
#define sealed
#else
#define sealed section(".sealed")
#endif

#define PAGE_SHIFT 12
#define PAGE_SIZE  4096ul
#define PAGE_MASK  (~(PAGE_SIZE - 1))
