/* SPDX-License-Identifier: MIT */
/* Pausing, suspending and resuming a second domain, its faults, and what domain 0 is told.
 *
 * Cause: the store and the toolstack learn of an end by VIRQ_DOM_EXC and getdomaininfo alone.
 * Steps: pause twice, unpause twice; let it suspend, resume it, and let it go on; let it die by a
 * fault without a handler, by a stack that cannot be written, by losing its page tables, and by a
 * remote shutdown.
 * Verdict: pauses are counted; suspend returns 1 only to one that was resumed so; faults crash
 * that domain alone; each end raises VIRQ_DOM_EXC. */
#include "lib/domu.h"

static volatile unsigned int way, step;
static volatile unsigned long counter;
static struct domu d;
static unsigned int virq;

enum {
    COUNT,
    SUSPEND,
    NO_HANDLER,
    BAD_STACK,
    NO_USER_TABLE,
    BAD_IRET,
    NR_WAYS
};

static void guest(void)
{
    struct sched_shutdown suspend = {.reason = SHUTDOWN_suspend};

    switch (way) {
    case COUNT:
        for (;;)
            counter++;
    case SUSPEND:
        step = 1;
        expect(hypercall3(__HYPERVISOR_sched_op, SCHEDOP_shutdown, &suspend, 0) >= 0);
        step = 2;
        return;
    case NO_HANDLER:
        hc_set_trap_table(NULL);
        asm volatile("ud2");
        break;
    case BAD_STACK:
        asm volatile("mov %0, %%rsp; ud2" ::"r"(0xffff830000000000));
        break;
    case NO_USER_TABLE:
        asm volatile(
            "push %2; push %%rsp; push $0x202; push %1; push $0; push $0; push $0; push $0;"
            "push $0; mov %0, %%eax; syscall" ::"i"(__HYPERVISOR_iret),
            "i"(FLAT_USER_CS64), "i"(FLAT_USER_SS64));
        break;
    case BAD_IRET:
        asm volatile("mov %0, %%rsp; mov %1, %%eax; syscall" ::"r"(8ul), "i"(__HYPERVISOR_iret));
        break;
    }
    step = 99;
}

static unsigned long progress(unsigned int ms)
{
    unsigned long before = *domu_view(&d, &counter);

    sleep_ms(ms);
    return *domu_view(&d, &counter) - before;
}

static void check_pause(void)
{
    struct xen_domctl_getdomaininfo info;
    struct sched_remote_shutdown remote = {.domain_id = d.id, .reason = SHUTDOWN_reboot};

    expect_eq(progress(5), 0); /* made paused */
    expect_eq(domctl_plain(XEN_DOMCTL_pausedomain, d.id), 0);
    expect_eq(domctl_plain(XEN_DOMCTL_unpausedomain, d.id), 0);
    expect_eq(progress(5), 0);
    expect_eq(domctl_plain(XEN_DOMCTL_unpausedomain, d.id), 0);
    expect(progress(50) > 0);
    expect_eq(domctl_plain(XEN_DOMCTL_unpausedomain, d.id), -XEN_EINVAL);
    expect_eq(domctl_plain(XEN_DOMCTL_pausedomain, d.id), 0);
    need_eq(domain_info(d.id, &info), 0);
    expect(info.flags & XEN_DOMINF_paused);
    expect(!(info.flags & XEN_DOMINF_running));
    expect_eq(progress(5), 0);
    expect_eq(domctl_plain(XEN_DOMCTL_unpausedomain, d.id), 0);
    expect(progress(50) > 0);
    event_clear(virq);
    expect_eq(hc_sched_op(SCHEDOP_remote_shutdown, &remote), 0);
    expect_eq(domu_wait(&d), SHUTDOWN_reboot);
    expect(event_pending(virq));
    expect_eq(progress(5), 0);
    remote.domain_id = 0x7123;
    expect_eq(hc_sched_op(SCHEDOP_remote_shutdown, &remote), -XEN_ESRCH);
}

static void check_suspend(void)
{
    struct xen_domctl_getdomaininfo info;

    event_clear(virq);
    expect_eq(domu_run(&d), SHUTDOWN_suspend);
    expect(event_pending(virq));
    expect_eq(*domu_view(&d, &step), 1);
    expect_eq(domctl_plain(XEN_DOMCTL_resumedomain, d.id), 0);
    expect_eq(domu_wait(&d), SHUTDOWN_poweroff);
    expect_eq(*domu_view(&d, &step), 2);
    expect_eq(*domu_view(&d, &failures), 0);
    need_eq(domain_info(d.id, &info), 0);
    expect(!(info.flags & XEN_DOMINF_dying));
}

static void start(unsigned int how)
{
    way = how;
    domu_create(&d, guest);
}

void test_main(void)
{
    virq = event_bind_virq(VIRQ_DOM_EXC);
    start(COUNT);
    check_pause();
    domu_destroy(&d);
    start(SUSPEND);
    check_suspend();
    domu_destroy(&d);
    for (unsigned int how = NO_HANDLER; how < NR_WAYS; how++) {
        start(how);
        event_clear(virq);
        if (domu_run(&d) != SHUTDOWN_crash)
            expect_failed("way %u: domain is not crashed", how);
        expect(event_pending(virq));
        expect_eq(*domu_view(&d, &step), 0);
        event_clear(virq);
        domu_destroy(&d);
        expect(event_pending(virq)); /* and of its death */
    }
    test_pass();
}
