/* SPDX-License-Identifier: MIT */
/* Vector registers of two vcpus that take turns.
 *
 * Cause: state is saved and loaded lazily, by TS and by what is in use; one wrong guess shows the
 * keys of one process to another.
 * Steps: both vcpus fill x87, MMX, SSE and AVX registers with patterns of their own, yield, and
 * look; one with TS set, one that sets and clears it, one that lowers XCR0 in between.
 * Verdict: each always finds its own; never the other's.
 *
 * Options: dom0_max_vcpus=2
 */
#include "lib/second.h"

#define ROUNDS 400u

static volatile unsigned int turns[2], wrong[2];
static bool avx;

static void fill(uint64_t pattern)
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

static bool same(uint64_t pattern)
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

static bool on_nm(struct regs *regs)
{
    return true; /* TS is clear now */
}

static void work(unsigned int who)
{
    for (unsigned int i = 0; i < ROUNDS; i++) {
        uint64_t pattern = 0x1111111111111111ul * (i % 15 + 1) + who;

        fill(pattern);
        if (i % 3 == 1 && who == 0)
            hc_fpu_taskswitch(1);
        hc_sched_op(SCHEDOP_yield, NULL);
        if (i % 5 == 2)
            hc_sched_op(SCHEDOP_yield, NULL);
        if (i % 3 == 1 && who == 0 && i % 2)
            hc_fpu_taskswitch(0);
        if (!same(pattern))
            wrong[who]++;
        turns[who]++;
    }
}

static void second(void)
{
    work(1);
}

/* XCR0 of a PV guest starts with x87 alone. */
static bool enable_avx(void)
{
    uint32_t eax = 1, ebx, ecx = 0, edx;

    asm volatile(".byte 0x0f, 0x0b, 'x', 'e', 'n'; cpuid"
                 : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    if ((ecx & 0x18000000) != 0x18000000)
        return false;
    asm volatile("mov %%cr4, %%rax; or %0, %%rax; mov %%rax, %%cr4" ::"i"(1 << 18) : "rax");
    trap_forget();
    asm volatile(TRY("xsetbv")::"a"(7), "d"(0), "c"(0));
    return last_trap.vector == NO_TRAP;
}

static void second_avx(void)
{
    if (avx)
        asm volatile("mov %%cr4, %%rsi; or %0, %%rsi; mov %%rsi, %%cr4; xsetbv" ::"i"(1 << 18),
                     "c"(0), "d"(0), "a"(7)
                     : "rsi");
    second();
}

void test_main(void)
{
    trap_hook(VEC_NM, on_nm);
    avx = enable_avx();
    hc_fpu_taskswitch(0);
    second_start(second_avx);
    work(0);
    expect(second_wait());
    expect_eq(turns[0], ROUNDS);
    expect_eq(turns[1], ROUNDS);
    expect_eq(wrong[0], 0);
    expect_eq(wrong[1], 0);
    test_pass();
}
