/* SPDX-License-Identifier: MIT */
/* Hypercall numbers that mean nothing are refused, and a hypercall keeps the caller's
 * registers.
 *
 * Cause: the number in rax indexes a table; kernels and tools probe for what exists by -ENOSYS.
 * Steps: call numbers that are unused, removed or not built in Debian's Xen, numbers beyond the
 * table, negative ones and ones with high bits set; then one good call with every register
 * loaded.
 * Verdict: -ENOSYS for all of them; of the registers only rax, rcx and r11 change. */
#include "lib/guest.h"

static void check_registers_kept(void)
{
    static uint64_t in[12], out[12];
    long ret;

    for (unsigned int i = 0; i < 12; i++)
        in[i] = 0x0101010101010101ul * (i + 1);
    asm volatile("push %%rbp\n\t"
                 "push %%rbx\n\t"
                 "mov 0(%%rcx), %%rbx\n\t"
                 "mov 8(%%rcx), %%rbp\n\t"
                 "mov 16(%%rcx), %%r8\n\t"
                 "mov 24(%%rcx), %%r9\n\t"
                 "mov 32(%%rcx), %%r10\n\t"
                 "mov 40(%%rcx), %%r12\n\t"
                 "mov 48(%%rcx), %%r13\n\t"
                 "mov 56(%%rcx), %%r14\n\t"
                 "mov 64(%%rcx), %%r15\n\t"
                 "mov 72(%%rcx), %%rsi\n\t"
                 "mov 80(%%rcx), %%rdi\n\t"
                 "mov 88(%%rcx), %%rdx\n\t"
                 "syscall\n\t"
                 "mov %%rdx, out_regs+88(%%rip)\n\t"
                 "mov %%rbx, out_regs+0(%%rip)\n\t"
                 "mov %%rbp, out_regs+8(%%rip)\n\t"
                 "mov %%r8, out_regs+16(%%rip)\n\t"
                 "mov %%r9, out_regs+24(%%rip)\n\t"
                 "mov %%r10, out_regs+32(%%rip)\n\t"
                 "mov %%r12, out_regs+40(%%rip)\n\t"
                 "mov %%r13, out_regs+48(%%rip)\n\t"
                 "mov %%r14, out_regs+56(%%rip)\n\t"
                 "mov %%r15, out_regs+64(%%rip)\n\t"
                 "mov %%rsi, out_regs+72(%%rip)\n\t"
                 "mov %%rdi, out_regs+80(%%rip)\n\t"
                 "pop %%rbx\n\t"
                 "pop %%rbp\n\t"
                 ".pushsection .bss\n\t"
                 ".balign 8\n"
                 "out_regs: .space 96\n\t"
                 ".popsection"
                 : "=a"(ret)
                 : "a"(63), "c"(in)
                 : "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
                   "memory");
    asm volatile("lea out_regs(%%rip), %%rsi; lea %0, %%rdi; mov $12, %%ecx; rep movsq"
                 : "=m"(out)::"rsi", "rdi", "rcx", "memory");
    expect_eq(ret, -XEN_ENOSYS);
    for (unsigned int i = 0; i < 12; i++)
        expect_eq(out[i], in[i]);
}

void test_main(void)
{
    static const unsigned long unknown[] = {11,
                                            27,
                                            38,
                                            39,
                                            43,
                                            44,
                                            45,
                                            46,
                                            47,
                                            50,
                                            51,
                                            52,
                                            53,
                                            54,
                                            55,
                                            56,
                                            57,
                                            62,
                                            63,
                                            64,
                                            65,
                                            100,
                                            127,
                                            128,
                                            255,
                                            256,
                                            4095,
                                            65536,
                                            0x7fffffff,
                                            0xffffffff,
                                            0x8000000000000000,
                                            ~0ul,
                                            0x100000000};

    for (unsigned int i = 0; i < sizeof(unknown) / sizeof(*unknown); i++) {
        long ret = hypercall0(unknown[i]);

        if (ret != -XEN_ENOSYS)
            expect_failed("hypercall %#lx gives %ld", unknown[i], ret);
    }
    check_registers_kept();
    test_pass();
}
