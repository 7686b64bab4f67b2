/* SPDX-License-Identifier: MIT */
/* The chips of a fully virtual domain beside the local APICs of its vCPUs: those of devices/ that
 * its creator asked for (XEN_X86_EMU_* of public arch-x86/xen.h), at their ports and addresses,
 * with their lines to the vCPUs. What no chip claims is a device model's; there is none yet, so
 * reads find an open bus and writes go nowhere. */
#pragma once

#include "devices/vhpet.h"
#include "devices/vpit.h"
#include "devices/vpm.h"
#include "devices/vrtc.h"
#include "hvm/hvm.h"

struct hvm_chips {
    uint32_t present; /* [I] XEN_X86_EMU_* */
    struct vbus ports, memory;
    struct virqs irqs;
    struct vpit pit;
    struct vrtc rtc;
    struct vhpet hpet;
    struct vpm pm;
    uint64_t callback; /* [p] of vCPU 0: the HVM_PARAM_CALLBACK_IRQ whose line is high, 0: none */
};

/* By hvm_domain.emulated: -ENOMEM. None but local APICs: hvm_domain.chips stays NULL. */
int must_check hvm_chips_create(struct domain *d);
void hvm_chips_stop(struct domain *d); /* no timer fires any more */
void hvm_chips_free(struct domain *d);

/* ---- accesses of a guest ---- */
uint32_t hvm_port_in(struct domain *d, uint16_t port, unsigned bytes);
void hvm_port_out(struct domain *d, uint16_t port, unsigned bytes, uint32_t val);
/* `to` is filled, or `from` written, at guest-physical `gpa`: false: there is no chip. */
bool hvm_chip_access(struct domain *d, uint64_t gpa, void *to, const void *from, unsigned bytes);

/* ---- interrupts ---- */
/* Do the PICs ask v? And the vector they answer with, -1: not any more. */
bool hvm_pic_asks(const struct vcpu *v);
int hvm_pic_acknowledge(struct vcpu *v);
void hvm_chips_eoi(struct domain *d, uint8_t vector);
/* A message as PCI devices send it; -EINVAL: it goes to no local APIC. */
int must_check hvm_msi(struct domain *d, uint64_t addr, uint32_t data);
/* The line that event channels of vCPU 0 want, by HVM_PARAM_CALLBACK_IRQ: has it to change? v is
 * current. */
bool hvm_callback_changes(const struct vcpu *v);
void hvm_callback_update(struct vcpu *v);

/* ---- what tools set ---- */
/* Parameter `index` has become `val`, which is one that it can have. */
void hvm_chips_param(struct domain *d, uint32_t index, uint64_t val);
void hvm_chips_time_offset(struct domain *d, int64_t seconds);
/* -EINVAL: there is no such button. */
int must_check hvm_press_button(struct domain *d, bool sleep);

/* ---- saved state (hvm/chips_state.c); d is paused ---- */
struct hvm_chip_record {
    uint16_t code, instances;
    uint32_t length;
    uint32_t chip; /* XEN_X86_EMU_* that have it */
};
/* The n-th of those that d has, NULL: no more. */
const struct hvm_chip_record *hvm_chip_record(const struct domain *d, unsigned n);
void hvm_chip_get(struct domain *d, const struct hvm_chip_record *r, unsigned instance,
                  void *record);
/* -EINVAL: no chip can be in that state. */
int must_check hvm_chip_check(const struct hvm_chip_record *r, unsigned instance,
                              const void *record);
void hvm_chip_set(struct domain *d, const struct hvm_chip_record *r, unsigned instance,
                  const void *record);
