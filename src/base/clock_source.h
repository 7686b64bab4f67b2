/* SPDX-License-Identifier: MIT */
/* What platform/ offers and time/ uses, without knowing each other: counters of a known frequency,
 * and the alarm of each CPU. start/ brings them together. */
#pragma once

#include "lib/types.h"

/* A counter that runs upwards all the time and wraps at `bits`. */
struct clock_source {
    const char *name;
    uint64_t hz;
    unsigned bits; /* 2 to 64 */
    uint64_t (*read)(void);
};

/* The timer of the executing CPU. */
struct timer_device {
    const char *name;
    /* An interrupt when the TSC reaches `tsc`, which is delta_ns from now (0: at once); an earlier
     * alarm is replaced. It may come early. */
    void (*arm)(uint64_t tsc, uint64_t delta_ns);
    void (*stop)(void);
};
