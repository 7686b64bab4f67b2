/* SPDX-License-Identifier: MIT */
/* The timer of a virtual local APIC. A count runs in units of the bus clock times the divisor; what
 * is left of it follows from the time. Intel SDM vol. 3A, 11.5.4.
 *
 * The registers are the vCPU's, and so is what follows from them: the handler, which runs on any
 * CPU, only notes that the time has come, and the vCPU sees to it when it looks for interrupts.
 *
 * A periodic timer whose ticks came too late to be told apart skips those that were missed. */
#include "base/percpu.h"
#include "devices/vlapic.h"
#include "hw/ops.h"
#include "lib/util.h"
#include "time/clock.h"

#define LVT_MASKED   0x00010000u
#define LVT_MODE     0x00060000u
#define LVT_PERIODIC 0x00020000u
#define LVT_DEADLINE 0x00040000u
#define STRETCH_MAX  (1ull << 44) /* TSC ticks at a time: what the clock's arithmetic takes */
#define PERIOD_MIN   20000u       /* ns: a guest that asks for more ticks gets these */

static uint32_t lvt(const struct vlapic *l)
{
    return vlapic_get(l, VLAPIC_LVT_TIMER);
}

static bool is_deadline(uint32_t entry)
{
    return (entry & LVT_MODE) == LVT_DEADLINE;
}

/* Bits 0, 1 and 3: 2, 4, ... 128, and 1. */
static uint64_t tick_ns(const struct vlapic *l)
{
    uint32_t d = vlapic_get(l, VLAPIC_TDCR), shift = ((d & 3) | (d & 8) >> 1) + 1;

    return (uint64_t)VLAPIC_BUS_NS << (shift & 7);
}

static uint64_t period_ns(const struct vlapic *l)
{
    uint64_t ns = vlapic_get(l, VLAPIC_TMICT) * tick_ns(l);

    return (lvt(l) & LVT_MODE) == LVT_PERIODIC && ns < PERIOD_MIN ? PERIOD_MIN : ns;
}

static void fire(struct vlapic *l)
{
    if (!(lvt(l) & LVT_MASKED))
        vlapic_accept(l, (uint8_t)lvt(l), false);
}

/* It interrupts the CPU that the vCPU is on. */
static void arm(struct vlapic *l, uint64_t ns)
{
    if (read_once(l->timer.cpu) != cpu_id())
        timer_move(&l->timer, cpu_id());
    timer_set(&l->timer, ns);
}

static void deadline_arm(struct vlapic *l)
{
    uint64_t now = rdtsc(), left = l->tsc_deadline > now ? l->tsc_deadline - now : 0;

    arm(l, left ? time_tsc_to_ns(now + min(left, STRETCH_MAX)) : time_now());
}

static void deadline_reached(struct vlapic *l)
{
    if (l->tsc_deadline > rdtsc()) {
        deadline_arm(l); /* a stretch of the way, or a moment too early */
        return;
    }
    l->tsc_deadline = 0;
    fire(l);
}

static void fired(void *data)
{
    struct vlapic *l = data;

    __atomic_store_n(&l->timer_fired, true, __ATOMIC_SEQ_CST);
    l->ops->wake(l);
}

/* The guest may have set it anew, or stopped it, since. */
void vlapic_timer_due(struct vlapic *l)
{
    uint64_t period = period_ns(l), now = time_now();

    __atomic_store_n(&l->timer_fired, false, __ATOMIC_SEQ_CST);
    if (is_deadline(lvt(l))) {
        if (l->tsc_deadline)
            deadline_reached(l);
        return;
    }
    if (!period)
        return;
    if (now < l->timer_from + period) {
        arm(l, l->timer_from + period);
        return;
    }
    fire(l);
    if ((lvt(l) & LVT_MODE) != LVT_PERIODIC)
        return;
    l->timer_from += period;
    if (now > l->timer_from + period) /* ticks were missed: go on from now */
        l->timer_from = now;
    arm(l, l->timer_from + period);
}

void vlapic_timer_init(struct vlapic *l)
{
    timer_init(&l->timer, fired, l);
}

void vlapic_timer_start(struct vlapic *l)
{
    if (is_deadline(lvt(l)))
        return;
    timer_stop(&l->timer);
    l->timer_from = time_now();
    if (vlapic_get(l, VLAPIC_TMICT))
        arm(l, l->timer_from + period_ns(l));
}

/* To and from TSC-deadline mode the timer is disarmed; between the others the count goes on. */
void vlapic_timer_mode(struct vlapic *l, uint32_t old_lvt)
{
    if (is_deadline(old_lvt) == is_deadline(lvt(l)))
        return;
    timer_stop(&l->timer);
    *vlapic_reg(l, VLAPIC_TMICT) = 0;
    l->tsc_deadline = 0;
}

uint32_t vlapic_timer_count(const struct vlapic *l)
{
    uint64_t initial = vlapic_get(l, VLAPIC_TMICT), gone;

    if (is_deadline(lvt(l)) || !initial)
        return 0;
    gone = (time_now() - l->timer_from) / tick_ns(l);
    if (gone < initial)
        return (uint32_t)(initial - gone);
    return (lvt(l) & LVT_MODE) == LVT_PERIODIC ? (uint32_t)(initial - gone % initial) : 0;
}

uint64_t vlapic_deadline(const struct vlapic *l)
{
    return is_deadline(lvt(l)) ? l->tsc_deadline : 0;
}

void vlapic_set_deadline(struct vlapic *l, uint64_t tsc)
{
    if (!is_deadline(lvt(l)))
        return;
    l->tsc_deadline = tsc;
    timer_stop(&l->timer);
    if (tsc)
        deadline_arm(l);
}
