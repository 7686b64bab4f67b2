/* SPDX-License-Identifier: MIT */
/* devices/vpit against the data sheet: Intel 8254. */
#include "devices_clock.h"

#include "devices/vpit.h"

#define PIN 2 /* of the IO-APIC, where line 0 ends */

static struct vpit p;

static int setup(void **state)
{
    clock_setup();
    vpit_init(&p, &irqs, &timer_mode);
    vpit_attach(&p, &ports);
    open_pin(PIN, false);
    return 0;
}

static int teardown(void **state)
{
    vpit_stop(&p);
    return 0;
}

/* Time to the middle of tick `n` from now. */
static uint64_t ticks_ns(uint64_t n)
{
    return n * SECOND / VPIT_HZ + 400;
}

static void program(unsigned n, unsigned mode, uint16_t count)
{
    out(0x43, (uint8_t)(n << 6 | 3 << 4 | mode << 1));
    out((uint16_t)(0x40 + n), (uint8_t)count);
    out((uint16_t)(0x40 + n), count >> 8);
}

static uint16_t count_of(unsigned n)
{
    uint16_t low;

    out(0x43, (uint8_t)(n << 6)); /* latch */
    low = in((uint16_t)(0x40 + n));
    return low | in((uint16_t)(0x40 + n)) << 8;
}

static uint8_t status_of(unsigned n)
{
    out(0x43, (uint8_t)(0xe0 | 2 << n));
    return in((uint16_t)(0x40 + n));
}

static bool out2(void)
{
    return in(0x61) & 0x20;
}

static void test_mode_0(void **state)
{
    out(0x61, 1); /* gate of counter 2 */
    program(2, 0, 100);
    assert_false(out2());
    pass(ticks_ns(99));
    assert_false(out2());
    assert_int_equal(count_of(2), 1);
    pass(ticks_ns(1));
    assert_true(out2());
    pass(ticks_ns(9));
    assert_int_equal(count_of(2), 0x10000 - 10); /* goes on, round */
    assert_true(out2());
    out(0x42, 50); /* half a count: stops */
    assert_false(out2());
    pass(ticks_ns(500));
    assert_false(out2());
    out(0x42, 0);
    assert_int_equal(count_of(2), 50);
    pass(ticks_ns(20));
    out(0x61, 0); /* the gate holds the count */
    pass(ticks_ns(1000));
    assert_int_equal(count_of(2), 30);
    assert_false(out2());
    out(0x61, 1);
    pass(ticks_ns(30));
    assert_true(out2());
}

static void test_mode_0_interrupt(void **state)
{
    program(0, 0, 1000);
    pass(ticks_ns(998));
    assert_int_equal(by_pin(PIN), 0);
    pass(ticks_ns(2));
    assert_int_equal(by_pin(PIN), 1);
    pass(SECOND);
    assert_int_equal(by_pin(PIN), 0);
    program(0, 0, 1000);
    out(0x43, 0x30); /* another control word: no more */
    pass(SECOND);
    assert_int_equal(by_pin(PIN), 0);
}

static void test_mode_1(void **state)
{
    program(2, 1, 50);
    assert_true(out2());
    pass(ticks_ns(100));
    assert_true(out2());
    out(0x61, 1); /* the trigger */
    assert_false(out2());
    pass(ticks_ns(49));
    assert_false(out2());
    out(0x61, 0); /* its end means nothing */
    pass(ticks_ns(1));
    assert_true(out2());
    out(0x61, 1);
    pass(ticks_ns(40));
    out(0x61, 0);
    out(0x61, 1); /* again, before the end */
    pass(ticks_ns(40));
    assert_false(out2());
    pass(ticks_ns(10));
    assert_true(out2());
}

static void test_mode_2(void **state)
{
    program(0, 2, 11932); /* 100 Hz */
    pass(SECOND + 1000000);
    assert_int_equal(by_pin(PIN), 100); /* 99.998 ms too early each second */
    out(0x61, 1);
    program(2, 2, 10);
    assert_true(out2());
    pass(ticks_ns(9));
    assert_false(out2()); /* at count 1 */
    assert_int_equal(count_of(2), 1);
    pass(ticks_ns(1) - 400);
    assert_true(out2());
    assert_int_equal(count_of(2), 10);
    out(0x42, 20);
    out(0x42, 0); /* at the end of this cycle */
    pass(ticks_ns(4) - 400);
    assert_int_equal(count_of(2), 6);
    assert_true(status_of(2) & 0x40);
    pass(ticks_ns(6) - 400);
    assert_false(status_of(2) & 0x40);
    assert_int_equal(count_of(2), 20);
    pass(ticks_ns(5) - 400);
    out(0x61, 0); /* the gate: high, and anew */
    pass(ticks_ns(3));
    assert_true(out2());
    out(0x61, 1);
    assert_int_equal(count_of(2), 20);
}

static void test_mode_2_new_count(void **state)
{
    program(0, 2, 1000);
    pass(ticks_ns(500));
    out(0x40, 0xd0);
    out(0x40, 0x07); /* 2000 */
    pass(ticks_ns(501));
    assert_int_equal(by_pin(PIN), 1);
    pass(ticks_ns(1900));
    assert_int_equal(by_pin(PIN), 0);
    pass(ticks_ns(100));
    assert_int_equal(by_pin(PIN), 1);
    pass(ticks_ns(20000));
    assert_int_equal(by_pin(PIN), 10);
}

static void test_mode_3(void **state)
{
    out(0x61, 1);
    program(2, 3, 9);
    assert_true(out2());
    assert_int_equal(count_of(2), 8); /* by two */
    pass(ticks_ns(4));
    assert_true(out2());
    assert_int_equal(count_of(2), 0);
    pass(ticks_ns(1) - 400);
    assert_false(out2()); /* five high, four low */
    assert_int_equal(count_of(2), 8);
    pass(ticks_ns(3) - 400);
    assert_false(out2());
    pass(ticks_ns(1) - 400);
    assert_true(out2());
    program(0, 3, 0); /* 65536: 18.2 Hz */
    pass(10 * SECOND);
    assert_int_equal(by_pin(PIN), 182);
}

static void test_mode_4(void **state)
{
    out(0x61, 1);
    program(2, 4, 20);
    assert_true(out2());
    pass(ticks_ns(20));
    assert_false(out2()); /* for one tick */
    pass(ticks_ns(1));
    assert_true(out2());
    program(0, 4, 20);
    pass(ticks_ns(20));
    assert_int_equal(by_pin(PIN), 0); /* it rises at the end of the strobe */
    pass(SECOND);
    assert_int_equal(by_pin(PIN), 1);
}

static void test_mode_5(void **state)
{
    program(2, 5, 20);
    pass(ticks_ns(20));
    assert_true(out2());
    out(0x61, 1);
    pass(ticks_ns(20));
    assert_false(out2());
    pass(ticks_ns(1));
    assert_true(out2());
    program(0, 5, 20); /* nothing ever triggers counter 0 */
    pass(SECOND);
    assert_int_equal(by_pin(PIN), 0);
}

static void test_modes_6_and_7(void **state)
{
    out(0x43, 0xbc);
    assert_int_equal(status_of(2) & 0x0e, 4);
    out(0x43, 0xbe);
    assert_int_equal(status_of(2) & 0x0e, 6);
}

static void test_access(void **state)
{
    out(0x61, 1);
    out(0x43, 0x90); /* the low byte alone */
    out(0x42, 0x80);
    assert_int_equal(in(0x42), 0x80);
    assert_int_equal(in(0x42), 0x80);
    out(0x43, 0xa0); /* the high one */
    out(0x42, 0x12);
    assert_int_equal(in(0x42), 0x12);
    pass(ticks_ns(1));
    assert_int_equal(in(0x42), 0x11);
    assert_int_equal(in(0x43), 0xff);
}

static void test_latch(void **state)
{
    out(0x61, 1);
    program(2, 0, 1000);
    pass(ticks_ns(100));
    out(0x43, 0x80);
    pass(ticks_ns(100));
    out(0x43, 0x80); /* the first one counts */
    assert_int_equal(in(0x42), 900 & 0xff);
    assert_int_equal(in(0x42), 900 >> 8);
    assert_int_equal(in(0x42), 800 & 0xff); /* as it is now */
    assert_int_equal(in(0x42), 800 >> 8);
}

static void test_read_back(void **state)
{
    out(0x61, 1);
    out(0x43, 0xb0);
    assert_int_equal(status_of(2), 0x70); /* low, no count yet */
    program(2, 0, 500);
    assert_int_equal(status_of(2), 0x30);
    pass(ticks_ns(100));
    out(0x43, 0xc8); /* both of counter 2 */
    pass(ticks_ns(500));
    assert_int_equal(in(0x42), 0x30); /* the status first */
    assert_int_equal(in(0x42), 400 & 0xff);
    assert_int_equal(in(0x42), 400 >> 8);
    assert_int_equal(status_of(2), 0xb0);
    program(0, 2, 300);
    program(1, 2, 400);
    out(0x43, 0xde); /* counts of all three */
    assert_int_equal(in(0x40), 300 & 0xff);
    assert_int_equal(in(0x41), 400 & 0xff);
}

static void test_bcd(void **state)
{
    out(0x61, 1);
    out(0x43, 0xb1);
    out(0x42, 0x34);
    out(0x42, 0x12);
    pass(ticks_ns(35));
    assert_int_equal(count_of(2), 0x1199);
    pass(ticks_ns(1200));
    assert_int_equal(count_of(2), 0x9999);
    out(0x42, 0);
    out(0x42, 0); /* 10000 */
    pass(ticks_ns(1));
    assert_int_equal(count_of(2), 0x9999);
}

static void test_refresh(void **state)
{
    uint8_t first = in(0x61) & 0x10;

    pass(15085);
    assert_int_not_equal(in(0x61) & 0x10, first);
    pass(15085);
    assert_int_equal(in(0x61) & 0x10, first);
    out(0x61, 0xff);
    assert_int_equal(in(0x61) & 0x0f, 3);
}

/* A guest that asks for a million ticks a second gets what is good for it. */
static void test_flood(void **state)
{
    program(0, 2, 1);
    pass(SECOND / 10);
    assert_in_range(by_pin(PIN), 4900, 5000);
}

static void test_saved(void **state)
{
    struct hvm_hw_pit r, bad;

    program(0, 2, 11932);
    out(0x61, 3);
    program(2, 0, 1000);
    out(0x42, 5); /* half a count */
    vpit_save(&p, &r);
    assert_int_equal(r.channels[0].count, 11932);
    assert_int_equal(r.channels[0].mode, 2);
    assert_int_equal(r.speaker_data_on, 1);
    vpit_stop(&p);
    vpit_init(&p, &irqs, &timer_mode);
    assert_int_equal(vpit_check(&r), 0);
    vpit_load(&p, &r);
    assert_int_equal(in(0x61) & 3, 3);
    out(0x42, 1); /* the other half: 0x105 */
    assert_int_equal(count_of(2), 0x105);
    pass(SECOND);
    assert_true(by_pin(PIN) >= 99);

    for (unsigned n = 0; n < 9; n++) {
        struct hvm_hw_pit_channel *c = &bad.channels[n % 2];

        bad = r;
        switch (n) {
        case 0:
            c->count = 0;
            break;
        case 1:
            c->count = 0x10001;
            break;
        case 2:
            c->mode = 6;
            break;
        case 3:
            c->rw_mode = 0;
            break;
        case 4:
            c->read_state = 5;
            break;
        case 5:
            c->write_state = 0;
            break;
        case 6:
            c->gate = 0;
            break;
        case 7:
            c->bcd = 1, c->count = 10001;
            break;
        default:
            c->count_latched = 9;
            break;
        }
        assert_int_equal(vpit_check(&bad), -EINVAL);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_mode_0),
        T(test_mode_0_interrupt),
        T(test_mode_1),
        T(test_mode_2),
        T(test_mode_2_new_count),
        T(test_mode_3),
        T(test_mode_4),
        T(test_mode_5),
        T(test_modes_6_and_7),
        T(test_access),
        T(test_latch),
        T(test_read_back),
        T(test_bcd),
        T(test_refresh),
        T(test_flood),
        T(test_saved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
