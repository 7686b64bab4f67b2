/* SPDX-License-Identifier: MIT */
/* Guest user mode: there and back by syscall, exceptions and software interrupts.
 *
 * Cause: kernel and user both run at CPL 3; only the hypervisor keeps them apart, by two sets
 * of page tables and by which stack and callback it uses.
 * Steps: enter user code by iret; come back by syscall, #UD, #PF, #GP, int3, int 0x80 (DPL 3),
 * int 0x30 (DPL 0); try privileged instructions and a hypercall number from user mode; touch
 * kernel memory.
 * Verdict: the frames say user mode (RPL 3) with the user's registers, on the kernel's stack;
 * user code can read nothing of the kernel and calls nothing of the hypervisor. */
#include "lib/guest.h"

extern char user_begin[], user_end[], u_syscall[], u_ud[], u_read[], u_hlt[], u_bp[], u_int80[],
    u_int30[], u_cli[], u_in[], u_cpuid[], u_write[], exit_stack_top[];

asm(".section .rodata\n"
    "user_begin:\n"
    "u_syscall: syscall; nop\n"
    "u_ud: ud2\n"
    "u_read: mov (%rdi), %rax; ud2\n"
    "u_write: mov %rsi, (%rdi); ud2\n"
    "u_hlt: hlt\n"
    "u_bp: int3\n"
    "u_int80: int $0x80\n"
    "u_int30: int $0x30\n"
    "u_cli: cli; ud2\n"
    "u_in: in $0x80, %al; ud2\n"
    "u_cpuid: mov %rbx, %r13; .byte 0x0f, 0x0b, 'x', 'e', 'n'; cpuid; mov %rbx, %rsi; mov %r13, "
    "%rbx; "
    "ud2\n"
    "user_end:\n"
    ".text\n");

static struct regs regs;

/* Run user code from a label on until it leaves, with marks in the registers. */
static void run(const char *label, uint64_t rdi, uint64_t rsi)
{
    user_regs(&regs);
    regs.rip = USER_CODE + (label - user_begin);
    regs.rdi = rdi;
    regs.rsi = rsi;
    regs.rbx = 0xb0b0;
    regs.r12 = 0xc0c0;
    regs.r15 = 0xf0f0;
    regs.rcx = 0xcc;
    regs.r11 = 0x11;
    user_run(&regs);
    expect_eq(regs.rbx, 0xb0b0);
    expect_eq(regs.r12, 0xc0c0);
    expect_eq(regs.r15, 0xf0f0);
    expect_eq(regs.cs & 3, 3);
    expect_eq(regs.rsp, USER_STACK);
    expect_eq(regs.ss & 0xffff, FLAT_USER_SS64);
    expect_eq(regs.rflags & 0x200, 0x200);
}

static void expect_exit(const char *label, uint64_t rdi, unsigned int vector, uint64_t error,
                        unsigned int skip)
{
    run(label, rdi, 0);
    expect_eq(regs.vector, vector);
    expect_eq(regs.error, error);
    expect_eq(regs.rip, USER_CODE + (label - user_begin) + skip);
    if (vector != VEC_SYSCALL) {
        expect_eq(regs.rcx, 0xcc);
        expect_eq(regs.r11, 0x11);
    }
}

static void check_memory(void)
{
    uint64_t secret = 0x5ec2e7;

    user_data[0] = 0x1234;
    run(u_read, USER_DATA, 0);
    expect_eq(regs.vector, VEC_UD);
    expect_eq(regs.rax, 0x1234);
    run(u_write, USER_DATA, 0x4321);
    expect_eq(regs.vector, VEC_UD);
    expect_eq(user_data[0], 0x4321);
    /* The user L4 has nothing of the kernel; the M2P is the hypervisor's to show or not. */
    expect_exit(u_read, UL(&secret), VEC_PF, 4, 0);
    expect_eq(vcpu_info->arch.cr2, UL(&secret));
    expect_exit(u_read, 0x500000, VEC_PF, 4, 0);
    expect_exit(u_write, 0x500000, VEC_PF, 6, 0);
    expect_exit(u_write, USER_CODE, VEC_PF, 7, 0);
    run(u_read, 0xffff82d080200000, 0);
    expect_eq(regs.vector, VEC_PF);
    expect_eq(regs.error & 4, 4);
    expect_exit(u_read, 0x8000000000000000, VEC_GP, 0, 0);
}

void test_main(void)
{
    user_init(user_begin, user_end);
    expect_exit(u_syscall, 0, VEC_SYSCALL, 0, 2);
    expect_eq(regs.cs & 0xffff, FLAT_USER_CS64);
    /* Whatever number is in rax, user mode reaches the kernel, not the hypervisor. */
    run(u_syscall, 0, 0);
    expect_eq(regs.vector, VEC_SYSCALL);
    expect_exit(u_ud, 0, VEC_UD, 0, 0);
    expect_exit(u_hlt, 0, VEC_GP, 0, 0);
    expect_exit(u_bp, 0, VEC_BP, 0, 1);
    expect_exit(u_int80, 0, 0x80, 0, 2);
    expect_exit(u_in, 0, VEC_GP, 0, 0);
    expect_exit(u_cli, 0, VEC_GP, 0, 0);
    run(u_int30, 0, 0);
    expect_eq(regs.vector, VEC_GP);
    expect_eq(regs.rip, USER_CODE + (u_int30 - user_begin));
    /* The forced CPUID is for everybody. */
    run(u_cpuid, 0, 0);
    expect_eq(regs.vector, VEC_UD);
    expect(regs.rip > USER_CODE + (u_cpuid - user_begin) + 8);
    expect(regs.rsi != 0xb0b0);
    check_memory();
    test_pass();
}
