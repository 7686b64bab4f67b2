/* SPDX-License-Identifier: MIT */
/* All IO-APICs as one row of pins, named by GSI. Intel 82093AA datasheet, 3.2; ACPI 6.4, 5.2.12.
 * The routes also stand in RAM: reads never touch the chip, writes do when something changed. */
#pragma once

#include "lib/types.h"

struct ioapic_route {
    uint8_t vector;
    bool level, active_low, masked;
    uint32_t apic_id; /* physical destination */
};

/* -ENOMEM. Maps the chip and masks all its pins. */
int must_check ioapic_add(uint8_t id, paddr_t address, uint32_t gsi_base);
/* Highest GSI + 1. */
unsigned ioapic_gsi_count(void);
bool ioapic_has_gsi(unsigned gsi);

/* Of a GSI that ioapic_has_gsi. */
struct ioapic_route ioapic_get(unsigned gsi);
void ioapic_set(unsigned gsi, struct ioapic_route route);
void ioapic_mask(unsigned gsi, bool masked);
/* Masks every pin: before another kernel runs, or a reset. */
void ioapic_mask_all(void);

/* The register as domain 0 may see it (PHYSDEVOP_apic_read); -EINVAL: no IO-APIC at that address or
 * no such register. */
int must_check ioapic_read_register(paddr_t address, uint32_t reg, uint32_t *val);
/* The page of chip number n, for refusing it to guests; 0 if there is no such. */
paddr_t ioapic_address(unsigned n);
void ioapic_dump(void); /* debug key */
