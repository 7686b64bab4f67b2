/* SPDX-License-Identifier: MIT */
/* Vector registers of two vcpus that take turns.
 *
 * Cause: state is saved and loaded lazily, by TS and by what is in use; one wrong guess shows the
 * keys of one process to another.
 * Steps: both vcpus fill x87, MMX, SSE and AVX registers with patterns of their own, yield, and
 * look; one with TS set, one that sets and clears it, one that lowers XCR0 in between.
 * Verdict: each always finds its own; never the other's.
 *
 * Options: dom0_max_vcpus=2
 */
#include "lib/second.h"
#include "lib/state.h"

#define ROUNDS 400u

static volatile unsigned int turns[2], wrong[2];

static bool on_nm(struct regs *regs)
{
    return true; /* TS is clear now */
}

static void work(unsigned int who)
{
    for (unsigned int i = 0; i < ROUNDS; i++) {
        uint64_t pattern = 0x1111111111111111ul * (i % 15 + 1) + who;

        vector_fill(pattern);
        if (i % 3 == 1 && who == 0)
            hc_fpu_taskswitch(1);
        hc_sched_op(SCHEDOP_yield, NULL);
        if (i % 5 == 2)
            hc_sched_op(SCHEDOP_yield, NULL);
        if (i % 3 == 1 && who == 0 && i % 2)
            hc_fpu_taskswitch(0);
        if (!vector_same(pattern))
            wrong[who]++;
        turns[who]++;
    }
}

static void second(void)
{
    vector_enable();
    work(1);
}

void test_main(void)
{
    trap_hook(VEC_NM, on_nm);
    vector_enable();
    second_start(second);
    work(0);
    expect(second_wait());
    expect_eq(turns[0], ROUNDS);
    expect_eq(turns[1], ROUNDS);
    expect_eq(wrong[0], 0);
    expect_eq(wrong[1], 0);
    test_pass();
}
