/* SPDX-License-Identifier: MIT */
/* Exceptions inside exception handlers, many deep, and an event between them.
 *
 * Cause: each bounce builds on the stack of the one before; a frame that is one word off shows
 * here.
 * Steps: #UD whose handler does int3, whose handler writes to a read-only page, whose handler
 * sends and unmasks an event, whose handler does #UD again, 80 levels deep.
 * Verdict: all of them arrive, in order, and unwind to the first instruction with registers
 * intact. */
#include "lib/guest.h"

static unsigned int depth, ports_seen, port;
static char *ro_page;
static char order[256];

static bool on_ud(struct regs *regs)
{
    order[depth++] = 'u';
    if (depth < 80)
        asm volatile("int3");
    regs->rip += 2;
    return true;
}

static bool on_bp(struct regs *regs)
{
    order[depth++] = 'b';
    try_write(ro_page, depth);
    return true;
}

static bool on_pf(struct regs *regs)
{
    order[depth++] = 'p';
    expect_eq(event_send(port), 0);
    return false; /* the exception table skips the store */
}

static void on_event(unsigned int which)
{
    order[depth++] = 'e';
    ports_seen++;
    expect_eq(which, port);
    events_enable();
    asm volatile("ud2");
}

static bool upcall(struct regs *regs)
{
    expect_eq(vcpu_info->evtchn_upcall_mask, 1);
    event_upcall(regs);
    return true;
}

void test_main(void)
{
    unsigned long a = 0xaaaa, b = 0xbbbb;

    ro_page = page_alloc();
    need_eq(page_set_ro(ro_page), 0);
    port = event_bind_ipi();
    trap_hook(VEC_UD, on_ud);
    trap_hook(VEC_BP, on_bp);
    trap_hook(VEC_PF, on_pf);
    trap_hook(VEC_EVENT, upcall);
    event_hook = on_event;
    need_eq(event_unmask(port), 0);

    events_enable();
    asm volatile("mov %2, %%r12; mov %3, %%r13; ud2; mov %%r12, %0; mov %%r13, %1"
                 : "=r"(a), "=r"(b)
                 : "r"(a), "r"(b)
                 : "r12", "r13", "memory");
    expect_eq(a, 0xaaaa);
    expect_eq(b, 0xbbbb);
    expect(depth >= 80);
    expect(strncmp(order, "ubpeubpeubpe", 12) == 0);
    expect(ports_seen >= 1);
    expect_eq(vcpu_info->evtchn_upcall_mask, 0);
    test_pass();
}
