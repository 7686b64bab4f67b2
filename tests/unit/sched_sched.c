/* SPDX-License-Identifier: MIT */
/* sched/sched: slices, waking and sleeping, moving between CPUs, and a random walk that checks that
 * what is runnable runs or waits in exactly one place. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "base/softirq.h"
#include "sched/sched.h"
#include "time/clock.h"
#include "time/timer.h"

#define UNITS 12
#define CPUS  3

static struct sched_unit unit[UNITS], idle[CPUS];
static unsigned switches;

static void arm(uint64_t tsc, uint64_t delta_ns)
{
}

static void stop(void)
{
}

static const struct timer_device device = {"test", arm, stop};

static void kick(unsigned cpu)
{
}

static void switch_to(struct sched_unit *prev, struct sched_unit *next)
{
    assert_ptr_not_equal(prev, next);
    assert_true(next->running);
    switches++;
    sched_switched(prev);
}

static const struct sched_ops ops = {.switch_to = switch_to};

static void fresh(unsigned cpus)
{
    host_machine_init(1 << 20, cpus);
    host_tsc_step = 0;
    host_tsc = 1000;
    clock_init_hz(1000000000);
    timer_start(&device);
    softirq_kick = kick;
    sched_init(&ops);
    for (unsigned i = cpus; i-- > 0;) {
        host_cpu_select(i);
        sched_cpu_init(i, &idle[i]);
    }
    for (unsigned i = 0; i < UNITS; i++)
        sched_unit_init(&unit[i], 0);
    switches = 0;
}

/* All CPUs do what they were told. */
static void settle(unsigned cpus)
{
    for (unsigned round = 0; round < 4; round++)
        for (unsigned i = 0; i < cpus; i++) {
            host_cpu_select(i);
            timer_interrupt();
            softirq_run();
        }
    host_cpu_select(0);
}

static void test_wake_preempts_idle(void **state)
{
    fresh(1);
    assert_ptr_equal(sched_current(), &idle[0]);
    sched_wake(&unit[0]);
    settle(1);
    assert_ptr_equal(sched_current(), &unit[0]);
    sched_wake(&unit[0]); /* twice is once */
    sched_sleep(&unit[0]);
    settle(1);
    assert_ptr_equal(sched_current(), &idle[0]);
    assert_false(unit[0].running);
    assert_int_equal(switches, 2);
}

static void test_slices_take_turns(void **state)
{
    unsigned ran[3] = {0};

    fresh(1);
    for (unsigned i = 0; i < 3; i++)
        sched_wake(&unit[i]);
    settle(1);
    for (unsigned i = 0; i < 30; i++) {
        ran[sched_current() - unit]++;
        host_tsc += SCHED_SLICE / 2;
        settle(1); /* half a slice changes nothing */
        host_tsc += SCHED_SLICE / 2;
        settle(1);
    }
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(ran[i], 10);
}

static void test_half_a_slice_is_kept(void **state)
{
    struct sched_unit *u;

    fresh(1);
    sched_wake(&unit[0]);
    sched_wake(&unit[1]);
    settle(1);
    u = sched_current();
    host_tsc += SCHED_SLICE / 2;
    settle(1);
    assert_ptr_equal(sched_current(), u);
    host_tsc += SCHED_SLICE / 2;
    settle(1);
    assert_ptr_not_equal(sched_current(), u);
}

static void test_alone_no_timer(void **state)
{
    fresh(1);
    sched_wake(&unit[0]);
    settle(1);
    assert_true(timer_next() == UINT64_MAX);
    sched_wake(&unit[1]);
    settle(1);
    assert_false(timer_next() == UINT64_MAX);
}

static void test_yield(void **state)
{
    struct sched_unit *u;

    fresh(1);
    sched_wake(&unit[0]);
    settle(1);
    sched_unit_yield(); /* to nobody */
    assert_false(softirq_pending());
    sched_wake(&unit[1]);
    settle(1);
    u = sched_current();
    sched_unit_yield();
    settle(1);
    assert_ptr_not_equal(sched_current(), u);
}

static void test_waking_finds_an_idle_cpu(void **state)
{
    fresh(2);
    sched_wake(&unit[0]);
    settle(2);
    sched_wake(&unit[1]);
    settle(2);
    assert_int_equal(unit[1].cpu, 1);
    assert_true(unit[1].running);
    /* A pinned one waits for its own. */
    unit[2].pinned = true;
    sched_sleep(&unit[1]);
    settle(2);
    sched_wake(&unit[2]);
    settle(2);
    assert_int_equal(unit[2].cpu, 0);
}

static void test_sleep_before_the_switch(void **state)
{
    fresh(1);
    sched_wake(&unit[0]);
    settle(1);
    sched_sleep(&unit[0]);
    sched_wake(&unit[0]); /* the CPU has not looked yet */
    settle(1);
    assert_ptr_equal(sched_current(), &unit[0]);
    sched_sleep(&unit[0]);
    settle(1);
    sched_wake(&unit[0]);
    sched_sleep(&unit[0]); /* never ran */
    settle(1);
    assert_ptr_equal(sched_current(), &idle[0]);
    assert_true(list_empty(&unit[0].link));
}

static void test_move(void **state)
{
    fresh(2);
    sched_wake(&unit[0]);
    settle(2);
    assert_true(unit[0].running);
    sched_move(&unit[0], 1, true); /* while it runs */
    settle(2);
    assert_int_equal(unit[0].cpu, 1);
    assert_true(unit[0].running);
    sched_sleep(&unit[0]);
    settle(2);
    sched_move(&unit[0], 0, true); /* while it sleeps */
    assert_int_equal(unit[0].cpu, 0);
    assert_false(unit[0].running);
    sched_sleep_sync(&unit[0]);
}

static void check(unsigned cpus)
{
    for (unsigned i = 0; i < UNITS; i++) {
        bool waits = !list_empty(&unit[i].link), current = false;

        for (unsigned c = 0; c < cpus; c++) {
            host_cpu_select(c);
            if (sched_current() == &unit[i]) {
                assert_false(current);
                assert_int_equal(unit[i].cpu, c);
                current = true;
            }
        }
        assert_int_equal(unit[i].running, current);
        assert_int_equal(unit[i].runnable, waits || current);
        assert_false(waits && current);
    }
    host_cpu_select(0);
}

static void test_random_walk(void **state)
{
    fresh(CPUS);
    srand(1);
    for (unsigned n = 0; n < 20000; n++) {
        struct sched_unit *u = &unit[rand() % UNITS];

        host_cpu_select((unsigned)rand() % CPUS);
        switch (rand() % 6) {
        case 0:
        case 1:
            sched_wake(u);
            break;
        case 2:
            sched_sleep(u);
            break;
        case 3:
            sched_unit_yield();
            break;
        case 4:
            sched_move(u, (unsigned)rand() % CPUS, rand() % 2);
            break;
        case 5:
            host_tsc += (uint64_t)rand() % (2 * SCHED_SLICE);
            break;
        }
        if (rand() % 3 == 0) {
            host_cpu_select((unsigned)rand() % CPUS);
            timer_interrupt();
            softirq_run();
        }
        if (n % 64 == 0) {
            settle(CPUS);
            check(CPUS);
        }
    }
    assert_true(switches > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wake_preempts_idle),
        cmocka_unit_test(test_slices_take_turns),
        cmocka_unit_test(test_half_a_slice_is_kept),
        cmocka_unit_test(test_alone_no_timer),
        cmocka_unit_test(test_yield),
        cmocka_unit_test(test_waking_finds_an_idle_cpu),
        cmocka_unit_test(test_sleep_before_the_switch),
        cmocka_unit_test(test_move),
        cmocka_unit_test(test_random_walk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
