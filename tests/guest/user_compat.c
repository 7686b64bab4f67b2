/* SPDX-License-Identifier: MIT */
/* 32-bit programs under a 64-bit kernel: compatibility mode, its system calls, its faults.
 *
 * Cause: a kernel runs old binaries; they enter it by int 0x80, SYSCALL and SYSENTER with
 * 32-bit code segments.
 * Steps: iret to FLAT_USER_CS32; each entry; #UD, #PF and a fault above 4 GiB; without SYSENTER
 * callback.
 * Verdict: entries say CS 0xe023 and keep 32-bit registers; an instruction that the processor
 * does not have in this mode is #UD or #GP, not the hypervisor's trouble. */
#include "lib/guest.h"

extern char user_begin[], user_end[], u_int80[], u_syscall[], u_sysenter[], u_ud[], u_inc[];
asm(".section .rodata; .code32\n"
    "user_begin:\n"
    "u_int80: mov $0x1234, %eax; int $0x80\n"
    "u_syscall: mov $0x77, %eax; syscall\n"
    "u_sysenter: mov $0x88, %eax; sysenter\n"
    "u_ud: ud2\n"
    "u_inc: .byte 0x40; mov (0x600000), %ebx; ud2\n" /* inc eax: only 32-bit code reads it so */
    "user_end: .code64; .text");

static struct regs regs;

static void run(const char *label)
{
    user_regs(&regs);
    regs.cs = FLAT_USER_CS32;
    regs.ss = FLAT_USER_SS32;
    regs.rip = USER_CODE + (label - user_begin);
    regs.rbx = 0x5555;
    user_run(&regs);
    expect_eq(regs.cs & 3, 3);
    expect_eq(regs.rbx, 0x5555);
    expect_eq(regs.rsp, USER_STACK);
}

void test_main(void)
{
    user_init(user_begin, user_end);
    run(u_int80);
    expect_eq(regs.vector, 0x80);
    expect_eq(regs.rax, 0x1234);
    expect_eq(regs.cs & 0xffff, FLAT_USER_CS32);
    expect_eq(regs.rip, USER_CODE + (u_syscall - user_begin));

    run(u_syscall);
    if (regs.vector == VEC_SYSCALL32) { /* AMD */
        expect_eq(regs.rax, 0x77);
        expect_eq(regs.cs & 0xffff, FLAT_USER_CS32);
        expect_eq(regs.rip, USER_CODE + (u_sysenter - user_begin));
    } else { /* Intel */
        expect_eq(regs.vector, VEC_UD);
    }

    run(u_ud);
    expect_eq(regs.vector, VEC_UD);
    expect_eq(regs.cs & 0xffff, FLAT_USER_CS32);
    run(u_inc);
    expect_eq(regs.vector, VEC_PF);
    expect_eq(vcpu_info->arch.cr2, 0x600000);
    expect_eq(regs.rax, 1);

    user_regs(&regs);
    regs.cs = FLAT_USER_CS32;
    regs.ss = FLAT_USER_SS32;
    regs.rip = USER_CODE + (u_sysenter - user_begin);
    user_run(&regs);
    printf("sysenter: vector %lu\n", regs.vector);
    expect(regs.vector == VEC_SYSENTER || regs.vector == VEC_UD || regs.vector == VEC_GP);
    test_pass();
}
