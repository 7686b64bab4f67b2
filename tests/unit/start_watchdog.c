/* SPDX-License-Identifier: MIT */
/* start/watchdog: CPUs that come to their timers are left alone; one that does not is sent an NMI
 * by the one that watches it, in whose handler it panics; an NMI without the watchdog's wish is not
 * its matter. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "machine.h"
#include "base/param.h"
#include "base/softirq.h"
#include "start/watchdog.h"
#include "time/clock.h"
#include "time/timer.h"

#define SECOND 1000000000ull

static unsigned nmis[3];

static void nmi(unsigned cpu)
{
    nmis[cpu]++;
}

static void arm(uint64_t tsc, uint64_t delta)
{
}

static void stop(void)
{
}

/* A second passes, and the CPUs of `mask` come to their timers. */
static void second(unsigned mask)
{
    host_tsc += SECOND;
    for (unsigned cpu = 0; cpu < 3; cpu++)
        if (mask >> cpu & 1) {
            host_cpu_select(cpu);
            timer_interrupt();
            softirq_run();
        }
    host_cpu_select(0);
}

static int fresh(void **state)
{
    static const struct timer_device device = {.arm = arm, .stop = stop};

    host_machine_init(1 << 20, 3);
    host_tsc_step = 0;
    host_tsc = 1000;
    clock_init_hz(SECOND);
    timer_start(&device);
    param_parse("watchdog watchdog_timeout=3");
    watchdog_send_nmi = nmi;
    memset(nmis, 0, sizeof(nmis));
    watchdog_start();
    return 0;
}

static void all_beat(void **state)
{
    for (unsigned n = 0; n < 20; n++)
        second(7);
    assert_int_equal(nmis[0] + nmis[1] + nmis[2], 0);
    assert_false(watchdog_nmi(&(struct regs){0}));
}

static void one_hangs(void **state)
{
    for (unsigned n = 0; n < 5; n++)
        second(7);
    for (unsigned n = 0; n < 4; n++) { /* its last beat is heard in the first of these */
        assert_int_equal(nmis[2], 0);
        second(3);
    }
    assert_int_equal(nmis[2], 1);
    assert_int_equal(nmis[0] + nmis[1], 0);
    host_cpu_select(2);
    host_log();
    assert_true(host_panics((void)watchdog_nmi(&(struct regs){.rip = 0x1234})));
    assert_non_null(strstr(host_log(), "Panic on CPU 2: the watchdog has not heard"));
    host_cpu_select(1);
    assert_false(watchdog_nmi(&(struct regs){0}));
}

/* The last is watched by the first again; one that was never heard of has not begun. */
static void in_a_ring(void **state)
{
    for (unsigned n = 0; n < 10; n++)
        second(6);
    assert_int_equal(nmis[0], 0);
    for (unsigned n = 0; n < 5; n++)
        second(7);
    for (unsigned n = 0; n < 4; n++)
        second(6);
    assert_true(nmis[0] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(all_beat, fresh),
        cmocka_unit_test_setup(one_hangs, fresh),
        cmocka_unit_test_setup(in_a_ring, fresh),
    };
    return cmocka_run_group_tests_name("start_watchdog", tests, NULL, NULL);
}
