/* SPDX-License-Identifier: MIT */
/* The steps of a new CPU's clock check. Both sides begin each step together; what one wrote in a
 * step the other reads in the next. */
#include "time/tsc_sync.h"

#include "base/log.h"
#include "cpu/cpu.h"
#include "cpu/policy.h"
#include "hw/ops.h"
#include "time/clock.h"

#define READINGS 200u /* of each side */
#define SAMPLES  16u  /* of the measurement, the quickest counts */

static uint32_t arrived; /* [a] grows by one as each side comes to each step */
static uint32_t turn;    /* [a] readings so far; who has the next has `last` and `warp` too */
static uint64_t last, warp;
static uint64_t ask, answer; /* [a] the measurement: number of the question, TSC of the source */
static bool content;         /* the source's verdict */

/* Waits until both sides have come to `step`, which counts from 1 for each new CPU. */
static void meet(uint32_t step)
{
    __atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&arrived, __ATOMIC_ACQUIRE) < 2 * step)
        cpu_pause();
}

/* Side 0 reads first, then strictly by turns: one that ran ahead would see nothing. */
static void read_in_turn(uint32_t side)
{
    for (uint32_t n = 0; n < READINGS; n++) {
        uint64_t now;

        while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) != 2 * n + side)
            cpu_pause();
        now = rdtsc_ordered();
        if (now < last && last - now > warp)
            warp = last - now;
        last = now;
        __atomic_store_n(&turn, 2 * n + side + 1, __ATOMIC_RELEASE);
    }
}

static void answer_all(void)
{
    for (uint64_t n = 1; n <= SAMPLES; n++) {
        while (__atomic_load_n(&ask, __ATOMIC_ACQUIRE) < n)
            cpu_pause();
        __atomic_store_n(&answer, rdtsc_ordered(), __ATOMIC_RELEASE);
    }
}

/* How far the source is ahead of this CPU. */
static int64_t measure(void)
{
    uint64_t best = ~0ull;
    int64_t ahead = 0;

    for (uint64_t n = 1; n <= SAMPLES; n++) {
        uint64_t before, after, theirs;

        __atomic_store_n(&answer, 0, __ATOMIC_RELAXED);
        before = rdtsc_ordered();
        __atomic_store_n(&ask, n, __ATOMIC_RELEASE);
        while (!(theirs = __atomic_load_n(&answer, __ATOMIC_ACQUIRE)))
            cpu_pause();
        after = rdtsc_ordered();
        if (after - before < best) {
            best = after - before;
            ahead = (int64_t)(theirs - (before + best / 2));
        }
    }
    return ahead;
}

static void adjust(int64_t by)
{
    if (cpu_has(X86_FEATURE_TSC_ADJUST))
        wrmsr(MSR_TSC_ADJUST, rdmsr(MSR_TSC_ADJUST) + (uint64_t)by);
    else
        wrmsr(MSR_TSC, rdtsc_ordered() + (uint64_t)by);
}

bool tsc_sync_source(unsigned cpu)
{
    uint64_t first;

    last = warp = ask = turn = 0;
    meet(1);
    read_in_turn(0);
    meet(2);
    first = warp;
    content = !first;
    warp = last = turn = 0;
    meet(3);
    if (first) {
        answer_all();
        meet(4);
        read_in_turn(0);
        meet(5);
        log_info("CPU %u: its TSC was %lu off and was set, it is %lu off now", cpu, first, warp);
        if (warp)
            time_scale.stable = false;
    }
    /* The target says goodbye: it does not look at `arrived` any more. */
    while (__atomic_load_n(&arrived, __ATOMIC_ACQUIRE) % 2 == 0)
        cpu_pause();
    __atomic_store_n(&arrived, 0, __ATOMIC_RELAXED);
    return !warp;
}

void tsc_sync_target(void)
{
    meet(1);
    read_in_turn(1);
    meet(2);
    meet(3);
    if (!content) {
        adjust(measure());
        meet(4);
        read_in_turn(1);
        meet(5);
    }
    __atomic_add_fetch(&arrived, 1, __ATOMIC_RELEASE);
}
