/* SPDX-License-Identifier: MIT */
/* Timers and clocks: single shot in the future and in the past, periodic, set_timer_op, block
 * and poll.
 *
 * Cause: a kernel that misses a timer hangs when it is idle.
 * Steps: read the clock; single-shot timers; the default periodic tick and its end; blocking
 * until a timer; poll with a time-out and with an event.
 * Verdict: the clock goes forward, timers fire at or after their time and once, past ones at
 * once. */
#include "lib/guest.h"

#define MS 1000000ul

static unsigned int port;

static long singleshot(uint64_t when, uint32_t flags)
{
    struct vcpu_set_singleshot_timer t = {.timeout_abs_ns = when, .flags = flags};

    return hc_vcpu_op(VCPUOP_set_singleshot_timer, 0, &t);
}

/* Wait until the port has fired n times or a second is over. */
static void wait_for(unsigned int n)
{
    uint64_t end = time_now() + 1000 * MS;

    while (event_count[port] < n && time_now() < end)
        hc_sched_op(SCHEDOP_yield, NULL);
}

static void check_clock(void)
{
    uint64_t a = time_now(), b;

    for (unsigned int i = 0; i < 1000; i++) {
        b = time_now();
        if (b < a)
            expect_failed("time goes back from %lu to %lu", a, b);
        a = b;
    }
    expect(vcpu_info->time.tsc_to_system_mul != 0);
    expect_eq(vcpu_info->time.version & 1, 0);
    expect_eq(shared_info->wc_version & 1, 0);
    expect(shared_info->wc_sec > 1600000000);
}

static void check_singleshot(void)
{
    uint64_t when = time_now() + 5 * MS;
    unsigned int n = event_count[port];

    expect_eq(singleshot(when, 0), 0);
    wait_for(n + 1);
    expect(time_now() >= when);
    expect_eq(event_count[port], n + 1);

    /* The past: at once, also with the flag that once refused it. */
    n = event_count[port];
    expect_eq(singleshot(time_now() - 5 * MS, 0), 0);
    wait_for(n + 1);
    expect_eq(event_count[port], n + 1);
    n = event_count[port];
    expect_eq(singleshot(time_now() - 5 * MS, VCPU_SSHOTTMR_future), 0);
    wait_for(n + 1);
    expect_eq(event_count[port], n + 1);
    n = event_count[port];
    expect_eq(singleshot(time_now() + 20 * MS, 0), 0);
    expect_eq(hc_vcpu_op(VCPUOP_stop_singleshot_timer, 0, NULL), 0);
    when = time_now() + 30 * MS;
    while (time_now() < when)
        hc_sched_op(SCHEDOP_yield, NULL);
    expect_eq(event_count[port], n);
}

static void check_block(void)
{
    uint64_t when = time_now() + 10 * MS;
    unsigned int n = event_count[port];

    events_disable();
    expect_eq(singleshot(when, 0), 0);
    expect_eq(hc_sched_op(SCHEDOP_block, NULL), 0);
    expect(time_now() >= when);
    expect_eq(vcpu_info->evtchn_upcall_mask, 0);
    expect_eq(event_count[port], n + 1);

    n = event_count[port];
    when = time_now() + 10 * MS;
    events_disable();
    expect_eq(hc_set_timer_op(when), 0);
    expect_eq(hc_sched_op(SCHEDOP_block, NULL), 0);
    expect(time_now() >= when);
    expect_eq(event_count[port], n + 1);
    expect_eq(hc_set_timer_op(0), 0);
}

static void check_poll(void)
{
    evtchn_port_t ports[2] = {port, 4000};
    struct sched_poll poll = {.nr_ports = 1, .timeout = time_now() + 10 * MS};

    set_xen_guest_handle(poll.ports, ports);
    event_mask(port);
    expect_eq(hc_sched_op(SCHEDOP_poll, &poll), 0);
    expect(time_now() >= poll.timeout);
    expect(!event_pending(port));
    expect_eq(singleshot(time_now() + 5 * MS, 0), 0);
    poll.timeout = time_now() + 500 * MS;
    expect_eq(hc_sched_op(SCHEDOP_poll, &poll), 0);
    expect(time_now() < poll.timeout);
    expect(event_pending(port));
    expect_eq(hc_sched_op(SCHEDOP_poll, &poll), 0); /* still pending: returns at once */
    expect(time_now() < poll.timeout);
    poll.nr_ports = 129;
    expect_eq(hc_sched_op(SCHEDOP_poll, &poll), -XEN_EINVAL);
    event_clear(port);
    poll.nr_ports = 1;
    ports[0] = 0x20001;
    expect_eq(hc_sched_op(SCHEDOP_poll, &poll), -XEN_EINVAL);
    set_xen_guest_handle(poll.ports, (evtchn_port_t *)8);
    expect_eq(hc_sched_op(SCHEDOP_poll, &poll), -XEN_EFAULT);
    event_unmask(port);
}

static void check_periodic(void)
{
    struct vcpu_set_periodic_timer t = {.period_ns = 2 * MS};
    unsigned int n = event_count[port];
    uint64_t when = time_now() + 25 * MS;

    expect_eq(hc_vcpu_op(VCPUOP_set_periodic_timer, 0, &t), 0);
    while (time_now() < when)
        hc_sched_op(SCHEDOP_yield, NULL);
    expect(event_count[port] >= n + 3);
    expect_eq(hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL), 0);
    n = event_count[port];
    when = time_now() + 20 * MS;
    while (time_now() < when)
        hc_sched_op(SCHEDOP_yield, NULL);
    expect(event_count[port] <= n + 1);
    t.period_ns = 1000;
    expect_eq(hc_vcpu_op(VCPUOP_set_periodic_timer, 0, &t), -XEN_EINVAL);
    t.period_ns = ~0ul;
    expect_eq(hc_vcpu_op(VCPUOP_set_periodic_timer, 0, &t), -XEN_EINVAL);
}

void test_main(void)
{
    uint64_t when;

    check_clock();
    port = event_bind_virq(VIRQ_TIMER);
    event_unmask(port);
    events_enable();

    /* A new vcpu ticks 100 times a second until told otherwise. */
    when = time_now() + 50 * MS;
    while (time_now() < when)
        hc_sched_op(SCHEDOP_yield, NULL);
    expect(event_count[port] >= 2);
    expect_eq(hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL), 0);
    event_clear(port);
    check_singleshot();
    check_block();
    check_poll();
    check_periodic();
    test_pass();
}
