/* SPDX-License-Identifier: MIT */
/* Debug registers at the edges: lengths, reserved bits, aliases, and breakpoints on the guest's own
 * entry points.
 *
 * Cause: a breakpoint that reaches into the hypervisor, or one on the first instruction of a
 * handler, is met while the hypervisor builds a frame.
 * Steps: addresses on both sides of each limit; every reserved bit of DR7 and DR6; DR4 and DR5;
 * breakpoints on the event callback, the #UD handler and the SYSCALL callback; a data breakpoint
 * on the stack that frames go to, and on vcpu_info, which the hypervisor writes.
 * Verdict: only guest addresses are taken; execution breakpoints arrive at their address once; what
 * the hypervisor writes itself raises nothing in it. */
#include "lib/guest.h"

extern char user_begin[], user_end[];
asm(".section .rodata; user_begin: syscall; user_end: .text");

static unsigned int hits;
static uint64_t hit_rip, hit_dr6;

static bool on_db(struct regs *regs)
{
    hits++;
    hit_rip = regs->rip;
    hit_dr6 = hc_get_debugreg(6);
    hc_set_debugreg(6, 0);
    hc_set_debugreg(7, 0);
    if (regs->rip < VIRT_BASE && (regs->cs & 3) == 0)
        expect_failed("#DB at %#lx", regs->rip);
    return true;
}

static void check_addresses(void)
{
    static const struct {
        uint64_t address;
        long ret;
    } tries[] = {
        {0, 0},
        {0x00007ffffffffff8, 0},
        {0x0000800000000000, -XEN_EPERM},
        {0xffff7ffffffffff8, -XEN_EPERM},
        {0xffff800000000000, -XEN_EPERM},
        {0xffff81ffffffffff, -XEN_EPERM},
        {0xffff87fffffffff8, -XEN_EPERM},
        {0xffff880000000000, 0},
        {0xfffffffffffffff8, 0},
        {~0ul, 0},
    };

    for (unsigned int i = 0; i < sizeof(tries) / sizeof(*tries); i++) {
        long ret = hc_set_debugreg(2, tries[i].address);

        if (ret != tries[i].ret)
            expect_failed("DR2 = %#lx: %ld", tries[i].address, ret);
        if (!ret)
            expect_eq(hc_get_debugreg(2), tries[i].address);
    }
    need_eq(hc_set_debugreg(2, 0), 0);
}

static void check_bits(void)
{
    for (int bit = 0; bit < 64; bit++) {
        uint64_t seen;
        long ret = hc_set_debugreg(6, 1ul << bit);

        if (bit >= 32)
            expect_eq(ret, -XEN_EINVAL);
        ret = hc_set_debugreg(7, 1ul << bit);
        seen = hc_get_debugreg(7);
        if (bit >= 32 ? ret != -XEN_EINVAL : bit == 13 ? ret != -XEN_EPERM : ret != 0)
            expect_failed("DR7 bit %d: %ld", bit, ret);
        /* Reserved bits read as the processor's: 10 set, 11, 12, 14, 15 clear. */
        if ((seen & 0xffffffff0000fc00) != 0x400)
            expect_failed("DR7 bit %d reads back as %#lx", bit, seen);
        need_eq(hc_set_debugreg(7, 0), 0);
    }
    /* Without CR4.DE, 4 and 5 are 6 and 7; with it they are not there. */
    expect_eq(hc_set_debugreg(5, 0), 0);
    expect_eq(hc_get_debugreg(5), 0x400);
    expect_eq(hc_set_debugreg(4, 0), 0);
    expect_eq(hc_get_debugreg(4), 0xffff0ff0);
    /* Undefined combination: I/O breakpoints need CR4.DE. */
    expect(hc_set_debugreg(7, 0x1 | 0x2 << 16) != 0 || hc_get_debugreg(7) == (0x401 | 0x2 << 16));
    need_eq(hc_set_debugreg(7, 0), 0);
}

static void arm(const volatile void *at, uint64_t kind)
{
    hits = 0;
    need_eq(hc_set_debugreg(0, UL(at)), 0);
    need_eq(hc_set_debugreg(6, 0), 0);
    need_eq(hc_set_debugreg(7, 0x1 | kind << 16), 0);
}

static void check_entries(void)
{
    unsigned int port = event_bind_ipi();
    struct regs regs;

    arm((void *)trap_stub(VEC_UD), 0);
    asm volatile(TRY("ud2"));
    expect_eq(hits, 1);
    expect_eq(hit_rip, trap_stub(VEC_UD));
    expect_eq(hit_dr6 & 0xf, 1);
    need_eq(event_unmask(port), 0);
    events_enable();
    arm((void *)trap_stub(VEC_EVENT), 0);
    event_send(port);
    expect_eq(hits, 1);
    expect_eq(hit_rip, trap_stub(VEC_EVENT));
    expect_eq(event_count[port], 1);
    events_disable();
    arm((void *)trap_stub(VEC_SYSCALL), 0);
    user_regs(&regs);
    user_run(&regs);
    expect_eq(regs.vector, VEC_SYSCALL);
    expect_eq(hits, 1);
    expect_eq(hit_rip, trap_stub(VEC_SYSCALL));
}

static void check_writes(void)
{
    unsigned int port = event_bind_ipi();
    uint64_t rsp;

    /* The frame of the next exception goes right below the stack pointer. */
    asm volatile("mov %%rsp, %0" : "=r"(rsp));
    arm(&vcpu_info->evtchn_upcall_pending, 0x1);
    need_eq(event_unmask(port), 0);
    event_send(port); /* written by the hypervisor */
    expect(hits <= 1);
    hc_set_debugreg(7, 0);
    event_clear(port);
    arm((void *)((rsp & ~15ul) - 0x400), 0xd);
    asm volatile("mov %%rsp, %%rbx; lea -0x3d0(%0), %%rsp; " TRY("ud2") " mov %%rbx, %%rsp" ::"r"(
                     rsp & ~15ul)
                 : "rbx", "memory", "cc");
    expect(hits <= 1);
    hc_set_debugreg(7, 0);
}

void test_main(void)
{
    user_init(user_begin, user_end);
    trap_hook(VEC_DB, on_db);
    check_addresses();
    check_bits();
    check_entries();
    check_writes();
    test_pass();
}
