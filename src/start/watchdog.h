/* SPDX-License-Identifier: MIT */
/* The watchdog ("watchdog", "watchdog_timeout="): a CPU that has not come to its timers for so long
 * is stopped by an NMI and shown, with its stack, in a panic. Each CPU watches the next one, so it
 * takes two; no performance counter is needed. */
#pragma once

#include "lib/types.h"

struct regs;

/* Once all CPUs that are wanted have been started. */
void watchdog_start(void);
/* A CPU that came later: from now on it takes part. */
void watchdog_add(unsigned cpu);
/* From the NMI's handler: was it the watchdog's? Then it does not return. */
bool watchdog_nmi(struct regs *regs);

extern void (*watchdog_send_nmi)(unsigned cpu); /* [I] */
