/* SPDX-License-Identifier: MIT */
/* The scheduler: which unit runs on which CPU. It knows units, not guests.
 *
 * Each CPU has a run queue under a lock of its own; a unit belongs to one queue at a time, `cpu`
 * names it. Units of a queue take turns in slices of SCHED_SLICE; a unit that wakes while its CPU
 * is busy moves to an idle CPU if there is one. */
#pragma once

#include "base/percpu.h"
#include "lib/list.h"

#define SCHED_SLICE 10000000ull /* ns */

struct sched_unit {
    struct list link;     /* [SCHED] in its CPU's run queue while it waits; else unlinked */
    unsigned cpu;         /* [SCHED] whose queue it belongs to: where it runs or ran last */
    unsigned target;      /* [SCHED] differs from `cpu` while it waits to be moved */
    bool runnable;        /* [SCHED] */
    bool running;         /* [SCHED] on a CPU: from being chosen until sched_switched() */
    bool idle;            /* [I] */
    bool pinned;          /* [SCHED] never moves by itself */
    struct cpu_mask hard; /* [SCHED] where it may run */
    struct cpu_mask soft; /* [SCHED] where it had better run */
    uint64_t slice_start; /* [SCHED] ns */
};

/* What the scheduler does to the layers above. [I] */
struct sched_ops {
    /* Leaves `prev` and enters `next` on this CPU; interrupts off, no lock held, prev != next. It
     * saves all of prev's state, calls sched_switched(prev), and loads next's. On the machine it
     * does not return: it ends in the guest or in the idle loop. In host tests it returns. */
    void (*switch_to)(struct sched_unit *prev, struct sched_unit *next);
};

/* Once, before any CPU; registers SOFTIRQ_SCHEDULE. */
void sched_init(const struct sched_ops *ops);
/* Before the CPU runs units: `idle` is what it runs now and when there is nothing else. */
void sched_cpu_init(unsigned cpu, struct sched_unit *idle);
/* A unit that sleeps, on the queue of `cpu`. It may be freed whenever it sleeps and does not run
 * (after sched_sleep_sync). */
void sched_unit_init(struct sched_unit *u, unsigned cpu);

/* Not runnable any more; if it runs, its CPU chooses another on the way out. */
void sched_sleep(struct sched_unit *u);
/* The same, and waits until the unit is off its CPU. Not of the caller's own unit; the caller holds
 * no lock that a hypercall of the unit could want. */
void sched_sleep_sync(struct sched_unit *u);
void sched_wake(struct sched_unit *u);
/* The running unit goes behind the others of its CPU. (sched_yield is a name of POSIX.) */
void sched_unit_yield(void);
/* Moves the unit to the queue of `cpu`, which is online, and keeps it there if `pin`. A running
 * unit moves when it is next switched out. The CPU is active. */
void sched_move(struct sched_unit *u, unsigned cpu, bool pin);

/* Where the unit may run, and where it had better: it moves if it is elsewhere. -EINVAL: `hard`
 * names no CPU that is active. */
int must_check sched_set_affinity(struct sched_unit *u, const struct cpu_mask *hard,
                                  const struct cpu_mask *soft);

/* From switch_to: nothing of `prev` is left on this CPU; another may run it from now on. */
void sched_switched(struct sched_unit *prev);
/* The unit that runs on this CPU. */
struct sched_unit *sched_current(void);
/* A dump for the debug key. */
void sched_dump(void);
