/* SPDX-License-Identifier: MIT */
/* The scheduler: which unit runs on which CPU. It knows units, not guests. */
#pragma once

#include "base/percpu.h"
#include "lib/list.h"

struct sched_unit {
    struct list link;     /* [SCHED] in its CPU's run queue while runnable and not running */
    unsigned cpu;         /* [SCHED] where it runs or ran last */
    bool runnable;        /* [SCHED] */
    bool running;         /* [SCHED] on a CPU right now */
    bool idle;            /* [I] */
    uint64_t slice_start; /* [SCHED] ns */
};

/* What the scheduler does to the layers above. [I] */
struct sched_ops {
    /* Leaves `prev` and enters `next` on this CPU; interrupts off. On the machine it does not
     * return: it ends in the guest or in the idle loop. */
    void (*switch_to)(struct sched_unit *prev, struct sched_unit *next);
};

void sched_init(const struct sched_ops *ops);
void sched_cpu_init(unsigned cpu, struct sched_unit *idle);
void sched_unit_init(struct sched_unit *u, unsigned cpu);
/* Not runnable any more; if it runs on this CPU, another is chosen on the way out. */
void sched_sleep(struct sched_unit *u);
/* Waits until the unit is off its CPU. */
void sched_sleep_sync(struct sched_unit *u);
void sched_wake(struct sched_unit *u);
/* The running unit goes behind the others of its CPU. */
void sched_yield(void);
/* The unit that runs on this CPU. */
struct sched_unit *sched_current(void);
/* A dump for the debug key. */
void sched_dump(void);
