/* SPDX-License-Identifier: MIT */
/* The end of the machine: off, reset, halt. ACPI 6.4, 4.8.3.2, 4.8.3.7, 7.4.2, 16.1. */
#pragma once

#include "lib/types.h"

/* Reads from the DSDT how to power off. */
void power_init(void);

/* What domain 0's ACPI code wants written (XENPF_enter_acpi_sleep), checked to be a sleep request:
 * for S5 does not return. `extended`: val_a and val_b go to the sleep control and status registers.
 * -EINVAL: another state or values without SLP_EN; -ENODEV: no such registers. */
int must_check power_enter_sleep(unsigned state, uint32_t val_a, uint32_t val_b, bool extended);
/* Tries, in this order ("reboot=" puts one first: acpi, pci, kbd, triple): ACPI reset register,
 * port CF9, keyboard controller, triple fault. */
noreturn void power_reboot(void);
/* By the S5 values that domain 0 gave last, or by the ports of common emulators; else halts. */
noreturn void power_off(void);
