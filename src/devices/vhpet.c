/* SPDX-License-Identifier: MIT */
/* See vhpet.h. The counter follows from the time; a periodic comparator is brought up to it when
 * somebody looks. */
#include "devices/vhpet.h"

#include "base/refuse.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "time/clock.h"

#define NEVER     UINT64_MAX
#define TICKS_MAX (1ull << 58) /* beyond this a match is out of reach: 146 years */
#define CYCLE_MAX (1ull << 43) /* 39 hours: what a vtick repeats by itself */

/* 16 ns in fs; Intel; legacy replacement, 64 bits, three timers, revision 1. */
#define CAPABILITY ((VHPET_NS * 1000000ull) << 32 | 0x8086a201ull)
_Static_assert((CAPABILITY >> 8 & 0x1f) == HPET_TIMER_NUM - 1, "number of timers");

#define REG_CAPABILITY 0x000u
#define REG_CONFIG     0x010u
#define REG_STATUS     0x020u
#define REG_COUNTER    0x0f0u
#define REG_TIMERS     0x100u
#define TIMER_BYTES    0x20u
#define TIMER_CONFIG   0x00u
#define TIMER_COMPARE  0x08u

#define CONFIG_ENABLE 0x1u
#define CONFIG_LEGACY 0x2u
#define CONFIG_MASK   0x3u

#define T_LEVEL     0x0002u
#define T_ENABLE    0x0004u
#define T_PERIODIC  0x0008u
#define T_VAL_SET   0x0040u
#define T_32BIT     0x0100u
#define T_ROUTE     0x3e00u
#define T_WRITABLE  (T_LEVEL | T_ENABLE | T_PERIODIC | T_VAL_SET | T_32BIT | T_ROUTE)
#define ROUTE_SHIFT 9
#define ROUTES      0x00f00000ull          /* pins 20 to 23 of the IO-APIC */
#define T_CAN       (ROUTES << 32 | 0x30u) /* periodic, 64 bits */

/* The names of the public record are long. */
#define T(t) ((t)->chip->hw.timers[timer_index(t)])

static unsigned timer_index(const struct vhpet_timer *t)
{
    return (unsigned)(t - t->chip->timer);
}

static bool running(const struct vhpet *h)
{
    return h->hw.config & CONFIG_ENABLE;
}

static uint64_t counter_at(const struct vhpet *h, uint64_t ns)
{
    return running(h) ? ns / VHPET_NS + h->offset : h->hw.mc64;
}

/* ---- a timer ---- */

static uint64_t width(const struct vhpet_timer *t)
{
    return T(t).config & T_32BIT ? UINT32_MAX : UINT64_MAX;
}

/* Of its cycle: 0: it matches once. A one-shot of 32 bits comes again when they have gone round. */
static uint64_t cycle(const struct vhpet_timer *t)
{
    const struct vhpet *h = t->chip;

    if (T(t).config & T_PERIODIC)
        return min(h->hw.period[timer_index(t)] & width(t), TICKS_MAX);
    return T(t).config & T_32BIT ? 1ull << 32 : 0;
}

static unsigned route(const struct vhpet_timer *t)
{
    unsigned n = timer_index(t), pin = (T(t).config & T_ROUTE) >> ROUTE_SHIFT;

    if ((t->chip->hw.config & CONFIG_LEGACY) && n < 2)
        return n ? VIRQ_RTC : VIRQ_PIT;
    return ROUTES >> pin & 1 ? pin : VIRQ_LINES;
}

/* The line of a level-triggered one is high while its status bit is set. */
static void update_line(struct vhpet_timer *t)
{
    struct vhpet *h = t->chip;
    unsigned n = timer_index(t), line = VIRQ_LINES;

    if (running(h) && (T(t).config & T_LEVEL) && (T(t).config & T_ENABLE) && (h->hw.isr >> n & 1))
        line = route(t);
    if (line == t->line)
        return;
    if (t->line != VIRQ_LINES)
        virq_set(h->irqs, VIRQ_HPET + n, t->line, false);
    if (line != VIRQ_LINES)
        virq_set(h->irqs, VIRQ_HPET + n, line, true);
    t->line = line;
}

/* Brings a periodic comparator, and the time of the next match, up to now. */
static void settle(struct vhpet_timer *t)
{
    uint64_t now = time_now(), each = cycle(t), n;

    if (!running(t->chip) || now < t->due)
        return;
    if (!each) {
        t->due = NEVER;
        return;
    }
    n = (now - t->due) / (each * VHPET_NS) + 1;
    t->due += n * each * VHPET_NS;
    if (T(t).config & T_PERIODIC)
        T(t).cmp = (T(t).cmp + n * each) & width(t);
}

/* After a change of the comparator, the counter, or the configuration. */
static void arm(struct vhpet_timer *t)
{
    struct vhpet *h = t->chip;
    uint64_t now = time_now() / VHPET_NS * VHPET_NS; /* the counter's last tick */
    uint64_t left = (T(t).cmp - counter_at(h, now)) & width(t);

    t->due = running(h) && left < TICKS_MAX ? now + left * VHPET_NS : NEVER;
    if (t->due != NEVER && (T(t).config & T_ENABLE) && route(t) != VIRQ_LINES)
        vtick_start(&t->tick, t->due,
                    cycle(t) < CYCLE_MAX ? (cycle(t) * VHPET_NS) << VTICK_FRACTION : 0);
    else
        vtick_stop(&t->tick);
    update_line(t);
}

static bool tick_waits(void *data)
{
    const struct vhpet_timer *t = data;
    const struct vhpet *h = t->chip;

    if (T(t).config & T_LEVEL)
        return h->hw.isr >> timer_index(t) & 1;
    return virq_waits(h->irqs, route(t));
}

static void tick(void *data)
{
    struct vhpet_timer *t = data;
    struct vhpet *h = t->chip;

    settle(t);
    if (!t->tick.period && t->due != NEVER)
        vtick_start(&t->tick, t->due, 0);
    if (T(t).config & T_LEVEL) {
        h->hw.isr |= BIT(timer_index(t));
        update_line(t);
    } else {
        virq_pulse(h->irqs, VIRQ_HPET + timer_index(t), route(t));
    }
}

/* ---- registers ---- */

static void arm_all(struct vhpet *h)
{
    virq_replace_legacy(h->irqs, (h->hw.config & CONFIG_MASK) == CONFIG_MASK);
    for (unsigned n = 0; n < HPET_TIMER_NUM; n++)
        arm(&h->timer[n]);
}

static void write_config(struct vhpet *h, uint64_t val)
{
    uint64_t now = time_now(), count = counter_at(h, now);

    for (unsigned n = 0; n < HPET_TIMER_NUM; n++)
        settle(&h->timer[n]);
    h->hw.config = val & CONFIG_MASK;
    h->hw.mc64 = count;
    h->offset = count - now / VHPET_NS;
    arm_all(h);
}

static void write_timer_config(struct vhpet_timer *t, uint64_t val)
{
    uint64_t kept = T(t).config & T_ROUTE;

    settle(t);
    if (!(ROUTES >> ((val & T_ROUTE) >> ROUTE_SHIFT) & 1)) /* not one of its routes */
        val = (val & ~(uint64_t)T_ROUTE) | kept;
    if (!(val & T_PERIODIC))
        val &= ~(uint64_t)T_VAL_SET;
    T(t).config = (val & T_WRITABLE) | T_CAN;
    T(t).cmp &= width(t);
    t->chip->hw.period[timer_index(t)] &= width(t);
    if (!(val & T_LEVEL))
        t->chip->hw.isr &= ~BIT(timer_index(t));
    arm(t);
}

/* In periodic mode a value is the period, and the comparator itself only after VAL_SET. */
static void write_compare(struct vhpet_timer *t, uint64_t val, uint64_t bits)
{
    uint64_t *period = &t->chip->hw.period[timer_index(t)];

    settle(t);
    *period = ((*period & ~bits) | (val & bits)) & width(t);
    if (!(T(t).config & T_PERIODIC) || (T(t).config & T_VAL_SET))
        T(t).cmp = ((T(t).cmp & ~bits) | (val & bits)) & width(t);
    T(t).config &= ~(uint64_t)T_VAL_SET;
    arm(t);
}

static struct vhpet_timer *timer_at(struct vhpet *h, uint32_t offset)
{
    uint32_t n = (offset - REG_TIMERS) / TIMER_BYTES;

    return offset >= REG_TIMERS && n < HPET_TIMER_NUM ? &h->timer[n] : NULL;
}

static uint64_t read_register(struct vhpet *h, uint32_t offset)
{
    struct vhpet_timer *t = timer_at(h, offset);

    if (t) {
        settle(t);
        switch (offset % TIMER_BYTES) {
        case TIMER_CONFIG:
            return T(t).config;
        case TIMER_COMPARE:
            return T(t).cmp;
        default:
            return 0;
        }
    }
    switch (offset) {
    case REG_CAPABILITY:
        return CAPABILITY;
    case REG_CONFIG:
        return h->hw.config;
    case REG_STATUS:
        return h->hw.isr;
    case REG_COUNTER:
        return counter_at(h, time_now());
    default:
        return 0;
    }
}

/* `bits` of the register are written. */
static void write_register(struct vhpet *h, uint32_t offset, uint64_t val, uint64_t bits)
{
    struct vhpet_timer *t = timer_at(h, offset);
    uint64_t all = (read_register(h, offset) & ~bits) | (val & bits);

    if (t) {
        if (offset % TIMER_BYTES == TIMER_CONFIG)
            write_timer_config(t, all);
        else if (offset % TIMER_BYTES == TIMER_COMPARE)
            write_compare(t, val, bits);
        return;
    }
    switch (offset) {
    case REG_CONFIG:
        write_config(h, all);
        break;
    case REG_STATUS:
        h->hw.isr &= ~(val & bits);
        for (unsigned n = 0; n < HPET_TIMER_NUM; n++)
            update_line(&h->timer[n]);
        break;
    case REG_COUNTER: /* while it counts, a write is not defined: here it does nothing */
        if (!running(h))
            h->hw.mc64 = all;
        break;
    default:
        break;
    }
}

/* Registers are read as a whole and in parts, and written whole or by halves. */
static bool read_memory(void *data, uint32_t offset, unsigned bytes, uint64_t *val)
{
    struct vhpet *h = data;

    if (!read_once(*h->enabled))
        return false;
    lock(&h->lock);
    *val = read_register(h, offset & ~7u) >> offset % 8 * 8;
    unlock(&h->lock);
    return true;
}

static bool write_memory(void *data, uint32_t offset, unsigned bytes, uint64_t val)
{
    struct vhpet *h = data;
    uint64_t bits = bytes == 8 ? UINT64_MAX : (uint64_t)UINT32_MAX << offset % 8 * 8;

    if (!read_once(*h->enabled))
        return false;
    if (bytes < 4 || offset % bytes)
        return true;
    lock(&h->lock);
    write_register(h, offset & ~7u, val << offset % 8 * 8, bits);
    unlock(&h->lock);
    return true;
}

void vhpet_attach(struct vhpet *h, struct vbus *memory)
{
    static const struct vbus_ops ops = {read_memory, write_memory, 8};

    vbus_add(memory, VHPET_BASE, VHPET_BYTES, &ops, h);
}

/* ---- life ---- */

void vhpet_init(struct vhpet *h, struct virqs *irqs, const uint64_t *timer_mode,
                const uint64_t *enabled)
{
    static const struct vtick_ops ops = {tick_waits, tick};

    memset(h, 0, sizeof(*h));
    lock_init(&h->lock, RANK_VCHIP, "HPET");
    h->irqs = irqs;
    h->enabled = enabled;
    h->hw.capability = CAPABILITY;
    for (unsigned n = 0; n < HPET_TIMER_NUM; n++) {
        struct vhpet_timer *t = &h->timer[n];

        t->chip = h;
        t->due = NEVER;
        t->line = VIRQ_LINES;
        vtick_init(&t->tick, &ops, t, &h->lock, timer_mode);
        T(t).config = T_CAN;
        T(t).cmp = UINT64_MAX;
    }
}

void vhpet_stop(struct vhpet *h)
{
    for (unsigned n = 0; n < HPET_TIMER_NUM; n++)
        vtick_kill(&h->timer[n].tick);
}

void vhpet_save(struct vhpet *h, struct hvm_hw_hpet *r)
{
    lock(&h->lock);
    for (unsigned n = 0; n < HPET_TIMER_NUM; n++)
        settle(&h->timer[n]);
    *r = h->hw;
    r->mc64 = counter_at(h, time_now());
    unlock(&h->lock);
}

int vhpet_check(const struct hvm_hw_hpet *r)
{
    if (r->capability != CAPABILITY || (r->config & ~(uint64_t)CONFIG_MASK) ||
        r->isr >> HPET_TIMER_NUM)
        return refuse(-EINVAL, "HPET: capabilities %#lx, configuration %#lx, status %#lx",
                      r->capability, r->config, r->isr);
    for (unsigned n = 0; n < HPET_TIMER_NUM; n++)
        if ((r->timers[n].config & ~T_CAN & ~(uint64_t)T_WRITABLE))
            return refuse(-EINVAL, "HPET: timer %u is configured as %#lx", n, r->timers[n].config);
    return 0;
}

void vhpet_load(struct vhpet *h, const struct hvm_hw_hpet *r)
{
    lock(&h->lock);
    h->hw.config = r->config;
    h->hw.isr = r->isr;
    h->hw.mc64 = r->mc64;
    h->offset = r->mc64 - time_now() / VHPET_NS;
    for (unsigned n = 0; n < HPET_TIMER_NUM; n++) {
        struct vhpet_timer *t = &h->timer[n];

        T(t).config = (r->timers[n].config & T_WRITABLE) | T_CAN;
        T(t).cmp = r->timers[n].cmp & width(t);
        h->hw.period[n] = r->period[n] & width(t);
    }
    arm_all(h);
    unlock(&h->lock);
}
