/* SPDX-License-Identifier: MIT */
/* A high-precision event timer block: one 64-bit counter of 62.5 MHz, three comparators, all of
 * them periodic at will. IA-PC HPET specification 1.0a. */
#pragma once

#include <xen/hvm/save.h>
#include "devices/virq.h"
#include "devices/vtick.h"

#define VHPET_BASE  0xfed00000ull
#define VHPET_BYTES 0x400u
#define VHPET_NS    16u /* a tick of the counter */

struct vhpet;

/* One comparator and what the public record does not say of it. */
struct vhpet_timer {
    struct vhpet *chip; /* [I] */
    uint64_t due;       /* [C] ns: its next match, UINT64_MAX: none within reach */
    unsigned line;      /* [C] that it holds up, VIRQ_LINES: none */
    struct vtick tick;
};

struct vhpet {
    struct lock lock;        /* RANK_VCHIP: [C] */
    struct virqs *irqs;      /* [I] */
    const uint64_t *enabled; /* [I] the domain's HVM_PARAM_HPET_ENABLED: 0: it is not there */
    struct hvm_hw_hpet hw;   /* [C] the public record; mc64 counts while the counter is halted */
    uint64_t offset;         /* [C] of the counter from system time */
    struct vhpet_timer timer[HPET_TIMER_NUM]; /* [C] */
};

void vhpet_init(struct vhpet *h, struct virqs *irqs, const uint64_t *timer_mode,
                const uint64_t *enabled);
void vhpet_attach(struct vhpet *h, struct vbus *memory);
void vhpet_stop(struct vhpet *h);
void vhpet_save(struct vhpet *h, struct hvm_hw_hpet *r);
/* A saved state: -EINVAL: no chip can be in that. And taking over one that it can be in. */
int must_check vhpet_check(const struct hvm_hw_hpet *r);
void vhpet_load(struct vhpet *h, const struct hvm_hw_hpet *r);
