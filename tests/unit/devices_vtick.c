/* SPDX-License-Identifier: MIT */
/* devices/vtick: what becomes of ticks that the guest could not take in time, by the mode (public
 * hvm/params.h, HVM_PARAM_TIMER_MODE). */
#include "devices_clock.h"

#include <xen/hvm/params.h>
#include "devices/vtick.h"

#define MS 1000000ull

static struct lock chip = LOCK_INIT(RANK_VCHIP, "chip");
static struct vtick t;
static unsigned ticks;
static bool waits;

static bool tick_waits(void *owner)
{
    assert_true(lock_held(&chip));
    return waits;
}

static void tick(void *owner)
{
    assert_true(lock_held(&chip));
    ticks++;
}

static void start(uint64_t due, uint64_t period)
{
    lock(&chip);
    vtick_start(&t, due, period);
    unlock(&chip);
}

static int setup(void **state)
{
    static const struct vtick_ops ops = {tick_waits, tick};

    clock_setup();
    vtick_init(&t, &ops, NULL, &chip, &timer_mode);
    ticks = 0;
    waits = false;
    start(time_now() + MS, MS << VTICK_FRACTION);
    return 0;
}

static int teardown(void **state)
{
    vtick_kill(&t);
    assert_int_equal(timer_next(), UINT64_MAX);
    return 0;
}

static unsigned came_in(uint64_t ns)
{
    ticks = 0;
    pass(ns);
    return ticks;
}

static void test_in_time(void **state)
{
    assert_int_equal(came_in(100 * MS), 100);
    lock(&chip);
    vtick_stop(&t);
    unlock(&chip);
    assert_int_equal(came_in(100 * MS), 0);
}

static void test_once(void **state)
{
    waits = true; /* does not matter */
    start(time_now() + MS, 0);
    assert_int_equal(came_in(MS - 1), 0);
    assert_int_equal(came_in(1), 1);
    assert_int_equal(came_in(100 * MS), 0);
}

/* 7 ticks a microsecond and a fraction: after a hundred thousand of them not one is missing. */
static void test_no_drift(void **state)
{
    uint64_t period = ((100 * MS) << VTICK_FRACTION) / 3001, begun = time_now();

    start(begun + (period >> VTICK_FRACTION), period);
    pass(100 * MS * 100);
    assert_in_range(ticks, 300099, 300100);
}

static void test_all_are_delivered(void **state)
{
    for (timer_mode = 0; timer_mode <= HVMPTM_no_delay_for_missed_ticks; timer_mode++) {
        waits = true;
        assert_int_equal(came_in(10 * MS), 0);
        waits = false;
        assert_in_range(came_in(4 * MS), 13, 17); /* four times as fast */
        assert_int_equal(came_in(96 * MS) + 15, 96 + 10 + 4 + 1);
        assert_int_equal(came_in(10 * MS), 10);
    }
}

static void test_none_is_kept(void **state)
{
    timer_mode = HVMPTM_no_missed_ticks_pending;
    waits = true;
    assert_int_equal(came_in(10 * MS), 0);
    waits = false;
    assert_int_equal(came_in(10 * MS), 10);
}

static void test_one_is_kept(void **state)
{
    timer_mode = HVMPTM_one_missed_tick_pending;
    waits = true;
    assert_int_equal(came_in(10 * MS), 0);
    waits = false;
    assert_int_equal(came_in(10 * MS), 11);
}

/* The hypervisor itself was late. */
static void test_late(void **state)
{
    static const unsigned expected[] = {20, 20, 11, 11};

    for (timer_mode = 0; timer_mode < ARRAY_SIZE(expected); timer_mode++) {
        start(time_now() + MS, MS << VTICK_FRACTION);
        ticks = 0;
        pass_late(10 * MS);
        assert_int_equal(ticks, 1);
        pass(10 * MS);
        assert_int_equal(ticks, expected[timer_mode]);
    }
}

/* Programmed by a guest on another CPU, it ticks there. */
static void test_goes_where_the_guest_is(void **state)
{
    host_cpu_select(1);
    start(time_now() + MS, MS << VTICK_FRACTION);
    assert_int_equal(came_in(10 * MS), 10);
    host_cpu_select(0);
    assert_int_equal(timer_next(), UINT64_MAX);
    start(time_now() + MS, MS << VTICK_FRACTION);
    assert_int_equal(came_in(10 * MS), 10);
}

static void test_bounds(void **state)
{
    waits = true;
    pass_late(5000 * MS);
    assert_int_equal(t.owed, VTICK_OWED_MAX);
    pass_late(1ull << 50);
    assert_int_equal(t.owed, VTICK_OWED_MAX);
    assert_true(timer_next() > time_now());
    start(time_now(), 1);
    assert_int_equal(t.period, (uint64_t)VTICK_MIN_NS << VTICK_FRACTION);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_in_time),
        T(test_once),
        T(test_no_drift),
        T(test_all_are_delivered),
        T(test_none_is_kept),
        T(test_one_is_kept),
        T(test_late),
        T(test_bounds),
        T(test_goes_where_the_guest_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
