/* SPDX-License-Identifier: MIT */
/* The instructions that C has no words for. Tests of the host build replace this file with
 * tests/host/hw/ops.h, which has the same names over a simulated machine; so nothing above hw/ may
 * contain inline assembly. */
#pragma once

#include "hw/cpu_local.h"
#include "hw/desc.h"
#include "hw/msr.h"
#include "hw/nospec.h"
#include "hw/pte.h"
#include "hw/regs.h"

/* The hypervisor's part of every address space, one line a region: docs in memory/layout.h. */
#define HW_VA_M2P_RO     0xffff800000000000ul
#define HW_VA_M2P        0xffff808000000000ul
#define HW_VA_FRAMES     0xffff810000000000ul
#define HW_VA_PERDOMAIN  0xffff818000000000ul
#define HW_VA_VMAP       0xffff820000000000ul
#define HW_VA_IMAGE      0xffff828000000000ul
#define HW_VA_DIRECT     0xffff830000000000ul
#define HW_VA_DIRECT_END 0xffff880000000000ul

/* ---- this CPU ---- */

static always_inline struct cpu_local *cpu_local(void)
{
    unsigned long rsp;

    /* rsp itself never equals the block's end in C code. Not volatile: the value is constant
     * within a function. */
    asm("mov %%rsp, %0" : "=r"(rsp));
    return (struct cpu_local *)((rsp | (CPU_BLOCK_SIZE - 1)) + 1 - sizeof(struct cpu_local));
}

static inline void cpu_pause(void)
{
    asm volatile("pause" ::: "memory");
}

static inline void cpu_lfence(void)
{
    asm volatile("lfence" ::: "memory");
}

static inline void interrupts_disable(void)
{
    asm volatile("cli" ::: "memory");
}

static inline void interrupts_enable(void)
{
    asm volatile("sti" ::: "memory");
}

/* Takes the interrupts that wait, if any: the only place besides idle and guest mode where the
 * hypervisor is interrupted (ARCHITECTURE.md, "Interrupts"). */
static inline void interrupts_window(void)
{
    asm volatile("sti; nop; cli" ::: "memory");
}

/* Sleeps until an interrupt has been handled; returns with interrupts off. */
static inline void cpu_idle_halt(void)
{
    asm volatile("sti; hlt; cli" ::: "memory");
}

static inline noreturn void cpu_stop(void)
{
    for (;;)
        asm volatile("cli; hlt" ::: "memory");
}

/* With an empty IDT loaded: resets the processor. */
static inline void hw_triple_fault(void)
{
    asm volatile("int3" ::: "memory");
}

static inline bool interrupts_enabled(void)
{
    unsigned long flags;

    asm volatile("pushfq; pop %0" : "=r"(flags));
    return flags & RFLAGS_IF;
}

static inline uint64_t rdtsc(void)
{
    uint32_t lo, hi;

    asm volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return ((uint64_t)hi << 32) | lo;
}

static inline uint64_t rdtsc_ordered(void)
{
    cpu_lfence();
    return rdtsc();
}

struct cpuid_leaf {
    uint32_t a, b, c, d;
};

static inline struct cpuid_leaf hw_cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_leaf r;

    asm volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(subleaf));
    return r;
}

/* ---- model-specific and control registers ---- */

static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t lo, hi;

    asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
    return ((uint64_t)hi << 32) | lo;
}

static inline void wrmsr(uint32_t msr, uint64_t val)
{
    asm volatile("wrmsr" ::"c"(msr), "a"((uint32_t)val), "d"((uint32_t)(val >> 32)) : "memory");
}

/* 0, or -EFAULT where the processor raised #GP. In fault.S. */
int must_check rdmsr_safe(uint32_t msr, uint64_t *val);
int must_check wrmsr_safe(uint32_t msr, uint64_t val);
int must_check xsetbv_safe(uint32_t index, uint64_t val);

#define HW_CR(n)                                                \
    static inline uint64_t read_cr##n(void)                     \
    {                                                           \
        uint64_t v;                                             \
        asm volatile("mov %%cr" #n ", %0" : "=r"(v)::"memory"); \
        return v;                                               \
    }                                                           \
    static inline void write_cr##n(uint64_t v)                  \
    {                                                           \
        asm volatile("mov %0, %%cr" #n ::"r"(v) : "memory");    \
    }
HW_CR(0)
HW_CR(2)
HW_CR(3)
HW_CR(4)

#define HW_DR(n)                                      \
    static inline uint64_t read_dr##n(void)           \
    {                                                 \
        uint64_t v;                                   \
        asm volatile("mov %%db" #n ", %0" : "=r"(v)); \
        return v;                                     \
    }                                                 \
    static inline void write_dr##n(uint64_t v)        \
    {                                                 \
        asm volatile("mov %0, %%db" #n ::"r"(v));     \
    }
HW_DR(0)
HW_DR(1)
HW_DR(2)
HW_DR(3)
HW_DR(6)
HW_DR(7)

static inline void cpu_clts(void)
{
    asm volatile("clts" ::: "memory");
}

/* ---- translation cache and caches ---- */

static inline void hw_invlpg(uint64_t va)
{
    asm volatile("invlpg (%0)" ::"r"(va) : "memory");
}

/* `type` is INVPCID_*; SDM vol. 2A, INVPCID. */
static inline void hw_invpcid(uint64_t type, uint64_t pcid, uint64_t va)
{
    const uint64_t what[2] = {pcid, va};

    asm volatile("invpcid %0, %1" ::"m"(what), "r"(type) : "memory");
}

static inline void hw_wbinvd(void)
{
    asm volatile("wbinvd" ::: "memory");
}

/* Copies upwards, as fast as the processor can. Intel SDM vol. 1, 7.3.9.3. */
static inline void hw_copy(void *to, const void *from, size_t n)
{
    size_t words = n / 8, rest = n % 8;

    asm volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words)::"memory");
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(rest)::"memory");
}

/* Zeroes a page, likewise. */
static inline void hw_clear_page(void *page)
{
    size_t words = 4096 / 8;

    asm volatile("rep stosq" : "+D"(page), "+c"(words) : "a"(0) : "memory");
}

/* ---- descriptor tables and segments ---- */

static inline void hw_lgdt(const struct table_register *t)
{
    asm volatile("lgdt %0" ::"m"(*t) : "memory");
}

static inline void hw_lidt(const struct table_register *t)
{
    asm volatile("lidt %0" ::"m"(*t) : "memory");
}

static inline void hw_lldt(uint16_t sel)
{
    asm volatile("lldt %0" ::"rm"(sel) : "memory");
}

/* Loads CS by a far return and the stack and data segments; FS, GS, DS and ES become null. */
static inline void hw_reload_segments(uint16_t cs, uint16_t ss)
{
    asm volatile("pushq %0; lea 1f(%%rip), %%rax; push %%rax; lretq; 1:"
                 "mov %w1, %%ss; xor %%eax, %%eax; mov %%eax, %%ds; mov %%eax, %%es;"
                 "mov %%eax, %%fs; mov %%eax, %%gs" ::"r"((uint64_t)cs),
                 "r"(ss)
                 : "rax", "memory");
}

static inline void hw_ltr(uint16_t sel)
{
    asm volatile("ltr %0" ::"rm"(sel) : "memory");
}

#define HW_SEG(s)                                    \
    static inline uint16_t read_##s(void)            \
    {                                                \
        uint16_t v;                                  \
        asm volatile("mov %%" #s ", %0" : "=rm"(v)); \
        return v;                                    \
    }
HW_SEG(ds)
HW_SEG(es)
HW_SEG(fs)
HW_SEG(gs)

/* 0, or -EFAULT where the selector could not be loaded (a null selector is loaded then). */
int load_ds_safe(uint16_t sel);
int load_es_safe(uint16_t sel);
int load_fs_safe(uint16_t sel);
int load_gs_safe(uint16_t sel);

static inline void hw_swapgs(void)
{
    asm volatile("swapgs" ::: "memory");
}

static inline uint64_t hw_rdfsbase(void)
{
    uint64_t v;

    asm volatile("rdfsbase %0" : "=r"(v));
    return v;
}

static inline uint64_t hw_rdgsbase(void)
{
    uint64_t v;

    asm volatile("rdgsbase %0" : "=r"(v));
    return v;
}

static inline void hw_wrfsbase(uint64_t v)
{
    asm volatile("wrfsbase %0" ::"r"(v));
}

static inline void hw_wrgsbase(uint64_t v)
{
    asm volatile("wrgsbase %0" ::"r"(v));
}

/* ---- ports and device memory ---- */

static inline uint8_t in8(uint16_t port)
{
    uint8_t v;

    asm volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static inline uint16_t in16(uint16_t port)
{
    uint16_t v;

    asm volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static inline uint32_t in32(uint16_t port)
{
    uint32_t v;

    asm volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static inline void out8(uint16_t port, uint8_t v)
{
    asm volatile("outb %0, %1" ::"a"(v), "Nd"(port));
}

static inline void out16(uint16_t port, uint16_t v)
{
    asm volatile("outw %0, %1" ::"a"(v), "Nd"(port));
}

static inline void out32(uint16_t port, uint32_t v)
{
    asm volatile("outl %0, %1" ::"a"(v), "Nd"(port));
}

static inline uint8_t mmio_read8(const volatile void *p)
{
    uint8_t v;

    asm volatile("movb %1, %0" : "=q"(v) : "m"(*(const volatile uint8_t *)p) : "memory");
    return v;
}

static inline uint16_t mmio_read16(const volatile void *p)
{
    uint16_t v;

    asm volatile("movw %1, %0" : "=r"(v) : "m"(*(const volatile uint16_t *)p) : "memory");
    return v;
}

static inline void mmio_write8(volatile void *p, uint8_t v)
{
    asm volatile("movb %1, %0" : "=m"(*(volatile uint8_t *)p) : "q"(v) : "memory");
}

static inline void mmio_write16(volatile void *p, uint16_t v)
{
    asm volatile("movw %1, %0" : "=m"(*(volatile uint16_t *)p) : "r"(v) : "memory");
}

static inline uint32_t mmio_read32(const volatile void *p)
{
    uint32_t v;

    asm volatile("movl %1, %0" : "=r"(v) : "m"(*(const volatile uint32_t *)p) : "memory");
    return v;
}

static inline uint64_t mmio_read64(const volatile void *p)
{
    uint64_t v;

    asm volatile("movq %1, %0" : "=r"(v) : "m"(*(const volatile uint64_t *)p) : "memory");
    return v;
}

static inline void mmio_write32(volatile void *p, uint32_t v)
{
    asm volatile("movl %1, %0" : "=m"(*(volatile uint32_t *)p) : "r"(v) : "memory");
}

static inline void mmio_write64(volatile void *p, uint64_t v)
{
    asm volatile("movq %1, %0" : "=m"(*(volatile uint64_t *)p) : "r"(v) : "memory");
}

/* ---- extended state ---- */

static inline uint64_t hw_xgetbv(uint32_t index)
{
    uint32_t lo, hi;

    asm volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(index));
    return ((uint64_t)hi << 32) | lo;
}

static inline void hw_xsave(void *area, uint64_t mask)
{
    asm volatile("xsave64 (%0)" ::"r"(area), "a"((uint32_t)mask), "d"((uint32_t)(mask >> 32))
                 : "memory");
}

static inline void hw_fxsave(void *area)
{
    asm volatile("fxsave64 (%0)" ::"r"(area) : "memory");
}

static inline void hw_fninit(void)
{
    asm volatile("fninit" ::: "memory");
}

/* 0, or -EFAULT where the image was refused by the processor. In fault.S. */
int must_check xrstor_safe(const void *area, uint64_t mask);
int must_check fxrstor_safe(const void *area);

/* ---- guest memory, through the page tables that are loaded ----
 *
 * The caller has checked that [va, va + n) lies outside the hypervisor's range. Only user pages
 * are reached: SMAP is lifted for the copy alone. Each returns the number of bytes NOT copied. */
size_t must_check hw_copy_from_guest(void *dst, uint64_t va, size_t n);
size_t must_check hw_copy_to_guest(uint64_t va, const void *src, size_t n);
size_t must_check hw_clear_guest(uint64_t va, size_t n);
/* 8 bytes at once, never torn where va is aligned. 0 or -EFAULT. */
int must_check hw_read_guest_u64(uint64_t va, uint64_t *val);
int must_check hw_write_guest_u64(uint64_t va, uint64_t val);
