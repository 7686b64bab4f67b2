/* SPDX-License-Identifier: MIT */
/* The local APIC of a fully virtual CPU, in memory and as MSRs: an interrupt to itself waits for
 * RFLAGS.IF, one of lower priority for the end of the higher; CR8 is the upper half of TPR; the
 * timer fires once, periodically and at a deadline; a vector below 16 is an error.
 *
 * Cause: the chip is the hypervisor's; each access is a nested page fault or an MSR exit. What TPR
 * and CR8 hold back is tested on the host (tests/unit/devices_vlapic.c): QEMU 7.2 hangs or ends
 * when Xen 4.17 has a virtual interrupt wait for them. */
#include "hvm/lib/hvm.h"

#define APIC       0xfee00000ul
#define MSR_BASE   0x1bu
#define MSR_X2     0x800u
#define MSR_TSC_DL 0x6e0u
#define EXTD       0x400ul
#define TPR        0x080
#define PPR        0x0a0
#define EOI        0x0b0
#define SVR        0x0f0
#define ESR        0x280
#define ICR        0x300
#define LVT_TIMER  0x320
#define TMICT      0x380
#define TMCCT      0x390
#define TDCR       0x3e0
#define SELF       0x40000u

static unsigned int count[256], order[16], taken;
static bool x2;

static uint32_t get(unsigned int reg)
{
    uint64_t v;

    if (!x2)
        return *(volatile uint32_t *)(APIC + reg);
    need_eq(read_msr(MSR_X2 + reg / 16, &v), NO_TRAP);
    return (uint32_t)v;
}

static void put(unsigned int reg, uint32_t val)
{
    if (x2)
        need_eq(write_msr(MSR_X2 + reg / 16, val), NO_TRAP);
    else
        *(volatile uint32_t *)(APIC + reg) = val;
}

/* Notes the vector; those from 0x60 on end themselves. */
static bool interrupt(struct regs *regs)
{
    count[regs->vector]++;
    if (taken < 16)
        order[taken++] = (unsigned int)regs->vector;
    if (regs->vector >= 0x60)
        put(EOI, 0);
    return true;
}

static void window(void)
{
    asm volatile("sti; nop; nop; cli" ::: "memory");
}

static void write_cr8(uint64_t v)
{
    asm volatile("mov %0, %%cr8" ::"r"(v) : "memory");
}

static void priorities(void)
{
    put(ICR, SELF | 0x71);
    expect_eq(count[0x71], 0); /* interrupts are off */
    window();
    expect_eq(count[0x71], 1);

    write_cr8(7);
    expect_eq(get(TPR), 0x70);
    put(TPR, 0);

    /* 0x51 stays in service: 0x41 has to wait for its end, 0x61 has not. */
    taken = 0;
    put(ICR, SELF | 0x51);
    window();
    put(ICR, SELF | 0x41);
    put(ICR, SELF | 0x61);
    window();
    expect_eq(count[0x41], 0);
    expect_eq(get(PPR) & 0xf0, 0x50);
    put(EOI, 0);
    window();
    put(EOI, 0);
    expect_eq(taken, 3);
    expect_eq(order[0], 0x51);
    expect_eq(order[1], 0x61);
    expect_eq(order[2], 0x41);
}

static void timer(void)
{
    uint64_t start;

    put(TDCR, 0xb); /* divide by 1 */
    put(LVT_TIMER, 0x80);
    put(TMICT, 100000);
    expect(get(TMCCT) <= 100000);
    asm volatile("sti; hlt; cli" ::: "memory");
    expect_eq(count[0x80], 1);
    expect_eq(get(TMCCT), 0);

    put(LVT_TIMER, 0x20081); /* periodic */
    put(TMICT, 100000);
    for (int i = 0; i < 3; i++)
        asm volatile("sti; hlt; cli" ::: "memory");
    put(TMICT, 0);
    expect_eq(count[0x81], 3);

    put(LVT_TIMER, 0x10080); /* masked */
    put(TMICT, 1000);
    for (start = rdtsc(); rdtsc() < start + 1000000;)
        asm volatile("pause");
    window();
    expect_eq(count[0x80], 1);
    put(TMICT, 0);
    if (!(cpuid(1, 0).c & 1u << 24))
        return;
    put(LVT_TIMER, 0x40082); /* deadline */
    start = rdtsc() + 500000;
    need_eq(write_msr(MSR_TSC_DL, start), NO_TRAP);
    asm volatile("sti; hlt; cli" ::: "memory");
    expect_eq(count[0x82], 1);
    expect(rdtsc() >= start);
    need_eq(write_msr(MSR_TSC_DL, 1), NO_TRAP); /* has passed */
    asm volatile("sti; hlt; cli" ::: "memory");
    expect_eq(count[0x82], 2);
    put(LVT_TIMER, 0x10000);
}

static void errors(void)
{
    put(ESR, 0);
    put(ICR, SELF | 5);
    put(ESR, 0);
    expect_eq(get(ESR) & 0x60, 0x20); /* Xen 4.17 shows it for ever; a chip until the next write */
}

void test_main(void)
{
    uint64_t base, v;

    for (unsigned int n = 0x40; n < 0x90; n++)
        trap_hook(n, interrupt);
    need_eq(read_msr(MSR_BASE, &base), NO_TRAP);
    need_eq(base & 0xfffffffffffff800, APIC | 0x800);
    put(SVR, 0x1ff);
    priorities();
    timer();
    errors();

    expect_eq(read_msr(MSR_X2 + 2, &v), VEC_GP); /* not yet */
    if (!(cpuid(1, 0).c & 1u << 21))
        test_pass();
    memset(count, 0, sizeof(count));
    need_eq(write_msr(MSR_BASE, base | EXTD), NO_TRAP);
    x2 = true;
    priorities();
    timer();
    expect_eq(write_msr(MSR_BASE, base), VEC_GP); /* no way back but by off */
    expect_eq(write_msr(MSR_X2 + EOI / 16, 1), VEC_GP);
    test_pass();
}
