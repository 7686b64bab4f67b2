/* SPDX-License-Identifier: MIT */
/* Waking and blocking on several CPUs at once, each a thread: no wake-up is lost, and the scheduler
 * keeps each unit in one place. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "guest.h"
#include "event/event.h"
#include "hypercall/ops.h"
#include "lib/errno.h"

#define ROUNDS 6000u

static struct guest *dom0;
static volatile bool stop;
static uint32_t port;

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* CPU 0: the guest consumes events, and blocks or polls when there is none. */
static uint32_t consumed;

static void *consumer(void *data)
{
    struct vcpu *v = dom0->d->vcpu[0];
    bool poll = data != NULL;

    host_cpu_select(0);
    while (!stop) {
        guest_exit();
        if (current() != v)
            continue;
        write_cr3(dom0->root);
        v->info->evtchn_upcall_pending = 0;
        v->info->evtchn_pending_sel = 0;
        if (__atomic_fetch_and(&dom0->d->shared_info->evtchn_pending[0], ~(1ul << port),
                               __ATOMIC_SEQ_CST) &
            1ul << port)
            __atomic_fetch_add(&consumed, 1, __ATOMIC_SEQ_CST);
        else
            assert_int_equal(sched_op(poll ? SCHEDOP_poll : SCHEDOP_block, guest_va(0)), 0);
    }
    return NULL;
}

static void run(bool poll)
{
    struct evtchn_bind_virq bind = {.virq = VIRQ_TIMER};
    struct sched_poll *p;
    pthread_t thread;
    double start;

    guest_machine(2);
    dom0 = guest_new(0, 2, true);
    guest_be(dom0, 0);
    memcpy(guest_page(dom0, 0), &bind, sizeof(bind));
    assert_int_equal(event_channel_op(EVTCHNOP_bind_virq, guest_va(0)), 0);
    port = ((struct evtchn_bind_virq *)guest_page(dom0, 0))->port;
    p = guest_page(dom0, 0);
    *p = (struct sched_poll){.nr_ports = 1};
    set_xen_guest_handle(p->ports, (evtchn_port_t *)guest_va(1));
    memcpy(guest_page(dom0, 1), &port, sizeof(port));
    dom0->d->vcpu[0]->info->evtchn_upcall_mask = poll;
    assert_int_equal(sched_pin(&dom0->d->vcpu[0]->unit, 0), 0);
    guest_be_idle();
    sched_wake(&dom0->d->vcpu[0]->unit);
    consumed = 0;
    stop = false;
    assert_int_equal(pthread_create(&thread, NULL, consumer, poll ? &poll : NULL), 0);

    host_cpu_select(1);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        start = seconds(); /* of this event: a busy host makes all of them slow */
        event_send_vcpu_virq(dom0->d->vcpu[0], VIRQ_TIMER);
        while (__atomic_load_n(&consumed, __ATOMIC_SEQ_CST) != i + 1) {
            cpu_pause();
            if (seconds() - start > 60) {
                stop = true;
                pthread_join(thread, NULL);
                fail_msg("event %u was lost: pause %x", i, dom0->d->vcpu[0]->pause);
            }
        }
    }
    stop = true;
    pthread_join(thread, NULL);
    host_cpu_select(0);
    vcpu_pause_set(dom0->d->vcpu[0], VCPU_DOWN_BIT);
    guest_exit();
    guest_kill(dom0);
}

static void test_block(void **state)
{
    run(false);
}

static void test_poll(void **state)
{
    run(true);
}

/* A vCPU that is told to stop and to go on before its CPU has switched ran all the time: its guest
 * must not count that as stolen. */
static void test_state_of_one_that_runs(void **state)
{
    struct vcpu *v;

    guest_machine(2);
    dom0 = guest_new(0, 1, true);
    v = dom0->d->vcpu[0];
    assert_int_equal(sched_pin(&v->unit, 0), 0);
    sched_wake(&v->unit);
    guest_exit();
    assert_ptr_equal(current(), v);
    assert_int_equal(v->runstate.state, RUNSTATE_running);
    host_cpu_select(1);
    vcpu_pause_set(v, VCPU_BLOCKED_BIT);
    vcpu_kick(v);
    assert_int_equal(v->pause, 0);
    host_cpu_select(0);
    guest_exit();
    assert_ptr_equal(current(), v);
    assert_int_equal(v->runstate.state, RUNSTATE_running);
    vcpu_pause_set(v, VCPU_DOWN_BIT);
    guest_exit();
    assert_int_equal(v->runstate.state, RUNSTATE_offline);
    guest_kill(dom0);
}

/* Three CPUs set and clear reasons of the same vCPUs, and move them. */
#define VCPUS 6u

static void *churn(void *data)
{
    unsigned cpu = (unsigned)(uintptr_t)data;
    uint32_t x = cpu + 12345;

    host_cpu_select(cpu);
    for (unsigned n = 0; n < 40000; n++) {
        struct vcpu *v;

        x = x * 1664525 + 1013904223;
        v = dom0->d->vcpu[(x >> 8) % VCPUS];
        switch ((x >> 16) % 5) {
        case 0:
        case 1:
            vcpu_pause_set(v, (x >> 24) % 2 ? VCPU_BLOCKED_BIT : VCPU_POLLING_BIT);
            break;
        case 2:
        case 3:
            vcpu_kick(v);
            break;
        case 4:
            assert_int_equal(sched_pin(&v->unit, (int)((x >> 20) % 4) - 1), 0);
            break;
        }
        guest_exit();
    }
    return NULL;
}

static void test_churn(void **state)
{
    pthread_t thread[3];

    guest_machine(3);
    dom0 = guest_new(0, VCPUS, true);
    for (unsigned i = 0; i < VCPUS; i++)
        sched_wake(&dom0->d->vcpu[i]->unit);
    for (uintptr_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, churn, (void *)i), 0);
    for (unsigned i = 0; i < 3; i++)
        pthread_join(thread[i], NULL);
    for (unsigned round = 0; round < 10; round++)
        for (unsigned cpu = 0; cpu < 3; cpu++) {
            host_cpu_select(cpu);
            guest_exit();
        }
    for (unsigned i = 0; i < VCPUS; i++) {
        struct vcpu *v = dom0->d->vcpu[i];
        bool waits = !list_empty(&v->unit.link);

        assert_int_equal(v->unit.runnable, v->pause == 0);
        assert_int_equal(v->unit.runnable, waits || v->unit.running);
        assert_false(waits && v->unit.running);
        vcpu_pause_set(v, VCPU_DOWN_BIT);
    }
    for (unsigned cpu = 3; cpu-- > 0;) {
        host_cpu_select(cpu);
        guest_exit();
    }
    guest_kill(dom0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_block),
        cmocka_unit_test(test_poll),
        cmocka_unit_test(test_state_of_one_that_runs),
        cmocka_unit_test(test_churn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
