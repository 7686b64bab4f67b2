/* SPDX-License-Identifier: MIT */
/* hypercall/sched_op and vcpu_op: waiting and being woken, without ever losing a wake-up; timers;
 * vCPUs up and down; what is registered with the hypervisor. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"
#include "base/softirq.h"
#include "event/event.h"
#include "hypercall/ops.h"
#include "lib/bitmap.h"
#include "lib/errno.h"
#include "sched/sched.h"
#include "time/clock.h"

static struct guest *dom0, *domu;

static struct guest *caller(void)
{
    return current()->domain == dom0->d ? dom0 : domu;
}

static long sched(uint32_t cmd, const void *a, size_t size)
{
    memcpy(guest_page(caller(), 0), a, size);
    return sched_op(cmd, guest_va(0));
}
#define SCHED(cmd, a) sched(SCHEDOP_##cmd, (a), sizeof(*(a)))

static long vcpu(uint32_t cmd, unsigned id, void *a, size_t size)
{
    struct guest *g = caller();
    long rc;

    memcpy(guest_page(g, 0), a, size);
    rc = vcpu_op(cmd, id, guest_va(0));
    memcpy(a, guest_page(g, 0), size);
    return rc;
}
#define VCPU(cmd, id, a) vcpu(VCPUOP_##cmd, (id), (a), sizeof(*(a)))

/* One CPU; vCPU 0 of domu runs on it, by the scheduler. */
static int setup(void **state)
{
    guest_machine(1);
    dom0 = guest_new(0, 1, true);
    domu = guest_new(5, 2, false);
    sched_wake(&domu->d->vcpu[0]->unit);
    guest_exit();
    assert_ptr_equal(current(), domu->d->vcpu[0]);
    guest_be(domu, 0);
    domu->d->vcpu[0]->info->evtchn_upcall_mask = 0;
    return 0;
}

static int teardown(void **state)
{
    struct vcpu *v;

    for_each_vcpu (domu->d, v)
        vcpu_pause_set(v, VCPU_DOWN_BIT);
    guest_exit();
    guest_kill(dom0);
    guest_kill(domu);
    assert_int_equal(frame_audit(), 0);
    return 0;
}

static uint32_t bind_timer(void)
{
    struct evtchn_bind_virq a = {.virq = VIRQ_TIMER, .vcpu = 0};

    memcpy(guest_page(domu, 0), &a, sizeof(a));
    assert_int_equal(event_channel_op(EVTCHNOP_bind_virq, guest_va(0)), 0);
    return ((struct evtchn_bind_virq *)guest_page(domu, 0))->port;
}

static void clear_events(struct guest *g)
{
    struct vcpu_info *i = g->d->vcpu[0]->info;

    g->d->shared_info->evtchn_pending[0] = 0;
    i->evtchn_pending_sel = 0;
    i->evtchn_upcall_pending = 0;
}

static void pass(uint64_t ns)
{
    host_tsc += ns;
    timer_interrupt();
    guest_exit();
}

static bool runs(unsigned id)
{
    return current() == domu->d->vcpu[id];
}

/* ---- waiting ---- */

static void test_block_and_timer(void **state)
{
    struct vcpu_set_singleshot_timer t = {.timeout_abs_ns = time_now() + 5000000};
    uint32_t port = bind_timer();

    assert_int_equal(VCPU(set_singleshot_timer, 0, &t), 0);
    domu->d->vcpu[0]->info->evtchn_upcall_mask = 1;
    assert_int_equal(sched_op(SCHEDOP_block, 0), 0);
    assert_int_equal(domu->d->vcpu[0]->info->evtchn_upcall_mask, 0);
    guest_exit();
    assert_false(runs(0));
    pass(4000000);
    assert_false(runs(0));
    pass(1000001);
    assert_true(runs(0));
    assert_int_equal(event_port_pending(domu->d, port), 1);
    assert_int_equal(domu->d->vcpu[0]->info->evtchn_upcall_pending, 1);
}

/* The timer fires between the hypercall and the switch: the vCPU is current and about to block. */
static void test_timer_fires_on_the_way_out(void **state)
{
    struct vcpu_set_singleshot_timer t = {.timeout_abs_ns = time_now() + 1000};

    bind_timer();
    assert_int_equal(VCPU(set_singleshot_timer, 0, &t), 0);
    assert_int_equal(sched_op(SCHEDOP_block, 0), 0);
    assert_true(domu->d->vcpu[0]->pause);
    pass(2000);
    assert_true(runs(0));
    assert_int_equal(domu->d->vcpu[0]->pause, 0);
}

static void test_block_with_an_event_pending(void **state)
{
    bind_timer();
    event_send_vcpu_virq(domu->d->vcpu[0], VIRQ_TIMER);
    assert_int_equal(sched_op(SCHEDOP_block, 0), 0);
    guest_exit();
    assert_true(runs(0));
}

static void test_timers(void **state)
{
    struct vcpu_set_singleshot_timer t = {.timeout_abs_ns = 1};
    struct vcpu_set_periodic_timer p = {.period_ns = 10000000};
    uint32_t port = bind_timer();

    assert_int_equal(VCPU(set_singleshot_timer, 1, &t), -EINVAL); /* another's */
    for (t.flags = 0; t.flags <= VCPU_SSHOTTMR_future; t.flags++) {
        clear_events(domu);
        assert_int_equal(VCPU(set_singleshot_timer, 0, &t), 0); /* past: at once */
        pass(1);
        assert_int_equal(event_port_pending(domu->d, port), 1);
    }

    clear_events(domu);
    t.timeout_abs_ns = time_now() + 1000;
    assert_int_equal(VCPU(set_singleshot_timer, 0, &t), 0);
    assert_int_equal(vcpu_op(VCPUOP_stop_singleshot_timer, 0, 0), 0);
    pass(2000);
    assert_int_equal(event_port_pending(domu->d, port), 0);

    assert_int_equal(VCPU(set_periodic_timer, 0, &p), 0);
    for (unsigned i = 0; i < 5; i++) {
        pass(10000001);
        assert_int_equal(event_port_pending(domu->d, port), 1);
        clear_events(domu);
    }
    assert_int_equal(vcpu_op(VCPUOP_stop_periodic_timer, 0, 0), 0);
    pass(30000000);
    assert_int_equal(event_port_pending(domu->d, port), 0);
    p.period_ns = 999999;
    assert_int_equal(VCPU(set_periodic_timer, 0, &p), -EINVAL);
    p.period_ns = ~0ull;
    assert_int_equal(VCPU(set_periodic_timer, 0, &p), -EINVAL);

    assert_int_equal(set_timer_op(time_now() + 500), 0);
    pass(1000);
    assert_int_equal(event_port_pending(domu->d, port), 1);
    assert_int_equal(set_timer_op(0), 0);
}

static long poll(const evtchn_port_t *ports, unsigned n, uint64_t timeout)
{
    struct sched_poll a = {.nr_ports = n, .timeout = timeout};

    set_xen_guest_handle(a.ports, (evtchn_port_t *)guest_va(1));
    memcpy(guest_page(domu, 1), ports, n * sizeof(*ports));
    return SCHED(poll, &a);
}

static void test_poll(void **state)
{
    evtchn_port_t port = bind_timer(), bad[2] = {port, 4000};

    bitmap_set(domu->d->shared_info->evtchn_mask, port);
    assert_int_equal(poll(&port, 1, 0), 0);
    guest_exit();
    assert_false(runs(0));
    event_send_vcpu_virq(domu->d->vcpu[0], VIRQ_TIMER);
    guest_exit();
    assert_true(runs(0));
    guest_be(domu, 0);
    assert_int_equal(poll(&port, 1, 0), 0); /* pending already */
    guest_exit();
    assert_true(runs(0));

    clear_events(domu);
    assert_int_equal(poll(&port, 1, time_now() + 1000), 0);
    guest_exit();
    assert_false(runs(0));
    pass(1001);
    assert_true(runs(0));
    guest_be(domu, 0);
    /* Nothing is left of it when the next one waits. */
    assert_int_equal(poll(&port, 1, time_now() + 100000), 0);
    guest_exit();
    pass(5000);
    assert_false(runs(0));
    pass(100000);
    assert_true(runs(0));
    guest_be(domu, 0);

    assert_int_equal(poll(bad, 2, 0), -EINVAL);
    assert_int_equal(domu->d->vcpu[0]->pause, 0);
    assert_int_equal(poll(&port, 0, time_now() + 1), 0);
    pass(10);
    guest_be(domu, 0);
    assert_int_equal(
        sched(SCHEDOP_poll, &(struct sched_poll){.nr_ports = 129}, sizeof(struct sched_poll)),
        -EINVAL);
    assert_int_equal(
        sched(SCHEDOP_poll, &(struct sched_poll){.nr_ports = 1}, sizeof(struct sched_poll)),
        -EFAULT);
}

/* Somebody else ends the wait: the poll's mark on the vCPU must not eat a later wake-up. */
static void test_poll_ended_by_a_kick(void **state)
{
    evtchn_port_t port = bind_timer();

    bitmap_set(domu->d->shared_info->evtchn_mask, port);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(poll(&port, 1, 0), 0);
        guest_exit();
        assert_false(runs(0));
        vcpu_kick(domu->d->vcpu[0]);
        guest_exit();
        assert_true(runs(0));
        guest_be(domu, 0);
        clear_events(domu);
        assert_int_equal(poll(&port, 1, 0), 0);
        guest_exit();
        assert_false(runs(0));
        event_send_vcpu_virq(domu->d->vcpu[0], VIRQ_TIMER);
        guest_exit();
        assert_true(runs(0));
        guest_be(domu, 0);
        clear_events(domu);
    }
}

/* ---- the end ---- */

static void test_shutdown(void **state)
{
    struct sched_shutdown s = {.reason = 6};
    struct sched_remote_shutdown r = {.domain_id = 0, .reason = SHUTDOWN_crash};

    assert_int_equal(SCHED(shutdown, &s), -EINVAL);
    assert_int_equal(SCHED(remote_shutdown, &r), -EPERM);
    r.domain_id = 99;
    assert_int_equal(SCHED(remote_shutdown, &r), -ESRCH);
    s.reason = SHUTDOWN_reboot;
    assert_int_equal(SCHED(shutdown, &s), 0);
    guest_exit();
    assert_false(runs(0));
    assert_true(domu->d->shut_down);
    assert_int_equal(domu->d->shutdown_code, SHUTDOWN_reboot);
}

static void test_remote_shutdown(void **state)
{
    struct sched_remote_shutdown r = {.domain_id = 5, .reason = SHUTDOWN_crash};

    guest_be(dom0, 0);
    assert_int_equal(SCHED(remote_shutdown, &r), 0);
    assert_int_equal(domu->d->shutdown_code, SHUTDOWN_crash);
    guest_be(domu, 0);
}

static void test_watchdog(void **state)
{
    struct sched_watchdog w = {.timeout = 2};
    uint32_t refs = domu->d->refs;

    assert_int_equal(SCHED(watchdog, &w), 1);
    assert_int_equal(SCHED(watchdog, &w), 2);
    assert_int_equal(SCHED(watchdog, &w), -EEXIST);
    w = (struct sched_watchdog){.id = 2};
    assert_int_equal(SCHED(watchdog, &w), 0);
    assert_int_equal(SCHED(watchdog, &w), -EINVAL);
    w.id = 3;
    assert_int_equal(SCHED(watchdog, &w), -EINVAL);
    w = (struct sched_watchdog){.id = 1, .timeout = 2};
    for (unsigned i = 0; i < 3; i++) {
        pass(1900000000);
        assert_int_equal(SCHED(watchdog, &w), 0);
        assert_false(domu->d->shut_down);
    }
    assert_int_equal(domu->d->refs, refs + 1);
    pass(2000000001);
    assert_true(domu->d->shut_down);
    assert_int_equal(domu->d->shutdown_code, SHUTDOWN_watchdog);
    assert_int_equal(domu->d->refs, refs);
}

/* An armed one does not keep a dead domain. */
static void test_watchdog_of_the_dead(void **state)
{
    struct sched_watchdog w = {.timeout = 2000};

    assert_int_equal(SCHED(watchdog, &w), 1);
    vcpu_pause_set(domu->d->vcpu[0], VCPU_DOWN_BIT);
    guest_exit();
    guest_kill(domu);
    guest_exit();
    assert_null(domain_get(5));
    domu = guest_new(5, 2, false);
    guest_be(domu, 0);
}

static void test_pin_override(void **state)
{
    struct sched_pin_override p = {.pcpu = 0};

    assert_int_equal(SCHED(pin_override, &p), -EPERM);
    guest_be(dom0, 0);
    assert_int_equal(SCHED(pin_override, &p), 0);
    p.pcpu = 1;
    assert_int_equal(SCHED(pin_override, &p), -EINVAL);
    p.pcpu = 1 << 30;
    assert_int_equal(SCHED(pin_override, &p), -EINVAL);
    p.pcpu = -1;
    assert_int_equal(SCHED(pin_override, &p), 0);
    assert_int_equal(dom0->d->vcpu[0]->unit.pin, -1);
    assert_int_equal(sched_op(SCHEDOP_yield, 0), 0);
    assert_int_equal(sched_op(8, 0), -ENOSYS);
    guest_be(domu, 0);
}

/* ---- vCPUs ---- */

static void test_up_and_down(void **state)
{
    assert_int_equal(vcpu_op(VCPUOP_is_up, 1, 0), 1);
    assert_int_equal(vcpu_op(VCPUOP_is_up, 2, 0), -ENOENT);
    assert_int_equal(vcpu_op(VCPUOP_is_up, 8191, 0), -ENOENT);
    assert_int_equal(vcpu_op(VCPUOP_is_up, ~0u, 0), -ENOENT);
    assert_int_equal(vcpu_op(99, 0, 0), -ENOSYS);
    assert_int_equal(vcpu_op(VCPUOP_down, 1, 0), 0);
    assert_int_equal(vcpu_op(VCPUOP_is_up, 1, 0), 0);
    assert_int_equal(vcpu_op(VCPUOP_up, 1, 0), 0);
    assert_int_equal(vcpu_op(VCPUOP_is_up, 1, 0), 1);
    domu->d->vcpu[1]->initialised = false;
    assert_int_equal(vcpu_op(VCPUOP_up, 1, 0), -EINVAL);
    assert_int_equal(vcpu_op(VCPUOP_down, 1, 0), 0);
    assert_int_equal(vcpu_op(VCPUOP_down, 0, 0), 0); /* the last one */
    assert_true(domu->d->shut_down);
    assert_int_equal(domu->d->shutdown_code, SHUTDOWN_poweroff);
}

static void test_register_vcpu_info(void **state)
{
    struct vcpu_register_vcpu_info a = {.mfn = domu->mfn[4].n, .offset = PAGE_SIZE - 56};
    struct vcpu *v = domu->d->vcpu[0];

    assert_int_equal(VCPU(register_vcpu_info, 0, &a), -ENXIO);
    a.offset = 3;
    assert_int_equal(VCPU(register_vcpu_info, 0, &a), -ENXIO);
    a.offset = ~0u - 63;
    assert_int_equal(VCPU(register_vcpu_info, 0, &a), -ENXIO);
    a.offset = PAGE_SIZE - 64;
    assert_int_equal(VCPU(register_vcpu_info, 1, &a), -EINVAL); /* it is up */
    a.mfn = dom0->mfn[4].n;
    assert_int_equal(VCPU(register_vcpu_info, 0, &a), -EINVAL);
    a.mfn = domu->mfn[4].n;
    v->info->arch.cr2 = 0x1234;
    assert_int_equal(VCPU(register_vcpu_info, 0, &a), 0);
    assert_ptr_equal(v->info, (char *)guest_page(domu, 4) + PAGE_SIZE - 64);
    assert_ptr_equal(cpu_local()->upcall, v->info);
    assert_int_equal(v->info->arch.cr2, 0x1234);
    assert_int_equal(v->info->evtchn_upcall_pending, 1);
    assert_true(v->info->evtchn_pending_sel == ~0ul);
    assert_int_equal(VCPU(register_vcpu_info, 0, &a), -EINVAL); /* twice */
    assert_int_equal(frame_audit(), 0);
    assert_int_equal(vcpu_op(VCPUOP_down, 1, 0), 0);
    a.mfn = domu->mfn[5].n;
    assert_int_equal(VCPU(register_vcpu_info, 1, &a), 0);
    assert_int_equal(vcpu_op(VCPUOP_register_vcpu_info, 0, 0x1000), -EFAULT);
}

/* The page that all share may be the one that is registered, the new place over the old. */
static void test_vcpu_info_over_itself(void **state)
{
    struct vcpu_register_vcpu_info a = {.mfn = virt_to_mfn(domu->d->shared_info).n, .offset = 32};
    struct vcpu *v = domu->d->vcpu[0];

    v->info->arch.cr2 = 0x1234;
    assert_int_equal(VCPU(register_vcpu_info, 0, &a), 0);
    assert_int_equal(v->info->arch.cr2, 0x1234);
    assert_ptr_equal(v->info, (char *)domu->d->shared_info + 32);
}

static void test_runstate(void **state)
{
    struct vcpu_register_runstate_memory_area a = {.addr.p = guest_va(7) + 100};
    struct vcpu_runstate_info r, *shared = (void *)((char *)guest_page(domu, 7) + 100);
    uint64_t sum = 0;

    memset(&r, 0xff, sizeof(r));
    host_tsc += 1000000;
    assert_int_equal(VCPU(get_runstate_info, 0, &r), 0);
    assert_int_equal(r.state, RUNSTATE_running);
    for (unsigned i = 0; i < 4; i++)
        sum += r.time[i];
    assert_true(r.time[RUNSTATE_running] >= 1000000);
    assert_true(sum <= time_now());
    assert_int_equal(VCPU(register_runstate_memory_area, 0, &a), 0);
    memcpy(&r, shared, sizeof(r));
    assert_int_equal(r.state, RUNSTATE_running);
    a.addr.p = 0xffff830000000000ul;
    assert_int_equal(VCPU(register_runstate_memory_area, 0, &a), -EFAULT);
    a.addr.p = 0x5000; /* not mapped: allowed */
    assert_int_equal(VCPU(register_runstate_memory_area, 1, &a), 0);
    a.addr.p = 0;
    assert_int_equal(VCPU(register_runstate_memory_area, 0, &a), 0);
    assert_int_equal(domu->d->vcpu[0]->runstate_va, 0);
}

static void test_time_area(void **state)
{
    struct vcpu_register_time_memory_area a = {.addr.p = guest_va(8)};
    struct vcpu_time_info *t = guest_page(domu, 8);

    assert_int_equal(VCPU(register_vcpu_time_memory_area, 0, &a), 0);
    assert_true(t->version && !(t->version & 1));
    a.addr.p = ~0ul - 8;
    assert_int_equal(VCPU(register_vcpu_time_memory_area, 0, &a), -EFAULT);
}

static void test_nmi_and_physid(void **state)
{
    guest_exit();
    assert_int_equal(vcpu_op(VCPUOP_send_nmi, 0, 0), 0);
    assert_true(domu->d->vcpu[0]->nmi_pending);
    assert_true(cpu_local()->work & (1u << SOFTIRQ_GUEST));
    assert_int_equal(vcpu_op(VCPUOP_get_physid, 0, guest_va(0)), -EINVAL);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_block_and_timer),
        TEST(test_timer_fires_on_the_way_out),
        TEST(test_block_with_an_event_pending),
        TEST(test_timers),
        TEST(test_poll),
        TEST(test_poll_ended_by_a_kick),
        TEST(test_shutdown),
        TEST(test_remote_shutdown),
        TEST(test_watchdog),
        TEST(test_watchdog_of_the_dead),
        TEST(test_pin_override),
        TEST(test_up_and_down),
        TEST(test_register_vcpu_info),
        TEST(test_vcpu_info_over_itself),
        TEST(test_runstate),
        TEST(test_time_area),
        TEST(test_nmi_and_physid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
