/* SPDX-License-Identifier: MIT */
/* iret to user mode with contents that the processor refuses.
 *
 * Cause: the hypervisor's own exit instruction faults on them; it must survive and tell the
 * guest.
 * Steps: iret with selectors that do not exist or are data, and with addresses that are not
 * canonical.
 * Verdict: the kernel gets #GP as if user mode had caused it, the selector as error code; user
 * code does not run, and afterwards everything works. */
#include "lib/guest.h"

extern char user_begin[], user_end[];
asm(".section .rodata; user_begin: mov $0x77, %eax; ud2; user_end: .text");

static struct regs regs;

static void run_bad(uint64_t cs, uint64_t ss, uint64_t rip, uint64_t error)
{
    user_regs(&regs);
    regs.cs = cs;
    regs.ss = ss;
    regs.rip = rip;
    user_run(&regs);
    expect_eq(regs.vector, VEC_GP);
    expect_eq(regs.error, error);
    expect_eq(regs.rip, rip);
    expect_eq(regs.rsp, USER_STACK);
    expect(regs.rax != 0x77);
}

static bool leave(struct regs *r)
{
    if (user_running)
        user_trap(r);
    return false;
}

void test_main(void)
{
    user_init(user_begin, user_end);
    trap_hook(VEC_GP, leave);
    trap_hook(VEC_FAILSAFE, leave);
    trap_hook(VEC_SS, leave);
    trap_hook(VEC_NP, leave);
    trap_hook(VEC_PF, leave);
    run_bad(0x0013, FLAT_USER_SS64, USER_CODE, 0x10);
    run_bad(0xe02b, FLAT_USER_SS64, USER_CODE, 0xe028);
    run_bad(0x0003, FLAT_USER_SS64, USER_CODE, 0);
    run_bad(FLAT_USER_CS64, 0x1013, USER_CODE, 0x1010);
    run_bad(FLAT_USER_CS64, 0xe033, USER_CODE, 0xe030);
    run_bad(FLAT_USER_CS64, FLAT_USER_SS64, 0x8000000000000000, 0);
    run_bad(FLAT_USER_CS64, FLAT_USER_SS64, 0x0000800000000000, 0);

    user_regs(&regs);
    user_run(&regs);
    expect_eq(regs.vector, VEC_UD);
    expect_eq(regs.rax, 0x77);
    test_pass();
}
