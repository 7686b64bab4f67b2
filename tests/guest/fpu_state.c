/* SPDX-License-Identifier: MIT */
/* Floating point and vector registers belong to the guest and survive everything around it.
 *
 * Cause: the hypervisor switches them lazily, and may use them itself.
 * Steps: fill x87, SSE and (by XSETBV) AVX registers with patterns; make hypercalls, take
 * exceptions and events, idle; toggle TS; write bad values to XCR0.
 * Verdict: every bit comes back; XCR0 takes what CPUID offers and refuses the rest with #GP. */
#include "lib/guest.h"

static uint8_t before[1024] __attribute__((aligned(64))), after[1024] __attribute__((aligned(64)));
static bool avx;

static void fill(unsigned int seed)
{
    static uint8_t image[1024] __attribute__((aligned(64)));

    asm volatile("fninit");
    for (unsigned int i = 0; i < 512; i++)
        image[i] = i * 7 + seed;
    asm volatile("movups 0(%0), %%xmm0; movups 16(%0), %%xmm1; movups 32(%0), %%xmm2;"
                 "movups 48(%0), %%xmm3; movups 64(%0), %%xmm4; movups 80(%0), %%xmm5;"
                 "movups 96(%0), %%xmm6; movups 112(%0), %%xmm7; movups 128(%0), %%xmm8;"
                 "movups 144(%0), %%xmm9; movups 160(%0), %%xmm10; movups 176(%0), %%xmm11;"
                 "movups 192(%0), %%xmm12; movups 208(%0), %%xmm13; movups 224(%0), %%xmm14;"
                 "movups 240(%0), %%xmm15; fldpi; fld1; fldl2e" ::"r"(image)
                 : "memory");
    if (avx)
        asm volatile("vmovups 256(%0), %%ymm3; vmovups 300(%0), %%ymm12" ::"r"(image) : "memory");
}

static void save(void *to)
{
    memset(to, 0, 1024);
    if (avx)
        asm volatile("xsave64 (%0)" ::"r"(to), "a"(7), "d"(0) : "memory");
    else
        asm volatile("fxsave64 (%0)" ::"r"(to) : "memory");
}

static bool skip_hook(struct regs *regs)
{
    if (regs->vector == VEC_UD)
        regs->rip += 2;
    return true;
}

static void disturb(unsigned int how, unsigned int port)
{
    struct vcpu_set_singleshot_timer t = {.timeout_abs_ns = time_now() + 3000000};

    switch (how) {
    case 0:
        hc_xen_version(XENVER_version, NULL);
        break;
    case 1:
        asm volatile("ud2; int3" ::: "memory");
        break;
    case 2:
        hc_sched_op(SCHEDOP_yield, NULL);
        break;
    case 3:
        events_disable(); /* or the event could come before we block */
        hc_vcpu_op(VCPUOP_set_singleshot_timer, 0, &t);
        hc_sched_op(SCHEDOP_block, NULL);
        break;
    case 4:
        hc_fpu_taskswitch(1);
        hc_fpu_taskswitch(0);
        break;
    default:
        event_send(port);
    }
}

static void check_kept(void)
{
    unsigned int timer = event_bind_virq(VIRQ_TIMER), ipi = event_bind_ipi();

    event_unmask(timer);
    event_unmask(ipi);
    events_enable();
    for (unsigned int how = 0; how < 6; how++) {
        fill(how);
        save(before);
        disturb(how, ipi);
        save(after);
        for (unsigned int i = 0; i < 832; i++)
            if (before[i] != after[i]) {
                expect_failed("disturbance %u: byte %u is %#x, was %#x", how, i, after[i],
                              before[i]);
                break;
            }
    }
    events_disable();
    event_close(timer);
    event_close(ipi);
}

static long xsetbv(uint32_t index, uint64_t v)
{
    trap_forget();
    asm volatile(TRY("xsetbv")::"c"(index), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)));
    return last_trap.vector;
}

static bool enable_avx(void)
{
    uint32_t a = 1, b, c = 0, d;
    uint64_t cr4;

    asm volatile(".byte 0x0f, 0x0b, 'x', 'e', 'n'; cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (!(c >> 26 & 1))
        return false;
    asm volatile("mov %%cr4, %0" : "=r"(cr4));
    asm volatile("mov %0, %%cr4" ::"r"(cr4 | 1ul << 18));
    asm volatile("mov %%cr4, %0" : "=r"(cr4));
    expect_eq(cr4 >> 18 & 1, 1);
    expect_eq(xsetbv(0, 1), NO_TRAP);
    expect_eq(xsetbv(0, 3), NO_TRAP);
    expect_eq(xsetbv(0, 0), VEC_GP); /* x87 cannot be off */
    expect_eq(xsetbv(0, 5), VEC_GP); /* AVX without SSE */
    expect_eq(xsetbv(0, 1ul << 62), VEC_GP);
    expect_eq(xsetbv(0, 3 | 1ul << 8), VEC_GP); /* supervisor state */
    expect_eq(xsetbv(1, 3), VEC_GP);
    trap_forget();
    asm volatile(TRY("xgetbv") : "=a"(a), "=d"(d) : "c"(0));
    expect_eq(last_trap.vector, NO_TRAP);
    expect_eq(a, 3);
    return c >> 28 & 1 && xsetbv(0, 7) == NO_TRAP;
}

void test_main(void)
{
    hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    trap_hook(VEC_UD, skip_hook);
    trap_hook(VEC_BP, skip_hook);
    check_kept();
    trap_hook(VEC_UD, NULL);
    avx = enable_avx();
    trap_hook(VEC_UD, skip_hook);
    check_kept();
    printf("AVX %s\n", avx ? "tested" : "absent");
    test_pass();
}
