/* SPDX-License-Identifier: MIT */
/* The insides of the scheduler. Each CPU has a line of waiting units in the order of their virtual
 * time; the lines of a cluster of CPUs are under one lock, so that within it placing, preempting
 * and taking over are single steps.
 *
 * A unit is in one of these states, all under the lock of the cluster of `cpu`:
 *     asleep      !runnable, in no line (it may be `current` until its CPU has looked)
 *     waiting     runnable, linked in line->waiting
 *     parked      runnable, linked in line->parked, in no line: its group's budget is spent
 *     current     line->current, unlinked
 * `running` outlives `current` until sched_switched(): between the two its registers are being
 * saved. Only a unit that is not running moves to another line, so what another CPU loads is
 * whole; and on its own CPU the next choice comes after the switch.
 *
 * `v` of a unit that waits or is current counts in its line's virtual time; of any other, in the
 * pool's: the line's plus line->offset. Virtual times are compared by their difference. */
#pragma once

#include "sched/sched.h"

/* Virtual time counts in 256ths of a nanosecond of a unit of the default weight, so that the short
 * stints of heavy units count too. It wraps. */
#define V_BITS  8
#define V_SLICE (SCHED_SLICE << V_BITS)

struct cluster {
    struct lock lock;       /* RANK_SCHED */
    struct cpu_mask idle;   /* [lock]; a hint without it: runs idle, and nobody waits */
    struct cpu_mask loaded; /* [lock]; a hint without it: has somebody to give away */
} aligned(64);

struct line {
    struct cluster *cluster;    /* [I] */
    unsigned cpu;               /* [I] */
    struct sched_unit *idle;    /* [I] */
    struct sched_pool *pool;    /* [SCHED] and [POOL] to write; NULL: runs idle only */
    struct sched_unit *current; /* [SCHED], a hint without it; never NULL once the CPU is up */
    struct list waiting;        /* [SCHED] ascending v */
    struct list parked;         /* [SCHED] */
    uint32_t length;            /* [SCHED] of `waiting`; a hint without it */
    uint32_t weight;            /* [SCHED] of all that wait and the current; a hint without it */
    uint64_t vtime;             /* [SCHED] never runs back: that of who is farthest behind */
    uint64_t offset;            /* [SCHED] from it to the pool's */
    uint64_t inverse;           /* [SCHED] of the current unit */
    uint64_t charged;           /* [SCHED] ns: until when the current unit's time is in its v */
    uint64_t stint;             /* [SCHED] ns: since when it runs in one piece */
    uint64_t push_at;           /* [p] ns: when to look for somebody with less to do */
    struct timer look;          /* [p] raises SOFTIRQ_SCHEDULE */
    uint32_t switches, moves;   /* [SCHED] for the dump */
    bool yield;                 /* [a] current gives way */
    bool strays;                /* [SCHED] somebody waits who may not run here */
};

DECLARE_PER_CPU(struct line, line);
extern const struct sched_upcalls *sched_upcalls; /* [I] */
extern struct cluster clusters[MAX_CPUS];
extern unsigned cluster_count; /* highest number + 1 */

static inline struct line *line_of(unsigned cpu)
{
    return per_cpu_ptr(line, cpu);
}

/* a * b / 2^32 */
static inline uint64_t scale(uint64_t a, uint64_t b)
{
    return (uint64_t)(((unsigned __int128)a * b) >> 32);
}

static inline bool before(uint64_t a, uint64_t b)
{
    return (int64_t)(a - b) < 0;
}

static inline bool may_run(const struct sched_unit *u, unsigned cpu)
{
    return bitmap_test(u->can.bits, cpu);
}

static inline bool unit_is_off(const struct sched_unit *u)
{
    return !__atomic_load_n(&u->running, __ATOMIC_ACQUIRE);
}

static inline bool is_waiting(const struct sched_unit *u)
{
    return !list_empty(&u->link) && !u->parked;
}

static inline struct sched_unit *first_waiting(const struct line *l)
{
    return l->length ? list_first_entry(&l->waiting, struct sched_unit, link) : NULL;
}

/* The first CPU of both, MAX_CPUS if there is none. */
static inline unsigned common_cpu(const struct cpu_mask *a, const struct cpu_mask *b)
{
    for (unsigned i = 0; i < BITMAP_LONGS(MAX_CPUS); i++) {
        unsigned long both = read_once(a->bits[i]) & read_once(b->bits[i]);

        if (both)
            return i * (unsigned)BITS_PER_LONG + (unsigned)__builtin_ctzl(both);
    }
    return MAX_CPUS;
}

/* ---- line.c; all under the cluster's lock ---- */

/* Puts the time until `now` on the current unit's account, and the line's clock right. */
void line_charge(struct line *l, uint64_t now);
/* Who is farthest behind of all that wait or run, NULL. */
const struct sched_unit *line_last(const struct line *l);
/* The least virtual time with which u may come from its sleep: it goes before all others, by a
 * slice at most. */
uint64_t line_floor(const struct line *l, const struct sched_unit *u);
/* u becomes one of the line, waits or is about to be current, with a virtual time from `floor` to a
 * slice beyond the line's clock. And the opposite. */
void line_enter(struct line *l, struct sched_unit *u, uint64_t floor);
void line_leave(struct line *l, struct sched_unit *u);
/* A unit of the line begins and ends waiting. */
void line_insert(struct line *l, struct sched_unit *u);
void line_remove(struct line *l, struct sched_unit *u);
/* What others may see of the line's state, which has changed; `current` is or is to be current. */
void line_mark(struct line *l, const struct sched_unit *current);
/* u waits in `from` and is off: it waits in `to`, whose lock is held too. True: tell its CPU. */
bool line_move(struct line *from, struct line *to, struct sched_unit *u, uint64_t now);

/* ---- balance.c ---- */

/* The line's clock as the pool's; a hint without the lock. */
uint64_t balance_time(const struct line *l, uint64_t now);
/* u's home is l, which is locked; u is in no line and off. The CPU where it should wait or run: an
 * idle one if it has any; else one where it runs soon. MAX_CPUS: it may run nowhere. */
unsigned balance_place(struct line *l, const struct sched_unit *u, uint64_t now);
/* An idle CPU of `can` looks whether there is something to take over. */
void balance_kick(const struct cpu_mask *can);
/* No lock held: this CPU is going idle and has said so; takes somebody over. False: nobody. */
bool balance_pull(struct line *l, uint64_t now);
/* No lock held: gives somebody who is behind to a CPU that is ahead. */
void balance_push(struct line *l, uint64_t now);

/* ---- cap.c; under the cluster's lock ---- */

/* Does u hold budget, or can it get some? If not its line is noted: it will be started again. */
bool cap_allows(struct sched_unit *u, uint64_t now);
void cap_give_back(struct sched_unit *u);
void cap_group_init(struct sched_group *g);
/* No lock held; [POOL]. Whoever waits for budget starts again, for he may have it now. */
void cap_group_set(struct sched_group *g, uint32_t cap);

/* ---- sched.c ---- */

void sched_start(const struct sched_upcalls *calls);
void line_init(struct line *l);
/* Makes the choice of this CPU, with all that follows but the switch itself. Returns with the
 * cluster locked, and who was current before. */
struct sched_unit *line_choose(struct line *l) takes_lock(&l->cluster->lock);
/* Locks the cluster of the line that u belongs to. */
struct line *unit_lock(struct sched_unit *u);
/* u's line is locked: u becomes runnable, or not. Unlocks. */
void unit_wake(struct line *l, struct sched_unit *u) drops_lock(&l->cluster->lock);
void unit_sleep(struct line *l, struct sched_unit *u) drops_lock(&l->cluster->lock);
/* u is runnable, in no line, and its line is locked: it goes where it should be. Unlocks. */
void unit_start(struct line *l, struct sched_unit *u, uint64_t now) drops_lock(&l->cluster->lock);
/* The same for one that is parked. */
void unit_unpark(struct line *l, struct sched_unit *u, uint64_t now) drops_lock(&l->cluster->lock);
/* What the unit may use has changed. */
void unit_confine(struct sched_unit *u, const struct cpu_mask *can, const struct cpu_mask *like);
void unit_set_weight(struct sched_unit *u, uint32_t weight);

/* ---- pool.c ---- */

extern struct lock pools_lock; /* RANK_POOL */
/* [POOL] A unit that sleeps comes to its group, or leaves it. */
void unit_add(struct sched_unit *u, struct sched_group *g, unsigned cpu);
void unit_drop(struct sched_unit *u);

/* ---- core.c: sched-gran=core; the unit of a part of a bundle is `whole` ---- */

extern unsigned core_threads; /* [I] 1: CPUs are scheduled one by one */

/* The first CPU of the core, which stands for all; the CPU itself if it is scheduled alone. */
unsigned core_first(unsigned cpu);
/* Puts the first CPUs of their cores in the place of the CPUs of the mask. */
void core_narrow(struct cpu_mask *m);
/* The CPUs of one core, or the CPU itself. */
struct cpu_mask core_cpus(unsigned cpu);

int must_check core_join(struct sched_unit *part, struct sched_group *g, unsigned cpu);
void core_part(struct sched_unit *part);
void core_schedule(void); /* what SOFTIRQ_SCHEDULE does then */
void core_wake(struct sched_unit *part);
void core_sleep(struct sched_unit *part);
void core_yield(void);
void core_switched(struct sched_unit *part);
struct sched_unit *core_current(void);
