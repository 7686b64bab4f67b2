/* SPDX-License-Identifier: MIT */
/* FS and GS bases: by hypercall, by MSR, and by FSGSBASE, in the kernel and in user mode.
 *
 * Cause: per-CPU data of kernels and thread data of programs are found through them.
 * Steps: set each base each way and look through the segment; load GS selectors; go to user
 * mode and back with different bases; set bases with FSGSBASE in both modes.
 * Verdict: kernel and user GS stay apart, all ways see the same values, bad ones are refused. */
#include "lib/guest.h"

extern char user_begin[], user_end[], u_look[], u_wr[];
asm(".section .rodata\n"
    "user_begin:\n"
    "u_look: mov %gs:0, %rax; mov %fs:0, %rbx; syscall\n"
    "u_wr: wrgsbase %rdi; wrfsbase %rsi; mov %gs:0, %rax; mov %fs:0, %rbx; syscall\n"
    "user_end: .text");

#define MSR_FS_BASE        0xc0000100
#define MSR_GS_BASE        0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102

static uint64_t a = 0xa, b = 0xb, c = 0xc;

static uint64_t rdmsr(uint32_t msr)
{
    uint32_t lo = 0, hi = 0;

    trap_forget();
    asm volatile(TRY("rdmsr") : "+a"(lo), "+d"(hi) : "c"(msr));
    expect_eq(last_trap.vector, NO_TRAP);
    return (uint64_t)hi << 32 | lo;
}

static long wrmsr(uint32_t msr, uint64_t v)
{
    trap_forget();
    asm volatile(TRY("wrmsr")::"c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)));
    return last_trap.vector;
}

static uint64_t fs0(void)
{
    uint64_t v;

    asm volatile("mov %%fs:0, %0" : "=r"(v)::"memory");
    return v;
}

static uint64_t gs0(void)
{
    uint64_t v;

    asm volatile("mov %%gs:0, %0" : "=r"(v)::"memory");
    return v;
}

static void check_hypercall(void)
{
    expect_eq(hc_set_segment_base(SEGBASE_FS, UL(&a)), 0);
    expect_eq(hc_set_segment_base(SEGBASE_GS_KERNEL, UL(&b)), 0);
    expect_eq(hc_set_segment_base(SEGBASE_GS_USER, UL(&c)), 0);
    expect_eq(fs0(), 0xa);
    expect_eq(gs0(), 0xb);
    expect_eq(rdmsr(MSR_FS_BASE), UL(&a));
    expect_eq(rdmsr(MSR_GS_BASE), UL(&b));
    expect_eq(rdmsr(MSR_KERNEL_GS_BASE), UL(&c));
    expect_eq(hc_set_segment_base(SEGBASE_FS, 0x8000000000000000), -XEN_EINVAL);
    expect_eq(hc_set_segment_base(SEGBASE_GS_KERNEL, 0x8000000000000000), -XEN_EINVAL);
    expect_eq(hc_set_segment_base(SEGBASE_GS_USER, 0x8000000000000000), -XEN_EINVAL);
    expect_eq(hc_set_segment_base(4, 0), -XEN_EINVAL);
    expect_eq(fs0(), 0xa);
}

static void check_msr(void)
{
    expect_eq(wrmsr(MSR_FS_BASE, UL(&b)), NO_TRAP);
    expect_eq(wrmsr(MSR_GS_BASE, UL(&c)), NO_TRAP);
    expect_eq(wrmsr(MSR_KERNEL_GS_BASE, UL(&a)), NO_TRAP);
    expect_eq(fs0(), 0xb);
    expect_eq(gs0(), 0xc);
    expect_eq(rdmsr(MSR_KERNEL_GS_BASE), UL(&a));
    expect_eq(wrmsr(MSR_FS_BASE, 0x8000000000000000), VEC_GP);
    expect_eq(wrmsr(MSR_KERNEL_GS_BASE, 0x8000000000000000), VEC_GP);
    expect_eq(fs0(), 0xb);
}

/* Selector loads into the user's GS: good, null, and such as cannot be loaded; always 0. */
static void check_selector(void)
{
    static const uint16_t selectors[] = {0, 3, FLAT_USER_DS32, 0x0013, 0xfff3, 0x0007, 0xe033};

    for (unsigned int i = 0; i < sizeof(selectors) / sizeof(*selectors); i++)
        expect_eq(hc_set_segment_base(SEGBASE_GS_USER_SEL, selectors[i]), 0);
    expect_eq(gs0(), 0xc); /* the kernel's own is as before */
    expect_eq(hc_set_segment_base(SEGBASE_GS_USER_SEL, 0), 0);
}

static struct regs regs;

static void check_user(void)
{
    user_data[0] = 0x10;
    user_data[1] = 0x18;
    expect_eq(hc_set_segment_base(SEGBASE_GS_USER, USER_DATA), 0);
    expect_eq(hc_set_segment_base(SEGBASE_FS, USER_DATA + 8), 0);
    user_regs(&regs);
    user_run(&regs);
    expect_eq(regs.vector, VEC_SYSCALL);
    expect_eq(regs.rax, 0x10);
    expect_eq(regs.rbx, 0x18);
    expect_eq(gs0(), 0xc);
    expect_eq(rdmsr(MSR_KERNEL_GS_BASE), USER_DATA);
}

static uint64_t read_cr4(void)
{
    uint64_t v;

    asm volatile("mov %%cr4, %0" : "=r"(v));
    return v;
}

#define CR4_FSGSBASE (1ul << 16)

static bool has_fsgsbase(void)
{
    uint32_t eax = 7, ebx, ecx = 0, edx;

    asm volatile(".byte 0x0f, 0x0b, 'x', 'e', 'n'; cpuid"
                 : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return ebx & 1;
}

static void check_fsgsbase(void)
{
    uint64_t v = 0, cr4 = read_cr4();

    asm volatile("mov %0, %%cr4" ::"r"(cr4 & ~CR4_FSGSBASE));
    expect_eq(read_cr4() & CR4_FSGSBASE, 0);
    trap_forget();
    asm volatile(TRY("rdfsbase %0") : "+r"(v));
    expect_eq(last_trap.vector, VEC_UD);
    if (!has_fsgsbase())
        return;
    asm volatile("mov %0, %%cr4" ::"r"(cr4 | CR4_FSGSBASE));
    expect_eq(read_cr4() & CR4_FSGSBASE, CR4_FSGSBASE);
    trap_forget();
    asm volatile(TRY("wrfsbase %0")::"r"(&c));
    expect_eq(last_trap.vector, NO_TRAP);
    asm volatile("wrgsbase %0" ::"r"(&a));
    expect_eq(fs0(), 0xc);
    expect_eq(gs0(), 0xa);
    expect_eq(rdmsr(MSR_GS_BASE), UL(&a));

    /* User mode changes its own two; the kernel finds FS changed and its GS not. */
    user_regs(&regs);
    regs.rip = USER_CODE + (u_wr - u_look);
    regs.rdi = USER_DATA + 8;
    regs.rsi = USER_DATA;
    user_run(&regs);
    expect_eq(regs.vector, VEC_SYSCALL);
    expect_eq(regs.rax, 0x18);
    expect_eq(regs.rbx, 0x10);
    expect_eq(gs0(), 0xa);
    expect_eq(rdmsr(MSR_KERNEL_GS_BASE), USER_DATA + 8);
    expect_eq(rdmsr(MSR_FS_BASE), USER_DATA);
}

void test_main(void)
{
    user_init(user_begin, user_end);
    check_hypercall();
    check_msr();
    check_selector();
    check_user();
    check_fsgsbase();
    test_pass();
}
