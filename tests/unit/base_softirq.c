/* SPDX-License-Identifier: MIT */
/* base/softirq and base/percpu: raising, running, kicking others, deferred functions. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "machine.h"
#include "base/softirq.h"

static DEFINE_PER_CPU(unsigned, runs) = 5;
static DEFINE_PER_CPU(uint64_t, other) = 0x1234;
static unsigned kicked, rounds;
static struct task task_a, task_b;
static char order[16];
static unsigned order_len;

static void handler(void)
{
    this_cpu(runs)++;
    if (rounds) {
        rounds--;
        softirq_raise(SOFTIRQ_SCHEDULE);
    }
}

static void kick(unsigned cpu)
{
    kicked |= 1u << cpu;
}

static void copies(void **state)
{
    host_machine_init(1 << 20, 3);
    this_cpu(runs) = 100;
    assert_int_equal(per_cpu(runs, 1), 5);
    host_cpu_select(2);
    assert_int_equal(cpu_id(), 2);
    assert_int_equal(this_cpu(other), 0x1234);
    this_cpu(other)++;
    host_cpu_select(0);
    assert_int_equal(per_cpu(other, 2), 0x1235);
    assert_int_equal(per_cpu(other, 0), 0x1234);
    assert_true(percpu_size() >= sizeof(unsigned) + sizeof(uint64_t));
    assert_true(host_panics(percpu_init(0, (void *)8)));
    assert_true(host_panics(percpu_init(MAX_CPUS, (void *)64)));
}

static void raise_and_run(void **state)
{
    host_machine_init(1 << 20, 2);
    softirq_register(SOFTIRQ_SCHEDULE, handler);
    assert_false(softirq_pending());
    softirq_raise(SOFTIRQ_SCHEDULE);
    softirq_raise(SOFTIRQ_SCHEDULE);
    assert_true(softirq_pending());
    softirq_run();
    assert_int_equal(this_cpu(runs), 6);
    /* A raise inside the handler is served too. */
    rounds = 3;
    softirq_raise(SOFTIRQ_SCHEDULE);
    softirq_run();
    assert_int_equal(this_cpu(runs), 10);
    assert_false(softirq_pending());
    /* Nobody registered: passed over. */
    softirq_raise(SOFTIRQ_RCU);
    softirq_run();
    assert_false(softirq_pending());
}

static void on_another(void **state)
{
    host_machine_init(1 << 20, 2);
    softirq_kick = kick;
    softirq_raise_on(1, SOFTIRQ_SCHEDULE);
    assert_int_equal(kicked, 2);
    kicked = 0;
    softirq_raise_on(1, SOFTIRQ_SCHEDULE);
    assert_int_equal(kicked, 0); /* pending already */
    softirq_raise_on(0, SOFTIRQ_SCHEDULE);
    assert_int_equal(kicked, 0);
    assert_true(softirq_pending());
    host_cpu_select(1);
    softirq_run();
    assert_int_equal(this_cpu(runs), 6);
    softirq_kick = NULL;
}

static void run_task(void *data)
{
    order[order_len++] = *(const char *)data;
    if (order_len == 1)
        task_queue(&task_a);
}

static void tasks(void **state)
{
    host_machine_init(1 << 20, 1);
    task_a = (struct task){.fn = run_task, .data = "a"};
    task_b = (struct task){.fn = run_task, .data = "b"};
    task_queue(&task_a);
    task_queue(&task_b);
    task_queue(&task_a);
    softirq_run();
    assert_string_equal(order, "aba");
    softirq_run();
    assert_int_equal(order_len, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies),
        cmocka_unit_test(raise_and_run),
        cmocka_unit_test(on_another),
        cmocka_unit_test(tasks),
    };
    return cmocka_run_group_tests_name("base_softirq", tests, NULL, NULL);
}
