/* SPDX-License-Identifier: MIT */
/* NMIs inside NMI handlers, behind exceptions, and together with events.
 *
 * Cause: an NMI that nests overwrites what its handler has not saved yet; one that is lost hangs
 * a watchdog. The iret hypercall is what ends its blocking.
 * Steps: send NMIs to ourselves from plain code, three from within the handler, from a handler of
 * #UD, with events masked and one pending, with an exception inside the handler.
 * Verdict: never two deep without an iret between; several that wait are one; an NMI ignores the
 * mask of events and leaves it as it was. */
#include "lib/guest.h"

static unsigned int count, depth, deepest, burst, after_trap;
static bool trap_inside;
static int mask_inside, mask_of_frame;

static void send(void)
{
    expect_eq(hc_vcpu_op(VCPUOP_send_nmi, 0, NULL), 0);
}

static bool on_nmi(struct regs *regs)
{
    unsigned int before = ++count;

    if (++depth > deepest)
        deepest = depth;
    mask_inside = vcpu_info->evtchn_upcall_mask;
    mask_of_frame = !(regs->rflags & 0x200);
    for (; burst; burst--)
        send();
    hc_xen_version(XENVER_version, NULL);
    expect_eq(count, before); /* they wait */
    if (trap_inside) {
        trap_inside = false;
        asm volatile(TRY("ud2"));
        after_trap = count - before;
    }
    depth--;
    return true;
}

static bool on_ud(struct regs *regs)
{
    if (burst) {
        burst = 0;
        send();
    }
    return false;
}

static void check_plain(void)
{
    send();
    expect_eq(count, 1);
    burst = 3;
    send();
    expect_eq(count, 3); /* the three are one */
    expect_eq(deepest, 1);
    send();
    expect_eq(count, 4);
}

static void check_exceptions(void)
{
    count = 0;
    trap_hook(VEC_UD, on_ud);
    burst = 1;
    asm volatile(TRY("ud2"));
    expect_eq(count, 1);
    expect_eq(deepest, 1);
    /* The iret of an exception inside the handler unblocks, as the processor's does. */
    trap_inside = true;
    burst = 0;
    send();
    expect_eq(count, 2);
    trap_hook(VEC_UD, NULL);
    count = 0;
    trap_inside = true;
    burst = 1;
    send();
    expect_eq(count, 2);
    expect(after_trap <= 1);
    expect_eq(after_trap + 1, deepest);
}

static void check_events(void)
{
    unsigned int port = event_bind_ipi(), n;

    need_eq(event_unmask(port), 0);
    events_enable();
    deepest = count = 0;
    send();
    expect_eq(count, 1);
    expect_eq(mask_of_frame, 0);
    expect_eq(vcpu_info->evtchn_upcall_mask, 0); /* as before */
    events_disable();
    n = event_count[port];
    event_send(port);
    send();
    expect_eq(count, 2);
    expect_eq(mask_inside, 1);
    expect_eq(mask_of_frame, 1);
    expect_eq(vcpu_info->evtchn_upcall_mask, 1);
    expect_eq(event_count[port], n);
    events_enable();
    expect_eq(event_count[port], n + 1);
}

void test_main(void)
{
    trap_hook(VEC_NMI, on_nmi);
    trap_hook(VEC_NMI_CALLBACK, on_nmi);
    check_plain();
    check_exceptions();
    check_events();
    test_pass();
}
