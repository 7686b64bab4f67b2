/* SPDX-License-Identifier: MIT */
/* platform/rtc: formats of the chip, every day of a hundred years there and back, nonsense. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "machine.h"
#include <time.h>

#include "lib/errno.h"
#include "platform/rtc.h"

static uint8_t cmos[128], chosen;
static unsigned updating, reads_until_tick;

static uint64_t port_read(void *data, uint64_t port, unsigned size)
{
    if (port == 0x70)
        return 0xff;
    if (chosen == 10)
        return updating ? updating--, 0x80 : 0;
    /* The clock ticks in the middle of a reading. */
    if (reads_until_tick && --reads_until_tick == 0) {
        cmos[0] = 0;
        cmos[2] = 1;
    }
    return cmos[chosen];
}

static void port_write(void *data, uint64_t port, unsigned size, uint64_t val)
{
    if (port == 0x70)
        chosen = val & 0x7f;
    else
        cmos[chosen] = (uint8_t)val;
}

static int set_up(void **state)
{
    host_port_add(0x70, 0x71, (struct host_device){port_read, port_write, NULL});
    return 0;
}

static void set(uint8_t y, uint8_t m, uint8_t d, uint8_t h, uint8_t min, uint8_t s, uint8_t b)
{
    cmos[9] = y;
    cmos[8] = m;
    cmos[7] = d;
    cmos[4] = h;
    cmos[2] = min;
    cmos[0] = s;
    cmos[11] = b;
}

static void formats(void **state)
{
    uint64_t t;

    set(0x23, 0x11, 0x14, 0x22, 0x13, 0x20, 2); /* BCD, 24 hours */
    assert_int_equal(rtc_read(&t), 0);
    assert_int_equal(t, 1700000000);
    set(23, 11, 14, 22, 13, 20, 6); /* binary */
    assert_int_equal(rtc_read(&t), 0);
    assert_int_equal(t, 1700000000);
    set(0x23, 0x11, 0x14, 0x90, 0x13, 0x20, 0); /* 10 PM */
    assert_int_equal(rtc_read(&t), 0);
    assert_int_equal(t, 1700000000);
    set(0x23, 0x11, 0x14, 0x12, 0x13, 0x20, 0); /* 12 AM is 0 */
    assert_int_equal(rtc_read(&t), 0);
    assert_int_equal(t, 1700000000 - 22 * 3600);
    set(0x70, 1, 1, 0, 0, 0, 2);
    assert_int_equal(rtc_read(&t), 0);
    assert_int_equal(t, 0);
}

static void update_in_progress(void **state)
{
    uint64_t t;

    set(0x70, 1, 1, 0, 0, 0x59, 2);
    updating = 5;
    reads_until_tick = 4;
    assert_int_equal(rtc_read(&t), 0);
    assert_int_equal(t, 60);
    updating = 1000000;
    assert_int_equal(rtc_read(&t), -ENODEV);
    updating = 0;
}

static void nonsense(void **state)
{
    uint64_t t;

    set(0x23, 0x13, 1, 0, 0, 0, 2);
    assert_int_equal(rtc_read(&t), -ENODEV);
    set(0x23, 0, 1, 0, 0, 0, 2);
    assert_int_equal(rtc_read(&t), -ENODEV);
    memset(cmos, 0xff, sizeof(cmos));
    assert_int_equal(rtc_read(&t), -ENODEV);
    set(0x23, 1, 1, 0, 0, 0x60, 2);
    assert_int_equal(rtc_read(&t), -ENODEV);
}

static void hundred_years(void **state)
{
    static const uint8_t modes[] = {0, 2, 4, 6};
    uint64_t t;

    for (uint64_t day = 0; day < 36525; day++) {
        uint64_t sec = day * 86400 + day * 7919 % 86400;
        time_t host_sec = (time_t)sec;
        struct tm tm;

        cmos[11] = modes[day % 4];
        assert_int_equal(rtc_write(sec), 0);
        assert_int_equal(rtc_read(&t), 0);
        assert_int_equal(t, sec);
        gmtime_r(&host_sec, &tm);
        if (cmos[11] & 4) {
            assert_int_equal(cmos[7], tm.tm_mday);
            assert_int_equal(cmos[8], tm.tm_mon + 1);
            assert_int_equal(cmos[9], tm.tm_year % 100);
        }
    }
    assert_int_equal(rtc_write(36525ull * 86400), -EINVAL);
    assert_int_equal(rtc_write(UINT64_MAX), -EINVAL);
    assert_int_equal(cmos[11] & 0x80, 0);
}

static void single_registers(void **state)
{
    cmos_write(0x50, 7);
    assert_int_equal(cmos_read(0x50), 7);
    assert_int_equal(cmos_read(0xd0), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats),          cmocka_unit_test(update_in_progress),
        cmocka_unit_test(nonsense),         cmocka_unit_test(hundred_years),
        cmocka_unit_test(single_registers),
    };
    return cmocka_run_group_tests_name("platform_rtc", tests, set_up, NULL);
}
