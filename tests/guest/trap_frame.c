/* SPDX-License-Identifier: MIT */
/* The exact frame of a bounced exception: what is on the stack, where, and the flags inside.
 *
 * Cause: kernels pop rcx and r11, look at RPL and IF, and return with the words that they
 * found.
 * Steps: raise exceptions with and without error code through a raw handler that copies its
 * stack, from stack pointers of each alignment, with events masked and not, with AC, DF, NT and
 * TF set.
 * Verdict: the frame is aligned to 16 below the old stack pointer, in the documented order, CS
 * has RPL 0 and the saved upcall mask in byte 4, IF is the mask's opposite. */
#include "lib/guest.h"

struct raw {
    uint64_t words[8], rsp, rflags, mask;
};
extern struct raw raw;
extern char raw_plain[], raw_error[];

/* Copies eight words from the stack pointer, and the flags; then returns behind the two-byte
 * instruction that faulted. */
asm(".text\n"
    "raw_error: call raw_copy\n"
    "    pop %rcx; pop %r11; add $8, %rsp; jmp raw_return\n"
    "raw_plain: call raw_copy\n"
    "    pop %rcx; pop %r11\n"
    "raw_return: addq $2, (%rsp)\n"
    "    push $0; push %rcx; push %r11; push %rax; mov $23, %eax; syscall; ud2\n"
    "raw_copy:\n"
    "    push %rax; push %rbx; pushf; pop raw+72(%rip)\n"
    "    lea 24(%rsp), %rbx; mov %rbx, raw+64(%rip)\n"
    "    .irp i, 0, 8, 16, 24, 32, 40, 48, 56\n"
    "    mov \\i(%rbx), %rax; mov %rax, raw+\\i(%rip)\n"
    "    .endr\n"
    "    mov vcpu_info(%rip), %rax; movzbl 1(%rax), %eax; mov %rax, raw+80(%rip)\n"
    "    cld; pop %rbx; pop %rax; ret\n"
    ".bss; .balign 8; .globl raw; raw: .space 88\n"
    ".text");

/* Fault with the stack pointer `down` bytes below an aligned address, rcx and r11 marked, flags
 * set. */
static void fault_at(unsigned long down, unsigned long flags, bool has_error)
{
    static char area[8192] __attribute__((aligned(64)));
    static unsigned long saved, rip, before;
    unsigned long sp = UL(area) + 4096 - down, words, *w;

    memset(&raw, 0, sizeof(raw));
    if (has_error)
        asm volatile("mov %%rsp, %[saved]; mov $0x1111, %%ecx; mov $0x2222, %%r11d;"
                     "pushf; or %[flags], (%%rsp); popf; lea 1f(%%rip), %%rax; mov %%rax, %[rip];"
                     "mov %[sp], %%rsp; 1: hlt; nop; mov %[saved], %%rsp"
                     : [saved] "=m"(saved), [rip] "=m"(rip)
                     : [flags] "r"(flags), [sp] "r"(sp)
                     : "rax", "rcx", "r11", "memory", "cc");
    else
        asm volatile("mov %%rsp, %[saved]; mov $0x1111, %%ecx; mov $0x2222, %%r11d;"
                     "pushf; or %[flags], (%%rsp); popf; lea 1f(%%rip), %%rax; mov %%rax, %[rip];"
                     "mov %[sp], %%rsp; 1: ud2; mov %[saved], %%rsp"
                     : [saved] "=m"(saved), [rip] "=m"(rip)
                     : [flags] "r"(flags), [sp] "r"(sp)
                     : "rax", "rcx", "r11", "memory", "cc");
    asm volatile("pushf; andq $~(0x44400), (%%rsp); popf" ::: "memory", "cc");
    before = vcpu_info->evtchn_upcall_mask;
    words = has_error ? 8 : 7;
    w = raw.words;
    expect_eq(raw.rsp, (sp & ~15ul) - words * 8);
    expect_eq(*w++, 0x1111);
    expect_eq(*w++, 0x2222);
    if (has_error)
        expect_eq(*w++, 0);
    expect_eq(*w++, rip);
    expect_eq(*w & 0xffff, FLAT_KERNEL_CS & ~3);
    expect_eq(*w++ >> 32 & 0xff, before);
    expect_eq(*w & 0x200, before ? 0 : 0x200);
    expect_eq(*w & flags, flags);
    expect_eq(*w++ & 0x3000, 0);
    expect_eq(*w++, sp);
    expect_eq(*w & 0xffff, FLAT_KERNEL_SS);
    expect_eq(raw.rflags & 0x54100, 0); /* TF NT RF AC are clear in the handler */
    expect_eq(raw.rflags & 0x200, 0x200);
}

static void check_alignments(void)
{
    for (unsigned long down = 0; down < 32; down += down < 17 ? 1 : 8) {
        fault_at(down, 0, false);
        fault_at(down, 0, true);
    }
}

void test_main(void)
{
    need_eq(trap_set(VEC_UD, 0, UL(raw_plain)), 0);
    need_eq(trap_set(VEC_GP, 0, UL(raw_error)), 0);
    check_alignments();
    events_enable();
    fault_at(8, 0, false);
    fault_at(8, 0, true);
    expect_eq(raw.mask, 0);
    expect_eq(vcpu_info->evtchn_upcall_mask, 0);
    fault_at(8, 0x40000, false);
    fault_at(8, 0x4000, false);
    fault_at(8, 0x400, true);
    fault_at(8, 0x200000, true);

    /* Flag 4 of the entry masks events in the handler; iret's IF takes the mask away again. */
    need_eq(trap_set(VEC_UD, 4, UL(raw_plain)), 0);
    fault_at(8, 0, false);
    expect_eq(raw.mask, 1);
    expect_eq(vcpu_info->evtchn_upcall_mask, 0);
    events_disable();
    fault_at(8, 0, false);
    expect_eq(raw.mask, 1);
    expect_eq(vcpu_info->evtchn_upcall_mask, 1);
    test_pass();
}
