/* SPDX-License-Identifier: MIT */
/* devices/vrtc against the data sheet: Motorola MC146818A. */
#include "devices_clock.h"

#include <time.h>
#include "devices/vrtc.h"

#define MS  1000000ull
#define PIN 8
#define DAY 86400ll

static struct vrtc r;

static void set_wallclock(uint64_t sec)
{
    assert_int_equal(wallclock_set(sec, 0, time_now()), 0);
}

static int setup(void **state)
{
    clock_setup();
    set_wallclock(1700000000); /* Tuesday, 2023-11-14, 22:13:20 */
    vrtc_init(&r, &irqs, &timer_mode);
    vrtc_attach(&r, &ports);
    open_pin(PIN, false);
    return 0;
}

static int teardown(void **state)
{
    vrtc_stop(&r);
    assert_int_equal(timer_next(), UINT64_MAX);
    return 0;
}

static uint8_t get(uint8_t n)
{
    vbus_write(&ports, 0x70, 1, n);
    return in(0x71);
}

static void set(uint8_t n, uint8_t val)
{
    vbus_write(&ports, 0x70, 1, n);
    vbus_write(&ports, 0x71, 1, val);
}

static void expect(uint8_t year, uint8_t month, uint8_t day, uint8_t hour, uint8_t min, uint8_t sec)
{
    assert_int_equal(get(9), year);
    assert_int_equal(get(8), month);
    assert_int_equal(get(7), day);
    assert_int_equal(get(4), hour);
    assert_int_equal(get(2), min);
    assert_int_equal(get(0), sec);
}

static void test_formats(void **state)
{
    assert_int_equal(get(0x0d), 0x80);
    expect(0x23, 0x11, 0x14, 0x22, 0x13, 0x20);
    assert_int_equal(get(6), 3); /* Sunday is 1 */
    set(0x0b, 0x00);
    assert_int_equal(get(4), 0x90); /* ten in the evening */
    set(0x0b, 0x04);
    expect(23, 11, 14, 0x8a, 13, 20);
    set(0x0b, 0x06);
    expect(23, 11, 14, 22, 13, 20);
    pass(40 * SECOND);
    expect(23, 11, 14, 22, 14, 0);
}

/* Midnight and noon have a twelve. */
static void test_twelve_hours(void **state)
{
    static const uint8_t expected[] = {0x12, 0x01, 0x11, 0x92, 0x81, 0x91};
    static const uint8_t hours[] = {0, 1, 11, 12, 13, 23};

    for (unsigned i = 0; i < ARRAY_SIZE(hours); i++) {
        set(0x0b, 2);
        set(4, (uint8_t)(hours[i] / 10 << 4 | hours[i] % 10));
        set(0x0b, 0);
        assert_int_equal(get(4), expected[i]);
        set(4, expected[i]);
        set(0x0b, 2);
        assert_int_equal(get(4), hours[i] / 10 << 4 | hours[i] % 10);
    }
}

/* Some day of each month of 130 years, against the C library. */
static void test_calendar(void **state)
{
    set(0x0b, 0x06);
    for (int64_t t = 0; t < 130 * 365 * DAY; t += 29 * DAY + 12345) {
        time_t tt = t;
        struct tm tm;

        gmtime_r(&tt, &tm);
        vrtc_set_offset(&r, t - 1700000000);
        expect((uint8_t)(tm.tm_year % 100), (uint8_t)(tm.tm_mon + 1), (uint8_t)tm.tm_mday,
               (uint8_t)tm.tm_hour, (uint8_t)tm.tm_min, (uint8_t)tm.tm_sec);
        assert_int_equal(get(6), tm.tm_wday + 1);
    }
    vrtc_set_offset(&r, INT64_MIN);
    vrtc_set_offset(&r, INT64_MAX);
    assert_in_range(get(8), 1, 12);
}

static void test_set_while_it_runs(void **state)
{
    set(4, 0x05);
    expect(0x23, 0x11, 0x14, 0x05, 0x13, 0x20);
    set(9, 0x99);
    expect(0x99, 0x11, 0x14, 0x05, 0x13, 0x20);
    assert_int_equal(r.hw.rtc_offset, -17 * 3600 + 27759 * DAY); /* 76 years, 19 leap days */
    set(9, 0x23);
    pass(3 * SECOND);
    expect(0x23, 0x11, 0x14, 0x05, 0x13, 0x23);
}

static void test_set_while_halted(void **state)
{
    set(0x0b, 0x92); /* SET, and UIE that it clears */
    assert_int_equal(get(0x0b), 0x82);
    pass(5 * SECOND);
    expect(0x23, 0x11, 0x14, 0x22, 0x13, 0x20); /* stands still */
    set(9, 0x24);
    set(8, 0x02);
    set(7, 0x29);
    set(4, 0x23);
    set(2, 0x59);
    set(0, 0x58);
    pass(5 * SECOND);
    set(0x0b, 0x02);
    expect(0x24, 0x02, 0x29, 0x23, 0x59, 0x58);
    pass(2 * SECOND);
    expect(0x24, 0x03, 0x01, 0, 0, 0);
    set(0x0a, 0x76); /* the divider in reset */
    pass(5 * SECOND);
    expect(0x24, 0x03, 0x01, 0, 0, 0);
    set(0x0a, 0x26);
    pass(SECOND);
    expect(0x24, 0x03, 0x01, 0, 0, 1);
}

static void test_nonsense(void **state)
{
    for (unsigned n = 0; n < 14; n++)
        set((uint8_t)n, 0xff);
    assert_int_equal(get(0x0a), 0x7f);
    set(0x0b, 0x00);
    set(0x0a, 0x26);
    for (unsigned n = 0; n < 10; n++)
        set((uint8_t)n, 0xff);
    assert_in_range(get(8), 1, 0x12);
    assert_int_equal(get(0x0d), 0x80);
}

static void test_update_in_progress(void **state)
{
    assert_int_equal(get(0x0a), 0x26);
    pass(SECOND - MS);
    assert_int_equal(get(0x0a), 0xa6);
    assert_int_equal(get(0), 0x20);
    pass(MS);
    assert_int_equal(get(0x0a), 0x26);
    assert_int_equal(get(0), 0x21);
    set(0x0b, 0x82);
    pass(SECOND - MS);
    assert_int_equal(get(0x0a), 0x26); /* no updates while it is set */
}

static void test_update_interrupts(void **state)
{
    get(0x0c);
    pass(SECOND);
    assert_int_equal(get(0x0c), 0x50); /* told, but no interrupt; PF too */
    assert_int_equal(get(0x0c), 0);
    set(0x0b, 0x12);
    assert_int_equal(by_pin(PIN), 0);
    pass(SECOND);
    assert_int_equal(by_pin(PIN), 1);
    pass(3 * SECOND);
    assert_int_equal(by_pin(PIN), 0); /* the line is high until C is read */
    assert_int_equal(get(0x0c), 0xd0);
    pass(SECOND);
    assert_int_equal(by_pin(PIN), 1);
    set(0x0b, 0x02); /* the flag stays, the request goes */
    assert_int_equal(irqs.high, 0);
    assert_int_equal(get(0x0c), 0x50);
    set(0x0b, 0x12);
    pass(SECOND);
    assert_int_equal(by_pin(PIN), 1);
}

static void alarm(uint8_t hour, uint8_t min, uint8_t sec)
{
    set(5, hour);
    set(3, min);
    set(1, sec);
    get(0x0c);
}

static void test_alarms(void **state)
{
    alarm(0x22, 0x14, 0x05);
    set(0x0b, 0x22);
    pass(44 * SECOND);
    assert_int_equal(by_pin(PIN), 0);
    assert_int_equal(get(0x0c) & 0x20, 0);
    pass(SECOND);
    assert_int_equal(by_pin(PIN), 1);
    assert_int_equal(get(0x0c) & 0xa0, 0xa0);
    pass(86399 * SECOND);
    assert_int_equal(by_pin(PIN), 0);
    pass(SECOND); /* a day later */
    assert_int_equal(by_pin(PIN), 1);
    alarm(0xff, 0xc0, 0x30); /* each minute */
    for (int i = 0; i < 5; i++) {
        pass(60 * SECOND);
        assert_int_equal(by_pin(PIN), 1);
        get(0x0c);
    }
    alarm(0xff, 0xff, 0xff); /* each second */
    pass(SECOND);
    assert_int_equal(by_pin(PIN), 1);
    alarm(0xff, 0x00, 0xff); /* each second of minute 0 */
    pass(3600 * SECOND);
    assert_int_equal(by_pin(PIN), 1);
    alarm(0x25, 0, 0); /* never */
    assert_int_equal(timer_next(), UINT64_MAX);
    /* With no interrupt for it the flag is found when C is read. */
    set(0x0b, 0x02);
    alarm(0x12, 0x00, 0x00);
    pass(86400 * SECOND);
    assert_int_equal(get(0x0c) & 0xa0, 0x20);
    pass(3600 * SECOND);
    assert_int_equal(get(0x0c) & 0xa0, 0);
}

static void test_alarm_twelve_hours(void **state)
{
    set(0x0b, 0x20);
    alarm(0x90, 0x13, 0x25); /* 22:13:25 */
    pass(5 * SECOND);
    assert_int_equal(by_pin(PIN), 1);
}

static void test_periodic(void **state)
{
    static const unsigned hz[] = {0,   256, 128, 8192, 4096, 2048, 1024, 512,
                                  256, 128, 64,  32,   16,   8,    4,    2};

    for (unsigned rate = 0; rate < 16; rate++) {
        unsigned n = 0;

        set(0x0a, (uint8_t)(0x20 | rate));
        set(0x0b, 0x42);
        get(0x0c);
        by_pin(PIN); /* the flag may have been there */
        for (unsigned i = 0; i < 16384; i++) {
            pass(SECOND / 16384);
            n += (get(0x0c) & 0xc0) == 0xc0;
        }
        assert_in_range(n, hz[rate] ? hz[rate] - 1 : 0, hz[rate]);
        assert_int_equal(by_pin(PIN), n);
        set(0x0b, 0x02);
    }
}

/* Ticks that nobody acknowledges are owed. */
static void test_periodic_missed(void **state)
{
    set(0x0a, 0x2a); /* 64 Hz */
    set(0x0b, 0x42);
    pass(SECOND);
    assert_int_equal(by_pin(PIN), 1);
    for (unsigned i = 0; i < 400; i++) {
        get(0x0c);
        pass(SECOND / 400);
    }
    assert_in_range(by_pin(PIN), 125, 128);
}

static void test_others_ram(void **state)
{
    uint64_t val;

    assert_false(vbus_write(&ports, 0x70, 1, 0x32)); /* the device model sees it too */
    assert_false(vbus_write(&ports, 0x71, 1, 0x20));
    assert_false(vbus_read(&ports, 0x71, 1, &val));
    assert_false(vbus_read(&ports, 0x70, 1, &val));
    assert_false(vbus_write(&ports, 0x70, 1, 0x8a)); /* bit 7 is the NMI's */
    assert_true(vbus_read(&ports, 0x71, 1, &val));
    assert_int_equal(val, 0x26);
}

static void test_saved(void **state)
{
    struct hvm_hw_rtc s, bad;

    set(4, 0x05);
    alarm(0x05, 0x13, 0x25);
    set(0x0b, 0x22);
    vrtc_save(&r, &s);
    assert_int_equal(s.cmos_data[4], 0x05);
    assert_int_equal(s.rtc_offset, -17 * 3600);
    vrtc_stop(&r);
    vrtc_init(&r, &irqs, &timer_mode);
    assert_int_equal(vrtc_check(&s), 0);
    vrtc_load(&r, &s);
    expect(0x23, 0x11, 0x14, 0x05, 0x13, 0x20);
    pass(5 * SECOND);
    assert_int_equal(by_pin(PIN), 1);
    bad = s;
    bad.cmos_index = 0x80;
    assert_int_equal(vrtc_check(&bad), -EINVAL);
    memset(&bad, 0xff, sizeof(bad));
    bad.cmos_index = bad.pad0 = 0;
    assert_int_equal(vrtc_check(&bad), 0);
    vrtc_load(&r, &bad);
    assert_int_equal(get(0x0d), 0x80);
    pass(SECOND);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_formats),
        T(test_twelve_hours),
        T(test_calendar),
        T(test_set_while_it_runs),
        T(test_set_while_halted),
        T(test_nonsense),
        T(test_update_in_progress),
        T(test_update_interrupts),
        T(test_alarms),
        T(test_alarm_twelve_hours),
        T(test_periodic),
        T(test_periodic_missed),
        T(test_others_ram),
        T(test_saved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
