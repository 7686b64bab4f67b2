/* SPDX-License-Identifier: MIT */
/* See vrtc.h. The time follows from the wall clock and an offset, which a guest that sets the clock
 * changes. Flags that nobody has an interrupt for are found out when they are read.
 *
 * The Gregorian calendar repeats every 400 years, weekdays and all: times are taken modulo that. */
#include "devices/vrtc.h"

#include "base/refuse.h"
#include "hw/nospec.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "time/clock.h"

#define PORT_INDEX 0x70u

#define SECONDS       0
#define SECONDS_ALARM 1
#define MINUTES       2
#define MINUTES_ALARM 3
#define HOURS         4
#define HOURS_ALARM   5
#define WEEKDAY       6
#define DAY           7
#define MONTH         8
#define YEAR          9
#define REG_A         10
#define REG_B         11
#define REG_C         12
#define REG_D         13

#define A_UIP         0x80
#define A_RESET       0x60 /* both: the divider chain is held in reset */
#define A_RATE        0x0f
#define B_SET         0x80
#define B_PIE         0x40
#define B_AIE         0x20
#define B_UIE         0x10
#define B_BINARY      0x04
#define B_24          0x02
#define C_IRQF        0x80
#define FLAGS         0x70 /* PF, AF, UF: at the places of their enables in B */
#define C_PF          0x40
#define C_AF          0x20
#define C_UF          0x10
#define D_VALID       0x80
#define HOUR_PM       0x80
#define DOES_NOT_CARE 0xc0 /* an alarm register of this or more */

#define NS_PER_SEC    1000000000ull
#define UPDATE_NS     2228000u /* 244 us of warning, 1984 us of update cycle */
#define DAY_S         86400u
#define CALENDAR_S    (146097ll * DAY_S) /* 400 years */
#define FIRST_YEAR    1970u
#define FIRST_WEEKDAY 4u /* 1970 began on a Thursday; Sunday is 0 */
#define NEVER         (~0u)

/* ---- the calendar ---- */

static bool is_leap(unsigned year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days from 1970 to the first of a month, 1 to 12. */
static uint32_t days_before(unsigned year, unsigned month)
{
    static const uint16_t before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    unsigned y = year - 1, first = FIRST_YEAR - 1;

    return (year - FIRST_YEAR) * 365 + (y / 4 - y / 100 + y / 400) -
           (first / 4 - first / 100 + first / 400) + before[month - 1] +
           (month > 2 && is_leap(year));
}

struct date {
    unsigned second, minute, hour, weekday, day, month, year;
};

static void to_date(uint64_t t, struct date *d)
{
    uint32_t days = (uint32_t)(t / DAY_S), rest = (uint32_t)(t % DAY_S);

    d->second = rest % 60;
    d->minute = rest / 60 % 60;
    d->hour = rest / 3600;
    d->weekday = (days + FIRST_WEEKDAY) % 7;
    d->year = FIRST_YEAR + days / 366;
    while (days_before(d->year + 1, 1) <= days)
        d->year++;
    d->month = 12;
    while (days_before(d->year, d->month) > days)
        d->month--;
    d->day = days - days_before(d->year, d->month) + 1;
}

/* ---- formats of registers ---- */

static uint8_t encode(const struct vrtc *r, unsigned v)
{
    return (uint8_t)(r->hw.cmos_data[REG_B] & B_BINARY ? v : v / 10 << 4 | v % 10);
}

static unsigned decode(const struct vrtc *r, uint8_t v)
{
    return r->hw.cmos_data[REG_B] & B_BINARY ? v : (v >> 4) * 10u + (v & 15);
}

static uint8_t encode_hour(const struct vrtc *r, unsigned hour)
{
    if (r->hw.cmos_data[REG_B] & B_24)
        return encode(r, hour);
    return (uint8_t)(encode(r, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOUR_PM : 0));
}

static unsigned decode_hour(const struct vrtc *r, uint8_t v)
{
    if (r->hw.cmos_data[REG_B] & B_24)
        return decode(r, v);
    return decode(r, v & (uint8_t)~HOUR_PM) % 12 + (v & HOUR_PM ? 12 : 0);
}

/* ---- time ---- */

static bool halted(const struct vrtc *r)
{
    return (r->hw.cmos_data[REG_B] & B_SET) || (r->hw.cmos_data[REG_A] & A_RESET) == A_RESET;
}

/* The second that the clock shows, within the calendar; and what has gone of it. */
static int64_t time_of(const struct vrtc *r, uint32_t *ns)
{
    struct wallclock w = wallclock_get();
    uint64_t since = time_now() + w.nsec;
    int64_t t = (int64_t)((w.sec + since / NS_PER_SEC) % CALENDAR_S) + r->hw.rtc_offset;

    *ns = (uint32_t)(since % NS_PER_SEC);
    return (t % CALENDAR_S + CALENDAR_S) % CALENDAR_S;
}

/* The registers show the present time. */
static void show(struct vrtc *r)
{
    uint8_t *reg = r->hw.cmos_data;
    struct date d;
    uint32_t ns;

    if (halted(r))
        return;
    to_date((uint64_t)time_of(r, &ns), &d);
    reg[SECONDS] = encode(r, d.second);
    reg[MINUTES] = encode(r, d.minute);
    reg[HOURS] = encode_hour(r, d.hour);
    reg[WEEKDAY] = (uint8_t)(d.weekday + 1);
    reg[DAY] = encode(r, d.day);
    reg[MONTH] = encode(r, d.month);
    reg[YEAR] = encode(r, d.year % 100);
}

/* From now on the time is what the registers show. Values that no calendar has are cut off; the
 * century stays. */
static void adopt(struct vrtc *r)
{
    const uint8_t *reg = r->hw.cmos_data;
    struct date d;
    uint32_t ns;
    int64_t now = time_of(r, &ns), t;

    to_date((uint64_t)now, &d);
    d.year = d.year - d.year % 100 + decode(r, reg[YEAR]) % 100;
    if (d.year < FIRST_YEAR)
        d.year += 100;
    d.month = max(1u, min(12u, decode(r, reg[MONTH])));
    d.day = max(1u, min(31u, decode(r, reg[DAY])));
    t = ((int64_t)days_before(d.year, d.month) + d.day - 1) * DAY_S;
    t += min(23u, decode_hour(r, reg[HOURS])) * 3600 + min(59u, decode(r, reg[MINUTES])) * 60 +
         min(59u, decode(r, reg[SECONDS]));
    r->hw.rtc_offset = (r->hw.rtc_offset + t - now) % CALENDAR_S;
    r->seen = time_of(r, &ns);
}

/* ---- flags ---- */

static bool matches(uint8_t alarm, unsigned wanted, unsigned value)
{
    return alarm >= DOES_NOT_CARE || wanted == value;
}

/* Seconds from second `from` of a day to the next that the alarm matches, 0 to a day; or NEVER. */
static uint32_t alarm_in(const struct vrtc *r, uint32_t from)
{
    const uint8_t *reg = r->hw.cmos_data;
    unsigned hour = decode_hour(r, reg[HOURS_ALARM]), minute = decode(r, reg[MINUTES_ALARM]),
             second = decode(r, reg[SECONDS_ALARM]);

    for (unsigned h = from / 3600; h <= from / 3600 + 24; h++) {
        if (!matches(reg[HOURS_ALARM], hour, h % 24))
            continue;
        for (unsigned m = 0; m < 60; m++) {
            unsigned at = h * 3600 + m * 60, begin = at < from ? from - at : 0;

            if (begin > 59 || !matches(reg[MINUTES_ALARM], minute, m))
                continue;
            if (reg[SECONDS_ALARM] >= DOES_NOT_CARE)
                return at + begin - from;
            if (second >= begin && second <= 59)
                return at + second - from;
        }
    }
    return NEVER;
}

static unsigned rate(const struct vrtc *r)
{
    unsigned n = r->hw.cmos_data[REG_A] & A_RATE;

    return (r->hw.cmos_data[REG_A] & A_RESET) == A_RESET ? 0 : n == 1 || n == 2 ? n + 7 : n;
}

/* Of a rate from 3 to 15: 32768 Hz halved n - 1 times; ns / 2^VTICK_FRACTION. */
static uint64_t period(unsigned n)
{
    return ((NS_PER_SEC << VTICK_FRACTION) / 32768) << (n - 1);
}

static void update_line(struct vrtc *r)
{
    uint8_t *c = &r->hw.cmos_data[REG_C];

    if (*c & r->hw.cmos_data[REG_B] & FLAGS)
        *c |= C_IRQF;
    else
        *c &= (uint8_t)~C_IRQF;
    virq_set(r->irqs, VIRQ_CHIP, VIRQ_RTC, *c & C_IRQF);
}

/* Flags of what has happened by now. */
static void settle(struct vrtc *r)
{
    uint8_t *c = &r->hw.cmos_data[REG_C];
    uint64_t now = time_now(), ns = rate(r) ? period(rate(r)) >> VTICK_FRACTION : 0;
    uint32_t part;
    int64_t t;

    if (ns && !r->ticking && now - r->period_from >= ns) {
        *c |= C_PF;
        r->period_from = now - (now - r->period_from) % ns;
    }
    if (halted(r))
        return;
    t = time_of(r, &part);
    if (t == r->seen)
        return;
    *c |= C_UF;
    if (t < r->seen || t - r->seen > DAY_S)
        r->seen = t - 1; /* the wall clock was set */
    if (alarm_in(r, (uint32_t)((r->seen + 1 + DAY_S) % DAY_S)) < t - r->seen)
        *c |= C_AF;
    r->seen = t;
}

/* ---- timers ---- */

/* After a change of what is wanted. */
static void arm(struct vrtc *r)
{
    uint8_t b = r->hw.cmos_data[REG_B], wanted = b & B_PIE ? (uint8_t)rate(r) : 0;
    uint32_t gone, in = NEVER;
    int64_t t = time_of(r, &gone);

    if (wanted != r->ticking) {
        r->ticking = wanted;
        r->period_from = time_now();
        if (wanted)
            vtick_start(&r->tick, time_now() + (period(wanted) >> VTICK_FRACTION), period(wanted));
        else
            vtick_stop(&r->tick);
    }
    if (!halted(r) && (b & B_UIE))
        in = 0;
    else if (!halted(r) && (b & B_AIE))
        in = alarm_in(r, (uint32_t)((t + 1) % DAY_S));
    if (in == NEVER)
        timer_stop(&r->second);
    else
        timer_set(&r->second, time_now() + (in + 1) * NS_PER_SEC - gone);
}

static void second_passed(void *data)
{
    struct vrtc *r = data;

    lock(&r->lock);
    settle(r);
    update_line(r);
    arm(r);
    unlock(&r->lock);
}

static bool tick_waits(void *data)
{
    struct vrtc *r = data;

    return (r->hw.cmos_data[REG_C] & C_PF) || virq_waits(r->irqs, VIRQ_RTC);
}

static void tick(void *data)
{
    struct vrtc *r = data;

    r->hw.cmos_data[REG_C] |= C_PF;
    update_line(r);
}

/* ---- registers ---- */

static uint8_t read_register(struct vrtc *r, unsigned n)
{
    uint8_t val;
    uint32_t ns;

    show(r);
    val = r->hw.cmos_data[n];
    if (n == REG_A) {
        time_of(r, &ns);
        return val | (!halted(r) && ns >= NS_PER_SEC - UPDATE_NS ? A_UIP : 0);
    }
    if (n == REG_C) {
        settle(r);
        update_line(r);
        val = r->hw.cmos_data[REG_C];
        r->hw.cmos_data[REG_C] = 0;
        update_line(r);
    }
    return val;
}

static void write_control(struct vrtc *r, unsigned n, uint8_t val)
{
    bool was_halted = halted(r);

    r->hw.cmos_data[n] = n == REG_A ? val & (uint8_t)~A_UIP : val;
    if (n == REG_B && (val & B_SET))
        r->hw.cmos_data[REG_B] &= (uint8_t)~B_UIE;
    if (was_halted && !halted(r))
        adopt(r);
}

static void write_register(struct vrtc *r, unsigned n, uint8_t val)
{
    if (n == REG_C || n == REG_D)
        return;
    settle(r);
    show(r);
    if (n == REG_A || n == REG_B) {
        write_control(r, n, val);
    } else {
        r->hw.cmos_data[n] = val;
        if (!halted(r) && n != SECONDS_ALARM && n != MINUTES_ALARM && n != HOURS_ALARM)
            adopt(r);
    }
    update_line(r);
    arm(r);
}

static bool read_port(void *data, uint32_t port, unsigned bytes, uint64_t *val)
{
    struct vrtc *r = data;
    unsigned n;

    lock(&r->lock);
    n = r->hw.cmos_index;
    if (port && n < RTC_CMOS_SIZE)
        *val = read_register(r, (unsigned)index_nospec(n, RTC_CMOS_SIZE));
    unlock(&r->lock);
    return port && n < RTC_CMOS_SIZE;
}

static bool write_port(void *data, uint32_t port, unsigned bytes, uint64_t val)
{
    struct vrtc *r = data;
    unsigned n;

    lock(&r->lock);
    if (!port)
        r->hw.cmos_index = val & 0x7f;
    n = r->hw.cmos_index;
    if (port && n < RTC_CMOS_SIZE)
        write_register(r, (unsigned)index_nospec(n, RTC_CMOS_SIZE), (uint8_t)val);
    unlock(&r->lock);
    return port && n < RTC_CMOS_SIZE;
}

void vrtc_attach(struct vrtc *r, struct vbus *ports)
{
    static const struct vbus_ops ops = {read_port, write_port, 1};

    vbus_add(ports, PORT_INDEX, 2, &ops, r);
}

/* ---- life ---- */

void vrtc_init(struct vrtc *r, struct virqs *irqs, const uint64_t *timer_mode)
{
    static const struct vtick_ops ops = {tick_waits, tick};
    uint32_t ns;

    memset(r, 0, sizeof(*r));
    lock_init(&r->lock, RANK_VCHIP, "RTC");
    r->irqs = irqs;
    vtick_init(&r->tick, &ops, r, &r->lock, timer_mode);
    timer_init(&r->second, second_passed, r);
    r->hw.cmos_data[REG_A] = 0x26; /* 32768 Hz, 1024 interrupts a second */
    r->hw.cmos_data[REG_B] = B_24;
    r->hw.cmos_data[REG_D] = D_VALID;
    r->period_from = time_now();
    r->seen = time_of(r, &ns);
}

void vrtc_stop(struct vrtc *r)
{
    vtick_kill(&r->tick);
    timer_kill(&r->second);
}

void vrtc_set_offset(struct vrtc *r, int64_t seconds)
{
    uint32_t ns;

    lock(&r->lock);
    r->hw.rtc_offset = seconds % CALENDAR_S;
    r->seen = time_of(r, &ns);
    arm(r);
    unlock(&r->lock);
}

void vrtc_save(struct vrtc *r, struct hvm_hw_rtc *out)
{
    lock(&r->lock);
    settle(r);
    show(r);
    *out = r->hw;
    unlock(&r->lock);
}

int vrtc_check(const struct hvm_hw_rtc *in)
{
    if (in->cmos_index > 0x7f || in->pad0)
        return refuse(-EINVAL, "RTC: register %u", in->cmos_index);
    return 0;
}

void vrtc_load(struct vrtc *r, const struct hvm_hw_rtc *in)
{
    uint32_t ns;

    lock(&r->lock);
    r->hw = *in;
    r->hw.cmos_data[REG_A] &= (uint8_t)~A_UIP;
    r->hw.cmos_data[REG_C] &= FLAGS;
    r->hw.cmos_data[REG_D] = D_VALID;
    r->hw.rtc_offset %= CALENDAR_S;
    r->seen = time_of(r, &ns);
    update_line(r);
    arm(r);
    unlock(&r->lock);
}
