/* SPDX-License-Identifier: MIT */
/* Event channels between two domains: made by the toolstack, used by both, closed by either.
 *
 * Cause: a lost event hangs both sides; a port that stays bound to a dead domain hangs its number.
 * Steps: alloc_unbound in a second domain for us, bind to it from here; bind what is for another;
 * a thousand rounds of ping-pong in which both sides block; each side closes in turn; the domain
 * dies while it is bound.
 * Verdict: every round arrives; the other side of a closed port is unbound and can be bound
 * again; after the death our port is unbound. */
#include "lib/domu.h"

#define ROUNDS 1000

static volatile unsigned int their_port, rounds, closing;
static struct domu d;

/* Blocks, which unmasks, until there was one more upcall for port than were waited for. */
static void wait_for(unsigned int port)
{
    static unsigned int taken;

    events_disable();
    while (event_count[port] == taken) {
        hc_sched_op(SCHEDOP_block, NULL);
        events_disable();
    }
    taken++;
}

static void echo(void)
{
    unsigned int port = their_port;

    event_unmask(port);
    for (rounds = 0; rounds < ROUNDS; rounds++) {
        wait_for(port);
        expect_eq(event_send(port), 0);
    }
    wait_for(port);
    closing = 1;
    expect_eq(event_close(port), 0);
    for (;;)
        hc_sched_op(SCHEDOP_block, NULL);
}

static uint32_t status_of(domid_t dom, unsigned int port)
{
    struct evtchn_status op = {.dom = dom, .port = port};

    if (hc_event_channel_op(EVTCHNOP_status, &op))
        return ~0u;
    return op.status;
}

static long bind(unsigned int remote, unsigned int *local)
{
    struct evtchn_bind_interdomain op = {.remote_dom = d.id, .remote_port = remote};
    long ret = hc_event_channel_op(EVTCHNOP_bind_interdomain, &op);

    *local = op.local_port;
    return ret;
}

static unsigned int alloc(domid_t remote)
{
    struct evtchn_alloc_unbound op = {.dom = d.id, .remote_dom = remote};

    need_eq(hc_event_channel_op(EVTCHNOP_alloc_unbound, &op), 0);
    return op.port;
}

void test_main(void)
{
    unsigned int port, other, spare, unused;

    hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    domu_create(&d, echo);
    their_port = alloc(0);
    *domu_view(&d, &their_port) = their_port;
    spare = alloc(0);
    expect_eq(bind(alloc(0x7123), &unused), -XEN_EINVAL);
    expect_eq(bind(77, &unused), -XEN_EINVAL);
    expect_eq(bind(100000, &unused), -XEN_EINVAL);
    expect_eq(status_of(d.id, their_port), EVTCHNSTAT_unbound);
    expect_eq(bind(their_port, &port), 0);
    expect_eq(bind(their_port, &unused), -XEN_EINVAL); /* bound already */
    expect_eq(status_of(d.id, their_port), EVTCHNSTAT_interdomain);
    expect(event_pending(port)); /* in case one was sent before */
    event_clear(port);
    need_eq(event_unmask(port), 0);
    need_eq(domctl_plain(XEN_DOMCTL_unpausedomain, d.id), 0);
    /* The first event of each side is the one of binding. */
    for (unsigned int i = 0; i < ROUNDS; i++) {
        expect_eq(event_send(port), 0);
        wait_for(port);
    }
    expect_eq(event_send(port), 0);
    for (int i = 0; i < 200 && !*domu_view(&d, &closing); i++)
        sleep_ms(1);
    sleep_ms(5);
    expect_eq(*domu_view(&d, &rounds), ROUNDS);
    expect_eq(status_of(0, port), EVTCHNSTAT_unbound); /* they have closed theirs */
    expect_eq(event_send(port), 0);
    expect_eq(status_of(d.id, their_port), EVTCHNSTAT_closed);

    /* Our side closes: theirs can be bound again. */
    expect_eq(bind(spare, &other), 0);
    expect_eq(event_close(other), 0);
    expect_eq(status_of(d.id, spare), EVTCHNSTAT_unbound);
    expect_eq(bind(spare, &other), 0);
    domu_destroy(&d);
    expect_eq(status_of(0, other), EVTCHNSTAT_unbound);
    expect_eq(event_send(other), 0);
    expect_eq(event_close(other), 0);
    expect_eq(event_close(port), 0);
    expect_eq(event_close(port), -XEN_EINVAL);
    test_pass();
}
