/* SPDX-License-Identifier: MIT */
/* The flags that user mode gets by the iret hypercall, and cannot get.
 *
 * Cause: IOPL would open the ports, VM another mode, NT and TF faults in places that expect none.
 * Steps: iret to user mode with each flag in turn and with all of them; user mode reads its flags,
 * comes back by #UD; then executes native iret and far returns to selectors that are not its own.
 * Verdict: arithmetic flags, DF, AC, ID and NT pass; IOPL and VM never do, IF is always set; TF is
 * one #DB; user mode reaches no selector but flat user ones. */
#include "lib/guest.h"

extern char user_begin[], user_end[], u_flags[], u_iret[], u_lret[], u_there[];
asm(".section .rodata\n"
    "user_begin:\n"
    "u_flags: pushf; pop %rax; ud2\n"
    "u_iret: push %rsi; push %rbx; push $0x202; push %rdi; push %rcx; iretq\n"
    "u_lret: push %rdi; push %rcx; lretq\n"
    "u_there: mov $0x77, %eax; ud2\n"
    "user_end: .text");

#define FLAGS_PASS (0xcd5ul | 1ul << 14 | 1ul << 18 | 1ul << 21) /* arithmetic, DF, NT, AC, ID */

static struct regs regs;

static void run(const char *from)
{
    regs.rip = USER_CODE + (from - user_begin);
    user_run(&regs);
}

static void expect_flags(uint64_t given)
{
    user_regs(&regs);
    regs.rflags = given;
    run(u_flags);
    if (regs.vector != VEC_UD || regs.rax != ((given & FLAGS_PASS) | 0x202))
        expect_failed("flags %#lx: vector %lu, %#lx", given, regs.vector, regs.rax);
    /* The frame of the trap says the same, but for IF, which there is the mask of events. */
    if ((regs.rflags & (FLAGS_PASS | 0x23302)) != ((given & (FLAGS_PASS | 0x200)) | 2))
        expect_failed("flags %#lx: %#lx in the frame", given, regs.rflags);
}

static void check_flags(void)
{
    for (int bit = 0; bit < 22; bit++)
        if (bit != 8)
            expect_flags(1ul << bit | 0x202);
    expect_flags(0x2); /* IF clear is a mask of events, not of interrupts */
    expect_flags(~0x100ul & 0x3fffff);
    expect_flags(0xffffffff00000202);
    user_regs(&regs);
    regs.rflags |= 0x100;
    run(u_flags);
    expect_eq(regs.vector, VEC_DB);
    expect_eq(regs.rip, USER_CODE + 1);
    expect(regs.rflags & 0x100);
}

/* User mode executes `from` with selectors cs and ss for u_there. */
static void far(const char *from, uint64_t cs, uint64_t ss)
{
    user_regs(&regs);
    regs.rdi = cs;
    regs.rsi = ss;
    regs.rbx = USER_STACK - 64;
    regs.rcx = USER_CODE + (u_there - user_begin);
    run(from);
}

static void check_far(void)
{
    far(u_iret, FLAT_USER_CS64, FLAT_USER_SS64);
    expect_eq(regs.vector, VEC_UD);
    expect_eq(regs.rax, 0x77);
    far(u_lret, FLAT_USER_CS64, 0);
    expect_eq(regs.rax, 0x77);
    /* The hypervisor's own code and data, its TSS and LDT, whatever their numbers are. */
    for (uint64_t selector = 0xe000; selector < 0x10000; selector += 8) {
        for (int from = 0; from < 2; from++) {
            if ((selector | 3) == FLAT_USER_CS64 || (selector | 3) == FLAT_USER_CS32)
                continue;
            if (selector > 0xe100 && selector % 0x400)
                continue;
            far(from ? u_lret : u_iret, selector, FLAT_USER_SS64);
            if (regs.rax == 0x77 ||
                (regs.vector != VEC_GP && regs.vector != VEC_NP && regs.vector != VEC_PF))
                expect_failed("CS %#lx from user mode: vector %lu", selector, regs.vector);
        }
    }
    far(u_iret, FLAT_USER_CS64 & ~3ul, FLAT_USER_SS64);
    expect(regs.rax != 0x77);
}

void test_main(void)
{
    user_init(user_begin, user_end);
    check_flags();
    check_far();
    test_pass();
}
