/* SPDX-License-Identifier: MIT */
/* The local APIC of the executing CPU, by MMIO (xAPIC) or MSRs (x2APIC). Intel SDM vol. 3A, 11. */
#pragma once

#include "base/clock_source.h"
#include "base/percpu.h"

/* Boot CPU: chooses the mode (x2APIC where the firmware left it on, or "x2apic"), maps the
 * registers at `base` (0: where the processor says) and does lapic_init_cpu(). -ENOMEM; -ENODEV:
 * there is no local APIC. */
int must_check lapic_init(paddr_t base);
/* Each CPU: enables it with everything masked, LVTs and spurious vector set. */
void lapic_init_cpu(void);

uint32_t lapic_id(void);
bool lapic_x2apic(void);
void lapic_eoi(void);
/* Is the vector in service here? */
bool lapic_in_service(unsigned vector);
/* The error status after an error interrupt, cleared. */
uint32_t lapic_error(void);

/* APIC id of each CPU. [I] set before the CPU comes up */
extern uint32_t cpu_apic_id[MAX_CPUS];

void lapic_send_ipi(unsigned cpu, unsigned vector);
void lapic_send_ipi_mask(const struct cpu_mask *mask, unsigned vector);
void lapic_send_ipi_self(unsigned vector);
void lapic_send_nmi(unsigned cpu);
void lapic_send_nmi_others(void);
/* INIT, and STARTUP at 4 KiB page `page` (below 1 MiB), to an APIC id. */
void lapic_send_init(uint32_t apic_id);
void lapic_send_startup(uint32_t apic_id, unsigned page);

/* Measures the timer's frequency against `reference` (boot CPU, once; not needed for the TSC
 * deadline mode: "tsc_deadline=no" avoids that) and gives the device. Interrupts: VECTOR_TIMER. */
const struct timer_device *lapic_timer_init(const struct clock_source *reference);
/* The other CPUs: the same mode. */
void lapic_timer_init_cpu(void);

#define LAPIC_DEFAULT_BASE 0xfee00000ul
