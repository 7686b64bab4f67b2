/* SPDX-License-Identifier: MIT */
/* Debug registers: by hypercall and by instruction, working breakpoints, and what may not be
 * set.
 *
 * Cause: a breakpoint inside the hypervisor would let a guest stop it or worse.
 * Steps: set and read DR0-3, 6 and 7 both ways; a breakpoint on execution and one on a write;
 * addresses of the hypervisor and not canonical ones; reserved bits, general detect.
 * Verdict: values come back, breakpoints arrive as #DB with their bit in DR6, bad values are
 * refused. */
#include "lib/guest.h"

static uint64_t dr6;
static volatile uint64_t watched;

static bool on_db(struct regs *regs)
{
    dr6 = hc_get_debugreg(6);
    hc_set_debugreg(7, 0);
    hc_set_debugreg(6, 0);
    return true;
}

static uint64_t mov_from_dr0(void)
{
    uint64_t v = 0;

    trap_forget();
    asm volatile(TRY("mov %%db0, %0") : "+r"(v));
    expect_eq(last_trap.vector, NO_TRAP);
    return v;
}

static void check_values(void)
{
    for (int i = 0; i < 4; i++) {
        expect_eq(hc_set_debugreg(i, 0x1000 + i), 0);
        expect_eq(hc_get_debugreg(i), 0x1000 + i);
    }
    expect_eq(mov_from_dr0(), 0x1000);
    trap_forget();
    asm volatile(TRY("mov %0, %%db0")::"r"(0x2000ul));
    expect_eq(last_trap.vector, NO_TRAP);
    expect_eq(hc_get_debugreg(0), 0x2000);
    expect_eq(hc_set_debugreg(6, 0), 0);
    expect_eq(hc_get_debugreg(6), 0xffff0ff0);
    expect_eq(hc_set_debugreg(7, 0), 0);
    expect_eq(hc_get_debugreg(7), 0x400);
}

static void check_refusals(void)
{
    expect_eq(hc_set_debugreg(0, 0xffff830000000000), -XEN_EPERM);
    expect_eq(hc_set_debugreg(3, 0xffff800000000000), -XEN_EPERM);
    expect_eq(hc_set_debugreg(1, 0xffff87ffffffffff), -XEN_EPERM);
    expect_eq(hc_set_debugreg(0, 0x8000000000000000), -XEN_EPERM);
    expect_eq(hc_set_debugreg(8, 0), -XEN_ENODEV);
    expect_eq(hc_set_debugreg(-1, 0), -XEN_ENODEV);
    expect_eq(hc_get_debugreg(8), -XEN_ENODEV);
    expect_eq(hc_set_debugreg(7, 0x2000), -XEN_EPERM); /* general detect */
    expect_eq(hc_set_debugreg(7, 1ul << 32), -XEN_EINVAL);
    expect_eq(hc_set_debugreg(6, 1ul << 32), -XEN_EINVAL);
    expect_eq(hc_get_debugreg(7), 0x400);
}

static void check_breakpoints(void)
{
    uint64_t addr;

    trap_hook(VEC_DB, on_db);
    /* A write to eight bytes: L0, R/W0 01, LEN0 10. */
    expect_eq(hc_set_debugreg(0, UL(&watched)), 0);
    expect_eq(hc_set_debugreg(7, 0x1 | 0x1 << 16 | 0x2 << 18), 0);
    trap_forget();
    watched = 5;
    barrier();
    expect_eq(last_trap.vector, VEC_DB);
    expect_eq(dr6 & 0xf, 1);
    expect_eq(last_trap.count, 1);

    /* Execution: L1. */
    trap_forget();
    asm volatile("lea 1f(%%rip), %0; mov %0, %%rsi; mov $1, %%edi; mov $8, %%eax; syscall;"
                 "mov $7, %%edi; mov $0x4, %%esi; mov $8, %%eax; syscall; 1: nop"
                 : "=&r"(addr)::"rax", "rcx", "rdi", "rsi", "r11", "memory");
    expect_eq(last_trap.count, 1);
    expect_eq(last_trap.rip, addr);
    expect_eq(dr6 & 0xf, 2);
}

void test_main(void)
{
    check_values();
    check_refusals();
    check_breakpoints();
    test_pass();
}
