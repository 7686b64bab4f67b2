/* SPDX-License-Identifier: MIT */
/* base/lock: exclusion between threads, the order, and what debug builds refuse. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "machine.h"
#include <pthread.h>

#include "base/lock.h"

#define ROUNDS 20000

static struct lock counter_lock = LOCK_INIT(RANK_DOMAIN, "counter");
static unsigned long counter;
static unsigned polls;

static void poll(void)
{
    __atomic_fetch_add(&polls, 1, __ATOMIC_RELAXED);
}

static void *worker(void *arg)
{
    host_cpu_select((unsigned)(uintptr_t)arg);
    for (int i = 0; i < ROUNDS; i++) {
        lock(&counter_lock);
        assert_true(lock_held(&counter_lock));
        counter = counter + 1;
        unlock(&counter_lock);
    }
    return NULL;
}

static void exclusion(void **state)
{
    pthread_t t[3];

    host_machine_init(1 << 20, 4);
    lock_spin_poll = poll;
    for (uintptr_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&t[i], NULL, worker, (void *)(i + 1)), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    lock_spin_poll = NULL;
    assert_int_equal(counter, 3 * ROUNDS);
    assert_false(lock_held(&counter_lock));
}

static void try(void **state)
{
    struct lock l;

    lock_init(&l, RANK_EVENT, "l");
    assert_true(lock_try(&l));
    host_cpu_select(1);
    assert_false(lock_held(&l));
    assert_false(lock_try(&l));
    host_cpu_select(0);
    unlock(&l);
    assert_true(lock_try(&l));
    unlock(&l);
}

static void order(void **state)
{
    struct lock outer = LOCK_INIT(RANK_DOMAIN, "outer"), inner = LOCK_INIT(RANK_GRANT, "inner");

    lock(&outer);
    lock(&inner);
    /* Released in any order. */
    unlock(&outer);
    unlock(&inner);
    lock(&inner);
    assert_true(host_panics(lock(&outer)));
}

static void refusals(void **state)
{
    struct lock a = LOCK_INIT(RANK_GRANT, "a"), b = LOCK_INIT(RANK_GRANT, "b");

    assert_true(host_panics({
        lock(&a);
        lock(&b);
    }));
    a = b = (struct lock)LOCK_INIT(RANK_GRANT, "fresh");
    assert_true(host_panics(unlock(&a)));
    a = (struct lock)LOCK_INIT(RANK_GRANT, "fresh");
    interrupts_enable();
    assert_true(host_panics(lock(&a)));
    interrupts_disable();
}

static void pairs(void **state)
{
    struct lock l[2] = {LOCK_INIT(RANK_GRANT, "first"), LOCK_INIT(RANK_GRANT, "second")};

    lock_pair(&l[1], &l[0]);
    assert_true(lock_held(&l[0]) && lock_held(&l[1]));
    unlock_pair(&l[1], &l[0]);
    assert_false(lock_held(&l[0]) || lock_held(&l[1]));
    lock_pair(&l[0], &l[0]);
    assert_true(lock_held(&l[0]));
    unlock_pair(&l[0], &l[0]);
    assert_true(lock_try(&l[0]));
    unlock(&l[0]);
}

static void broken(void **state)
{
    struct lock l = LOCK_INIT(RANK_LOG, "l");

    host_cpu_select(1);
    lock(&l);
    host_cpu_select(0);
    lock_break(&l);
    assert_true(lock_try(&l));
    unlock(&l);
    lock_checks_reset();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exclusion), cmocka_unit_test(try),   cmocka_unit_test(order),
        cmocka_unit_test(refusals),  cmocka_unit_test(pairs), cmocka_unit_test(broken),
    };
    return cmocka_run_group_tests_name("base_lock", tests, NULL, NULL);
}
