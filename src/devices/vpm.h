/* SPDX-License-Identifier: MIT */
/* The ACPI timer and the PM1a event registers of a PIIX4: power and sleep button, and the SCI on
 * the ISA line 9. ACPI specification, 4.8.3; Intel 82371AB data sheet, 7.2.
 *
 * PM1a_CNT, by which a guest goes to sleep, is the device model's. */
#pragma once

#include <xen/hvm/save.h>
#include "devices/virq.h"
#include "time/timer.h"

#define VPM_HZ 3579545ull

struct vpm {
    struct lock lock;         /* RANK_VCHIP: [C] */
    struct virqs *irqs;       /* [I] */
    struct vbus_range *range; /* [I] */
    uint16_t status, enable;  /* [C] PM1a_STS, PM1a_EN */
    uint64_t offset;          /* [C] the count at system time 0 */
    uint64_t turns;           /* [C] changes of the counter's top bit that status knows of */
    struct timer overflow;
};

void vpm_init(struct vpm *p, struct virqs *irqs);
void vpm_attach(struct vpm *p, struct vbus *ports);
/* The place of the registers: 0 or 1 (public hvm/ioreq.h, HVM_PARAM_ACPI_IOPORTS_LOCATION). */
void vpm_locate(struct vpm *p, unsigned version);
void vpm_stop(struct vpm *p);
void vpm_press_power(struct vpm *p);
void vpm_press_sleep(struct vpm *p);
void vpm_save(struct vpm *p, struct hvm_hw_pmtimer *r);
/* A saved state: -EINVAL: no chip can be in that. And taking over one that it can be in. */
int must_check vpm_check(const struct hvm_hw_pmtimer *r);
void vpm_load(struct vpm *p, const struct hvm_hw_pmtimer *r);
