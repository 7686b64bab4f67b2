/* SPDX-License-Identifier: MIT */
/* The interval timer of a PC: three counters, of which 0 is the ISA line 0, and port 61, which has
 * the gate and the output of counter 2. Intel 8254 data sheet. */
#pragma once

#include <xen/hvm/save.h>
#include "devices/virq.h"
#include "devices/vtick.h"

#define VPIT_HZ       1193182ull
#define VPIT_CHANNELS 3u

struct vpit_channel {
    struct hvm_hw_pit_channel hw; /* the public record */
    uint64_t start;               /* system time of count-down's begin, ns */
    uint64_t frozen;              /* while it does not count: ticks since the begin */
    uint32_t next;                /* count of the next cycle or trigger, 0: none */
    uint64_t until;               /* ticks from start when `next` begins */
    bool counting;
    bool loaded; /* a count was written after the control word */
};

struct vpit {
    struct lock lock;                           /* RANK_VCHIP: [C] */
    struct virqs *irqs;                         /* [I] */
    struct vpit_channel channel[VPIT_CHANNELS]; /* [C] */
    bool speaker;                               /* [C] bit 1 of port 61 */
    struct vtick tick;                          /* of counter 0 */
};

void vpit_init(struct vpit *p, struct virqs *irqs, const uint64_t *timer_mode);
void vpit_attach(struct vpit *p, struct vbus *ports);
void vpit_stop(struct vpit *p);
void vpit_save(struct vpit *p, struct hvm_hw_pit *r);
/* A saved state: -EINVAL: no chip can be in that. And taking over one that it can be in: its counts
 * begin anew. */
int must_check vpit_check(const struct hvm_hw_pit *r);
void vpit_load(struct vpit *p, const struct hvm_hw_pit *r);
