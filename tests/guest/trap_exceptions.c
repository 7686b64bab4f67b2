/* SPDX-License-Identifier: MIT */
/* Every exception that a kernel can cause reaches its handler with the right vector and error
 * code.
 *
 * Cause: the hypervisor takes each exception first and must hand it on unless it is its own
 * business.
 * Steps: cause #DE #DB #BP #OF #UD #NM #GP #PF #MF in kernel mode, in several ways each; and
 * #AC and #XM, which the emulator may not know.
 * Verdict: vector, error code, instruction pointer and CR2 are those of the processor manual,
 * with the U bit of a page fault clear for the kernel. */
#include "lib/guest.h"

#define expect_trap(insn, vec, err)      \
    do {                                 \
        expect_eq(try_insn(insn), vec);  \
        expect_eq(last_trap.error, err); \
        expect_eq(last_trap.count, 1);   \
    } while (0)

static bool skip_hook(struct regs *regs)
{
    return true;
}

static bool single_step_hook(struct regs *regs)
{
    regs->rflags &= ~0x100ul;
    return true;
}

static void check_traps(void)
{
    uint64_t rip;

    trap_hook(VEC_BP, skip_hook);
    trap_hook(VEC_OF, skip_hook);
    trap_hook(VEC_DB, single_step_hook);
    trap_forget();
    asm volatile("int3\n1: lea 1b(%%rip), %0" : "=r"(rip));
    expect_eq(last_trap.vector, VEC_BP);
    expect_eq(last_trap.rip, rip);
    trap_forget();
    asm volatile(".byte 0xcd, 3\n1: lea 1b(%%rip), %0" : "=r"(rip));
    expect_eq(last_trap.vector, VEC_BP);
    expect_eq(last_trap.rip, rip);
    trap_forget();
    asm volatile("int $4\n1: lea 1b(%%rip), %0" : "=r"(rip));
    expect_eq(last_trap.vector, VEC_OF);
    expect_eq(last_trap.rip, rip);

    hc_set_debugreg(6, 0);
    trap_forget();
    asm volatile("pushf; orq $0x100, (%%rsp); popf; nop; 1: lea 1b(%%rip), %0" : "=r"(rip)::"cc");
    expect_eq(last_trap.vector, VEC_DB);
    expect_eq(last_trap.rip, rip);
    expect_eq(last_trap.count, 1);
    expect_eq(hc_get_debugreg(6) & 0xe00f, 0x4000);
}

static void check_faults(void)
{
    expect_trap("ud2", VEC_UD, 0);
    expect_trap(".byte 0x0f, 0xff, 0xc0", VEC_UD, 0);
    expect_trap("hlt", VEC_GP, 0);
    expect_trap("lgdt (%%rsp)", VEC_GP, 0);
    expect_trap("lidt (%%rsp)", VEC_GP, 0);
    expect_trap("lmsw %%ax", VEC_GP, 0);
    expect_trap("invlpg (%%rsp)", VEC_GP, 0);
    expect_trap("swapgs", VEC_GP, 0);
    trap_forget();
    asm volatile("xor %%eax, %%eax; xor %%edx, %%edx; xor %%ecx, %%ecx;" TRY("div %%ecx")::
                     : "rax", "rdx", "rcx", "cc");
    expect_eq(last_trap.vector, VEC_DE);
    expect_eq(last_trap.error, 0);
    trap_forget();
    asm volatile(TRY("mov (%0), %%rax")::"r"(0x8000000000000000) : "rax");
    expect_eq(last_trap.vector, VEC_GP);
    expect_eq(last_trap.error, 0);
    trap_forget();
    asm volatile(TRY("mov %0, %%ds")::"r"(0x7fff8));
    expect_eq(last_trap.vector, VEC_GP);
    expect_eq(last_trap.error, 0xfff8);
}

static bool fetch_hook(struct regs *regs)
{
    regs->rip = *(uint64_t *)regs->rsp; /* as if the call had returned */
    regs->rsp += 8;
    return true;
}

static void check_page_faults(void)
{
    char *hole = hole_alloc(), *ro = page_alloc();
    uint64_t val;

    need_eq(page_set_ro(ro), 0);
    expect_eq(try_read(hole + 8, &val), VEC_PF);
    expect_eq(last_trap.error, 0);
    expect_eq(last_trap.cr2, UL(hole) + 8);
    expect_eq(try_write(hole + 16, 1), VEC_PF);
    expect_eq(last_trap.error, 2);
    expect_eq(last_trap.cr2, UL(hole) + 16);
    expect_eq(try_write(ro + 24, 1), VEC_PF);
    expect_eq(last_trap.error, 3);
    expect_eq(last_trap.cr2, UL(ro) + 24);
    expect_eq(try_read(ro, &val), NO_TRAP);

    trap_hook(VEC_PF, fetch_hook);
    trap_forget();
    asm volatile("call *%0" ::"r"(hole) : "memory");
    expect_eq(last_trap.vector, VEC_PF);
    expect_eq(last_trap.error & ~0x10ul, 0);
    expect_eq(last_trap.rip, UL(hole));
    trap_hook(VEC_PF, NULL);
}

static void check_fpu(void)
{
    static uint16_t control = 0x0340; /* all x87 exceptions unmasked */
    static uint32_t mxcsr = 0;

    expect_eq(hc_fpu_taskswitch(1), 0);
    expect_trap("fnop", VEC_NM, 0);
    /* The hypervisor clears TS with the #NM it delivers. */
    expect_eq(try_insn("fnop"), NO_TRAP);
    expect_eq(hc_fpu_taskswitch(1), 0);
    expect_eq(hc_fpu_taskswitch(0), 0);
    expect_eq(try_insn("fnop"), NO_TRAP);

    asm volatile("fninit; fldcw %0; fldz; fld1; fdiv %%st(1), %%st" ::"m"(control));
    expect_trap("fwait", VEC_MF, 0);
    asm volatile("fninit");
    trap_forget();
    asm volatile("ldmxcsr %0; xorps %%xmm0, %%xmm0; pcmpeqd %%xmm1, %%xmm1; psrld $25, %%xmm1; "
                 "pslld $23, %%xmm1;" TRY("divps %%xmm0, %%xmm1")::"m"(mxcsr));
    if (last_trap.vector != NO_TRAP)
        expect_eq(last_trap.vector, VEC_XM);
    mxcsr = 0x1f80;
    asm volatile("ldmxcsr %0" ::"m"(mxcsr));
}

static bool clear_ac_hook(struct regs *regs)
{
    regs->rflags &= ~0x40000ul;
    return true;
}

static void check_alignment(void)
{
    static uint64_t words[2];

    trap_hook(VEC_AC, clear_ac_hook);
    trap_forget();
    asm volatile("pushf; orq $0x40000, (%%rsp); popf; mov 1(%0), %%rax; "
                 "pushf; andq $~0x40000, (%%rsp); popf" ::"r"(words)
                 : "rax", "cc");
    if (last_trap.vector != NO_TRAP) {
        expect_eq(last_trap.vector, VEC_AC);
        expect_eq(last_trap.error, 0);
    }
    trap_hook(VEC_AC, NULL);
}

void test_main(void)
{
    check_traps();
    check_faults();
    check_page_faults();
    check_fpu();
    check_alignment();
    test_pass();
}
