/* SPDX-License-Identifier: MIT */
/* The CMOS clock. Its registers change once a second, so a time is read until two readings agree
 * and no update was in progress. Motorola MC146818A datasheet, "Address map" and "Update cycle". */
#include "platform/rtc.h"
#include "base/lock.h"
#include "hw/ops.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/util.h"

#define PORT_INDEX 0x70
#define PORT_DATA  0x71

#define RTC_SECOND 0x00
#define RTC_MINUTE 0x02
#define RTC_HOUR   0x04
#define RTC_DAY    0x07
#define RTC_MONTH  0x08
#define RTC_YEAR   0x09
#define RTC_A      0x0a
#define RTC_B      0x0b

#define A_UPDATING 0x80
#define B_SET      0x80
#define B_BINARY   0x04
#define B_24_HOURS 0x02
#define HOUR_PM    0x80

#define TRIES         100000u /* an update takes up to 2.3 ms, a port access some 0.1 us or more */
#define SECONDS_A_DAY 86400u
#define FIRST_YEAR    1970u

struct date {
    uint8_t second, minute, hour, day, month, year;
};

static struct lock rtc_lock = LOCK_INIT(RANK_CHIP, "RTC");

static uint8_t get(uint8_t reg)
{
    out8(PORT_INDEX, reg);
    return in8(PORT_DATA);
}

static void set(uint8_t reg, uint8_t val)
{
    out8(PORT_INDEX, reg);
    out8(PORT_DATA, val);
}

uint8_t cmos_read(uint8_t reg)
{
    uint8_t val;

    lock(&rtc_lock);
    val = get(reg & 0x7f);
    unlock(&rtc_lock);
    return val;
}

void cmos_write(uint8_t reg, uint8_t val)
{
    lock(&rtc_lock);
    set(reg & 0x7f, val);
    unlock(&rtc_lock);
}

static unsigned from_bcd(unsigned v, bool bcd)
{
    return bcd ? (v >> 4) * 10 + (v & 15) : v;
}

static uint8_t to_bcd(unsigned v, bool bcd)
{
    return (uint8_t)(bcd ? v / 10 << 4 | v % 10 : v);
}

static void read_raw(struct date *d)
{
    d->second = get(RTC_SECOND);
    d->minute = get(RTC_MINUTE);
    d->hour = get(RTC_HOUR);
    d->day = get(RTC_DAY);
    d->month = get(RTC_MONTH);
    d->year = get(RTC_YEAR);
}

/* Days from 1970-01-01 to the first day of a month (1-12) of a year. */
static uint64_t days_before(unsigned year, unsigned month)
{
    static const uint16_t before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    uint64_t y = year - FIRST_YEAR, days = y * 365 + before[month - 1];

    /* Leap days of the years before, and of this one from March on: 1970 to 2069 has every fourth.
     */
    days += (y + 1) / 4;
    if (month > 2 && year % 4 == 0)
        days++;
    return days;
}

/* Reads until stable; under the lock. */
static int read_date(struct date *d, uint8_t *format)
{
    for (unsigned n = 0; n < TRIES; n++) {
        struct date again;

        if (get(RTC_A) & A_UPDATING) {
            cpu_pause();
            continue;
        }
        read_raw(d);
        read_raw(&again);
        if (memcmp(d, &again, sizeof(again)) || (get(RTC_A) & A_UPDATING))
            continue;
        *format = get(RTC_B);
        return 0;
    }
    return -ENODEV;
}

int rtc_read(uint64_t *sec)
{
    struct date d;
    uint8_t format;
    unsigned hour, day, month, year, minute, second;
    bool bcd, pm;
    int rc;

    lock(&rtc_lock);
    rc = read_date(&d, &format);
    unlock(&rtc_lock);
    if (rc)
        return rc;
    bcd = !(format & B_BINARY);
    pm = !(format & B_24_HOURS) && (d.hour & HOUR_PM);
    second = from_bcd(d.second, bcd);
    minute = from_bcd(d.minute, bcd);
    hour = from_bcd(format & B_24_HOURS ? d.hour : d.hour & ~HOUR_PM, bcd);
    if (!(format & B_24_HOURS))
        hour = hour % 12 + (pm ? 12 : 0);
    day = from_bcd(d.day, bcd);
    month = from_bcd(d.month, bcd);
    year = from_bcd(d.year, bcd);
    if (second > 59 || minute > 59 || hour > 23 || day < 1 || day > 31 || month < 1 || month > 12 ||
        year > 99)
        return -ENODEV;
    year += year < 70 ? 2000 : 1900;
    *sec =
        (days_before(year, month) + day - 1) * SECONDS_A_DAY + hour * 3600 + minute * 60 + second;
    return 0;
}

int rtc_write(uint64_t sec)
{
    uint64_t days = sec / SECONDS_A_DAY, rest = sec % SECONDS_A_DAY;
    unsigned year = FIRST_YEAR, month = 1, hour = (unsigned)(rest / 3600);
    uint8_t format;
    bool bcd;

    if (days >= days_before(FIRST_YEAR + 100, 1))
        return -EINVAL;
    while (year < FIRST_YEAR + 99 && days_before(year + 1, 1) <= days)
        year++;
    while (month < 12 && days_before(year, month + 1) <= days)
        month++;
    days -= days_before(year, month);
    lock(&rtc_lock);
    format = get(RTC_B);
    if (format == 0xff && get(RTC_A) == 0xff) {
        unlock(&rtc_lock);
        return -ENODEV;
    }
    bcd = !(format & B_BINARY);
    set(RTC_B, format | B_SET);
    set(RTC_SECOND, to_bcd((unsigned)(rest % 60), bcd));
    set(RTC_MINUTE, to_bcd((unsigned)(rest / 60 % 60), bcd));
    if (format & B_24_HOURS)
        set(RTC_HOUR, to_bcd(hour, bcd));
    else
        set(RTC_HOUR,
            (uint8_t)(to_bcd(hour % 12 ? hour % 12 : 12, bcd) | (hour >= 12 ? HOUR_PM : 0)));
    set(RTC_DAY, to_bcd((unsigned)days + 1, bcd));
    set(RTC_MONTH, to_bcd(month, bcd));
    set(RTC_YEAR, to_bcd(year % 100, bcd));
    set(RTC_B, format & (uint8_t)~B_SET);
    unlock(&rtc_lock);
    return 0;
}
