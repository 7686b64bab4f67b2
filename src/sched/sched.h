/* SPDX-License-Identifier: MIT */
/* The scheduler: which unit runs on which CPU, by weights, caps and affinity. It knows units, not
 * guests. docs/SCHEDULING.md explains the algorithm.
 *
 * A unit (of a guest: a virtual CPU) belongs to a group (a guest), which has a weight and a cap; a
 * group belongs to a pool, which has CPUs and a policy. Functions that change groups and pools take
 * RANK_POOL; all others only the lock of a cluster of CPUs, RANK_SCHED. */
#pragma once

#include "base/lock.h"
#include "base/percpu.h"
#include "lib/list.h"
#include "time/timer.h"

#define SCHED_SLICE          10000000ull /* ns that a unit runs while others wait */
#define SCHED_SLICE_MIN      1000000ull  /* the same of one of little weight */
#define SCHED_CAP_PERIOD     10000000ull /* ns: what a cap is a part of */
#define SCHED_WEIGHT_DEFAULT 256u
#define SCHED_WEIGHT_MAX     65535u
#define SCHED_RATELIMIT      1000000ull   /* ns, default */
#define SCHED_RATELIMIT_MIN  100000ull    /* but for 0: no limit */
#define SCHED_RATELIMIT_MAX  500000000ull /* ns */

struct sched_group;
struct sched_pool;

struct sched_unit {
    struct list link;          /* [SCHED] waiting or parked; else unlinked */
    unsigned cpu;              /* [SCHED] whose line it belongs to: where it runs or ran last */
    bool runnable;             /* [SCHED] */
    bool running;              /* [SCHED] on a CPU: from being chosen until sched_switched() */
    bool idle;                 /* [I] */
    bool woke;                 /* [SCHED] waits since it woke or came here, and may preempt */
    bool parked;               /* [SCHED] waits for its group's budget, or for any CPU */
    bool spent;                /* [SCHED] runs, and is to be parked */
    uint32_t weight;           /* [SCHED] the group's, as counted in the line */
    uint64_t inverse;          /* [SCHED] virtual time per ns, 32.32 */
    uint64_t slice;            /* [SCHED] ns */
    uint64_t reach;            /* [SCHED] one slice in virtual time */
    uint64_t v;                /* [SCHED] virtual time; the line's, or the pool's if in no line */
    int64_t quota;             /* [SCHED] ns of the group's budget that it holds */
    struct cpu_mask can;       /* [SCHED] where it may run now */
    struct cpu_mask like;      /* [SCHED] the part of `can` that it had better use */
    struct cpu_mask hard;      /* [POOL] where it may run by order */
    struct cpu_mask soft;      /* [POOL] where it had better run by order */
    int own;                   /* [POOL] policy null: its CPU, -1: none yet */
    int pin;                   /* [POOL] the one CPU where it may run whatever `hard` says, -1 */
    struct sched_group *group; /* [I] NULL: idle */
    struct list in_group;      /* [POOL] */
    struct sched_unit *whole; /* [I] sched-gran=core: the unit of a core that it is a part of, which
                                 has all of the above but what is between `cpu` and `idle` */
};

/* The one that has affinity and weight for u: that of a core, if it is a part of one. */
static inline const struct sched_unit *sched_whole(const struct sched_unit *u)
{
    return u->whole ? u->whole : u;
}

struct sched_group {
    struct sched_pool *pool; /* [POOL] */
    struct list units;       /* [POOL] */
    struct list in_pool;     /* [POOL] */
    uint32_t weight;         /* [POOL] 1 to SCHED_WEIGHT_MAX */
    uint32_t cap;            /* [POOL] percent of one CPU for all units together, 0: no limit */

    struct lock lock;       /* RANK_CAP: [C] */
    int64_t budget, full;   /* [C] ns left; ns of one period */
    uint64_t filled;        /* [C] when time was last turned into budget */
    uint64_t rate, pace;    /* [C] 32.32: budget per time, and its inverse */
    struct cpu_mask parked; /* [C] CPUs in whose lines units wait for budget */
    struct timer refill;
};

/* How a pool shares out its CPUs. */
struct sched_ops {
    const char *name; /* for sched= */
    /* Where u may run: a part of `can`, the CPUs that pool and affinity allow. [POOL] */
    void (*confine)(struct sched_unit *u, struct cpu_mask *can);
};
extern const struct sched_ops sched_fair; /* weights and caps: tools know it as credit2 */
extern const struct sched_ops sched_null; /* each unit has a CPU of its own, or waits for one */

struct sched_pool {
    struct list link;            /* [POOL] ascending id */
    uint32_t id;                 /* [I] */
    const struct sched_ops *ops; /* [I] */
    struct cpu_mask cpus;        /* [POOL] */
    struct list groups;          /* [POOL] */
    uint64_t ratelimit;          /* [a] ns that a unit runs before one that wakes displaces it */
    uint64_t now;                /* [a] virtual time of one of its lines not long ago */
};

/* What the scheduler does to the layers above. [I] */
struct sched_upcalls {
    /* Leaves `prev` and enters `next` on this CPU; interrupts off, no lock held, prev != next. It
     * saves all of prev's state, calls sched_switched(prev), and loads next's. On the machine it
     * does not return: it ends in the guest or in the idle loop. In host tests it returns. */
    void (*switch_to)(struct sched_unit *prev, struct sched_unit *next);
};

/* ---- start-up and CPUs ---- */

/* Once, before any CPU; registers SOFTIRQ_SCHEDULE and makes pool 0 with the policy of sched=. */
void sched_init(const struct sched_upcalls *calls);
/* On the CPU itself, before it runs units: `idle` is what it runs now and when there is nothing
 * else. CPUs of one cluster share a cache and a lock; at most a dozen or so. The CPU joins pool 0.
 */
void sched_cpu_init(unsigned cpu, unsigned cluster, struct sched_unit *idle);
/* Once, when the CPUs that are to be scheduled run and there is no unit yet: with sched-gran=core
 * CPUs of the same key, online ones of one cluster, are the threads of one core from now on. */
void sched_start_cores(const uint32_t key[]);
/* How many threads are scheduled together; 1: CPUs are scheduled one by one. */
unsigned sched_threads(void);
/* The CPU is in no pool any more, nor can be put in one. -EBUSY: it is the last of a pool that has
 * groups; -EOPNOTSUPP: it is scheduled together with others of its core; -ERESTART: it has not let
 * go of its units yet, call again (from a unit that runs there: after its exit path, which leaves
 * the CPU). */
int must_check sched_cpu_remove(unsigned cpu);
/* The opposite: it is in pool 0 again. */
void sched_cpu_restore(unsigned cpu);

/* ---- groups and units ---- */

void sched_group_init(struct sched_group *g);    /* in pool 0 */
void sched_group_destroy(struct sched_group *g); /* has no units */
/* -EINVAL: no such weight. A cap of 0 is none. */
int must_check sched_group_set(struct sched_group *g, uint32_t weight, uint32_t cap);
/* -EBUSY: the pool has no CPU. */
int must_check sched_group_move(struct sched_group *g, struct sched_pool *p);

/* A unit that sleeps; `cpu`: a hint where to start. -ENOMEM. */
int must_check sched_unit_init(struct sched_unit *u, struct sched_group *g, unsigned cpu);
/* It sleeps and does not run (after sched_sleep_sync). */
void sched_unit_destroy(struct sched_unit *u);

/* Not runnable any more; if it runs, its CPU chooses another on the way out. */
void sched_sleep(struct sched_unit *u);
/* The same, and waits until the unit is off its CPU. Not of the caller's own unit; the caller holds
 * no lock that a hypercall of the unit could want. */
void sched_sleep_sync(struct sched_unit *u);
void sched_wake(struct sched_unit *u);
/* The running unit gives way to the others of its CPU. (sched_yield is a name of POSIX.) */
void sched_unit_yield(void);

/* Where the unit may run, and where it had better: it moves if it is elsewhere. -EINVAL: `hard`
 * names no CPU of its pool. */
int must_check sched_set_affinity(struct sched_unit *u, const struct cpu_mask *hard,
                                  const struct cpu_mask *soft);
/* To run on `cpu` alone, -1: where affinity says again. -EINVAL: not a CPU of its pool. */
int must_check sched_pin(struct sched_unit *u, int cpu);

/* From switch_to: nothing of `prev` is left on this CPU; another may run it from now on. */
void sched_switched(struct sched_unit *prev);
/* The unit that runs on this CPU. */
struct sched_unit *sched_current(void);

/* ---- pools ---- */

/* Whoever walks pools or keeps a pointer to one holds off who makes and destroys them. */
extern struct sched_pool *sched_pool0;

/* The pool with that number, or the first above it (`exact` false); NULL. */
struct sched_pool *sched_pool_find(uint32_t id, bool exact);
/* -EEXIST, -ENOMEM. It has no CPUs. */
int must_check sched_pool_create(uint32_t id, const struct sched_ops *ops, struct sched_pool **out);
/* -EBUSY: it has groups or CPUs, or is pool 0. */
int must_check sched_pool_destroy(struct sched_pool *p);
/* With all of its core, if that is scheduled as one. -EBUSY: the CPU is in a pool; -ENODEV: it does
 * not run. */
int must_check sched_pool_add_cpu(struct sched_pool *p, unsigned cpu);
/* The CPU is in no pool then, and runs nothing as soon as it has looked. -ENOENT: it is in another;
 * -EBUSY: the pool's last, and there are groups in it. */
int must_check sched_pool_remove_cpu(struct sched_pool *p, unsigned cpu);
/* CPUs that run and are in no pool. */
void sched_free_cpus(struct cpu_mask *cpus);
/* -EINVAL: neither 0 nor SCHED_RATELIMIT_MIN to _MAX. */
int must_check sched_pool_set_ratelimit(struct sched_pool *p, uint64_t ns);

/* A dump for the debug key. */
void sched_dump(void);
