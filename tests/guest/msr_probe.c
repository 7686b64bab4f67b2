/* SPDX-License-Identifier: MIT */
/* Every MSR of the ranges that exist, read and written.
 *
 * Cause: one MSR that reaches the processor unasked hands over the machine: the entry points, the
 * interrupt controller, SVM, the microcode, the memory types.
 * Steps: read all of the ranges that processors have (0, the local APIC's, 0xc0000000, 0xc0010000);
 * write the complement of what each reads and write that back, but for the bases of segments and
 * our own debug features; from user mode one of each range.
 * Verdict: #GP or an answer, and what is the hypervisor's reads as before; time, system calls,
 * events and exceptions still work; user mode gets #GP.
 *
 * Options: guest_loglvl=none
 */
#include "lib/guest.h"

extern char user_begin[], user_end[];
asm(".section .rodata; user_begin: rdmsr; ud2; user_end: .text");

static bool rdmsr(uint32_t msr, uint64_t *v)
{
    uint32_t lo = 0, hi = 0;

    trap_forget();
    asm volatile(TRY("rdmsr") : "+a"(lo), "+d"(hi) : "c"(msr));
    *v = (uint64_t)hi << 32 | lo;
    if (last_trap.vector != NO_TRAP && last_trap.vector != VEC_GP)
        expect_failed("rdmsr %#x: vector %ld", msr, last_trap.vector);
    return last_trap.vector == NO_TRAP;
}

static bool wrmsr(uint32_t msr, uint64_t v)
{
    trap_forget();
    asm volatile(TRY("wrmsr")::"c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)));
    if (last_trap.vector != NO_TRAP && last_trap.vector != VEC_GP)
        expect_failed("wrmsr %#x: vector %ld", msr, last_trap.vector);
    return last_trap.vector == NO_TRAP;
}

/* What a guest may change of its own. */
static bool is_ours(uint32_t msr)
{
    return (msr >= 0xc0000100 && msr <= 0xc0000103) || msr == 0x10 || msr == 0x48 || msr == 0x49 ||
           msr == 0x140 || msr == 0x1d9 || (msr >= 0xc0011019 && msr <= 0xc001101b) ||
           msr == 0xc0011027 || msr == 0xc001011f;
}

/* Counters go by themselves. */
static bool moves(uint32_t msr)
{
    return msr == 0x10 || msr == 0xe7 || msr == 0xe8;
}

static unsigned int readable;

static void probe(uint32_t from, uint32_t to)
{
    for (uint32_t msr = from; msr < to; msr++) {
        uint64_t before = 0, after;
        bool there = rdmsr(msr, &before);

        readable += there;
        if (is_ours(msr) || moves(msr))
            continue;
        wrmsr(msr, ~before);
        wrmsr(msr, before);
        if (rdmsr(msr, &after) != there || after != before)
            expect_failed("MSR %#x was %#lx, is %#lx", msr, before, after);
    }
}

static void check_alive(void)
{
    struct regs regs;

    expect_timer();
    expect_eq(try_insn("ud2"), VEC_UD);
    for (int i = 0; i < 4; i++) {
        static const uint32_t msrs[] = {0x1b, 0xc0000080, 0xc0000082, 0xc0010015};

        user_regs(&regs);
        regs.rcx = msrs[i];
        user_run(&regs);
        expect_eq(regs.vector, VEC_GP);
        expect_eq(regs.rip, USER_CODE);
    }
}

void test_main(void)
{
    user_init(user_begin, user_end);
    probe(0, 0x900);
    probe(0xc80, 0xd90);
    probe(0x40000000, 0x40000001); /* the next are hypervisors' own */
    probe(0xc0000000, 0xc0000300);
    probe(0xc0010000, 0xc0010300);
    probe(0xc0011000, 0xc0011040);
    probe(0xfffffff0, 0xffffffff);
    expect(readable > 4);
    check_alive();
    test_pass();
}
