/* SPDX-License-Identifier: MIT */
/* System time and wall clock.
 *
 * System time is the TSC scaled to ns with one multiplication, by the formula and the constants
 * that PV guests compute with (public xen.h, struct vcpu_time_info): base and scale never change
 * after start-up, so the guests' time and ours are the same number on every CPU at every moment. */
#pragma once

#include "base/clock_source.h"
#include "hw/ops.h"

/* ns = ((delta << shift) * mul) >> 32, a right shift if shift < 0. [I] after clock_init */
struct time_scale {
    uint64_t tsc_base; /* TSC at system time 0 */
    uint32_t mul;
    int8_t shift;
    bool stable; /* TSC is invariant and the same on all CPUs */
};
extern struct time_scale time_scale;
/* mul and shift for a counter of `hz` > 0. */
void time_scale_set(struct time_scale *s, uint64_t hz);
extern uint64_t time_tsc_hz; /* [I] */

/* Measures the TSC against `reference` (NULL: believe CPUID, or 1 GHz with a warning) and starts
 * system time at 0. */
void clock_init(const struct clock_source *reference);
/* For tests and for known frequencies: the same without a measurement. */
void clock_init_hz(uint64_t hz);

/* System time of a TSC value at or after boot. */
static inline uint64_t time_tsc_to_ns(uint64_t tsc)
{
    uint64_t delta = tsc - time_scale.tsc_base;

    if (time_scale.shift < 0)
        delta >>= -time_scale.shift;
    else
        delta <<= time_scale.shift;
    return (uint64_t)(((unsigned __int128)delta * time_scale.mul) >> 32);
}

/* Nanoseconds since boot: monotonic, the same on all CPUs. 0 before clock_init. */
static inline uint64_t time_now(void)
{
    return time_tsc_to_ns(rdtsc_ordered());
}

/* The TSC at system time `ns`, not before it. */
uint64_t time_ns_to_tsc(uint64_t ns);

/* Wall clock: UTC at system time 0, as the guests' shared_info.wc_* want it. */
struct wallclock {
    uint64_t sec;
    uint32_t nsec;
};
struct wallclock wallclock_get(void);
/* "At system time `system_ns` it was sec + nsec" (XENPF_settime64). -EINVAL: nsec is a second or
 * more, or system_ns lies before the epoch of that. */
int must_check wallclock_set(uint64_t sec, uint32_t nsec, uint64_t system_ns);
/* Seconds since 1970 now. */
uint64_t wallclock_now(void);
