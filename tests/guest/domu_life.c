/* SPDX-License-Identifier: MIT */
/* The life of a second domain, made, run and destroyed by the control hypercalls alone.
 *
 * Cause: the toolstack does it for each guest; what is forgotten on the way stays for ever.
 * Steps: build a domain from a copy of ourselves, let it run to its end by each reason of
 * shutdown, destroy it; do so again and again; destroy one that runs, one that is half made and
 * one whose frames we still have mapped.
 * Verdict: the reason arrives; after the end its number is unknown and every frame is free
 * again; a mapped frame keeps a dying domain, and goes with the mapping. */
#include "lib/domu.h"

static unsigned int reason;
static volatile unsigned long counter;
static void *marker = &marker;

static void shut_down(void)
{
    struct sched_shutdown op = {.reason = reason};

    hc_sched_op(SCHEDOP_shutdown, &op);
}

static void spin(void)
{
    for (;;)
        counter++;
}

static struct domu d;

static void check_reasons(void)
{
    static const unsigned int reasons[] = {SHUTDOWN_poweroff, SHUTDOWN_reboot, SHUTDOWN_crash,
                                           SHUTDOWN_watchdog};

    for (unsigned int i = 0; i < sizeof(reasons) / sizeof(*reasons); i++) {
        reason = reasons[i];
        domu_create(&d, shut_down);
        expect_eq(domu_run(&d), reasons[i]);
        domu_destroy(&d);
    }
}

static void check_running(uint64_t want)
{
    uint64_t end = time_now() + 1000000000ul;
    volatile unsigned long *seen;

    domu_create(&d, spin);
    seen = domu_view(&d, &counter);
    need_eq(domctl_plain(XEN_DOMCTL_unpausedomain, d.id), 0);
    while (!*seen && time_now() < end)
        hc_sched_op(SCHEDOP_yield, NULL);
    expect(*seen);
    domu_destroy(&d);
    expect_eq(free_pages_settled(), want);
}

static void check_half_made(uint64_t want)
{
    unsigned long mfns[16];
    domid_t id = domu_create_empty();

    expect_eq(domctl_plain(XEN_DOMCTL_destroydomain, id), 0);
    id = domu_create_empty();
    domu_populate(id, mfns, 16);
    expect_eq(domctl_plain(XEN_DOMCTL_destroydomain, id), 0);
    expect_eq(free_pages_settled(), want);
}

static void check_mapped(uint64_t want)
{
    struct xen_domctl_getdomaininfo info;
    uint64_t v;

    domu_create(&d, shut_down);
    expect_eq(domctl_plain(XEN_DOMCTL_destroydomain, d.id), 0);
    expect_eq(domctl_plain(XEN_DOMCTL_destroydomain, d.id), 0);
    expect_eq(domain_info(d.id, &info), 0);
    expect(info.flags & XEN_DOMINF_dying);
    expect_eq(domctl_plain(XEN_DOMCTL_unpausedomain, d.id), 0);
    expect_eq(try_read(domu_view(&d, &marker), &v), NO_TRAP);
    expect_eq(v, UL(&marker));
    domu_gone(&d);
    expect_eq(free_pages_settled(), want);
}

void test_main(void)
{
    uint64_t want;

    domu_create(&d, shut_down);
    domu_destroy(&d);
    want = free_pages_settled();
    check_reasons();
    expect_eq(free_pages_settled(), want);
    check_running(want);
    check_half_made(want);
    check_mapped(want);
    test_pass();
}
