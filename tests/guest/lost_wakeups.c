/* SPDX-License-Identifier: MIT */
/* Two vcpus that wake each other, thousands of times, by every way to sleep.
 *
 * Cause: between the last look at the pending bit and the sleep there is a moment; an event that
 * comes then and wakes nobody is the hang that nobody can explain.
 * Steps: ping-pong by block, by poll on the port, by poll with a far time-out; then bursts in which
 * one side masks and unmasks while the other sends; a vcpu that goes down with an event on the way.
 * Verdict: each round arrives without help of a timer.
 * Options: dom0_max_vcpus=2
 * Machine: -smp 2
 */
#include "lib/second.h"

#define ROUNDS 400u
#define BURSTS 30u /* the emulator lets a CPU that never waits run for long */

enum {
    BLOCK,
    POLL,
    POLL_FAR,
    NR_WAYS
};

static unsigned int there, back;
static volatile unsigned int way, rounds;

/* Sleeps until port is pending, which it takes. Never by a timer. */
static void wait_for(vcpu_info_t *info, unsigned int port)
{
    struct sched_poll poll = {.nr_ports = 1};
    evtchn_port_t p = port;

    set_xen_guest_handle(poll.ports, &p);
    if (way == POLL_FAR)
        poll.timeout = time_now() + 1000000000000ul;
    while (!event_pending(port)) {
        if (way != BLOCK) {
            hc_sched_op(SCHEDOP_poll, &poll);
            continue;
        }
        info->evtchn_upcall_mask = 1;
        info->evtchn_pending_sel = 0;
        info->evtchn_upcall_pending = 0;
        barrier();
        if (!event_pending(port))
            hc_sched_op(SCHEDOP_block, NULL);
        info->evtchn_upcall_mask = 1;
    }
    event_clear(port);
}

static void answer(void)
{
    for (unsigned int i = 0; i < ROUNDS; i++) {
        wait_for(second_info, there);
        rounds++;
        event_send(back);
    }
}

/* Sends until the other has seen enough. */
static void burst(void)
{
    while (rounds < BURSTS)
        event_send(back);
}

static unsigned int taken;

static bool count_upcall(struct regs *regs)
{
    vcpu_info->evtchn_upcall_pending = 0;
    vcpu_info->evtchn_pending_sel = 0;
    barrier();
    if (event_pending(back)) {
        event_clear(back);
        taken++;
        rounds++;
    }
    return true;
}

void test_main(void)
{
    hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    back = event_bind_ipi();
    there = second_bind_ipi();
    trap_hook(VEC_EVENT, count_upcall);
    for (way = 0; way < NR_WAYS; way++) {
        rounds = 0;
        if (way == BLOCK) { /* woken by upcalls; the poller must not be */
            trap_hook(VEC_EVENT, NULL);
            event_unmask(back);
            event_unmask(there);
        } else {
            event_mask(back);
            event_mask(there);
        }
        trap_hook(VEC_EVENT, way == BLOCK ? NULL : count_upcall);
        vcpu_info->evtchn_upcall_mask = 1;
        second_start(answer);
        for (unsigned int i = 0; i < ROUNDS; i++) {
            event_send(there);
            if (way == BLOCK) {
                while (event_count[back] <= i) {
                    hc_sched_op(SCHEDOP_block, NULL);
                    vcpu_info->evtchn_upcall_mask = 1;
                }
            } else {
                wait_for(vcpu_info, back);
            }
        }
        expect_eq(rounds, ROUNDS);
        expect(second_wait());
    }
    /* Masked and unmasked under fire: the last one always comes through. */
    rounds = 0;
    trap_hook(VEC_EVENT, count_upcall);
    event_clear(back);
    event_unmask(back);
    second_start(burst);
    while (rounds < BURSTS) {
        events_enable();
        hc_sched_op(SCHEDOP_block, NULL);
        events_disable();
        event_mask(back);
        event_unmask(back);
    }
    expect(taken >= BURSTS);
    expect(second_wait());
    test_pass();
}
