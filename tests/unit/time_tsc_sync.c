/* SPDX-License-Identifier: MIT */
/* time/tsc_sync: a new CPU's clock that agrees is left alone; one that is off, either way, is
 * found, set and right afterwards; one that cannot be set is told, and time is not called stable.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "machine.h"
#include "base/log.h"
#include "cpu/cpu.h"
#include "cpu/policy.h"
#include "time/clock.h"
#include "time/tsc_sync.h"

static uint64_t stubborn; /* the adjustment that writes have no effect on */

static void undo(uint32_t msr, bool write, uint64_t *val)
{
    if (msr == MSR_TSC_ADJUST && write && stubborn)
        *val = stubborn;
}

static void *target(void *data)
{
    host_cpu_select(1);
    tsc_sync_target();
    return NULL;
}

static bool sync_with(uint64_t ahead)
{
    pthread_t thread;
    bool same;

    host_cpu_select(0);
    host_cpus[1].tsc_adjust = ahead;
    time_scale.stable = true;
    host_log();
    assert_int_equal(pthread_create(&thread, NULL, target, NULL), 0);
    same = tsc_sync_source(1);
    pthread_join(thread, NULL);
    return same;
}

static int fresh(void **state)
{
    struct cpuid_leaf l;

    host_machine_init(1 << 20, 2);
    l = hw_cpuid(7, 0);
    l.b |= 1u << (X86_FEATURE_TSC_ADJUST % 32);
    host_cpuid_set(7, 0, l);
    cpu_detect();
    assert_true(cpu_has(X86_FEATURE_TSC_ADJUST));
    host_tsc = 1ull << 40;
    host_tsc_step = 1;
    stubborn = 0;
    host_msr_hook = undo;
    return 0;
}

static int end(void **state)
{
    host_msr_hook = NULL;
    return 0;
}

static void that_agrees(void **state)
{
    for (unsigned n = 0; n < 3; n++)
        assert_true(sync_with(0));
    assert_int_equal(host_cpus[1].tsc_adjust, 0);
    assert_true(time_scale.stable);
    assert_string_equal(host_log(), "");
}

static void that_is_off(void **state)
{
    static const int64_t off[] = {-(1ll << 36), 1ll << 36, 1ll << 38};

    for (unsigned n = 0; n < ARRAY_SIZE(off); n++) {
        (void)sync_with((uint64_t)off[n]);
        assert_non_null(strstr(host_log(), "CPU 1: its TSC was "));
        /* By a measurement between threads: near, if not the same. */
        assert_true((int64_t)host_cpus[1].tsc_adjust > -(1ll << 30));
        assert_true((int64_t)host_cpus[1].tsc_adjust < 1ll << 30);
    }
}

static void that_cannot_be_set(void **state)
{
    stubborn = 1ull << 36;
    assert_false(sync_with(stubborn));
    assert_false(time_scale.stable);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(that_agrees, fresh, end),
        cmocka_unit_test_setup_teardown(that_is_off, fresh, end),
        cmocka_unit_test_setup_teardown(that_cannot_be_set, fresh, end),
    };
    return cmocka_run_group_tests_name("time_tsc_sync", tests, NULL, NULL);
}
