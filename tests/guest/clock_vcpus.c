/* SPDX-License-Identifier: MIT */
/* One clock on two vcpus.
 *
 * Cause: a kernel takes times on one CPU and compares them on another.
 * Steps: two vcpus, on two processors, read their pvclock by turns, while each gives its
 * processor away now and then.
 * Verdict: no reading is before the one that the other vcpu took before it.
 * Options: dom0_max_vcpus=2
 * Machine: -smp 2
 */
#include "lib/second.h"

#define READINGS 1000u /* of each */
#define AWAY     100u  /* readings between two yields */

static volatile unsigned int turn;
static volatile uint64_t last, backwards;

/* Public header xen.h, struct vcpu_time_info; of vcpu `id`, which this is. */
static uint64_t clock_of(unsigned int id)
{
    volatile struct vcpu_time_info *t = &shared_info->vcpu_info[id].time;
    uint64_t delta, base;
    uint32_t version;

    do {
        version = t->version & ~1u;
        barrier();
        delta = rdtsc() - t->tsc_timestamp;
        delta = t->tsc_shift < 0 ? delta >> -t->tsc_shift : delta << t->tsc_shift;
        base = t->system_time + (uint64_t)(((unsigned __int128)delta * t->tsc_to_system_mul) >> 32);
        barrier();
    } while (version != t->version);
    return base;
}

/* PAUSE lets an emulator that runs one processor at a time go on with the other. */
static void wait_turn(unsigned int n)
{
    while (turn != n)
        asm volatile("pause; lfence" ::: "memory");
}

static void read_by_turns(unsigned int id)
{
    for (unsigned int n = 0; n < READINGS; n++) {
        uint64_t now;

        wait_turn(2 * n + id);
        now = clock_of(id);
        if (now < last && last - now > backwards)
            backwards = last - now;
        last = now;
        barrier();
        turn = 2 * n + id + 1;
        if (n % AWAY == 0)
            hc_sched_op(SCHEDOP_yield, NULL);
    }
}

static void second(void)
{
    read_by_turns(1);
}

void test_main(void)
{
    need_eq(hc_vcpu_op(VCPUOP_is_up, 1, NULL), 0);
    hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    second_start(second);
    read_by_turns(0);
    wait_turn(2 * READINGS);
    expect_eq(backwards, 0);
    test_pass();
}
