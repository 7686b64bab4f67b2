/* SPDX-License-Identifier: MIT */
/* The choice of the platform's clock, and waiting with it. */
#include "platform/clocks.h"
#include "base/log.h"
#include "base/param.h"
#include "hw/ops.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "platform/acpi.h"

const struct clock_source *platform_clock;

static char wanted[8];
PARAM_STRING("clocksource", wanted);

static bool allowed(const char *name)
{
    return !*wanted || !strcmp(wanted, name);
}

const struct clock_source *platform_clock_init(void)
{
    /* The PIT's interrupt has to be stopped in any case. */
    const struct clock_source *pit = pit_init(), *c = NULL;

    if (allowed("hpet"))
        c = hpet_init(acpi_info.hpet_address);
    if (!c && allowed("acpi"))
        c = pmtimer_init();
    if (!c)
        c = pit;
    platform_clock = c;
    if (c)
        log_info("platform clock: %s, %lu Hz", c->name, c->hz);
    else
        log_warn("no platform clock counts");
    return c;
}

void platform_delay(uint64_t ns)
{
    const struct clock_source *c = platform_clock;
    uint64_t mask, last, ticks, passed = 0;

    if (!c) {
        for (uint64_t n = 0; n < ns / 10; n++)
            cpu_pause();
        return;
    }
    mask = c->bits < 64 ? (1ull << c->bits) - 1 : ~0ull;
    ticks = (uint64_t)((unsigned __int128)ns * c->hz / 1000000000u) + 1;
    last = c->read();
    while (passed < ticks) {
        uint64_t now = c->read();

        passed += (now - last) & mask;
        last = now;
        cpu_pause();
    }
}
