/* SPDX-License-Identifier: MIT */
/* The simulated machine of tests/sim/sched.c: CPUs, timers, interrupts and units as events in
 * virtual time, and what is checked at each of them. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "base/softirq.h"
#include "sched/sched.h"
#include "time/clock.h"
#include "time/timer.h"

#define US         1000ull
#define MS         1000000ull
#define SEC        1000000000ull
#define MAX_UNITS  4000u
#define MAX_GROUPS 600u
#define HISTOGRAM  24u

enum kind {
    HOG,
    INTERACTIVE,
    BURSTY
};

struct unit {
    struct sched_unit s;
    enum kind kind;
    bool runs;
    uint64_t since;     /* when it began to run, or to wait */
    uint64_t ran, used; /* ns in all; at the start of the steady phase */
    uint64_t left;      /* of its burst */
    uint64_t gen;       /* a burst's end is valid for one stint */
    uint64_t worst;     /* longest wait */
};

enum event {
    TIMER,
    LOOK,
    BURST,
    WAKE
};

extern unsigned long seed, switches, wakes, checks;
extern bool strict;          /* interactive units must not notice the others */
extern uint64_t now, steady; /* ns; when measuring began, 0: not yet */
extern uint64_t ordered;     /* when the last order came: what follows from it is no flaw */
extern unsigned cpus, units;
extern unsigned threads; /* of a core; above 1 they run one group at a time */
extern struct unit unit[MAX_UNITS];
extern bool there[MAX_CPUS];
extern unsigned histogram[HISTOGRAM]; /* waits of interactive units, by powers of two of us */

/* Something that must hold does not: the end. */
void flaw(const char *fmt, ...) printf_like(1, 2) noreturn;
uint64_t rnd(uint64_t below);
uint64_t between(uint64_t low, uint64_t high);
void rnd_seed(unsigned long s);

/* What has weight and affinity for it. */
static inline const struct sched_unit *whole(const struct unit *u)
{
    return sched_whole(&u->s);
}

/* A machine of `cpus` CPUs, all idle; neighbours by number are the `threads` of a core. */
void start_machine(unsigned cluster_size);
void post(uint64_t at, enum event what, unsigned which, uint64_t gen);
/* What the exit path of a CPU does. */
void run_cpu(unsigned cpu);
unsigned any_cpu(void);
void wake(struct unit *u);
void run_until(uint64_t end);
