/* SPDX-License-Identifier: MIT */
/* The platform's counters: HPET, ACPI PM timer, PIT. Each _init gives NULL where the device is not
 * there or does not count. */
#pragma once

#include "base/clock_source.h"

/* IA-PC HPET specification 1.0a. Stops its interrupts, leaves the counter running. */
const struct clock_source *hpet_init(paddr_t address);
/* ACPI 6.4, 4.8.3.3, by acpi_info. */
const struct clock_source *pmtimer_init(void);
/* Intel 8254 datasheet: channel 2, gated by port 61, so that the speaker stays silent. Its 16 bits
 * wrap every 55 ms, and reading is slow: the last choice. Channel 0 is stopped. */
const struct clock_source *pit_init(void);

/* The best of those present; NULL if none ("clocksource=hpet|acpi|pit" chooses). After acpi_init.
 */
const struct clock_source *platform_clock_init(void);
extern const struct clock_source *platform_clock; /* [I] */
/* Busy-waits with it (without one: by counting pauses, roughly). */
void platform_delay(uint64_t ns);
