/* SPDX-License-Identifier: MIT */
/* The iret hypercall within the kernel: registers, flags, the upcall mask, and events on the
 * way.
 *
 * Cause: it is the only way to return and to unmask events in one step; a gap there loses
 * wake-ups.
 * Steps: iret with IF set and clear, with an event pending, with odd flags, with
 * VGCF_in_syscall.
 * Verdict: all registers come from the frame, IF becomes the mask's opposite, a pending event
 * is delivered before the first instruction at the target, and flags a guest may not have are
 * dropped. */
#include "lib/guest.h"

static struct {
    uint64_t rax, rcx, r11, rflags, rsp;
} at;
static unsigned int seen_at_target;

/* Goes to target by an iret_context on the stack; comes back with what the registers were there. */
static void iret_to(uint64_t rflags, uint64_t vgcf)
{
    asm volatile("mov %%rsp, %%rbx\n\t"
                 "push $0xe02b\n\t"
                 "push %%rbx\n\t"
                 "push %[rflags]\n\t"
                 "push $0xe030\n\t"
                 "lea 1f(%%rip), %%rcx\n\t"
                 "push %%rcx\n\t"
                 "push %[vgcf]\n\t"
                 "push $0xcc\n\t"
                 "push $0x11\n\t"
                 "push $0xaa\n\t"
                 "mov $23, %%eax\n\t"
                 "syscall\n\t"
                 "ud2\n"
                 "1: mov %%rax, 0(%[at]); mov %%rcx, 8(%[at]); mov %%r11, 16(%[at])\n\t"
                 "mov %%rsp, 32(%[at])\n\t"
                 "pushf; pop 24(%[at])\n\t"
                 "mov event_upcalls(%%rip), %%eax; mov %%eax, %[seen]\n\t"
                 "sub %%rbx, 32(%[at])\n\t"
                 "pushf; andq $~0x244600, (%%rsp); popf\n\t"
                 : [seen] "=m"(seen_at_target)
                 : [rflags] "r"(rflags), [vgcf] "r"(vgcf), [at] "r"(&at)
                 : "rax", "rbx", "rcx", "r11", "memory", "cc");
    expect_eq(at.rax, 0xaa);
    expect_eq(at.rsp, 0);
}

static void check_flags(uint64_t flags, uint64_t want)
{
    iret_to(0x200 | flags, 0);
    expect_eq(at.rcx, 0xcc);
    expect_eq(at.r11, 0x11);
    expect_eq(at.rflags & ~0x202ul, want);
    expect_eq(at.rflags & 0x202ul, 0x202);
    expect_eq(vcpu_info->evtchn_upcall_mask, 0);
}

void test_main(void)
{
    unsigned int port = event_bind_ipi();

    check_flags(0, 0);
    check_flags(0x8d5, 0x8d5);       /* CF PF AF ZF SF OF */
    check_flags(0x400, 0x400);       /* DF */
    check_flags(0x40000, 0x40000);   /* AC */
    check_flags(0x200000, 0x200000); /* ID */
    check_flags(0x4000, 0x4000);     /* NT */
    check_flags(0x3000, 0);          /* IOPL is virtual */
    check_flags(0x20000, 0);         /* VM */

    events_enable();
    iret_to(0, 0);
    expect_eq(vcpu_info->evtchn_upcall_mask, 1);
    expect_eq(at.rflags & 0x200, 0x200);

    /* Pending while masked: nothing happens until iret says IF. */
    need_eq(event_unmask(port), 0);
    need_eq(event_send(port), 0);
    expect_eq(event_upcalls, 0);
    iret_to(0, 0);
    expect_eq(event_upcalls, 0);
    expect_eq(seen_at_target, 0);
    iret_to(0x200, 0);
    expect_eq(seen_at_target, 1);
    expect_eq(event_count[port], 1);
    expect_eq(vcpu_info->evtchn_upcall_mask, 0);

    /* As if from a system call: rcx and r11 are not restored but hold rip and flags. */
    iret_to(0x200, VGCF_in_syscall);
    expect(at.rcx != 0xcc);
    test_pass();
}
