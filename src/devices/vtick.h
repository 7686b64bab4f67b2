/* SPDX-License-Identifier: MIT */
/* The ticks of a timer chip: once, or periodically without drift, and what becomes of those that
 * came while the guest could not take the one before (public hvm/params.h, HVM_PARAM_TIMER_MODE):
 *
 * delay_for_missed_ticks, no_delay_for_missed_ticks: each is delivered, up to VTICK_OWED_MAX, at
 *   four times the rate until the guest has caught up. Its time stamp counter never stands still:
 *   the first mode is served as the second.
 * no_missed_ticks_pending: they are gone.
 * one_missed_tick_pending: all of them together are one late tick. */
#pragma once

#include "base/lock.h"
#include "time/timer.h"

#define VTICK_OWED_MAX 1000u
#define VTICK_MIN_NS   20000u /* a guest that asks for more ticks gets these */
#define VTICK_FRACTION 16u    /* periods are in ns / 2^16 */

/* Under the chip's lock. */
struct vtick_ops {
    /* Has the interrupt of an earlier tick not been taken yet, though it could? */
    bool (*waits)(void *owner);
    void (*tick)(void *owner);
};

struct vtick {
    struct timer timer;
    struct lock *lock;           /* [I] the chip's: [C] */
    const struct vtick_ops *ops; /* [I] */
    void *owner;                 /* [I] for ops */
    const uint64_t *mode;        /* [I] the domain's HVM_PARAM_TIMER_MODE */
    bool on;                     /* [C] */
    uint64_t wake;               /* [C] when the timer is to fire */
    uint64_t due;                /* [C] when the next tick is, UINT64_MAX: no more come */
    uint64_t period;             /* [C] 0: once */
    uint32_t fraction;           /* [C] of due */
    uint32_t owed;               /* [C] */
};

void vtick_init(struct vtick *t, const struct vtick_ops *ops, void *owner, struct lock *lock,
                const uint64_t *mode);
/* The first at system time `due`; under the chip's lock, as vtick_stop. */
void vtick_start(struct vtick *t, uint64_t due, uint64_t period);
void vtick_stop(struct vtick *t);
/* At the domain's end, without the lock. */
void vtick_kill(struct vtick *t);
