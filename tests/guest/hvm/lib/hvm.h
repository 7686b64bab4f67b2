/* SPDX-License-Identifier: MIT */
/* What a test of a fully virtual guest has besides lib/guest.h: it runs in 64-bit mode, ring 0, on
 * page tables of its own that map the first 4 GiB one to one, interrupts off, with an IDT whose
 * every vector comes to the traps of lib/guest.h. */
#ifndef GUEST_HVM_H
#define GUEST_HVM_H

#include "lib/guest.h"

#include <xen/arch-x86/cpuid.h>
#include <xen/arch-x86/hvm/start_info.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>

extern const struct hvm_start_info *hvm_start_info;
extern uint64_t boot_l4[512], boot_l3[512], boot_l2[2048];
extern char _kernel_end[];

struct cpuid {
    uint32_t a, b, c, d;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid r;

    asm volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(subleaf));
    return r;
}

#define ACCESS_CR(n)                                             \
    static inline uint64_t read_cr##n(void)                      \
    {                                                            \
        uint64_t v;                                              \
        asm volatile("mov %%cr" #n ", %0" : "=r"(v)::"memory");  \
        return v;                                                \
    }                                                            \
    /* The exception it raised, or NO_TRAP. */                   \
    static inline long write_cr##n(uint64_t v)                   \
    {                                                            \
        trap_forget();                                           \
        asm volatile(TRY("mov %0, %%cr" #n)::"r"(v) : "memory"); \
        return last_trap.vector;                                 \
    }
ACCESS_CR(0)
ACCESS_CR(2)
ACCESS_CR(3)
ACCESS_CR(4)

static inline long read_msr(uint32_t index, uint64_t *val)
{
    uint32_t lo = 0, hi = 0;

    trap_forget();
    asm volatile(TRY("rdmsr") : "+a"(lo), "=d"(hi) : "c"(index) : "memory");
    *val = (uint64_t)hi << 32 | lo;
    return last_trap.vector;
}

static inline long write_msr(uint32_t index, uint64_t val)
{
    trap_forget();
    asm volatile(TRY("wrmsr")::"c"(index), "a"((uint32_t)val), "d"((uint32_t)(val >> 32))
                 : "memory");
    return last_trap.vector;
}

static inline long hc_hvm_op(unsigned int cmd, const void *arg)
{
    return hypercall2(__HYPERVISOR_hvm_op, cmd, arg);
}

/* Frames from this one on are free for the test, up to the end of memory. */
uint64_t first_free_frame(void);

#endif
