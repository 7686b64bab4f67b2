/* SPDX-License-Identifier: MIT */
/* The 8254 interval timer: channel 2 counts down from 65536 for ever, channel 0 (the interrupt) is
 * stopped. Intel 8254 datasheet; port 61 as in any PC. */
#include "platform/clocks.h"
#include "base/lock.h"
#include "base/param.h"
#include "hw/ops.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/util.h"
#include "platform/acpi.h"

#define PIT_HZ       1193182u
#define PIT_CHANNEL0 0x40
#define PIT_CHANNEL2 0x42
#define PIT_MODE     0x43
#define PORT_61      0x61

#define MODE_CH0_ONESHOT 0x30 /* low and high byte, mode 0: stops until a count is written */
#define MODE_CH2_RATE    0xb4 /* low and high byte, mode 2 */
#define LATCH_CH2        0x80
#define PORT_61_GATE     0x01
#define PORT_61_SPEAKER  0x02

static struct lock pit_lock = LOCK_INIT(RANK_CHIP, "PIT");

/* Upwards, 16 bits. */
static uint64_t read_counter(void)
{
    unsigned lo, hi;

    lock(&pit_lock);
    out8(PIT_MODE, LATCH_CH2);
    lo = in8(PIT_CHANNEL2);
    hi = in8(PIT_CHANNEL2);
    unlock(&pit_lock);
    return (uint16_t) - (lo | hi << 8);
}

static const struct clock_source pit_source = {
    .name = "PIT", .hz = PIT_HZ, .bits = 16, .read = read_counter};

static bool counts(void)
{
    uint64_t first = read_counter();

    for (unsigned n = 0; n < 100000; n++) {
        if (read_counter() != first)
            return true;
        cpu_pause();
    }
    return false;
}

const struct clock_source *pit_init(void)
{
    out8(PIT_MODE, MODE_CH0_ONESHOT);
    out8(PORT_61, (in8(PORT_61) & (uint8_t)~PORT_61_SPEAKER) | PORT_61_GATE);
    out8(PIT_MODE, MODE_CH2_RATE);
    out8(PIT_CHANNEL2, 0);
    out8(PIT_CHANNEL2, 0);
    return counts() ? &pit_source : NULL;
}
