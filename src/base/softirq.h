/* SPDX-License-Identifier: MIT */
/* Work that is done on the way out to a guest, or in idle: one bit each in cpu_local()->work. */
#pragma once

#include "base/percpu.h"
#include "lib/list.h"

enum softirq {
    SOFTIRQ_TIMER,    /* time/timer.c: deadlines have passed */
    SOFTIRQ_SCHEDULE, /* sched/: choose again */
    SOFTIRQ_TASK,     /* base/softirq.c: deferred functions */
    SOFTIRQ_CONSOLE,  /* hypercall/: debug keys, VIRQ_CON_RING */
    SOFTIRQ_GUEST,    /* domain/: the current vCPU has something to look at (NMI, exit work) */
    SOFTIRQ_RCU,      /* domain/: frees what nobody can see any more */
    SOFTIRQ_COUNT,
};

void softirq_register(enum softirq n, void (*fn)(void));
/* On this CPU. */
void softirq_raise(enum softirq n);
/* On another: sets the bit and interrupts it (`softirq_kick` sends the IPI, [I] set by cpu/). */
void softirq_raise_on(unsigned cpu, enum softirq n);
extern void (*softirq_kick)(unsigned cpu);
/* Runs all pending; called by the exit path with interrupts off. */
void softirq_run(void);
static inline bool softirq_pending(void)
{
    return read_once(cpu_local()->work) != 0;
}

/* A deferred function, run once on the CPU that queued it. Queueing a queued one does nothing and
 * is answered by false: the function is still to begin, and will see what was written before. */
struct task {
    struct list link;
    void (*fn)(void *data);
    void *data;
    bool queued;
};
bool task_queue(struct task *t);
