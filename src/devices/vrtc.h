/* SPDX-License-Identifier: MIT */
/* The clock of a PC: time, alarm and interrupts of the MC146818A, on the ISA line 8. Motorola
 * MC146818A data sheet.
 *
 * Its 14 registers are here. The RAM behind them, the century among it, is not part of the public
 * save record: it is the device model's, which also hears which register is selected. */
#pragma once

#include <xen/hvm/save.h>
#include "devices/virq.h"
#include "devices/vtick.h"

struct vrtc {
    struct lock lock;   /* RANK_VCHIP: [C] */
    struct virqs *irqs; /* [I] */
    struct hvm_hw_rtc
        hw;       /* [C] the public record; the time in it counts while the clock is halted */
    int64_t seen; /* [C] the second that update and alarm flags take account of */
    uint64_t period_from; /* [C] ns: the same for the periodic flag */
    uint8_t ticking;      /* [C] the rate that tick runs at, 0: it does not */
    struct vtick tick;    /* periodic interrupts */
    struct timer second;  /* updates and alarms */
};

void vrtc_init(struct vrtc *r, struct virqs *irqs, const uint64_t *timer_mode);
void vrtc_attach(struct vrtc *r, struct vbus *ports);
void vrtc_stop(struct vrtc *r);
/* The clock shows the wall clock's UTC plus `seconds`. */
void vrtc_set_offset(struct vrtc *r, int64_t seconds);
void vrtc_save(struct vrtc *r, struct hvm_hw_rtc *out);
/* A saved state: -EINVAL: no chip can be in that. And taking over one that it can be in. */
int must_check vrtc_check(const struct hvm_hw_rtc *in);
void vrtc_load(struct vrtc *r, const struct hvm_hw_rtc *in);
