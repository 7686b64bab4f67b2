/* SPDX-License-Identifier: MIT */
/* MSR reads and writes of a PV kernel, which the hypervisor carries out, answers itself or
 * refuses.
 *
 * Cause: kernels read MSRs before they have handlers, and rely on #GP for what is not there.
 * Steps: read the ones a kernel needs; write the same and other values; unknown MSRs; without a
 * #GP handler; from user mode.
 * Verdict: documented values; #GP for the rest; nothing of the machine changes. */
#include "lib/guest.h"

extern char user_begin[], user_end[];
asm(".section .rodata; user_begin: mov $0xc0000080, %ecx; rdmsr; ud2; user_end: .text");

static uint64_t value;

static long rdmsr(uint32_t msr)
{
    uint32_t lo = 0x55, hi = 0x66;

    trap_forget();
    asm volatile(TRY("rdmsr") : "+a"(lo), "+d"(hi) : "c"(msr));
    value = (uint64_t)hi << 32 | lo;
    return last_trap.vector;
}

static long wrmsr(uint32_t msr, uint64_t v)
{
    trap_forget();
    asm volatile(TRY("wrmsr")::"c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)));
    return last_trap.vector;
}

static void check_reads(void)
{
    uint64_t tsc = rdtsc();

    expect_eq(rdmsr(0x1b), NO_TRAP); /* APIC base: enabled, boot processor */
    expect_eq(value, 0xfee00900);
    expect_eq(rdmsr(0x277), NO_TRAP); /* PAT */
    expect_eq(value, 0x0000050100070406);
    expect_eq(rdmsr(0xc0000080), NO_TRAP); /* EFER: SCE LME LMA NX */
    expect_eq(value & 0xd01, 0xd01);
    expect_eq(rdmsr(0x10), NO_TRAP); /* TSC */
    expect(value > tsc);
    expect_eq(rdmsr(0xc0000102), NO_TRAP);
    expect_eq(value, 0);
}

static void check_writes(void)
{
    uint64_t efer;

    rdmsr(0xc0000080);
    efer = value;
    expect_eq(wrmsr(0xc0000080, efer), NO_TRAP);
    expect_eq(wrmsr(0xc0000080, efer ^ 1), VEC_GP);
    expect_eq(wrmsr(0xc0000080, efer ^ 0x800), VEC_GP);
    expect_eq(wrmsr(0x277, 0), VEC_GP);
    expect_eq(rdmsr(0xc0000080), NO_TRAP);
    expect_eq(value, efer);
    expect_eq(rdmsr(0x277), NO_TRAP);
    expect_eq(value, 0x0000050100070406);
}

static void check_unknown(void)
{
    expect_eq(rdmsr(0xdeadbeef), VEC_GP);
    expect_eq(last_trap.error, 0);
    expect_eq(value, 0x0000006600000055); /* registers untouched */
    expect_eq(wrmsr(0xdeadbeef, 0), VEC_GP);
    expect_eq(rdmsr(0xda0), VEC_GP);              /* XSS */
    expect_eq(rdmsr(0x480), VEC_GP);              /* VMX */
    expect_eq(rdmsr(0x802), VEC_GP);              /* x2APIC */
    expect_eq(wrmsr(0xc0000082, 0x1000), VEC_GP); /* LSTAR */
    expect_eq(wrmsr(0x174, 0), VEC_GP);           /* SYSENTER_CS */
}

void test_main(void)
{
    struct regs regs;

    check_reads();
    check_writes();
    check_unknown();
    user_init(user_begin, user_end);
    user_regs(&regs);
    user_run(&regs);
    expect_eq(regs.vector, VEC_GP);
    expect_eq(regs.rip, USER_CODE + 5);

    /* No handler for #GP yet: a read of nothing answers 0, as kernels rely on early in boot. */
    need_eq(hc_set_trap_table(NULL), 0);
    expect_eq(rdmsr(0xdeadbeef), NO_TRAP);
    expect_eq(value, 0);
    trap_init();
    test_pass();
}
