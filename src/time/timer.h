/* SPDX-License-Identifier: MIT */
/* Software timers: one queue for each CPU, its earliest deadline in the CPU's timer device.
 * Handlers run from SOFTIRQ_TIMER on the timer's CPU with interrupts off and no lock held; they may
 * set or stop any timer, their own too. */
#pragma once

#include "base/clock_source.h"
#include "lib/types.h"

struct timer {
    uint64_t expires; /* [TIMER] system time, ns; valid while active */
    void (*fn)(void *data);
    void *data;
    unsigned cpu; /* [TIMER] of the queue it belongs to */
    bool active;  /* [TIMER] */
    /* Pairing heap: first child, next sibling, and previous sibling or parent. [TIMER] */
    struct timer *child, *next, *prev;
};

/* Once, with the device that each CPU has; registers SOFTIRQ_TIMER. */
void timer_start(const struct timer_device *device);
/* The timer device's interrupt has come on this CPU. */
void timer_interrupt(void);

/* Inactive, on this CPU. */
void timer_init(struct timer *t, void (*fn)(void *data), void *data);
/* Runs fn(data) at system time `ns`, or soon if that has passed. Replaces an earlier deadline. */
void timer_set(struct timer *t, uint64_t ns);
/* The handler will not start any more; it may be running on another CPU. */
void timer_stop(struct timer *t);
/* The same, and the handler does not run any more when this returns. Not from the handler itself.
 * The caller holds no lock that the handler wants. */
void timer_kill(struct timer *t);
/* Moves it to another CPU's queue, with its deadline if it has one. */
void timer_move(struct timer *t, unsigned cpu);
static inline bool timer_active(const struct timer *t)
{
    return t->active;
}
/* The deadline of this CPU's earliest timer, UINT64_MAX if there is none. */
uint64_t timer_next(void);
/* Debug key: the queues of all CPUs. */
void timer_dump(void);
