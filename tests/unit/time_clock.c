/* SPDX-License-Identifier: MIT */
/* time/clock: calibration against good and bad references, the scale, the wall clock. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "machine.h"
#include "lib/errno.h"
#include "time/clock.h"

/* A simulated platform clock: counts with the TSC at tsc_hz. */
static uint64_t tsc_hz, reads, jump_at;
static unsigned counter_bits;
static uint64_t counter_hz;

static uint64_t counter(void)
{
    /* Reading it takes a while, and once the emulator goes to sleep in the middle. */
    host_tsc += 500;
    if (++reads == jump_at)
        host_tsc += tsc_hz / 10;
    return (uint64_t)((unsigned __int128)host_tsc * counter_hz / tsc_hz) &
           (counter_bits < 64 ? (1ull << counter_bits) - 1 : ~0ull);
}

static struct clock_source source = {.name = "test", .read = counter};

static void calibrate(uint64_t hz, uint64_t reference_hz, unsigned bits)
{
    host_machine_init(1 << 20, 1);
    host_tsc_step = 20;
    tsc_hz = hz;
    source.hz = counter_hz = reference_hz;
    source.bits = counter_bits = bits;
    reads = 0;
    clock_init(&source);
}

static void assert_near(uint64_t a, uint64_t b, unsigned ppm)
{
    uint64_t off = a > b ? a - b : b - a;

    if (off > b / 1000000 * ppm)
        fail_msg("%lu is not %lu", a, b);
}

static void frequencies(void **state)
{
    static const uint64_t hz[] = {400000000, 1000000000, 2394454000, 5700000000};

    for (unsigned i = 0; i < 4; i++) {
        calibrate(hz[i], 14318180, 32); /* HPET */
        assert_near(time_tsc_hz, hz[i], 100);
        calibrate(hz[i], 3579545, 24); /* PM timer */
        assert_near(time_tsc_hz, hz[i], 300);
        calibrate(hz[i], 1193182, 16); /* PIT: wraps several times */
        assert_near(time_tsc_hz, hz[i], 500);
    }
    /* -icount: exactly 1 GHz is what it says. */
    calibrate(1000000000, 100000000, 64);
    assert_int_equal(time_tsc_hz, 1000000000);
}

static void one_bad_window(void **state)
{
    jump_at = 700;
    calibrate(2000000000, 14318180, 32);
    assert_near(time_tsc_hz, 2000000000, 300);
    jump_at = 0;
}

static void absurd(void **state)
{
    calibrate(100000, 14318180, 32); /* 0.1 MHz cannot be */
    assert_int_equal(time_tsc_hz, 1000000000);
    assert_non_null(strstr(host_log(), "cannot be"));
    host_machine_init(1 << 20, 1);
    clock_init(NULL);
    assert_int_equal(time_tsc_hz, 1000000000);
    host_cpuid_set(0, 0, (struct cpuid_leaf){0x16, 0, 0, 0});
    host_cpuid_set(0x15, 0, (struct cpuid_leaf){2, 200, 24000000, 0});
    clock_init(NULL);
    assert_int_equal(time_tsc_hz, 2400000000ull);
}

static void scale(void **state)
{
    static const uint64_t hz[] = {1000000,    400000000,  999999999,     1000000000, 1000000001,
                                  2000000000, 2000000001, 3300000000ull, 1ull << 33};

    for (unsigned i = 0; i < 9; i++) {
        host_machine_init(1 << 20, 1);
        host_tsc = 123456789;
        clock_init_hz(hz[i]);
        assert_true(time_scale.mul >= 1u << 31);
        assert_near(time_tsc_to_ns(time_scale.tsc_base + 1000 * hz[i]), 1000000000000ull, 1);
        for (uint64_t ns = 1; ns < 1ull << 60; ns = ns * 3 + 1) {
            uint64_t tsc = time_ns_to_tsc(ns);

            /* Not before, and within 2 ns or one tick. */
            assert_true(time_tsc_to_ns(tsc) >= ns);
            assert_true(time_tsc_to_ns(tsc) - ns <= 2 + 1000000000 / hz[i] + ns / 1000000000);
        }
        (void)time_ns_to_tsc(UINT64_MAX);
    }
}

static void monotonic(void **state)
{
    uint64_t last = 0;

    host_machine_init(1 << 20, 1);
    clock_init_hz(2394454000);
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t now = time_now();

        assert_true(now >= last);
        last = now;
    }
}

static void wall(void **state)
{
    struct wallclock w;

    host_machine_init(1 << 20, 1);
    host_tsc_step = 0;
    clock_init_hz(1000000000);
    assert_int_equal(wallclock_set(1700000000, 500, 1000000600), 0);
    w = wallclock_get();
    assert_int_equal(w.sec, 1699999998);
    assert_int_equal(w.nsec, 999999900);
    host_tsc += 3000000200ull;
    assert_int_equal(wallclock_now(), 1700000002);
    assert_int_equal(wallclock_set(1, 1000000000, 0), -EINVAL);
    assert_int_equal(wallclock_set(0, 0, 1), -EINVAL);
    assert_int_equal(wallclock_set(5, 0, 6000000000ull), -EINVAL);
    assert_int_equal(wallclock_set(0, 0, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frequencies), cmocka_unit_test(one_bad_window), cmocka_unit_test(absurd),
        cmocka_unit_test(scale),       cmocka_unit_test(monotonic),      cmocka_unit_test(wall),
    };
    return cmocka_run_group_tests_name("time_clock", tests, NULL, NULL);
}
