/* SPDX-License-Identifier: MIT */
/*
 * Software timers: a pairing heap for each CPU, ordered by deadline, linked through the timers
 * themselves, so that setting a timer cannot fail. Insertion is one comparison; removal melds the
 * children in pairs, logarithmic when amortised, and bounded by the number of timers of a CPU.
 * (Fredman, Sedgewick, Sleator, Tarjan: The pairing heap, 1986.)
 *
 * The device is set only to an earlier deadline than it has: a timer that is stopped or put off
 * costs nothing but, at most, one interrupt that finds nothing to do. A timer set for another CPU's
 * queue raises SOFTIRQ_TIMER there, which sets that CPU's device.
 */
#include "time/timer.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/panic.h"
#include "base/softirq.h"
#include "base/symbols.h"
#include "lib/util.h"
#include "time/clock.h"

#define NEVER ~0ull

struct timer_queue {
    struct lock lock;      /* RANK_TIMER */
    struct timer *root;    /* [lock] the earliest */
    struct timer *running; /* [lock] whose handler runs */
    uint64_t run_now;      /* [lock] the time that the present round serves, 0: none runs */
    uint64_t armed;        /* [lock] deadline that the device has, NEVER: none */
};

static DEFINE_PER_CPU(struct timer_queue, timers) = {
    .lock = LOCK_INIT(RANK_TIMER, "timers"),
    .armed = NEVER,
};
static const struct timer_device *device; /* [I] */

/* ---- the heap ---- */

/* Both without siblings; either may be NULL. */
static struct timer *meld(struct timer *a, struct timer *b)
{
    if (!a || !b)
        return a ? a : b;
    if (b->expires < a->expires) {
        struct timer *t = a;

        a = b;
        b = t;
    }
    b->next = a->child;
    b->prev = a;
    if (b->next)
        b->next->prev = b;
    a->child = b;
    return a;
}

/* Makes one heap of a list of siblings: pairs from the left, then all pairs together. */
static struct timer *meld_siblings(struct timer *first)
{
    struct timer *pairs = NULL, *all = NULL;

    while (first) {
        struct timer *a = first, *b = a->next;

        first = b ? b->next : NULL;
        a->next = a->prev = NULL;
        if (b)
            b->next = b->prev = NULL;
        a = meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    while (pairs) {
        struct timer *next = pairs->next;

        pairs->next = NULL;
        all = meld(all, pairs);
        pairs = next;
    }
    if (all)
        all->prev = NULL;
    return all;
}

static void extract(struct timer_queue *q, struct timer *t)
{
    struct timer *rest = meld_siblings(t->child);

    if (t == q->root) {
        q->root = rest;
    } else {
        if (t->prev->child == t)
            t->prev->child = t->next;
        else
            t->prev->next = t->next;
        if (t->next)
            t->next->prev = t->prev;
        q->root = meld(q->root, rest);
    }
    t->child = t->next = t->prev = NULL;
    t->active = false;
}

static void insert(struct timer_queue *q, struct timer *t)
{
    t->child = t->next = t->prev = NULL;
    t->active = true;
    q->root = meld(q->root, t);
}

/* ---- queues ---- */

/* The queue of the timer's CPU, locked. The timer may be moved while we wait. */
static locks_unchecked struct timer_queue *queue_lock(const struct timer *t)
{
    for (;;) {
        unsigned cpu = read_once(t->cpu);
        struct timer_queue *q = per_cpu_ptr(timers, cpu);

        lock(&q->lock);
        if (t->cpu == cpu)
            return q;
        unlock(&q->lock);
    }
}

/* Sets this CPU's device to the earliest deadline, if it would fire later than that. */
static void program(struct timer_queue *q)
{
    uint64_t deadline = q->root ? q->root->expires : NEVER, now;

    if (deadline >= q->armed || !device)
        return;
    q->armed = deadline;
    now = time_now();
    device->arm(time_ns_to_tsc(deadline), deadline > now ? deadline - now : 0);
}

/* After a change of the queue of `cpu`. */
static void changed(struct timer_queue *q, unsigned cpu)
{
    if (cpu == cpu_id())
        program(q);
    else if (q->root && q->root->expires < read_once(q->armed))
        softirq_raise_on(cpu, SOFTIRQ_TIMER);
}

static void run(void)
{
    struct timer_queue *q = this_cpu_ptr(timers);
    uint64_t now;

    lock(&q->lock);
    /* One reading of the clock: what a handler sets to the past comes in the next round. */
    now = q->run_now = time_now();
    while (q->root && q->root->expires <= now) {
        struct timer *t = q->root;

        extract(q, t);
        __atomic_store_n(&q->running, t, __ATOMIC_RELAXED);
        unlock(&q->lock);
        t->fn(t->data); /* t may be gone after this */
        lock(&q->lock);
        __atomic_store_n(&q->running, NULL, __ATOMIC_RELEASE); /* pairs with runs_elsewhere */
    }
    q->run_now = 0;
    program(q);
    unlock(&q->lock);
}

/* ---- public ---- */

void timer_start(const struct timer_device *d)
{
    device = d;
    softirq_register(SOFTIRQ_TIMER, run);
}

void timer_interrupt(void)
{
    /* The device has fired: it holds no deadline any more. */
    write_once(this_cpu_ptr(timers)->armed, NEVER);
    softirq_raise(SOFTIRQ_TIMER);
}

void timer_init(struct timer *t, void (*fn)(void *data), void *data)
{
    *t = (struct timer){.fn = fn, .data = data, .cpu = cpu_id()};
}

void timer_set(struct timer *t, uint64_t ns)
{
    struct timer_queue *q = queue_lock(t);

    lock_assert(&q->lock);
    if (t->active)
        extract(q, t);
    t->expires = max(ns, q->run_now + 1);
    insert(q, t);
    changed(q, t->cpu);
    unlock(&q->lock);
}

void timer_stop(struct timer *t)
{
    struct timer_queue *q;

    if (!t->fn)
        return; /* never initialised */
    q = queue_lock(t);
    lock_assert(&q->lock);
    if (t->active)
        extract(q, t);
    unlock(&q->lock);
}

/* On any CPU: it may have been moved since its handler started. */
static bool runs_elsewhere(const struct timer *t)
{
    unsigned cpu;

    for_each_cpu (cpu)
        if (cpu != cpu_id() &&
            __atomic_load_n(&per_cpu_ptr(timers, cpu)->running, __ATOMIC_ACQUIRE) == t)
            return true;
    return false;
}

void timer_kill(struct timer *t)
{
    if (!t->fn)
        return;
    do {
        ASSERT(this_cpu_ptr(timers)->running != t);
        /* Again: the handler may have set it. */
        timer_stop(t);
        if (lock_spin_poll)
            lock_spin_poll();
    } while (runs_elsewhere(t) || timer_active(t));
}

void timer_move(struct timer *t, unsigned cpu)
{
    struct timer_queue *q = queue_lock(t);
    bool active = t->active;

    lock_assert(&q->lock);
    if (t->cpu == cpu) {
        unlock(&q->lock);
        return;
    }
    if (active)
        extract(q, t);
    /* From here on others lock the new queue; nobody may set the timer meanwhile but us. */
    write_once(t->cpu, cpu);
    unlock(&q->lock);
    if (active)
        timer_set(t, t->expires);
}

uint64_t timer_next(void)
{
    const struct timer_queue *q = this_cpu_ptr(timers);

    return q->root ? q->root->expires : NEVER;
}

static void dump_tree(const struct timer *t, uint64_t now, unsigned *left)
{
    char name[80];

    for (; t && *left; t = t->next) {
        --*left;
        symbol_format((uintptr_t)t->fn, name, sizeof(name));
        log_key("    in %ld ns: %s", (int64_t)(t->expires - now), name);
        if (t->child && t->child->expires < t->expires)
            log_key("    out of order");
    }
}

void timer_dump(void)
{
    unsigned cpu, left = 64;

    for_each_cpu (cpu) {
        const struct timer_queue *q = per_cpu_ptr(timers, cpu);

        log_key("  CPU %u:", cpu);
        if (q->root) {
            dump_tree(q->root, time_now(), &left);
            dump_tree(q->root->child, time_now(), &left);
        }
    }
}
