/* SPDX-License-Identifier: MIT */
/* Do two CPUs read the same time? Both read their TSC in turn, each after the other's reading was
 * published: none may be lower than the one before. If one is, the new CPU's TSC is set by a
 * measurement and looked at again. Intel SDM vol. 3B, 18.17. */
#pragma once

#include "lib/types.h"

/* On the CPU that time was calibrated on, while the new one is in tsc_sync_target(). Both sides
 * wait for each other. False: their clocks still differ; time_scale.stable is then off. */
bool tsc_sync_source(unsigned cpu);
void tsc_sync_target(void);
