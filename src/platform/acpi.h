/* SPDX-License-Identifier: MIT */
/* The ACPI tables that a hypervisor needs: MADT, FADT, HPET, MCFG. ACPI specification 6.4, 5.2;
 * IA-PC HPET specification 1.0a; PCI firmware specification 3.2, 4.1.2.
 *
 * Firmware is not trusted to be right: each table is mapped with the length that it claims, at most
 * ACPI_TABLE_MAX, and nothing outside of that is read; a wrong checksum, a length too small or an
 * entry of length 0 costs one warning and the rest of that table. */
#pragma once

#include "lib/types.h"

#define ACPI_TABLE_MAX    (1u << 20)
#define ACPI_CPUS         256
#define ACPI_IOAPICS      16
#define ACPI_OVERRIDES    32
#define ACPI_MCFG_REGIONS 16

struct acpi_cpu {
    uint32_t apic_id;
    uint32_t acpi_id; /* of the Processor object or Device */
    bool enabled;     /* else it may be added later */
};

struct acpi_ioapic {
    uint8_t id;
    uint32_t gsi_base;
    paddr_t address;
};

struct acpi_override { /* ISA interrupt -> GSI */
    uint8_t isa_irq;
    uint32_t gsi;
    bool level, active_low;
};

struct acpi_mcfg_region {
    paddr_t base; /* of bus 0 */
    uint16_t segment;
    uint8_t bus_first, bus_last;
};

/* A register by Generic Address Structure. */
struct acpi_register {
    bool present, io; /* io: a port, else memory */
    uint8_t width;    /* in bits */
    paddr_t address;
};

struct acpi_info {
    bool present; /* tables were found */
    paddr_t lapic_address;
    struct acpi_cpu cpu[ACPI_CPUS];
    unsigned nr_cpus;
    struct acpi_ioapic ioapic[ACPI_IOAPICS];
    unsigned nr_ioapics;
    struct acpi_override override[ACPI_OVERRIDES];
    unsigned nr_overrides;
    bool has_8259;

    bool has_fadt;
    struct acpi_register pm_timer;
    bool pm_timer_32bit;
    struct acpi_register pm1a_event, pm1b_event, pm1a_control, pm1b_control;
    struct acpi_register sleep_control, sleep_status; /* hardware-reduced ACPI */
    struct acpi_register reset;
    uint8_t reset_value;
    uint16_t sci;
    paddr_t facs, dsdt;

    paddr_t hpet_address; /* 0: none */
    struct acpi_mcfg_region mcfg[ACPI_MCFG_REGIONS];
    unsigned nr_mcfg;
    paddr_t dmar, ivrs; /* the tables, 0: none */
};

extern struct acpi_info acpi_info; /* [I] after acpi_init */

/* Finds the root pointer (given by the loader at physical `rsdp`, or as its `copy` of `copy_len`
 * bytes; else in the BIOS areas) and reads the tables. -ENOENT: no usable root pointer or root
 * table; acpi_info is then empty. */
int must_check acpi_init(paddr_t rsdp, const uint8_t *copy, unsigned copy_len);
/* Finds a table: its physical address and length. -ENOENT. After acpi_init. */
int must_check acpi_find_table(const char *signature, paddr_t *address, uint32_t *length);
