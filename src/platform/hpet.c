/* SPDX-License-Identifier: MIT */
/* The HPET's main counter as a clock. IA-PC HPET specification 1.0a, 2.3. */
#include "platform/clocks.h"
#include "base/log.h"
#include "hw/ops.h"
#include "memory/map.h"

#define HPET_SIZE     1024
#define HPET_CAP      0x00 /* 63:32 period in fs, 12:8 timers - 1 */
#define HPET_CONFIG   0x10
#define HPET_COUNTER  0xf0
#define HPET_TIMER(n) (0x100 + 0x20 * (n))

#define CAP_TIMERS(cap) ((((cap) >> 8) & 31) + 1)
#define CONFIG_ENABLE   0x1u
#define CONFIG_LEGACY   0x2u
#define TIMER_ENABLE    0x4u
#define PERIOD_MAX      100000000u /* fs: at least 10 MHz */
#define FS_PER_SEC      1000000000000000ull

static uint8_t *regs;

static uint64_t read_counter(void)
{
    return mmio_read32(regs + HPET_COUNTER);
}

static struct clock_source source sealed = {.name = "HPET", .bits = 32, .read = read_counter};

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

const struct clock_source *hpet_init(paddr_t address)
{
    uint32_t cap, period, config;

    if (!address || address % 8)
        return NULL;
    regs = map_device(address, HPET_SIZE, PTE_CACHE_UC);
    if (!regs)
        return NULL;
    cap = mmio_read32(regs + HPET_CAP);
    period = mmio_read32(regs + HPET_CAP + 4);
    if (cap == ~0u || !period || period > PERIOD_MAX) {
        log_warn("HPET at %#lx: period of %u fs, not used", address, period);
        goto unmap;
    }
    config = mmio_read32(regs + HPET_CONFIG);
    mmio_write32(regs + HPET_CONFIG, config & ~(CONFIG_ENABLE | CONFIG_LEGACY));
    for (unsigned n = 0; n < CAP_TIMERS(cap); n++)
        mmio_write32(regs + HPET_TIMER(n), mmio_read32(regs + HPET_TIMER(n)) & ~TIMER_ENABLE);
    mmio_write32(regs + HPET_CONFIG, (config | CONFIG_ENABLE) & ~CONFIG_LEGACY);
    if (!counts()) {
        log_warn("HPET at %#lx does not count, not used", address);
        goto unmap;
    }
    source.hz = FS_PER_SEC / period;
    return &source;

unmap:
    unmap_device(regs, HPET_SIZE);
    regs = NULL;
    return NULL;
}
