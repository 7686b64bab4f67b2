/* SPDX-License-Identifier: MIT */
/* time/timer: order, re-arming in the handler, stop, other CPUs; random operations against a model.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "machine.h"
#include <stdlib.h>

#include "base/softirq.h"
#include "time/clock.h"
#include "time/timer.h"

#define TIMERS 50

static uint64_t armed_tsc, armed_delta;
static unsigned arms;
static unsigned fired[TIMERS];
static uint64_t last_deadline;
static struct timer timers[TIMERS];
static unsigned kicked;

static void arm(uint64_t tsc, uint64_t delta_ns)
{
    armed_tsc = tsc;
    armed_delta = delta_ns;
    arms++;
}

static void stop(void)
{
}

static const struct timer_device device = {"test", arm, stop};

static void handler(void *data)
{
    fired[(uintptr_t)data]++;
}

static void kick(unsigned cpu)
{
    kicked |= 1u << cpu;
}

static void fresh(unsigned cpus)
{
    host_machine_init(1 << 20, cpus);
    host_tsc_step = 0;
    clock_init_hz(1000000000);
    timer_start(&device);
    softirq_kick = kick;
    kicked = arms = 0;
    armed_tsc = 0;
    memset(fired, 0, sizeof(fired));
    for (uintptr_t i = 0; i < TIMERS; i++)
        timer_init(&timers[i], handler, (void *)i);
}

/* Time goes to `ns`; the device fires if its deadline has come. */
static void pass(uint64_t ns)
{
    host_tsc = time_ns_to_tsc(ns);
    if (armed_tsc && armed_tsc <= host_tsc) {
        armed_tsc = 0;
        timer_interrupt();
    }
    softirq_run();
}

static void in_order(void **state)
{
    fresh(1);
    assert_int_equal(timer_next(), UINT64_MAX);
    timer_set(&timers[1], 2000);
    assert_int_equal(armed_delta, 2000);
    timer_set(&timers[0], 1000);
    assert_int_equal(armed_delta, 1000);
    timer_set(&timers[2], 3000);
    assert_int_equal(arms, 2);
    pass(999);
    assert_int_equal(fired[0], 0);
    pass(1000);
    assert_int_equal(fired[0], 1);
    assert_int_equal(fired[1], 0);
    assert_false(timer_active(&timers[0]));
    pass(5000);
    assert_int_equal(fired[1], 1);
    assert_int_equal(fired[2], 1);
    assert_int_equal(timer_next(), UINT64_MAX);
}

static void past_fires_at_once(void **state)
{
    fresh(1);
    pass(1000);
    timer_set(&timers[0], 10);
    assert_int_equal(armed_delta, 0);
    pass(1000);
    assert_int_equal(fired[0], 1);
}

static void put_off_and_stop(void **state)
{
    fresh(1);
    timer_set(&timers[0], 1000);
    timer_set(&timers[0], 5000);
    timer_set(&timers[1], 2000);
    timer_stop(&timers[1]);
    timer_stop(&timers[1]);
    pass(4000); /* the early interrupt finds nothing and sets the device anew */
    assert_int_equal(fired[0] + fired[1], 0);
    assert_int_equal(armed_delta, 1000);
    pass(5000);
    assert_int_equal(fired[0], 1);
}

static struct timer again;
static unsigned again_count;

static void rearm_past(void *data)
{
    again_count++;
    timer_set(&again, 0);
}

static void rearm_in_handler_cannot_hang(void **state)
{
    fresh(1);
    again_count = 0;
    timer_init(&again, rearm_past, NULL);
    timer_set(&again, 100);
    pass(100);
    assert_int_equal(again_count, 1);
    assert_true(timer_active(&again));
    pass(101);
    assert_int_equal(again_count, 2);
    timer_kill(&again);
    assert_false(timer_active(&again));
}

static void free_in_handler(void *data)
{
    free(data);
    again_count++;
}

static void stop_other(void *data)
{
    timer_stop(data);
    again_count++;
}

static void handler_may_free_and_stop(void **state)
{
    struct timer *t = malloc(sizeof(*t));

    fresh(1);
    again_count = 0;
    timer_init(t, free_in_handler, t);
    timer_set(t, 50);
    /* Both have expired; the first stops the second. */
    timer_init(&again, stop_other, &timers[3]);
    timer_set(&again, 60);
    timer_set(&timers[3], 61);
    pass(100);
    assert_int_equal(again_count, 2);
    assert_int_equal(fired[3], 0);
}

static void other_cpu(void **state)
{
    fresh(2);
    timer_set(&timers[0], 1000);
    timer_move(&timers[0], 1);
    assert_int_equal(kicked, 2);
    assert_int_equal(timer_next(), UINT64_MAX);
    armed_tsc = 0;
    host_cpu_select(1);
    softirq_run(); /* sets this CPU's device */
    assert_int_equal(armed_delta, 1000);
    host_cpu_select(0);
    kicked = 0;
    timer_set(&timers[0], 2000); /* later: nobody has to be told */
    assert_int_equal(kicked, 0);
    timer_set(&timers[0], 500);
    host_cpu_select(1);
    pass(500);
    assert_int_equal(fired[0], 1);
    timer_move(&timers[0], 1);
    timer_move(&timers[0], 0);
    assert_int_equal(timers[0].cpu, 0);
    timer_kill(&timers[0]);
}

static void never_initialised(void **state)
{
    struct timer t = {0};

    timer_stop(&t);
    timer_kill(&t);
}

static void ordered_handler(void *data)
{
    struct timer *t = data;

    assert_true(t->expires >= last_deadline);
    last_deadline = t->expires;
    fired[t - timers]++;
}

/* The model: a deadline for each timer, 0 none. */
static void random_operations(void **state)
{
    uint64_t model[TIMERS] = {0}, now = 1000;
    unsigned expected[TIMERS] = {0};

    fresh(1);
    srand(1);
    for (unsigned i = 0; i < TIMERS; i++)
        timer_init(&timers[i], ordered_handler, &timers[i]);
    pass(now);
    for (unsigned n = 0; n < 200000; n++) {
        unsigned i = (unsigned)rand() % TIMERS;
        uint64_t first = UINT64_MAX;

        switch (rand() % 4) {
        case 0:
        case 1:
            model[i] = now + 1 + (unsigned)rand() % 1000;
            timer_set(&timers[i], model[i]);
            break;
        case 2:
            model[i] = 0;
            timer_stop(&timers[i]);
            break;
        case 3:
            now += (unsigned)rand() % 100;
            for (unsigned k = 0; k < TIMERS; k++)
                if (model[k] && model[k] <= now) {
                    model[k] = 0;
                    expected[k]++;
                }
            last_deadline = 0;
            pass(now);
            break;
        }
        for (unsigned k = 0; k < TIMERS; k++)
            if (model[k] && model[k] < first)
                first = model[k];
        assert_int_equal(timer_next(), first);
        assert_int_equal(fired[i], expected[i]);
        assert_int_equal(timer_active(&timers[i]), model[i] != 0);
    }
    timer_dump();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order),
        cmocka_unit_test(past_fires_at_once),
        cmocka_unit_test(put_off_and_stop),
        cmocka_unit_test(rearm_in_handler_cannot_hang),
        cmocka_unit_test(handler_may_free_and_stop),
        cmocka_unit_test(other_cpu),
        cmocka_unit_test(never_initialised),
        cmocka_unit_test(random_operations),
    };
    return cmocka_run_group_tests_name("time_timer", tests, NULL, NULL);
}
