/* SPDX-License-Identifier: MIT */
/* See state.h. */
#include "lib/state.h"

#define CR4_OSXSAVE        (1ul << 18)
#define CPUID_XSAVE_AVX    0x18000000u /* OSXSAVE is in CR4 later; XSAVE and AVX */
#define XCR0_AVX           7
#define MSR_FS_BASE        0xc0000100
#define MSR_GS_BASE        0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102

static bool avx;

void vector_enable(void)
{
    uint32_t eax = 1, ebx, ecx = 0, edx;

    hc_fpu_taskswitch(0);
    asm volatile(".byte 0x0f, 0x0b, 'x', 'e', 'n'; cpuid"
                 : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    if ((ecx & CPUID_XSAVE_AVX) != CPUID_XSAVE_AVX)
        return;
    asm volatile("mov %%cr4, %%rsi; or %0, %%rsi; mov %%rsi, %%cr4; xsetbv" ::"i"(CR4_OSXSAVE),
                 "c"(0), "d"(0), "a"(XCR0_AVX)
                 : "rsi");
    avx = true;
}

void vector_fill(uint64_t pattern)
{
    uint64_t p[4] = {pattern, ~pattern, pattern + 1, ~pattern + 1};
    uint32_t mxcsr = 0x1f80 | (pattern & 0x3f);
    uint16_t fcw = 0x27f | (pattern & 1) << 11;

    asm volatile(
        "fninit; fldcw %0; ldmxcsr %1; movq %2, %%mm3; movdqu %2, %%xmm2; movdqu %2, %%xmm13" ::"m"(
            fcw),
        "m"(mxcsr), "m"(p));
    if (avx)
        asm volatile("vmovdqu %0, %%ymm7" ::"m"(p));
}

bool vector_same(uint64_t pattern)
{
    uint64_t p[4], q[2], r[2], mm;
    uint32_t mxcsr;
    uint16_t fcw;

    asm volatile("movdqu %%xmm2, %0; movdqu %%xmm13, %1; movq %%mm3, %2; stmxcsr %3; fnstcw %4"
                 : "=m"(q), "=m"(r), "=m"(mm), "=m"(mxcsr), "=m"(fcw));
    if (q[0] != pattern || q[1] != ~pattern || r[0] != pattern || r[1] != ~pattern ||
        mm != pattern || (mxcsr & 0x3f) != (pattern & 0x3f) || fcw != (0x27f | (pattern & 1) << 11))
        return false;
    if (!avx)
        return true;
    asm volatile("vmovdqu %%ymm7, %0" : "=m"(p));
    return p[0] == pattern && p[1] == ~pattern && p[2] == pattern + 1 && p[3] == ~pattern + 1;
}

static uint64_t rdmsr(uint32_t msr)
{
    uint32_t lo = 0, hi = 0;

    asm volatile(TRY("rdmsr") : "+a"(lo), "+d"(hi) : "c"(msr));
    return (uint64_t)hi << 32 | lo;
}

static unsigned long base(unsigned int n, unsigned int which)
{
    return n ? (unsigned long)n << 20 | which << 12 : 0;
}

void bases_fill(unsigned int n)
{
    hc_set_segment_base(SEGBASE_FS, base(n, 1));
    hc_set_segment_base(SEGBASE_GS_KERNEL, base(n, 2));
    hc_set_segment_base(SEGBASE_GS_USER, base(n, 3));
    for (int i = 0; i < 4; i++)
        hc_set_debugreg(i, base(n, 4 + i));
}

bool bases_same(unsigned int n)
{
    bool same = rdmsr(MSR_FS_BASE) == base(n, 1) && rdmsr(MSR_GS_BASE) == base(n, 2) &&
                rdmsr(MSR_KERNEL_GS_BASE) == base(n, 3);

    for (int i = 0; i < 4; i++)
        same &= UL(hc_get_debugreg(i)) == base(n, 4 + i);
    return same;
}
