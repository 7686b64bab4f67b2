/* SPDX-License-Identifier: MIT */
/* Going to user mode without a user page table ends the domain.
 *
 * Cause: NEW_USER_BASEPTR was never called, or called with 0, so there is nothing to run on.
 * Steps: set up user mode, take its table away again, iret to it.
 * Verdict: the hypervisor reports a crash of domain 0. */
#include "lib/guest.h"

extern char user_begin[], user_end[];
asm(".section .rodata; user_begin: syscall; user_end: .text");

void test_main(void)
{
    struct regs regs;

    user_init(user_begin, user_end);
    user_regs(&regs);
    user_run(&regs);
    expect_eq(regs.vector, VEC_SYSCALL);
    expect_eq(mmuext(MMUEXT_NEW_USER_BASEPTR, 0), 0);
    test_expect_crash();
    user_regs(&regs);
    user_run(&regs);
    test_fail("came back from user mode without a page table");
}
