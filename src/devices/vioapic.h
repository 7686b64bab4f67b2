/* SPDX-License-Identifier: MIT */
/* An I/O APIC with 48 pins: the 16 of the ISA bus and 32 for PCI. Intel 82093AA data sheet.
 *
 * The public save record is the whole state but for the levels of the pins. The owner (virq.h)
 * holds the lock. */
#pragma once

#include <xen/hvm/save.h>
#include "lib/types.h"

#define VIOAPIC_BASE  0xfec00000ull
#define VIOAPIC_BYTES 0x1000u

/* Bits of the lower half of an entry, in the places where an ICR has them too. */
#define VIOAPIC_MESSAGE 0x00008fffu /* vector, delivery mode, destination mode, trigger */
#define VIOAPIC_LEVEL   0x00008000u
#define VIOAPIC_MASKED  0x00010000u

struct vioapic {
    struct hvm_hw_vioapic hw;
    uint64_t input;
    /* Sends what an entry says; false: no local APIC took it. */
    bool (*message)(void *owner, uint32_t icr, uint8_t dest);
    void *owner;
};

void vioapic_reset(struct vioapic *a);
void vioapic_input(struct vioapic *a, unsigned pin, bool high);
/* Local APICs have seen the end of a level-triggered interrupt. */
void vioapic_eoi(struct vioapic *a, uint8_t vector);

/* The guest's accesses within the page. */
uint32_t vioapic_read(struct vioapic *a, uint32_t offset);
void vioapic_write(struct vioapic *a, uint32_t offset, uint32_t val);

/* A saved state: -EINVAL: no chip can be in that. And taking over one that it can be in. */
int must_check vioapic_check(const struct hvm_hw_vioapic *r);
void vioapic_load(struct vioapic *a, const struct hvm_hw_vioapic *r);
/* After loading: the levels of all pins, from which edges are not taken. */
void vioapic_resync(struct vioapic *a, uint64_t inputs);
