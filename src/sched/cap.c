/* SPDX-License-Identifier: MIT */
/* Caps: a group's budget of CPU time, which fills up with time. A unit that is chosen takes a piece
 * of it as its quota, uses it up while it runs, and gives back what is left when it leaves the CPU,
 * a debt too. When there is none the group's units are parked until a timer finds a period's worth,
 * so they run in pieces that are worth a switch. What was left unused is kept for some periods. */
#include "sched/queue.h"
#include "base/panic.h"
#include "base/softirq.h"
#include "time/clock.h"

#define SCRAP 8    /* part of a period's budget that is too little to begin with */
#define KEPT  4ull /* periods whose budget is kept for who had to wait */

static void fill_locked(struct sched_group *g, uint64_t now)
{
    uint64_t gone = now - g->filled;

    if ((int64_t)gone <= 0)
        return;
    g->filled = now;
    gone = min(gone, KEPT * SCHED_CAP_PERIOD);
    g->budget = min(g->budget + (int64_t)scale(gone, g->rate), (int64_t)KEPT * g->full);
}

bool cap_allows(struct sched_unit *u, uint64_t now)
{
    struct sched_group *g = u->group;

    if (likely(!read_once(g->cap)) || u->quota > 0)
        return true;
    lock(&g->lock);
    fill_locked(g, now);
    g->budget += u->quota; /* a debt */
    u->quota = 0;
    if (g->budget > g->full / SCRAP) {
        u->quota = min(g->budget, (int64_t)SCHED_SLICE);
        g->budget -= u->quota;
    } else {
        bitmap_set(g->parked.bits, u->cpu);
        if (!timer_active(&g->refill))
            timer_set(&g->refill, now + scale((uint64_t)(g->full - g->budget), g->pace));
    }
    unlock(&g->lock);
    return u->quota > 0;
}

void cap_give_back(struct sched_unit *u)
{
    struct sched_group *g = u->group;

    if (likely(!u->quota))
        return;
    lock(&g->lock);
    g->budget += u->quota;
    unlock(&g->lock);
    u->quota = 0;
}

/* Starts the units of g that are parked in l. */
static void unpark_line(struct sched_group *g, struct line *l, uint64_t now)
{
    struct sched_unit *u;
    bool found;

    do {
        found = false;
        lock(&l->cluster->lock);
        list_for_each_entry (u, &l->parked, link) {
            found = u->group == g && !bitmap_empty(u->can.bits, MAX_CPUS);
            if (found)
                break;
        }
        if (found)
            unit_unpark(l, u, now);
        else
            unlock(&l->cluster->lock);
    } while (found);
}

static void refilled(void *data)
{
    struct sched_group *g = data;
    struct cpu_mask parked;
    unsigned cpu;

    lock(&g->lock);
    parked = g->parked;
    bitmap_zero(g->parked.bits, MAX_CPUS);
    unlock(&g->lock);
    bitmap_for_each (cpu, parked.bits, MAX_CPUS)
        unpark_line(g, line_of(cpu), time_now());
}

void cap_group_init(struct sched_group *g)
{
    lock_init(&g->lock, RANK_CAP, "budget");
    timer_init(&g->refill, refilled, g);
}

void cap_group_set(struct sched_group *g, uint32_t cap)
{
    lock(&g->lock);
    g->rate = ((uint64_t)cap << 32) / 100;
    g->pace = cap ? (100ull << 32) / cap : 0;
    g->full = (int64_t)(SCHED_CAP_PERIOD * cap / 100);
    g->budget = g->full;
    g->filled = time_now();
    write_once(g->cap, cap);
    unlock(&g->lock);
    refilled(g);
}
