/* SPDX-License-Identifier: MIT */
/* Debug exceptions in the corners: on the way into the hypervisor, and together with another
 * trap.
 *
 * Cause: a load of SS holds back a breakpoint for one instruction; when that one enters the
 * hypervisor the #DB arrives there, in supervisor mode (CVE-2018-8897). Single-stepping a
 * SYSCALL does alike.
 * Steps: watch the memory that SS is loaded from, then int3, syscall, ud2 and int 0x80 behind
 * it; single step over a hypercall and over a forced CPUID.
 * Verdict: the hypervisor survives; the guest sees its own trap, and #DB with a guest address
 * only. */
#include "lib/guest.h"

static volatile uint16_t stack_selector = FLAT_KERNEL_SS;
static unsigned int debugs, others;
static bool strange;

static bool on_db(struct regs *regs)
{
    debugs++;
    regs->rflags &= ~0x100ul;
    if (regs->rip < UL(VIRT_BASE) || (regs->cs & 3))
        strange = true;
    return true;
}

static bool on_other(struct regs *regs)
{
    others++;
    if (regs->vector == VEC_UD)
        regs->rip += 2;
    return true;
}

static void watch(bool on)
{
    need_eq(hc_set_debugreg(0, UL(&stack_selector)), 0);
    need_eq(hc_set_debugreg(7, on ? 0x1 | 0x3 << 16 | 0x1 << 18 : 0), 0);
    hc_set_debugreg(6, 0);
}

#define MOV_SS_THEN(insn)                                                                        \
    do {                                                                                         \
        debugs = others = 0;                                                                     \
        watch(true);                                                                             \
        asm volatile("mov %0, %%ss; " insn ::"m"(stack_selector), "a"(__HYPERVISOR_xen_version), \
                     "D"(XENVER_version), "S"(0)                                                 \
                     : "rcx", "r11", "memory");                                                  \
        barrier();                                                                               \
        watch(false);                                                                            \
    } while (0)

void test_main(void)
{
    long ret = __HYPERVISOR_xen_version;

    trap_hook(VEC_DB, on_db);
    trap_hook(VEC_BP, on_other);
    trap_hook(VEC_UD, on_other);
    trap_hook(0x80, on_other);
    MOV_SS_THEN("nop");
    expect(debugs <= 1);
    MOV_SS_THEN("int3");
    expect_eq(others, 1);
    MOV_SS_THEN("ud2");
    expect_eq(others, 1);
    MOV_SS_THEN("int $0x80");
    expect_eq(others, 1);
    MOV_SS_THEN("syscall");
    expect_eq(others, 0);

    /* One step: over the hypercall, to the instruction behind it or the next. */
    debugs = 0;
    asm volatile("pushf; orq $0x100, (%%rsp); popf; syscall; nop; nop"
                 : "+a"(ret)
                 : "D"(XENVER_version), "S"(0)
                 : "rcx", "r11", "memory", "cc");
    expect_eq(debugs, 1);
    debugs = 0;
    asm volatile(
        "pushf; orq $0x100, (%%rsp); popf; .byte 0x0f, 0x0b, 'x', 'e', 'n'; cpuid; nop; nop" ::"a"(
            0),
        "c"(0)
        : "rbx", "rdx", "memory", "cc");
    expect(debugs <= 1);
    asm volatile("pushf; andq $~0x100, (%%rsp); popf" ::: "memory", "cc");
    expect(!strange);
    test_pass();
}
