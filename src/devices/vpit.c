/* SPDX-License-Identifier: MIT */
/* See vpit.h. Nothing counts: a counter's value and output follow from the time that has passed
 * since it began.
 *
 * A count that is written to a running counter of mode 3 waits for the end of the whole cycle. */
#include "devices/vpit.h"

#include "base/refuse.h"
#include "hw/nospec.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "time/clock.h"

#define NS_PER_SEC 1000000000ull

#define PORT_COUNTERS 0x40u
#define PORT_SPEAKER  0x61u
#define CONTROL       3u /* offset of the control word */

#define CONTROL_CHANNEL(v) ((v) >> 6)
#define CONTROL_ACCESS(v)  ((v) >> 4 & 3)
#define CONTROL_MODE(v)    ((v) >> 1 & 7)
#define CONTROL_BCD        0x01
#define READ_BACK          3u
#define BACK_NO_COUNT      0x20
#define BACK_NO_STATUS     0x10
#define STATUS_OUT         0x80
#define STATUS_NULL        0x40

/* Access, and which byte comes next. */
#define ACCESS_LOW  1
#define ACCESS_HIGH 2
#define ACCESS_BOTH 3 /* the low byte comes first, and then ... */
#define SECOND_BYTE 4

#define SPEAKER_GATE    0x01
#define SPEAKER_DATA    0x02
#define SPEAKER_REFRESH 0x10
#define SPEAKER_OUTPUT  0x20
#define REFRESH_NS      15085u

static uint64_t to_ticks(uint64_t ns)
{
    return (uint64_t)((unsigned __int128)ns * VPIT_HZ / NS_PER_SEC);
}

static uint64_t to_ns(uint64_t ticks) /* not before the tick */
{
    return (uint64_t)(((unsigned __int128)ticks * NS_PER_SEC + VPIT_HZ - 1) / VPIT_HZ);
}

static bool is_periodic(const struct vpit_channel *c)
{
    return c->hw.mode == 2 || c->hw.mode == 3;
}

static bool is_triggered(const struct vpit_channel *c)
{
    return c->hw.mode == 1 || c->hw.mode == 5;
}

static uint64_t ticks(const struct vpit_channel *c)
{
    return c->counting ? to_ticks(time_now() - c->start) : c->frozen;
}

static void begin(struct vpit_channel *c)
{
    if (c->next)
        c->hw.count = c->next;
    c->next = 0;
    c->start = time_now();
    c->frozen = 0;
    c->counting = true;
}

/* The cycle may have ended that a new count waits for. */
static void settle(struct vpit_channel *c)
{
    if (!c->next || !is_periodic(c) || ticks(c) < c->until)
        return;
    c->hw.count = c->next;
    c->next = 0;
    c->start += to_ns(c->until);
}

static bool output(const struct vpit_channel *c)
{
    uint64_t t = ticks(c), count = c->hw.count;

    switch (c->hw.mode) {
    case 2:
        return !c->counting || t % count != count - 1;
    case 3:
        return !c->counting || t % count < (count + 1) / 2;
    case 4:
    case 5:
        return t != count;
    default:
        return t >= count;
    }
}

static uint32_t to_bcd(uint32_t v)
{
    return v / 1000 % 10 << 12 | v / 100 % 10 << 8 | v / 10 % 10 << 4 | v % 10;
}

static uint32_t from_bcd(uint32_t v)
{
    uint32_t n = (v >> 12) * 1000 + (v >> 8 & 15) * 100 + (v >> 4 & 15) * 10 + (v & 15);

    return min(n, 9999u); /* digits above 9 are not defined */
}

/* What a reading of the count gives. */
static uint16_t counter(const struct vpit_channel *c)
{
    uint64_t t = ticks(c), half = (c->hw.count + 1) / 2;
    uint32_t count = c->hw.count, wrap = c->hw.bcd ? 10000 : 0x10000, val;

    if (c->hw.mode == 2) {
        val = count - (uint32_t)(t % count);
    } else if (c->hw.mode == 3) { /* by two, in each half of the cycle */
        t %= count;
        val = (count & ~1u) - 2 * (uint32_t)(t < half ? t : t - half);
    } else {
        val = (count + wrap - (uint32_t)(t % wrap)) % wrap;
    }
    return (uint16_t)(c->hw.bcd ? to_bcd(val % wrap) : val);
}

/* ---- counter 0's interrupts ---- */

static uint64_t period_of(uint32_t count)
{
    return (uint64_t)(((unsigned __int128)count * NS_PER_SEC << VTICK_FRACTION) / VPIT_HZ);
}

/* Rising edges of the output, from now on. */
static void arm(struct vpit *p)
{
    struct vpit_channel *c = &p->channel[0];
    uint64_t gone = ticks(c), first = c->hw.count;

    if (!c->counting || is_triggered(c)) {
        vtick_stop(&p->tick);
        return;
    }
    if (is_periodic(c)) {
        first = c->next ? c->until : (gone / c->hw.count + 1) * c->hw.count;
        vtick_start(&p->tick, c->start + to_ns(first), period_of(c->next ? c->next : c->hw.count));
        return;
    }
    first += c->hw.mode == 4; /* the end of the strobe */
    if (gone < first)
        vtick_start(&p->tick, c->start + to_ns(first), 0);
    else
        vtick_stop(&p->tick);
}

static bool tick_waits(void *data)
{
    struct vpit *p = data;

    return virq_waits(p->irqs, VIRQ_PIT);
}

static void tick(void *data)
{
    struct vpit *p = data;

    virq_pulse(p->irqs, VIRQ_CHIP, VIRQ_PIT);
}

/* ---- programming ---- */

static void load_count(struct vpit_channel *c, uint32_t val)
{
    if (c->hw.bcd)
        val = from_bcd(val);
    if (!val)
        val = c->hw.bcd ? 10000 : 0x10000;
    if (c->counting && is_periodic(c)) { /* after this cycle */
        if (!c->next)
            c->until = (ticks(c) / c->hw.count + 1) * c->hw.count;
        c->next = val;
        return;
    }
    if (is_triggered(c)) { /* at the next trigger */
        c->next = val;
        c->loaded = true;
        return;
    }
    c->loaded = true;
    c->next = val;
    begin(c);
    c->counting = c->hw.gate;
}

static void write_count(struct vpit_channel *c, uint8_t val)
{
    switch (c->hw.write_state) {
    case ACCESS_LOW:
        load_count(c, val);
        break;
    case ACCESS_HIGH:
        load_count(c, (uint32_t)val << 8);
        break;
    case ACCESS_BOTH:
        c->hw.write_latch = val;
        c->hw.write_state = SECOND_BYTE;
        if (c->hw.mode == 0) { /* the first byte stops it */
            c->counting = false;
            c->frozen = 0;
        }
        break;
    default:
        c->hw.write_state = ACCESS_BOTH;
        load_count(c, (uint32_t)val << 8 | c->hw.write_latch);
        break;
    }
}

static void latch_count(struct vpit_channel *c)
{
    if (c->hw.count_latched)
        return; /* until it has been read, the first one counts */
    c->hw.latched_count = counter(c);
    c->hw.count_latched = c->hw.rw_mode;
}

static void latch_status(struct vpit_channel *c)
{
    if (c->hw.status_latched)
        return;
    c->hw.status =
        (uint8_t)((output(c) ? STATUS_OUT : 0) | (!c->loaded || c->next ? STATUS_NULL : 0) |
                  c->hw.rw_mode << 4 | c->hw.mode << 1 | c->hw.bcd);
    c->hw.status_latched = 1;
}

static void set_mode(struct vpit_channel *c, uint8_t val)
{
    c->hw.rw_mode = c->hw.read_state = c->hw.write_state = CONTROL_ACCESS(val);
    c->hw.mode = CONTROL_MODE(val);
    if (c->hw.mode > 5) /* the third bit of modes 2 and 3 does not count */
        c->hw.mode -= 4;
    c->hw.bcd = val & CONTROL_BCD;
    if (c->hw.bcd)
        c->hw.count = min(c->hw.count, 10000u);
    c->hw.count_latched = c->hw.status_latched = 0;
    c->next = 0;
    c->counting = c->loaded = false;
    c->frozen = c->hw.mode == 0 ? 0 : c->hw.count + 1; /* the output: low in mode 0, else high */
}

static void write_control(struct vpit *p, uint8_t val)
{
    unsigned n = CONTROL_CHANNEL(val);

    if (n == READ_BACK) {
        for (unsigned i = 0; i < VPIT_CHANNELS; i++) {
            if (!(val >> (i + 1) & 1))
                continue;
            settle(&p->channel[i]);
            if (!(val & BACK_NO_COUNT))
                latch_count(&p->channel[i]);
            if (!(val & BACK_NO_STATUS))
                latch_status(&p->channel[i]);
        }
        return;
    }
    n = (unsigned)index_nospec(n, VPIT_CHANNELS);
    settle(&p->channel[n]);
    if (!CONTROL_ACCESS(val)) {
        latch_count(&p->channel[n]);
        return;
    }
    set_mode(&p->channel[n], val);
    if (n == 0)
        arm(p);
}

static uint8_t read_count(struct vpit_channel *c)
{
    bool second = c->hw.read_state == SECOND_BYTE;
    bool high = second || c->hw.read_state == ACCESS_HIGH;
    uint16_t val;

    if (c->hw.status_latched) {
        c->hw.status_latched = 0;
        return c->hw.status;
    }
    val = c->hw.count_latched ? c->hw.latched_count : counter(c);
    if (c->hw.rw_mode == ACCESS_BOTH)
        c->hw.read_state = second ? ACCESS_BOTH : SECOND_BYTE;
    if (second || c->hw.rw_mode != ACCESS_BOTH)
        c->hw.count_latched = 0;
    return (uint8_t)(high ? val >> 8 : val);
}

static void set_gate(struct vpit_channel *c, bool gate)
{
    if (gate == c->hw.gate)
        return;
    settle(c);
    c->hw.gate = gate;
    if (!c->loaded)
        return;
    if (gate && (is_periodic(c) || is_triggered(c))) {
        begin(c);
    } else if (gate) {
        c->start = time_now() - to_ns(c->frozen);
        c->counting = true;
    } else if (!is_triggered(c)) {
        c->frozen = is_periodic(c) ? 0 : ticks(c);
        c->counting = false;
    }
}

/* ---- ports ---- */

static bool read_counters(void *data, uint32_t port, unsigned bytes, uint64_t *val)
{
    struct vpit *p = data;
    struct vpit_channel *c;

    if (port == CONTROL) {
        *val = 0xff; /* cannot be read */
        return true;
    }
    c = &p->channel[index_nospec(port, VPIT_CHANNELS)];
    lock(&p->lock);
    settle(c);
    *val = read_count(c);
    unlock(&p->lock);
    return true;
}

static bool write_counters(void *data, uint32_t port, unsigned bytes, uint64_t val)
{
    struct vpit *p = data;
    struct vpit_channel *c = &p->channel[index_nospec(port % CONTROL, VPIT_CHANNELS)];

    lock(&p->lock);
    if (port == CONTROL) {
        write_control(p, (uint8_t)val);
    } else {
        settle(c);
        write_count(c, (uint8_t)val);
        if (port == 0)
            arm(p);
    }
    unlock(&p->lock);
    return true;
}

static bool read_speaker(void *data, uint32_t port, unsigned bytes, uint64_t *val)
{
    struct vpit *p = data;
    struct vpit_channel *c = &p->channel[2];

    lock(&p->lock);
    settle(c);
    *val = (c->hw.gate ? SPEAKER_GATE : 0) | (p->speaker ? SPEAKER_DATA : 0) |
           (time_now() / REFRESH_NS & 1 ? SPEAKER_REFRESH : 0) | (output(c) ? SPEAKER_OUTPUT : 0);
    unlock(&p->lock);
    return true;
}

static bool write_speaker(void *data, uint32_t port, unsigned bytes, uint64_t val)
{
    struct vpit *p = data;

    lock(&p->lock);
    p->speaker = val & SPEAKER_DATA;
    set_gate(&p->channel[2], val & SPEAKER_GATE);
    unlock(&p->lock);
    return true;
}

void vpit_attach(struct vpit *p, struct vbus *ports)
{
    static const struct vbus_ops counters = {read_counters, write_counters, 1};
    static const struct vbus_ops speaker = {read_speaker, write_speaker, 1};

    vbus_add(ports, PORT_COUNTERS, VPIT_CHANNELS + 1, &counters, p);
    vbus_add(ports, PORT_SPEAKER, 1, &speaker, p);
}

/* ---- life ---- */

void vpit_init(struct vpit *p, struct virqs *irqs, const uint64_t *timer_mode)
{
    static const struct vtick_ops ops = {tick_waits, tick};

    memset(p, 0, sizeof(*p));
    lock_init(&p->lock, RANK_VCHIP, "PIT");
    p->irqs = irqs;
    vtick_init(&p->tick, &ops, p, &p->lock, timer_mode);
    for (unsigned i = 0; i < VPIT_CHANNELS; i++) {
        p->channel[i].hw.count = 0x10000;
        set_mode(&p->channel[i], ACCESS_BOTH << 4 | 3 << 1);
        p->channel[i].hw.gate = i != 2;
    }
}

void vpit_stop(struct vpit *p)
{
    vtick_kill(&p->tick);
}

void vpit_save(struct vpit *p, struct hvm_hw_pit *r)
{
    memset(r, 0, sizeof(*r));
    lock(&p->lock);
    for (unsigned i = 0; i < VPIT_CHANNELS; i++) {
        settle(&p->channel[i]);
        r->channels[i] = p->channel[i].hw;
        if (p->channel[i].next)
            r->channels[i].count = p->channel[i].next;
    }
    r->speaker_data_on = p->speaker;
    unlock(&p->lock);
}

static bool channel_ok(const struct hvm_hw_pit_channel *c)
{
    return c->count >= 1 && c->count <= (c->bcd ? 10000 : 0x10000) && c->mode <= 5 && c->bcd <= 1 &&
           c->rw_mode >= ACCESS_LOW && c->rw_mode <= ACCESS_BOTH && c->gate <= 1 &&
           (c->read_state == c->rw_mode ||
            (c->rw_mode == ACCESS_BOTH && c->read_state == SECOND_BYTE)) &&
           (c->write_state == c->rw_mode ||
            (c->rw_mode == ACCESS_BOTH && c->write_state == SECOND_BYTE)) &&
           c->count_latched <= SECOND_BYTE && c->status_latched <= 1;
}

int vpit_check(const struct hvm_hw_pit *r)
{
    for (unsigned i = 0; i < VPIT_CHANNELS; i++)
        if (!channel_ok(&r->channels[i]) || (i < 2 && !r->channels[i].gate))
            return refuse(-EINVAL, "PIT counter %u: count %u, mode %u, access %u", i,
                          r->channels[i].count, r->channels[i].mode, r->channels[i].rw_mode);
    return 0;
}

void vpit_load(struct vpit *p, const struct hvm_hw_pit *r)
{
    lock(&p->lock);
    for (unsigned i = 0; i < VPIT_CHANNELS; i++) {
        struct vpit_channel *c = &p->channel[i];

        *c = (struct vpit_channel){.hw = r->channels[i], .loaded = true, .start = time_now()};
        c->counting = !is_triggered(c) && c->hw.gate;
        if (is_triggered(c))
            c->frozen = c->hw.count + 1;
    }
    p->speaker = r->speaker_data_on & 1;
    arm(p);
    unlock(&p->lock);
}
