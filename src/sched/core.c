/* SPDX-License-Identifier: MIT */
/* Core scheduling (sched-gran=core): the threads of a core never run units of different groups.
 *
 * Units of a group, as they come, are bundled: as many as a core has threads. What lines, caps and
 * pools know is the bundle's own unit, which is runnable while one of its parts is, and runs on a
 * core: each part on the thread of its number, or that thread is idle. A core is known by its first
 * CPU: that has the line and makes the choice; masks (`can`, `like`) name first CPUs only.
 *
 * The gate: core->holder is the bundle whose parts are on the core's threads, core->inside of them,
 * until each one's state is saved (sched_switched). A thread enters a part of the line's current
 * unit if the core is that one's already or nobody else is inside; else it goes idle, and the last
 * that leaves tells the others. A bundle is off (`running` is false) when it is not current and
 * none of its parts is inside. All of this is under the lock of the line's cluster. */
#include "sched/queue.h"
#include "base/log.h"
#include "base/param.h"
#include "base/softirq.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "memory/heap.h"

#define THREADS_MAX 4u

struct bundle {
    struct sched_unit unit;
    struct sched_unit *part[THREADS_MAX]; /* [POOL,SCHED] by thread; NULL: none */
};

struct thread {
    struct line *line;       /* [I] of its core */
    struct core *core;       /* [I] */
    unsigned number;         /* [I] in its core */
    struct sched_unit *idle; /* [I] */
    struct sched_unit *runs; /* [SCHED] */
};

struct core {
    unsigned cpu[THREADS_MAX]; /* [I] by thread */
    struct sched_unit *holder; /* [SCHED] whose parts are inside; meaningless while there is none */
    unsigned inside;           /* [SCHED] */
};

unsigned core_threads = 1;
static bool by_core;               /* [I] the option */
static uint8_t first[MAX_CPUS];    /* [I] of the CPU's core */
static struct core core[MAX_CPUS]; /* by first CPU */
static DEFINE_PER_CPU(struct thread, thread);

static int parse_granularity(const char *value, bool negated)
{
    by_core = !strcmp(value, "core");
    return negated || (!by_core && strcmp(value, "cpu")) ? -EINVAL : 0;
}
PARAM_CUSTOM("sched-gran", parse_granularity);

static struct bundle *bundle_of(struct sched_unit *u)
{
    return container_of(u, struct bundle, unit);
}

static unsigned number_of(const struct bundle *b, const struct sched_unit *part)
{
    unsigned n = 0;

    while (b->part[n] != part)
        n++;
    return n;
}

/* ---- masks and CPUs ---- */

unsigned core_first(unsigned cpu)
{
    return core_threads > 1 ? first[cpu] : cpu;
}

void core_narrow(struct cpu_mask *m)
{
    struct cpu_mask all = *m;
    unsigned cpu;

    if (core_threads == 1)
        return;
    bitmap_zero(m->bits, MAX_CPUS);
    bitmap_for_each (cpu, all.bits, MAX_CPUS)
        bitmap_set(m->bits, first[cpu]);
}

struct cpu_mask core_cpus(unsigned cpu)
{
    struct cpu_mask m = {.bits = {0}};

    if (core_threads == 1)
        bitmap_set(m.bits, cpu);
    for (unsigned n = 0; core_threads > 1 && n < core_threads; n++)
        bitmap_set(m.bits, core[first[cpu]].cpu[n]);
    return m;
}

static void tell(const struct core *c)
{
    for (unsigned n = 0; n < core_threads; n++)
        softirq_raise_on(c->cpu[n], SOFTIRQ_SCHEDULE);
}

/* ---- the gate ---- */

/* What this thread is to run: a part of the line's current unit if it may enter, or nothing. */
static struct sched_unit *pass(struct thread *t)
{
    struct sched_unit *u = t->line->current, *next = t->idle;
    struct core *c = t->core;
    unsigned others = c->inside - !t->runs->idle;

    if (!u->idle && (c->holder == u || !others)) {
        struct sched_unit *part = bundle_of(u)->part[t->number];

        if (part && part->runnable)
            next = part;
    }
    if (!next->idle) {
        c->holder = u;
        c->inside = others + 1;
        next->running = true;
        __atomic_store_n(&next->cpu, cpu_id(), __ATOMIC_RELEASE);
    }
    t->runs = next;
    return next;
}

/* If u is not what the core is to run any more, and no part of it is inside, then it is off. True:
 * and it waits; those of `can` that idle should know. */
static bool let_go(const struct core *c, struct line *l, struct sched_unit *u, struct cpu_mask *can)
{
    if (u->idle || l->current == u || (c->inside && c->holder == u))
        return false;
    __atomic_store_n(&u->running, false, __ATOMIC_RELEASE);
    *can = u->can;
    if (is_waiting(u) && !may_run(u, l->cpu)) { /* until now it could not be sent away */
        l->strays = true;
        softirq_raise_on(l->cpu, SOFTIRQ_SCHEDULE);
    }
    return is_waiting(u);
}

void core_schedule(void)
{
    struct thread *t = this_cpu_ptr(thread);
    struct line *l = t->line;
    struct sched_unit *prev, *next, *old;
    bool other = false, off = false;
    struct cpu_mask can = {.bits = {0}};

    if (cpu_id() == l->cpu) {
        old = line_choose(l);
        other = old != l->current;
        off = let_go(t->core, l, old, &can);
    } else {
        lock(&l->cluster->lock);
    }
    prev = t->runs;
    next = pass(t);
    unlock(&l->cluster->lock);
    for (unsigned n = 1; other && n < core_threads; n++)
        softirq_raise_on(t->core->cpu[n], SOFTIRQ_SCHEDULE);
    if (off)
        balance_kick(&can);
    if (next != prev)
        sched_upcalls->switch_to(prev, next);
}

void core_switched(struct sched_unit *part)
{
    struct thread *t = this_cpu_ptr(thread);
    struct line *l = t->line;
    struct core *c = t->core;
    struct cpu_mask can = {.bits = {0}};
    bool off, open;

    lock(&l->cluster->lock);
    c->inside -= t->runs->idle;
    off = let_go(c, l, part->whole, &can);
    open = (!c->inside || c->holder != part->whole) && !l->current->idle;
    /* The last look: it may be gone when it is off. */
    __atomic_store_n(&part->running, false, __ATOMIC_RELEASE);
    unlock(&l->cluster->lock);
    if (open)
        tell(c);
    if (off)
        balance_kick(&can);
}

/* ---- parts ---- */

/* u's line is locked: the thread of this part, which is to look if u is what its core runs; -1. */
static int thread_of(const struct line *l, struct sched_unit *u, const struct sched_unit *part)
{
    return l->current == u ? (int)core[l->cpu].cpu[number_of(bundle_of(u), part)] : -1;
}

void core_wake(struct sched_unit *part)
{
    struct sched_unit *u = part->whole;
    struct line *l = unit_lock(u);
    int cpu = thread_of(l, u, part);

    lock_assert(&l->cluster->lock);
    part->runnable = true;
    unit_wake(l, u);
    if (cpu >= 0)
        softirq_raise_on((unsigned)cpu, SOFTIRQ_SCHEDULE);
}

void core_sleep(struct sched_unit *part)
{
    struct sched_unit *u = part->whole;
    struct bundle *b = bundle_of(u);
    struct line *l = unit_lock(u);
    int cpu = thread_of(l, u, part);
    bool more = false;

    lock_assert(&l->cluster->lock);
    part->runnable = false;
    for (unsigned n = 0; n < core_threads; n++)
        more |= b->part[n] && b->part[n]->runnable;
    if (more)
        unlock(&l->cluster->lock);
    else
        unit_sleep(l, u);
    if (cpu >= 0)
        softirq_raise_on((unsigned)cpu, SOFTIRQ_SCHEDULE);
}

/* The whole bundle gives way, if nobody else of it runs. */
void core_yield(void)
{
    struct thread *t = this_cpu_ptr(thread);

    if (!read_once(t->line->length) || read_once(t->core->inside) > 1)
        return;
    write_once(t->line->yield, true);
    softirq_raise_on(t->line->cpu, SOFTIRQ_SCHEDULE);
}

unsigned sched_threads(void)
{
    return core_threads;
}

struct sched_unit *core_current(void)
{
    return this_cpu(thread).runs;
}

int core_join(struct sched_unit *part, struct sched_group *g, unsigned cpu)
{
    struct bundle *b = NULL, *fresh = heap_zalloc(sizeof(*fresh));
    unsigned n = 0;
    struct line *l;

    if (!fresh)
        return -ENOMEM;
    lock(&pools_lock);
    if (!list_empty(&g->units)) {
        b = bundle_of(list_entry(g->units.prev, struct sched_unit, in_group));
        while (n < core_threads && b->part[n])
            n++;
    }
    if (!b || n == core_threads) {
        b = fresh;
        fresh = NULL;
        n = 0;
        unit_add(&b->unit, g, first[cpu]);
    }
    l = unit_lock(&b->unit);
    lock_assert(&l->cluster->lock);
    b->part[n] = part;
    part->whole = &b->unit;
    part->group = g;
    unlock(&l->cluster->lock);
    unlock(&pools_lock);
    heap_free(fresh);
    return 0;
}

void core_part(struct sched_unit *part)
{
    struct bundle *b = bundle_of(part->whole);
    bool any = false;
    struct line *l;

    lock(&pools_lock);
    l = unit_lock(&b->unit);
    lock_assert(&l->cluster->lock);
    b->part[number_of(b, part)] = NULL;
    for (unsigned n = 0; n < core_threads; n++)
        any |= b->part[n] != NULL;
    unlock(&l->cluster->lock);
    if (!any)
        unit_drop(&b->unit);
    unlock(&pools_lock);
    if (!any)
        heap_free(b);
}

/* ---- start-up ---- */

/* Notes who is with whom. The threads of a core, 0: they are not as many on all. */
static unsigned find_threads(const uint32_t key[])
{
    unsigned cpu, threads = 0;

    for_each_cpu (cpu) {
        unsigned other, n = 0;

        for_each_cpu (other)
            if (key[other] == key[cpu]) {
                first[cpu] = (uint8_t)min(first[cpu], other);
                n++;
            }
        if ((threads && n != threads) || n > THREADS_MAX)
            return 0;
        threads = n;
    }
    return threads;
}

void sched_start_cores(const uint32_t key[])
{
    unsigned threads, cpu;

    for (cpu = 0; cpu < MAX_CPUS; cpu++)
        first[cpu] = (uint8_t)cpu;
    threads = by_core ? find_threads(key) : 1;
    if (!threads)
        log_warn("sched-gran=core: the cores have not all the same number of threads, up to %u: "
                 "CPUs are scheduled one by one",
                 THREADS_MAX);
    if (threads <= 1)
        return;
    memset(core, 0, sizeof(core));
    for_each_cpu (cpu) {
        struct thread *t = per_cpu_ptr(thread, cpu);
        unsigned n = 0;

        for (unsigned before = first[cpu]; before < cpu; before++)
            n += bitmap_test(cpus_online.bits, before) && first[before] == first[cpu];
        t->line = line_of(first[cpu]);
        t->core = &core[first[cpu]];
        t->number = n;
        t->idle = t->runs = line_of(cpu)->idle;
        t->core->cpu[n] = cpu;
    }
    core_threads = threads;
    log_info("the %u threads of a core run one domain at a time", threads);
}
