/* SPDX-License-Identifier: MIT */
/* The part of the interval timer that domain 0 may think it has: channel 2, its gate and its output
 * in port 61, by which kernels measure short times and beep. Computed from system time; channels 0
 * and 1, and the speaker itself, do not exist. Intel 8254 datasheet, modes 0 to 3. */
#include "memory/heap.h"
#include "pv/internal.h"
#include "time/clock.h"

#define PIT_HZ          1193182ull
#define PORT_CONTROL    0x43u
#define PORT_SPEAKER    0x61u
#define CONTROL_CHANNEL 0xc0u
#define CONTROL_CH2     0x80u
#define CONTROL_BACK    0xc0u
#define CONTROL_ACCESS  0x30u
#define SPEAKER_GATE    0x01u
#define SPEAKER_DATA    0x02u
#define SPEAKER_OUTPUT  0x20u
#define SPEAKER_REFRESH 0x10u

struct pv_pit {
    uint64_t start; /* system time when the count was loaded, ns */
    uint32_t count; /* 1 to 0x10000 */
    uint16_t latch;
    uint8_t mode, access; /* access: 1 low, 2 high, 3 both */
    uint8_t low;          /* first byte of a count being written */
    uint8_t speaker;      /* bits 0 and 1 of port 61 */
    bool latched, second_read, second_write;
};

struct pv_pit *pv_pit_create(void)
{
    struct pv_pit *p = heap_zalloc(sizeof(*p));

    if (p) {
        p->count = 0x10000;
        p->access = 3;
        p->mode = 3;
    }
    return p;
}

static uint64_t ticks(const struct pv_pit *p)
{
    return (unsigned __int128)(time_now() - p->start) * PIT_HZ / 1000000000u;
}

static uint16_t counter(const struct pv_pit *p)
{
    uint64_t t = p->speaker & SPEAKER_GATE ? ticks(p) : 0;

    if (p->mode == 3)
        return p->count - t * 2 % p->count;
    if (p->mode == 2)
        return p->count - t % p->count;
    return p->count - t;
}

static bool output(const struct pv_pit *p)
{
    uint64_t t = ticks(p);

    if (!(p->speaker & SPEAKER_GATE))
        return p->mode != 0;
    switch (p->mode) {
    case 2:
        return t % p->count != p->count - 1;
    case 3:
        return t % p->count < (p->count + 1) / 2;
    default:
        return t >= p->count;
    }
}

static uint8_t read_count(struct pv_pit *p)
{
    uint16_t val = p->latched ? p->latch : counter(p);
    bool high = p->access == 2 || (p->access == 3 && p->second_read);

    if (p->access == 3)
        p->second_read = !p->second_read;
    if (!p->second_read)
        p->latched = false;
    return high ? val >> 8 : val;
}

static void write_count(struct pv_pit *p, uint8_t val)
{
    uint32_t count;

    if (p->access == 3 && !p->second_write) {
        p->low = val;
        p->second_write = true;
        return;
    }
    p->second_write = false;
    count = p->access == 1 ? val : p->access == 2 ? val << 8 : p->low | val << 8;
    p->count = count ? count : 0x10000;
    p->start = time_now();
}

static void write_control(struct pv_pit *p, uint8_t val)
{
    if ((val & CONTROL_CHANNEL) == CONTROL_BACK || (val & CONTROL_CHANNEL) != CONTROL_CH2)
        return;
    if (!(val & CONTROL_ACCESS)) {
        if (!p->latched) /* until it has been read, the first one counts */
            p->latch = counter(p);
        p->latched = true;
        return;
    }
    p->access = (val & CONTROL_ACCESS) >> 4;
    p->mode = val >> 1 & 7;
    if (p->mode > 5) /* the third bit of modes 2 and 3 does not count */
        p->mode -= 4;
    p->second_read = p->second_write = p->latched = false;
}

uint8_t pv_pit_read(struct pv_pit *p, uint16_t port)
{
    if (port == PORT_CONTROL)
        return 0xff;
    if (port != PORT_SPEAKER)
        return read_count(p);
    return p->speaker | (output(p) ? SPEAKER_OUTPUT : 0) |
           (time_now() / 15000 & 1 ? SPEAKER_REFRESH : 0);
}

void pv_pit_write(struct pv_pit *p, uint16_t port, uint8_t val)
{
    if (port == PORT_CONTROL) {
        write_control(p, val);
    } else if (port == PORT_SPEAKER) {
        if (!(p->speaker & SPEAKER_GATE) && (val & SPEAKER_GATE))
            p->start = time_now(); /* the gate's edge starts it anew */
        p->speaker = val & (SPEAKER_GATE | SPEAKER_DATA);
    } else {
        write_count(p, val);
    }
}
