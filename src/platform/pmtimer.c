/* SPDX-License-Identifier: MIT */
/* The ACPI power management timer: 3.579545 MHz, 24 or 32 bits. ACPI 6.4, 4.8.3.3. */
#include "platform/clocks.h"
#include "base/log.h"
#include "hw/ops.h"
#include "platform/acpi.h"

#define PMTIMER_HZ 3579545u

static uint16_t port;

/* Some chips' counters are not latched and may be read while they ripple: believe what does not
 * run backwards between three readings. */
static uint64_t read_counter(void)
{
    uint32_t a = in32(port), b = in32(port), c = in32(port);

    for (unsigned n = 0; n < 8 && !(a <= b && b <= c) && !(b <= c && c < a) && !(c < a && a <= b);
         n++) {
        a = b;
        b = c;
        c = in32(port);
    }
    return b;
}

static struct clock_source source sealed = {.name = "ACPI PM timer", .hz = PMTIMER_HZ};

static bool counts(void)
{
    uint64_t mask = (1ull << source.bits) - 1, first = read_counter() & mask;

    for (unsigned n = 0; n < 100000; n++) {
        if ((read_counter() & mask) != first)
            return true;
        cpu_pause();
    }
    return false;
}

const struct clock_source *pmtimer_init(void)
{
    const struct acpi_register *r = &acpi_info.pm_timer;

    if (!r->present || !r->io || r->address > 0xfffc || !r->address)
        return NULL;
    port = (uint16_t)r->address;
    source.bits = acpi_info.pm_timer_32bit ? 32 : 24;
    source.read = read_counter;
    if (!counts()) {
        log_warn("ACPI PM timer at port %#x does not count, not used", port);
        return NULL;
    }
    return &source;
}
