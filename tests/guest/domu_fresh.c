/* SPDX-License-Identifier: MIT */
/* Nothing of one domain is left for the next: memory, vector registers, debug registers, bases.
 *
 * Cause: frames and the processor's registers pass from hand to hand.
 * Steps: one domain fills all of its memory and every register with a mark, and dies; domain 0 does
 * the same with its registers; a second domain looks at its registers and at its first frames.
 * Verdict: registers are those of a reset processor or zero, memory holds none of the mark, and
 * domain 0 has its own registers back. */
#include "lib/domu.h"

#define MARK 0x5ec2e75ec2e75ec2ul

static struct {
    uint64_t xmm[2], fs, gs, gs_user, dr0, dr7;
    uint64_t mxcsr, fcw, mm0;
} seen;
static volatile unsigned int checked;

static uint64_t rdmsr(uint32_t msr)
{
    uint32_t lo = 0, hi = 0;

    asm volatile(TRY("rdmsr") : "+a"(lo), "+d"(hi) : "c"(msr));
    return (uint64_t)hi << 32 | lo;
}

static void mark_registers(void)
{
    static const uint64_t mark[2] __attribute__((aligned(16))) = {MARK, MARK};
    uint32_t mxcsr = 0x1f00;
    uint16_t fcw = 0x0f7f;

    hc_fpu_taskswitch(0);
    asm volatile(
        "fldcw %0; ldmxcsr %1; movq %2, %%mm0; movdqa %2, %%xmm0; movdqa %2, %%xmm15" ::"m"(fcw),
        "m"(mxcsr), "m"(mark));
    need_eq(hc_set_debugreg(0, UL(_kernel_start)), 0);
    need_eq(hc_set_segment_base(SEGBASE_FS, UL(&seen)), 0);
    need_eq(hc_set_segment_base(SEGBASE_GS_KERNEL, UL(&seen)), 0);
    need_eq(hc_set_segment_base(SEGBASE_GS_USER, UL(&seen)), 0);
}

static void look(void)
{
    uint32_t mxcsr;
    uint16_t fcw;

    hc_fpu_taskswitch(0);
    asm volatile("movq %%mm0, %0; fnstcw %1; stmxcsr %2" : "=m"(seen.mm0), "=m"(fcw), "=m"(mxcsr));
    asm volatile("emms; movdqu %%xmm0, %0" : "=m"(seen.xmm));
    seen.mxcsr = mxcsr;
    seen.fcw = fcw;
    seen.fs = rdmsr(0xc0000100);
    seen.gs = rdmsr(0xc0000101);
    seen.gs_user = rdmsr(0xc0000102);
    seen.dr0 = hc_get_debugreg(0);
    seen.dr7 = hc_get_debugreg(7);
}

static void marker(void)
{
    uint64_t *p;

    mark_registers();
    for (unsigned int n = 0; n < 40; n++) {
        p = page_alloc();
        for (unsigned int i = 0; i < 512; i++)
            p[i] = MARK;
    }
    checked = 1;
}

static void fresh(void)
{
    look();
    checked = 1;
}

static struct domu d;

static void expect_clean(const char *what, uint64_t v, uint64_t want)
{
    if (v != want)
        expect_failed("%s of a new domain is %#lx", what, v);
}

void test_main(void)
{
    unsigned int marks = 0;

    domu_create(&d, marker);
    expect_eq(domu_run(&d), SHUTDOWN_poweroff);
    expect_eq(*domu_view(&d, &checked), 1);
    domu_destroy(&d);

    mark_registers();
    domu_create(&d, fresh);
    /* The pages behind the boot stack are as the hypervisor gave them. */
    for (unsigned int n = d.nr_pages - 40; n < d.nr_pages; n++)
        for (unsigned int i = 0; i < 512; i++)
            marks += ((uint64_t *)(d.view + n * PAGE_SIZE))[i] != 0;
    expect_eq(marks, 0);
    expect_eq(domu_run(&d), SHUTDOWN_poweroff);
    seen = *domu_view(&d, &seen);
    expect_clean("xmm0", seen.xmm[0], 0);
    expect_clean("xmm0, high", seen.xmm[1], 0);
    expect_clean("mm0", seen.mm0, 0);
    expect_clean("MXCSR", seen.mxcsr, 0x1f80);
    expect_clean("FCW", seen.fcw, 0x37f);
    expect_clean("FS base", seen.fs, 0);
    expect_clean("GS base", seen.gs, 0);
    expect_clean("user GS base", seen.gs_user, 0);
    expect_clean("DR0", seen.dr0, 0);
    expect_clean("DR7", seen.dr7, 0x400);
    look();
    expect_eq(seen.xmm[0], MARK);
    expect_eq(seen.mm0, MARK);
    expect_eq(seen.mxcsr, 0x1f00);
    expect_eq(seen.fcw, 0x0f7f);
    expect_eq(seen.fs, UL(&seen));
    expect_eq(seen.gs, UL(&seen));
    expect_eq(seen.gs_user, UL(&seen));
    expect_eq(seen.dr0, UL(_kernel_start));
    domu_destroy(&d);
    test_pass();
}
