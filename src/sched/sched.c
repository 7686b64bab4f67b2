/* SPDX-License-Identifier: MIT */
/* Round robin on each CPU.
 *
 * A unit's fields are guarded by the lock of the queue that `cpu` names; unit_lock() follows a unit
 * that moves meanwhile. A unit is in one of these states:
 *     asleep      !runnable, unlinked (it may still be `running` until its CPU has switched)
 *     waiting     runnable, linked in its queue
 *     current     queue->current, unlinked
 * `running` outlives `current` until sched_switched(): between the two its registers are being
 * saved. Only a unit that is not running moves to another queue, so what another CPU loads is
 * whole; and on its own CPU the next choice comes after the switch. */
#include "sched/sched.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/panic.h"
#include "base/softirq.h"
#include "lib/errno.h"
#include "time/clock.h"
#include "time/timer.h"

struct run_queue {
    struct lock lock; /* RANK_SCHED */
    struct list waiting;
    struct sched_unit *current; /* [SCHED], a hint without it; never NULL once the CPU is up */
    struct sched_unit *idle;    /* [I] */
    struct timer slice;
    uint32_t length;   /* [SCHED] units in `waiting`; a hint without it */
    uint32_t switches; /* [p] for the dump */
    bool yield;        /* [p] current gives way */
};

static DEFINE_PER_CPU(struct run_queue, run_queue);
static const struct sched_ops *sched_ops; /* [I] */

static struct run_queue *queue_of(unsigned cpu)
{
    return per_cpu_ptr(run_queue, cpu);
}

/* Locks the queue that u belongs to. */
static struct run_queue *unit_lock(struct sched_unit *u)
{
    for (;;) {
        unsigned cpu = __atomic_load_n(&u->cpu, __ATOMIC_ACQUIRE);
        struct run_queue *q = queue_of(cpu);

        lock(&q->lock);
        if (u->cpu == cpu)
            return q;
        unlock(&q->lock);
    }
}

static bool is_waiting(const struct sched_unit *u)
{
    return !list_empty(&u->link);
}

static void enqueue(struct run_queue *q, struct sched_unit *u)
{
    list_add_tail(&q->waiting, &u->link);
    q->length++;
}

static void dequeue(struct run_queue *q, struct sched_unit *u)
{
    list_del_init(&u->link);
    q->length--;
}

static void slice_over(void *data)
{
    softirq_raise(SOFTIRQ_SCHEDULE);
}

/* The unit to run now: the current one while its slice lasts, then whoever waits longest. */
static struct sched_unit *choose(struct run_queue *q, uint64_t now)
{
    struct sched_unit *cur = q->current;
    bool keep = !cur->idle && cur->runnable && cur->target == cur->cpu;

    if (keep && !q->yield && now - cur->slice_start < SCHED_SLICE)
        return cur;
    q->yield = false;
    if (!list_empty(&q->waiting)) {
        struct sched_unit *next = list_first_entry(&q->waiting, struct sched_unit, link);

        dequeue(q, next);
        if (keep)
            enqueue(q, cur);
        next->slice_start = now;
        return next;
    }
    if (keep) {
        cur->slice_start = now;
        return cur;
    }
    return q->idle;
}

/* SOFTIRQ_SCHEDULE. */
static void schedule(void)
{
    struct run_queue *q = this_cpu_ptr(run_queue);
    struct sched_unit *prev, *next;
    uint64_t now = time_now();

    lock(&q->lock);
    prev = q->current;
    next = choose(q, now);
    /* Nobody waits: the current unit runs on without being disturbed. */
    if (!next->idle && q->length)
        timer_set(&q->slice, next->slice_start + SCHED_SLICE);
    else
        timer_stop(&q->slice);
    if (next != prev) {
        q->current = next;
        next->running = true;
        q->switches++;
    }
    unlock(&q->lock);
    if (next != prev)
        sched_ops->switch_to(prev, next);
}

/* A CPU for u, locked, that idles and has nobody waiting, or `cpu` itself: one that u likes if
 * there is one. The answer is a hint. */
static unsigned find_idle_cpu(const struct sched_unit *u, unsigned cpu)
{
    unsigned i, found = cpu;

    bitmap_for_each (i, cpus_active.bits, MAX_CPUS) {
        struct run_queue *q = queue_of(i);
        struct sched_unit *cur = read_once(q->current);

        if (!cur || !cur->idle || read_once(q->length) || !bitmap_test(u->hard.bits, i))
            continue;
        if (bitmap_test(u->soft.bits, i))
            return i;
        found = i;
    }
    return found;
}

/* u is runnable and its queue is locked: puts it in line and tells the CPU. Unlocks. */
static void start_waiting(struct run_queue *q, struct sched_unit *u)
{
    unsigned cpu = u->cpu;
    bool tell;

    enqueue(q, u);
    /* A busy CPU with nobody waiting has no slice timer yet. */
    tell = q->current->idle || q->length == 1;
    unlock(&q->lock);
    if (tell)
        softirq_raise_on(cpu, SOFTIRQ_SCHEDULE);
}

/* u, locked in q, neither waits nor runs: gives it to the queue of `cpu`, and puts it in line there
 * if it is runnable. Unlocks. */
static void relocate(struct run_queue *q, struct sched_unit *u, unsigned cpu)
{
    u->target = cpu;
    __atomic_store_n(&u->cpu, cpu, __ATOMIC_RELEASE);
    unlock(&q->lock);
    q = unit_lock(u);
    /* While no queue was locked somebody may have put it to sleep, or in line. */
    if (u->runnable && !is_waiting(u) && q->current != u)
        start_waiting(q, u);
    else
        unlock(&q->lock);
}

void sched_switched(struct sched_unit *prev)
{
    struct run_queue *q;

    if (prev->idle)
        return;
    /* Pairs with the acquire in unit_is_off: whoever loads the saved state sees all of it. */
    __atomic_store_n(&prev->running, false, __ATOMIC_RELEASE);
    if (likely(read_once(prev->target) == read_once(prev->cpu)))
        return;
    q = unit_lock(prev);
    if (prev->running || is_waiting(prev))
        unlock(&q->lock); /* somebody was quicker; it moves when it is switched out again */
    else
        relocate(q, prev, prev->target);
}

static bool unit_is_off(const struct sched_unit *u)
{
    return !__atomic_load_n(&u->running, __ATOMIC_ACQUIRE);
}

void sched_wake(struct sched_unit *u)
{
    struct run_queue *q = unit_lock(u);
    unsigned cpu = u->target;

    if (u->runnable) {
        unlock(&q->lock);
        return;
    }
    u->runnable = true;
    if (q->current == u) { /* it fell asleep and its CPU has not noticed yet */
        unlock(&q->lock);
        return;
    }
    if (cpu == u->cpu && !u->pinned && !q->current->idle)
        cpu = find_idle_cpu(u, cpu);
    if (cpu != u->cpu && unit_is_off(u))
        relocate(q, u, cpu);
    else
        start_waiting(q, u);
}

void sched_sleep(struct sched_unit *u)
{
    struct run_queue *q = unit_lock(u);
    bool current;

    u->runnable = false;
    if (is_waiting(u))
        dequeue(q, u);
    current = q->current == u;
    unlock(&q->lock);
    if (current)
        softirq_raise_on(u->cpu, SOFTIRQ_SCHEDULE);
}

void sched_sleep_sync(struct sched_unit *u)
{
    ASSERT(u != sched_current());
    sched_sleep(u);
    while (!unit_is_off(u)) {
        if (lock_spin_poll)
            lock_spin_poll();
        cpu_pause();
    }
}

void sched_unit_yield(void)
{
    struct run_queue *q = this_cpu_ptr(run_queue);

    if (!read_once(q->length))
        return;
    q->yield = true;
    softirq_raise(SOFTIRQ_SCHEDULE);
}

void sched_move(struct sched_unit *u, unsigned cpu, bool pin)
{
    struct run_queue *q = unit_lock(u);

    u->pinned = pin;
    u->target = cpu;
    if (u->cpu == cpu) {
        unlock(&q->lock);
    } else if (!unit_is_off(u)) {
        cpu = u->cpu;
        unlock(&q->lock);
        softirq_raise_on(cpu, SOFTIRQ_SCHEDULE);
    } else {
        if (is_waiting(u))
            dequeue(q, u);
        relocate(q, u, cpu);
    }
}

int sched_set_affinity(struct sched_unit *u, const struct cpu_mask *hard,
                       const struct cpu_mask *soft)
{
    struct cpu_mask can;
    struct run_queue *q;
    bool there;

    bitmap_and(can.bits, hard->bits, cpus_active.bits, MAX_CPUS);
    if (bitmap_empty(can.bits, MAX_CPUS))
        return -EINVAL;
    q = unit_lock(u);
    u->hard = *hard;
    u->soft = *soft;
    there = bitmap_test(can.bits, u->target);
    unlock(&q->lock);
    if (!there)
        sched_move(u, (unsigned)bitmap_first(can.bits, MAX_CPUS), false);
    return 0;
}

struct sched_unit *sched_current(void)
{
    return this_cpu(run_queue).current;
}

void sched_unit_init(struct sched_unit *u, unsigned cpu)
{
    *u = (struct sched_unit){.cpu = cpu, .target = cpu};
    bitmap_fill(u->hard.bits, MAX_CPUS);
    bitmap_fill(u->soft.bits, MAX_CPUS);
    list_init(&u->link);
}

void sched_cpu_init(unsigned cpu, struct sched_unit *idle)
{
    struct run_queue *q = queue_of(cpu);

    sched_unit_init(idle, cpu);
    idle->idle = idle->runnable = idle->running = idle->pinned = true;
    lock_init(&q->lock, RANK_SCHED, "run queue");
    list_init(&q->waiting);
    timer_init(&q->slice, slice_over, NULL);
    q->current = q->idle = idle;
    q->length = q->switches = 0;
    q->yield = false;
}

void sched_init(const struct sched_ops *ops)
{
    sched_ops = ops;
    softirq_register(SOFTIRQ_SCHEDULE, schedule);
}

void sched_dump(void)
{
    unsigned cpu;

    for_each_cpu (cpu) {
        struct run_queue *q = queue_of(cpu);

        log_key("CPU %u: %s, %u waiting, %u switches", cpu,
                read_once(q->current)->idle ? "idle" : "busy", read_once(q->length), q->switches);
    }
}
