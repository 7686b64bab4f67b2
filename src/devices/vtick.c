/* SPDX-License-Identifier: MIT */
/* See vtick.h. */
#include "devices/vtick.h"

#include <xen/hvm/params.h>
#include "base/percpu.h"
#include "lib/util.h"
#include "time/clock.h"

#define NEVER       UINT64_MAX
#define LATE_MAX    (1ull << (63 - VTICK_FRACTION)) /* 39 hours: what the arithmetic takes */
#define CATCH_UP    4u
#define PERIOD_MIN  ((uint64_t)VTICK_MIN_NS << VTICK_FRACTION)
#define TO_NS(p)    ((p) >> VTICK_FRACTION)
#define FRACTION(p) ((uint32_t)((p) & ((1u << VTICK_FRACTION) - 1)))

/* Moves `due` beyond `now`; how many ticks have come. */
static uint64_t count_due(struct vtick *t, uint64_t now)
{
    uint64_t late, n, on;

    if (now < t->due)
        return 0;
    if (!t->period) {
        t->due = NEVER;
        return 1;
    }
    late = now - t->due;
    if (late >= LATE_MAX) { /* nobody counts these */
        t->due = now + TO_NS(t->period);
        return VTICK_OWED_MAX;
    }
    n = (late << VTICK_FRACTION) / t->period + 1;
    on = n * t->period + t->fraction;
    t->due += TO_NS(on);
    t->fraction = FRACTION(on);
    return n;
}

static void owe(struct vtick *t, uint64_t n)
{
    switch (read_once(*t->mode)) {
    case HVMPTM_no_missed_ticks_pending:
        t->owed = n != 0;
        break;
    case HVMPTM_one_missed_tick_pending:
        t->owed = t->owed || n;
        break;
    default:
        t->owed = (uint32_t)min(t->owed + n, (uint64_t)VTICK_OWED_MAX);
        break;
    }
}

static void deliver(struct vtick *t)
{
    /* A chip that was told to tick once does so whatever waits. */
    if (t->owed && (!t->period || !t->ops->waits(t->owner))) {
        t->owed--;
        t->ops->tick(t->owner);
    }
    if (read_once(*t->mode) == HVMPTM_no_missed_ticks_pending)
        t->owed = 0;
}

static void arm(struct vtick *t, uint64_t now)
{
    t->wake = t->due;
    if (t->owed)
        t->wake = min(t->wake, now + max(TO_NS(t->period) / CATCH_UP, (uint64_t)VTICK_MIN_NS));
    t->on = t->wake != NEVER;
    if (t->on)
        timer_set(&t->timer, t->wake);
}

static void fired(void *data)
{
    struct vtick *t = data;
    uint64_t now;

    lock(t->lock);
    now = time_now();
    /* It may have been stopped or set anew since. */
    if (t->on && now >= t->wake) {
        owe(t, count_due(t, now));
        deliver(t);
        if (t->on) /* the chip may have changed its mind */
            arm(t, now);
    } else if (t->on) {
        timer_set(&t->timer, t->wake);
    }
    unlock(t->lock);
}

void vtick_start(struct vtick *t, uint64_t due, uint64_t period)
{
    t->due = due;
    t->period = period && period < PERIOD_MIN ? PERIOD_MIN : period;
    t->fraction = 0;
    t->owed = 0;
    timer_move(&t->timer, cpu_id()); /* to where the guest is, whose time it takes */
    arm(t, 0);
}

void vtick_stop(struct vtick *t)
{
    t->on = false;
    t->owed = 0;
    timer_stop(&t->timer);
}

void vtick_kill(struct vtick *t)
{
    if (!t->lock)
        return; /* never initialised */
    lock(t->lock);
    vtick_stop(t);
    unlock(t->lock);
    timer_kill(&t->timer);
}

void vtick_init(struct vtick *t, const struct vtick_ops *ops, void *owner, struct lock *lock,
                const uint64_t *mode)
{
    *t = (struct vtick){.ops = ops, .owner = owner, .lock = lock, .mode = mode};
    timer_init(&t->timer, fired, t);
}
