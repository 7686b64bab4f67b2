/* SPDX-License-Identifier: MIT */
/* sched/: slices, weights, caps, waking and sleeping, affinity, pools, and a random walk that
 * checks that what is runnable runs or waits in exactly one place. tests/sim/sched.c measures whole
 * runs. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "base/param.h"
#include "base/softirq.h"
#include "lib/errno.h"
#include "sched/sched.h"
#include "time/clock.h"
#include "time/timer.h"

#define UNITS 12
#define CPUS  3
#define MS    1000000ull

static struct sched_group group[2]; /* odd units are in group 1 */
static struct sched_unit unit[UNITS], idle[CPUS + 1];
static uint64_t ran[UNITS];
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

static const struct sched_upcalls upcalls = {.switch_to = switch_to};

/* CPUs 0 and 1 are a cluster, CPU 2 is another. */
static void fresh_units(unsigned cpus, const uint32_t core[])
{
    host_machine_init(8 << 20, cpus);
    host_memory_init();
    host_tsc_step = 0;
    host_tsc = 1000;
    clock_init_hz(1000000000);
    timer_start(&device);
    softirq_kick = kick;
    sched_init(&upcalls);
    for (unsigned i = cpus; i-- > 0;) {
        host_cpu_select(i);
        sched_cpu_init(i, i / 2, &idle[i]);
        softirq_run();
    }
    host_cpu_select(0);
    sched_start_cores(core);
    for (unsigned i = 0; i < 2; i++)
        sched_group_init(&group[i]);
    for (unsigned i = 0; i < UNITS; i++)
        assert_int_equal(sched_unit_init(&unit[i], &group[i % 2], 0), 0);
    switches = 0;
    memset(ran, 0, sizeof(ran));
}

static void fresh(unsigned cpus)
{
    static const uint32_t all_alone[MAX_CPUS] = {0};

    fresh_units(cpus, all_alone);
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

/* Time goes by on one CPU, in steps that see every timer. */
static void pass(uint64_t ns)
{
    const uint64_t step = 100000;

    for (; ns >= step; ns -= step) {
        if (!sched_current()->idle)
            ran[sched_current() - unit] += step;
        host_tsc += step;
        settle(1);
    }
}

static struct cpu_mask mask(unsigned bits)
{
    return (struct cpu_mask){.bits = {bits}};
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
    fresh(1);
    for (unsigned i = 0; i < 3; i++)
        sched_wake(&unit[i]);
    settle(1);
    pass(300 * MS);
    for (unsigned i = 0; i < 3; i++)
        assert_in_range(ran[i], 97 * MS, 103 * MS);
    assert_in_range(switches, 28, 32);
}

static void test_weights(void **state)
{
    fresh(1);
    assert_int_equal(sched_group_set(&group[1], 0, 0), -EINVAL);
    assert_int_equal(sched_group_set(&group[1], 65536, 0), -EINVAL);
    assert_int_equal(sched_group_set(&group[1], 768, 0), 0);
    sched_wake(&unit[0]);
    sched_wake(&unit[1]);
    settle(1);
    pass(4000 * MS);
    assert_in_range(ran[0], 980 * MS, 1020 * MS);
    /* A change has effect at once, on who runs and who waits. */
    assert_int_equal(sched_group_set(&group[1], 256, 0), 0);
    memset(ran, 0, sizeof(ran));
    pass(1000 * MS);
    assert_in_range(ran[0], 480 * MS, 520 * MS);
}

static void test_cap(void **state)
{
    fresh(1);
    assert_int_equal(sched_group_set(&group[1], 256, 25), 0);
    sched_wake(&unit[1]);
    settle(1);
    pass(1000 * MS);
    assert_in_range(ran[1], 247 * MS, 254 * MS);
    /* Both units of the group together; the other group has the rest. */
    sched_wake(&unit[3]);
    sched_wake(&unit[0]);
    memset(ran, 0, sizeof(ran));
    pass(1000 * MS);
    assert_in_range(ran[1] + ran[3], 247 * MS, 254 * MS);
    assert_in_range(ran[0], 745 * MS, 754 * MS);
    /* A cap that is lifted lets its units go at once. */
    while (!unit[1].parked)
        pass(MS);
    assert_int_equal(sched_group_set(&group[1], 256, 0), 0);
    assert_false(unit[1].parked);
    sched_sleep(&unit[0]);
    sched_sleep(&unit[3]);
    settle(1);
    assert_ptr_equal(sched_current(), &unit[1]);
}

static void test_sleeping_while_parked(void **state)
{
    fresh(1);
    assert_int_equal(sched_group_set(&group[0], 256, 10), 0);
    sched_wake(&unit[0]);
    settle(1);
    while (!unit[0].parked)
        pass(MS);
    sched_sleep(&unit[0]);
    assert_true(list_empty(&unit[0].link));
    pass(30 * MS);
    assert_true(sched_current()->idle);
    sched_wake(&unit[0]);
    settle(1);
    assert_ptr_equal(sched_current(), &unit[0]);
}

static void test_waking_preempts_after_the_rate_limit(void **state)
{
    fresh(1);
    sched_wake(&unit[0]);
    settle(1);
    pass(5 * MS);
    sched_wake(&unit[1]); /* unit 0 has run long enough */
    settle(1);
    assert_ptr_equal(sched_current(), &unit[1]);
    sched_sleep(&unit[1]);
    settle(1);
    assert_ptr_equal(sched_current(), &unit[0]);
    pass(MS / 2);
    sched_wake(&unit[1]); /* it has not: its millisecond is left to it */
    settle(1);
    assert_ptr_equal(sched_current(), &unit[0]);
    pass(MS / 2);
    assert_ptr_equal(sched_current(), &unit[1]);
    /* Without a limit at once. */
    assert_int_equal(sched_pool_set_ratelimit(sched_pool0, 99999), -EINVAL);
    assert_int_equal(sched_pool_set_ratelimit(sched_pool0, 500000001), -EINVAL);
    assert_int_equal(sched_pool_set_ratelimit(sched_pool0, 0), 0);
    sched_sleep(&unit[1]);
    settle(1);
    pass(20 * MS);
    sched_wake(&unit[1]);
    settle(1);
    assert_ptr_equal(sched_current(), &unit[1]);
}

static void test_long_sleep_is_a_slice_at_most(void **state)
{
    fresh(1);
    sched_wake(&unit[0]);
    settle(1);
    pass(5000 * MS);
    sched_wake(&unit[1]);
    settle(1);
    memset(ran, 0, sizeof(ran));
    pass(100 * MS);
    assert_in_range(ran[1], 50 * MS, 61 * MS);
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
    fresh(3);
    sched_wake(&unit[0]);
    settle(3);
    sched_wake(&unit[1]);
    settle(3);
    assert_int_equal(unit[1].cpu, 1);
    assert_true(unit[1].running);
    sched_wake(&unit[2]); /* that of another cluster, when its own has none */
    settle(3);
    assert_int_equal(unit[2].cpu, 2);
    /* Who has only one place waits for it, and gets it. */
    sched_sleep(&unit[1]);
    settle(3);
    assert_int_equal(sched_set_affinity(&unit[3], &(struct cpu_mask){.bits = {1}}, &unit[3].soft),
                     0);
    sched_wake(&unit[3]);
    settle(3);
    assert_int_equal(unit[3].cpu, 0);
}

static void test_an_idle_cpu_takes_over(void **state)
{
    fresh(3);
    for (unsigned i = 0; i < 4; i++)
        sched_wake(&unit[i]);
    settle(3);
    for (unsigned i = 0; i < 4; i++)
        if (unit[i].running && unit[i].cpu == 2) {
            sched_sleep(&unit[i]);
            break;
        }
    settle(3);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(unit[i].running, unit[i].runnable);
}

static void test_affinity(void **state)
{
    struct cpu_mask none = mask(0x10), two = mask(4), any = mask(7);

    fresh(3);
    assert_int_equal(sched_set_affinity(&unit[0], &none, &any), -EINVAL);
    assert_int_equal(sched_set_affinity(&unit[0], &any, &two), 0);
    sched_wake(&unit[0]);
    settle(3);
    assert_int_equal(unit[0].cpu, 2); /* as it likes */
    sched_wake(&unit[1]);
    settle(3);
    assert_int_equal(sched_set_affinity(&unit[1], &two, &any), 0); /* while it runs */
    settle(3);
    assert_int_equal(unit[1].cpu, 2);
    assert_int_equal(unit[0].cpu + unit[1].cpu == 4 ? unit[0].running + unit[1].running : 2,
                     unit[0].cpu == 2 ? 1 : 2);
    assert_int_equal(sched_pin(&unit[1], 0), 0); /* whatever affinity says */
    settle(3);
    assert_int_equal(unit[1].cpu, 0);
    assert_true(unit[1].running);
    assert_int_equal(sched_pin(&unit[1], 3), -EINVAL);
    assert_int_equal(sched_pin(&unit[1], -1), 0);
    settle(3);
    assert_int_equal(unit[1].cpu, 2);
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

static void test_pools(void **state)
{
    struct sched_pool *p = NULL, *same;
    struct cpu_mask free_cpus;

    fresh(3);
    for (unsigned i = 0; i < 6; i++)
        sched_wake(&unit[i]);
    settle(3);
    assert_int_equal(sched_pool_create(0, &sched_fair, &same), -EEXIST);
    assert_int_equal(sched_pool_create(7, &sched_fair, &p), 0);
    assert_ptr_equal(sched_pool_find(1, false), p);
    assert_null(sched_pool_find(1, true));
    assert_ptr_equal(sched_pool_find(7, true), p);
    assert_int_equal(sched_group_move(&group[1], p), -EBUSY);
    assert_int_equal(sched_pool_add_cpu(p, 2), -EBUSY);
    assert_int_equal(sched_pool_remove_cpu(p, 2), -ENOENT);
    assert_int_equal(sched_pool_remove_cpu(sched_pool0, 2), 0);
    settle(3);
    host_cpu_select(2);
    assert_ptr_equal(sched_current(), &idle[2]);
    sched_free_cpus(&free_cpus);
    assert_int_equal(free_cpus.bits[0], 4);
    assert_int_equal(sched_pool_add_cpu(p, 3), -ENODEV);
    assert_int_equal(sched_pool_add_cpu(p, 2), 0);
    assert_int_equal(sched_group_move(&group[1], p), 0);
    settle(3);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(unit[i].cpu == 2, i % 2);
    assert_int_equal(sched_pool_remove_cpu(p, 2), -EBUSY);
    assert_int_equal(sched_pool_destroy(p), -EBUSY);
    assert_int_equal(sched_pool_destroy(sched_pool0), -EBUSY);
    assert_int_equal(sched_group_move(&group[1], sched_pool0), 0);
    assert_int_equal(sched_pool_remove_cpu(p, 2), 0);
    assert_int_equal(sched_pool_destroy(p), 0);
    settle(3);
    for (unsigned i = 0; i < 6; i++)
        assert_int_not_equal(unit[i].cpu, 2);
}

static void test_null_pool(void **state)
{
    struct sched_pool *p = NULL;

    fresh(3);
    assert_int_equal(sched_pool_create(1, &sched_null, &p), 0);
    for (unsigned cpu = 1; cpu < 3; cpu++) {
        assert_int_equal(sched_pool_remove_cpu(sched_pool0, cpu), 0);
        assert_int_equal(sched_pool_add_cpu(p, cpu), 0);
    }
    for (unsigned i = 7; i < UNITS; i += 2)
        sched_unit_destroy(&unit[i]);
    assert_int_equal(sched_group_move(&group[1], p), 0);
    for (unsigned i = 1; i < 6; i += 2)
        sched_wake(&unit[i]);
    settle(3);
    /* Two have a CPU each, and one waits until one of them is gone. */
    assert_true(unit[1].running && unit[3].running && unit[5].parked);
    host_cpu_select(unit[1].cpu);
    assert_true(timer_next() == UINT64_MAX);
    sched_sleep(&unit[1]);
    settle(3);
    assert_true(unit[5].parked);
    sched_unit_destroy(&unit[1]);
    settle(3);
    assert_true(unit[5].running);
}

static void test_cpu_leaves_and_comes_back(void **state)
{
    fresh(2);
    for (unsigned i = 0; i < 4; i++)
        sched_wake(&unit[i]);
    settle(2);
    assert_int_equal(sched_cpu_remove(1), -ERESTART);
    settle(2);
    assert_int_equal(sched_cpu_remove(1), 0);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(unit[i].cpu, 0);
    assert_int_equal(sched_cpu_remove(0), -EBUSY);
    sched_cpu_restore(1);
    sched_cpu_restore(1); /* twice is once */
    settle(2);
    assert_int_equal(unit[0].running + unit[1].running + unit[2].running + unit[3].running, 2);
}

/* What the CPU runs: a unit's number, or -1. */
static int runs(unsigned cpu)
{
    host_cpu_select(cpu);
    return sched_current()->idle ? -1 : (int)(sched_current() - unit);
}

/* Four CPUs are two cores. Even units are of group 0, odd ones of group 1. */
static void fresh_cores(void)
{
    static const uint32_t key[MAX_CPUS] = {5, 5, 2, 2};

    param_parse("sched-gran=core");
    fresh_units(4, key);
    param_parse("sched-gran=cpu");
    assert_int_equal(sched_threads(), 2);
}

static void test_a_core_runs_one_group(void **state)
{
    struct cpu_mask second = mask(2), any = mask(0xf);

    fresh_cores();
    assert_int_equal(sched_cpu_remove(1), -EOPNOTSUPP);
    /* Units 0 and 2 are together, 1 and 3; a mask may name any thread of a core. */
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(sched_set_affinity(&unit[i], &second, &any), 0);
        sched_wake(&unit[i]);
    }
    settle(4);
    assert_int_equal(runs(0), 0);
    assert_int_equal(runs(1), 2);
    assert_int_equal(runs(2), -1);
    /* One sleeps: nobody else takes its place. */
    sched_sleep(&unit[2]);
    settle(4);
    assert_int_equal(runs(0), 0);
    assert_int_equal(runs(1), -1);
    assert_false(unit[2].running);
    /* The second thread has still to leave when the first has: nobody enters before. */
    sched_wake(&unit[2]);
    settle(4);
    host_cpu_select(0);
    host_tsc += 11 * MS;
    timer_interrupt();
    softirq_run();
    assert_int_equal(runs(0), -1);
    assert_int_equal(runs(1), 2);
    softirq_run();
    assert_int_equal(runs(1), 3);
    settle(4);
    assert_int_equal(runs(0), 1);
    /* What sleeps leaves the core to who waits. */
    sched_sleep(&unit[1]);
    sched_sleep(&unit[3]);
    settle(4);
    assert_int_equal(runs(0), 0);
    assert_int_equal(runs(1), 2);
}

static void test_cores_and_pools(void **state)
{
    struct sched_pool *p = NULL;

    fresh_cores();
    for (unsigned i = 0; i < 4; i++)
        sched_wake(&unit[i]);
    settle(4);
    assert_int_equal(sched_pool_create(1, &sched_fair, &p), 0);
    assert_int_equal(sched_pool_remove_cpu(sched_pool0, 3), 0); /* with CPU 2 */
    assert_int_equal(sched_pool_remove_cpu(sched_pool0, 0), -EBUSY);
    assert_int_equal(sched_pool_add_cpu(p, 2), 0);
    assert_int_equal(p->cpus.bits[0], 0xc);
    assert_int_equal(sched_group_move(&group[1], p), 0);
    settle(4);
    assert_int_equal(runs(0), 0);
    assert_int_equal(runs(1), 2);
    assert_int_equal(runs(2), 1);
    assert_int_equal(runs(3), 3);
    /* A whole bundle goes when its last part does. */
    sched_sleep(&unit[1]);
    sched_sleep(&unit[3]);
    settle(4);
    for (unsigned i = 1; i < UNITS; i += 2)
        sched_unit_destroy(&unit[i]);
    assert_true(list_empty(&group[1].units));
}

/* Three CPUs cannot be two cores: each is scheduled alone then. */
static void test_uneven_cores(void **state)
{
    static const uint32_t key[MAX_CPUS] = {1, 1, 2};

    param_parse("sched-gran=core");
    fresh_units(3, key);
    param_parse("sched-gran=cpu");
    assert_int_equal(sched_threads(), 1);
    assert_null(unit[0].whole);
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
        switch (rand() % 7) {
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
            assert_int_equal(sched_pin(u, rand() % (CPUS + 1) - 1), 0);
            break;
        case 5:
            host_tsc += (uint64_t)rand() % (2 * SCHED_SLICE);
            break;
        case 6:
            assert_int_equal(sched_group_set(u->group, 1 + (unsigned)rand() % 1000,
                                             rand() % 2 ? (unsigned)rand() % 200 : 0),
                             0);
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
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_cap),
        cmocka_unit_test(test_sleeping_while_parked),
        cmocka_unit_test(test_waking_preempts_after_the_rate_limit),
        cmocka_unit_test(test_long_sleep_is_a_slice_at_most),
        cmocka_unit_test(test_alone_no_timer),
        cmocka_unit_test(test_yield),
        cmocka_unit_test(test_waking_finds_an_idle_cpu),
        cmocka_unit_test(test_an_idle_cpu_takes_over),
        cmocka_unit_test(test_affinity),
        cmocka_unit_test(test_sleep_before_the_switch),
        cmocka_unit_test(test_pools),
        cmocka_unit_test(test_null_pool),
        cmocka_unit_test(test_cpu_leaves_and_comes_back),
        cmocka_unit_test(test_a_core_runs_one_group),
        cmocka_unit_test(test_cores_and_pools),
        cmocka_unit_test(test_uneven_cores),
        cmocka_unit_test(test_random_walk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
