/* SPDX-License-Identifier: MIT */
/* Single steps of user mode through every way into the kernel.
 *
 * Cause: a debugger sets TF; each entry must carry it in the frame and clear it in the kernel, and
 * none may step inside the hypervisor.
 * Steps: user code with TF executes plain instructions, SYSCALL, int 0x80, int3, ud2, a forced
 * CPUID, a load of SS, POPF that sets TF itself; kernel handlers look at their own flags.
 * Verdict: #DB behind each plain instruction, with BS in DR6; at an entry the saved TF is set and
 * the kernel runs without; no #DB names an address outside of user code. */
#include "lib/guest.h"

extern char user_begin[], user_end[], u_syscall[], u_after[], u_int80[], u_int3[], u_ud2[],
    u_cpuid[], u_ss[], u_popf[];
asm(".section .rodata\n"
    "user_begin: nop; nop\n"
    "u_syscall: syscall; u_after: nop; nop\n"
    "u_int80: int $0x80; nop\n"
    "u_int3: int3; nop\n"
    "u_ud2: ud2; nop\n"
    "u_cpuid: .byte 0x0f, 0x0b, 'x', 'e', 'n'; cpuid; nop; nop\n"
    "u_ss: mov %esi, %ss; nop; nop\n"
    "u_popf: pushf; orq $0x100, (%rsp); popf; nop; nop; ud2\n"
    "user_end: .text");

#define TF 0x100ul

static struct regs regs;
static unsigned int kernel_steps;

static bool look(struct regs *r)
{
    uint64_t flags;

    asm volatile("pushf; pop %0" : "=r"(flags));
    expect_eq(flags & TF, 0);
    if (r->vector == VEC_DB && (r->cs & 3) == 0)
        kernel_steps++;
    return false;
}

/* One run from `at` (a label, plus n) with TF; where and how it ended. */
static void step(const char *at, unsigned int n, long vector, const char *end)
{
    hc_set_debugreg(6, 0);
    user_regs(&regs);
    regs.rip = USER_CODE + (at - user_begin) + n;
    regs.rflags |= TF;
    regs.rsi = FLAT_USER_SS64;
    user_run(&regs);
    if ((long)regs.vector != vector || regs.rip != USER_CODE + (end - user_begin))
        expect_failed("step at %#lx: vector %lu at %#lx", at - user_begin + n, regs.vector,
                      regs.rip - USER_CODE);
    expect_eq(regs.rflags & TF, TF);
    if (vector == VEC_DB)
        expect_eq(hc_get_debugreg(6) & 0x400f, 0x4000);
}

void test_main(void)
{
    static const unsigned int vectors[] = {VEC_DB, VEC_BP, VEC_UD, 0x80, VEC_SYSCALL};

    user_init(user_begin, user_end);
    for (unsigned int i = 0; i < sizeof(vectors) / sizeof(*vectors); i++)
        trap_hook(vectors[i], look);
    step(user_begin, 0, VEC_DB, user_begin + 1);
    step(user_begin, 1, VEC_DB, u_syscall);
    step(u_syscall, 0, VEC_SYSCALL, u_after);
    expect_eq(regs.r11 & TF, TF); /* as SYSCALL saves it */
    step(u_after, 0, VEC_DB, u_after + 1);
    step(u_int80, 0, 0x80, u_int80 + 2);
    step(u_int3, 0, VEC_BP, u_int3 + 1);
    step(u_ud2, 0, VEC_UD, u_ud2);
    /* After an emulated CPUID the step is taken, or merged with the next instruction's. */
    user_regs(&regs);
    regs.rip = USER_CODE + (u_cpuid - user_begin);
    regs.rflags |= TF;
    user_run(&regs);
    expect_eq(regs.vector, VEC_DB);
    expect(regs.rip == USER_CODE + (u_cpuid + 7 - user_begin) ||
           regs.rip == USER_CODE + (u_cpuid + 8 - user_begin));
    step(u_ss, 0, VEC_DB, u_ss + 3); /* held back by one instruction */
    user_regs(&regs);
    regs.rip = USER_CODE + (u_popf - user_begin);
    user_run(&regs);
    expect_eq(regs.vector, VEC_DB);
    expect_eq(regs.rip, USER_CODE + (u_popf + 11 - user_begin));
    expect_eq(kernel_steps, 0);
    test_pass();
}
