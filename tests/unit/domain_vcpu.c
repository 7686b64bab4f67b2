/* SPDX-License-Identifier: MIT */
/* domain/vcpu and domain/continuation: reasons not to run, time in each state, the clock page, and
 * a call that goes on later. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "guest.h"
#include "domain/continuation.h"

static struct guest *g;
static struct vcpu *v;

static int fresh(void **state)
{
    guest_machine(2);
    g = guest_new(1, 2, false);
    v = g->d->vcpu[0];
    return 0;
}

static int end(void **state)
{
    guest_kill(g);
    return 0;
}

static void each_reason_counts(void **state)
{
    vcpu_pause_set(v, VCPU_DOWN_BIT);
    vcpu_pause_set(v, VCPU_BLOCKED_BIT);
    assert_false(v->unit.runnable);
    vcpu_pause_clear(v, VCPU_DOWN_BIT);
    vcpu_pause_clear(v, VCPU_DOWN_BIT); /* twice is once */
    assert_false(v->unit.runnable);
    vcpu_kick(v);
    assert_true(v->unit.runnable);
    vcpu_pause_set(v, VCPU_POLLING_BIT);
    vcpu_pause_set(v, VCPU_PAUSED_BIT);
    vcpu_kick(v); /* an event does not end a pause */
    assert_false(v->unit.runnable);
    assert_int_equal(v->pause, 1u << VCPU_PAUSED_BIT);
    vcpu_pause_clear(v, VCPU_PAUSED_BIT);
    assert_true(v->unit.runnable);
    vcpu_pause_set(v, VCPU_DOWN_BIT);
}

static void time_in_states(void **state)
{
    struct vcpu_runstate_info r;

    vcpu_pause_set(v, VCPU_DOWN_BIT);
    assert_int_equal(v->runstate.state, RUNSTATE_offline);
    vcpu_pause_clear(v, VCPU_DOWN_BIT);
    memset(v->runstate.time, 0, sizeof(v->runstate.time));
    host_tsc += 100;
    vcpu_pause_clear(v, VCPU_POLLING_BIT); /* no change */
    host_tsc += 100;
    vcpu_pause_set(v, VCPU_BLOCKED_BIT);
    host_tsc += 50;
    vcpu_runstate_enter(v);
    assert_int_equal(v->runstate.time[RUNSTATE_runnable], 200);
    assert_int_equal(v->runstate.time[RUNSTATE_blocked], 50);
    assert_int_equal(v->runstate.time[RUNSTATE_running], 0);
    /* One that runs is left alone: its switch says what comes then. */
    host_tsc += 30;
    vcpu_pause_set(v, VCPU_PAUSED_BIT);
    assert_int_equal(v->runstate.state, RUNSTATE_running);
    assert_int_equal(vcpu_run_time(v), 30);
    vcpu_runstate_leave(v);
    assert_int_equal(v->runstate.state, RUNSTATE_offline);
    host_tsc += 7;
    assert_int_equal(vcpu_run_time(v), 30);
    assert_int_equal(vcpu_runstate_get(v, &r) - r.state_entry_time, 7);
    assert_int_equal(r.time[RUNSTATE_running], 30);
    vcpu_pause_set(v, VCPU_DOWN_BIT);
}

static void clock_page(void **state)
{
    uint32_t version;

    guest_be(g, 0);
    v->time_info_va = guest_va(3) + 8;
    vcpu_time_update(v);
    version = v->info->time.version;
    assert_int_equal(version % 2, 0);
    host_tsc += 12345;
    vcpu_time_update(v);
    assert_int_not_equal(v->info->time.version, version);
    assert_int_equal(v->info->time.version % 2, 0);
    assert_int_equal(v->info->time.tsc_timestamp, host_tsc);
    assert_memory_equal((char *)guest_page(g, 3) + 8, &v->info->time,
                        sizeof(struct vcpu_time_info));
    v->time_info_va = HV_VA_START; /* not the guest's: no harm */
    vcpu_time_update(v);
    v->time_info_va = 0;
    guest_be_idle();
}

static void pending_events(void **state)
{
    v->info->evtchn_upcall_pending = 1;
    v->info->evtchn_upcall_mask = 1;
    assert_false(vcpu_event_pending(v));
    v->info->evtchn_upcall_mask = 0;
    assert_true(vcpu_event_pending(v));
    v->info->evtchn_upcall_pending = 0;
    assert_false(vcpu_event_pending(v));
}

static void continuation(void **state)
{
    struct multicall_entry mc = {.op = 1};
    struct regs *r;

    guest_be(g, 0);
    r = vcpu_regs(v);
    r->rip = 0x1000;
    r->rdx = 77;
    v->continued = false;
    assert_int_equal(hypercall_continue_with(26, 5, 6), 0);
    assert_true(v->continued);
    assert_int_equal(r->rax, 26);
    assert_int_equal(r->rdi, 5);
    assert_int_equal(r->rsi, 6);
    assert_int_equal(r->rdx, 77); /* not named, not changed */
    assert_int_equal(r->rip, 0xffe);
    v->in_multicall = true;
    v->mc = &mc;
    assert_int_equal(hypercall_continue_with(12, 1, 2, 3), 0);
    assert_int_equal(mc.op, 12);
    assert_int_equal(mc.args[2], 3);
    assert_int_equal(r->rip, 0xffe); /* the entry says it, not the registers */
    v->in_multicall = false;
    guest_be_idle();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_reason_counts, fresh, end),
        cmocka_unit_test_setup_teardown(time_in_states, fresh, end),
        cmocka_unit_test_setup_teardown(clock_page, fresh, end),
        cmocka_unit_test_setup_teardown(pending_events, fresh, end),
        cmocka_unit_test_setup_teardown(continuation, fresh, end),
    };

    return cmocka_run_group_tests_name("domain_vcpu", tests, NULL, NULL);
}
